//! Reads a directory of results: every file below it whose name ends in `.jsonl`, `.json` or `.rec`.

use std::fs;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::course::Course;
use super::line::{Header, Line};
use super::run::Run;
use crate::monitor::natural;
use crate::text::printable;
use crate::units::format_size;

/// A line of a result is some hundred bytes; one that is longer than this is none.
const MAX_LINE: u64 = 1 << 20;
/// A benchmark prints some kilobytes: of a file that is far larger no more than this is read.
const MAX_FILE: u64 = 64 << 20;
/// Directories below directories, at most.
const MAX_DEPTH: usize = 8;
/// Remarks in an error, at most.
const SHOWN_REMARKS: usize = 8;
/// Files, at most: far more than one looks at on a page.
const MAX_FILES: usize = 4096;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The system says no.
    #[error("cannot read {path}")]
    Io {
        /// Which file or directory.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Too many files to be meant.
    #[error("{path} holds more than {MAX_FILES} files: name a directory of results")]
    TooMany {
        /// Which directory.
        path: String,
    },
    /// No file has a result.
    #[error(
        "{path} has no results: a report is made of what `railtop bench --format json` printed (files that end in .jsonl) and \
         `railtop log --record` wrote (.rec){}",
        remarks.iter().fold(String::new(), |all, remark| all + "\n  " + remark)
    )]
    Nothing {
        /// Which file or directory.
        path: String,
        /// Why the files that were looked at gave nothing, a sentence each; of more than 8 how many more.
        remarks: Vec<String>,
    },
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    pub(super) runs: Vec<Run>,
    pub(super) courses: Vec<Course>,
    /// What could not be read, a sentence each.
    pub(super) remarks: Vec<String>,
}

