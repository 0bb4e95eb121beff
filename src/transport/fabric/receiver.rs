//! The receiving side of a NIC: an endpoint of its own where the NIC may have to be fenced, so that closing it harms nothing else.
//! Where that can never be it is the endpoint that also sends. Over sockets both directions between two NICs are then one
//! connection, on which what goes back acknowledges what has come; with two, TCP sends a segment of its own for every second
//! message (`docs/measurements.md`).

use std::collections::VecDeque;
use std::ptr;

use libfabric_sys::Libfabric;
use libfabric_sys::av::fid_av;
use libfabric_sys::consts::FI_ADDR_UNSPEC;
use libfabric_sys::cq::fid_cq;
use libfabric_sys::ep::fid_ep;
use libfabric_sys::fid::fid_domain;
use libfabric_sys::inline::{fi_close, fi_recv};

use super::FabricError;
use super::card::{Door, NicCard};
use super::endpoint::FabricNic;
use super::failing::Failing;
use super::half_open;
use super::info::Info;
use super::open::{open_av, open_endpoint};
use super::peers::{Names, insert};
use super::slots::Kind;
use crate::transport::nic::{NicError, Posted, Sink};

/// The part of the receives that may be missing for a while.
const MISSING: usize = 8;

/// Former addresses that a fresh endpoint must not have: somebody may still be sending there.
const FORMER: usize = 64;

/// How often the queue is read for what has landed: more than it holds.
const DRAINS: usize = 256;

/// How often the system is asked for another address.
const ATTEMPTS: usize = 8;

/// The endpoint that receives, and its posted receives.
pub(super) struct Receiver {
    /// Null while closed.
    pub(super) ep: *mut fid_ep,
    /// It is the one that sends, too, and stays open as long as that.
    pub(super) shared: bool,
    pub(super) domain: *mut fid_domain,
    pub(super) cq: *mut fid_cq,
    /// Null while closed, and where the endpoint is the sender's. EFA before libfabric 2.3 refuses a second endpoint on an address
    /// vector, so this one has its own.
    pub(super) av: *mut fid_av,
    pub(super) names: Names,
    /// Who sends here: their endpoints' addresses. EFA wants to know them.
    pub(super) senders: Vec<Vec<u8>>,
    /// Slots of the receives.
    pub(super) slots: Vec<usize>,
    /// Those of them that are not posted.
    pub(super) idle: Vec<usize>,
    /// Whether it can be closed in mid-traffic, and opened again.
    pub(super) can_reopen: bool,
    /// Whether closing it leaves connections behind; see `half_open.rs`.
    pub(super) leaves_half_open: bool,
    pub(super) former: VecDeque<Vec<u8>>,
    pub(super) failing: Failing,
}

impl Receiver {
    /// Closed, and without receives.
    pub(super) fn new(domain: *mut fid_domain, cq: *mut fid_cq, names: Names, provider: &str) -> Self {
        Self {
            ep: ptr::null_mut(),
            shared: false,
            domain,
            cq,
            av: ptr::null_mut(),
            names,
            senders: Vec::new(),
            slots: Vec::new(),
            idle: Vec::new(),
            can_reopen: can_reopen(provider),
            leaves_half_open: matches!(provider, "net" | "tcp"),
            former: VecDeque::new(),
            failing: Failing::default(),
        }
    }

    /// Receives by the endpoint that sends, for good. Providers that cannot reopen keep two endpoints all the same: `shm` of libfabric 2.5
    /// dies of SIGSEGV in `fi_cq_read` when PEs of one process have one each.
    pub(super) fn share(&mut self, sender: *mut fid_ep) {
        (self.ep, self.shared, self.can_reopen) = (sender, true, false);
    }

