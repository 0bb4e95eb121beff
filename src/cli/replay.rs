//! `railtop replay`: a recording on the screen, or as a log.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;

use super::GlobalArgs;
use super::config::{Given, GlyphSet, Settings};
use super::exit::{self, ExitError};
use super::log::{More, Output, open, same_file};
use super::source::{Selection, SourceArg, Told};
use super::top::{TopArgs, ended};
use crate::monitor::log::{Format, records, timestamp};
use crate::monitor::model::view::SourceKind;
use crate::monitor::record::{ReadError, Recording};
use crate::monitor::replay::{Filter, ReplaySource, Replayer};
use crate::monitor::tui::{self, ThemeName, TuiOptions, Units};

/// Show a recording as if it were now, or write it as a log
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "On the screen: space plays and stops, left and right go by a tick, [ and ] by 10 s, { and } by a \
    minute,\nHome and End to the ends, < plays faster and > slower. The help there (?) has the keys of your configuration.\n\
    With --format, -o, --events or --processes the lines are those that `railtop log` would have printed."
)]
pub struct ReplayArgs {
    /// A recording made by `railtop log --record` or with the screen's key for it
    #[arg(value_name = "FILE")]
    pub recording: PathBuf,

    /// Write a log in this format instead (with -o alone: jsonl)
    #[arg(long, value_enum)]
    pub format: Option<Format>,

    /// Append the log to this file, made if it is not there; a symbolic link is refused; - is stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Write a log with what happened (links, resets, losses, imbalance) as lines `{"type":"event",…}`, under the
    /// thresholds of the configuration
    #[arg(long)]
    pub events: bool,

    /// Write a log with a line per process that held queue pairs, where that was recorded
    #[arg(long)]
    pub processes: bool,

    /// Begin at this moment (2026-11-18T11:06:40Z); rates are known from its first tick on
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,

    /// End with this moment
    #[arg(long, value_name = "TIME")]
    pub to: Option<Timestamp>,

    /// Which NICs, by which source.
    #[command(flatten)]
    pub selection: Selection,

    /// How the screen looks.
    #[command(flatten)]
    pub screen: ScreenArgs,
}

/// What of the screen's flags makes sense for a recording.
#[derive(Debug, Clone, clap::Args)]
pub struct ScreenArgs {
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
}

/// Replays until the end, or until the person has enough.
///
/// # Errors
/// When the recording cannot be read, when a part of it is damaged (after all that is readable), or when the output
/// cannot be written.
pub fn run(args: &ReplayArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let more = More::new(args.format.unwrap_or_default(), args.events, args.processes)?;
    let recording = open_recording(&args.recording)?;
    let ScreenArgs { units, theme, ascii, glyphs } = args.screen;
    let screen = TopArgs { units, theme, ascii, glyphs, ..TopArgs::default() };
    let settings = Settings::load(global, &Given { screen, ..Given::default() })?;
    let filter = Filter {
        device: args.selection.device.clone(),
        source: args.selection.source.and_then(SourceArg::only),
    };
    let source = filter.source;
    let replayer = Replayer::new(recording, filter).with_thresholds(settings.thresholds);
    if args.format.is_some() || args.output.is_some() || args.events || args.processes {
        return log(args, replayer, source, more);
    }
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        let text = "the screen needs a terminal on stdin and stdout; without one use `railtop replay --format jsonl` \
                    (or csv, table)";
        return Err(ExitError::Usage(text.to_owned()).into());
    }
    for damage in replayer.recording().damage() {
        exit::say(&format!("railtop: {}: {damage}", args.recording.display()));
    }
    let range = bounds(args, replayer.recording())?;
    tui::watch_panics();
    let mut source = ReplaySource::new(replayer, range);
    let options = TuiOptions { replay: Some(source.handle()), ..settings.screen() };
    Ok(ended(tui::run(&mut source, &options)?))
}

/// Opens a recording; one without a tick is nothing to measure.
pub(super) fn open_recording(path: &Path) -> anyhow::Result<Recording> {
    Recording::open(path).map_err(|error| match error {
        ReadError::Empty { .. } => ExitError::Nothing(error.to_string()).into(),
        other => other.into(),
    })
}

/// The ticks that `--from` and `--to` ask for.
fn bounds(args: &ReplayArgs, recording: &Recording) -> anyhow::Result<std::ops::Range<usize>> {
    let from = args.from.map(Timestamp::as_nanosecond);
    let to = args.to.map(Timestamp::as_nanosecond);
    let inside = |ns: i128| from.is_none_or(|from| ns >= from) && to.is_none_or(|to| ns <= to);
    let times = || recording.times().map(i128::from);
    let first = times().position(inside);
    let last = times().enumerate().filter(|(_, ns)| inside(*ns)).last();
    if let (Some(first), Some((last, _))) = (first, last) {
        return Ok(first..last + 1);
    }
    let text = format!(
        "{} has no tick between --from and --to; it goes from {} to {}",
        args.recording.display(),
        timestamp(recording.realtime_ns(0)),
        timestamp(recording.realtime_ns(recording.len() - 1)),
    );
    Err(ExitError::Nothing(text).into())
}

/// Writes what a log with the same flags would have, of `source` alone if one was asked for.
fn log(
    args: &ReplayArgs,
    mut replayer: Replayer,
    source: Option<SourceKind>,
    mut more: More,
) -> anyhow::Result<ExitCode> {
    let recording = replayer.recording();
    let range = bounds(args, recording)?;
    let Output { mut out, fresh, file } = open(args.output.as_deref())?;
    if file.is_some_and(|file| same_file(&file, recording.file())) {
        return Err(ExitError::Usage("--output names the recording itself".to_owned()).into());
    }
    let damage = recording.damage().to_vec();
    let format = args.format.unwrap_or_default();
    let mut told = Told::default();
    let (mut begun, mut seen) = (None, false);
    let mut failed = None;
    let mut nothing = None;
    for at in range {
        let tick = match replayer.go(at) {
            Ok(tick) => tick,
            Err(error) => {
                exit::say(&format!("railtop: {error}"));
                failed = Some(error);
                continue;
            }
        };
        told.tell(&tick.derived.view);
        let session = replayer.recording().sessions().get(tick.session);
        let records = records(&tick.derived, source.or(session.and_then(|s| s.source)), tick.missed);
        nothing = tick.derived.view.nothing.clone().or(nothing);
        if let Some(session) = session.filter(|_| begun != Some(tick.session) && !records.is_empty()) {
            // As a log that is appended to: names once, a header for every run.
            if format == Format::Jsonl || (fresh && !seen) {
                format.begin(&mut out, &session.log).map_err(exit::output_error)?;
            }
            begun = Some(tick.session);
            seen = true;
        }
        for record in &records {
            format.record(&mut out, record).map_err(exit::output_error)?;
        }
        let begun = begun == Some(tick.session);
        more.write(&mut out, &tick.derived.view, begun).map_err(exit::output_error)?;
    }
    out.flush().map_err(exit::output_error)?;
    for damage in &damage {
        exit::say(&format!("railtop: {}: {damage}", args.recording.display()));
    }
    if let Some(error) = failed {
        return Err(anyhow::Error::new(error).context("not everything could be replayed"));
    }
    if !seen {
        let reason = nothing.unwrap_or_else(|| "no NIC in this recording has this source".to_owned());
        return Err(ExitError::Nothing(reason).into());
    }
    Ok(ExitCode::SUCCESS)
}
