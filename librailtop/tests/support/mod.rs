//! The library as it was built for these tests, and the trees it reads.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Of this package.
pub fn manifest_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A tree of `tests/fixtures/sys`.
pub fn fixture(name: &str) -> PathBuf {
    manifest_dir().join("../tests/fixtures/sys").join(name).canonicalize().unwrap()
}

/// The shared library, which lies beside the tests.
pub fn library() -> PathBuf {
    let file = std::env::current_exe().unwrap().with_file_name("librailtop_c.so");
    assert!(file.is_file(), "{} is not there", file.display());
    file
}

/// What a program that ends well printed.
pub fn output_of(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

/// The examples of docs/python.md in a language.
pub fn examples(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(manifest_dir().join("../docs/python.md")).unwrap();
    let blocks = text.split("\n```").skip(1).step_by(2);
    let ours = blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    ours.map(|code| format!("{code}\n")).collect()
}
