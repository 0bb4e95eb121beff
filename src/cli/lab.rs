//! `railtop lab`: an emulated cluster, and a command on it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::lab::{
    Ended, Lab, LabCommand, LabError, LabMode, LabSpec, MAX_NICS_PER_PE, MAX_NODES, MAX_PES_PER_NODE, Rate,
    RateError, RunOptions, RunOutcome, StopHandle,
};

/// Wrong usage; also a lab too large.
const USAGE: u8 = 2;

/// Run a command on an emulated cluster, once per PE.
///
/// Nodes are network namespaces with host names of their own, NICs are veth pairs limited in both
/// directions; any NIC reaches any NIC. Root is not needed where the kernel allows user namespaces.
/// Nothing is left behind, however it ends.
///
/// Every PE gets RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT,
/// RAILTOP_NODE, RAILTOP_NICS (nic0=ADDRESS,...), RAILTOP_NIC_RATE_BPS and RAILTOP_JOB_SECRET. A
/// socket bound to a NIC's address uses that NIC. The lines of the PEs' stdout are passed on as they
/// are, those of stderr with the PE in front.
///
/// Exit code: 0 if every PE's was 0, else that of the first PE that failed (128 + signal if it was
/// killed); the others are then ended.
#[expect(clippy::doc_markdown, reason = "this text is the help in a terminal")]
#[derive(Args, Clone, Debug)]
pub struct LabArgs {
    /// Nodes
    #[arg(long, value_name = "N", default_value_t = 2, env = "RAILTOP_LAB_NODES",
          value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_NODES)))]
    pub nodes: u16,
    /// PEs (processes) on each node
    #[arg(long, value_name = "P", default_value_t = 4, env = "RAILTOP_LAB_PES_PER_NODE",
          value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_PES_PER_NODE)))]
    pub pes_per_node: u16,
    /// NICs of each PE, its own
    #[arg(long, value_name = "K", default_value_t = 4, env = "RAILTOP_LAB_NICS_PER_PE",
          value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_NICS_PER_PE)))]
    pub nics_per_pe: u16,
    /// Rate of each NIC in each direction, such as 200mbit or 1gbit, or none
    #[arg(long, value_name = "RATE", default_value = "200mbit", env = "RAILTOP_LAB_NIC_RATE",
          value_parser = parse_nic_rate)]
    pub nic_rate: NicRate,
    /// No namespaces: nodes are only names, each NIC a loopback address of its own, unlimited
    #[arg(long)]
    pub loopback: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `--nic-rate`: a rate or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NicRate(pub Option<Rate>);

/// Reads `--nic-rate`.
///
/// # Errors
/// If it is neither `none` nor a [`Rate`].
pub fn parse_nic_rate(text: &str) -> Result<NicRate, RateError> {
    if text == "none" { Ok(NicRate(None)) } else { text.parse().map(|rate| NicRate(Some(rate))) }
}

impl LabArgs {
    /// The lab they describe.
    #[must_use]
    pub fn spec(&self) -> LabSpec {
        LabSpec {
            nodes: self.nodes,
            pes_per_node: self.pes_per_node,
            nics_per_pe: self.nics_per_pe,
            nic_rate: self.nic_rate.0,
            mode: if self.loopback { LabMode::Loopback } else { LabMode::Namespaces },
        }
    }
}

/// Builds the lab, runs the command, and cleans up.
///
/// # Errors
/// If the lab cannot be built. A PE that fails is no error but its exit code.
pub fn run(args: LabArgs) -> anyhow::Result<ExitCode> {
    run_with_page_dir(args, None)
}

/// As [`run`], with the directory where the PEs shall put their counter pages: without root they are
/// root of a user namespace and would choose another default than a monitor outside.
///
/// # Errors
/// As [`run`].
pub fn run_with_page_dir(args: LabArgs, page_dir: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let spec = args.spec();
    if let Err(error) = spec.validate() {
        super::exit::say(&format!("railtop lab: {error}"));
        return Ok(ExitCode::from(USAGE));
    }
    let mut words = args.command.into_iter();
    let Some(program) = words.next() else {
        super::exit::say("railtop lab: no command after --");
        return Ok(ExitCode::from(USAGE));
    };
    let command = LabCommand { program, args: words.collect(), env: Vec::new() };

    let stop = StopHandle::new().context("cannot make a pipe")?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot catch signals")?;
    let signals_handle = signals.handle();
    let forwarder = {
        let stop = stop.clone();
        std::thread::spawn(move || signals.forever().for_each(|signal| stop.signal(signal)))
    };
    if spec.mode == LabMode::Loopback {
        super::exit::say(
            "railtop lab: loopback: no namespaces, NICs are loopback addresses without any limit",
        );
    }
    let result = Lab::up(spec).and_then(|mut lab| {
        lab.run(&command, RunOptions { stop: Some(stop), page_dir, ..RunOptions::default() })
    });
    signals_handle.close();
    // It has nothing left to do but to return; a panic there has been printed.
    let _ = forwarder.join();
    match result {
        Ok(outcome) => Ok(report(&outcome)),
        Err(error @ LabError::Spawn { .. }) => {
            super::exit::say(&format!("railtop lab: {error}"));
            Ok(ExitCode::from(spawn_exit_code(&error)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Says on stderr what went wrong, if anything did.
fn report(outcome: &RunOutcome) -> ExitCode {
    match outcome.ended {
        Ended::Failed(pe, exit) => {
            super::exit::say(&format!("railtop lab: PE {} on node{} {exit}", pe.rank, pe.node));
        }
        Ended::Signalled(number) => {
            let name = signal_hook::low_level::signal_name(number).unwrap_or("a signal");
            super::exit::say(&format!("railtop lab: ended by {name}"));
        }
        Ended::Succeeded | Ended::Stopped | Ended::OutputClosed => {}
    }
    ExitCode::from(outcome.exit_code())
}

/// A shell's codes: 127 for a program that is not there, 126 for one that cannot be run.
fn spawn_exit_code(error: &LabError) -> u8 {
    match error {
        LabError::Spawn { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound => 127,
        LabError::Spawn { .. } => 126,
        _ => 1,
    }
}
