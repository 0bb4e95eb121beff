//! Opening a NIC: fabric, domain, queues, memory, endpoints.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use libfabric_sys::Libfabric;
use libfabric_sys::av::{fi_av_attr, fid_av};
use libfabric_sys::consts::{
    FI_ADDR_STR, FI_AV_TABLE, FI_CQ_FORMAT_DATA, FI_KEY_NOTAVAIL, FI_MR_HMEM, FI_MR_LOCAL, FI_MR_VIRT_ADDR,
    FI_OPT_ENDPOINT, FI_OPT_SHARED_MEMORY_PERMITTED, FI_WAIT_NONE,
};
use libfabric_sys::cq::{fi_cq_attr, fid_cq};
use libfabric_sys::ep::fid_ep;
use libfabric_sys::fid::fid_domain;
use libfabric_sys::flags::{FI_RECV, FI_REMOTE_WRITE, FI_SEND, FI_TRANSMIT, FI_WRITE};
use libfabric_sys::inline::{
    fi_av_open, fi_close, fi_cq_open, fi_domain, fi_enable, fi_endpoint, fi_ep_bind, fi_getname, fi_mr_desc,
    fi_mr_key, fi_mr_reg, fi_setopt,
};

use super::card::{MAX_NAME, NicCard};
use super::completion::completions;
use super::device::DeviceSide;
use super::endpoint::FabricNic;
use super::handles::Handles;
use super::info::Info;
use super::keys::{Keys, Memory};
use super::peers::{Names, Peers};
use super::receiver::Receiver;
use super::slots::{Kind, Slots};
use super::{FabricError, check};
use crate::transport::heap::{DevicePart, Heap};
use crate::transport::nic::Limits;
use crate::transport::wire::{MAX_FRAME_BYTES, MAX_PIECE};

/// Bytes of pieces in flight per NIC that are always enough: 40 us of 400 Gbit/s.
const AHEAD: u64 = 2 << 20;

/// Operations in flight per NIC. EFA does not guard its completion queue, so the bound is ours to keep.
const MAX_IN_FLIGHT: usize = 256;

/// Operations to former addresses that the provider may still hold beside those.
const MAX_GIVEN_UP: usize = 256;

/// Receives kept posted per NIC for control frames.
pub(super) const RECEIVES: usize = 256;

/// Slots, and frame buffers, of a NIC. The buffers are not touched before they are used.
const SLOTS: usize = MAX_IN_FLIGHT + MAX_GIVEN_UP + RECEIVES;

/// Entries of the completion queue for the pieces of each NIC that may write to this one. A sender has no more in flight
/// than it may have in all.
const CQ_PER_WRITER: usize = MAX_IN_FLIGHT;

/// Fewest and most entries that the completion queue is asked to have. In jobs so large that the most is too few, each
/// writer gets its part of them ([`NicCard::room`]).
const CQ_ENTRIES: std::ops::RangeInclusive<usize> = 4096..=65_536;

/// What a heap is for, in both of its parts: its own puts come from there, and others' land there. Nobody reads it from afar.
pub(super) const HEAP_ACCESS: u64 = FI_WRITE | FI_REMOTE_WRITE;

/// What must be known of all NICs of a job when one of them is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobNics {
    /// NICs that may write to this one: EFA does not guard a completion queue against overrun, so it has to be large enough.
    pub writers: usize,
    /// Whether some PE has a second NIC. Only then a NIC that fails can be gone round, and only then one is ever fenced.
    pub has_choice: bool,
}

impl JobNics {
    /// For PE `me` of a job whose PEs have so many NICs.
    #[must_use]
    pub fn of(widths: &[u16], me: u32) -> Self {
        let others = (0..).zip(widths).filter(|&(pe, _)| pe != me);
        Self {
            writers: others.map(|(_, &width)| usize::from(width)).sum(),
            has_choice: widths.iter().any(|&width| width > 1),
        }
    }
}

