//! docs/vs-rdmatop.md names tests; each has to be there.

#![expect(clippy::expect_used, reason = "a helper that cannot go on fails its test")]

use std::fs;
use std::path::Path;

#[path = "support/sources.rs"]
mod sources;

#[test]
fn every_test_that_the_comparison_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = ["src", "tests", "librailtop"].map(sources::sources).concat();
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
