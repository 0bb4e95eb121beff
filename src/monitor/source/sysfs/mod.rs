//! RDMA devices in sysfs: `class/infiniband/<device>/ports/<n>/{counters,hw_counters}`.
//!
//! A device that hangs (an EFA admin command may take 30 s) holds whoever reads it, so threads of their own read, mostly
//! one for all devices; when it is held, others take over (`crew`). The thread that asks waits until a deadline and goes
//! on with what has answered.
//!
//! On the kernel's own sysfs files stay open and nothing is listed that did not say it changed: a tick is one `pread` per
//! counter that is shown. Device-level `hw_counters` are opened only where that is safe: inside a network namespace some
//! kernels crash on it.

mod crew;
mod device;
mod driver;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod machine;
mod netdev;
mod pool;
mod port;
mod root;
mod topology;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub use file::ReadError;
pub use machine::Machine;
pub use root::Root;
pub use topology::Gpu;

use super::super::glob::Glob;
use super::super::model::view::Notice;
use super::super::natural;
use super::super::sample::{Needs, PortSample};
use crate::text::printable;
use device::DeviceReader;
use pool::{MakeReader, Pool};

/// Where RDMA devices are listed.
const CLASS: &str = "class/infiniband";
/// Where a machine without RDMA drivers has no such directory, and nothing is wrong with that.
const DEFAULT_ROOT: &str = "/sys";

/// How long the list of devices is taken as unchanged, where a device that goes says so itself.
const LIST_HOLD: Duration = Duration::from_secs(5);

/// The sysfs source.
#[derive(Debug)]
pub struct SysfsSource {
    root: Arc<Root>,
    device: Option<Glob>,
    pool: Pool,
    needs: Needs,
    /// The names that were listed last, and when.
    listed: Option<(Vec<String>, Instant)>,
    /// The ports whose last answer had no traffic in it.
    silent: HashSet<(String, u8)>,
}

/// What one round of reads gave.
#[derive(Debug, Default)]
pub struct SysfsSample {
    /// Ports in natural order of their devices.
    pub ports: Vec<PortSample>,
    /// Why there is no device, when there is none.
    pub nothing: Option<String>,
    /// The same, where it is not simply that this machine has none.
    pub notice: Option<Notice>,
}

impl SysfsSource {
    /// Reads below `root` (`/sys`, a host's `/sys` mounted elsewhere, or a fixture), only devices that match `device`.
    /// `line_rates` are taken for the line rates of devices that match, whatever the kernel says.
    #[must_use]
    pub fn new(root: PathBuf, device: Option<Glob>, line_rates: Vec<(Glob, u64)>) -> Self {
        let root = Arc::new(Root::new(root));
        let pool = Pool::new(reader_of(Arc::clone(&root), line_rates));
        Self { pool, root, device, needs: Needs::everything(), listed: None, silent: HashSet::new() }
    }

    /// From now on only this is read.
    pub fn set_needs(&mut self, needs: Needs) {
        self.needs = needs;
    }

    /// Devices came or went: list them at the next read.
    pub fn list_again(&mut self) {
        self.listed = None;
    }

    /// Begins anew with a device that has another name, or got this one: open files stay those of the device.
    pub fn forget(&mut self, device: &str) {
        self.pool.forget(device);
    }

    /// Reads every device once, in parallel; a device that has not answered within `deadline` is reported as such.
    pub fn read(&mut self, deadline: Duration) -> SysfsSample {
        match self.wanted() {
            Ok(wanted) => SysfsSample { ports: self.read_these(&wanted, deadline), ..SysfsSample::default() },
            Err(nothing) => nothing,
        }
    }

    /// The devices that match, in natural order.
    ///
    /// # Errors
    /// Says why there is none.
    pub fn wanted(&mut self) -> Result<Vec<String>, SysfsSample> {
        let all = match self.devices() {
            Ok(all) => all,
            Err((kind, reason)) => {
                self.pool.keep_only(&[]);
                let subject = printable(&self.root.full(CLASS).to_string_lossy());
                let usual = kind == io::ErrorKind::NotFound && self.root.full("") == Path::new(DEFAULT_ROOT);
                let notice = (!usual).then(|| Notice { subject, text: reason.clone() });
                return Err(SysfsSample { ports: Vec::new(), nothing: Some(reason), notice });
            }
        };
        let wanted: Vec<String> =
            all.iter().filter(|d| self.device.as_ref().is_none_or(|g| g.matches(d))).cloned().collect();
        self.pool.keep_only(&wanted);
        if wanted.is_empty() {
            let nothing = match all.len() {
                0 => format!(
                    "no RDMA device: {} is empty (a driver is loaded and has found no NIC: `dmesg` may say why)",
                    printable(&self.root.full(CLASS).to_string_lossy())
                ),
                n => format!("no RDMA device matches --device ({n} there: {})", printable(&all.join(", "))),
            };
            return Err(SysfsSample { nothing: Some(nothing), ..SysfsSample::default() });
        }
        Ok(wanted)
    }

