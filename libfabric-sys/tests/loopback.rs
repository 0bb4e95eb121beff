//! Two endpoints on 127.0.0.1 through the library that is there: a message, and writes with and without an immediate.
//!
//! `tests/layout` cannot see the arguments of function pointers; here they are used.
#![expect(unsafe_code, reason = "calls into a C library")]

use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use libfabric_sys::av::{fi_addr_t, fi_av_attr, fid_av};
use libfabric_sys::consts::{
    FI_AV_TABLE, FI_CQ_FORMAT_DATA, FI_EP_RDM, FI_MR_ALLOCATED, FI_MR_LOCAL, FI_MR_PROV_KEY, FI_MR_VIRT_ADDR,
    FI_SOCKADDR_IN, FI_WAIT_FD,
};
use libfabric_sys::cq::{fi_cq_attr, fi_cq_data_entry, fi_cq_err_entry, fid_cq};
use libfabric_sys::ep::{fi_msg_rma, fi_rma_iov, fid_ep};
use libfabric_sys::errno::{FI_EAGAIN, FI_EAVAIL};
use libfabric_sys::fid::{fi_context2, fid, fid_domain, fid_fabric};
use libfabric_sys::flags::{
    FI_CONTEXT, FI_CONTEXT2, FI_DELIVERY_COMPLETE, FI_MSG, FI_RECV, FI_REMOTE_CQ_DATA, FI_REMOTE_WRITE,
    FI_RMA, FI_SEND, FI_SOURCE, FI_TRANSMIT, FI_WRITE,
};
use libfabric_sys::info::fi_info;
use libfabric_sys::loader::set_string;
use libfabric_sys::mr::{fi_mr_attr, fi_mr_region, fid_mr};
use libfabric_sys::{Libfabric, inline};

const BYTES: usize = 4096;

/// Far longer than anything here takes: it ends a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// One end: everything from the fabric up, one registered buffer, and what has completed so far.
struct End {
    fabric: *mut fid_fabric,
    domain: *mut fid_domain,
    cq: *mut fid_cq,
    av: *mut fid_av,
    ep: *mut fid_ep,
    mr: *mut fid_mr,
    virtual_addresses: bool,
    buffer: Box<[u8; BYTES]>,
    contexts: Box<[fi_context2; 2]>,
    completions: Vec<fi_cq_data_entry>,
}

impl End {
    /// # Safety
    ///
    /// `info` is an entry of `fi_getinfo`.
    unsafe fn open(library: &Libfabric, info: *mut fi_info, key: u64) -> Self {
        let ok = |code, what| assert_eq!(code, 0, "{what}: {}", library.strerror(code));
        let mut end = Self {
            fabric: null_mut(),
            domain: null_mut(),
            cq: null_mut(),
            av: null_mut(),
            ep: null_mut(),
            mr: null_mut(),
            virtual_addresses: false,
            buffer: Box::new([0; BYTES]),
            contexts: Box::new([fi_context2::zeroed(), fi_context2::zeroed()]),
            completions: Vec::new(),
        };
        let mut cq_attr =
            fi_cq_attr { size: 64, format: FI_CQ_FORMAT_DATA, wait_obj: FI_WAIT_FD, ..fi_cq_attr::zeroed() };
        let mut av_attr = fi_av_attr { type_: FI_AV_TABLE, count: 2, ..fi_av_attr::zeroed() };
        let iov = libc::iovec { iov_base: end.buffer.as_mut_ptr().cast(), iov_len: BYTES };
        let mr_attr = fi_mr_attr {
            region: fi_mr_region { mr_iov: &raw const iov },
            iov_count: 1,
            access: FI_SEND | FI_RECV | FI_WRITE | FI_REMOTE_WRITE,
            requested_key: key,
            ..fi_mr_attr::zeroed()
        };
        let none = null_mut::<c_void>;
        // SAFETY: each object is opened from live ones; the attributes and the buffer outlive the calls.
        unsafe {
            end.virtual_addresses = (*(*info).domain_attr).mr_mode & FI_MR_VIRT_ADDR != 0;
            ok(library.fabric((*info).fabric_attr, &mut end.fabric, none()), "fi_fabric");
            ok(inline::fi_domain(end.fabric, info, &raw mut end.domain, none()), "fi_domain");
            ok(inline::fi_cq_open(end.domain, &raw mut cq_attr, &raw mut end.cq, none()), "fi_cq_open");
            ok(inline::fi_av_open(end.domain, &raw mut av_attr, &raw mut end.av, none()), "fi_av_open");
            ok(inline::fi_endpoint(end.domain, info, &raw mut end.ep, none()), "fi_endpoint");
            ok(inline::fi_ep_bind(end.ep, &raw mut (*end.av).fid, 0), "fi_ep_bind");
            ok(inline::fi_ep_bind(end.ep, &raw mut (*end.cq).fid, FI_TRANSMIT | FI_RECV), "fi_ep_bind");
            ok(inline::fi_enable(end.ep), "fi_enable");
            ok(inline::fi_mr_regattr(end.domain, &raw const mr_attr, 0, &raw mut end.mr), "fi_mr_regattr");
        }
        end
    }

