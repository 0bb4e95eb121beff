//! The least that puts with an immediate cost: one endpoint, a loop of `fi_writedata`, and a queue that is read.

#![expect(unsafe_code, reason = "calls into a C library")]

use std::ffi::{CString, c_void};
use std::ptr::null_mut;
use std::sync::Arc;

use libfabric_sys::Libfabric;
use libfabric_sys::av::{fi_addr_t, fi_av_attr, fid_av};
use libfabric_sys::consts::{
    FI_AV_TABLE, FI_CQ_FORMAT_DATA, FI_EP_RDM, FI_MR_ALLOCATED, FI_MR_LOCAL, FI_MR_PROV_KEY, FI_MR_VIRT_ADDR,
    FI_PROGRESS_MANUAL, FI_THREAD_DOMAIN,
};
use libfabric_sys::cq::{fi_cq_attr, fi_cq_data_entry, fid_cq};
use libfabric_sys::ep::fid_ep;
use libfabric_sys::errno::FI_EAGAIN;
use libfabric_sys::fid::{fi_context2, fid_domain, fid_fabric};
use libfabric_sys::flags::{
    FI_CONTEXT, FI_CONTEXT2, FI_MSG, FI_READ, FI_RECV, FI_REMOTE_READ, FI_REMOTE_WRITE, FI_RMA, FI_SOURCE,
    FI_TRANSMIT, FI_WRITE,
};
use libfabric_sys::info::fi_info;
use libfabric_sys::inline::{
    fi_av_insert, fi_av_open, fi_cq_open, fi_cq_read, fi_domain, fi_enable, fi_endpoint, fi_ep_bind,
    fi_getname, fi_mr_desc, fi_mr_key, fi_mr_reg, fi_writedata,
};
use libfabric_sys::loader::set_string;
use libfabric_sys::mr::fid_mr;
use railtop::transport::heap::Heap;

/// Operations in flight: as many as the transport has.
const IN_FLIGHT: usize = 256;

/// Times that the queue may be empty before the loop lets others run.
pub const SPINS: u32 = 32;

/// Completions read at once.
const BATCH: usize = 16;

/// Where a peer's memory is.
#[derive(Clone, Copy)]
struct Remote {
    addr: fi_addr_t,
    base: u64,
    key: u64,
}

/// An endpoint and its registered memory. Everything stays open until the process ends.
pub struct Bare {
    heap: Heap,
    ep: *mut fid_ep,
    cq: *mut fid_cq,
    av: *mut fid_av,
    mr: *mut fid_mr,
    base: u64,
    contexts: Box<[fi_context2]>,
    /// Contexts of no operation in flight.
    free: Vec<*mut c_void>,
    remotes: Vec<Remote>,
    /// What peers write with their puts, to be told apart.
    own: u64,
    /// By what the peers write: puts that have landed.
    landed: Vec<u64>,
    /// Times in a row that there was nothing.
    empty: u32,
    _lib: Arc<Libfabric>,
}

impl Bare {
    /// Opens an endpoint at `address`, with `bytes` of memory, of PE `own`.
    pub fn open(address: &str, provider: Option<&str>, bytes: u64, own: u32) -> Self {
        let lib = Arc::new(Libfabric::load().unwrap());
        // The order in which the transport tries them.
        let providers = provider.map_or(vec!["tcp", "net", "tcp;ofi_rxm"], |name| vec![name]);
        let info = providers.iter().find_map(|name| offer(&lib, address, name)).unwrap();
        let heap = Heap::create(bytes).unwrap();
        let ok = |code, what| assert_eq!(code, 0, "{what}: {}", lib.strerror(code));
        let mut cq_attr = fi_cq_attr { size: 4096, format: FI_CQ_FORMAT_DATA, ..fi_cq_attr::zeroed() };
        let mut av_attr = fi_av_attr { type_: FI_AV_TABLE, ..fi_av_attr::zeroed() };
        let access = FI_READ | FI_WRITE | FI_REMOTE_READ | FI_REMOTE_WRITE;
        let size = usize::try_from(heap.len()).unwrap();
        let (mut fabric, mut domain): (*mut fid_fabric, *mut fid_domain) = (null_mut(), null_mut());
        let (mut cq, mut av, mut ep, mut mr) = (null_mut(), null_mut(), null_mut(), null_mut());
        // SAFETY: each object is opened from live ones, and none is ever closed; neither is the memory unmapped.
        let base = unsafe {
            ok(lib.fabric((*info).fabric_attr, &mut fabric, null_mut()), "fi_fabric");
            ok(fi_domain(fabric, info, &raw mut domain, null_mut()), "fi_domain");
            ok(fi_cq_open(domain, &raw mut cq_attr, &raw mut cq, null_mut()), "fi_cq_open");
            ok(fi_av_open(domain, &raw mut av_attr, &raw mut av, null_mut()), "fi_av_open");
            ok(fi_endpoint(domain, info, &raw mut ep, null_mut()), "fi_endpoint");
            ok(fi_ep_bind(ep, &raw mut (*av).fid, 0), "fi_ep_bind");
            ok(fi_ep_bind(ep, &raw mut (*cq).fid, FI_TRANSMIT | FI_RECV), "fi_ep_bind");
            ok(fi_enable(ep), "fi_enable");
            let start = heap.base().cast();
            ok(fi_mr_reg(domain, start, size, access, 0, 1, 0, &raw mut mr, null_mut()), "fi_mr_reg");
            if (*(*info).domain_attr).mr_mode & FI_MR_VIRT_ADDR != 0 { heap.base() as u64 } else { 0 }
        };
        let mut contexts: Box<[_]> = (0..IN_FLIGHT).map(|_| fi_context2::zeroed()).collect();
        let free = contexts.iter_mut().map(|context| (&raw mut *context).cast()).collect();
        Self {
            heap,
            ep,
            cq,
            av,
            mr,
            base,
            contexts,
            free,
            remotes: Vec::new(),
            own: own.into(),
            landed: Vec::new(),
            empty: 0,
            _lib: lib,
        }
    }

