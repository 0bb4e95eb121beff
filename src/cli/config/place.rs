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

/// A path with `~` or `~/` in front in the home directory, which must be known for that; others as they are.
pub(super) fn in_home(path: &Path, home: Option<&OsStr>) -> Result<PathBuf, &'static str> {
    let Ok(rest) = path.strip_prefix("~") else { return Ok(path.to_owned()) };
    match home.filter(|home| !home.is_empty()) {
        Some(home) => Ok(Path::new(home).join(rest)),
        None => Err("record-directory begins with ~, and $HOME, which that stands for, is not set"),
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

    #[test]
    fn a_tilde_in_front_is_the_home_directory_and_nothing_else_is_expanded() {
        let at = |path: &str, home: Option<&str>| in_home(Path::new(path), home.map(OsStr::new));
        assert_eq!(at("~/traces", Some("/home/ana")).unwrap(), Path::new("/home/ana/traces"));
        assert_eq!(at("~", Some("/home/ana")).unwrap(), Path::new("/home/ana"));
        for path in ["a/~/b", "./~", "$HOME/b", "/var/tmp"] {
            assert_eq!(at(path, None).unwrap(), Path::new(path));
        }
        assert!(at("~/traces", None).unwrap_err().contains("$HOME"));
        assert!(at("~/traces", Some("")).is_err());
    }
}
