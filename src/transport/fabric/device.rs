//! Registering a device's memory with a NIC, so that it reads and writes it by itself (`FI_HMEM`).

use std::ffi::c_void;
use std::ptr;

use libc::iovec;
use libfabric_sys::Libfabric;
use libfabric_sys::consts::{FI_HMEM_CUDA, FI_HMEM_SYSTEM, FI_KEY_NOTAVAIL, FI_MR_HMEM, FI_MR_VIRT_ADDR};
use libfabric_sys::fid::fid_domain;
use libfabric_sys::flags::FI_HMEM;
use libfabric_sys::inline::{fi_close, fi_mr_desc, fi_mr_key, fi_mr_regattr};
use libfabric_sys::mr::{fi_mr_attr, fi_mr_device, fi_mr_region, fid_mr};

use super::card::Remote;
use super::endpoint::FabricNic;
use super::handles::Handles;
use super::info::Info;
use super::open::HEAP_ACCESS;
use super::{FabricError, check};
use crate::transport::heap::{DeviceKind, DevicePart};
use crate::transport::nic::{NicError, Piece};

impl Info {
    /// Whether the provider takes memory of devices.
    #[must_use]
    pub fn takes_devices(&self) -> bool {
        // SAFETY: a live entry with a domain_attr or null.
        unsafe { (*self.raw()).caps & FI_HMEM != 0 && self.mr_mode() & FI_MR_HMEM != 0 }
    }

    /// What registrations look like here (`FI_MR_*`).
    fn mr_mode(&self) -> i32 {
        // SAFETY: as above.
        unsafe { (*self.raw()).domain_attr.as_ref().map_or(0, |attr| attr.mr_mode) }
    }
}

/// A device's memory as a NIC knows it.
struct Registered {
    mr: *mut fid_mr,
    desc: *mut c_void,
    remote: Remote,
}

/// What a NIC has of a device's memory; nothing where it does not reach it, and then it is as good as any other.
#[derive(Default)]
pub(super) struct DeviceSide {
    /// Goes with each local buffer there.
    pub(super) desc: Option<*mut c_void>,
    /// What others must know.
    pub(super) remote: Option<Remote>,
    mr: Option<*mut fid_mr>,
    /// Keeps the memory as long as it is registered.
    _part: Option<DevicePart>,
    refusal: Option<String>,
}

impl DeviceSide {
    /// Registers `part`, if there is one, under `key` if the provider leaves that to us; `handles` closes it.
    ///
    /// # Safety
    /// `domain` is live and was opened with `info`, and `handles` are closed before this value is dropped.
    pub(super) unsafe fn register(
        lib: &Libfabric,
        nic: &str,
        info: &Info,
        domain: *mut fid_domain,
        part: Option<&DevicePart>,
        key: u64,
        handles: &mut Handles,
    ) -> Self {
        let Some(part) = part else { return Self::default() };
        // SAFETY: the caller's promise; `part` keeps the memory.
        match unsafe { register_device(lib, nic, info, domain, part, key) } {
            Ok(Registered { mr, desc, remote }) => {
                handles.keep(mr);
                let (desc, remote, mr) = (Some(desc), Some(remote), Some(mr));
                Self { desc, remote, mr, _part: Some(part.clone()), refusal: None }
            }
            Err(error) => Self { refusal: Some(error.to_string()), ..Self::default() },
        }
    }
}

/// Registers a device's memory. The provider finds out by itself how its NIC reaches it (a dmabuf, the driver's peer memory, or
/// a copy by the CPU).
///
/// # Errors
/// When the provider does not take memory of devices, or refuses this.
///
/// # Safety
/// `domain` is live and was opened with `info`; the memory stays until the registration is closed.
unsafe fn register_device(
    lib: &Libfabric,
    nic: &str,
    info: &Info,
    domain: *mut fid_domain,
    part: &DevicePart,
    key: u64,
) -> Result<Registered, FabricError> {
    let refused = |call, why: &str| FabricError::Call { nic: nic.to_owned(), call, why: why.to_owned() };
    if part.kind() != DeviceKind::Host && !info.takes_devices() {
        let provider = info.provider();
        let hint = match &*provider {
            "efa" | "efa-direct" => "; libfabric needs CUDA, and some instances FI_EFA_USE_DEVICE_RDMA=1",
            _ => "",
        };
        let why = format!("provider {provider} takes no memory of GPUs here (FI_HMEM{hint})");
        return Err(refused("fi_getinfo", &why));
    }
    let mode = info.mr_mode();
    let len = usize::try_from(part.len()).map_err(|_| refused("fi_mr_regattr", "too long"))?;
    let base = usize::try_from(part.address()).map_err(|_| refused("fi_mr_regattr", "out of reach"))?;
    let region = iovec { iov_base: ptr::without_provenance_mut(base), iov_len: len };
    let mut attr = fi_mr_attr::zeroed();
    attr.region = fi_mr_region { mr_iov: &raw const region };
    attr.iov_count = 1;
    attr.access = HEAP_ACCESS;
    attr.requested_key = key;
    match part.kind() {
        DeviceKind::Cuda(ordinal) => {
            attr.iface = FI_HMEM_CUDA;
            attr.device = fi_mr_device { cuda: ordinal };
        }
        DeviceKind::Host => attr.iface = FI_HMEM_SYSTEM,
    }
    let mut mr = ptr::null_mut();
    // SAFETY: the caller's promise; the attributes are the newest size and zeroed where nothing is said.
    let code = unsafe { fi_mr_regattr(domain, &raw const attr, 0, &raw mut mr) };
    check(lib, nic, "fi_mr_regattr", code)?;
    // SAFETY: registered just now.
    let (key, desc) = unsafe { (fi_mr_key(mr), fi_mr_desc(mr)) };
    if key == FI_KEY_NOTAVAIL {
        // SAFETY: as above, and nothing refers to it.
        unsafe { fi_close(&raw mut (*mr).fid) };
        return Err(refused("fi_mr_key", "keys longer than 64 bits"));
    }
    let base = if mode & FI_MR_VIRT_ADDR != 0 { part.address() } else { 0 };
    Ok(Registered { mr, desc, remote: Remote { key, base } })
}

impl FabricNic {
    /// Why this NIC does not reach the memory of a device that it was opened with.
    #[must_use]
    pub fn no_device(&self) -> Option<&str> {
        self.device.refusal.as_deref()
    }

    /// Gives back what was registered of a device, before anybody has put there.
    pub fn let_go_of_device(&mut self) {
        self.card.device = None;
        if let Some(mr) = self.device.mr {
            self.handles.close(mr);
        }
        // After that: it keeps the memory.
        self.device = DeviceSide::default();
    }

    /// A put from or to memory of a device that is not registered.
    #[cold]
    pub(super) fn unreached(&self, piece: &Piece) -> NicError {
        let why = "the device's memory there is not registered with the NIC";
        self.refusal(format!("a put to {}", piece.to), why.into())
    }
}
