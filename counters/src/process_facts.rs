//! What a process can find out about itself, and the clock that writers and readers share.

use std::{fs, io::Read, os::unix::fs::MetadataExt, path::Path};

use nix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC` in nanoseconds: the same clock for every process of a boot (outside of time
/// namespaces), not moved by NTP steps, standing still during suspend.
#[must_use]
pub fn monotonic_ns() -> u64 {
    clock_ns(ClockId::CLOCK_MONOTONIC)
}

/// `CLOCK_REALTIME` in nanoseconds since 1970.
pub(super) fn realtime_ns() -> u64 {
    clock_ns(ClockId::CLOCK_REALTIME)
}

fn clock_ns(id: ClockId) -> u64 {
    // Cannot fail for these two clocks (clock_gettime(2)); zero would only make a page look stalled.
    clock_gettime(id).map_or(0, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
    })
}

/// Reads at most `limit` bytes of a file of `/proc`.
fn read_proc(path: &str, limit: u64) -> Option<String> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(limit).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Field 22 of `/proc/self/stat`, clock ticks after boot (`proc_pid_stat(5)`).
pub(super) fn start_ticks() -> Option<u64> {
    parse_start_ticks(&read_proc("/proc/self/stat", 4096)?)
}

fn parse_start_ticks(stat: &str) -> Option<u64> {
    // Field 2, the command in parentheses, may itself hold blanks and parentheses.
    let (_, after) = stat.rsplit_once(')')?;
    after.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// `/proc/sys/kernel/random/boot_id` as its 16 bytes.
pub(super) fn boot_id() -> Option<[u8; 16]> {
    parse_uuid(read_proc("/proc/sys/kernel/random/boot_id", 64)?.trim())
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text.bytes().filter(|&b| b != b'-').collect();
    let mut id = [0; 16];
    if digits.len() != 32 {
        return None;
    }
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(id)
}

/// Inode of one of this process's namespaces: `pid`, `net`.
pub(super) fn namespace(name: &str) -> Option<u64> {
    fs::metadata(Path::new("/proc/self/ns").join(name)).ok().map(|meta| meta.ino())
}

/// The effective uid as the parent user namespace knows it.
///
/// Root of an unprivileged user namespace (the lab without root) is an ordinary user outside; by the
/// outer number its pages land where that user's monitor looks.
pub(super) fn outer_euid() -> u32 {
    let euid = nix::unistd::geteuid().as_raw();
    read_proc("/proc/self/uid_map", 16384).map_or(euid, |map| map_uid(&map, euid))
}

fn map_uid(map: &str, uid: u32) -> u32 {
    map.lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace().map(str::parse::<u32>);
            Some((fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?))
        })
        .find_map(|(inside, outside, length)| {
            let index = uid.checked_sub(inside)?;
            (index < length).then(|| outside.checked_add(index)).flatten()
        })
        .unwrap_or(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_ticks_survive_a_hostile_command_name() {
        let stat =
            "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 99 1 18446744073709551615";
        assert_eq!(parse_start_ticks(stat), Some(4242));
        assert_eq!(parse_start_ticks("7 (cut"), None);
    }

    #[test]
    fn this_process_has_a_start_and_a_boot() {
        assert!(start_ticks().is_some());
        assert!(monotonic_ns() > 0);
        assert_eq!(parse_uuid("00010203-0405-0607-0809-0a0b0c0d0e0f").map(|id| id[15]), Some(15));
        assert_eq!(parse_uuid("zz010203-0405-0607-0809-0a0b0c0d0e0f"), None);
    }

    #[test]
    fn uids_are_mapped_to_the_outside() {
        assert_eq!(map_uid("         0          0 4294967295\n", 1000), 1000);
        assert_eq!(map_uid("0 1000 1\n1 100000 65536\n", 0), 1000);
        assert_eq!(map_uid("0 1000 1\n1 100000 65536\n", 5), 100_004);
        assert_eq!(map_uid("nonsense", 7), 7);
    }
}
