//! What is written, and what stays.

use std::os::unix::fs::symlink;
use std::time::Duration;

use super::*;
use crate::monitor::tui::{Sort, ThemeName, Units};

fn bytes() -> Preferences {
    Preferences { units: Units::Bytes, ..Preferences::default() }
}

fn edited(text: &str, now: &Preferences) -> String {
    changed(Path::new("c.toml"), text, &Preferences::default(), now).unwrap()
}

#[test]
fn comments_order_and_unchanged_values_stay() {
    let text = "# mine\ntheme = \"dark\" # at night\nunits = 'bits'   # as on the label\n\n[keys] # also mine\nquit = \"x\"\n";
    let now = Preferences { interval: Duration::from_millis(1500), ..bytes() };
    assert_eq!(
        edited(text, &now),
        "# mine\ntheme = \"dark\" # at night\nunits = \"bytes\"   # as on the label\ninterval = \"1500ms\"\n\n[keys] # also mine\nquit = \"x\"\n"
    );
}

#[test]
fn the_printed_default_can_be_edited() {
    let now = Preferences {
        interval: Duration::from_secs(2),
        units: Units::Bytes,
        theme: ThemeName::ColourBlind,
        sort: Sort::Rx,
        filter: "a \"b\"".to_owned(),
        columns: Some(vec!["drops".to_owned(), "percent".to_owned()]),
        average: Some(Duration::from_secs(5)),
    };
    let text = edited(&super::super::template(), &now);
    let settings = super::super::Settings::of(&super::super::Given::default(), &text).unwrap();
    assert_eq!(settings.preferences, now, "what is written is read again");
    assert!(text.contains("# Rates in bits or bytes per second"), "the comments are still there");
}

/// Whatever window can be typed on the screen.
#[test]
fn every_averaging_window_of_the_screen_is_read_again() {
    let windows = crate::monitor::tui::AVERAGE_WINDOWS;
    for window in [*windows.start(), Duration::from_millis(1500), *windows.end()] {
        let now = Preferences { average: Some(window), ..Preferences::default() };
        let settings =
            super::super::Settings::of(&super::super::Given::default(), &edited("", &now)).unwrap();
        assert_eq!(settings.preferences.average, Some(window));
    }
}

#[test]
fn what_was_taken_back_is_removed() {
    let before = Preferences { columns: Some(vec!["drops".to_owned()]), ..Preferences::default() };
    let text = "columns = [\"drops\"]\nunits = \"bits\"\n";
    let new = changed(Path::new("c.toml"), text, &before, &Preferences::default()).unwrap();
    assert_eq!(new, "units = \"bits\"\n");
}

#[test]
fn a_file_with_mistakes_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    fs::write(&path, "unist = 1\n").unwrap();
    let error = ConfigKeeper::new(path.clone()).keep(&Preferences::default(), &bytes()).unwrap_err();
    assert!(error.contains(":1:1: unknown key"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "unist = 1\n");
}

#[test]
fn directories_are_made_and_nothing_is_left_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/config.toml");
    let said = ConfigKeeper::new(path.clone()).keep(&Preferences::default(), &bytes()).unwrap();
    assert_eq!(said, path.to_string_lossy());
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{FIRST_LINE}units = \"bytes\"\n"));
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_symbolic_link_and_the_permissions_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("dotfile"), dir.path().join("config.toml"));
    fs::write(&target, "").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
    symlink(&target, &link).unwrap();
    ConfigKeeper::new(link.clone()).keep(&Preferences::default(), &bytes()).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), "units = \"bytes\"\n");
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_cannot_be_written_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let error = ConfigKeeper::new(dir.path().to_owned()).keep(&Preferences::default(), &bytes()).unwrap_err();
    assert!(error.contains("a directory"), "{error}");
    let below = dir.path().join("file");
    fs::write(&below, "").unwrap();
    let error = ConfigKeeper::new(below.join("c.toml")).keep(&Preferences::default(), &bytes()).unwrap_err();
    assert!(error.contains("c.toml"), "{error}");
}
