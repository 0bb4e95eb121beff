//! What the tests share: running the program in a lab, bounded in time, with counter pages of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use railtop::lab::{Lab, LabError, LabSpec};
use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
pub(crate) const RAILTOP: &str = env!("CARGO_BIN_EXE_railtop");

/// How long anything here may take; only a test that has failed takes that long.
const LIMIT: Duration = Duration::from_secs(300);

/// Longer than any clean-up takes, shorter than the runs that are not to come to their own end ([`LONG_RUN`]).
pub(crate) const SECONDS: Duration = Duration::from_secs(120);

/// The length of a run that something else has to end.
pub(crate) const LONG_RUN: &str = "--duration 600s";

/// Tries with ever longer runs, until what is to happen within one has (`None`: it ended before).
///
/// A run cannot be told to end in good order, so that it needs a length; and how long it takes until something has happened beside
/// it, which is a second or two here, is the machine's affair.
#[track_caller]
pub(crate) fn in_a_run_of<T>(lengths: [u32; 3], attempt: impl FnMut(u32) -> Option<T>) -> T {
    lengths.into_iter().find_map(attempt).expect("it happens within a run")
}

/// One lab at a time: two of them on a machine of two cores would measure each other.
///
/// `None`, with the reason on stderr, where this machine allows no lab or has no libfabric.
pub(crate) fn lab_machine() -> Option<MutexGuard<'static, ()>> {
    static WHY_NOT: OnceLock<Option<String>> = OnceLock::new();
    let guard = one_at_a_time();
    let why_not = WHY_NOT.get_or_init(|| {
        if let Err(error) = libfabric_sys::Libfabric::load() {
            return Some(error.to_string());
        }
        match Lab::up(LabSpec { nodes: 1, pes_per_node: 1, nics_per_pe: 1, ..LabSpec::default() }) {
            Ok(_) => None,
            Err(error @ (LabError::NotPermitted { .. } | LabError::ToolMissing(_))) => {
                Some(error.to_string())
            }
            Err(error) => panic!("{error}"),
        }
    });
    match why_not {
        Some(reason) => {
            eprintln!("skipped: {reason}");
            None
        }
        None => Some(guard),
    }
}

/// Whether libfabric is there; says `skipped` where it is not.
pub(crate) fn has_libfabric() -> bool {
    libfabric_sys::Libfabric::load().map_err(|error| eprintln!("skipped: {error}")).is_ok()
}

/// For tests that make traffic without a lab.
pub(crate) fn one_at_a_time() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The shape of a lab.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) nodes: u32,
    pub(crate) pes_per_node: u32,
    pub(crate) nics_per_pe: u32,
    pub(crate) nic_rate: &'static str,
}

/// A directory of counter pages, and the program that sees only these.
pub(crate) struct Site {
    dir: TempDir,
}

impl Site {
    pub(crate) fn new() -> Self {
        let site = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(site.pages()).unwrap();
        fs::set_permissions(site.pages(), fs::Permissions::from_mode(0o700)).unwrap();
        site
    }

