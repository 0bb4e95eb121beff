//! Headless output: one record per tick and port, in one file per format.

mod csv;
mod jsonl;
mod record;
mod table;

use std::io::{self, Write};

pub use record::{Record, records};

/// What the start of a log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Version of the tool.
    pub version: String,
    /// Host name.
    pub host: String,
    /// Boot id, where the kernel tells.
    pub boot_id: Option<String>,
    /// Nominal interval in milliseconds.
    pub interval_ms: u64,
    /// Wall clock at the start, nanoseconds since 1970.
    pub started_ns: i128,
}

/// A log format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// One JSON object per line, a header object first.
    #[default]
    Jsonl,
    /// One row per tick and port under one line of names; empty = missing.
    Csv,
    /// For reading: two comment lines with names and units; `-` = missing.
    Table,
}

impl Format {
    /// Writes what comes before the first record.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn begin(self, out: &mut impl Write, header: &Header) -> io::Result<()> {
        match self {
            Self::Jsonl => jsonl::begin(out, header),
            Self::Csv => csv::begin(out),
            Self::Table => table::begin(out),
        }
    }

    /// Writes one record.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn record(self, out: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
        match self {
            Self::Jsonl => jsonl::record(out, record),
            Self::Csv => csv::record(out, record),
            Self::Table => table::record(out, record),
        }
    }
}

/// A moment as RFC 3339 in UTC with milliseconds; 1970 if it is beyond year 9999.
#[must_use]
pub fn timestamp(realtime_ns: i128) -> String {
    let moment = jiff::Timestamp::from_nanosecond(realtime_ns).unwrap_or_default();
    format!("{moment:.3}")
}
