//! `railtop` and `railtop top`: the full-screen view.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::config::{GlyphSet, Settings};
use super::source::parse_interval;
use crate::monitor::tui::synthetic::{Cluster, Scene};
use crate::monitor::tui::{self, CaptionHandle, Ended, ThemeName, TuiError, Units, ViewSource};

/// Flags of the full-screen view; the configuration file's values where nothing is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct TopArgs {
    /// Time between two samples, such as 1s or 200ms (10ms to 1h); keys change it on the screen [default: 1s]
    #[arg(short, long, value_name = "TIME", env = "RAILTOP_INTERVAL", value_parser = parse_interval)]
    pub interval: Option<Duration>,
    /// Rates in bits or bytes per second; a key changes it on the screen [default: bits]
    #[arg(long, value_enum, env = "RAILTOP_UNITS")]
    pub units: Option<Units>,
    /// Colours; a key changes them on the screen [default: auto]
    #[arg(long, value_enum, value_name = "NAME", env = "RAILTOP_THEME")]
    pub theme: Option<ThemeName>,
    /// Only ASCII characters, as in a locale that is not UTF-8: the same as --glyphs ascii
    #[arg(long, env = "RAILTOP_ASCII")]
    pub ascii: bool,
    /// Characters: Unicode where the locale is UTF-8, or only ASCII [default: auto]
    #[arg(long, value_enum, value_name = "SET", conflicts_with = "ascii")]
    pub glyphs: Option<GlyphSet>,
    /// Made-up data, for work on the screen without NICs
    #[arg(long, hide = true, value_name = "SCENE", num_args = 0..=1, require_equals = true,
          default_missing_value = "story", value_enum)]
    pub synthetic: Option<Scene>,
}

/// Shows `source` as `settings` say until the person quits, or made-up data in its place.
///
/// Returns the exit code: 0 after `q` or Ctrl-C, 128 + n after signal n, so that a caller sees that it was ended.
///
/// # Errors
/// When standard input or output is no terminal (the message names the commands that need none), when the
/// terminal cannot be used, or when a thread panicked.
pub fn run(
    settings: &Settings,
    synthetic: Option<Scene>,
    source: &mut dyn ViewSource,
) -> Result<ExitCode, TuiError> {
    let mut options = settings.screen();
    let how = if let Some(scene) = synthetic {
        let caption = CaptionHandle::new();
        options.caption = Some(caption.clone());
        let cluster = Cluster { interval: settings.preferences.interval, ..Cluster::default() };
        tui::run(&mut scene.source(cluster, 10, caption), &options)?
    } else {
        tui::run(source, &options)?
    };
    Ok(ended(how))
}

/// The exit code after the screen.
pub(super) fn ended(how: Ended) -> ExitCode {
    match how {
        Ended::Quit | Ended::Stopped => ExitCode::SUCCESS,
        Ended::Signal(number) => ExitCode::from(u8::try_from(128 + number).unwrap_or(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Wrapper {
        #[command(flatten)]
        top: TopArgs,
    }

    #[test]
    fn flags_are_read_and_none_is_given_by_itself() {
        let args = Wrapper::try_parse_from(["railtop"]).unwrap().top;
        assert_eq!(args, TopArgs::default());
        let line = ["railtop", "-i", "200ms", "--units", "bytes", "--theme", "colour-blind", "--ascii"];
        let args = Wrapper::try_parse_from(line).unwrap().top;
        assert_eq!((args.interval, args.units), (Some(Duration::from_millis(200)), Some(Units::Bytes)));
        assert_eq!((args.theme, args.ascii), (Some(ThemeName::ColourBlind), true));
        for wrong in ["soon", "0s", "9ms", "2h"] {
            assert!(Wrapper::try_parse_from(["railtop", "-i", wrong]).is_err(), "{wrong}");
        }
    }
}
