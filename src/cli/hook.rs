//! The library that counts other programs' traffic: where it is, and whether this machine's libfabric takes it.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use libfabric_sys::{Libfabric, Param};

use super::exit::{self, ExitError};
use super::source::TextOrJson;
use crate::counters::PageDir;

/// Names the library's file.
pub const FILE_ENV: &str = "RAILTOP_HOOK";
/// How the file is called where it is installed. libfabric takes only files that end like this for providers.
const INSTALLED: &str = "librailtop_hook-fi.so";
/// How cargo calls it.
const BUILT: &str = "librailtop_hook.so";
const SUFFIX: &[u8] = b"-fi.so";

/// Finds the library: `RAILTOP_HOOK`, next to this program, or in `../lib/railtop`.
///
/// # Errors
/// Exit code 2 when `RAILTOP_HOOK` names no file; 3 when it is nowhere, with the places.
pub fn find() -> anyhow::Result<PathBuf> {
    if let Some(file) = std::env::var_os(FILE_ENV).filter(|value| !value.is_empty()) {
        let file = PathBuf::from(file);
        let found = fs::canonicalize(&file).ok().filter(|file| file.is_file());
        // Not the resolved name: the name is what libfabric goes by.
        let there = std::path::absolute(&file).ok().filter(|_| found.is_some());
        return there
            .ok_or_else(|| ExitError::Usage(format!("{FILE_ENV}={} is not a file", file.display())).into());
    }
    let program = std::env::current_exe().context("cannot find the own program file")?;
    let beside = program.parent().unwrap_or(Path::new("/"));
    let prefix = beside.parent().unwrap_or(beside);
    let places = [beside.join(INSTALLED), prefix.join("lib/railtop").join(INSTALLED), beside.join(BUILT)];
    match places.iter().find(|place| place.is_file()) {
        Some(place) => Ok(place.clone()),
        None => Err(ExitError::Nothing(format!(
            "the library that counts for other programs is not installed: no {}; name its file in {FILE_ENV}",
            places.map(|place| place.display().to_string()).join(", ")
        ))
        .into()),
    }
}

/// The directory to name in `FI_PROVIDER_PATH`: the file's own if its name is one of a provider, else one with a link to it.
///
/// # Errors
/// When the link cannot be made.
pub fn provider_dir(file: &Path) -> anyhow::Result<PathBuf> {
    let parent = file.parent().unwrap_or(Path::new("/"));
    let named = file.file_name().is_some_and(|name| name.as_bytes().ends_with(SUFFIX));
    // A colon would end the path in the variable's list.
    if named && fits_a_list(parent) {
        return Ok(parent.to_path_buf());
    }
    // The directory of counter pages is the user's alone, and readers of pages skip names that start with a dot.
    let pages = PageDir::create(&PageDir::default_path())?;
    let dir = pages.path().join(".hook");
    if !fits_a_list(&dir) {
        return Err(ExitError::Usage(format!(
            "{} has a colon or a blank, at which lists of libraries are cut: name another directory in RAILTOP_PAGE_DIR",
            dir.display()
        ))
        .into());
    }
    match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("cannot make {}", dir.display()));
        }
        _ => {}
    }
    let link = dir.join(INSTALLED);
    if fs::read_link(&link).is_ok_and(|there| there == file) {
        return Ok(dir);
    }
    let draft = dir.join(format!(".{}", std::process::id()));
    symlink(file, &draft)
        .and_then(|()| fs::rename(&draft, &link))
        .with_context(|| format!("cannot make a link to {} in {}", file.display(), dir.display()))?;
    Ok(dir)
}

/// The file to name in `LD_PRELOAD`.
///
/// # Errors
/// As [`provider_dir`].
pub fn preloaded(file: &Path) -> anyhow::Result<PathBuf> {
    if fits_a_list(file) { Ok(file.to_path_buf()) } else { Ok(provider_dir(file)?.join(INSTALLED)) }
}

/// Whether a path stays whole in `FI_PROVIDER_PATH`, which is cut at colons, and `LD_PRELOAD`, which is at blanks as well.
fn fits_a_list(path: &Path) -> bool {
    !path.as_os_str().as_bytes().iter().any(|byte| b": \t\n".contains(byte))
}

/// What the machine's libfabric says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Taker {
    /// It knows `FI_HOOK`.
    hooks: bool,
    /// It knows `FI_PROVIDER_PATH`: it was built to load providers from files.
    loads: bool,
    /// Where it looks for them by itself.
    default_dir: Option<PathBuf>,
}

