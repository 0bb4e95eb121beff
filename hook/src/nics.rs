//! The NICs that the program uses: numbered as it opens their domains.

#![expect(unsafe_code, reason = "structures of a C library")]

use std::ffi::{CStr, CString, c_char};
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, fence};

use counters::{MAX_NICS, NicIdentity};
use libfabric_sys::consts::FI_BUS_PCI;
use libfabric_sys::info::{fi_info, fid_nic};

use crate::lock::{Held, Lock};
use crate::publisher;

/// A NIC, whether it has endpoints or not.
#[derive(Debug)]
pub(crate) struct KnownNic {
    pub(crate) identity: NicIdentity,
    pub(crate) provider: String,
    /// An endpoint has been opened on it. Programs also open domains to have a look.
    pub(crate) in_use: bool,
}

static NICS: Lock<Vec<KnownNic>> = Lock::new(Vec::new());
/// How many are in there, without the lock.
static KNOWN: AtomicUsize = AtomicUsize::new(0);
/// Endpoints that are open, by number of the NIC.
static ENDPOINTS: [AtomicU32; MAX_NICS] = [const { AtomicU32::new(0) }; MAX_NICS];
static RX_UNKNOWN: AtomicBool = AtomicBool::new(false);

pub(crate) fn lock() -> &'static Lock<Vec<KnownNic>> {
    &NICS
}

fn nics() -> Held<'static, Vec<KnownNic>> {
    NICS.lock()
}

/// How many NICs there are: their numbers are below that.
pub(crate) fn known() -> usize {
    KNOWN.load(Relaxed)
}

/// Data may arrive of which nothing tells us.
pub(crate) fn set_rx_unknown() {
    RX_UNKNOWN.store(true, Relaxed);
}

/// Whether every byte that arrives is told of.
pub(crate) fn rx_known() -> bool {
    !RX_UNKNOWN.load(Relaxed)
}

/// The number of the NIC that a domain is opened on. `None` for more than a page has room for: then that NIC is not counted.
///
/// # Safety
/// `info` is null or what the domain was opened with.
pub(crate) unsafe fn number(info: *const fi_info) -> Option<usize> {
    // SAFETY: the caller's promise.
    let (identity, provider) = unsafe { identity(info.as_ref()?) };
    let mut nics = nics();
    let same = |nic: &KnownNic| {
        let one = &nic.identity;
        (&one.domain, &one.device, &one.pci) == (&identity.domain, &identity.device, &identity.pci)
            && nic.provider == provider
    };
    if let Some(number) = nics.iter().position(same) {
        return Some(number);
    }
    let number = nics.len();
    (number < MAX_NICS).then(|| nics.push(KnownNic { identity, provider, in_use: false }))?;
    KNOWN.store(nics.len(), Relaxed);
    Some(number)
}

/// An endpoint has been opened on a NIC. The first one brings the NIC into the page, if there is a page.
pub(crate) fn opened(number: usize) {
    if let Some(endpoints) = ENDPOINTS.get(number) {
        if endpoints.load(Relaxed) == 0 {
            // What was read since the last endpoint was closed is no longer to be told from what is read from now on.
            publisher::nudge();
        }
        endpoints.fetch_add(1, Relaxed);
        // Whoever sees what it posts sees it as well: see `all_closed`.
        fence(SeqCst);
    }
    let is_new = nics().get_mut(number).is_some_and(|nic| !std::mem::replace(&mut nic.in_use, true));
    if is_new {
        publisher::nudge();
    }
}

/// The numbers of the NICs that have had endpoints.
pub(crate) fn in_use() -> Vec<usize> {
    nics().iter().enumerate().filter(|(_, nic)| nic.in_use).map(|(number, _)| number).collect()
}

