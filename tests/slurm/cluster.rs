//! A real Slurm on the nodes of a lab: munged, slurmctld, a slurmd on each node, all below one directory.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use railtop::lab::{Lab, LabError, LabSpec};
use tempfile::TempDir;

/// The program under test.
pub(crate) const RAILTOP: &str = env!("CARGO_BIN_EXE_railtop");

/// How long anything here may take; only a test that has failed takes that long.
const LIMIT: Duration = Duration::from_secs(600);

/// Bits per second of a NIC: little, so that two cores have nothing to do with it.
pub(crate) const NIC_RATE: u32 = 100_000_000;

/// NICs of a node, `nic0` and so on.
pub(crate) const NICS: u16 = 4;

/// A Slurm with its nodes; dropped, all of it ends.
pub(crate) struct Cluster {
    lab: Child,
    dir: TempDir,
    nodes: u16,
    _alone: MutexGuard<'static, ()>,
}

/// Why this machine can have none; `None` when it can.
fn why_not() -> Option<String> {
    if !geteuid().is_root() {
        return Some("a Slurm of its own needs root".into());
    }
    for program in ["slurmctld", "slurmd", "munged", "sbatch", "nsenter", "setpriv", "unshare"] {
        let found =
            Command::new("sh").args(["-c", "command -v \"$0\"", program]).stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            return Some(format!("no {program} here (packages slurm-wlm, munge, util-linux)"));
        }
    }
    if let Err(error) = libfabric_sys::Libfabric::load() {
        return Some(error.to_string());
    }
    match Lab::up(LabSpec { nodes: 1, pes_per_node: 1, nics_per_pe: 1, ..LabSpec::default() }) {
        Ok(_) => None,
        Err(error @ (LabError::NotPermitted { .. } | LabError::ToolMissing(_))) => Some(error.to_string()),
        Err(error) => panic!("{error}"),
    }
}