impl Report {
    /// Reads a file, or all below a directory.
    ///
    /// # Errors
    /// When there is nothing to report.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let mut report = Self::default();
        let meta = fs::metadata(path).map_err(error(path))?;
        let root = if meta.is_dir() { path } else { path.parent().unwrap_or(path) };
        let mut files = Vec::new();
        if meta.is_dir() {
            collect(path, 0, &mut files)?;
            if files.len() > MAX_FILES {
                return Err(LoadError::TooMany { path: shown(path) });
            }
            files.sort_by(|a, b| natural::compare(&a.to_string_lossy(), &b.to_string_lossy()));
        } else if meta.is_file() {
            files.push(path.to_owned());
        } else {
            // A pipe or a device may have no end.
            return Err(LoadError::Nothing { path: shown(path), remarks: Vec::new() });
        }
        // What could be read and gave nothing, which matters only where nothing else did.
        let mut quiet = Vec::new();
        for file in &files {
            let name = shown(file.strip_prefix(root).unwrap_or(file));
            if file.extension().is_some_and(|end| end == "rec") {
                match Course::read(file, &name) {
                    Ok(courses) if courses.is_empty() => {
                        quiet.push(format!(
                            "{name}: no group of several NICs is known to have moved anything in it"
                        ));
                    }
                    Ok(courses) => report.courses.extend(courses),
                    Err(reason) => report.remarks.push(format!("{name}: {reason}")),
                }
            } else {
                let before = (report.runs.len(), report.remarks.len());
                report.file(file, &name)?;
                if before == (report.runs.len(), report.remarks.len()) {
                    quiet.push(format!("{name}: no result in it"));
                }
            }
        }
        report.courses.sort_by(|a, b| b.max_over_mean().total_cmp(&a.max_over_mean()));
        if report.runs.is_empty() && report.courses.is_empty() {
            let mut remarks = report.remarks;
            remarks.extend(quiet);
            if let Some(more) = remarks.len().checked_sub(SHOWN_REMARKS).filter(|&more| more > 0) {
                remarks.truncate(SHOWN_REMARKS);
                remarks.push(format!("and {more} more"));
            }
            return Err(LoadError::Nothing { path: shown(path), remarks });
        }
        Ok(report)
    }

    /// What could not be read, a sentence each.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Takes the lines of a file.
    fn file(&mut self, file: &Path, name: &str) -> Result<(), LoadError> {
        let lines = BufReader::new(fs::File::open(file).map_err(error(file))?);
        self.lines(lines, name).map_err(error(file))
    }

    /// Takes lines; those that are no results are counted, and the first is named.
    pub(super) fn lines(&mut self, mut lines: impl BufRead, name: &str) -> io::Result<()> {
        let mut run = Run::new(name, Header::default());
        let mut bad: Option<(usize, String)> = None;
        let (mut number, mut skipped, mut total) = (0_usize, 0_usize, 0_u64);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let read = (&mut lines).take(MAX_LINE).read_until(b'\n', &mut bytes)?;
            if read == 0 {
                break;
            }
            number += 1;
            total += read as u64;
            if total > MAX_FILE {
                self.remarks.push(format!("{name}: only the first {} are read", format_size(MAX_FILE)));
                break;
            }
            let whole = bytes.ends_with(b"\n") || (read as u64) < MAX_LINE;
            if !whole {
                // The rest of it is no line of its own.
                total += lines.skip_until(b'\n')? as u64;
            }
            let text = String::from_utf8_lossy(&bytes);
            if text.trim().is_empty() {
                continue;
            }
            let taken = serde_json::from_str(&text)
                .map_err(|why| printable(&why.to_string()))
                .and_then(|line| self.take(line, &mut run));
            if let Err(why) = taken {
                skipped += 1;
                bad.get_or_insert((number, why));
            }
        }
        self.push(run);
        if let Some((line, why)) = bad {
            let more = if skipped > 1 { format!(", and {} more", skipped - 1) } else { String::new() };
            self.remarks.push(format!("{name}: line {line} is no result ({why}){more}"));
        }
        Ok(())
    }

    /// Takes a line, or says what is wrong with it.
    fn take(&mut self, line: Line, run: &mut Run) -> Result<(), String> {
        match line.checked()? {
            Line::Run(header) => {
                // Said again for each policy of a run.
                if header != run.header {
                    let next = Run::new(&run.file, header);
                    self.push(std::mem::replace(run, next));
                }
            }
            Line::Row(row) => {
                run.policy(&row.policy)?;
                run.rows.push(row);
            }
            Line::Nic(nic) => {
                run.policy(&nic.policy)?;
                run.nic(nic);
            }
            Line::Balance(balance) => {
                run.policy(&balance.policy)?;
                run.balance(balance);
            }
            Line::Other => {}
        }
        Ok(())
    }

    fn push(&mut self, mut run: Run) {
        if !run.is_empty() {
            run.finish();
            self.runs.push(run);
        }
    }
}

fn collect(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), LoadError> {
    for entry in fs::read_dir(dir).map_err(error(dir))? {
        let entry = entry.map_err(error(dir))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(error(dir))?);
        if kind.is_dir() && depth < MAX_DEPTH {
            collect(&path, depth + 1, files)?;
        } else if kind.is_file() && is_result(&path) {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            break;
        }
    }
    Ok(())
}

fn is_result(path: &Path) -> bool {
    path.extension().and_then(|end| end.to_str()).is_some_and(|end| ["jsonl", "json", "rec"].contains(&end))
}