impl Taker {
    fn of(params: &[Param]) -> Self {
        let param = |name: &str| params.iter().find(|param| param.name == name);
        let path = param("FI_PROVIDER_PATH");
        // "Search for providers in specific path (default: /usr/lib/libfabric)"; from 2.x on more may follow.
        let default = path.and_then(|param| param.help.split_once("default: "));
        let default = default.and_then(|(_, rest)| rest.split([')', ' ', ',']).next());
        Self {
            hooks: param("FI_HOOK").is_some(),
            loads: path.is_some(),
            default_dir: default.filter(|dir| dir.starts_with('/')).map(PathBuf::from),
        }
    }
}

/// Where the machine's libfabric looks for providers by itself, if it says so.
#[must_use]
pub fn default_provider_dir() -> Option<PathBuf> {
    Taker::of(&Libfabric::load().ok()?.params()).default_dir
}

/// `railtop list --hook`.
///
/// # Errors
/// When the output cannot be written; exit code 3 when nothing can be hooked.
pub fn list(format: TextOrJson) -> anyhow::Result<()> {
    let file = find();
    let library = Libfabric::load();
    let taker = library.as_ref().map(|library| Taker::of(&library.params())).unwrap_or_default();
    let way = match (&file, &library) {
        (Err(_), _) | (_, Err(_)) => "none",
        _ if taker.hooks && taker.loads => "hook",
        _ => "preload",
    };
    let mut out = io::stdout().lock();
    let text = |path: &Path| path.display().to_string();
    match format {
        TextOrJson::Json => {
            let mut object = serde_json::json!({ "type": "hook", "way": way });
            if let Ok(file) = &file {
                object["file"] = text(file).into();
            }
            if let Ok(library) = &library {
                object["libfabric"] = text(library.path()).into();
                object["version"] = format!("{}.{}", library.version().0, library.version().1).into();
            }
            if let Some(dir) = &taker.default_dir {
                object["provider_dir"] = text(dir).into();
            }
            writeln!(out, "{object}")
        }
        TextOrJson::Text => lines(&mut out, way, file.as_ref().ok(), library.as_ref().ok(), &taker),
    }
    .map_err(exit::output_error)?;
    file?;
    match library {
        Ok(_) => Ok(()),
        Err(error) => Err(ExitError::Nothing(error.to_string()).into()),
    }
}

fn lines(
    out: &mut impl Write,
    way: &str,
    file: Option<&PathBuf>,
    library: Option<&Libfabric>,
    taker: &Taker,
) -> io::Result<()> {
    let or_none = |path: Option<&Path>| path.map_or("-".to_owned(), |path| path.display().to_string());
    writeln!(out, "hook library      {}", or_none(file.map(PathBuf::as_path)))?;
    let version = library.map_or_else(String::new, |library| {
        format!(" (version {}.{})", library.version().0, library.version().1)
    });
    writeln!(out, "libfabric         {}{version}", or_none(library.map(Libfabric::path)))?;
    writeln!(out, "its provider dir  {}", or_none(taker.default_dir.as_deref()))?;
    writeln!(
        out,
        "{}",
        match way {
            "hook" => "can be hooked: railtop run -- CMD",
            "preload" => "loads no providers from files; use: railtop run --preload -- CMD",
            _ => "cannot be hooked",
        }
    )
}

/// A list of directories or files with ours in front.
#[must_use]
pub fn in_front(ours: &OsStr, others: Option<&OsStr>) -> std::ffi::OsString {
    let mut list = ours.to_owned();
    if let Some(others) = others.filter(|others| !others.is_empty()) {
        list.push(":");
        list.push(others);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(name: &str, help: &str) -> Param {
        Param { name: name.to_owned(), help: help.to_owned(), value: None }
    }

    #[test]
    fn the_provider_directory_is_in_the_help_text() {
        let path = "Search for providers in specific path (default: /usr/lib/x86_64-linux-gnu/libfabric)";
        let taker = Taker::of(&[param("FI_HOOK", "hooks"), param("FI_PROVIDER_PATH", path)]);
        let dir = Some("/usr/lib/x86_64-linux-gnu/libfabric".into());
        assert_eq!(taker, Taker { hooks: true, loads: true, default_dir: dir });
        assert_eq!(Taker::of(&[param("FI_PROVIDER_PATH", "somewhere")]).default_dir, None);
        assert_eq!(Taker::of(&[]), Taker::default());
    }

    #[test]
    fn ours_comes_first() {
        assert_eq!(in_front(OsStr::new("/a"), None), "/a");
        assert_eq!(in_front(OsStr::new("/a"), Some(OsStr::new(""))), "/a");
        assert_eq!(in_front(OsStr::new("/a"), Some(OsStr::new("/b:/c"))), "/a:/b:/c");
    }
}
