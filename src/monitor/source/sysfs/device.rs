//! One device: what it is, and its ports.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::root::Root;
use super::topology::{self, Gpu};
use super::{CLASS, port::PortReader};
use crate::monitor::model::view::SourceKind;
use crate::monitor::sample::{Missing, PortFacts, PortSample, Reading};
use crate::text::printable;

/// A port's number: only as the kernel writes it, so that `01` and `+1` are no second port 1.
fn port_number(name: &str) -> Option<u8> {
    name.parse().ok().filter(|number: &u8| number.to_string() == name)
}

/// What the system says about a directory, with the errno in it.
fn io_reason(error: &io::Error) -> String {
    format!("cannot list the ports: {error}")
}

/// How long link rate, state and the list of ports are taken as unchanged.
const FACTS_HOLD: Duration = Duration::from_secs(2);

/// Reads one device. Lives on the device's own thread.
#[derive(Debug)]
pub(super) struct DeviceReader {
    root: Arc<Root>,
    gpus: Arc<Vec<Gpu>>,
    name: String,
    ports: Vec<PortReader>,
    /// Why the list of ports could not be read, where it could not.
    no_ports: Option<String>,
    /// When facts were last read.
    looked: Option<Instant>,
}

impl DeviceReader {
    pub(super) fn new(root: Arc<Root>, gpus: Arc<Vec<Gpu>>, name: String) -> Self {
        Self { root, gpus, name, ports: Vec::new(), no_ports: None, looked: None }
    }

    /// Reads all ports.
    pub(super) fn read(&mut self) -> Vec<PortSample> {
        if self.looked.is_none_or(|t| t.elapsed() >= FACTS_HOLD) {
            self.look();
            self.looked = Some(Instant::now());
        }
        if self.ports.is_empty() {
            return vec![self.no_port()];
        }
        let samples: Vec<PortSample> = self.ports.iter_mut().map(|p| p.read(&self.root)).collect();
        if samples.iter().any(|s| s.reading.as_ref().is_ok_and(|r| r.traffic.is_unknown())) {
            // Something changed or never was there: look again at the next read.
            self.looked = None;
        }
        samples
    }

    /// Reads what changes seldom, and keeps the open files of ports that are still there.
    fn look(&mut self) {
        let dir = self.dir();
        let listed = self.root.list(dir.join("ports"));
        self.no_ports = listed.as_ref().err().filter(|e| e.kind() != io::ErrorKind::NotFound).map(io_reason);
        let mut numbers: Vec<u8> = listed.unwrap_or_default().iter().filter_map(|n| port_number(n)).collect();
        numbers.sort_unstable();
        let mut before = std::mem::take(&mut self.ports);
        for number in numbers {
            let facts = Arc::new(self.facts(number));
            let known = before.iter().position(|p| p.port() == number);
            let mut port = known.map_or_else(
                || PortReader::new(dir.join(format!("ports/{number}")), Arc::clone(&facts)),
                |i| before.swap_remove(i),
            );
            port.look(&self.root, facts);
            self.ports.push(port);
        }
    }

    fn dir(&self) -> PathBuf {
        PathBuf::from(CLASS).join(&self.name)
    }

    /// A device without a readable port is still a row.
    fn no_port(&self) -> PortSample {
        let place = Some(format!("{CLASS}/{}/ports", printable(&self.name)));
        let reason = self.no_ports.clone().unwrap_or_else(|| "the device shows no port".to_owned());
        let missing = vec![Missing { counter: "ports".to_owned(), place, reason }];
        let mono_ns = crate::monitor::clock::mono_ns();
        PortSample {
            facts: Arc::new(PortFacts { port: 1, ..self.facts(1) }),
            source: SourceKind::Sysfs,
            reading: Ok(Reading { mono_ns, missing, ..Reading::default() }),
        }
    }