fn error(path: &Path) -> impl FnOnce(io::Error) -> LoadError {
    let path = shown(path);
    move |source| LoadError::Io { path, source }
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::made;

    #[test]
    fn lines_of_other_programs_and_broken_ones_cost_nothing_but_themselves() {
        let dir = tempfile::tempdir().unwrap();
        let lines = format!(
            "{}\n{{\"type\":\"later\"}}\nnot json\n\n{{\"type\":\"row\"}}\n{}",
            made::row("put", "single", 1 << 20, "\"bw_gb_per_s\":0.1"),
            made::row("put", "pair-seq", 1 << 20, "\"bw_gb_per_s\":0.4,\"of_tomorrow\":[1]"),
        );
        fs::create_dir(dir.path().join("below")).unwrap();
        fs::write(dir.path().join("below/a.jsonl"), lines).unwrap();
        fs::write(dir.path().join("notes.txt"), "no result").unwrap();
        let report = Report::load(dir.path()).unwrap();
        let rates: Vec<_> = report.runs[0].rows.iter().map(|row| row.bw_gb_per_s).collect();
        assert_eq!((report.runs.len(), rates), (1, vec![Some(0.1), Some(0.4)]));
        assert_eq!(report.remarks.len(), 1);
        assert!(report.remarks[0].starts_with("below/a.jsonl: line 3 is no result"), "{:?}", report.remarks);
        assert!(report.remarks[0].ends_with("and 1 more"));
    }

    #[test]
    fn what_no_benchmark_measures_is_no_result() {
        for figure in ["1e300", "-1", "1e12"] {
            let mut report = Report::default();
            let line = made::row("put", "single", 8, &format!("\"bw_gb_per_s\":{figure}"));
            report.lines(line.as_bytes(), "a").unwrap();
            assert!(
                report.runs.is_empty() && report.remarks[0].contains("out of range"),
                "{:?}",
                report.remarks
            );
        }
    }

    #[test]
    fn a_line_without_an_end_is_one_line() {
        let mut report = Report::default();
        let row = made::row("put", "single", 8, "\"bw_gb_per_s\":1");
        let text = format!("{}{row}\n{row}\n", " ".repeat(1 << 20));
        report.lines(text.as_bytes(), "a").unwrap();
        assert_eq!(report.runs[0].rows.len(), 1, "not what lies behind the megabyte");
    }

    #[test]
    fn policies_beyond_all_measure_are_refused() {
        let mut report = Report::default();
        let rows: Vec<String> =
            (0..200).map(|n| made::row("put", &format!("p{n}"), 8, "\"bw_gb_per_s\":1")).collect();
        report.lines(rows.join("\n").as_bytes(), "a").unwrap();
        assert_eq!((report.runs[0].rows.len(), report.remarks.len()), (64, 1));
    }

    #[test]
    fn a_header_begins_another_run_and_cannot_move_a_cursor() {
        let dir = tempfile::tempdir().unwrap();
        let row = made::row("put", "single", 8, "\"bw_gb_per_s\":1");
        let text = format!(
            "{}\n{row}\n{}\n{row}\n",
            made::header(2, 2, 4),
            made::header(4, 4, 4).replace("node-a", "\\u001b[2J")
        );
        fs::write(dir.path().join("a.jsonl"), text).unwrap();
        let report = Report::load(&dir.path().join("a.jsonl")).unwrap();
        let shapes: Vec<_> = report.runs.iter().map(|run| run.shape().nodes).collect();
        assert_eq!(shapes, [Some(2), Some(4)]);
        assert_eq!(report.runs[1].header.host.as_deref(), Some("\u{fffd}[2J"));
    }

    #[test]
    fn rounds_of_a_run_add_up_and_their_worst_balance_counts() {
        let round = |sent, ratio| {
            [
                made::header(2, 2, 4),
                made::nic("single", 0, 0, sent, 7),
                made::nic("single", 0, 1, 1, 0),
                made::nic("single", 1, 0, 2, 2),
                made::balance("single", "rx", ratio, 1),
            ]
        };
        let report = made::report(&[round(5, 2.0), round(6, 4.0), round(7, 3.0)].concat());
        let run = &report.runs[0];
        assert_eq!(report.runs.len(), 1);
        let moved: Vec<_> = run.nics.iter().map(|nic| (nic.pe, nic.tx_bytes, nic.rx_bytes)).collect();
        assert_eq!(moved, [(0, 18, 21), (0, 3, 0), (1, 6, 6)]);
        let ratios: Vec<_> = run.balances.iter().map(|balance| balance.max_over_mean).collect();
        assert_eq!(ratios, [Some(4.0)]);
    }

    #[test]
    fn nothing_to_report_says_what_a_report_is_made_of() {
        let dir = tempfile::tempdir().unwrap();
        let why = Report::load(dir.path()).unwrap_err().to_string();
        assert!(why.contains("railtop bench --format json"), "{why}");
        assert!(Report::load(&dir.path().join("gone")).is_err());
    }
}
