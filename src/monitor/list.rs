//! What there is: NICs with their place in the machine, counter pages, and why something is missing.

mod processes;

use std::collections::BTreeSet;

use serde::Serialize;

pub use self::processes::{HolderEntry, HolderList, Moved};
use super::failover::tells;
use super::model::view::{Notice, SourceKind};
use super::sample::{Missing, PageSample, PageState, PortFacts, PortSample, Reading, Sample};
use super::table::{SelfCheck, self_check};

/// One port of one RDMA device, or one NIC of a PE, under the keys that `log` uses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct NicEntry {
    /// Device name.
    pub dev: String,
    /// Port.
    pub port: u8,
    /// Where its bytes come from: `sysfs` or `netlink` for a device, `netdev` for one that its network interface stands
    /// in for, `page` for a PE's NIC.
    pub source: &'static str,
    /// Job of the PE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Node of the PE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// PE number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pe: Option<u32>,
    /// Kernel driver, or libfabric provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// `ACTIVE`, `DOWN`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Line rate, bits per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_bps: Option<u64>,
    /// `InfiniBand`, `Ethernet`, `Unknown`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_layer: Option<String>,
    /// Network interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netdev: Option<String>,
    /// PCI address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pci: Option<String>,
    /// NUMA node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numa: Option<u16>,
    /// PCI addresses of the nearest GPUs; several when they are equally near.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpu: Vec<String>,
    /// Firmware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fw_ver: Option<String>,
    /// Counters that cannot be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<MissingEntry>,
    /// `LinkUp`, `Polling`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phys_state: Option<String>,
    /// Set where `rate_bps` is not what the kernel says, but set for this device or instance type.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rate_overridden: bool,
    /// `ok` or `off by …`: whether the totals are the sums of their parts. Absent where the driver has none such, a
    /// counter is missing, or traffic moved meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_check: Option<String>,
    /// Whether the PE does without the NIC because it has failed; absent where the page does not say, and for devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down: Option<bool>,
}

/// A counter that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingEntry {
    /// Canonical name (`tx_bytes`), or the file's own.
    pub counter: String,
    /// The file it should come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Why not.
    pub reason: String,
}

/// One PE of railtop's transport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeEntry {
    /// Job.
    pub job: String,
    /// Node.
    pub node: String,
    /// PE number.
    pub pe: u32,
    /// Process id, in its own namespace.
    pub pid: u32,
    /// What runs.
    pub command: String,
    /// libfabric provider.
    pub provider: String,
    /// NIC selection policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// How its received bytes are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_source: Option<String>,
    /// `alive`, `stalled`, `closed`, `dead`.
    pub state: &'static str,
    /// Its NICs, in the order of rails.
    pub nics: Vec<String>,
    /// Those of them that it does without because they have failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub down: Vec<String>,
}

/// A GPU.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct GpuEntry {
    /// The driver's index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Product name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// PCI address, as sysfs writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pci: Option<String>,
    /// Memory in use, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<u64>,
    /// Memory in all, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_total_bytes: Option<u64>,
    /// NVLinks that are up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nvlinks: Option<usize>,
    /// Bytes sent over all NVLinks since they began to count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nvlink_tx_bytes: Option<u64>,
    /// Bytes received over all NVLinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nvlink_rx_bytes: Option<u64>,
    /// Addresses of what the NVLinks lead to: other GPUs, or switches.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub nvlink_remotes: BTreeSet<String>,
    /// The devices of which this is the nearest GPU, or one of several equally near ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nics: Vec<String>,
    /// Why something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoticeEntry {
    /// With what.
    pub subject: String,
    /// What it is.
    pub text: String,
}

/// The whole list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// Host.
    pub host: String,
    /// Ports in natural order, then the PEs' NICs.
    pub nics: Vec<NicEntry>,
    /// PEs.
    pub pes: Vec<PeEntry>,
    /// GPUs: those that the NVIDIA driver shows, else those that NICs are near to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuEntry>,
    /// Why the GPUs have no names and memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus_reason: Option<String>,
    /// Who holds queue pairs, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holders: Option<HolderList>,
    /// What else is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<NoticeEntry>,
}

impl Inventory {
    /// The list of what `sample` saw.
    #[must_use]
    pub fn of(sample: &Sample, host: &str) -> Self {
        Self {
            host: host.to_owned(),
            nics: sample.ports.iter().map(nic).chain(sample.pages.iter().flat_map(page_nics)).collect(),
            pes: sample.pages.iter().map(pe).collect(),
            gpus: gpus(sample),
            gpus_reason: gpus_reason(sample),
            holders: processes::holders(sample),
            notices: sample.notices.iter().map(notice).collect(),
        }
    }

    /// Holds each device's totals against the sums of their parts, by two reads in a row, and says what is off.
    pub fn check_sums(&mut self, before: &Sample, after: &Sample) {
        for port in &after.ports {
            let same =
                |p: &&PortSample| p.facts.device == port.facts.device && p.facts.port == port.facts.port;
            let Some(Ok(then)) = before.ports.iter().find(same).map(|p| &p.reading) else { continue };
            let Ok(now) = &port.reading else { continue };
            let Some(result) = self_check(port.facts.driver.as_deref(), then, now) else { continue };
            let device = |nic: &&mut NicEntry| nic.dev == port.facts.device && nic.port == port.facts.port;
            if let Some(entry) = self.nics.iter_mut().filter(|nic| nic.pe.is_none()).find(device) {
                entry.self_check = Some(result.to_string());
            }
            if result != SelfCheck::Ok {
                let text = format!(
                    "its totals are not the sum of their parts ({result}): this device or driver counts otherwise than known"
                );
                self.notices.push(NoticeEntry { subject: port.facts.device.clone(), text });
            }
        }
    }
}