    fn facts(&self, port: u8) -> PortFacts {
        let dir = self.dir();
        let text = |path: String| self.root.text(dir.join(path)).map(|t| printable(&t));
        let resolved = self.root.resolve(dir.join("device")).ok();
        let uevent = self.root.text(dir.join("device/uevent")).unwrap_or_default();
        let pci = resolved
            .as_deref()
            .and_then(|p| p.file_name())
            .map(|n| n.to_string_lossy().into_owned())
            .filter(|name| topology::is_address(name))
            .or_else(|| uevent_value(&uevent, "PCI_SLOT_NAME").filter(|name| topology::is_address(name)));
        let mut pci_path = resolved.as_deref().map(topology::pci_path).unwrap_or_default();
        if pci_path.is_empty() {
            let slot = pci.as_deref().map(|pci| format!("bus/pci/devices/{pci}"));
            let slot = slot.and_then(|s| self.root.resolve(s).ok());
            pci_path = slot.as_deref().map(topology::pci_path).unwrap_or_default();
        }
        let mut netdevs = self.root.list(dir.join("device/net")).unwrap_or_default();
        netdevs.sort();
        PortFacts {
            device: printable(&self.name),
            port,
            driver: self.driver(&uevent),
            netdev: netdevs.first().map(|n| printable(n)),
            pci,
            numa: text("device/numa_node".to_owned()).and_then(|n| n.parse().ok()),
            link_bits_per_s: text(format!("ports/{port}/rate")).and_then(|r| link_rate(&r)),
            link_overridden: false,
            link_layer: text(format!("ports/{port}/link_layer")),
            state: text(format!("ports/{port}/state")).map(|s| state_word(&s)),
            phys_state: text(format!("ports/{port}/phys_state")).map(|s| state_word(&s)),
            fw_ver: text("fw_ver".to_owned()),
            gpus: topology::nearest(&pci_path, &self.gpus),
            gpus_in_all: self.gpus.len(),
        }
    }

    /// The driver: what `device/driver` points to, else what `uevent` says, else what the name suggests.
    ///
    /// A name alone is weak evidence (rdma-core renames devices), so it comes last.
    fn driver(&self, uevent: &str) -> Option<String> {
        self.root
            .link_name(self.dir().join("device/driver"))
            .or_else(|| uevent_value(uevent, "DRIVER"))
            .map(|d| printable(&d))
            .or_else(|| driver_from_name(&self.name).map(str::to_owned))
    }
}

/// The value of `KEY=value` in a uevent file.
fn uevent_value(uevent: &str, key: &str) -> Option<String> {
    uevent.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
}

/// What the kernel's own naming scheme says: `efa_0`, `mlx5_0`.
fn driver_from_name(name: &str) -> Option<&'static str> {
    match name.split_once('_')? {
        ("efa", _) => Some("efa"),
        ("mlx5", _) => Some("mlx5_core"),
        _ => None,
    }
}

/// Bits per second from `100 Gb/sec (4X EDR)`. Only the leading number counts: EFA drivers make the rest up.
fn link_rate(text: &str) -> Option<u64> {
    let (number, unit) = text.split_once(' ')?;
    if !unit.starts_with("Gb/sec") {
        return None;
    }
    let tenths = match number.split_once('.') {
        // "2.5": the kernel writes at most one decimal.
        Some((whole, tenth)) if tenth.len() == 1 => {
            whole.parse::<u64>().ok()?.checked_mul(10)?.checked_add(tenth.parse().ok()?)?
        }
        Some(_) => return None,
        None => number.parse::<u64>().ok()?.checked_mul(10)?,
    };
    tenths.checked_mul(100_000_000).filter(|&rate| rate > 0)
}

/// `ACTIVE` from `4: ACTIVE`.
fn state_word(text: &str) -> String {
    text.split_once(": ").map_or(text, |(_, word)| word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("100 Gb/sec (4X EDR)", Some(100_000_000_000))]
    #[test_case("2.5 Gb/sec (1X SDR)", Some(2_500_000_000))]
    #[test_case("400 Gb/sec (8X HDR)", Some(400_000_000_000))]
    #[test_case("0 Gb/sec", None)]
    #[test_case("100", None)]
    #[test_case("99999999999999999999 Gb/sec", None)]
    #[test_case("-1 Gb/sec", None)]
    fn reads_the_leading_number(text: &str, rate: Option<u64>) {
        assert_eq!(link_rate(text), rate);
    }
}
