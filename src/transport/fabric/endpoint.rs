//! One open NIC: connected, posted to, polled. `open.rs` makes it.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use libfabric_sys::Libfabric;
use libfabric_sys::av::{fi_addr_t, fid_av};
use libfabric_sys::consts::{FI_ADDR_NOTAVAIL, FI_ADDR_UNSPEC};
use libfabric_sys::cq::{fi_cq_data_entry, fi_cq_err_entry, fid_cq};
use libfabric_sys::ep::fid_ep;
use libfabric_sys::errno::{FI_EAGAIN, FI_EAVAIL};
use libfabric_sys::flags::FI_REMOTE_WRITE;
use libfabric_sys::inline::{
    fi_av_insert, fi_cq_read, fi_cq_readerr, fi_cq_strerror, fi_inject, fi_recv, fi_send, fi_writedata,
};
use serde::{Deserialize, Serialize};

use super::FabricError;
use super::handles::Handles;
use super::info::{Facts, Info};
use super::slots::{Kind, Slots};
use crate::transport::heap::Heap;
use crate::transport::nic::{Limits, Nic, NicError, PeerNic, Piece, Posted, Sink};
use crate::transport::wire::MAX_FRAME_BYTES;

/// Completions taken at a time.
const CQ_BATCH: usize = 32;

/// What another PE must know to write through a NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicCard {
    /// The endpoint's address.
    pub name: Vec<u8>,
    /// Key of the heap's registration on this NIC.
    pub key: u64,
    /// What offset 0 of the heap is called on the wire (0, or its virtual address).
    pub base: u64,
}

/// Where a peer's NIC is, and its heap through it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remote {
    addr: fi_addr_t,
    key: u64,
    base: u64,
}

/// A NIC driven through libfabric.
pub struct FabricNic {
    // Fields drop in order: the handles (endpoint first) before the buffers they refer to.
    pub(super) _handles: Handles,
    pub(super) name: String,
    pub(super) lib: Arc<Libfabric>,
    pub(super) info: Info,
    pub(super) ep: *mut fid_ep,
    pub(super) cq: *mut fid_cq,
    pub(super) av: *mut fid_av,
    pub(super) heap_desc: *mut c_void,
    pub(super) frames_desc: *mut c_void,
    pub(super) card: NicCard,
    /// By PE, then by that PE's NIC.
    pub(super) remotes: Vec<Vec<Remote>>,
    pub(super) slots: Slots,
    /// One buffer per slot, for sends and receives.
    pub(super) frames: Box<[[u8; MAX_FRAME_BYTES]]>,
    /// Receives to post again.
    pub(super) repost: Vec<usize>,
    pub(super) inject_size: usize,
    pub(super) limits: Limits,
    pub(super) heap: Arc<Heap>,
}

// SAFETY: all libfabric objects here belong to this value, which one thread uses at a time (FI_THREAD_DOMAIN).
unsafe impl Send for FabricNic {}

impl std::fmt::Debug for FabricNic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FabricNic")
            .field("name", &self.name)
            .field("provider", &self.info.provider())
            .finish_non_exhaustive()
    }
}

impl FabricNic {
    /// What other PEs must know.
    #[must_use]
    pub fn card(&self) -> &NicCard {
        &self.card
    }