    /// Reads some of the [`wanted`](Self::wanted) devices once, in parallel, as [`read`](Self::read) does.
    pub fn read_these(&mut self, devices: &[String], deadline: Duration) -> Vec<PortSample> {
        let mut ports = self.pool.read(devices, self.needs, deadline);
        let mut silent = HashSet::new();
        for port in &ports {
            if port.reading.as_ref().is_ok_and(|r| r.traffic.is_unknown()) {
                silent.insert((port.facts.device.clone(), port.facts.port));
            }
        }
        let fell_silent = silent.difference(&self.silent).next().is_some();
        self.silent = silent;
        if self.root.is_stable() && (fell_silent || ports.iter().any(|p| p.reading.is_err())) {
            // Perhaps it is gone: see at once, so that its row says that and not that a file does not exist. One that
            // never counts, as a port without a cable, is no reason to look at every tick.
            self.listed = None;
            let names = self.devices().unwrap_or_default();
            let gone: Vec<String> =
                devices.iter().filter(|d| !names.contains(d)).map(|d| printable(d)).collect();
            ports.retain(|p| !gone.contains(&p.facts.device));
        }
        ports
    }

    /// Whether there is a list of RDMA devices, which there is not before the RDMA core is loaded.
    #[must_use]
    pub fn has_class(&self) -> bool {
        self.listed.is_some() || self.root.full(CLASS).is_dir()
    }

    /// Whether the tree is the running kernel's own, and no copy.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.root.is_kernels()
    }

    /// The device names, from the last list where that is not old.
    fn devices(&mut self) -> Result<Vec<String>, (io::ErrorKind, String)> {
        if let Some((names, at)) = &self.listed
            && self.root.is_stable()
            && !names.is_empty()
            && at.elapsed() < LIST_HOLD
        {
            return Ok(names.clone());
        }
        self.listed = None;
        let names = self.list()?;
        self.listed = Some((names.clone(), Instant::now()));
        Ok(names)
    }

    /// The device names, in natural order; or why there are none.
    fn list(&self) -> Result<Vec<String>, (io::ErrorKind, String)> {
        let place = self.root.full(CLASS);
        let place = printable(&place.to_string_lossy());
        let mut names = self.root.list(CLASS).map_err(|e| (e.kind(), match e.kind() {
            io::ErrorKind::NotFound if !self.root.full("").is_dir() => format!(
                "no RDMA device: there is no directory {} (--sysfs-root)",
                printable(&self.root.full("").to_string_lossy())
            ),
            io::ErrorKind::NotFound => format!(
                "no RDMA device: {place} does not exist (no RDMA driver is loaded; try `modprobe efa` or \
                 `modprobe mlx5_ib`, or in a container mount the host's /sys and name it with --sysfs-root)"
            ),
            io::ErrorKind::PermissionDenied => format!("no RDMA device: no permission to read {place}"),
            _ => format!("no RDMA device: {place}: {e}"),
        }))?;
        names.sort_by(|a, b| natural::compare(a, b));
        Ok(names)
    }

    /// The GPUs that the same tree shows.
    #[must_use]
    pub fn gpus(&self) -> Vec<Gpu> {
        topology::gpus(&self.root)
    }
}

/// Makes device readers that share what is known of the machine, found out when the first device is there.
fn reader_of(root: Arc<Root>, line_rates: Vec<(Glob, u64)>) -> MakeReader {
    let machine: OnceLock<Arc<Machine>> = OnceLock::new();
    Box::new(move |device| {
        let machine = machine.get_or_init(|| Arc::new(Machine::of(&root, line_rates.clone())));
        let mut reader = DeviceReader::new(Arc::clone(&root), Arc::clone(machine), device.to_owned());
        Box::new(move |needs| reader.read(needs))
    })
}

#[cfg(test)]
mod tests;