impl Cluster {
    /// Starts `node0`, `node1`, …; `None`, with the reason on stderr, where this machine can have no cluster.
    pub(crate) fn start(nodes: u16) -> Option<Self> {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = why_not() {
            eprintln!("skipped: {reason}");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        // munged wants its socket to be within everybody's reach.
        fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(root.join("jobs")).unwrap();
        fs::create_dir(root.join("state")).unwrap();
        let mut key = [0; 128];
        getrandom::fill(&mut key).unwrap();
        fs::write(root.join("munge.key"), key).unwrap();
        fs::set_permissions(root.join("munge.key"), fs::Permissions::from_mode(0o400)).unwrap();
        let hosts = (0..nodes).map(|node| format!("10.76.0.{} node{node}\n", node + 1));
        fs::write(root.join("hosts"), format!("127.0.0.1 localhost\n{}", hosts.collect::<String>())).unwrap();
        fs::write(root.join("slurm.conf"), configuration(root, nodes)).unwrap();
        // It ends with this thread, should the whole process be killed.
        let lab = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", RAILTOP])
            .args(["lab", "--nodes", &nodes.to_string(), "--pes-per-node", "1"])
            .args(["--nics-per-pe", &NICS.to_string(), "--nic-rate", &format!("{NIC_RATE}bit"), "--"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/slurm/node.sh"))
            .arg(root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(root.join("lab.err")).unwrap())
            .spawn()
            .unwrap();
        let cluster = Self { lab, dir, nodes, _alone: alone };
        cluster.eventually("every node is idle", || {
            if !(0..nodes).all(|node| cluster.pid(node).is_some()) {
                return None;
            }
            let states = cluster.command("sinfo", &["-h", "-N", "-o", "%T"]).output().unwrap();
            let states = String::from_utf8_lossy(&states.stdout).into_owned();
            (states.lines().filter(|state| *state == "idle").count() == usize::from(nodes)).then_some(())
        });
        Some(cluster)
    }

    pub(crate) fn nodes(&self) -> u16 {
        self.nodes
    }

    /// Where jobs are submitted, and leave their results.
    pub(crate) fn jobs(&self) -> PathBuf {
        self.dir.path().join("jobs")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The process that keeps a node's namespaces.
    fn pid(&self, node: u16) -> Option<u32> {
        fs::read_to_string(self.path(&format!("node{node}.pid"))).ok()?.trim().parse().ok()
    }

    /// A command on node 0, in the directory of jobs, with nothing of the launchers of this test.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        self.command_on(0, program, args)
    }

    pub(crate) fn command_on(&self, node: u16, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let foreign = ["RAILTOP_", "SLURM_", "SBATCH_", "OMPI_", "PMIX_", "MASTER_", "NVSHMEM", "FI_"];
            if text != "RAILTOP_LIBFABRIC" && foreign.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        for name in ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"] {
            command.env_remove(name);
        }
        let pid = self.pid(node).expect("the node has started").to_string();
        command
            .args(["--target", &pid, "--net", "--mount", "--uts", "--", "sh", "-c"])
            .args(["cd \"$0\" && exec \"$@\""])
            .arg(self.jobs())
            .arg(program)
            .args(args)
            .env("SLURM_CONF", self.path("slurm.conf"))
            .env("RAILTOP", RAILTOP)
            .stdin(Stdio::null());
        command
    }

    /// What is to be true after a while.
    #[track_caller]
    pub(crate) fn eventually<T>(&self, what: &str, mut happens: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(value) = happens() {
                return value;
            }
            assert!(begun.elapsed() < LIMIT / 2, "still not: {what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn run(&self, command: &mut Command) -> Output {
        let output = self.path("output");
        let file = |end| fs::File::create(output.with_extension(end)).unwrap();
        let mut child = command.stdout(file("out")).stderr(file("err")).spawn().unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > LIMIT {
                let _ = child.kill();
                panic!("{command:?} does not end\n{}", self.logs());
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let read = |end| fs::read(output.with_extension(end)).unwrap();
        Output { status, stdout: read("out"), stderr: read("err") }
    }

    /// What there is to read when something has gone wrong.
    pub(crate) fn logs(&self) -> String {
        let mut all = String::new();
        for dir in [self.dir.path().to_owned(), self.jobs()] {
            for path in fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()) {
                if path.extension().is_some_and(|end| ["log", "err", "out"].iter().any(|known| end == *known))
                {
                    let text = String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned();
                    let last: Vec<&str> = text.lines().rev().take(15).collect();
                    let last: Vec<&str> = last.into_iter().rev().collect();
                    let _ = write!(all, "--- {}\n{}\n", path.display(), last.join("\n"));
                }
            }
        }
        all
    }

    /// Names of the counter pages on a node.
    pub(crate) fn pages(&self, node: u16) -> Vec<String> {
        let out =
            self.command_on(node, "sh", &["-c", "ls -A /dev/shm/* 2>/dev/null || true"]).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.lines().filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect()
    }

    /// Command lines of the processes that have this directory's configuration in their environment and whose program's name
    /// begins with `name`.
    pub(crate) fn processes(&self, name: &str) -> Vec<String> {
        processes(self.dir.path(), name)
    }
}

/// See [`Cluster::processes`].
pub(crate) fn processes(dir: &Path, name: &str) -> Vec<String> {
    let ours = format!("SLURM_CONF={}", dir.join("slurm.conf").display());
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()) {
        let Ok(environment) = fs::read(process.join("environ")) else { continue };
        let is_ours = environment.split(|&byte| byte == 0).any(|entry| entry == ours.as_bytes());
        let program = fs::read_to_string(process.join("comm")).unwrap_or_default();
        if is_ours && program.starts_with(name) {
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
    }
    found
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.lab.id().try_into().unwrap());
        let _ = kill(pid, Signal::SIGTERM);
        let begun = Instant::now();
        while begun.elapsed() < LIMIT / 4 {
            if !matches!(self.lab.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.lab.kill();
        let _ = self.lab.wait();
    }
}

/// One slurm.conf for all. No cgroups, no accounting, no limits; more cores than there are, since several tasks of a node are
/// what is to be tested. Each node has a temporary directory of its own, which Slurm's `PMIx` needs.
fn configuration(root: &Path, nodes: u16) -> String {
    let root = root.display();
    format!(
        "ClusterName=lab
SlurmctldHost=node0
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={root}/munge.sock
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
TmpFS={root}/tmp-%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd-%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SchedulerType=sched/builtin
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
MpiDefault=none
KillWait=30
ReturnToService=2
NodeName=node[0-{}] CPUs=16 RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
",
        nodes - 1
    )
}
