//! Metrics as they come: served over HTTP, or written to a file.
//!
//! This thread owns the monitor and reads when it is asked; the server's thread asks.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{ExportArgs, address};
use crate::cli::GlobalArgs;
use crate::cli::config::{Given, Settings};
use crate::cli::exit::{self, ExitError};
use crate::cli::files;
use crate::cli::interrupt::{Deaf, Interrupt};
use crate::cli::source::Told;
use crate::monitor::export::server::auth::Auth;
use crate::monitor::export::server::tls::Tls;
use crate::monitor::export::server::{Config, Scrape, Server};
use crate::monitor::export::text::Format;
use crate::monitor::export::textfile::Textfile;
use crate::monitor::export::{Options, Reader};
use crate::monitor::{Monitor, Ticker};
use crate::text::without_controls;

/// Scrapes within this share a read, unless told otherwise.
const LEAST_AGE: Duration = Duration::from_secs(1);
/// How often a file is written, unless told otherwise: `node_exporter` is usually scraped every 15 or 30 s.
const WRITE_EVERY: Duration = Duration::from_secs(15);
/// How long a single write waits for its second read, which gives the rates.
const TWO_READS: Duration = Duration::from_secs(1);
/// Longer than the exporter runs.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// File descriptors that connections leave to counters and to everything else.
const OTHER_FILES: usize = 512;

/// What this thread is woken for.
enum Call {
    Scrape(Scrape),
    /// The user wants an end, or nobody could say so any more.
    End(Result<(), Deaf>),
    /// The server has ended.
    Closed,
}

/// Serves until a signal comes.
pub(super) fn serve(args: &ExportArgs, global: &GlobalArgs, address: &str) -> anyhow::Result<ExitCode> {
    let mut reader = reader(args, global, args.interval.unwrap_or(LEAST_AGE))?;
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => Some(Tls::load(cert.clone(), key.clone())?.on_error(|error| {
            let error = without_controls(&error.to_string());
            exit::say(&format!("railtop: the new certificate is not used, the one before stays: {error}"));
        })),
        _ => None,
    };
    let auth = args
        .auth_file
        .as_deref()
        .map(|path| Auth::load(path).with_context(|| format!("--auth-file {}", path.display())));
    let auth = auth.transpose()?;
    let listener = address::bind(address)?;
    let local = listener.local_addr().is_ok_and(|a| address::is_local(a.ip()));
    let (secured, scheme) = (tls.is_some() && auth.is_some(), if tls.is_some() { "https" } else { "http" });
    let max_connections = args.max_connections.min(files::limit().saturating_sub(OTHER_FILES).max(64));
    let (call, calls) = mpsc::channel();
    let interrupt = Interrupt::install().context("cannot listen for signals")?;
    let (ask, ended) = (call.clone(), call.clone());
    let server = Server::start(
        Config { listener, tls, auth, max_connections },
        // Nobody listens only when this thread ends, and then the scrape is dropped, which tells its client.
        move |scrape| drop(ask.send(Call::Scrape(scrape))),
        move || drop(ended.send(Call::Closed)),
    )
    .context("cannot start the server")?;
    exit::say(&format!("railtop: metrics at {scheme}://{}/metrics", server.address()));
    if !local && !secured {
        exit::say(
            "railtop: this is not loopback: everybody who gets there can read names of jobs and what they move. \
             --tls-cert, --tls-key and --auth-file keep it private",
        );
    }
    pass_on(interrupt, call)?;
    answer(&mut reader, &server, &calls)
}

/// Turns the end that the user asks for into a call.
fn pass_on(interrupt: Interrupt, call: Sender<Call>) -> anyhow::Result<()> {
    let wait = move || {
        let deadline = Instant::now() + FOR_EVER;
        let end = interrupt.wait_until(deadline).map(|_asked| ());
        let _ended = call.send(Call::End(end));
    };
    thread::Builder::new().name("end".to_owned()).spawn(wait).context("cannot start a thread")?;
    Ok(())
}

