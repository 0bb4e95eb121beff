//! What the file means, what it may not hold, and who wins.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use test_case::test_case;

use super::file::File;
use super::file::GlyphSet;
use super::settings::{Given, Settings};
use super::template::{template, uncommented};
use crate::cli::source::{Selection, SourceArg};
use crate::cli::top::TopArgs;
use crate::monitor::tui::{Sort, ThemeName, Units};

fn settings(text: &str) -> Settings {
    Settings::of(&Given::default(), text).unwrap()
}

fn error(text: &str) -> String {
    Settings::of(&Given::default(), text).unwrap_err().to_string()
}

#[test]
fn the_printed_default_is_the_default() {
    let file = File::parse(Path::new("t"), &uncommented()).unwrap();
    assert!(file.interval.is_some() && file.thresholds.gpu_busy_percent.is_some(), "it was uncommented");
    assert_eq!(file.keys.len(), crate::monitor::tui::Keymap::names().count());
    assert_eq!(settings(&uncommented()), settings(""));
    assert_eq!(settings(&template()), settings(""));
}

#[test]
fn the_printed_default_names_every_key_there_is() {
    // serde lists what it knows; the template must speak of all of it.
    for (text, section) in
        [("nothing-like-it-at-all = 1", ""), ("[thresholds]\nnothing-like-it-at-all = 1", "thresholds")]
    {
        let message = error(text);
        let known = message.split("known are ").nth(1).unwrap();
        for key in known.split(", ").filter(|key| !["thresholds", "line-rates", "keys"].contains(key)) {
            let commented = [format!("\n#{key} = "), format!("\n# {key} = ")];
            assert!(commented.iter().any(|line| template().contains(line)), "{section} {key}");
        }
    }
}

#[test]
fn every_setting_is_taken() {
    let settings = settings(
        r#"
        interval = "200ms"
        units = "bytes"
        theme = "colour-blind"
        glyphs = "ascii"
        columns = ["drops", "percent"]
        sort = "imbalance"
        filter = "nic"
        average = "10s"
        source = "sysfs"
        device = "mlx5_*"
        record-directory = "/var/tmp"
        [thresholds]
        max-over-mean = 2
        loss-hold = "7s"
        [line-rates]
        "rdmap1*" = "400Gb/s"
        "*" = "100gbit"
        [keys]
        quit = ["x"]
        collapse = "q"
        "#,
    );
    let preferences = &settings.preferences;
    assert_eq!(preferences.interval, Duration::from_millis(200));
    assert_eq!((preferences.units, preferences.theme), (Units::Bytes, ThemeName::ColourBlind));
    assert_eq!((preferences.sort, preferences.filter.as_str()), (Sort::Imbalance, "nic"));
    assert_eq!(preferences.columns.as_deref().unwrap(), ["drops", "percent"]);
    assert_eq!(preferences.average, Some(Duration::from_secs(10)));
    assert!(settings.ascii && settings.device.as_ref().unwrap().matches("mlx5_3"));
    assert_eq!(
        (settings.source, settings.record_directory.to_str()),
        (Some(SourceArg::Sysfs), Some("/var/tmp"))
    );
    let thresholds = settings.thresholds;
    assert!((thresholds.max_over_mean - 2.0).abs() < f64::EPSILON);
    assert_eq!(
        (thresholds.loss_hold, thresholds.loss_quiet),
        (Duration::from_secs(7), Duration::from_secs(10))
    );
    let rates: Vec<u64> = settings.line_rates.iter().map(|(_, rate)| *rate).collect();
    assert_eq!(rates, [400_000_000_000, 100_000_000_000], "in the order of the file");
    assert!(settings.keymap.listing().lines().any(|l| l.starts_with("collapse ") && l.contains(" q ")));
}

#[test]
fn flags_come_before_the_file_and_it_before_the_default() {
    let file = "interval = \"5s\"\nunits = \"bytes\"\nsource = \"sysfs\"\n[thresholds]\nmax-over-mean = 3.0";
    let given = Given {
        interval: None,
        screen: TopArgs { interval: Some(Duration::from_secs(2)), ..TopArgs::default() },
        selection: Selection { source: Some(SourceArg::Page), ..Selection::default() },
        max_over_mean: Some(1.5),
    };
    let merged = Settings::of(&given, file).unwrap();
    assert_eq!(merged.preferences.interval, Duration::from_secs(2), "the flag");
    assert_eq!(merged.preferences.units, Units::Bytes, "the file");
    assert_eq!(merged.preferences.theme, ThemeName::Auto, "the default");
    assert_eq!(merged.source, Some(SourceArg::Page), "the flag");
    assert!((merged.thresholds.max_over_mean - 1.5).abs() < f64::EPSILON, "the flag");
    assert!((settings(file).thresholds.max_over_mean - 3.0).abs() < f64::EPSILON, "the file");
}

