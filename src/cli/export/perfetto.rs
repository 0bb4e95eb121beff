//! A recording as a trace for ui.perfetto.dev.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use super::ExportArgs;
use crate::cli::GlobalArgs;
use crate::cli::config::{Given, Settings};
use crate::cli::exit::{self, ExitError};
use crate::cli::files::{empty, open_new};
use crate::cli::log::same_file;
use crate::cli::replay::open_recording;
use crate::cli::source::SourceArg;
use crate::monitor::perfetto::Trace;
use crate::monitor::record::Recording;
use crate::monitor::replay::{Filter, Replayer};

/// Writes the trace.
///
/// # Errors
/// When the recording cannot be read to its end, the configuration is wrong, or the trace cannot be written.
pub(super) fn run(
    args: &ExportArgs,
    global: &GlobalArgs,
    from: &Path,
    to: &Path,
) -> anyhow::Result<ExitCode> {
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
