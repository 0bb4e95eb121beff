//! The configuration file, as it is written: everything may be left out, nothing may be there that is not known.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::error::ConfigError;
use super::value::{self, Average, BitRate, Keys};
use crate::cli::source::SourceArg;
use crate::monitor::glob::Glob;
use crate::monitor::tui::{BindError, Keymap, Sort, ThemeName, Units};

/// Which characters the screen may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum GlyphSet {
    /// Unicode where the locale is UTF-8
    #[default]
    Auto,
    /// Only ASCII
    Ascii,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct File {
    #[serde(deserialize_with = "value::interval")]
    pub(super) interval: Option<Duration>,
    #[serde(deserialize_with = "value::choice")]
    pub(super) units: Option<Units>,
    #[serde(deserialize_with = "value::choice")]
    pub(super) theme: Option<ThemeName>,
    #[serde(deserialize_with = "value::choice")]
    pub(super) glyphs: Option<GlyphSet>,
    #[serde(deserialize_with = "value::columns")]
    pub(super) columns: Option<Vec<String>>,
    #[serde(deserialize_with = "value::choice")]
    pub(super) sort: Option<Sort>,
    pub(super) filter: Option<String>,
    #[serde(deserialize_with = "value::average")]
    pub(super) average: Option<Average>,
    #[serde(deserialize_with = "value::choice")]
    pub(super) source: Option<SourceArg>,
    #[serde(deserialize_with = "value::parsed")]
    pub(super) device: Option<Glob>,
    #[serde(deserialize_with = "value::directory")]
    pub(super) record_directory: Option<PathBuf>,
    pub(super) thresholds: FileThresholds,
    /// In the order of the file: the first pattern that matches counts.
    pub(super) line_rates: BTreeMap<Spanned<String>, BitRate>,
    pub(super) keys: BTreeMap<Spanned<String>, Spanned<Keys>>,
}

/// From when on something is worth a word; see [`crate::monitor::Thresholds`].
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct FileThresholds {
    #[serde(deserialize_with = "value::ratio")]
    pub(super) max_over_mean: Option<f64>,
    #[serde(deserialize_with = "value::amount")]
    pub(super) busy_bytes_per_s: Option<f64>,
    #[serde(deserialize_with = "value::time")]
    pub(super) imbalance_hold: Option<Duration>,
    #[serde(deserialize_with = "value::amount")]
    pub(super) loss_per_s: Option<f64>,
    #[serde(deserialize_with = "value::amount")]
    pub(super) loss_burst_per_s: Option<f64>,
    #[serde(deserialize_with = "value::time")]
    pub(super) loss_hold: Option<Duration>,
    #[serde(deserialize_with = "value::time")]
    pub(super) loss_quiet: Option<Duration>,
    #[serde(deserialize_with = "value::time")]
    pub(super) silent_after: Option<Duration>,
    #[serde(deserialize_with = "value::time")]
    pub(super) nic_used_hold: Option<Duration>,
    #[serde(deserialize_with = "value::time")]
    pub(super) idle_efa_after: Option<Duration>,
    #[serde(deserialize_with = "value::percent")]
    pub(super) gpu_busy_percent: Option<u32>,
}

impl File {
    /// Reads `text`; `path` is for the errors.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::toml(path, text, &error))
    }

    /// The key bindings; `path` and `text` are for the errors.
    pub(super) fn keymap(&self, path: &Path, text: &str) -> Result<Keymap, ConfigError> {
        let mut keymap = Keymap::default();
        for (name, keys) in &self.keys {
            let list = keys.get_ref().0.iter().map(String::as_str);
            keymap.bind(name.get_ref(), list).map_err(|error| {
                let span = match &error {
                    BindError::UnknownCommand { .. } => name.span(),
                    _ => keys.span(),
                };
                ConfigError::at(path, text, Some(&span), error.to_string())
            })?;
        }
        keymap.check().map_err(|error| {
            let span = match &error {
                BindError::Conflict { first, second, .. } => {
                    // At least one of them is not as it was, or there would be no conflict.
                    let of = |wanted: &str| {
                        self.keys
                            .iter()
                            .find(|(name, _)| name.get_ref() == wanted)
                            .map(|(_, keys)| keys.span())
                    };
                    of(second).or_else(|| of(first))
                }
                _ => None,
            };
            ConfigError::at(path, text, span.as_ref(), error.to_string())
        })?;
        Ok(keymap)
    }

    /// The line rates by device pattern, in the order of the file.
    pub(super) fn line_rates(&self, path: &Path, text: &str) -> Result<Vec<(Glob, u64)>, ConfigError> {
        let mut rates: Vec<_> = self.line_rates.iter().collect();
        rates.sort_by_key(|(pattern, _)| pattern.span().start);
        rates
            .into_iter()
            .map(|(pattern, rate)| match pattern.get_ref().parse::<Glob>() {
                Ok(glob) => Ok((glob, rate.0)),
                Err(error) => Err(ConfigError::at(path, text, Some(&pattern.span()), error.to_string())),
            })
            .collect()
    }
}
