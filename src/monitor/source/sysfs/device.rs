//! One device: what it is, and its ports.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::driver;
use super::file::TextFile;
use super::root::Root;
use super::topology;
use super::{CLASS, Machine, port::PortReader};
use crate::monitor::clock;
use crate::monitor::model::view::SourceKind;
use crate::monitor::sample::{Missing, Needs, PortFacts, PortSample, Reading};
use crate::monitor::table;
use crate::text::printable;

/// A port's number: only as the kernel writes it, so that `01` and `+1` are no second port 1.
fn port_number(name: &str) -> Option<u8> {
    name.parse().ok().filter(|number: &u8| number.to_string() == name)
}

/// What the system says about a directory, with the errno in it.
fn io_reason(error: &io::Error) -> String {
    format!("cannot list the ports: {error}")
}

/// How long state and rate of a link are taken as unchanged.
const STATE_HOLD: Duration = Duration::from_secs(2);
/// The same, where the driver says the same at all times.
const CONSTANT_STATE_HOLD: Duration = Duration::from_secs(20);
/// How long a device of which nothing counts is left alone before its directories are listed again.
const SILENT_HOLD: Duration = Duration::from_secs(2);
/// The same, where some of its ports count.
const PARTLY_SILENT_HOLD: Duration = Duration::from_secs(60);

/// The files of a port that tell whether its facts are still true.
#[derive(Debug)]
struct Pulse {
    files: Vec<TextFile>,
    last: Vec<Option<String>>,
}

impl Pulse {
    fn new(port: &std::path::Path, constant_state: bool) -> Self {
        let names: &[&str] = if constant_state { &["state"] } else { &["state", "phys_state", "rate"] };
        Self { files: names.iter().map(|n| TextFile::new(port.join(n))).collect(), last: Vec::new() }
    }

    /// Whether something changed since the last call; not at the first.
    fn changed(&mut self, root: &Root) -> bool {
        let now: Vec<_> = self.files.iter_mut().map(|f| f.read(root)).collect();
        let first = self.last.is_empty();
        let same = first || now == self.last;
        self.last = now;
        !same
    }
}

/// Reads one device. Lives on the device's own thread.
#[derive(Debug)]
pub(super) struct DeviceReader {
    root: Arc<Root>,
    machine: Arc<Machine>,
    name: String,
    ports: Vec<Watched>,
    /// Why the list of ports could not be read, where it could not.
    no_ports: Option<String>,
    /// When everything was last looked at; `None` = do it at the next read.
    looked: Option<Instant>,
    /// When the ports' state was last looked at.
    felt: Instant,
    constant_state: bool,
}

/// A port.
#[derive(Debug)]
struct Watched {
    reader: PortReader,
    pulse: Pulse,
    /// It counted something at the last read.
    counts: bool,
}

impl DeviceReader {
    pub(super) fn new(root: Arc<Root>, machine: Arc<Machine>, name: String) -> Self {
        Self {
            root,
            machine,
            name,
            ports: Vec::new(),
            no_ports: None,
            looked: None,
            felt: Instant::now(),
            constant_state: false,
        }
    }

    /// Reads all ports.
    pub(super) fn read(&mut self, needs: Needs) -> Vec<PortSample> {
        if self.must_look() {
            self.look();
            self.looked = Some(Instant::now());
        }
        if self.ports.is_empty() {
            return vec![self.no_port()];
        }
        let mut samples = Vec::with_capacity(self.ports.len());
        for port in &mut self.ports {
            let sample = port.reader.read(&self.root, needs);
            let counts = sample.reading.as_ref().is_ok_and(|r| !r.traffic.is_unknown());
            if std::mem::replace(&mut port.counts, counts) && !counts {
                // Something that was there is not: look again at the next read.
                self.looked = None;
            }
            samples.push(sample);
        }
        samples
    }