impl FabricNic {
    /// Opens the NIC that `info` offers and registers `heap` with it, and `part`, memory of a device, if it can
    /// ([`Self::no_device`]). `name` is what people call it.
    ///
    /// # Errors
    /// When any part of libfabric refuses.
    pub fn open(
        lib: &Arc<Libfabric>,
        info: Info,
        name: &str,
        heap: &Arc<Heap>,
        part: Option<&DevicePart>,
        job: &JobNics,
    ) -> Result<Self, FabricError> {
        let writers = job.writers;
        let ok = |call, code| check(lib, name, call, code);
        let refused = |call, why: &str| FabricError::Call { nic: name.to_owned(), call, why: why.to_owned() };
        let raw = info.raw();
        // Declared before the handles, so that on an early error the registrations are closed before the memory goes.
        let device;
        let mut frames = vec![[0_u8; MAX_FRAME_BYTES]; SLOTS].into_boxed_slice();
        let mut slots = Slots::new(SLOTS);
        let mut handles = Handles::new(lib);
        // SAFETY: `raw` is a live entry of fi_getinfo; objects are opened in dependency order and kept by `handles`;
        // heap and frames outlive the registrations (field order).
        unsafe {
            let (Some(tx), Some(rx), Some(ep_attr), Some(domain_attr)) = (
                (*raw).tx_attr.as_ref(),
                (*raw).rx_attr.as_ref(),
                (*raw).ep_attr.as_ref(),
                (*raw).domain_attr.as_ref(),
            ) else {
                return Err(refused("fi_getinfo", "incomplete answer"));
            };
            let mut fabric = ptr::null_mut();
            ok("fi_fabric", lib.fabric((*raw).fabric_attr, &mut fabric, ptr::null_mut()))?;
            handles.keep(fabric);
            let mut domain = ptr::null_mut();
            ok("fi_domain", fi_domain(fabric, raw, &raw mut domain, ptr::null_mut()))?;
            handles.keep(domain);
            let (cq, entries) = open_cq(lib, name, domain, writers)?;
            handles.keep(cq);
            let av = open_av(lib, name, domain)?;
            handles.keep(av);
            let mode = domain_attr.mr_mode;
            let keys = Keys::random(domain_attr.mr_key_size)
                .map_err(|error| refused("getrandom", &error.to_string()))?;
            let key = keys.of(Memory::Heap);
            let heap_mr = register(lib, name, domain, heap.base(), heap.len(), HEAP_ACCESS, key)?;
            handles.keep(heap_mr);
            let key = keys.of(Memory::Device);
            device = DeviceSide::register(lib, name, &info, domain, part, key, &mut handles);
            let key = keys.of(Memory::Frames);
            let frames_desc = register_frames(lib, name, domain, mode, &mut frames, key, &mut handles)?;
            let (sender, sender_name) = open_endpoint(lib, name, &info, domain, cq, av)?;
            handles.keep(sender);
            let names = match (*raw).addr_format {
                FI_ADDR_STR => Names::Text,
                _ => Names::Like(sender_name.clone()),
            };
            let mut receiver = Receiver::new(domain, cq, names.clone(), &info.provider());
            let address = if job.has_choice || !receiver.can_reopen {
                receiver.open(lib, name, &info)?
            } else {
                receiver.share(sender);
                sender_name.clone()
            };
            let key = fi_mr_key(heap_mr);
            if key == FI_KEY_NOTAVAIL {
                return Err(refused("fi_mr_key", "keys longer than 64 bits"));
            }
            let base = if mode & FI_MR_VIRT_ADDR != 0 { heap.base() as u64 } else { 0 };
            let limits = Limits {
                max_piece: MAX_PIECE.min(ep_attr.max_msg_size as u64).max(1),
                max_in_flight: MAX_IN_FLIGHT.min(tx.size.max(1)) as u64,
                ahead: AHEAD,
            };
            let rx_depth = RECEIVES.min(rx.size.max(1));
            receiver.slots = (0..rx_depth).filter_map(|_| Some(slots.take(Kind::Idle)?.0)).collect();
            receiver.idle.clone_from(&receiver.slots);
            let inject_size = tx.inject_size;
            let mut nic = Self {
                receiver,
                handles,
                name: name.to_owned(),
                lib: Arc::clone(lib),
                info,
                sender,
                cq,
                completions: completions(),
                heap_desc: fi_mr_desc(heap_mr),
                frames_desc,
                peers: Peers::new(lib, av, names),
                card: NicCard {
                    name: address,
                    sender: sender_name,
                    key,
                    base,
                    device: device.remote,
                    room: room(entries, writers),
                },
                device,
                slots,
                frames,
                in_flight: 0,
                given_up: 0,
                max_given_up: MAX_GIVEN_UP,
                failures: VecDeque::new(),
                inject_size,
                limits,
                heap: Arc::clone(heap),
            };
            nic.post_receives().map_err(|error| refused("fi_recv", &error.why))?;
            Ok(nic)
        }
    }
}

