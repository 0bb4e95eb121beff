//! Where the configuration file lies.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Named by a person: it must be there.
    Named(PathBuf),
    /// Where it is looked for.
    Default(PathBuf),
    /// Nowhere: a person asked for none, or there is no home directory.
    None,
}

impl Place {
    /// `--config`, `$RAILTOP_CONFIG` (clap has put it there; empty for no file at all), else below `$XDG_CONFIG_HOME`,
    /// else below `$HOME/.config`. Relative directories in these two variables do not count, as the XDG Base Directory
    /// Specification says.
    pub(super) fn find(named: Option<&OsStr>, xdg: Option<&OsStr>, home: Option<&OsStr>) -> Self {
        if let Some(named) = named {
            return if named.is_empty() { Self::None } else { Self::Named(named.into()) };
        }
        let absolute =
            |value: Option<&OsStr>| value.map(Path::new).filter(|p| p.is_absolute()).map(Path::to_owned);
        let directory = absolute(xdg).or_else(|| absolute(home).map(|home| home.join(".config")));
        directory.map_or(Self::None, |directory| Self::Default(directory.join("railtop/config.toml")))
    }

    /// Its path, whether it is there or not.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Named(path) | Self::Default(path) => Some(path),
            Self::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    fn default(path: &str) -> Place {
        Place::Default(path.into())
    }

    #[test_case(Some("f.toml"), Some("/x"), Some("/h") => Place::Named("f.toml".into()); "named")]
    #[test_case(Some(""), Some("/x"), Some("/h") => Place::None; "named as nothing")]
    #[test_case(None, Some("/x"), Some("/h") => default("/x/railtop/config.toml"); "xdg")]
    #[test_case(None, Some("x"), Some("/h") => default("/h/.config/railtop/config.toml"); "relative xdg")]
    #[test_case(None, Some(""), Some("/h") => default("/h/.config/railtop/config.toml"); "empty xdg")]
    #[test_case(None, None, None => Place::None; "no home")]
    fn finds(named: Option<&str>, xdg: Option<&str>, home: Option<&str>) -> Place {
        Place::find(named.map(OsStr::new), xdg.map(OsStr::new), home.map(OsStr::new))
    }
}