    /// Whether everything about the device has to be looked at: at first, when a file says something else, or when the
    /// device's answers said so. Directories of a device that goes on answering are not listed.
    fn must_look(&mut self) -> bool {
        let Some(looked) = self.looked else { return true };
        let silent = self.ports.iter().filter(|port| !port.counts).count();
        // Where another port of the device counts, the driver is there, and one without a cable may stay silent.
        let look_after = match silent {
            _ if !self.root.is_stable() => Some(SILENT_HOLD),
            0 if !self.ports.is_empty() => None,
            some if some < self.ports.len() => Some(PARTLY_SILENT_HOLD),
            _ => Some(SILENT_HOLD),
        };
        match look_after.map(|hold| looked.elapsed() >= hold) {
            Some(true) => return true,
            Some(false) if silent == self.ports.len() || !self.root.is_stable() => return false,
            _ => {}
        }
        let hold = if self.constant_state { CONSTANT_STATE_HOLD } else { STATE_HOLD };
        if self.felt.elapsed() < hold {
            return false;
        }
        self.felt = Instant::now();
        // Not `any`, which would leave out the ports behind the first that changed.
        let changed = self.ports.iter_mut().filter_map(|p| p.pulse.changed(&self.root).then_some(())).count();
        changed > 0
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
            let known = before.iter().position(|p| p.reader.port() == number).map(|i| before.swap_remove(i));
            let (known, pulse, counts) = match known {
                Some(port) => (Some(port.reader), port.pulse, port.counts),
                None => (None, self.pulse(number), false),
            };
            let facts = Arc::new(self.facts(number));
            self.constant_state = table::of(facts.driver.as_deref()).constant_state;
            let mut reader = known.unwrap_or_else(|| PortReader::new(dir.clone(), Arc::clone(&facts)));
            reader.look(&self.root, facts);
            self.ports.push(Watched { reader, pulse, counts });
        }
    }

    /// The pulse of a new port, felt once. The facts are read after that: a link that goes down before its pulse is felt
    /// for the first time would else be down ever since, and so never change.
    fn pulse(&self, port: u8) -> Pulse {
        let dir = self.dir();
        let uevent = self.root.text(dir.join("device/uevent")).unwrap_or_default();
        let driver = driver::of(&self.root, &dir, port, &uevent);
        let constant_state = table::of(driver.as_deref()).constant_state;
        let mut pulse = Pulse::new(&dir.join(format!("ports/{port}")), constant_state);
        pulse.changed(&self.root);
        pulse
    }

    fn dir(&self) -> PathBuf {
        PathBuf::from(CLASS).join(&self.name)
    }

    /// A device without a readable port is still a row.
    fn no_port(&self) -> PortSample {
        let place = Some(format!("{CLASS}/{}/ports", printable(&self.name)));
        let reason = self.no_ports.clone().unwrap_or_else(|| "the device shows no port".to_owned());
        let missing = vec![Missing { counter: "ports".to_owned(), place, reason }];
        PortSample {
            facts: Arc::new(PortFacts { port: 1, ..self.facts(1) }),
            source: SourceKind::Sysfs,
            reading: Ok(Reading { mono_ns: clock::mono_ns(), missing, ..Reading::default() }),
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
            .or_else(|| {
                driver::uevent_value(&uevent, "PCI_SLOT_NAME").filter(|name| topology::is_address(name))
            });
        let mut pci_path = resolved.as_deref().map(topology::pci_path).unwrap_or_default();
        if pci_path.is_empty() {
            let slot = pci.as_deref().map(|pci| format!("bus/pci/devices/{pci}"));
            let slot = slot.and_then(|s| self.root.resolve(s).ok());
            pci_path = slot.as_deref().map(topology::pci_path).unwrap_or_default();
        }
        let driver = driver::of(&self.root, &dir, port, &uevent);
        let link = self.machine.link_rate(
            &self.name,
            driver.as_deref(),
            text(format!("ports/{port}/rate")).and_then(|r| link_rate(&r)),
        );
        PortFacts {
            device: printable(&self.name),
            port,
            driver,
            netdev: self.netdev(port),
            pci,
            numa: text("device/numa_node".to_owned()).and_then(|n| n.parse().ok()),
            link_bits_per_s: link.0,
            link_overridden: link.1,
            link_layer: text(format!("ports/{port}/link_layer")),
            state: text(format!("ports/{port}/state")).map(|s| state_word(&s)),
            phys_state: text(format!("ports/{port}/phys_state")).map(|s| state_word(&s)),
            fw_ver: text("fw_ver".to_owned()),
            gpus: topology::nearest(&pci_path, &self.machine.gpus),
            gpus_in_all: self.machine.gpus.len(),
        }
    }

    /// The port's network interface: the device's, the one of its first address, or the one it was made on.
    fn netdev(&self, port: u8) -> Option<String> {
        let dir = self.dir();
        let mut listed = self.root.list(dir.join("device/net")).unwrap_or_default();
        listed.sort();
        let first = || self.root.text(dir.join(format!("ports/{port}/gid_attrs/ndevs/0")));
        let parent = || self.root.text(dir.join("parent"));
        listed
            .into_iter()
            .next()
            .or_else(first)
            .or_else(parent)
            .map(|n| printable(&n))
            .filter(|n| is_interface(n))
    }
}

