//! docs/vs-rdmatop.md names tests; each has to be there.

#![expect(clippy::expect_used, reason = "a helper that cannot go on fails its test")]

use std::fs;
use std::path::Path;

/// All Rust sources below `dir` in one string.
fn sources(dir: &Path, all: &mut String) {
    for entry in fs::read_dir(dir).expect("a directory of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push_str(&fs::read_to_string(&path).expect("a source file"));
        }
    }
}

#[test]
fn every_test_that_the_comparison_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    for dir in ["src", "tests"] {
        sources(&root.join(dir), &mut code);
    }
    let text = fs::read_to_string(root.join("docs/vs-rdmatop.md")).expect("the comparison");
    let rows = text.lines().filter(|line| line.starts_with("| "));
    // The last column, without the cell's closing bar.
    let shown = rows.filter_map(|line| line.trim_end_matches([' ', '|']).rsplit(" | ").next());
    let names: Vec<&str> = shown.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 10, "the table has another form: {names:?}");
    for name in names {
        assert!(code.contains(&format!("fn {name}(")), "no test {name}");
    }
}