    fn name(&self) -> Vec<u8> {
        let mut name = vec![0; 256];
        let mut length = name.len();
        // SAFETY: a live endpoint; the buffer is as long as said.
        let code = unsafe { inline::fi_getname(self.ep, name.as_mut_ptr().cast(), &raw mut length) };
        assert_eq!(code, 0);
        name.truncate(length);
        name
    }

    fn insert(&self, name: &[u8]) -> fi_addr_t {
        let mut peer = 0;
        // SAFETY: a live address vector; one address, as long as its format wants.
        let code =
            unsafe { inline::fi_av_insert(self.av, name.as_ptr().cast(), 1, &raw mut peer, 0, null_mut()) };
        assert_eq!(code, 1);
        peer
    }

    /// Reads the queue once; the provider makes progress by that.
    fn poll(&mut self) {
        let mut entry = fi_cq_data_entry::zeroed();
        // SAFETY: a live queue; room for one entry.
        let read = unsafe { inline::fi_cq_read(self.cq, (&raw mut entry).cast(), 1) };
        if read == 1 {
            self.completions.push(entry);
        } else if read == -(FI_EAVAIL as isize) {
            let mut failed = fi_cq_err_entry::zeroed();
            // SAFETY: a live queue; the entry is writable.
            let read = unsafe { inline::fi_cq_readerr(self.cq, &raw mut failed, 0) };
            assert_eq!((read, failed.err), (1, 0), "{failed:?}");
        } else {
            assert_eq!(read, -(FI_EAGAIN as isize));
        }
    }

    fn has(&self, flags: u64) -> bool {
        self.completions.iter().any(|entry| entry.flags & flags == flags)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let fids: [*mut fid; 6] = [
            self.ep.cast(),
            self.mr.cast(),
            self.av.cast(),
            self.cq.cast(),
            self.domain.cast(),
            self.fabric.cast(),
        ];
        for fid in fids.into_iter().filter(|fid| !fid.is_null()) {
            // SAFETY: every object starts with its fid, is open, and is closed before what it depends on.
            let code = unsafe { inline::fi_close(fid) };
            assert!(code == 0 || std::thread::panicking(), "fi_close: {code}");
        }
    }
}

/// Repeats a post while the queue is full (or the connection is being made), with progress on both ends.
fn post(ends: &mut [End; 2], mut operation: impl FnMut() -> isize) {
    let start = Instant::now();
    loop {
        match operation() {
            0 => return,
            code => assert_eq!(code, -(FI_EAGAIN as isize)),
        }
        ends.iter_mut().for_each(End::poll);
        assert!(start.elapsed() < PATIENCE, "the queue stays full");
    }
}

fn until(ends: &mut [End; 2], what: &str, done: impl Fn(&[End; 2]) -> bool) {
    let start = Instant::now();
    while !done(ends) {
        ends.iter_mut().for_each(End::poll);
        assert!(start.elapsed() < PATIENCE, "no {what}");
    }
    for end in ends {
        end.completions.clear();
    }
}