    /// Opens endpoint and address vector and returns the endpoint's address.
    ///
    /// # Safety
    /// Domain and queue are live, and `info` is what the domain was opened with.
    pub(super) unsafe fn open(
        &mut self,
        lib: &Libfabric,
        nic: &str,
        info: &Info,
    ) -> Result<Vec<u8>, FabricError> {
        let failed = |call, why| FabricError::Call { nic: nic.to_owned(), call, why };
        if !self.av.is_null() {
            // Closing it has failed, and with a second one nobody would try again.
            return Err(failed("fi_av_open", "the former address vector is still open".into()));
        }
        // SAFETY: the caller's promise; what is opened is closed by `close`, after an error too.
        let opened = unsafe {
            self.av = open_av(lib, nic, self.domain)?;
            open_endpoint(lib, nic, info, self.domain, self.cq, self.av)
        };
        let opened = opened.and_then(|(ep, name)| {
            self.ep = ep;
            for sender in &self.senders {
                // SAFETY: just opened.
                let inserted = unsafe { insert(lib, self.av, &self.names, sender) };
                inserted.map_err(|why| failed("fi_av_insert", why))?;
            }
            Ok(name)
        });
        opened.map_err(|error| match self.close() {
            code if code < 0 => failed("fi_close", format!("{}, after this: {error}", lib.strerror(code))),
            _ => error,
        })
    }

    /// Whether so many receives are not posted that messages may soon find none.
    pub(super) fn is_short(&self) -> bool {
        is_short(self.idle.len(), self.slots.len())
    }

    /// Makes the endpoint known by which the NIC of this card sends.
    pub(super) fn expect(&mut self, lib: &Libfabric, card: &NicCard) -> Result<(), String> {
        if self.shared != (card.sender == card.name) {
            let (has, needs) = if self.shared { ("two endpoints", "one") } else { ("one endpoint", "two") };
            return Err(format!("it has {has} where every NIC of this job has {needs}"));
        }
        if self.shared {
            // The sender's address vector has it as where to send to.
            return Ok(());
        }
        if !self.av.is_null() {
            // SAFETY: a live address vector.
            unsafe { insert(lib, self.av, &self.names, &card.sender) }?;
        }
        self.senders.push(card.sender.clone());
        Ok(())
    }

    /// Closes the endpoint and then its address vector; returns libfabric's code. What could not be closed stays.
    #[must_use]
    fn close(&mut self) -> i32 {
        match self.close_endpoint() {
            code if code < 0 => code,
            _ => self.close_av(),
        }
    }

    /// Closes the endpoint, if it is its own and open.
    #[must_use]
    fn close_endpoint(&mut self) -> i32 {
        if self.shared || self.ep.is_null() {
            return 0;
        }
        // SAFETY: a live endpoint, closed once.
        let code = unsafe { fi_close(&raw mut (*self.ep).fid) };
        if code >= 0 {
            self.ep = ptr::null_mut();
            self.failing = Failing::default();
        }
        code
    }

    /// Closes the address vector, if it is open and no endpoint uses it any more.
    #[must_use]
    fn close_av(&mut self) -> i32 {
        if self.av.is_null() || !self.ep.is_null() {
            return 0;
        }
        // SAFETY: a live address vector, closed once, after the endpoint that used it.
        let code = unsafe { fi_close(&raw mut (*self.av).fid) };
        if code >= 0 {
            self.av = ptr::null_mut();
        }
        code
    }

    /// Remembers an address that the next endpoint must not have.
    fn retire(&mut self, name: Vec<u8>) {
        if self.former.len() == FORMER {
            self.former.pop_front();
        }
        self.former.push_back(name);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // What does not close stays open, as the NIC's handles would: there is nobody to tell.
        let _ = self.close();
    }
}

/// Whether a provider's endpoints can be closed while others write to them, and are then closed for good.
///
/// - `tcp;ofi_rxm` follows a null pointer when it finds a put with an immediate half received (1.17: the error entry of
///   `tcpx_cq_report_error` has no context, `rxm_handle_comp_error` wants one).
/// - `verbs;ofi_rxm` (1.17) stands it a few times, and then dies of SIGSEGV as well.
/// - With `shm` the sender itself writes into the target's memory (`process_vm_writev`): nothing the target closes
///   stops it.
/// - `net` and `tcp` write only when the target reads its queue, from sockets that are closed with the endpoint.
/// - An EFA endpoint is one queue pair, which is destroyed with it.
fn can_reopen(provider: &str) -> bool {
    matches!(provider, "net" | "tcp" | "efa" | "efa-direct")
}