/// Answers scrapes. Those that came while one was answered find what it has read.
fn answer(reader: &mut Reader, server: &Server, calls: &Receiver<Call>) -> anyhow::Result<ExitCode> {
    let stats = Arc::clone(server.stats());
    let mut told = Told::default();
    let (mut ending, mut said) = (false, false);
    // The first rates come with the second read; so the first is not left to the first scrape.
    reader.refresh(Instant::now(), |out| stats.add(out));
    loop {
        if let Some(view) = reader.take_view() {
            told.tell(view);
            if let Some(reason) = view.nothing.as_deref().filter(|_| !std::mem::replace(&mut said, true)) {
                exit::say(&format!("railtop: nothing to measure yet, serving on: {reason}"));
            }
        }
        match calls.recv() {
            Ok(Call::Scrape(Scrape { format, answer })) => {
                reader.refresh(Instant::now(), |out| stats.add(out));
                // A client that has gone needs no page.
                let _gone = answer.send(reader.page(format));
            }
            Ok(Call::End(end)) => {
                end?;
                ending = true;
                server.stop();
            }
            Ok(Call::Closed) | Err(_) if ending => return Ok(ExitCode::SUCCESS),
            Ok(Call::Closed) | Err(_) => {
                anyhow::bail!("the server has ended (message above); please report it")
            }
        }
    }
}

/// Writes until a signal comes or the count is reached.
pub(super) fn write(args: &ExportArgs, global: &GlobalArgs, path: &Path) -> anyhow::Result<ExitCode> {
    let interval = args.interval.unwrap_or(WRITE_EVERY);
    let mut reader = reader(args, global, Duration::ZERO)?;
    let mut output = Output::new(path)?;
    let interrupt = Interrupt::install().context("cannot listen for signals")?;
    if args.count == Some(1) {
        reader.refresh(Instant::now(), |_| {});
        if interrupt.wait_until(Instant::now() + interval.min(TWO_READS))? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let mut ticker = Ticker::new(Instant::now(), interval);
    let mut told = Told::default();
    let mut nothing = None;
    let mut left = args.count;
    while left != Some(0) && !interrupt.wait_until(ticker.deadline())? {
        reader.refresh(Instant::now(), |_| {});
        output.put(&reader.page(Format::Prometheus))?;
        if let Some(view) = reader.take_view() {
            told.tell(view);
            nothing.clone_from(&view.nothing);
        }
        left = left.map(|n| n - 1);
        ticker.advance(Instant::now());
    }
    match (output.failed, nothing) {
        (Some(error), _) if args.count.is_some() => Err(error),
        (_, Some(reason)) if args.count.is_some() => Err(ExitError::Nothing(reason).into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Where pages are written.
struct Output {
    /// stdout without.
    file: Option<Textfile>,
    path: String,
    written: bool,
    /// Why the last page was not.
    failed: Option<anyhow::Error>,
}

impl Output {
    fn new(path: &Path) -> anyhow::Result<Self> {
        let named = path != Path::new("-");
        let file = named.then(|| Textfile::new(path)).transpose();
        let path = path.display().to_string();
        let file = file.with_context(|| format!("--textfile {path}"))?;
        Ok(Self { file, path, written: false, failed: None })
    }

    /// Writes a page. A first one that cannot be written is an error, since the place is wrong; a later one is said
    /// once, and the next may succeed: a disk that is full need not stay so.
    fn put(&mut self, page: &[u8]) -> anyhow::Result<()> {
        let Some(file) = &self.file else { return print(page).map_err(exit::output_error) };
        match file.write(page).with_context(|| format!("cannot write {}", self.path)) {
            Ok(()) => (self.written, self.failed) = (true, None),
            Err(error) if !self.written => return Err(error),
            Err(error) => {
                if self.failed.is_none() {
                    let error = without_controls(&format!("{error:#}"));
                    exit::say(&format!("railtop: {error}; goes on, and tries again each time"));
                }
                self.failed = Some(error);
            }
        }
        Ok(())
    }
}

fn print(page: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(page)?;
    out.flush()
}

fn reader(args: &ExportArgs, global: &GlobalArgs, least_age: Duration) -> anyhow::Result<Reader> {
    files::allow_many();
    let given = Given { selection: args.selection.clone(), ..Given::default() };
    let settings = Settings::load(global, &given)?;
    let mut compat = args.compat.clone();
    compat.sort();
    compat.dedup();
    let options = Options { max_pes: args.max_pes, raw: !args.no_hw_counters, compat };
    Ok(Reader::new(Monitor::new(settings.monitor()), options, least_age))
}
