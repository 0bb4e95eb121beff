//! The merged result, which is all that commands look at.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::error::ConfigError;
use super::file::{File, FileThresholds, GlyphSet};
use super::keep::ConfigKeeper;
use super::place::{Place, in_home};
use super::read::read;
use crate::cli::GlobalArgs;
use crate::cli::source::{Selection, SourceArg};
use crate::cli::top::TopArgs;
use crate::monitor::glob::Glob;
use crate::monitor::tui::{Keeper, Keymap, Preferences, TuiOptions};
use crate::monitor::{Config, Thresholds, host};

/// What flags and environment variables say; `None` where neither says anything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Given {
    /// `--interval`, in whichever command.
    pub interval: Option<Duration>,
    /// The flags of the screen.
    pub screen: TopArgs,
    /// `--device`, `--source` and `--line-rate`.
    pub selection: Selection,
    /// `--max-over-mean`.
    pub max_over_mean: Option<f64>,
}

/// What holds, after flags, environment, file and defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where sysfs lies.
    pub sysfs_root: PathBuf,
    /// Whether colour is allowed.
    pub color: bool,
    /// How the screen begins. Its interval is every command's.
    pub preferences: Preferences,
    /// Only ASCII characters.
    pub ascii: bool,
    /// Which key means what.
    pub keymap: Keymap,
    /// Only this source.
    pub source: Option<SourceArg>,
    /// Only devices that match.
    pub device: Option<Glob>,
    /// Where recordings go.
    pub record_directory: PathBuf,
    /// From when on something is worth a word.
    pub thresholds: Thresholds,
    /// Line rates in bits per second by device, the first match counts.
    pub line_rates: Vec<(Glob, u64)>,
    /// The configuration file, where there is or could be one.
    pub file: Option<PathBuf>,
}

impl Settings {
    /// Reads the configuration file that `global` and the environment name, and merges.
    ///
    /// # Errors
    /// When the file was named and is not there, or something is wrong with it or in it.
    pub fn load(global: &GlobalArgs, given: &Given) -> Result<Self, ConfigError> {
        let variable = std::env::var_os;
        let place = Place::find(
            global.config.as_deref(),
            variable("XDG_CONFIG_HOME").as_deref(),
            variable("HOME").as_deref(),
        );
        let text = match (&place, place.path().map(read).transpose()?.flatten()) {
            (Place::Named(path), None) => {
                return Err(ConfigError::file(path, "there is no such file"));
            }
            (_, text) => text.unwrap_or_default(),
        };
        let path = place.path().unwrap_or_else(|| Path::new(""));
        let file = File::parse(path, &text)?;
        let mut settings = Self::merge(global, given, &file);
        settings.record_directory = in_home(&settings.record_directory, variable("HOME").as_deref())
            .map_err(|why| ConfigError::file(path, why))?;
        settings.keymap = file.keymap(path, &text)?;
        // The first match counts, so flags come first.
        settings.line_rates.extend(file.line_rates(path, &text)?);
        settings.file = place.path().map(Path::to_owned);
        Ok(settings)
    }

    /// Flags and environment before file before default.
    fn merge(global: &GlobalArgs, given: &Given, file: &File) -> Self {
        let default = Preferences::default();
        let (screen, selection) = (&given.screen, &given.selection);
        let preferences = Preferences {
            interval: given.interval.or(screen.interval).or(file.interval).unwrap_or(default.interval),
            units: screen.units.or(file.units).unwrap_or(default.units),
            theme: screen.theme.or(file.theme).unwrap_or(default.theme),
            sort: file.sort.unwrap_or(default.sort),
            filter: file.filter.clone().unwrap_or(default.filter),
            columns: file.columns.clone().or(default.columns),
            average: file.average.map_or(default.average, |average| average.0),
        };
        Self {
            sysfs_root: global.sysfs_root.clone(),
            color: global.color(),
            preferences,
            ascii: screen.ascii || screen.glyphs.or(file.glyphs) == Some(GlyphSet::Ascii),
            keymap: Keymap::default(),
            source: selection.source.or(file.source),
            device: selection.device.clone().or_else(|| file.device.clone()),
            record_directory: file.record_directory.clone().unwrap_or_else(|| PathBuf::from(".")),
            thresholds: thresholds(&file.thresholds, given.max_over_mean),
            line_rates: selection.line_rates.iter().map(|l| (l.glob.clone(), l.bits_per_s)).collect(),
            file: None,
        }
    }

    /// What the monitor needs to know.
    #[must_use]
    pub fn monitor(&self) -> Config {
        Config {
            sysfs_root: self.sysfs_root.clone(),
            page_dir: None,
            host: host::name(),
            device: self.device.clone(),
            source: self.source.unwrap_or_default().only(),
            interval: self.preferences.interval,
            line_rates: self.line_rates.clone(),
            thresholds: self.thresholds,
        }
    }

    /// What the screen needs to know.
    #[must_use]
    pub fn screen(&self) -> TuiOptions {
        TuiOptions {
            ascii: self.ascii,
            color: self.color,
            preferences: self.preferences.clone(),
            keymap: self.keymap.clone(),
            keeper: self.keeper(),
            record_directory: self.record_directory.clone(),
            ..TuiOptions::default()
        }
    }

    /// Who writes down what is changed on the screen.
    fn keeper(&self) -> Option<Arc<dyn Keeper>> {
        let path = self.file.clone().filter(|path| path.as_os_str() != OsStr::new("/dev/null"))?;
        Some(Arc::new(ConfigKeeper::new(path)))
    }
}

fn thresholds(file: &FileThresholds, max_over_mean: Option<f64>) -> Thresholds {
    let default = Thresholds::default();
    Thresholds {
        max_over_mean: max_over_mean.or(file.max_over_mean).unwrap_or(default.max_over_mean),
        busy_bytes_per_s: file.busy_bytes_per_s.unwrap_or(default.busy_bytes_per_s),
        imbalance_hold: file.imbalance_hold.unwrap_or(default.imbalance_hold),
        loss_per_s: file.loss_per_s.unwrap_or(default.loss_per_s),
        loss_burst_per_s: file.loss_burst_per_s.unwrap_or(default.loss_burst_per_s),
        loss_hold: file.loss_hold.unwrap_or(default.loss_hold),
        loss_quiet: file.loss_quiet.unwrap_or(default.loss_quiet),
        silent_after: file.silent_after.unwrap_or(default.silent_after),
        nic_used_hold: file.nic_used_hold.unwrap_or(default.nic_used_hold),
        idle_efa_after: file.idle_efa_after.unwrap_or(default.idle_efa_after),
        gpu_busy_percent: file.gpu_busy_percent.unwrap_or(default.gpu_busy_percent),
    }
}

#[cfg(test)]
impl Settings {
    /// The merge alone, for tests: `text` as the whole configuration file.
    pub(super) fn of(given: &Given, text: &str) -> Result<Self, ConfigError> {
        let path = Path::new("c.toml");
        let file = File::parse(path, text)?;
        let global = GlobalArgs::default();
        let mut settings = Self::merge(&global, given, &file);
        settings.keymap = file.keymap(path, text)?;
        settings.line_rates.extend(file.line_rates(path, text)?);
        Ok(settings)
    }
}
