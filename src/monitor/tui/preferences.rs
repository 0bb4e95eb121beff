//! What a person can change on the screen and have written down, and who writes it.

use std::fmt;
use std::time::Duration;

use super::format::Units;
use super::rows::Sort;
use super::theme::ThemeName;

/// The windows that rates can be averaged over, on the screen and in the configuration.
pub const AVERAGE_WINDOWS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(1800);

/// The columns that can be chosen, by the names the configuration has for them.
pub const COLUMN_NAMES: &[&str] = &[
    "percent",
    "active",
    "packets",
    "kernel",
    "peak",
    "total",
    "drops",
    "retransmits",
    "timeouts",
    "congestion",
    "state",
    "numa",
    "gpu",
    "netdev",
    "driver",
    "pci",
];

/// How the screen begins; keys change each of these.
#[derive(Debug, Clone, PartialEq)]
pub struct Preferences {
    /// Time between samples.
    pub interval: Duration,
    /// Rates in bits or bytes.
    pub units: Units,
    /// Colours.
    pub theme: ThemeName,
    /// Order of the rows.
    pub sort: Sort,
    /// Only what contains this text; empty for all.
    pub filter: String,
    /// Columns, out of [`COLUMN_NAMES`]; `None` for those the screen shows by itself.
    pub columns: Option<Vec<String>>,
    /// Rates are averages over this long; `None` for each sample's own.
    pub average: Option<Duration>,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            units: Units::default(),
            theme: ThemeName::default(),
            sort: Sort::default(),
            filter: String::new(),
            columns: None,
            average: None,
        }
    }
}

/// Writes preferences where the next start finds them.
pub trait Keeper: fmt::Debug + Send + Sync {
    /// Writes what differs between `before` and `now`. Returns where, for the person.
    ///
    /// # Errors
    /// In words, when it cannot be written.
    fn keep(&self, before: &Preferences, now: &Preferences) -> Result<String, String>;
}