/// What a page says of these NICs, in this order, and the provider of the first.
pub(crate) fn identities(numbers: &[usize]) -> (Vec<NicIdentity>, String) {
    let nics = nics();
    let chosen = || numbers.iter().filter_map(|number| nics.get(*number));
    let identities = (0..).zip(chosen()).map(|(rail, nic)| NicIdentity { rail, ..nic.identity.clone() });
    (identities.collect(), chosen().next().map(|nic| nic.provider.clone()).unwrap_or_default())
}

/// An endpoint has been closed.
pub(crate) fn closed(number: usize) {
    if let Some(endpoints) = ENDPOINTS.get(number) {
        endpoints.fetch_sub(1, Relaxed);
    }
}

/// Whether a NIC has no endpoints any more, so that nothing which has been counted so far can be under way. To be asked after the counts have been looked at.
pub(crate) fn all_closed(number: usize) -> bool {
    fence(SeqCst);
    ENDPOINTS.get(number).is_some_and(|endpoints| endpoints.load(Relaxed) == 0)
}

/// Whether no endpoint is open.
pub(crate) fn none_open() -> bool {
    (0..known()).all(all_closed)
}

unsafe fn text(at: *const c_char) -> String {
    if at.is_null() {
        return String::new();
    }
    // SAFETY: libfabric's strings end with a zero.
    unsafe { CStr::from_ptr(at) }.to_string_lossy().into_owned()
}

unsafe fn identity(info: &fi_info) -> (NicIdentity, String) {
    let mut identity = NicIdentity { port: 1, ..NicIdentity::default() };
    let mut provider = String::new();
    // SAFETY: attributes are null or structures of the library.
    unsafe {
        if let Some(attr) = info.domain_attr.as_ref() {
            identity.domain = text(attr.name);
        }
        if let Some(attr) = info.fabric_attr.as_ref() {
            provider = text(attr.prov_name);
        }
        if let Some(nic) = info.nic.as_ref() {
            describe(nic, &mut identity);
        }
    }
    if identity.device.is_empty() && is_plain_name(&identity.domain) {
        if is_interface(&identity.domain) {
            identity.netdev.clone_from(&identity.domain);
        } else if let Some(device) = rdma_device(&identity.domain) {
            identity.device = device;
        }
    }
    (identity, provider)
}

/// Whether a network interface has that name. Asked of the kernel: /sys may be that of another network namespace.
fn is_interface(name: &str) -> bool {
    // SAFETY: a string that ends with a zero.
    CString::new(name).is_ok_and(|name| unsafe { libc::if_nametoindex(name.as_ptr()) } != 0)
}

/// The RDMA device that a domain is named after: `rdmap79s0-rdm` is of `rdmap79s0`.
fn rdma_device(domain: &str) -> Option<String> {
    let exists = |name: &&str| !name.is_empty() && Path::new("/sys/class/infiniband").join(name).exists();
    let short = domain.rsplit_once('-').map(|(device, _)| device);
    [Some(domain), short].into_iter().flatten().find(exists).map(str::to_owned)
}

/// A name that stays where a path puts it.
fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && name != "." && name != ".."
}

unsafe fn describe(nic: &fid_nic, identity: &mut NicIdentity) {
    // SAFETY: as in `identity`.
    unsafe {
        if let Some(device) = nic.device_attr.as_ref() {
            identity.device = text(device.name);
        }
        if let Some(bus) = nic.bus_attr.as_ref()
            && bus.bus_type == FI_BUS_PCI
        {
            let at = bus.attr.pci;
            let pci =
                format!("{:04x}:{:02x}:{:02x}.{:x}", at.domain_id, at.bus_id, at.device_id, at.function_id);
            let numa = fs::read_to_string(format!("/sys/bus/pci/devices/{pci}/numa_node"));
            identity.numa = numa.ok().and_then(|numa| numa.trim().parse().ok());
            identity.pci = pci;
        }
        if let Some(link) = nic.link_attr.as_ref() {
            identity.link_bits_per_s = u64::try_from(link.speed).ok().filter(|speed| *speed > 0);
        }
    }
}
