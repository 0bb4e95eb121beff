//! The report as one page that needs nothing else: no script, no font, no network.
//!
//! Every chart has its figures in a table below it, so that nobody depends on seeing it; colours and the ink follow the
//! reader's light or dark, and every line has a mark of its own besides its colour.

mod chart;
mod style;

use crate::balance::Direction;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Report;
use super::course::Course;
use super::moe::{self, Moe};
use super::tables::{self, Bars, Chart, Table};

/// Courses that are drawn, the most uneven ones of all recordings: the others are like them, and a page ends somewhere.
const MOST_COURSES: usize = 4;

/// The page.
#[must_use]
pub fn page(report: &Report, title: &str) -> String {
    let charts = tables::charts(&report.runs);
    let moe = moe::moe(&report.runs);
    let balance = tables::balance(&report.runs);
    let traffic = tables::bars(&report.runs);
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(style::CSS)) }
            }
            body {
                a.skip href="#content" { "Skip to the results" }
                header {
                    h1 { (title) }
                    nav aria-label="Parts of this report" {
                        ul {
                            @for (index, chart) in charts.iter().enumerate() {
                                li { a href={ "#speed-" (index) } { (chart.title) } }
                            }
                            @for (index, of) in moe.iter().enumerate() {
                                li { a href={ "#moe-" (index) } { (of.title) } }
                            }
                            @if balance.is_some() { li { a href="#balance" { "Balance" } } }
                            @if !traffic.is_empty() { li { a href="#nics" { "Traffic of each NIC" } } }
                            @if !report.courses.is_empty() { li { a href="#courses" { "Over time" } } }
                            @if !report.runs.is_empty() { li { a href="#runs" { "Runs" } } }
                        }
                    }
                }
                main id="content" {
                    @for (index, chart) in charts.iter().enumerate() { (speed(index, chart)) }
                    @for (index, of) in moe.iter().enumerate() { (phases(index, of)) }
                    @if let Some(table) = &balance {
                        section id="balance" aria-labelledby="balance-title" {
                            h2 id="balance-title" { "Balance" }
                            (figures(table, true))
                        }
                    }
                    @if !traffic.is_empty() {
                        section id="nics" aria-labelledby="nics-title" {
                            h2 id="nics-title" { "Traffic of each NIC" }
                            @for (of, bars) in &traffic { (nics(of, bars)) }
                        }
                    }
                    @if !report.courses.is_empty() {
                        section id="courses" aria-labelledby="courses-title" {
                            h2 id="courses-title" { "Over time" }
                            @for course in report.courses.iter().take(MOST_COURSES) { (over_time(course)) }
                            @if report.courses.len() > MOST_COURSES {
                                p { (report.courses.len() - MOST_COURSES) " more groups are not drawn; these are the most uneven." }
                            }
                        }
                    }
                    @if !report.runs.is_empty() {
                        section id="runs" aria-labelledby="runs-title" {
                            h2 id="runs-title" { "Runs" }
                            (figures(&tables::runs(&report.runs), true))
                        }
                    }
                    @if !report.remarks.is_empty() {
                        section aria-labelledby="remarks-title" {
                            h2 id="remarks-title" { "What could not be read" }
                            ul { @for remark in &report.remarks { li { (remark) } } }
                        }
                    }
                }
                footer { "Made by railtop " (env!("CARGO_PKG_VERSION")) "." }
            }
        }
    };
    body.into_string()
}

fn speed(index: usize, chart: &Chart) -> Markup {
    let id = format!("speed-{index}");
    let title = format!("{id}-title");
    html! {
        section id=(id) aria-labelledby=(title) {
            h2 id=(title) { (chart.title) }
            (drawing(&format!("{}, by size and policy; the table below has the figures", chart.title), chart::speed(chart)))
            (legend(chart.series.iter().map(|series| (series.look, series.name.as_str()))))
            (figures(&chart.table(), false))
        }
    }
}

