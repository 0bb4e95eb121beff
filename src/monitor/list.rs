//! What there is: NICs with their place in the machine, counter pages, and why something is missing.

use serde::Serialize;

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
        ..NicEntry::default()
    })
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
    }
}

fn notice(notice: &Notice) -> NoticeEntry {
    NoticeEntry { subject: notice.subject.clone(), text: notice.text.clone() }
}
