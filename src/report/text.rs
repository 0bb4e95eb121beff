//! The report as text: the same tables that the page has.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::Report;
use super::tables::{self, Table};

/// All tables, one below the other.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut all: Vec<Table> = tables::charts(&report.runs).iter().map(tables::Chart::table).collect();
    all.extend(tables::balance(&report.runs));
    let bars = tables::bars(&report.runs);
    all.extend(bars.iter().flat_map(|(of, bars)| bars.iter().map(|bars| bars.table(of))));
    if !report.runs.is_empty() {
        all.push(tables::runs(&report.runs));
    }
    let mut out = all.iter().map(show).collect::<Vec<_>>().join("\n");
    for course in &report.courses {
        let _infallible = writeln!(
            out,
            "\n{}: {}, {} NICs over {:.0} s, Rx max/mean up to {:.2} under one policy",
            course.file,
            course.group,
            course.nics.len(),
            course.seconds.last().copied().unwrap_or(0.0),
            course.max_over_mean
        );
    }
    out
}

/// Columns as wide as they must be; figures at the right edge.
pub(super) fn show(table: &Table) -> String {
    let width = |column: usize| {
        let cells = table.rows.iter().filter_map(|row| row.get(column)).chain(table.head.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.head.len()).map(width).collect();
    let figures =
        |row: &[String]| row.iter().skip(1).all(|cell| !cell.contains(' ') || cell.contains(" of "));
    let right = table.rows.iter().all(|row| figures(row));
    let line = |cells: &[String]| {
        let mut text = String::new();
        for (index, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let blanks = " ".repeat(width.saturating_sub(cell.width()));
            if index > 0 {
                text.push_str("  ");
            }
            if index > 0 && right {
                text.push_str(&blanks);
                text.push_str(cell);
            } else {
                text.push_str(cell);
                text.push_str(&blanks);
            }
        }
        text.trim_end().to_owned() + "\n"
    };
    let mut out = format!("{}\n", table.title);
    out.push_str(&line(&table.head));
    table.rows.iter().for_each(|row| out.push_str(&line(row)));
    out
}