/// Whether a name can be a network interface's (`dev_valid_name` in the kernel), and no way out of a directory.
pub(super) fn is_interface(name: &str) -> bool {
    name.len() < 16
        && !matches!(name, "." | "..")
        && !name.chars().any(|c| c == '/' || c == ':' || c.is_whitespace())
}

/// Bits per second from `100 Gb/sec (4X EDR)`. Only the leading number counts: EFA drivers make the rest up.
pub(super) fn link_rate(text: &str) -> Option<u64> {
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
pub(super) fn state_word(text: &str) -> String {
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

    /// A device of which the second port, if there is one, counts nothing; returns a reader that has looked once.
    fn device_of(ports: u8) -> (tempfile::TempDir, Arc<Root>, DeviceReader) {
        let dir = tempfile::tempdir().unwrap();
        for port in 1..=ports {
            let port = dir.path().join(CLASS).join(format!("mlx5_0/ports/{port}"));
            std::fs::create_dir_all(port.join("counters")).unwrap();
            std::fs::write(port.join("state"), "4: ACTIVE\n").unwrap();
        }
        for name in ["port_xmit_data", "port_rcv_data"] {
            std::fs::write(dir.path().join(CLASS).join("mlx5_0/ports/1/counters").join(name), "1\n").unwrap();
        }
        std::fs::write(dir.path().join(crate::monitor::source::sysfs::root::STABLE), "").unwrap();
        let root = Arc::new(Root::new(dir.path().to_owned()));
        let machine = Arc::new(Machine::of(&root, Vec::new()));
        let mut device = DeviceReader::new(Arc::clone(&root), machine, "mlx5_0".to_owned());
        device.read(Needs::list());
        (dir, root, device)
    }

    /// Whether a read `after` the last look lists directories.
    fn lists(device: &mut DeviceReader, root: &Root, after: Duration) -> bool {
        device.looked = Instant::now().checked_sub(after);
        root.touched.lock().unwrap().clear();
        device.read(Needs::list());
        root.touched.lock().unwrap().iter().any(|path| path.ends_with("ports"))
    }

    #[test]
    fn a_silent_port_beside_one_that_counts_is_looked_for_seldom() {
        let (dir, root, mut device) = device_of(2);
        assert!(!lists(&mut device, &root, SILENT_HOLD));
        assert!(lists(&mut device, &root, PARTLY_SILENT_HOLD));
        let (_whole_dir, whole_root, mut whole) = device_of(1);
        assert!(!lists(&mut whole, &whole_root, PARTLY_SILENT_HOLD), "it goes on answering");
        // What has fallen silent is looked for at once, and then no more often than what always was.
        for name in ["port_xmit_data", "port_rcv_data"] {
            std::fs::write(dir.path().join(CLASS).join("mlx5_0/ports/1/counters").join(name), "").unwrap();
        }
        device.read(Needs::list());
        assert!(device.looked.is_none());
        device.read(Needs::list());
        assert!(device.looked.is_some());
        assert!(!lists(&mut device, &root, SILENT_HOLD / 2));
        assert!(lists(&mut device, &root, SILENT_HOLD));
    }

    #[test]
    fn a_link_that_goes_down_right_after_the_first_read_is_seen_the_next_time_its_pulse_is_felt() {
        let dir = tempfile::tempdir().unwrap();
        let port = dir.path().join(CLASS).join("mlx5_0/ports/1");
        std::fs::create_dir_all(port.join("hw_counters")).unwrap();
        std::fs::create_dir_all(port.join("counters")).unwrap();
        std::fs::write(dir.path().join(crate::monitor::source::sysfs::root::STABLE), "").unwrap();
        for name in ["port_xmit_data", "port_rcv_data", "port_xmit_packets", "port_rcv_packets"] {
            std::fs::write(port.join("counters").join(name), "1\n").unwrap();
        }
        let state = |word: &str| std::fs::write(port.join("state"), word).unwrap();
        state("4: ACTIVE\n");
        let root = Arc::new(Root::new(dir.path().to_owned()));
        let machine = Arc::new(Machine::of(&root, Vec::new()));
        let mut device = DeviceReader::new(root, machine, "mlx5_0".to_owned());
        assert_eq!(device.read(Needs::everything())[0].facts.state.as_deref(), Some("ACTIVE"));
        state("1: DOWN\n");
        device.felt = Instant::now().checked_sub(STATE_HOLD).unwrap();
        assert_eq!(device.read(Needs::everything())[0].facts.state.as_deref(), Some("DOWN"));
    }
}