impl FabricNic {
    /// A receive has come back from the provider.
    pub(super) fn receive_ended(&mut self, index: usize) {
        self.slots.set(index, Kind::Idle);
        self.receiver.idle.push(index);
    }

    /// Posts the receives that are not, as many as the queue takes.
    pub(super) fn post_receives(&mut self) -> Result<(), NicError> {
        if self.receiver.ep.is_null() {
            return Ok(());
        }
        while let Some(index) = self.receiver.idle.pop() {
            let context = self.slots.context(index);
            let Some(buffer) = self.frames.get_mut(index) else { continue };
            // SAFETY: buffer and context stay in place until the completion (boxed, one per slot).
            let code = unsafe {
                fi_recv(
                    self.receiver.ep,
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    self.frames_desc,
                    FI_ADDR_UNSPEC,
                    context,
                )
            };
            let posted = self.posted(code, "posting a receive");
            if !matches!(posted, Ok(Posted::Yes)) {
                self.receiver.idle.push(index);
                return posted.map(|_| ());
            }
            self.slots.set(index, Kind::Receive);
        }
        Ok(())
    }

    /// Why this NIC can be fenced, or not.
    fn check_can_reopen(&self) -> Result<(), NicError> {
        if self.receiver.can_reopen {
            return Ok(());
        }
        let provider = self.info.provider();
        let why = if self.receiver.shared {
            format!("no PE has a second NIC, so that {provider} receives by the endpoint that sends")
        } else {
            format!("{provider} cannot close an endpoint while others write to it")
        };
        Err(self.refusal("closing the receiving endpoint".into(), why))
    }

    /// Opens a fresh endpoint in place of the one there was.
    pub(super) fn start_receiving(&mut self) -> Result<Vec<u8>, NicError> {
        const WHAT: &str = "reopening";
        if !self.receiver.ep.is_null() {
            // It could not be made to receive the last time.
            self.close_endpoint()?;
            self.take_receives_back();
        }
        for _ in 0..ATTEMPTS {
            // The address vector of before, where that did not close.
            self.close_rest()?;
            // SAFETY: domain and queue live as long as this value.
            let opened = unsafe { self.receiver.open(&self.lib, &self.name, &self.info) };
            let name = opened.map_err(|error| self.refusal(WHAT.into(), error.to_string()))?;
            let is_former = self.receiver.former.contains(&name);
            self.card.name = name;
            if is_former {
                // At once: others may still write to that address.
                self.close_endpoint()?;
                continue;
            }
            self.post_receives()?;
            let NicCard { name, key, base, .. } = self.card.clone();
            return Ok(Door { name, key, base }.encode());
        }
        self.close_rest()?;
        Err(self.refusal(WHAT.into(), "the system gives no address that it has not given before".into()))
    }

    /// Closes the receiving endpoint, so that nothing that was sent to it lands any more; what it had received is reported.
    pub(super) fn stop_receiving(&mut self, sink: &mut impl Sink) -> Result<(), NicError> {
        self.check_can_reopen()?;
        if self.receiver.ep.is_null() {
            return Ok(());
        }
        // Closing may drop completions that nobody has read (fi_endpoint(3)). More may come as fast as they are taken.
        // A queue that cannot be read is no reason to leave the endpoint open; the next poll says so.
        let _ = self.drain(sink);
        self.close_endpoint()?;
        // From here on nothing new comes in.
        let _ = self.drain(sink);
        self.take_receives_back();
        Ok(())
    }