#[test]
fn a_flag_takes_back_what_the_file_says_of_characters() {
    let ascii = |file: &str, glyphs, ascii| {
        let screen = TopArgs { ascii, glyphs, ..TopArgs::default() };
        Settings::of(&Given { screen, ..Given::default() }, file).unwrap().ascii
    };
    let file = "glyphs = \"ascii\"";
    assert!(ascii(file, None, false) && ascii("", None, true) && ascii("", Some(GlyphSet::Ascii), false));
    assert!(!ascii(file, Some(GlyphSet::Auto), false));
}

#[test_case("\nintervall = \"1s\"", "c.toml:2:1: unknown key \"intervall\"; did you mean interval?"; "mistyped")]
#[test_case("[thresholds]\n  max-over-meen = 2", "c.toml:2:3: unknown key \"max-over-meen\"; did you mean max-over-mean?"; "mistyped in a table")]
#[test_case("record_directory = \"x\"", "did you mean record-directory?"; "underscore")]
#[test_case("record-directory = \"~ana/x\"", "c.toml:1:20: only ~/ is expanded"; "another's home")]
#[test_case("record-directory = \"\"", "c.toml:1:20: an empty path is no directory"; "no path")]
#[test_case("[keys]\nquitt = \"x\"", "c.toml:2:1: there is no command \"quitt\"; did you mean quit?"; "command")]
#[test_case("[keys]\nquit = \"xx\"", "c.toml:2:8: \"xx\" is no key; possible are"; "no key")]
#[test_case("[keys]\nquit = [\"x\", 5]", "c.toml:2:14: invalid type: integer `5`"; "a key that is a number")]
#[test_case("[keys]\npause = \"ctrl-c\"", "c.toml:2:9: ctrl-c always quits"; "ctrl c")]
#[test_case("[keys]\ncollapse = \"c\"", "c.toml:2:12: the key c is bound to collapse and to columns"; "conflict")]
#[test_case("interval = 5", "c.toml:1:12: invalid type: integer `5`, expected a text such as \"1s\""; "wrong type")]
#[test_case("interval = \"1ms\"", "c.toml:1:12: an interval is at least 10ms"; "out of range")]
#[test_case("theme = \"colour-blnd\"", "c.toml:1:9: \"colour-blnd\" is none of auto, default, dark, light, colour-blind, high-contrast, mono; did you mean colour-blind?"; "choice")]
#[test_case("columns = [\"drops\",\n\"drop\"]", "c.toml:2:1: \"drop\" is none of percent"; "column")]
#[test_case("columns = [\"drops\", \"drops\"]", "the column drops is there twice"; "column twice")]
#[test_case("device = \"\"", "c.toml:1:10: an empty pattern matches no device"; "glob")]
#[test_case("average = \"1h\"", "at most 30m, or off"; "average")]
#[test_case("[thresholds]\nmax-over-mean = 0.5", "c.toml:2:17: max/mean is a number from 1"; "ratio")]
#[test_case("[thresholds]\nloss-per-s = -1", "c.toml:2:14: this is a number from 0 on"; "negative")]
#[test_case("[thresholds]\nloss-per-s = nan", "c.toml:2:14: this is a number from 0 on"; "not a number")]
#[test_case("[line-rates]\n\"a*\" = \"fast\"", "c.toml:2:8: cannot read \"fast\" as a bit rate"; "rate")]
#[test_case("[line-rates]\n\"\" = \"1G\"", "c.toml:2:1: an empty pattern"; "rate of nothing")]
#[test_case("units = \"bits\"\nunits = \"bytes\"", "c.toml:2:1: duplicate key"; "twice")]
#[test_case("[keys\nquit = 1", "c.toml:1:6: "; "no TOML")]
#[test_case("x = \"\u{1b}[2J\"", "c.toml:1:"; "control characters")]
fn mistakes_are_said_with_their_place(text: &str, says: &str) {
    let error = error(text);
    assert!(error.contains(says), "{error}");
    assert!(!error.contains('\u{1b}'), "{error:?}");
    assert!(!error.trim_end().contains('\n'), "one line: {error}");
}

#[test]
fn deep_nesting_is_an_error() {
    let text = format!("columns = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(error(&text).starts_with("c.toml:1:"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}|([a-z\\-\\[\\]=\". 0-9\n]{0,120})") {
        let _ = Settings::of(&Given::default(), &text);
    }

    #[test]
    fn no_damage_to_a_good_file_makes_it_panic(at in 0_usize..4000, insert in "\\PC{0,3}", cut in 0_usize..20) {
        let mut text: Vec<char> = uncommented().chars().collect();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, insert.chars());
        if let Err(error) = Settings::of(&Given::default(), &text.iter().collect::<String>()) {
            let error = error.to_string();
            prop_assert!(error.starts_with("c.toml:"), "{}", error);
        }
    }
}
