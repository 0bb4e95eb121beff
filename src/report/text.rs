//! The report as text: the same tables that the page has.

use crate::balance::Direction;
use unicode_width::UnicodeWidthStr as _;

use super::Report;
use super::moe;
use super::tables::{self, Table};

/// All tables, one below the other.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut all: Vec<Table> = tables::charts(&report.runs).iter().map(tables::Chart::table).collect();
    let moe = moe::moe(&report.runs);
    all.extend(moe.iter().flat_map(|of| of.phases.iter().map(|phase| of.table(phase))));
    all.extend(tables::balance(&report.runs));
    let bars = tables::bars(&report.runs);
    all.extend(bars.iter().flat_map(|(of, bars)| bars.iter().map(|bars| bars.table(of))));
    if !report.runs.is_empty() {
        all.push(tables::runs(&report.runs));
    }
    all.extend(report.courses.iter().flat_map(|course| Direction::BOTH.map(|way| course.table(way))));
    all.iter().map(show).collect::<Vec<_>>().join("\n")
}

/// Columns as wide as they must be; figures at the right edge.
pub(super) fn show(table: &Table) -> String {
    let width = |column: usize| {
        let cells = table.rows.iter().filter_map(|row| row.get(column)).chain(table.head.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.head.len()).map(width).collect();
    // A column whose cells all begin as a number does.
    let right = |column: usize| {
        let figure = |cell: &String| cell.starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c));
        table.rows.iter().filter_map(|row| row.get(column)).all(figure)
    };
    let rights: Vec<bool> = (0..table.head.len()).map(|column| column > 0 && right(column)).collect();
    let line = |cells: &[String]| {
        let mut text = String::new();
        for (index, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let blanks = " ".repeat(width.saturating_sub(cell.width()));
            if index > 0 {
                text.push_str("  ");
            }
            if rights.get(index) == Some(&true) {
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