    /// What a peer must know.
    pub fn card(&self) -> Vec<u8> {
        let (mut name, mut len) = (vec![0_u8; 256], 256);
        // SAFETY: live objects; the buffer is as long as said.
        let (code, key) =
            unsafe { (fi_getname(self.ep, name.as_mut_ptr().cast(), &raw mut len), fi_mr_key(self.mr)) };
        assert_eq!(code, 0);
        [&self.base.to_le_bytes()[..], &key.to_le_bytes()[..], &name[..len]].concat()
    }

    /// Reaches the PEs with these cards, in the order of their ranks.
    pub fn connect<'a>(&mut self, cards: impl IntoIterator<Item = &'a [u8]>) {
        for card in cards {
            let word = |at: usize| u64::from_le_bytes(card[at..at + 8].try_into().unwrap());
            let mut remote = Remote { addr: 0, base: word(0), key: word(8) };
            let (name, addr) = (card[16..].as_ptr().cast(), &raw mut remote.addr);
            // SAFETY: a live address vector; one address, as its provider writes it.
            assert_eq!(unsafe { fi_av_insert(self.av, name, 1, addr, 0, null_mut()) }, 1);
            self.remotes.push(remote);
            self.landed.push(0);
        }
    }

    /// Writes `bytes` to PE `to`, as soon as there is room.
    pub fn put(&mut self, to: u32, bytes: usize) {
        while !self.try_put(to, bytes) {
            self.poll_or_yield();
        }
    }

    /// Writes `bytes` to PE `to` if there is room.
    pub fn try_put(&mut self, to: u32, bytes: usize) -> bool {
        let Some(context) = self.free.pop() else { return false };
        let Remote { addr, base, key } = self.remotes[to as usize];
        let source = self.heap.base().cast();
        // SAFETY: the source stays in place, and so does the context, which nothing else in flight has.
        let code = unsafe {
            fi_writedata(self.ep, source, bytes, fi_mr_desc(self.mr), self.own, addr, base, key, context)
        };
        if code == 0 {
            return true;
        }
        assert_eq!(code, -(FI_EAGAIN as isize));
        self.free.push(context);
        false
    }

    /// Whether everything put has left.
    pub fn has_left(&self) -> bool {
        self.free.len() == self.contexts.len()
    }

    /// Puts of PE `from` that have landed here.
    pub fn landed(&self, from: u32) -> u64 {
        self.landed[from as usize]
    }

    /// Waits until everything put has left.
    pub fn flush(&mut self) {
        while !self.has_left() {
            self.poll_or_yield();
        }
    }

    /// Waits until `count` puts in all of PE `from` have landed here.
    pub fn await_landed(&mut self, from: u32, count: u64) {
        while self.landed(from) < count {
            self.poll_or_yield();
        }
    }

    /// As the proxy: two spinning loops that want for a core measure the scheduler.
    fn poll_or_yield(&mut self) {
        if self.poll() {
            self.empty = 0;
            return;
        }
        self.empty += 1;
        if self.empty > SPINS {
            std::thread::yield_now();
        }
    }

    /// Reads what has completed; whether anything has.
    pub fn poll(&mut self) -> bool {
        let mut entries = [fi_cq_data_entry::zeroed(); BATCH];
        // SAFETY: a live queue of this format; room for as many entries as said.
        let got = unsafe { fi_cq_read(self.cq, entries.as_mut_ptr().cast(), BATCH) };
        if got == -(FI_EAGAIN as isize) {
            return false;
        }
        for entry in &entries[..usize::try_from(got).unwrap()] {
            match entry.flags & FI_REMOTE_WRITE {
                0 => self.free.push(entry.op_context),
                _ => self.landed[usize::try_from(entry.data).unwrap()] += 1,
            }
        }
        true
    }
}

/// The first offer of exactly this provider.
fn offer(lib: &Libfabric, address: &str, provider: &str) -> Option<*mut fi_info> {
    let (node, name) = (CString::new(address).unwrap(), CString::new(provider).unwrap());
    let (hints, mut list) = (lib.allocinfo(), null_mut());
    assert!(!hints.is_null());
    // SAFETY: the hints are the library's, with all their attribute structures. Neither list is ever freed.
    unsafe {
        (*hints).caps = FI_MSG | FI_RMA;
        (*hints).mode = FI_CONTEXT | FI_CONTEXT2;
        (*(*hints).ep_attr).type_ = FI_EP_RDM;
        let domain = (*hints).domain_attr;
        (*domain).mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
        (*domain).threading = FI_THREAD_DOMAIN;
        (*domain).data_progress = FI_PROGRESS_MANUAL;
        (*domain).control_progress = FI_PROGRESS_MANUAL;
        assert_eq!(set_string(&raw mut (*(*hints).fabric_attr).prov_name, &name), 0);
        lib.getinfo(Some(&node), None, FI_SOURCE, hints, &mut list);
        while !list.is_null() {
            let found = std::ffi::CStr::from_ptr((*(*list).fabric_attr).prov_name);
            if found == name.as_c_str() {
                return Some(list);
            }
            list = (*list).next;
        }
    }
    None
}