    /// The offer the NIC was opened with.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// What the NIC says about itself.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.info.facts()
    }

    /// Whether immediates have 8 bytes, room for a length.
    #[must_use]
    pub fn wide_immediate(&self) -> bool {
        // SAFETY: `open` has checked that the attributes are there.
        unsafe { (*self.info.raw()).domain_attr.as_ref().is_some_and(|attr| attr.cq_data_size >= 8) }
    }

    /// Makes every NIC of every PE reachable, by the cards of all PEs (this PE's own included: on EFA the target must
    /// know the initiator's address).
    ///
    /// # Errors
    /// When an address is not taken.
    pub fn connect(&mut self, cards: &[Vec<NicCard>]) -> Result<(), FabricError> {
        self.remotes = Vec::with_capacity(cards.len());
        for (pe, nics) in (0..).zip(cards) {
            let mut remotes = Vec::with_capacity(nics.len());
            for card in nics {
                if card.name.len() != self.card.name.len() {
                    let why = format!(
                        "an endpoint address of {} bytes, here they have {}",
                        card.name.len(),
                        self.card.name.len()
                    );
                    return Err(FabricError::Card { pe, why });
                }
                let mut addr: fi_addr_t = FI_ADDR_NOTAVAIL;
                // SAFETY: a live address vector; the name has the length that this provider's names have.
                let taken = unsafe {
                    fi_av_insert(self.av, card.name.as_ptr().cast(), 1, &raw mut addr, 0, ptr::null_mut())
                };
                if taken != 1 || addr == FI_ADDR_NOTAVAIL {
                    let why =
                        if taken < 0 { self.lib.strerror(taken) } else { "the address was not taken".into() };
                    return Err(FabricError::Call { nic: self.name.clone(), call: "fi_av_insert", why });
                }
                remotes.push(Remote { addr, key: card.key, base: card.base });
            }
            self.remotes.push(remotes);
        }
        Ok(())
    }

    pub(super) fn post_receives(&mut self, count: usize) -> Result<(), FabricError> {
        for _ in 0..count {
            let Some((index, _)) = self.slots.take(Kind::Receive) else { break };
            match self.post_receive(index) {
                Ok(true) => {}
                // The queue is full for now; `poll` tries again.
                Ok(false) => self.repost.push(index),
                Err(error) => {
                    return Err(FabricError::Call { nic: error.nic, call: "fi_recv", why: error.why });
                }
            }
        }
        Ok(())
    }

    /// Posts a receive into a slot's buffer; `false` when the queue is full.
    fn post_receive(&mut self, index: usize) -> Result<bool, NicError> {
        let context = self.slots.context(index);
        let Some(buffer) = self.frames.get_mut(index) else { return Ok(true) };
        // SAFETY: buffer and context stay in place until the completion (boxed, one per slot).
        let code = unsafe {
            fi_recv(
                self.ep,
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                self.frames_desc,
                FI_ADDR_UNSPEC,
                context,
            )
        };
        self.posted(code, "posting a receive").map(|posted| posted != Posted::Full)
    }

    fn posted(&self, code: isize, what: &str) -> Result<Posted, NicError> {
        if code == 0 {
            return Ok(Posted::Yes);
        }
        if code == -(FI_EAGAIN as isize) {
            return Ok(Posted::Full);
        }
        Err(self.error(what, i32::try_from(code).unwrap_or(i32::MIN)))
    }

    fn error(&self, what: &str, code: i32) -> NicError {
        NicError { nic: self.name.clone(), what: what.to_owned(), why: self.lib.strerror(code) }
    }

    fn remote(&self, to: PeerNic) -> Result<Remote, NicError> {
        let found = self.remotes.get(to.pe as usize).and_then(|nics| nics.get(usize::from(to.nic)));
        found.copied().ok_or_else(|| NicError {
            nic: self.name.clone(),
            what: format!("a put to {to}"),
            why: "there is no such NIC in this job".into(),
        })
    }

    /// Takes one failed completion and says whose it was.
    fn failure(&mut self) -> NicError {
        let mut entry = fi_cq_err_entry::zeroed();
        // SAFETY: a live queue; the entry is the newest size.
        let got = unsafe { fi_cq_readerr(self.cq, &raw mut entry, 0) };
        if got < 0 {
            return self.error("reading a failed completion", i32::try_from(got).unwrap_or(i32::MIN));
        }
        let what = match self.slots.find(entry.op_context) {
            Some((_, Kind::Piece { bytes, to })) => format!("a put of {bytes} bytes to {to}"),
            Some((_, Kind::Frame { to })) => format!("a control frame to {to}"),
            Some((_, Kind::Receive)) => "receiving a control frame".to_owned(),
            _ => "an operation of another PE".to_owned(),
        };
        let mut text = [0_u8; 160];
        // SAFETY: the buffer is as long as said; err_data belongs to the entry just read.
        let detail = unsafe {
            fi_cq_strerror(self.cq, entry.prov_errno, entry.err_data, text.as_mut_ptr().cast(), text.len())
        };
        let mut why = self.lib.strerror(entry.err);
        if !detail.is_null() {
            // SAFETY: not null, so a string of the provider that ends in NUL; copied at once.
            let detail = unsafe { std::ffi::CStr::from_ptr(detail) }.to_string_lossy();
            let detail = crate::text::printable(&detail);
            if !detail.is_empty() && detail != why {
                why = format!("{why} ({detail})");
            }
        }
        NicError { nic: self.name.clone(), what, why }
    }

    fn complete(&mut self, entry: &fi_cq_data_entry, sink: &mut impl Sink) {
        // Bits are tested, never compared for equality: 1.17 and 2.6 set different ones beside this.
        if entry.flags & FI_REMOTE_WRITE != 0 {
            sink.landed(entry.data, entry.len as u64);
            return;
        }
        match self.slots.find(entry.op_context) {
            Some((index, Kind::Piece { bytes, to })) => {
                self.slots.release(index);
                sink.piece_done(to, bytes);
            }
            Some((index, Kind::Frame { to })) => {
                self.slots.release(index);
                sink.frame_done(to);
            }
            Some((index, Kind::Receive)) => {
                if let Some(buffer) = self.frames.get(index) {
                    sink.frame(buffer.get(..entry.len).unwrap_or(&[]));
                }
                self.repost.push(index);
            }
            Some((_, Kind::Free)) | None => {}
        }
    }
}

