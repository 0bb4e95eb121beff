//! The list of what is linked in, which goes with every binary.

use std::fs;
use std::process::Output;

use crate::{command, is_there, printed, said};

/// What `scripts/third-party.py` says for a target when musl's notice is in a file.
fn third_party(target: &str, musl: &std::path::Path) -> Option<Output> {
    if !is_there("python3") {
        eprintln!("skipped: no python3");
        return None;
    }
    Some(command("scripts/third-party.py").arg(target).env("RAILTOP_MUSL_COPYRIGHT", musl).output().unwrap())
}

#[test]
fn a_static_program_goes_with_the_notice_of_its_c_library() {
    let dir = tempfile::tempdir().unwrap();
    let notice = dir.path().join("COPYRIGHT");
    fs::write(&notice, "Copyright of a C library\n").unwrap();
    let Some(linked_statically) = third_party("x86_64-unknown-linux-musl", &notice) else { return };
    let list = printed(&linked_statically);
    assert!(list.ends_with("\nmusl, the C library:\n\nCopyright of a C library\n"));
    let count = list.lines().filter(|line| line.starts_with("    serde ")).count();
    assert_eq!(count, 1, "serde is linked in once");
    // From the toolchain, or without its texts, but never without a word.
    assert!(list.contains("Rust's standard library"));

    let list = printed(&third_party("x86_64-unknown-linux-gnu", &notice).unwrap());
    assert!(!list.contains("musl, the C library"));

    let without = third_party("x86_64-unknown-linux-musl", &dir.path().join("none")).unwrap();
    assert_eq!(without.status.code(), Some(1));
    assert!(without.stdout.is_empty(), "half a list");
    assert!(said(&without).contains("no notice of musl"), "{}", said(&without));
}
