//! Completions and man pages: whole, and the same text however one asks for it.

use std::fmt::Write as _;
use std::fs;

use test_case::test_case;

use crate::{printed, railtop, said};

/// Text without what each release changes.
fn unversioned(text: &str) -> String {
    text.replace(concat!("railtop ", env!("CARGO_PKG_VERSION")), "railtop VERSION")
}

#[test]
fn every_command_has_its_man_page() {
    let dir = tempfile::tempdir().unwrap();
    let flag = format!("--generate-man={}", dir.path().display());
    assert_eq!(printed(&railtop(&[&flag])), "");
    let mut names: Vec<String> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut all = String::new();
    for name in &names {
        let page = fs::read_to_string(dir.path().join(name)).unwrap();
        // railtop-bench-put.1 is what `railtop man bench put` prints.
        let words: Vec<&str> = name.strip_suffix(".1").unwrap().split('-').skip(1).collect();
        assert_eq!(printed(&railtop(&[&["man"], &words[..]].concat())), page, "{name}");
        assert!(page.contains(&format!(".TH {} 1 ", name.strip_suffix(".1").unwrap())), "{page}");
        writeln!(all, "==> {name} <==\n{}", unversioned(&page)).unwrap();
    }
    assert_eq!(
        printed(&railtop(&["--generate-man"])),
        fs::read_to_string(dir.path().join("railtop.1")).unwrap()
    );
    // No page names another one that is not there.
    for (at, _) in all.match_indices("(1)\n") {
        let line = all[..at].rsplit('\n').next().unwrap().trim_start_matches(".TP").replace('\\', "");
        assert!(names.contains(&format!("{line}.1")), "a page names {line}(1), which is not there");
    }
    insta::assert_snapshot!("man", all);
}

#[test_case("bash")]
#[test_case("zsh")]
#[test_case("fish")]
#[test_case("elvish")]
#[test_case("powershell")]
fn completions_of(shell: &str) {
    let script = printed(&railtop(&["--generate-completions", shell]));
    assert_eq!(script, printed(&railtop(&["completions", shell])));
    insta::assert_snapshot!(format!("completions_{shell}"), script);
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let output = railtop(&["--generate-man=/nowhere/at/all"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("cannot write the man page /nowhere/at/all/railtop.1: No such file"),
        "{}",
        said(&output)
    );
}

#[test]
fn commands_that_are_not_there_are_told_from_those_that_are() {
    let output = railtop(&["man", "bench", "putt"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("there is no command \"putt\" of railtop bench; there are put, alltoall, moe"),
        "{}",
        said(&output)
    );
    let output = railtop(&["man", "log", "x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("railtop log has no commands, so there is no \"x\""), "{}", said(&output));
    assert_eq!(railtop(&["--generate-completions", "tcsh"]).status.code(), Some(2));
}
