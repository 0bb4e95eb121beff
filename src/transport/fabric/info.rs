//! One entry of `fi_getinfo`, owned: what a provider offers for one NIC.

use std::ffi::{CStr, c_char};
use std::sync::Arc;

use libfabric_sys::Libfabric;
use libfabric_sys::consts::FI_BUS_PCI;
use libfabric_sys::info::fi_info;

/// The fabric of the provider `efa` that hands everything to the device as it is (libfabric 2.0 and later).
pub(super) const EFA_DIRECT: &str = "efa-direct";

/// An offer of a provider, freed on drop.
#[derive(Debug)]
pub struct Info {
    lib: Arc<Libfabric>,
    raw: *mut fi_info,
}

// SAFETY: the entry is a private copy (fi_dupinfo) and plain data.
unsafe impl Send for Info {}

/// What a NIC says about itself, where it says anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Device name (`rdmap79s0`).
    pub device: Option<String>,
    /// PCI address (`0000:4f:00.0`).
    pub pci: Option<String>,
    /// Line rate in bits per second.
    pub link_bits_per_s: Option<u64>,
}

impl Info {
    /// Copies one entry of a list.
    ///
    /// # Safety
    /// `entry` is a live entry of `lib`.
    pub(super) unsafe fn copy(lib: &Arc<Libfabric>, entry: *const fi_info) -> Option<Self> {
        // SAFETY: the caller's promise.
        let raw = unsafe { lib.dupinfo(entry) };
        (!raw.is_null()).then(|| Self { lib: Arc::clone(lib), raw })
    }

    /// An empty entry, for hints.
    pub(super) fn hints(lib: &Arc<Libfabric>) -> Option<Self> {
        let raw = lib.allocinfo();
        // SAFETY: just made by the library; hints are filled through these pointers.
        let complete = !raw.is_null()
            && unsafe {
                [
                    (*raw).tx_attr.is_null(),
                    (*raw).rx_attr.is_null(),
                    (*raw).ep_attr.is_null(),
                    (*raw).domain_attr.is_null(),
                    (*raw).fabric_attr.is_null(),
                ]
                .iter()
                .all(|null| !null)
            };
        let hints = Self { lib: Arc::clone(lib), raw };
        complete.then_some(hints)
    }

    /// The raw entry, valid as long as this value.
    pub(super) fn raw(&self) -> *mut fi_info {
        self.raw
    }

    /// Provider (`efa`, `efa-direct`, `tcp`, `tcp;ofi_rxm`, `net`).
    #[must_use]
    pub fn provider(&self) -> String {
        // SAFETY: entries of fi_getinfo have a fabric_attr or null; its strings are null or end in NUL.
        unsafe {
            (*self.raw).fabric_attr.as_ref().map_or_else(String::new, |attr| {
                let provider = text(attr.prov_name);
                if provider == "efa" && text(attr.name) == EFA_DIRECT { EFA_DIRECT.into() } else { provider }
            })
        }
    }

    /// Domain (`rdmap79s0-rdm`; for tcp the interface).
    #[must_use]
    pub fn domain(&self) -> String {
        // SAFETY: as in `provider`.
        unsafe { (*self.raw).domain_attr.as_ref().map_or_else(String::new, |attr| text(attr.name)) }
    }

    /// What the NIC says about itself; providers for sockets say nothing.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        // SAFETY: `nic` and its parts are null or live as long as the entry; strings end in NUL.
        unsafe {
            let Some(nic) = (*self.raw).nic.as_ref() else { return facts };
            if let Some(device) = nic.device_attr.as_ref() {
                facts.device = Some(text(device.name)).filter(|name| !name.is_empty());
            }
            if let Some(bus) = nic.bus_attr.as_ref()
                && bus.bus_type == FI_BUS_PCI
            {
                let pci = bus.attr.pci;
                facts.pci = Some(format!(
                    "{:04x}:{:02x}:{:02x}.{}",
                    pci.domain_id, pci.bus_id, pci.device_id, pci.function_id
                ));
            }
            if let Some(link) = nic.link_attr.as_ref() {
                facts.link_bits_per_s = u64::try_from(link.speed).ok().filter(|&speed| speed > 0);
            }
        }
        facts
    }
}

impl Drop for Info {
    fn drop(&mut self) {
        // SAFETY: a copy or a fresh entry of this library, freed once.
        unsafe { self.lib.freeinfo(self.raw) }
    }
}

/// A C string of the library, safe to show.
///
/// # Safety
/// `pointer` is null or ends in NUL.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    crate::text::printable(&unsafe { CStr::from_ptr(pointer) }.to_string_lossy())
}
