//! RDMA devices in sysfs: `class/infiniband/<device>/ports/<n>/{counters,hw_counters}`.
//!
//! One thread per device does all of that device's I/O, because a device that hangs (an EFA admin command may take
//! 30 s) holds whoever reads it. The thread that asks waits until a deadline and goes on with what has answered.
//!
//! Device-level `hw_counters` are never opened: inside a network namespace some kernels crash on it.

mod device;
mod file;
mod port;
mod root;
mod table;
mod topology;
mod worker;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::sys::statfs::{SYSFS_MAGIC, statfs};

pub use file::ReadError;
pub use root::Root;
pub use topology::Gpu;

use super::super::glob::Glob;
use super::super::model::view::Notice;
use super::super::natural;
use super::super::sample::PortSample;
use crate::text::printable;
use device::DeviceReader;
use worker::{MakeReader, Pool};

/// Where RDMA devices are listed.
const CLASS: &str = "class/infiniband";
/// Where a machine without RDMA drivers has no such directory, and nothing is wrong with that.
const DEFAULT_ROOT: &str = "/sys";

/// The sysfs source.
#[derive(Debug)]
pub struct SysfsSource {
    root: Arc<Root>,
    device: Option<Glob>,
    pool: Pool,
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
    #[must_use]
    pub fn new(root: PathBuf, device: Option<Glob>) -> Self {
        let root = Arc::new(Root::new(root));
        Self { pool: Pool::new(reader_of(Arc::clone(&root))), root, device }
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
                0 => format!("no RDMA device: {} is empty", printable(&self.root.full(CLASS).to_string_lossy())),
                n => format!("no RDMA device matches --device ({n} there: {})", printable(&all.join(", "))),
            };
            return Err(SysfsSample { nothing: Some(nothing), ..SysfsSample::default() });
        }
        Ok(wanted)
    }

    /// Reads some of the [`wanted`](Self::wanted) devices once, in parallel, as [`read`](Self::read) does.
    pub fn read_these(&mut self, devices: &[String], deadline: Duration) -> Vec<PortSample> {
        self.pool.read(devices, deadline)
    }

    /// Whether there is a list of RDMA devices, which there is not before the RDMA core is loaded.
    #[must_use]
    pub fn has_class(&self) -> bool {
        self.root.full(CLASS).is_dir()
    }

    /// Whether the tree is the running kernel's own, and no copy.
    #[must_use]
    pub fn is_live(&self) -> bool {
        statfs(&self.root.full("")).is_ok_and(|fs| fs.filesystem_type() == SYSFS_MAGIC)
    }

    /// The device names, in natural order; or why there are none.
    fn devices(&self) -> Result<Vec<String>, (io::ErrorKind, String)> {
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

/// Makes device readers that share one list of GPUs, made when the first device is there.
fn reader_of(root: Arc<Root>) -> MakeReader {
    let gpus: OnceLock<Arc<Vec<Gpu>>> = OnceLock::new();
    Box::new(move |device| {
        let gpus = Arc::clone(gpus.get_or_init(|| Arc::new(topology::gpus(&root))));
        let mut reader = DeviceReader::new(Arc::clone(&root), gpus, device.to_owned());
        Box::new(move || reader.read())
    })
}
