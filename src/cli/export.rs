//! `railtop export`: a recording for other tools.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::GlobalArgs;
use super::config::{Given, Settings};
use super::exit::{self, ExitError};
use super::files::{empty, open_new};
use super::log::same_file;
use super::replay::open_recording;
use super::source::{Selection, SourceArg};
use crate::monitor::perfetto::Trace;
use crate::monitor::record::Recording;
use crate::monitor::replay::{Filter, Replayer};

/// Turn a recording into a trace for ui.perfetto.dev
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Open the trace at https://ui.perfetto.dev. Its time is the wall clock of the recording.\n\
    A rate stands at the beginning of the time it was measured over; where there is none, a slice says why."
)]
pub struct ExportArgs {
    /// A recording made by `railtop log --record` or with the screen's key for it
    #[arg(value_name = "RECORDING")]
    pub recording: Option<PathBuf>,

    /// Write a Perfetto trace to this new file; - is stdout
    #[arg(long, value_name = "FILE")]
    pub perfetto: Option<PathBuf>,

    /// Replace FILE if it is there
    #[arg(long)]
    pub force: bool,

    /// Which NICs, by which source.
    #[command(flatten)]
    pub selection: Selection,

    /// Not there yet; known so that the answer can say what is.
    #[arg(long, hide = true, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Not there yet either.
    #[arg(long, hide = true, value_name = "FILE")]
    pub textfile: Option<PathBuf>,
}

/// Writes the trace.
///
/// # Errors
/// When the recording cannot be read to its end, the configuration is wrong, or the trace cannot be written.
pub fn run(args: &ExportArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let usage = |text: &str| ExitError::Usage(text.to_owned());
    if args.listen.is_some() || args.textfile.is_some() {
        return Err(usage(
            "this version exports recordings only: `railtop export RECORDING --perfetto FILE`; for numbers as they \
             come, use `railtop log`",
        )
        .into());
    }
    let (Some(from), Some(to)) = (&args.recording, &args.perfetto) else {
        return Err(usage("name a recording and a trace: `railtop export RECORDING --perfetto FILE`").into());
    };
    let recording = open_recording(from)?;
    let settings = Settings::load(global, &Given::default())?;
    let out = create(to, args.force, &recording)?;
    let damage = recording.damage().to_vec();
    let name = from.file_name().unwrap_or(from.as_os_str()).to_string_lossy();
    let mut trace = Trace::begin(out, &crate::text::printable(&name), recording.sessions())
        .map_err(exit::output_error)?;
    let filter = Filter {
        device: args.selection.device.clone(),
        source: args.selection.source.and_then(SourceArg::only),
    };
    let mut replayer = Replayer::new(recording, filter).with_thresholds(settings.thresholds);
    let (mut session, mut failed) = (None, None);
    while let Some(tick) = replayer.advance() {
        let tick = match tick {
            Ok(tick) => tick,
            Err(error) => {
                exit::say(&format!("railtop: {error}"));
                failed = Some(error);
                continue;
            }
        };
        if session != Some(tick.session) {
            if let Some(begun) = replayer.recording().sessions().get(tick.session) {
                trace.session(begun).map_err(exit::output_error)?;
            }
            session = Some(tick.session);
        }
        trace.tick(&tick.derived.view).map_err(exit::output_error)?;
    }
    trace.finish().map_err(exit::output_error)?;
    for damage in damage {
        exit::say(&format!("railtop: {}: {damage}", from.display()));
    }
    match failed {
        Some(error) => Err(anyhow::Error::new(error).context("not everything could be exported")),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// The trace's file.
fn create(path: &Path, force: bool, recording: &Recording) -> anyhow::Result<Box<dyn Write>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufWriter::new(io::stdout().lock())));
    }
    let file = open_new(path, force)?;
    if same_file(&file, recording.file()) {
        return Err(ExitError::Usage("--perfetto names the recording itself".to_owned()).into());
    }
    empty(&file, path)?;
    Ok(Box::new(BufWriter::new(file)))
}