    pub(crate) fn pages(&self) -> PathBuf {
        self.path("pages")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program with nothing of the machine it runs on: no launcher, no pages of others, no RDMA devices.
    pub(crate) fn railtop(&self) -> Command {
        let mut command = Command::new(RAILTOP);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let foreign = ["RAILTOP_", "SLURM_", "OMPI_", "PMIX_", "MASTER_"];
            let library = text == "RAILTOP_LIBFABRIC";
            if !library && foreign.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        for name in ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"] {
            command.env_remove(name);
        }
        command
            .env("RAILTOP_PAGE_DIR", self.pages())
            .env("RAILTOP_SYSFS_ROOT", self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// `railtop lab … --`, ready for the command.
    pub(crate) fn lab(&self, shape: Shape) -> Command {
        let mut command = self.railtop();
        command.arg("lab");
        command.args(["--nodes", &shape.nodes.to_string()]);
        command.args(["--pes-per-node", &shape.pes_per_node.to_string()]);
        command.args(["--nics-per-pe", &shape.nics_per_pe.to_string()]);
        command.args(["--nic-rate", shape.nic_rate, "--"]);
        command
    }

    /// `railtop bench …` in a lab; `words` are `bench`'s arguments, separated by blanks.
    pub(crate) fn bench_in_lab(&self, shape: Shape, words: &str) -> Command {
        let mut command = self.lab(shape);
        command.arg(RAILTOP).arg("bench").args(words.split_whitespace());
        command
    }

    /// Starts a command whose output goes to files.
    pub(crate) fn start(&self, command: &mut Command) -> Running {
        let files = TempDir::new_in(self.dir.path()).unwrap();
        let file = |name| File::create(files.path().join(name)).unwrap();
        let child = command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        Running { child: Some(child), files }
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, command: &mut Command) -> Outcome {
        self.start(command).finish(LIMIT)
    }
}

/// A command under way. Dropped, it is asked to end and waited for.
pub(crate) struct Running {
    child: Option<Child>,
    files: TempDir,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        signal_pid(self.pid(), signal);
    }

    /// What it has written so far.
    pub(crate) fn stdout(&self) -> String {
        self.text("stdout")
    }

    /// What it has said so far.
    pub(crate) fn stderr(&self) -> String {
        self.text("stderr")
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().unwrap().try_wait().unwrap()
    }

    /// Whether it has come to its end, which must be a good one: what fails is not to be tried again.
    #[track_caller]
    pub(crate) fn has_ended(&mut self) -> bool {
        let status = self.ended();
        assert!(status.is_none_or(|status| status.success()), "{status:?}\n{}", self.text("stderr"));
        status.is_some()
    }

    /// Waits for something that happens while it runs; `None` when it has ended before, well.
    #[track_caller]
    pub(crate) fn meanwhile<T>(&mut self, what: &str, mut happens: impl FnMut() -> Option<T>) -> Option<T> {
        eventually(what, || {
            let ended = self.has_ended();
            happens().map(Some).or_else(|| ended.then_some(None))
        })
    }

    /// Waits for the end, which must come within `limit`.
    pub(crate) fn finish(mut self, limit: Duration) -> Outcome {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            assert!(
                begun.elapsed() <= limit,
                "did not end within {limit:?}; stderr so far:\n{}",
                self.text("stderr")
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        self.child = None;
        Outcome { status, stdout: self.text("stdout"), stderr: self.text("stderr") }
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.files.path().join(name)).unwrap()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        signal_pid(child.id(), nix::sys::signal::Signal::SIGTERM);
        // One that stands still would not hear of it.
        signal_pid(child.id(), nix::sys::signal::Signal::SIGCONT);
        let begun = Instant::now();
        while begun.elapsed() < SECONDS {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

pub(crate) fn signal_pid(pid: u32, signal: nix::sys::signal::Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Holds it to an exit code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self
    }

    /// Every line of stdout as an object.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Stdout as one object.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// `bench --format json`, sorted out by policy.
pub(crate) struct Results(BTreeMap<String, Vec<Value>>);

impl Results {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let mut results = BTreeMap::<_, Vec<_>>::new();
        for line in outcome.lines() {
            results.entry(line["policy"].as_str().unwrap().to_owned()).or_default().push(line);
        }
        Self(results)
    }

    /// Objects of one type.
    #[track_caller]
    pub(crate) fn of_type(&self, policy: &str, kind: &str) -> Vec<&Value> {
        let lines = self.0.get(policy).unwrap_or_else(|| panic!("nothing about {policy}"));
        lines.iter().filter(|line| line["type"] == kind).collect()
    }

    /// The balance in one direction.
    #[track_caller]
    pub(crate) fn balance(&self, policy: &str, direction: &str) -> &Value {
        let found: Vec<_> = self.of_type(policy, "balance");
        let mut found = found.into_iter().filter(|line| line["direction"] == direction);
        let balance = found.next().unwrap();
        assert!(found.next().is_none(), "one balance per direction");
        balance
    }

    /// A key of the row with the largest size.
    #[track_caller]
    pub(crate) fn of_largest(&self, policy: &str, key: &str) -> f64 {
        let rows = self.of_type(policy, "row");
        let row = rows.into_iter().max_by_key(|row| row["size"].as_u64()).unwrap();
        row[key].as_f64().unwrap_or_else(|| panic!("no {key} in {row}"))
    }

    /// The tool's promise: what each NIC received is what was sent to it, and in all nothing is lost.
    #[track_caller]
    pub(crate) fn assert_exact(&self) {
        for policy in self.0.keys() {
            let nics = self.of_type(policy, "nic");
            assert!(!nics.is_empty());
            assert!(nics.iter().all(|nic| nic["rx_bytes"] == nic["sent_to_bytes"]), "{nics:#?}");
            for [sent, received] in [["tx_bytes", "rx_bytes"], ["tx_ops", "rx_ops"]] {
                assert_eq!(sum(&nics, sent), sum(&nics, received), "{policy}");
            }
        }
    }
}

/// The sum of a number over objects.
pub(crate) fn sum(objects: &[&Value], key: &str) -> u64 {
    objects.iter().map(|object| object[key].as_u64().unwrap()).sum()
}

/// Waits for something that must happen; the limit only ends a test that has failed.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut happens: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = happens() {
            return value;
        }
        assert!(begun.elapsed() < LIMIT / 2, "still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Processes with this variable in their environment, by pid, with the value; zombies have none.
pub(crate) fn processes_with(variable: &str) -> Vec<(u32, String)> {
    let prefix = format!("{variable}=");
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| {
        let environment = fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).ok()?;
        let mut variables = environment.split(|&byte| byte == 0).map(String::from_utf8_lossy);
        let value = variables.find_map(|entry| entry.strip_prefix(&prefix).map(ToOwned::to_owned))?;
        Some((pid, value))
    })
    .collect()
}
