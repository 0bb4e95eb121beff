//! For `crate::fuzzing`: any lines become tables, a page and a comparison.

use super::{Report, compare, page, text};

/// Takes any bytes as the lines of a file.
pub(crate) fn lines(bytes: &[u8]) {
    let mut report = Report::default();
    if report.lines(bytes, "fuzz.jsonl").is_err() {
        return;
    }
    let comparison = compare(&report, &report, 0.05);
    for out in [text(&report), comparison.text(), page(&report, "fuzz")] {
        assert!(!out.chars().any(|c| c.is_control() && c != '\n'), "{out:?}");
    }
    assert!(!page(&report, "fuzz").contains("<script"));
}
