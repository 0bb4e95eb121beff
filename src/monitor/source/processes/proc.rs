//! What `/proc` says about a process: two small reads each time, two more when it is new.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use nix::unistd::{SysconfVar, sysconf};

use crate::text::printable;

/// The most that is read of a file: the start of a command line is enough.
const MAX_READ: u64 = 4096;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// The user it runs as.
    pub(super) uid: u32,
    /// Command line, or the short name in brackets.
    pub(super) command: String,
    /// Resident memory in bytes.
    pub(super) resident_bytes: Option<u64>,
    /// Threads.
    pub(super) threads: Option<u32>,
    /// When it started, in clock ticks after boot: a number that is used again has another.
    started: u64,
    /// The kernel's short name.
    name: String,
}

/// Reads processes, and remembers what does not change.
#[derive(Debug)]
pub(super) struct Proc {
    root: PathBuf,
    page_bytes: Option<u64>,
    known: HashMap<u32, Facts>,
}

impl Proc {
    pub(super) fn new(root: PathBuf) -> Self {
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        Self { root, page_bytes: page.and_then(|bytes| u64::try_from(bytes).ok()), known: HashMap::new() }
    }

    /// Forgets processes.
    pub(super) fn keep_only(&mut self, keep: impl Fn(u32) -> bool) {
        self.known.retain(|&pid, _| keep(pid));
    }

    /// What is known of a process; `None` when it is gone.
    pub(super) fn look(&mut self, pid: u32) -> Option<&Facts> {
        let (uid, text) = self.read(pid, "stat")?;
        let stat = parse_stat(&text, self.page_bytes)?;
        let before = self.known.remove(&pid).filter(|f| f.started == stat.started);
        // A program that replaced itself (exec) keeps its number and its start, but not its name.
        let same_name = before.filter(|f| f.uid == uid && f.name == stat.name);
        let command = match same_name {
            Some(facts) => facts.command,
            None => self.command(pid).unwrap_or_else(|| format!("[{}]", stat.name)),
        };
        let facts = Facts {
            uid,
            command,
            resident_bytes: stat.resident_bytes,
            threads: stat.threads,
            started: stat.started,
            name: stat.name,
        };
        Some(self.known.entry(pid).insert_entry(facts).into_mut())
    }

    fn command(&self, pid: u32) -> Option<String> {
        let (_, text) = self.read(pid, "cmdline")?;
        // Arguments end with a zero byte each; one that has been overwritten (setproctitle) may hold anything.
        let words: Vec<&str> = text.split('\0').filter(|w| !w.is_empty()).collect();
        (!words.is_empty()).then(|| printable(&words.join(" ")))
    }

    /// The start of a file of the process, and whose it is.
    fn read(&self, pid: u32, file: &str) -> Option<(u32, String)> {
        let file = File::open(self.root.join(format!("{pid}/{file}"))).ok()?;
        let uid = file.metadata().ok()?.uid();
        let mut bytes = Vec::with_capacity(512);
        file.take(MAX_READ).read_to_end(&mut bytes).ok()?;
        Some((uid, String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// What is used of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    name: String,
    threads: Option<u32>,
    started: u64,
    resident_bytes: Option<u64>,
}

/// Fields 2, 20, 22 and 24 of `proc_pid_stat(5)`. The name may hold spaces and brackets: the last one ends it.
fn parse_stat(text: &str, page_bytes: Option<u64>) -> Option<Stat> {
    let (before, after) = text.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    // Field 3 is the first of these.
    let fields: Vec<&str> = after.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        name: printable(name),
        threads: number(20).and_then(|n| n.try_into().ok()),
        started: number(22)?,
        resident_bytes: number(24).zip(page_bytes).and_then(|(pages, bytes)| pages.checked_mul(bytes)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stat(name: &str, started: u64) -> String {
        format!(
            "42 ({name}) S 1 42 42 0 -1 4194304 1 0 0 0 5 6 0 0 20 0 7 0 {started} 1000000 25 18446744073709551615"
        )
    }

    fn process(root: &std::path::Path, name: &str, started: u64, cmdline: &str) {
        std::fs::create_dir_all(root.join("42")).unwrap();
        std::fs::write(root.join("42/stat"), stat(name, started)).unwrap();
        std::fs::write(root.join("42/cmdline"), cmdline).unwrap();
    }

    #[test]
    fn the_name_may_be_anything_and_pages_are_as_large_as_the_system_says() {
        let all = parse_stat(&stat("a) (b", 99), Some(65_536)).unwrap();
        assert_eq!((all.name.as_str(), all.threads, all.started), ("a) (b", Some(7), 99));
        assert_eq!(all.resident_bytes, Some(25 * 65_536));
        assert_eq!(parse_stat("42 (x) S 1", Some(4096)), None);
    }

    #[test]
    fn a_number_that_is_used_again_is_another_process() {
        let dir = tempfile::tempdir().unwrap();
        let mut proc = Proc::new(dir.path().to_owned());
        process(dir.path(), "train", 5, "/opt/train\0--lr\u{1b}[2J\0");
        assert_eq!(proc.look(42).unwrap().command, "/opt/train --lr\u{fffd}[2J");
        // Not read again while it is the same process.
        process(dir.path(), "train", 5, "other\0");
        assert_eq!(proc.look(42).unwrap().command, "/opt/train --lr\u{fffd}[2J");
        process(dir.path(), "train", 6, "/opt/train\0again\0");
        assert_eq!(proc.look(42).unwrap().command, "/opt/train again");
        // It has become another program.
        process(dir.path(), "sh", 6, "sh\0");
        assert_eq!(proc.look(42).unwrap().command, "sh");
        process(dir.path(), "kworker", 7, "");
        assert_eq!(proc.look(42).unwrap().command, "[kworker]");
        std::fs::remove_dir_all(dir.path().join("42")).unwrap();
        assert_eq!(proc.look(42), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC*|[0-9() ]*|42 \\(x\\)( [0-9]{1,25}){0,30}") {
            let _stat = parse_stat(&text, Some(4096));
        }
    }
}