    /// Reports everything that the queue has.
    fn drain(&mut self, sink: &mut impl Sink) -> Result<(), NicError> {
        for _ in 0..DRAINS {
            if self.take_completions(sink)? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Closes the endpoint, whose address is not to be used again.
    fn close_endpoint(&mut self) -> Result<(), NicError> {
        let code = self.receiver.close_endpoint();
        if code < 0 {
            return Err(self.error("closing the receiving endpoint", code));
        }
        if self.receiver.leaves_half_open {
            half_open::close(&self.card.name);
        }
        self.receiver.retire(std::mem::take(&mut self.card.name));
        Ok(())
    }

    /// Closes what is left when the endpoint is closed.
    fn close_rest(&mut self) -> Result<(), NicError> {
        match self.receiver.close_av() {
            code if code < 0 => Err(self.error("closing the receiving address vector", code)),
            _ => Ok(()),
        }
    }

    /// Providers report the receives of a closed endpoint as cancelled, or drop them without a word.
    fn take_receives_back(&mut self) {
        for &index in &self.receiver.slots {
            self.slots.set(index, Kind::Idle);
        }
        self.receiver.idle.clone_from(&self.receiver.slots);
    }
}

/// Whether so many of `all` receives are missing that messages may soon find none.
fn is_short(missing: usize, all: usize) -> bool {
    missing > all / MISSING
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;
    use std::sync::Arc;

    use libc::c_int;
    use libfabric_sys::errno::FI_EBUSY;
    use libfabric_sys::fid::{fi_ops, fid};

    use super::*;

    /// What its context says is what closing an object gives.
    unsafe extern "C" fn close(object: *mut fid) -> c_int {
        // SAFETY: only called with objects of `Object::new`, whose context is a number of their own.
        unsafe { *(*object).context.cast::<c_int>() }
    }

    /// An object that refuses to be closed as long as `code` says so.
    struct Object {
        code: Box<c_int>,
        _ops: Box<fi_ops>,
        fid: fid,
    }

    impl Object {
        fn new() -> Self {
            let mut code = Box::new(0);
            let mut ops = Box::new(fi_ops {
                size: size_of::<fi_ops>(),
                close: Some(close),
                bind: None,
                control: None,
                ops_open: None,
                tostr: None,
                ops_set: None,
            });
            let context: *mut c_void = (&raw mut *code).cast();
            let fid = fid { fclass: 0, context, ops: &raw mut *ops };
            Self { code, _ops: ops, fid }
        }
    }

    #[test]
    fn an_address_vector_that_stays_open_is_closed_before_there_is_another() {
        let Ok(lib) = Libfabric::load().map(Arc::new) else { return eprintln!("skipped: no libfabric") };
        let info = Info::hints(&lib).unwrap();
        let (mut ep, mut av) = (Object::new(), Object::new());
        *av.code = -FI_EBUSY;
        let mut receiver = Receiver::new(ptr::null_mut(), ptr::null_mut(), Names::Text, "net");
        // Closing looks at nothing behind the head that all objects begin with.
        receiver.ep = (&raw mut ep.fid).cast();
        receiver.av = (&raw mut av.fid).cast();
        assert_eq!(receiver.close(), -FI_EBUSY);
        assert!(receiver.ep.is_null() && !receiver.av.is_null(), "what has been closed is not closed again");
        // SAFETY: it does not come to using domain and queue.
        let refused = unsafe { receiver.open(&lib, "nic0", &info) }.unwrap_err().to_string();
        assert!(refused.contains("former address vector"), "{refused}");
        assert!(!receiver.av.is_null(), "it is not forgotten");
        *av.code = 0;
        assert_eq!(receiver.close_av(), 0);
        assert!(receiver.av.is_null());
    }

    #[test]
    fn the_last_addresses_are_remembered() {
        let mut receiver = Receiver::new(ptr::null_mut(), ptr::null_mut(), Names::Text, "net");
        (0..=FORMER).for_each(|number| receiver.retire(number.to_le_bytes().to_vec()));
        assert!(!receiver.former.contains(&0_usize.to_le_bytes().to_vec()));
        assert!((1..=FORMER).all(|number| receiver.former.contains(&number.to_le_bytes().to_vec())));
    }

    #[test]
    fn an_eighth_of_the_receives_may_be_missing() {
        assert!((1..8).all(|all| is_short(1, all) && !is_short(0, all)), "of few none may");
        assert!(!is_short(1, 8) && is_short(2, 8));
        assert!(!is_short(32, 256) && is_short(33, 256));
    }
}