fn phases(index: usize, of: &Moe) -> Markup {
    let id = format!("moe-{index}");
    let title = format!("{id}-title");
    html! {
        section id=(id) aria-labelledby=(title) {
            h2 id=(title) { (of.title) }
            div.multiples {
                @for phase in &of.phases {
                    article {
                        h3 { (phase.name) }
                        p { "by tokens of each PE" }
                        (drawing(&format!("{}, {}: bandwidth by tokens and policy; the table below has the figures", of.title, phase.name), chart::phase(of, phase)))
                        (figures(&of.table(phase), false))
                    }
                }
            }
            (legend(of.series.iter().map(|(name, look)| (*look, name.as_str()))))
        }
    }
}

fn nics(of: &str, bars: &[Bars]) -> Markup {
    // One scale for all that stand side by side.
    let most = bars.iter().flat_map(|bars| &bars.nics).map(|(_, tx, rx)| *tx.max(rx)).max().unwrap_or(0);
    html! {
        h3 { (of) }
        div.multiples {
            @for bars in bars {
                article {
                    h4 { (bars.policy) }
                    p { (bars.whose) }
                    (drawing(&format!("bytes of each NIC under {}; the table below has the figures", bars.policy), chart::bars(bars, most)))
                    (figures(&bars.table(of), false))
                }
            }
        }
        (legend([(0, "Tx"), (1, "Rx")].into_iter()))
    }
}

fn over_time(course: &Course) -> Markup {
    let [tx, rx] = Direction::BOTH.map(|way| format!("{:.2}", course.flow(way).max_over_mean));
    html! {
        h3 { (course.group) }
        p { (course.file) ": what each NIC moved; max/mean under one policy up to " (tx) " Tx, " (rx) " Rx." }
        @for way in Direction::BOTH {
            h4 { "Bytes " (way.verb()) }
            (drawing(&format!("what each NIC of {} {} over time", course.group, way.verb()), chart::course(course, way)))
            (figures(&course.table(way), false))
        }
        (legend(course.nics.iter().map(String::as_str).enumerate()))
    }
}

/// A drawing with a name for who does not see it.
fn drawing(label: &str, svg: String) -> Markup {
    html! { figure role="img" aria-label=(label) { (PreEscaped(svg)) } }
}

/// Which colour and mark stands for what, as `chart` draws them.
fn legend<'a>(names: impl Iterator<Item = (usize, &'a str)>) -> Markup {
    html! {
        ul.legend {
            @for (look, name) in names {
                li { (PreEscaped(chart::sample(look))) " " (name) }
            }
        }
    }
}

/// A table: shown at once, or behind a line that opens it.
fn figures(table: &Table, open: bool) -> Markup {
    let body = html! {
        // A wide table scrolls by itself, also with the keyboard.
        div.scroll tabindex="0" role="region" aria-label=(table.title) {
            table {
                caption { (table.title) }
                thead { tr { @for title in &table.head { th scope="col" { (title) } } } }
                tbody {
                    @for row in &table.rows {
                        tr {
                            @for (index, cell) in row.iter().enumerate() {
                                @if index == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    };
    if open {
        body
    } else {
        html! { details { summary { "Figures" } (body) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::made::{self, report};

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let evil = "<script>alert(1)</script>&\\\"'";
        let text = made::header(2, 2, 4).replace("node-a", evil);
        let row = made::row("put", evil, 1 << 20, "\"bw_gb_per_s\":0.1");
        let nic = made::nic(evil, 0, 0, 5, 7).replace("nic0", evil);
        let page = page(&report(&[text, row, nic, made::balance(evil, "rx", 4.0, 1)]), "<b>title</b>");
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert!(page.contains("&lt;script&gt;"));
    }

    #[test]
    fn the_page_needs_nothing_else() {
        let rows = [
            made::header(2, 2, 4),
            made::row("alltoall", "single", 1 << 20, "\"busbw_gb_per_s\":0.1,\"latency_us\":5"),
            made::nic("single", 0, 0, 5, 7),
        ];
        let page = page(&report(&rows), "title");
        for outside in ["http://", "https://", "<script", "<link", "url(", "@import"] {
            let found = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!found.contains(outside), "{outside}");
        }
    }
}
