//! The repository's own sources, for tests that look into them.

use std::fs;
use std::path::Path;

/// All Rust sources below `dir` of the repository in one string.
pub(crate) fn sources(dir: &str) -> String {
    let mut all = String::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut all);
    all
}

fn collect(dir: &Path, all: &mut String) {
    for entry in fs::read_dir(dir).expect("a directory of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push_str(&fs::read_to_string(&path).expect("a source file"));
        }
    }
}