fn transfer(library: &Libfabric, info: *mut fi_info) {
    // SAFETY: `info` is the first entry that `fi_getinfo` returned.
    let mut ends = unsafe { [End::open(library, info, 1), End::open(library, info, 2)] };
    let names = ends.each_ref().map(End::name);
    let peer = ends[0].insert(&names[1]);
    ends[1].insert(&names[0]);

    let [from, to] = &mut ends;
    from.buffer.fill(7);
    let source = from.buffer.as_ptr().cast::<c_void>();
    let target = to.buffer.as_mut_ptr();
    let (ep, receiver) = (from.ep, to.ep);
    let context = from.contexts.as_mut_ptr().cast::<c_void>();
    let receive_context = to.contexts.as_mut_ptr().cast::<c_void>();
    let base = if to.virtual_addresses { target as u64 } else { 0 };
    // SAFETY: live regions.
    let (desc, receive_desc, key) =
        unsafe { (inline::fi_mr_desc(from.mr), inline::fi_mr_desc(to.mr), inline::fi_mr_key(to.mr)) };

    // SAFETY: here and below, buffers and contexts live in `ends`, until after the completions.
    let receive =
        || unsafe { inline::fi_recv(receiver, target.cast(), 64, receive_desc, u64::MAX, receive_context) };
    post(&mut ends, receive);
    // SAFETY: as above.
    post(&mut ends, || unsafe { inline::fi_send(ep, source, 64, desc, peer, context) });
    until(&mut ends, "message", |[from, to]| from.has(FI_SEND | FI_MSG) && to.has(FI_RECV | FI_MSG));
    assert_eq!(ends[1].buffer[..65], [[7; 64].as_slice(), &[0]].concat());

    let data = 0x1234_5678;
    // SAFETY: as above; the target range is inside the region.
    post(&mut ends, || unsafe {
        inline::fi_writedata(ep, source, 128, desc, data, peer, base + 1024, key, context)
    });
    until(&mut ends, "write with data", |[from, to]| {
        let arrived = to.completions.iter().find(|entry| entry.flags & FI_REMOTE_WRITE != 0);
        let as_sent = arrived.is_some_and(|entry| entry.flags & FI_REMOTE_CQ_DATA != 0 && entry.data == data);
        assert!(arrived.is_none() || as_sent, "{arrived:?}");
        from.has(FI_WRITE | FI_RMA) && as_sent
    });
    assert_eq!(ends[1].buffer[1023..=1152], [[0].as_slice(), &[7; 128], &[0]].concat());

    let iov = libc::iovec { iov_base: source.cast_mut(), iov_len: 32 };
    let remote = fi_rma_iov { addr: base + 2048, len: 32, key };
    let mut descriptors = [desc];
    let message = fi_msg_rma {
        msg_iov: &raw const iov,
        desc: descriptors.as_mut_ptr(),
        iov_count: 1,
        addr: peer,
        rma_iov: &raw const remote,
        rma_iov_count: 1,
        context,
        ..fi_msg_rma::zeroed()
    };
    // SAFETY: as above.
    post(&mut ends, || unsafe { inline::fi_writemsg(ep, &raw const message, FI_DELIVERY_COMPLETE) });
    until(&mut ends, "write", |[from, _]| from.has(FI_WRITE | FI_RMA));
    assert_eq!(ends[1].buffer[2047..=2080], [[0].as_slice(), &[7; 32], &[0]].concat());

    waits_and_texts(&ends[0], &names[0]);
}

/// The calls that are not on the data path.
fn waits_and_texts(end: &End, name: &[u8]) {
    let mut descriptor = -1;
    let mut queue = end.cq.cast::<fid>();
    let mut text = [0u8; 128];
    let mut length = text.len();
    // SAFETY: live objects; the buffers are as long as said.
    unsafe {
        assert_eq!(inline::fi_cq_getwait_fd(end.cq, &raw mut descriptor), 0);
        assert!(descriptor >= 0);
        let code = inline::fi_trywait(end.fabric, &raw mut queue, 1);
        assert!(code == 0 || code == -FI_EAGAIN, "{code}");
        assert!(!inline::fi_cq_strerror(end.cq, 1, null(), text.as_mut_ptr().cast(), text.len()).is_null());
        let shown =
            inline::fi_av_straddr(end.av, name.as_ptr().cast(), text.as_mut_ptr().cast(), &raw mut length);
        let shown = CStr::from_ptr(shown).to_string_lossy();
        assert!(shown.contains("127.0.0.1"), "{shown}");
    }
}

#[test]
fn data_arrives_where_it_was_sent() {
    let library = match Libfabric::load() {
        Ok(library) => library,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let provider = if library.version() < (1, 18) { c"tcp;ofi_rxm" } else { c"tcp" };
    let hints = library.allocinfo();
    assert!(!hints.is_null());
    let mut info = null_mut();
    // SAFETY: the hints are the library's, with all their attribute structures.
    let code = unsafe {
        (*hints).caps = FI_MSG | FI_RMA;
        (*hints).mode = FI_CONTEXT | FI_CONTEXT2;
        (*hints).addr_format = FI_SOCKADDR_IN;
        (*(*hints).ep_attr).type_ = FI_EP_RDM;
        (*(*hints).domain_attr).mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
        assert_eq!(set_string(&raw mut (*(*hints).fabric_attr).prov_name, provider), 0);
        let code = library.getinfo(Some(c"127.0.0.1"), None, FI_SOURCE, hints, &mut info);
        library.freeinfo(hints);
        code
    };
    if code != 0 {
        return eprintln!("skipped: no provider {provider:?}: {}", library.strerror(code));
    }
    transfer(&library, info);
    // SAFETY: the list is the library's, and nothing opened from it is left.
    unsafe { library.freeinfo(info) };
}