/// Opens an endpoint that uses a queue for everything; returns it with its address.
///
/// # Safety
/// Domain, queue and address vector are live and belong together, and `info` is what the domain was opened with.
pub(super) unsafe fn open_endpoint(
    lib: &Libfabric,
    nic: &str,
    info: &Info,
    domain: *mut fid_domain,
    cq: *mut fid_cq,
    av: *mut fid_av,
) -> Result<(*mut fid_ep, Vec<u8>), FabricError> {
    let mut ep = ptr::null_mut();
    // SAFETY: the caller's promise.
    check(lib, nic, "fi_endpoint", unsafe { fi_endpoint(domain, info.raw(), &raw mut ep, ptr::null_mut()) })?;
    // SAFETY: just opened, with the caller's promise for the rest; on an error nothing else refers to it.
    unsafe {
        let enabled = enable(lib, nic, ep, cq, av);
        if enabled.is_err() {
            fi_close(&raw mut (*ep).fid);
        }
        enabled.map(|name| (ep, name))
    }
}

/// Binds and enables an endpoint and returns its address.
///
/// # Safety
/// All three are live and belong together; the endpoint is not enabled.
unsafe fn enable(
    lib: &Libfabric,
    nic: &str,
    ep: *mut fid_ep,
    cq: *mut fid_cq,
    av: *mut fid_av,
) -> Result<Vec<u8>, FabricError> {
    let ok = |call, code| check(lib, nic, call, code);
    let mut address = vec![0_u8; MAX_NAME];
    let mut len = address.len();
    // SAFETY: the caller's promise; the buffer is as long as said.
    unsafe {
        forbid_shared_memory(ep);
        ok("fi_ep_bind", fi_ep_bind(ep, &raw mut (*av).fid, 0))?;
        ok("fi_ep_bind", fi_ep_bind(ep, &raw mut (*cq).fid, FI_TRANSMIT | FI_RECV))?;
        ok("fi_enable", fi_enable(ep))?;
        ok("fi_getname", fi_getname(ep, address.as_mut_ptr().cast(), &raw mut len))?;
    }
    address.truncate(len);
    Ok(address)
}

/// Bytes must pass the NIC to be counted there, also between PEs of one node. Providers without the option say so and
/// do no harm.
///
/// # Safety
/// `ep` is live and not enabled.
unsafe fn forbid_shared_memory(ep: *mut fid_ep) {
    let permitted = false;
    let (value, len) = ((&raw const permitted).cast(), size_of::<bool>());
    // SAFETY: the caller's promise; the option takes a bool (fi_endpoint(3)).
    unsafe { fi_setopt(ep, FI_OPT_ENDPOINT, FI_OPT_SHARED_MEMORY_PERMITTED, value, len) };
}

/// Opens a completion queue with room for what `writers` NICs may have in flight; returns it with its entries. A device
/// that cannot have that many is asked for fewer.
///
/// # Safety
/// `domain` is live.
unsafe fn open_cq(
    lib: &Libfabric,
    nic: &str,
    domain: *mut fid_domain,
    writers: usize,
) -> Result<(*mut fid_cq, usize), FabricError> {
    let mut attr = fi_cq_attr::zeroed();
    attr.size = entries_for(writers);
    attr.format = FI_CQ_FORMAT_DATA;
    attr.wait_obj = FI_WAIT_NONE;
    loop {
        let entries = attr.size;
        let mut cq = ptr::null_mut();
        // SAFETY: the caller's promise; the attributes are the newest size and zeroed.
        let code = unsafe { fi_cq_open(domain, &raw mut attr, &raw mut cq, ptr::null_mut()) };
        if code < 0 && entries > *CQ_ENTRIES.start() {
            attr.size = entries / 2;
            continue;
        }
        check(lib, nic, "fi_cq_open", code)?;
        return Ok((cq, entries));
    }
}

