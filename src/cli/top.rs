//! `railtop` and `railtop top`: the full-screen view.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::source::parse_interval;
use crate::monitor::tui::synthetic::{Cluster, Scene};
use crate::monitor::tui::{self, CaptionHandle, Ended, TuiError, TuiOptions, Units, ViewSource};

/// Flags of the full-screen view.
#[derive(Debug, Clone, Args)]
pub struct TopArgs {
    /// Time between two samples, such as 1s or 200ms (10ms to 1h); `+` and `-` change it on the screen
    #[arg(short, long, value_name = "TIME", default_value = "1s", env = "RAILTOP_INTERVAL",
          value_parser = parse_interval)]
    pub interval: Duration,
    /// Rates in bits or bytes per second; `u` changes it on the screen
    #[arg(long, value_enum, default_value_t, env = "RAILTOP_UNITS")]
    pub units: Units,
    /// Only ASCII characters, as in a locale that is not UTF-8
    #[arg(long, env = "RAILTOP_ASCII")]
    pub ascii: bool,
    /// Made-up data, for work on the screen without NICs
    #[arg(long, hide = true, value_name = "SCENE", num_args = 0..=1, require_equals = true,
          default_missing_value = "story", value_enum)]
    pub synthetic: Option<Scene>,
}

/// Shows `source` until the person quits. `color` is false under the global `--no-color`.
///
/// Returns the exit code: 0 after `q` or Ctrl-C, 128 + n after signal n, so that a caller sees that it was ended.
///
/// # Errors
/// When standard input or output is no terminal (the message names the commands that need none), when the
/// terminal cannot be used, or when a thread panicked.
pub fn run(args: &TopArgs, color: bool, source: &mut dyn ViewSource) -> Result<ExitCode, TuiError> {
    let mut options = TuiOptions {
        caption: None,
        stop: None,
        ascii: args.ascii,
        color,
        units: args.units,
        interval: args.interval,
        ..TuiOptions::default()
    };
    let ended = if let Some(scene) = args.synthetic {
        let caption = CaptionHandle::new();
        options.caption = Some(caption.clone());
        let cluster = Cluster { interval: args.interval, ..Cluster::default() };
        tui::run(&mut scene.source(cluster, 10, caption), &options)?
    } else {
        tui::run(source, &options)?
    };
    Ok(match ended {
        Ended::Quit | Ended::Stopped => ExitCode::SUCCESS,
        Ended::Signal(number) => ExitCode::from(u8::try_from(128 + number).unwrap_or(1)),
    })
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
    fn flags_are_read_and_have_defaults() {
        let args = Wrapper::try_parse_from(["railtop"]).unwrap().top;
        assert_eq!((args.interval, args.units, args.ascii), (Duration::from_secs(1), Units::Bits, false));
        let args =
            Wrapper::try_parse_from(["railtop", "-i", "200ms", "--units", "bytes", "--ascii"]).unwrap().top;
        assert_eq!((args.interval, args.units, args.ascii), (Duration::from_millis(200), Units::Bytes, true));
        for wrong in ["soon", "0s", "9ms", "2h"] {
            assert!(Wrapper::try_parse_from(["railtop", "-i", wrong]).is_err(), "{wrong}");
        }
    }
}
