//! `railtop log`: numbers for programs and for later.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::GlobalArgs;
use super::exit::{self, ExitError};
use super::interrupt::Interrupt;
use super::source::{Selection, Told, parse_interval};
use crate::monitor::log::{Format, Header, records};
use crate::monitor::sample::Needs;
use crate::monitor::{Monitor, Ticker, clock, host};

/// Log every NIC's counters and rates, without a terminal
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(after_help = "The first tick has no rates: a rate needs two reads.\n\
    With -n, a run in which nothing was ever seen exits 3 and says why; without -n it waits for something to come.\n\
    Ctrl-C ends it cleanly with exit code 0, a second one at once with 130.")]
pub struct LogArgs {
    /// How the records look
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    /// Time between ticks (10ms to 1h)
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = parse_interval)]
    pub interval: Duration,

    /// End after this many ticks
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Append to this file, made if it is not there; a symbolic link is refused; - is stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// With jsonl, also a line per process that holds queue pairs (type "process"), read anew every 5 seconds
    #[arg(long)]
    pub processes: bool,

    /// Which NICs, by which source.
    #[command(flatten)]
    pub selection: Selection,
}

/// Logs until the count is reached or the user ends it.
///
/// # Errors
/// When the output cannot be opened or written, or nothing was ever there to measure.
pub fn run(args: &LogArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    if args.processes && args.format != Format::Jsonl {
        return Err(ExitError::Usage("--processes needs --format jsonl".to_owned()).into());
    }
    let (mut out, fresh) = open(args.output.as_deref())?;
    let interrupt = Interrupt::install().context("cannot listen for signals")?;
    let config = args.selection.config(global, args.interval);
    let header = Header {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: config.host.clone(),
        boot_id: host::boot_id(),
        interval_ms: u64::try_from(args.interval.as_millis()).unwrap_or(u64::MAX),
        started_ns: clock::realtime_ns(),
    };
    let source = config.source;
    let mut monitor = Monitor::new(config);
    monitor.set_needs(Needs { processes: args.processes, ..Needs::everything() });
    let mut ticker = Ticker::new(Instant::now(), args.interval);
    let mut told = Told::default();
    let mut told_processes = false;
    let mut seen = false;
    let mut nothing: Option<String> = None;
    let mut missed = 0;
    let mut left = args.count;
    while left != Some(0) && !interrupt.wait_until(ticker.deadline()) {
        let tick = monitor.tick();
        told.tell(&tick.view);
        let records = records(&tick, source, missed);
        if !seen && !records.is_empty() {
            seen = true;
            // One header per file: a CSV that is continued already has its line of names.
            if fresh || args.format == Format::Jsonl {
                args.format.begin(&mut out, &header).map_err(exit::output_error)?;
            }
        }
        for record in &records {
            args.format.record(&mut out, record).map_err(exit::output_error)?;
        }
        if let Some(reason) = tick.view.processes.as_ref().and_then(|all| all.reason.as_ref())
            && !told_processes
        {
            told_processes = true;
            eprintln!("railtop: processes: {reason}");
        }
        for process in tick.view.processes.iter().flat_map(|all| &all.processes) {
            args.format.process(&mut out, &tick.view, process).map_err(exit::output_error)?;
        }
        out.flush().map_err(exit::output_error)?;
        if records.is_empty() {
            let reason = tick.view.nothing.unwrap_or_else(|| "no NIC has this source".to_owned());
            if !seen && nothing.is_none() && args.count.is_none() {
                eprintln!("railtop: nothing to measure yet, waiting: {reason}");
            }
            nothing = Some(reason);
        }
        left = left.map(|n| n - 1);
        missed = ticker.advance(Instant::now());
    }
    match nothing {
        Some(reason) if !seen && args.count.is_some() => Err(ExitError::Nothing(reason).into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// The output, and whether it begins empty.
fn open(path: Option<&Path>) -> anyhow::Result<(Box<dyn Write>, bool)> {
    let Some(path) = path.filter(|p| *p != Path::new("-")) else {
        return Ok((Box::new(BufWriter::new(io::stdout().lock())), true));
    };
    let file = File::options()
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
        .map_err(|e| match e.raw_os_error() {
            Some(libc::ELOOP) => {
                anyhow::anyhow!("{} is a symbolic link; name the file itself", path.display())
            }
            _ => anyhow::Error::new(e).context(format!("cannot open {}", path.display())),
        })?;
    let fresh = file.metadata().map_or(true, |m| m.len() == 0);
    Ok((Box::new(BufWriter::new(file)), fresh))
}
