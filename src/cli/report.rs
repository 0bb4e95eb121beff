//! `railtop report` and `railtop compare`: what benchmarks have printed, put together.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;

use super::exit::{self, ExitError};
use super::files::{empty, open_new};
use super::manual::print;
use crate::report::{self, LoadError, Report, Verdict};
use crate::text::printable;

/// Put the results of benchmarks together on one page
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "A directory of results holds what `railtop bench --format json` printed (files that end in .jsonl) \
    and, for the time course, what `railtop log --record` wrote (.rec).\n\
    The page needs no network: mail it, or open it from a disk."
)]
pub struct ReportArgs {
    /// A directory of results, or one file
    #[arg(value_name = "DIR")]
    pub results: PathBuf,
    /// Write to this new file [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// A page, or the same figures as text
    #[arg(long, value_enum, default_value_t = ReportFormat::Html)]
    pub format: ReportFormat,
    /// What the page is called [default: the directory's name]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Replace FILE if it is there
    #[arg(long)]
    pub force: bool,
}

/// What a report looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// One page for a browser
    Html,
    /// Tables
    Text,
}

/// Compare two sets of results: exit code 1 where something has become slower, or is gone
#[derive(Debug, Clone, clap::Args)]
pub struct CompareArgs {
    /// Results of before: a directory, or one file
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// Results of after
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    /// How much is no difference: 5% means that up to 1.05 times slower or faster is the same
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = share)]
    pub threshold: f64,
    /// Rows that only BEFORE has are no failure
    #[arg(long)]
    pub allow_gone: bool,
}

/// `5%` or `5`, as a share.
fn share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=1000.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("not a share such as 5%, from 0% to 1000%".to_owned()),
    }
}

fn load(path: &Path) -> anyhow::Result<Report> {
    let report = match Report::load(path) {
        Err(nothing @ LoadError::Nothing { .. }) => {
            return Err(ExitError::Nothing(nothing.to_string()).into());
        }
        report => report?,
    };
    for remark in report.remarks() {
        exit::say(&format!("railtop: {remark}"));
    }
    Ok(report)
}

/// Writes the report.
///
/// # Errors
/// When there are no results, or the output cannot be written.
pub fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let results = load(&args.results)?;
    let title = args.title.clone().unwrap_or_else(|| {
        let full = args.results.canonicalize().unwrap_or_else(|_| args.results.clone());
        full.file_stem().map_or_else(|| "railtop".to_owned(), |name| printable(&name.to_string_lossy()))
    });
    let text = match args.format {
        ReportFormat::Html => report::page(&results, &title),
        ReportFormat::Text => report::text(&results),
    };
    match args.output.as_deref().filter(|path| *path != Path::new("-")) {
        None => print(text.as_bytes()),
        Some(path) => write(path, args.force, &text).map(|()| ExitCode::SUCCESS),
    }
}

/// Prints the comparison, and judges it.
///
/// # Errors
/// When there are no results, or nothing that both have.
pub fn compare(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let (before, after) = (load(&args.before)?, load(&args.after)?);
    let comparison = report::compare(&before, &after, args.threshold);
    print(comparison.text().as_bytes())?;
    if comparison.is_apart() {
        let text = "the two have no row in common: rows are compared that have the same pattern, cluster, policy and size";
        return Err(ExitError::Nothing(text.to_owned()).into());
    }
    let gone = !args.allow_gone && comparison.count(Verdict::Gone) > 0;
    let failed = gone || comparison.count(Verdict::Worse) > 0;
    Ok(ExitCode::from(if failed { exit::FAILED } else { exit::OK }))
}

fn write(path: &Path, force: bool, text: &str) -> anyhow::Result<()> {
    let mut file = open_new(path, force)?;
    empty(&file, path)?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("5%", Some(0.05))]
    #[test_case("12.5", Some(0.125))]
    #[test_case("0%", Some(0.0))]
    #[test_case("-1%", None; "less than nothing")]
    #[test_case("inf", None)]
    #[test_case("NaN", None; "no number")]
    #[test_case("five", None; "words")]
    fn reads_shares(text: &str, expected: Option<f64>) {
        assert_eq!(share(text).ok(), expected);
    }
}
