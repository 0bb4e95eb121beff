//! Where and how a benchmark runs: what its figures say nothing without.

use std::collections::BTreeSet;
use std::fs;

use serde::Serialize;

use crate::text::printable;
use crate::transport::pe::{IntraNode, Pe};

/// The facts of a run, as its results begin with them. What is not known is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scene {
    /// When it began, RFC 3339.
    pub started: String,
    /// Of railtop.
    pub version: &'static str,
    /// The command line of PE 0.
    pub command: Vec<String>,
    /// Host of PE 0.
    pub host: String,
    /// Release of its kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Model of its processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Cores that PE 0 may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<usize>,
    /// PE 0's GPU, where one posts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// libfabric's provider.
    pub provider: String,
    /// libfabric's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub libfabric: Option<String>,
    /// Nodes of the job.
    pub nodes: usize,
    /// PEs of the job.
    pub pes: u32,
    /// NICs of PE 0.
    pub nics_per_pe: usize,
    /// Line rate of PE 0's NICs in bits per second, where it is known and all have the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nic_bits_per_s: Option<u64>,
    /// `nic` where PEs of a node reach each other over NICs, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intra_node: Option<&'static str>,
}

impl Scene {
    /// Of the job that this PE belongs to; `gpu` is the name of the one that posts.
    #[must_use]
    pub fn of(pe: &Pe, gpu: Option<String>) -> Self {
        let nodes: BTreeSet<&str> = (0..pe.world()).map(|other| pe.node_of(other)).collect();
        let rate = pe.nics().first().and_then(|nic| nic.link_bits_per_s);
        let system = nix::sys::utsname::uname().ok();
        let text = |text: &std::ffi::OsStr| printable(&text.to_string_lossy());
        let library = libfabric_sys::Libfabric::load().ok().map(|library| library.version());
        Self {
            started: jiff::Timestamp::now().to_string(),
            version: env!("CARGO_PKG_VERSION"),
            command: std::env::args_os().map(|word| text(&word)).collect(),
            host: system.as_ref().map_or_else(|| "unknown".to_owned(), |system| text(system.nodename())),
            kernel: system.as_ref().map(|system| text(system.release())),
            cpu: fs::read_to_string("/proc/cpuinfo").ok().as_deref().and_then(model),
            cores: std::thread::available_parallelism().ok().map(usize::from),
            gpu: gpu.map(|name| printable(&name)),
            provider: printable(pe.provider()),
            libfabric: library.map(|(major, minor)| format!("{major}.{minor}")),
            nodes: nodes.len(),
            pes: pe.world(),
            nics_per_pe: pe.nics().len(),
            nic_bits_per_s: rate.filter(|_| pe.nics().iter().all(|nic| nic.link_bits_per_s == rate)),
            intra_node: (pe.intra_node() == IntraNode::Nic).then_some("nic"),
        }
    }
}

/// The processor's model in `/proc/cpuinfo`; other architectures than x86 have none.
fn model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(printable(line.split_once(':')?.1.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_processors_model() {
        let x86 = "processor\t: 0\nmodel name\t: AMD EPYC 9R14\nflags\t: fpu";
        assert_eq!(model(x86).as_deref(), Some("AMD EPYC 9R14"));
        assert_eq!(model("processor\t: 0\nCPU part\t: 0xd4f\n"), None);
    }
}
