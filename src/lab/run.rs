//! Running a command on a lab.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::address::Pe;
use super::build::Lab;
use super::census::Members;
use super::error::LabError;
use super::launch::{self, LabCommand, RunIdentity};
use super::output::{Output, Pump, Source, Stream};
use super::spec::LabMode;
use super::stop::{Request, StopHandle};
use super::supervise::{Ended, Grace, PeExit, Supervisor};

/// torchrun's default; the namespaces are the lab's own, so nobody else uses it.
const FIRST_PORT: u16 = 29500;
/// After all processes have ended, how long their last output may take.
const OUTPUT_LIMIT: Duration = Duration::from_millis(500);

/// How to run a command.
#[derive(Debug)]
pub struct RunOptions {
    /// Where the PEs' stdout goes.
    pub stdout: Output,
    /// Where their stderr goes.
    pub stderr: Output,
    /// Ends the run from elsewhere.
    pub stop: Option<StopHandle>,
    /// The directory for counter pages, for `RAILTOP_PAGE_DIR`; `None` passes the caller's variable on.
    ///
    /// Without root the PEs are root of a user namespace, so a default that depends on the user would
    /// differ between them and a monitor outside: give it then.
    pub page_dir: Option<PathBuf>,
    /// After the first failure or a forwarded signal, how long the PEs may go on before SIGTERM.
    pub last_words: Duration,
    /// After SIGTERM, how long they may go on before SIGKILL.
    pub terminate: Duration,
}

impl Default for RunOptions {
    /// stdout as it is, stderr with the PE in front, 1 s for last words, 2 s to terminate.
    fn default() -> Self {
        Self {
            stdout: Output::Passthrough,
            stderr: Output::Prefixed,
            stop: None,
            page_dir: None,
            last_words: Duration::from_secs(1),
            terminate: Duration::from_secs(2),
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOutcome {
    /// Why.
    pub ended: Ended,
    /// How each PE ended, in the order of ranks; empty if the run was stopped before it began.
    pub exits: Vec<(Pe, PeExit)>,
}

impl RunOutcome {
    /// The exit code for a program that only ran this: 0, that of the first PE that failed, or
    /// 128 + the signal that ended it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.ended {
            Ended::Succeeded | Ended::Stopped | Ended::OutputClosed => 0,
            Ended::Failed(_, exit) => exit.code(),
            Ended::Signalled(number) => PeExit::Signal(number).code(),
        }
    }
}

impl Lab {
    /// Name of the job, by which the PEs' counter pages are known (`RAILTOP_JOB`).
    #[must_use]
    pub fn job() -> String {
        format!("lab-{}", std::process::id())
    }

    /// Runs `command` once per PE, and returns when every process of it has ended.
    ///
    /// The PEs die with the calling thread. Nothing of a run is left when the next one begins.
    ///
    /// # Errors
    /// [`LabError::Spawn`] if the program cannot be started; a PE that fails is no error but an
    /// [`Ended::Failed`].
    pub fn run(&mut self, command: &LabCommand, options: RunOptions) -> Result<RunOutcome, LabError> {
        let stop = match options.stop {
            Some(stop) => stop,
            None => StopHandle::new().map_err(LabError::run("make a pipe"))?,
        };
        if let Some(request) = stop.first() {
            return Ok(RunOutcome { ended: before_the_start(request), exits: Vec::new() });
        }
        let identity = self.identity(options.page_dir)?;
        raise_descriptor_limit(self.spec.pes());
        let grace = Grace { last_words: options.last_words, terminate: options.terminate };
        let mut supervisor = Supervisor::new(grace);
        let outputs = [&options.stdout, &options.stderr];
        let sources = match self.start_all(command, &identity, outputs, &mut supervisor) {
            Ok(sources) => sources,
            Err(error) => {
                supervisor.abandon();
                // Nobody is left in those groups.
                let _ = self.guardian.forget_groups();
                return Err(error);
            }
        };
        let pump = Pump::start(sources, options.stdout, options.stderr, stop.clone());
        let watched = match &pump {
            Ok(_) => supervisor.run(&stop),
            Err(_) => Ok(()),
        };
        let groups = supervisor.groups();
        supervisor.clear(Members { namespaces: &self.namespace_ids, groups: &groups }, &stop);
        let forgotten = self.guardian.forget_groups();
        let (ended, exits) = supervisor.reap();
        pump.map_err(LabError::run("start a thread"))?.finish(OUTPUT_LIMIT);
        watched?;
        forgotten.map_err(LabError::run("tell the guardian"))?;
        Ok(RunOutcome { ended, exits })
    }

    fn start_all(
        &mut self,
        command: &LabCommand,
        identity: &RunIdentity,
        outputs: [&Output; 2],
        supervisor: &mut Supervisor,
    ) -> Result<Vec<Source>, LabError> {
        let mut sources = Vec::new();
        for pe in self.spec.all_pes() {
            let namespace = self.nodes.get(usize::from(pe.node));
            let mut child = launch::start(&self.spec, pe, namespace, command, identity, outputs)?;
            sources.extend(streams(pe, &mut child));
            let group = i32::try_from(child.id()).unwrap_or(i32::MAX);
            supervisor.watch(pe, child)?;
            if namespace.is_none() {
                self.guardian.guard_group(group).map_err(LabError::run("tell the guardian"))?;
            }
        }
        Ok(sources)
    }

    fn identity(&mut self, page_dir: Option<PathBuf>) -> Result<RunIdentity, LabError> {
        let run = self.runs;
        self.runs = (run + 1) % 1000;
        let port = match self.spec.mode {
            // Another one each time: the last run's may still be in TIME_WAIT.
            LabMode::Namespaces => FIRST_PORT + run,
            LabMode::Loopback => free_port().map_err(LabError::run("find a free port on loopback"))?,
        };
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| LabError::run("make a secret")(io::Error::other(error.to_string())))?;
        let secret = bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Ok(RunIdentity { job: Self::job(), secret, port, page_dir })
    }
}

fn before_the_start(request: Request) -> Ended {
    match request {
        Request::Stop => Ended::Stopped,
        Request::Signal(signal) => Ended::Signalled(signal as i32),
        Request::OutputClosed => Ended::OutputClosed,
    }
}

fn streams(pe: Pe, child: &mut Child) -> impl Iterator<Item = Source> + use<> {
    let stdout = child.stdout.take().map(|pipe| Source::new(pe, Stream::Stdout, OwnedFd::from(pipe)));
    let stderr = child.stderr.take().map(|pipe| Source::new(pe, Stream::Stderr, OwnedFd::from(pipe)));
    stdout.into_iter().chain(stderr)
}

/// A port that is free now. PE 0 takes it a moment later; another program could come first, which
/// the rendezvous then reports.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A run holds three descriptors for each PE. Raises the soft limit if that is more than it allows;
/// where the hard limit is too low as well, starting a PE fails and says so.
fn raise_descriptor_limit(pes: u32) {
    let needed = u64::from(pes) * 3 + 256;
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < needed
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard);
    }
}
