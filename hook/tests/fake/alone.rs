//! Tests that want a process of their own, its page, and its children.

use std::io::{Read, Seek};
use std::path::Path;
use std::process::Command;

use counters::{PageDir, PageReader};
use libc::c_int;

/// How long a child may take, s. Then a signal ends it.
pub const PATIENCE: u32 = 10;

/// The test that this process is for.
const TEST: &str = "RAILTOP_TEST_OF_FORKS";

/// Runs a test in a process of its own: handlers of forks are there for good, and so are page, thread, and the end of all counting.
pub fn alone(name: &str, fault: &str, test: impl FnOnce()) {
    if std::env::var_os(TEST).is_some_and(|test| test == name) {
        return test();
    }
    let pages = tempfile::tempdir_in("/dev/shm").unwrap();
    // Its sums are not to be taken for those of this process: kept, and shown if it fails. In a file, since a child of its own that hangs
    // would keep a pipe open for ever.
    let mut output = tempfile::tempfile().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .envs([(TEST, name), ("RAILTOP_HOOK_FAULT", fault)])
        .env("RAILTOP_PAGE_DIR", pages.path())
        .stdout(output.try_clone().unwrap())
        .stderr(output.try_clone().unwrap())
        .status()
        .unwrap();
    let mut said = Vec::new();
    output.rewind().unwrap();
    output.read_to_end(&mut said).unwrap();
    let said = String::from_utf8_lossy(&said);
    assert!(status.success(), "{status}:\n{said}");
    assert!(said.contains("1 passed"), "it has run: {said}");
}

/// The bytes that the one page of this process has, if there is one.
pub fn sent() -> Option<u64> {
    railtop_hook::publish_now();
    let dir = std::env::var_os("RAILTOP_PAGE_DIR").unwrap();
    let entries = PageDir::open(Path::new(&dir)).unwrap().scan().unwrap();
    let own = entries.iter().find(|entry| {
        let name = entry.path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(&format!("{}.", std::process::id()))
    });
    Some(PageReader::open(&own?.path).unwrap().read().unwrap().nics[0].counts.tx_posted_bytes)
}

/// Whether a forked child does that, and ends well.
pub fn child_ends(exit: fn(c_int) -> !, work: impl FnOnce() -> bool) -> bool {
    unsafe {
        let pid = libc::fork();
        assert!(pid >= 0);
        if pid == 0 {
            libc::alarm(PATIENCE);
            exit(i32::from(!work()));
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
        status == 0
    }
}