impl Nic for FabricNic {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn put(&mut self, piece: &Piece) -> Result<Posted, NicError> {
        let remote = self.remote(piece.to)?;
        let range = |_| NicError {
            nic: self.name.clone(),
            what: format!("a put to {}", piece.to),
            why: format!("{} bytes at offset {} lie outside the heap", piece.len, piece.local),
        };
        self.heap.check(piece.local, piece.len).map_err(range)?;
        let kind = Kind::Piece { bytes: piece.len, to: piece.to };
        let Some((index, context)) = self.slots.take(kind) else { return Ok(Posted::Full) };
        let offset = usize::try_from(piece.local).unwrap_or(usize::MAX);
        let len = usize::try_from(piece.len).unwrap_or(usize::MAX);
        // SAFETY: the source lies in the registered heap (checked), which lives as long as this value; the context stays
        // in place until the completion. One local and one remote buffer, as immediates on EFA need it.
        let code = unsafe {
            fi_writedata(
                self.ep,
                self.heap.base().add(offset).cast(),
                len,
                self.heap_desc,
                piece.immediate,
                remote.addr,
                remote.base.wrapping_add(piece.remote),
                remote.key,
                context,
            )
        };
        let posted = self.posted(code, "posting a put");
        if !matches!(posted, Ok(Posted::Yes)) {
            self.slots.release(index);
        }
        posted
    }

    fn send(&mut self, to: PeerNic, frame: &[u8]) -> Result<Posted, NicError> {
        let remote = self.remote(to)?;
        if frame.len() <= self.inject_size {
            // SAFETY: inject copies the buffer before it returns.
            let code = unsafe { fi_inject(self.ep, frame.as_ptr().cast(), frame.len(), remote.addr) };
            let posted = self.posted(code, "sending a control frame")?;
            return Ok(if posted == Posted::Yes { Posted::Injected } else { posted });
        }
        let Some((index, context)) = self.slots.take(Kind::Frame { to }) else { return Ok(Posted::Full) };
        let Some(buffer) = self.frames.get_mut(index).and_then(|buffer| buffer.get_mut(..frame.len())) else {
            self.slots.release(index);
            return Err(NicError {
                nic: self.name.clone(),
                what: "a control frame".into(),
                why: "it is too long".into(),
            });
        };
        buffer.copy_from_slice(frame);
        // SAFETY: buffer and context stay in place until the completion.
        let code = unsafe {
            fi_send(self.ep, buffer.as_ptr().cast(), frame.len(), self.frames_desc, remote.addr, context)
        };
        let posted = self.posted(code, "sending a control frame");
        if !matches!(posted, Ok(Posted::Yes)) {
            self.slots.release(index);
        }
        posted
    }

    fn poll(&mut self, sink: &mut impl Sink) -> Result<usize, NicError> {
        let mut entries = [fi_cq_data_entry {
            op_context: ptr::null_mut(),
            flags: 0,
            len: 0,
            buf: ptr::null_mut(),
            data: 0,
        }; CQ_BATCH];
        let mut total = 0;
        loop {
            // SAFETY: a live queue of FI_CQ_FORMAT_DATA; the buffer holds CQ_BATCH such entries.
            let got = unsafe { fi_cq_read(self.cq, entries.as_mut_ptr().cast::<c_void>(), CQ_BATCH) };
            if got == -(FI_EAGAIN as isize) {
                break;
            }
            if got == -(FI_EAVAIL as isize) {
                return Err(self.failure());
            }
            let Ok(got) = usize::try_from(got) else {
                return Err(self.error("reading completions", i32::try_from(got).unwrap_or(i32::MIN)));
            };
            for entry in entries.iter().take(got) {
                self.complete(entry, sink);
            }
            total += got;
            if got < CQ_BATCH {
                break;
            }
        }
        while let Some(index) = self.repost.pop() {
            if !self.post_receive(index)? {
                self.repost.push(index);
                break;
            }
        }
        Ok(total)
    }
    fn can_reopen(&self) -> bool {
        false
    }

    fn reopen(&mut self, _sink: &mut impl Sink) -> Result<Vec<u8>, NicError> {
        Err(self.error("reopen", -1))
    }

    fn redirect(&mut self, _peer: PeerNic, _card: &[u8]) -> Result<(), NicError> {
        Ok(())
    }
}
