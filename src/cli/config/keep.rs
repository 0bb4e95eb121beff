//! Writing down what was changed on the screen: into the person's file, whose comments and order stay.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use toml_edit::{Array, DocumentMut, Item, Value};

use super::file::File;
use super::read::read;
use crate::monitor::tui::{Keeper, Preferences};
use crate::text::printable;

/// What a file begins with that was not there before.
const FIRST_LINE: &str =
    "# Settings of railtop; `railtop --print-config` prints all there are, with their defaults.\n";

/// Writes into one configuration file.
#[derive(Debug)]
pub(super) struct ConfigKeeper {
    path: PathBuf,
}

impl ConfigKeeper {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Keeper for ConfigKeeper {
    fn keep(&self, before: &Preferences, now: &Preferences) -> Result<String, String> {
        // Read again: it may have been edited since the start.
        let old = read(&self.path).map_err(|error| error.to_string())?;
        let new = changed(&self.path, old.as_deref().unwrap_or_default(), before, now)?;
        let new = if old.is_none() { FIRST_LINE.to_owned() + &new } else { new };
        let shown = printable(&self.path.to_string_lossy());
        write(&self.path, &new).map_err(|error| format!("{shown}: {error}"))?;
        Ok(shown)
    }
}

/// `text` with what differs between `before` and `now`.
fn changed(path: &Path, text: &str, before: &Preferences, now: &Preferences) -> Result<String, String> {
    // A file that is wrong is not made worse.
    File::parse(path, text).map_err(|error| error.to_string())?;
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let Preferences { interval, units, theme, sort, filter, columns, average } = now;
    if *interval != before.interval {
        set(&mut document, "interval", time(*interval).into());
    }
    if *units != before.units {
        set(&mut document, "units", word(units).into());
    }
    if *theme != before.theme {
        set(&mut document, "theme", theme.name().into());
    }
    if *sort != before.sort {
        set(&mut document, "sort", word(sort).into());
    }
    if *filter != before.filter {
        set(&mut document, "filter", filter.into());
    }
    if *columns != before.columns {
        match columns {
            Some(columns) => set(&mut document, "columns", columns.iter().collect::<Array>().into()),
            None => drop(document.remove("columns")),
        }
    }
    if *average != before.average {
        set(&mut document, "average", average.map_or_else(|| "off".to_owned(), time).into());
    }
    let new = document.to_string();
    File::parse(path, &new).map_err(|error| format!("the result would be wrong: {error}"))?;
    Ok(new)
}

/// Sets a key; what stands around an old value, such as a comment behind it, stays.
fn set(document: &mut DocumentMut, key: &str, mut value: Value) {
    if let Some(Item::Value(old)) = document.get_mut(key) {
        *value.decor_mut() = old.decor().clone();
        *old = value;
    } else {
        document.insert(key, Item::Value(value));
    }
}

fn word(value: &impl clap::ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// A duration as the file has it.
fn time(duration: std::time::Duration) -> String {
    match duration.as_millis() {
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// Replaces a file in one step: whoever reads meanwhile sees the old or the new one. A symbolic link stays, and what it
/// points to is replaced; the permissions stay as well.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(directory) = path.parent() {
                fs::create_dir_all(directory)?;
            }
            path.to_owned()
        }
        Err(error) => return Err(error),
    };
    let mode = fs::metadata(&target).map_or(0o644, |metadata| metadata.permissions().mode() & 0o777);
    let mut name = target.clone().into_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = PathBuf::from(name);
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(&fresh)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&fresh, &target));
    if written.is_err() {
        // A leftover of ours; when it is not there, so much the better.
        let _ = fs::remove_file(&fresh);
    }
    written
}

#[cfg(test)]
mod tests;
