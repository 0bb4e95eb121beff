//! Flags that every command takes.

use std::ffi::OsString;
use std::path::PathBuf;

/// Global flags.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct GlobalArgs {
    /// Where sysfs lies: a host's /sys mounted into a container, or a copied tree
    #[arg(long, global = true, value_name = "DIR", default_value = "/sys", env = "RAILTOP_SYSFS_ROOT")]
    pub sysfs_root: PathBuf,

    /// Configuration file; an empty name for none. Without this, railtop/config.toml below `$XDG_CONFIG_HOME` or ~/.config
    #[arg(
        id = "config-file",
        long = "config",
        global = true,
        value_name = "FILE",
        env = "RAILTOP_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<OsString>,

    /// No colour, whatever the terminal can do (also with `NO_COLOR` set to anything)
    #[arg(long, global = true)]
    pub no_color: bool,
}

impl Default for GlobalArgs {
    fn default() -> Self {
        Self { sysfs_root: PathBuf::from("/sys"), config: None, no_color: false }
    }
}

impl GlobalArgs {
    /// Whether colour is allowed: neither `--no-color` nor a non-empty `NO_COLOR` (<https://no-color.org>).
    #[must_use]
    pub fn color(&self) -> bool {
        !self.no_color && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
    }
}