fn nic(port: &PortSample) -> NicEntry {
    let PortFacts { device, port: number, driver, netdev, pci, numa, .. } = port.facts.as_ref().clone();
    let missing = match &port.reading {
        Ok(reading) => missing(reading),
        Err(reason) => vec![MissingEntry { counter: "all".to_owned(), file: None, reason: reason.clone() }],
    };
    let facts = &port.facts;
    NicEntry {
        dev: device,
        port: number,
        source: port.source.name(),
        driver,
        state: facts.state.clone(),
        rate_bps: facts.link_bits_per_s,
        link_layer: facts.link_layer.clone(),
        netdev,
        pci,
        numa,
        gpu: facts.gpus.clone(),
        fw_ver: facts.fw_ver.clone(),
        phys_state: facts.phys_state.clone(),
        rate_overridden: facts.link_overridden,
        missing,
        ..NicEntry::default()
    }
}

/// The NICs of a PE.
fn page_nics(page: &PageSample) -> impl Iterator<Item = NicEntry> {
    page.nics.iter().map(|nic| NicEntry {
        dev: nic.device.clone(),
        port: nic.port.max(1),
        source: SourceKind::Page.name(),
        job: Some(page.job.clone()),
        node: Some(page.node.clone()),
        pe: Some(page.pe),
        driver: Some(page.provider.clone()),
        rate_bps: nic.link_bits_per_s,
        netdev: nic.netdev.clone(),
        pci: nic.pci.clone(),
        numa: nic.numa,
        gpu: page.gpu.iter().cloned().collect(),
        missing: missing(&nic.reading),
        down: nic.is_down().filter(|_| tells(page.state)),
        ..NicEntry::default()
    })
}

/// The driver's GPUs, then those that only the PCI tree shows.
fn gpus(sample: &Sample) -> Vec<GpuEntry> {
    let near = |pci: &str| {
        let near = sample.ports.iter().filter(|p| p.facts.gpus.iter().any(|gpu| gpu == pci));
        let mut names: Vec<String> = near.map(|p| p.facts.device.clone()).collect();
        names.dedup();
        names
    };
    let mut all: Vec<GpuEntry> = sample
        .gpus
        .iter()
        .flat_map(|gpus| &gpus.gpus)
        .map(|gpu| GpuEntry {
            index: Some(gpu.index),
            name: gpu.name.clone(),
            pci: gpu.pci.clone(),
            memory_used_bytes: gpu.memory_used_bytes,
            memory_total_bytes: gpu.memory_total_bytes,
            nvlinks: (!gpu.nvlinks.is_empty()).then(|| gpu.nvlinks.iter().filter(|link| link.active).count()),
            nvlink_tx_bytes: sum(gpu.nvlinks.iter().map(|link| link.tx_bytes)),
            nvlink_rx_bytes: sum(gpu.nvlinks.iter().map(|link| link.rx_bytes)),
            nvlink_remotes: gpu.nvlinks.iter().filter_map(|link| link.remote.clone()).collect(),
            nics: gpu.pci.as_deref().map(near).unwrap_or_default(),
            reason: gpu.reason.clone(),
        })
        .collect();
    let on_the_bus: BTreeSet<&String> = sample.ports.iter().flat_map(|p| &p.facts.gpus).collect();
    for pci in on_the_bus {
        if all.iter().all(|gpu| gpu.pci.as_ref() != Some(pci)) {
            all.push(GpuEntry { pci: Some(pci.clone()), nics: near(pci), ..GpuEntry::default() });
        }
    }
    all
}

/// Over those that are known; `None` when none is.
fn sum(bytes: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    bytes.flatten().reduce(u64::saturating_add)
}

/// Why the driver shows no GPU, where the PCI tree shows one: elsewhere nobody misses them.
fn gpus_reason(sample: &Sample) -> Option<String> {
    let reason = sample.gpus.as_ref()?.nothing.clone()?;
    sample.ports.iter().any(|p| !p.facts.gpus.is_empty()).then_some(reason)
}

fn missing(reading: &Reading) -> Vec<MissingEntry> {
    let entry = |m: &Missing| MissingEntry {
        counter: m.counter.clone(),
        file: m.place.clone(),
        reason: m.reason.clone(),
    };
    reading.missing.iter().map(entry).collect()
}

fn pe(page: &PageSample) -> PeEntry {
    PeEntry {
        job: page.job.clone(),
        node: page.node.clone(),
        pe: page.pe,
        pid: page.pid,
        command: page.command.clone(),
        provider: page.provider.clone(),
        policy: page.policy.clone(),
        rx_source: page.rx_source.clone(),
        state: match page.state {
            PageState::Alive => "alive",
            PageState::Stalled => "stalled",
            PageState::Closed => "closed",
            PageState::Dead => "dead",
        },
        nics: page.nics.iter().map(|n| n.device.clone()).collect(),
        down: page
            .nics
            .iter()
            .filter(|n| tells(page.state) && n.is_down() == Some(true))
            .map(|n| n.device.clone())
            .collect(),
    }
}

fn notice(notice: &Notice) -> NoticeEntry {
    NoticeEntry { subject: notice.subject.clone(), text: notice.text.clone() }
}