/// Entries of a completion queue to which so many NICs may write.
fn entries_for(writers: usize) -> usize {
    let wanted = SLOTS.saturating_add(writers.saturating_mul(CQ_PER_WRITER));
    wanted.clamp(*CQ_ENTRIES.start(), *CQ_ENTRIES.end()).next_power_of_two()
}

/// Pieces that each of `writers` may have under way to a NIC with so many entries.
fn room(entries: usize, writers: usize) -> u32 {
    let each = entries.saturating_sub(SLOTS).checked_div(writers).unwrap_or(entries);
    u32::try_from(each.clamp(1, CQ_PER_WRITER)).unwrap_or(1)
}

/// Opens an address vector.
///
/// # Safety
/// `domain` is live.
pub(super) unsafe fn open_av(
    lib: &Libfabric,
    nic: &str,
    domain: *mut fid_domain,
) -> Result<*mut fid_av, FabricError> {
    let mut attr = fi_av_attr::zeroed();
    attr.type_ = FI_AV_TABLE;
    let mut av = ptr::null_mut();
    // SAFETY: the caller's promise; the attributes are the newest size and zeroed.
    check(lib, nic, "fi_av_open", unsafe {
        fi_av_open(domain, &raw mut attr, &raw mut av, ptr::null_mut())
    })?;
    Ok(av)
}

/// Registers the buffers of frames, where local buffers have to be; returns what goes with each, else null.
///
/// # Safety
/// `domain` is live and has `mode`, and the buffers stay until `handles` are closed.
unsafe fn register_frames(
    lib: &Libfabric,
    nic: &str,
    domain: *mut fid_domain,
    mode: i32,
    frames: &mut [[u8; MAX_FRAME_BYTES]],
    key: u64,
    handles: &mut Handles,
) -> Result<*mut c_void, FabricError> {
    if mode & (FI_MR_LOCAL | FI_MR_HMEM) == 0 {
        return Ok(ptr::null_mut());
    }
    let bytes = (frames.len() * MAX_FRAME_BYTES) as u64;
    // SAFETY: the caller's promise.
    unsafe {
        let mr = register(lib, nic, domain, frames.as_mut_ptr().cast(), bytes, FI_SEND | FI_RECV, key)?;
        handles.keep(mr);
        Ok(fi_mr_desc(mr))
    }
}

/// Registers memory with a NIC.
///
/// # Safety
/// `domain` is live and the memory stays mapped until the registration is closed.
unsafe fn register(
    lib: &Libfabric,
    nic: &str,
    domain: *mut fid_domain,
    base: *mut u8,
    len: u64,
    access: u64,
    key: u64,
) -> Result<*mut libfabric_sys::mr::fid_mr, FabricError> {
    let mut mr = ptr::null_mut();
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    // SAFETY: the caller's promise.
    let code =
        unsafe { fi_mr_reg(domain, base.cast(), len, access, 0, key, 0, &raw mut mr, ptr::null_mut()) };
    check(lib, nic, "fi_mr_reg", code)?;
    Ok(mr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nics_are_fenced_where_some_pe_has_a_second_one() {
        assert_eq!(JobNics::of(&[1, 1, 1], 1), JobNics { writers: 2, has_choice: false });
        assert_eq!(JobNics::of(&[1, 4], 1), JobNics { writers: 1, has_choice: true });
        assert_eq!(JobNics::of(&[1, 4], 0), JobNics { writers: 4, has_choice: true });
    }

    #[test]
    fn what_all_writers_may_have_under_way_fits_the_queue() {
        for writers in [0, 1, 3, 12, 64, 252, 253, 1000, 64_000] {
            let (entries, room) = (entries_for(writers), room(entries_for(writers), writers) as usize);
            assert!((1..=CQ_PER_WRITER).contains(&room));
            assert!(SLOTS + writers * room <= entries, "{writers} writers");
            assert!(room == CQ_PER_WRITER || writers > 250, "{writers} writers get {room}");
        }
        assert_eq!(room(4096, 65_536 * 32), 1, "never nothing");
    }
}
