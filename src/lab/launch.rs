//! Starting one PE: its environment and its process.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::address::{Pe, management_address, node_name};
use super::error::LabError;
use super::namespace::{Namespace, die_with_caller_on_exec};
use super::output::Output;
use super::spec::{LabMode, LabSpec};

/// The command that every PE runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabCommand {
    /// The program, looked for in PATH if it has no slash.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables beside the lab's own, which win over the caller's and over the lab's.
    pub env: Vec<(OsString, OsString)>,
}

/// What is the same for all PEs of a run.
pub(super) struct RunIdentity {
    /// Names the lab, in `RAILTOP_JOB`.
    pub(super) job: String,
    /// Only who knows it may join the rendezvous: 64 hexadecimal digits.
    pub(super) secret: String,
    /// The port for the rendezvous.
    pub(super) port: u16,
    /// Where counter pages go, if the caller says so.
    pub(super) page_dir: Option<PathBuf>,
}

/// The variables of one PE. `RANK` to `MASTER_PORT` are torchrun's names.
pub(super) fn environment(spec: &LabSpec, pe: Pe, run: &RunIdentity) -> Vec<(&'static str, OsString)> {
    let nics: Vec<String> =
        spec.nics_of_pe(pe).map(|nic| format!("{}={}", nic.name(), nic.address)).collect();
    let lab = match spec.mode {
        LabMode::Namespaces => "1",
        LabMode::Loopback => "loopback",
    };
    let master: Ipv4Addr = management_address(spec.mode, 0);
    let mut variables: Vec<(&'static str, OsString)> = vec![
        ("RANK", pe.rank.to_string().into()),
        ("WORLD_SIZE", spec.pes().to_string().into()),
        ("LOCAL_RANK", pe.local_rank.to_string().into()),
        ("LOCAL_WORLD_SIZE", spec.pes_per_node.to_string().into()),
        ("MASTER_ADDR", master.to_string().into()),
        ("MASTER_PORT", run.port.to_string().into()),
        ("RAILTOP_NODE", node_name(pe.node).into()),
        ("RAILTOP_NICS", nics.join(",").into()),
        ("RAILTOP_JOB", run.job.clone().into()),
        ("RAILTOP_JOB_SECRET", run.secret.clone().into()),
        ("RAILTOP_LAB", lab.into()),
    ];
    if let (LabMode::Namespaces, Some(rate)) = (spec.mode, spec.nic_rate) {
        variables.push(("RAILTOP_NIC_RATE_BPS", rate.bits_per_s().to_string().into()));
    }
    if let Some(directory) = &run.page_dir {
        variables.push(("RAILTOP_PAGE_DIR", directory.clone().into()));
    }
    variables
}

/// Starts `command` as `pe`. It dies with the thread that calls this.
pub(super) fn start(
    spec: &LabSpec,
    pe: Pe,
    namespace: Option<&Namespace>,
    command: &LabCommand,
    run: &RunIdentity,
    [stdout, stderr]: [&Output; 2],
) -> Result<Child, LabError> {
    let stdio = |output: &Output| {
        if matches!(output, Output::Null) { Stdio::null() } else { Stdio::piped() }
    };
    let mut process = Command::new(&command.program);
    process.args(&command.args);
    // An enclosing lab's limit is not this one's.
    process.env_remove("RAILTOP_NIC_RATE_BPS");
    process.envs(environment(spec, pe, run)).envs(command.env.iter().cloned());
    process.stdin(Stdio::null()).stdout(stdio(stdout)).stderr(stdio(stderr));
    // A group of its own, so that signals reach what the PE starts, and Ctrl-C reaches only the lab.
    process.process_group(0);
    match namespace {
        Some(namespace) => namespace.enter_on_exec(&mut process),
        None => die_with_caller_on_exec(&mut process),
    }
    process.spawn().map_err(|source| LabError::Spawn {
        program: command.program.clone(),
        rank: pe.rank,
        node: pe.node,
        cause: source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(spec: &LabSpec, rank: usize) -> String {
        let run = RunIdentity {
            job: "lab-7".to_owned(),
            secret: "00ff".to_owned(),
            port: 29500,
            page_dir: Some("/run/pages".into()),
        };
        let pe = spec.all_pes().nth(rank).unwrap();
        let lines = environment(spec, pe, &run);
        let lines = lines.iter().map(|(name, value)| format!("{name}={}", value.display()));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn in_namespaces() {
        insta::assert_snapshot!(variables(&LabSpec::default(), 5), @r"
        RANK=5
        WORLD_SIZE=8
        LOCAL_RANK=1
        LOCAL_WORLD_SIZE=4
        MASTER_ADDR=10.76.0.1
        MASTER_PORT=29500
        RAILTOP_NODE=node1
        RAILTOP_NICS=nic4=10.77.0.21,nic5=10.77.0.22,nic6=10.77.0.23,nic7=10.77.0.24
        RAILTOP_JOB=lab-7
        RAILTOP_JOB_SECRET=00ff
        RAILTOP_LAB=1
        RAILTOP_NIC_RATE_BPS=200000000
        RAILTOP_PAGE_DIR=/run/pages
        ");
    }

    #[test]
    fn on_loopback() {
        let spec = LabSpec { mode: LabMode::Loopback, nics_per_pe: 2, ..LabSpec::default() };
        insta::assert_snapshot!(variables(&spec, 1), @r"
        RANK=1
        WORLD_SIZE=8
        LOCAL_RANK=1
        LOCAL_WORLD_SIZE=4
        MASTER_ADDR=127.0.0.1
        MASTER_PORT=29500
        RAILTOP_NODE=node0
        RAILTOP_NICS=nic2=127.77.0.3,nic3=127.77.0.4
        RAILTOP_JOB=lab-7
        RAILTOP_JOB_SECRET=00ff
        RAILTOP_LAB=loopback
        RAILTOP_PAGE_DIR=/run/pages
        ");
    }
}
