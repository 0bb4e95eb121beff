//! `railtop log`: numbers for programs and for later.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::GlobalArgs;
use super::config::{Given, Settings};
use super::exit::{self, ExitError};
use super::interrupt::Interrupt;
use super::source::{Selection, Told, parse_interval};
use crate::monitor::log::{Format, event, new_events, records};
use crate::monitor::model::view::View;
use crate::monitor::record::{About, Recorder};
use crate::monitor::sample::Needs;
use crate::monitor::{Monitor, Ticker};

/// Log every NIC's counters and rates, without a terminal
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(after_help = "The first tick has no rates: a rate needs two reads.\n\
    With -n, a run in which nothing was ever seen exits 3 and says why; without -n it waits for something to come.\n\
    Ctrl-C ends it cleanly with exit code 0, a second one at once with 130.")]
pub struct LogArgs {
    /// How the records look
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    /// Time between ticks (10ms to 1h) [default: 1s]
    #[arg(short, long, value_name = "TIME", env = "RAILTOP_INTERVAL", value_parser = parse_interval)]
    pub interval: Option<Duration>,

    /// End after this many ticks
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Append to this file, made if it is not there; a symbolic link is refused; - is stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Also write what happens (links, resets, losses, imbalance; see docs/events.md) as lines `{"type":"event",…}`
    #[arg(long)]
    pub events: bool,

    /// With jsonl, also a line per process that holds queue pairs (type "process"), read anew every 5 seconds
    #[arg(long)]
    pub processes: bool,

    /// Record all that is read to this file too, for `railtop replay` and `railtop export`; a recording that is there
    /// is appended to. With -o /dev/null it is all that is kept
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// Record received bytes in windows of 10 ms as well, from counter pages: a few bytes more per NIC and window, and
    /// a thread that looks at each end of one
    #[arg(long, requires = "record")]
    pub windows: bool,

    /// Which NICs, by which source.
    #[command(flatten)]
    pub selection: Selection,
}

/// Logs until the count is reached or the user ends it.
///
/// # Errors
/// When the output cannot be opened or written, or nothing was ever there to measure.
pub fn run(args: &LogArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let mut more = More::new(args.format, args.events, args.processes)?;
    let given = Given { interval: args.interval, selection: args.selection.clone(), ..Given::default() };
    let settings = Settings::load(global, &given)?;
    let interval = settings.preferences.interval;
    let Output { mut out, fresh, file } = open(args.output.as_deref())?;
    let interrupt = Interrupt::install().context("cannot listen for signals")?;
    let config = settings.monitor();
    let about = About::of(&config);
    let mut recorder = args.record.as_deref().map(|path| Recorder::open(path, &about)).transpose()?;
    if let (Some(recorder), Some(file)) = (&recorder, &file)
        && same_file(recorder.file(), file)
    {
        return Err(ExitError::Usage("--output and --record name the same file".to_owned()).into());
    }
    let mut record_error = None;
    let header = about.log;
    let source = config.source;
    let mut monitor = Monitor::new(config);
    // Who records wants all of it.
    let processes = args.processes || recorder.is_some();
    monitor.set_needs(Needs { processes, windows: args.windows, ..Needs::everything() });
    let mut ticker = Ticker::new(Instant::now(), interval);
    let mut told = Told::default();
    let mut seen = false;
    let mut nothing: Option<String> = None;
    let mut missed = 0;
    let mut left = args.count;
    while left != Some(0) && !interrupt.wait_until(ticker.deadline())? {
        let sample = monitor.sample();
        let tick = monitor.derive(&sample);
        if let Some(Err(error)) = recorder.as_mut().map(|r| r.add(sample, interval, missed)) {
            // The log is worth something without it.
            exit::say(&format!("railtop: {error}; the recording has ended, the log goes on"));
            recorder = None;
            record_error = Some(error);
        }
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
        more.write(&mut out, &tick.view, seen).map_err(exit::output_error)?;
        out.flush().map_err(exit::output_error)?;
        if records.is_empty() {
            let reason = tick.view.nothing.unwrap_or_else(|| "no NIC has this source".to_owned());
            if !seen && nothing.is_none() && args.count.is_none() {
                exit::say(&format!("railtop: nothing to measure yet, waiting: {reason}"));
            }
            nothing = Some(reason);
        }
        left = left.map(|n| n - 1);
        missed = ticker.advance(Instant::now());
    }
    if let Some(error) = record_error {
        return Err(error.into());
    }
    match nothing {
        Some(reason) if !seen && args.count.is_some() => Err(ExitError::Nothing(reason).into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// What a log has besides its NICs, as far as it is asked for.
pub(super) struct More {
    events: bool,
    processes: bool,
    /// Whether the reason has been said for which there are no processes, or not all.
    told: bool,
}

impl More {
    /// Refuses what the format has no place for.
    pub(super) fn new(format: Format, events: bool, processes: bool) -> Result<Self, ExitError> {
        let asked = [("--events", events), ("--processes", processes)];
        match asked.into_iter().find(|(_, given)| *given && format != Format::Jsonl) {
            None => Ok(Self { events, processes, told: false }),
            Some((flag, _)) => Err(ExitError::Usage(format!(
                "{flag} needs --format jsonl: other formats have no place for such lines"
            ))),
        }
    }

    /// Writes it of a tick; events only once the log has begun.
    pub(super) fn write(&mut self, out: &mut impl Write, view: &View, begun: bool) -> io::Result<()> {
        for happened in new_events(view).filter(|_| self.events && begun) {
            event(out, happened)?;
        }
        let Some(all) = view.processes.as_ref().filter(|_| self.processes) else { return Ok(()) };
        if let Some(reason) = all.reason.as_ref().filter(|_| !self.told) {
            self.told = true;
            exit::say(&format!("railtop: processes: {reason}"));
        }
        all.processes.iter().try_for_each(|process| Format::Jsonl.process(out, view, process))
    }
}

/// Where a log goes.
pub(super) struct Output {
    pub(super) out: Box<dyn Write>,
    /// Whether it begins empty.
    pub(super) fresh: bool,
    /// The file, if it is one.
    pub(super) file: Option<File>,
}

/// Whether two open files are one.
pub(super) fn same_file(one: &File, other: &File) -> bool {
    let id = |file: &File| file.metadata().map(|m| (m.dev(), m.ino())).ok();
    id(one).is_some() && id(one) == id(other)
}

/// Opens the output.
pub(super) fn open(path: Option<&Path>) -> anyhow::Result<Output> {
    let Some(path) = path.filter(|p| *p != Path::new("-")) else {
        return Ok(Output { out: Box::new(BufWriter::new(io::stdout().lock())), fresh: true, file: None });
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
    let copy = file.try_clone().ok();
    Ok(Output { out: Box::new(BufWriter::new(file)), fresh, file: copy })
}
