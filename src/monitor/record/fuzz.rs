//! Anybody's file as a recording. See [`crate::fuzzing`].

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::frame::{put_frame, put_start};
use super::{Recording, wire};

/// Reads every tick of a file. After a zero byte the bytes are the file's; after any other they are frames as `kind, length,
/// payload` (a byte, two bytes, that many), which get the checksums that no fuzzer finds.
pub(crate) fn recording(bytes: &[u8]) {
    let Some((mode, bytes)) = bytes.split_first() else { return };
    if *mode == 0 { read(bytes) } else { read(&framed(bytes)) }
}

fn framed(mut bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    put_start(&mut file);
    // Not one of these fits into less than it takes.
    let _ = put_frame(&mut file, wire::kind::HEADER, &[]);
    while let Some(([kind, a, b], rest)) = bytes.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([*a, *b])).min(rest.len());
        let (payload, rest) = rest.split_at(length);
        let _ = put_frame(&mut file, u32::from(*kind), payload);
        bytes = rest;
    }
    file
}

fn read(bytes: &[u8]) {
    let Ok(file) = memfd_create(c"recording", MFdFlags::MFD_CLOEXEC) else { return };
    let mut file = File::from(file);
    if file.write_all(bytes).is_err() {
        return;
    }
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let Ok(mut recording) = Recording::open(&path) else { return };
    let damaged: u64 = recording.damage().iter().map(|damage| damage.bytes).sum();
    assert!(damaged <= bytes.len() as u64, "more is damaged than there is");
    for tick in 0..recording.len() {
        let _ = recording.read(tick);
    }
    // Back again: the definitions of another part have to be found anew.
    let _ = recording.read(0);
}
