//! One job script, and what it leaves behind.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use crate::cluster::{Cluster, NIC_RATE, NICS};

/// A script of `examples/`.
pub(crate) fn script(name: &str) -> String {
    format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// `sbatch` or `salloc` with the arguments before the script, the script, and its flags; with railtop's generator on all NICs of
/// each node.
pub(crate) fn launch(cluster: &Cluster, launcher: &str, before: &str, name: &str, flags: &str) -> Command {
    let script = script(name);
    let mut words: Vec<&str> = before.split_whitespace().collect();
    words.push(&script);
    words.extend(flags.split_whitespace());
    let nics: Vec<String> = (0..NICS).map(|nic| format!("nic{nic}")).collect();
    let mut command = cluster.command(launcher, &words);
    command
        .env("GENERATOR", "railtop")
        .env("INTERVAL", "50ms")
        .env("NODE_NICS", nics.join(","))
        .env("RAILTOP_NIC_RATE_BPS", NIC_RATE.to_string());
    command
}

/// Submits with `sbatch --parsable`; the job's number.
#[track_caller]
pub(crate) fn submit(cluster: &Cluster, command: &mut Command) -> String {
    let output = cluster.run(command);
    code(cluster, &output, 0);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Submits, and waits for the end of the job, which must be a good one. (`sbatch --wait` looks ever more seldom.)
#[track_caller]
pub(crate) fn succeeds(cluster: &Cluster, command: &mut Command) {
    let (state, code) = end(cluster, command);
    assert_eq!((state.as_str(), code.as_str()), ("COMPLETED", "0:0"), "{}", cluster.logs());
}

/// Submits, and waits for the end of the job: its state and exit code as Slurm writes them.
#[track_caller]
pub(crate) fn end(cluster: &Cluster, command: &mut Command) -> (String, String) {
    let job = submit(cluster, command);
    cluster.eventually("the job has ended", || {
        let output = cluster.command("scontrol", &["show", "job", &job]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let field = |name: &str| {
            let mut fields = text.split_whitespace().filter_map(|word| word.split_once('='));
            fields.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        let (state, status) = (field("JobState")?, field("ExitCode")?);
        let runs = ["PENDING", "CONFIGURING", "RUNNING", "COMPLETING"].contains(&state.as_str());
        (!runs).then_some((state, status))
    })
}

/// Holds it to a code, and shows what there is to see otherwise.
#[track_caller]
pub(crate) fn code(cluster: &Cluster, output: &Output, code: i32) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}{}\n{}",
        text(&output.stdout),
        text(&output.stderr),
        cluster.logs()
    );
}

/// The directory that a job has made.
#[track_caller]
pub(crate) fn results(cluster: &Cluster, name: &str) -> Results {
    let dirs = fs::read_dir(cluster.jobs()).unwrap().flatten().map(|entry| entry.path()).filter(|path| {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        path.is_dir() && file.strip_prefix(&format!("{name}-")).is_some_and(|id| id.parse::<u32>().is_ok())
    });
    let mut dirs: Vec<PathBuf> = dirs.collect();
    assert_eq!(dirs.len(), 1, "one directory per job; {}", cluster.logs());
    Results { dir: dirs.remove(0) }
}

/// What a job leaves behind.
pub(crate) struct Results {
    pub(crate) dir: PathBuf,
}

impl Results {
    /// The lines of one variant.
    #[track_caller]
    pub(crate) fn lines(&self, variant: &str) -> Vec<Value> {
        let path = self.dir.join(format!("{variant}.jsonl"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Those of one type.
    #[track_caller]
    pub(crate) fn of_type(&self, variant: &str, kind: &str) -> Vec<Value> {
        self.lines(variant).into_iter().filter(|line| line["type"] == kind).collect()
    }

    /// max/mean of one direction, and how many NICs were active.
    #[track_caller]
    pub(crate) fn balance(&self, variant: &str, direction: &str) -> (f64, u64) {
        let all = self.of_type(variant, "balance");
        let of: Vec<_> = all.iter().filter(|line| line["direction"] == direction).collect();
        assert_eq!(of.len(), 1, "one per direction");
        (of[0]["max_over_mean"].as_f64().unwrap(), of[0]["active_nics"].as_u64().unwrap())
    }

    /// Every byte that a NIC received is one that somebody sent to it.
    #[track_caller]
    pub(crate) fn assert_exact(&self, variant: &str, ports: usize) {
        let nics = self.of_type(variant, "nic");
        assert_eq!(nics.len(), ports, "{variant}");
        assert!(nics.iter().all(|nic| nic["rx_bytes"] == nic["sent_to_bytes"]), "{nics:#?}");
        let sum = |key: &str| nics.iter().map(|nic| nic[key].as_u64().unwrap()).sum::<u64>();
        assert_eq!(sum("tx_bytes"), sum("rx_bytes"), "{variant}");
        assert!(sum("tx_bytes") > 0, "{variant}");
    }

    /// The report as text.
    #[track_caller]
    pub(crate) fn report(&self) -> String {
        let page = fs::read_to_string(self.dir.join("report.html")).unwrap();
        assert!(page.starts_with("<!DOCTYPE html>"), "a page");
        fs::read_to_string(self.dir.join("report.txt")).unwrap()
    }

    /// What a node's monitor has recorded, as `railtop log` prints it.
    #[track_caller]
    pub(crate) fn recorded(&self, node: u16) -> Vec<Value> {
        lines(self.replay(node))
    }

    /// Whether a node's recording has traffic in it.
    #[track_caller]
    pub(crate) fn has_traffic(&self, node: u16) -> bool {
        // The monitor of a node that is slow may not have begun it.
        if !self.dir.join(format!("node{node}.rec")).exists() {
            return false;
        }
        let output = self.replay(node);
        // 3: nothing in it yet.
        output.status.code() != Some(3)
            && lines(output).iter().any(|line| line["rx_bytes"].as_u64() > Some(0))
    }

    fn replay(&self, node: u16) -> Output {
        let file = self.dir.join(format!("node{node}.rec"));
        Command::new(crate::cluster::RAILTOP)
            .args(["replay", "--format", "jsonl"])
            .arg(file)
            .output()
            .unwrap()
    }
}

/// What a replay has printed.
#[track_caller]
fn lines(output: Output) -> Vec<Value> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
