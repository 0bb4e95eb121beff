//! Two reports side by side: what has become slower, faster, or is not there any more.

use std::collections::BTreeMap;

use super::Report;
use super::run::Key;
use super::tables::{Table, figure, median};
use crate::units::format_size;

/// What has become of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Slower by more than the threshold.
    Worse,
    /// It is not in the second report.
    Gone,
    /// Within the threshold.
    Same,
    /// Faster by more than the threshold.
    Better,
    /// It is only in the second report.
    New,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Worse => "SLOWER",
            Self::Gone => "GONE",
            Self::Same => "",
            Self::Better => "faster",
            Self::New => "new",
        }
    }
}

/// A figure of both, and how much faster the second is: above 0 is better, whatever the figure counts.
#[derive(Debug, Clone, PartialEq)]
struct Compared {
    key: Key,
    unit: &'static str,
    before: Option<f64>,
    after: Option<f64>,
    gain: Option<f64>,
    verdict: Verdict,
}

/// Every row of both.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    rows: Vec<Compared>,
    threshold: f64,
}

/// A bandwidth counts where there is one, else the time.
type Figures = BTreeMap<Key, (&'static str, Vec<f64>)>;

fn figures(report: &Report) -> Figures {
    let mut all = Figures::new();
    for run in &report.runs {
        for row in &run.rows {
            let figure = match (row.bw_gb_per_s, row.latency_us) {
                (Some(rate), _) => Some(("GB/s", rate)),
                (None, Some(time)) => Some(("us", time)),
                (None, None) => None,
            };
            if let Some((unit, value)) = figure {
                all.entry(Key::of(run, row)).or_insert((unit, Vec::new())).1.push(value);
            }
        }
    }
    all
}

/// Compares rows that differ in their figures alone; of several of one kind their medians. `threshold` is a share: 0.05 is
/// 5 %.
#[must_use]
pub fn compare(before: &Report, after: &Report, threshold: f64) -> Comparison {
    let (before, mut after) = (figures(before), figures(after));
    let mut rows: Vec<Compared> = Vec::new();
    for (key, (unit, values)) in before {
        let old = median(&values);
        // Of a row that counts something else now there is nothing to compare.
        let same_unit = after.get(&key).is_some_and(|(of, _)| *of == unit);
        let new = if same_unit { after.remove(&key).map(|(_, values)| median(&values)) } else { None };
        // How much faster: of a rate what it has gained, of a time what it takes less.
        let speeds = new.map(|new| if unit == "us" { (new, old) } else { (old, new) });
        let gain = speeds.map(|(slow, fast)| if slow > 0.0 || fast > 0.0 { fast / slow - 1.0 } else { 0.0 });
        let verdict = match speeds {
            None => Verdict::Gone,
            // As many times slower as faster: else two runs in the other order were judged differently.
            Some((before, after)) if before > after * (1.0 + threshold) => Verdict::Worse,
            Some((before, after)) if after > before * (1.0 + threshold) => Verdict::Better,
            Some(_) => Verdict::Same,
        };
        rows.push(Compared { key, unit, before: Some(old), after: new, gain, verdict });
    }
    for (key, (unit, values)) in after {
        let new = Some(median(&values));
        rows.push(Compared { key, unit, before: None, after: new, gain: None, verdict: Verdict::New });
    }
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    Comparison { rows, threshold }
}

impl Comparison {
    /// How many rows have come out so.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.rows.iter().filter(|row| row.verdict == verdict).count()
    }

    /// Whether the two have no row in common.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        self.rows.iter().all(|row| row.gain.is_none())
    }

    /// The rows as a table, and a sentence.
    #[must_use]
    pub fn text(&self) -> String {
        let or = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure);
        let row = |row: &Compared| {
            let what = format!("{}, {}, {}", row.key.what(), row.key.shape.words(), row.key.series());
            vec![
                what,
                format_size(row.key.size),
                or(row.before),
                or(row.after),
                row.unit.to_owned(),
                row.gain
                    .filter(|gain| gain.is_finite())
                    .map_or_else(|| "-".to_owned(), |gain| format!("{:+.1}%", gain * 100.0)),
                row.verdict.word().to_owned(),
            ]
        };
        let head = ["what", "size", "before", "after", "unit", "faster by", ""];
        let table = Table {
            title: format!("Before and after, threshold {:.1}%", self.threshold * 100.0),
            head: head.map(str::to_owned).to_vec(),
            rows: self.rows.iter().map(row).collect(),
        };
        let count = |verdict| self.count(verdict);
        format!(
            "{}\n{} slower, {} gone, {} the same, {} faster, {} new\n",
            super::text::show(&table),
            count(Verdict::Worse),
            count(Verdict::Gone),
            count(Verdict::Same),
            count(Verdict::Better),
            count(Verdict::New)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::made::{self, report as of};
    use test_case::test_case;

    fn rate(rate: f64) -> String {
        made::row("put", "single", 1 << 20, &format!("\"bw_gb_per_s\":{rate}"))
    }

    fn time(us: f64) -> String {
        made::row("alltoall", "single", 1 << 20, &format!("\"latency_us\":{us},\"busbw_gb_per_s\":1"))
    }

    #[test_case(&rate(1.0), &rate(0.96), Verdict::Same; "within")]
    #[test_case(&rate(1.0), &rate(0.94), Verdict::Worse; "a rate that fell")]
    #[test_case(&rate(1.0), &rate(1.06), Verdict::Better; "a rate that rose")]
    #[test_case(&rate(1.0), &rate(0.0), Verdict::Worse; "nothing moves any more")]
    #[test_case(&rate(0.0), &rate(0.01), Verdict::Better; "something moves at all")]
    #[test_case(&rate(0.0), &rate(0.0), Verdict::Same; "nothing, as before")]
    #[test_case(&time(100.0), &time(106.0), Verdict::Worse; "a time that rose")]
    #[test_case(&time(100.0), &time(94.0), Verdict::Better; "a time that fell")]
    fn judges(before: &str, after: &str, expected: Verdict) {
        let comparison = compare(&of(&[before.to_owned()]), &of(&[after.to_owned()]), 0.05);
        assert_eq!(comparison.count(expected), 1, "{}", comparison.text());
    }

    #[test]
    fn of_several_the_median_counts_and_rows_that_only_one_has_are_told() {
        let before = of(&[rate(1.0), rate(9.0), rate(1.0), time(5.0)]);
        let other = made::row("put", "pair-seq", 1 << 20, "\"bw_gb_per_s\":4");
        let comparison = compare(&before, &of(&[rate(1.0), other]), 0.05);
        let counts = [Verdict::Same, Verdict::Gone, Verdict::New].map(|verdict| comparison.count(verdict));
        assert_eq!(counts, [1, 1, 1], "{}", comparison.text());
        assert!(!comparison.is_apart());
    }

    #[test]
    fn another_cluster_is_another_row() {
        let before = of(&[made::header(2, 2, 4), rate(1.0)]);
        let comparison = compare(&before, &of(&[made::header(4, 4, 4), rate(0.1)]), 0.05);
        assert!(comparison.is_apart(), "{}", comparison.text());
    }

    #[test]
    fn other_chunks_and_another_way_within_a_node_are_other_rows() {
        let cut = |bytes: u64| {
            made::row("alltoall", "single", 1 << 20, &format!("\"latency_us\":9,\"chunk\":{bytes}"))
        };
        let comparison = compare(&of(&[cut(65_536)]), &of(&[cut(65_536), cut(1024), time(9.0)]), 0.05);
        let counts = [Verdict::Same, Verdict::New].map(|verdict| comparison.count(verdict));
        assert_eq!(counts, [1, 2], "{}", comparison.text());
        assert!(comparison.text().contains("chunks of 1 KiB"), "{}", comparison.text());

        let by_nic = made::header(2, 2, 4).replacen('{', "{\"intra_node\":\"nic\",", 1);
        let comparison = compare(&of(&[made::header(2, 2, 4), rate(1.0)]), &of(&[by_nic, rate(1.0)]), 0.05);
        assert!(comparison.is_apart(), "{}", comparison.text());
        assert!(comparison.text().contains("within a node by nic"), "{}", comparison.text());
    }
}
