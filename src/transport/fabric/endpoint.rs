//! One open NIC: connected, posted to, polled. `open.rs` makes it, `receiver.rs` has its receiving side.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::Arc;

use libfabric_sys::Libfabric;
use libfabric_sys::cq::fid_cq;
use libfabric_sys::ep::fid_ep;
use libfabric_sys::errno::FI_EAGAIN;
use libfabric_sys::inline::{fi_inject, fi_send, fi_writedata};

use super::FabricError;
use super::card::{Door, NicCard, Remote};
use super::completion::Completions;
use super::device::DeviceSide;
use super::handles::Handles;
use super::info::{Facts, Info};
use super::peers::{Path, PathId, Peers};
use super::receiver::Receiver;
use super::slots::{Kind, Slots};
use crate::transport::heap::{Heap, Place};
use crate::transport::nic::{Failed, Limits, Nic, NicError, PeerNic, Piece, Posted, Sink};
use crate::transport::wire::MAX_FRAME_BYTES;

/// A NIC driven through libfabric.
pub struct FabricNic {
    // Fields drop in order: the receiving endpoint, then the handles (sending endpoint first), then the buffers they
    // refer to.
    pub(super) receiver: Receiver,
    pub(super) handles: Handles,
    pub(super) name: String,
    pub(super) lib: Arc<Libfabric>,
    pub(super) info: Info,
    /// The endpoint that sends, and may be the receiver's, too, as long as this value lives.
    pub(super) sender: *mut fid_ep,
    pub(super) cq: *mut fid_cq,
    pub(super) completions: Completions,
    pub(super) heap_desc: *mut c_void,
    pub(super) frames_desc: *mut c_void,
    pub(super) card: NicCard,
    pub(super) peers: Peers,
    pub(super) slots: Slots,
    /// One buffer per slot, for sends and receives.
    pub(super) frames: Box<[[u8; MAX_FRAME_BYTES]]>,
    /// Operations of ours in flight, those given up not counted.
    pub(super) in_flight: u64,
    /// Operations reported failed that the provider still holds.
    pub(super) given_up: usize,
    /// How many of those there is room for.
    pub(super) max_given_up: usize,
    /// Failures to report with the next poll.
    pub(super) failures: VecDeque<Failed>,
    pub(super) inject_size: usize,
    pub(super) limits: Limits,
    pub(super) heap: Arc<Heap>,
    /// The heap's part in a device's memory.
    pub(super) device: DeviceSide,
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

    /// Makes every NIC of every PE reachable, by the cards of all PEs (this PE's own included), each with both its
    /// addresses: on EFA the target must know the initiator's.
    ///
    /// # Errors
    /// When an address is not taken.
    pub fn connect(&mut self, cards: &[Vec<NicCard>]) -> Result<(), FabricError> {
        for (pe, nics) in (0..).zip(cards) {
            let bad = |why| FabricError::Card { pe, why };
            self.peers.add_pe(nics).map_err(bad)?;
            for card in nics {
                self.receiver.expect(&self.lib, card).map_err(bad)?;
            }
        }
        Ok(())
    }

    /// What the provider still holds: operations in flight, and ways to peers. For tests that look for leaks.
    #[must_use]
    pub fn held(&self) -> Held {
        let in_use = self.slots.iter().filter(|(_, kind)| *kind != Kind::Free).count();
        Held {
            operations: in_use - self.receiver.slots.len(),
            free_slots: self.slots.free(),
            ways: self.peers.count(),
        }
    }

    pub(super) fn posted(&self, code: isize, what: &str) -> Result<Posted, NicError> {
        if code == 0 {
            return Ok(Posted::Yes);
        }
        if code == -(FI_EAGAIN as isize) {
            return Ok(Posted::Full);
        }
        Err(self.error(what, i32::try_from(code).unwrap_or(i32::MIN)))
    }

    pub(super) fn error(&self, what: &str, code: i32) -> NicError {
        self.refusal(what.to_owned(), self.lib.strerror(code))
    }

    pub(super) fn refusal(&self, what: String, why: String) -> NicError {
        NicError { nic: self.name.clone(), what, why }
    }

    fn path(&self, to: PeerNic) -> Result<(PathId, Path), NicError> {
        self.peers
            .path(to)
            .ok_or_else(|| self.refusal(format!("a put to {to}"), "there is no such NIC in this job".into()))
    }

    /// A slot for an operation of ours; `None` when as much is in flight as may be.
    fn slot(&mut self, kind: Kind) -> Option<(usize, *mut c_void)> {
        if self.in_flight >= self.limits.max_in_flight {
            return None;
        }
        self.slots.take(kind)
    }

    /// Keeps the slot of an operation that was taken, and gives back that of one that was not.
    fn settle(&mut self, index: usize, path: PathId, posted: &Result<Posted, NicError>) {
        if matches!(posted, Ok(Posted::Yes)) {
            self.in_flight += 1;
            self.peers.started(path);
        } else {
            self.slots.release(index);
        }
    }

    /// Reports what is in flight to a replaced address as failed: it can land no more, and with the link down it may be
    /// a quarter of an hour before TCP says so. The provider keeps its slots until it does.
    fn give_up(&mut self, path: PathId) {
        let room = self.max_given_up.saturating_sub(self.given_up);
        let held = self.slots.iter().filter_map(|(index, kind)| match kind {
            Kind::Piece { bytes, to, path: its } if its == path => Some((index, to, Some(bytes))),
            Kind::Frame { to, path: its } if its == path => Some((index, to, None)),
            _ => None,
        });
        let held: Vec<_> = held.take(room).collect();
        for (index, to, bytes) in held {
            let error = self.refusal(describe(to, bytes), "the target has reopened its NIC".into());
            self.failures.push_back(Failed { to, bytes, error });
            self.slots.set(index, Kind::GivenUp { path });
            self.in_flight -= 1;
            self.given_up += 1;
        }
    }
}

/// What a NIC still has to do with; see [`FabricNic::held`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Operations that have not ended, those given up included.
    pub operations: usize,
    /// Slots for more.
    pub free_slots: usize,
    /// Addresses of peers' NICs, former ones that are still in use included.
    pub ways: usize,
}

/// An operation in words.
pub(super) fn describe(to: PeerNic, bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => format!("a put of {bytes} bytes to {to}"),
        None => format!("a control frame to {to}"),
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
        let (path, way) = self.path(piece.to)?;
        let place = self.heap.place(piece.local, piece.len);
        let (from, desc) = match place {
            Ok(Place::Host(from)) => (from, self.heap_desc),
            Ok(Place::Device(from)) => (from, self.device.desc.ok_or_else(|| self.unreached(piece))?),
            Err(error) => return Err(self.refusal(format!("a put to {}", piece.to), error.to_string())),
        };
        let (key, remote) = if piece.remote < self.heap.len() {
            (way.key, way.base.wrapping_add(piece.remote))
        } else {
            let Remote { key, base } = way.device.ok_or_else(|| self.unreached(piece))?;
            (key, base.wrapping_add(piece.remote - self.heap.len()))
        };
        if way.in_flight >= way.room {
            return Ok(Posted::Full);
        }
        let kind = Kind::Piece { bytes: piece.len, to: piece.to, path };
        let Some((index, context)) = self.slot(kind) else { return Ok(Posted::Full) };
        let len = usize::try_from(piece.len).unwrap_or(usize::MAX);
        // SAFETY: the source lies in the registered heap (checked), of which both parts live as long as this value; the context
        // stays in place until the completion. One local and one remote buffer, as immediates on EFA need it.
        let code = unsafe {
            fi_writedata(
                self.sender,
                from.as_ptr().cast(),
                len,
                desc,
                piece.immediate,
                way.addr,
                remote,
                key,
                context,
            )
        };
        let posted = self.posted(code, "posting a put");
        self.settle(index, path, &posted);
        posted
    }

    fn send(&mut self, to: PeerNic, frame: &[u8]) -> Result<Posted, NicError> {
        let (path, way) = self.path(to)?;
        if frame.len() <= self.inject_size {
            // SAFETY: inject copies the buffer before it returns.
            let code = unsafe { fi_inject(self.sender, frame.as_ptr().cast(), frame.len(), way.addr) };
            let posted = self.posted(code, "sending a control frame")?;
            return Ok(if posted == Posted::Yes { Posted::Injected } else { posted });
        }
        let Some((index, context)) = self.slot(Kind::Frame { to, path }) else { return Ok(Posted::Full) };
        let Some(buffer) = self.frames.get_mut(index).and_then(|buffer| buffer.get_mut(..frame.len())) else {
            self.slots.release(index);
            return Err(self.refusal(describe(to, None), "it is too long".into()));
        };
        buffer.copy_from_slice(frame);
        // SAFETY: buffer and context stay in place until the completion.
        let code = unsafe {
            fi_send(self.sender, buffer.as_ptr().cast(), frame.len(), self.frames_desc, way.addr, context)
        };
        let posted = self.posted(code, "sending a control frame");
        self.settle(index, path, &posted);
        posted
    }

    fn poll(&mut self, sink: &mut impl Sink) -> Result<usize, NicError> {
        let mut total = self.failures.len();
        for failed in self.failures.drain(..) {
            sink.failed(failed);
        }
        total += self.take_completions(sink)?;
        // Posting one again takes a tenth of the time between a message and its answer, so it waits for a moment of nothing to do.
        if total == 0 || self.receiver.is_short() {
            self.post_receives()?;
        }
        Ok(total)
    }

    fn room_at(&self, to: PeerNic) -> u64 {
        self.peers.path(to).map_or(0, |(_, way)| u64::from(way.room))
    }

    fn can_reopen(&self) -> bool {
        self.receiver.can_reopen
    }

    fn close_receiver(&mut self, sink: &mut impl Sink) -> Result<(), NicError> {
        self.stop_receiving(sink)
    }

    fn open_receiver(&mut self) -> Result<Vec<u8>, NicError> {
        self.start_receiving()
    }

    fn redirect(&mut self, peer: PeerNic, card: &[u8]) -> Result<(), NicError> {
        let door = Door::decode(card).map_err(ToOwned::to_owned);
        let old = door.and_then(|door| self.peers.redirect(peer, &door));
        let old = old.map_err(|why| self.refusal(format!("the new address of {peer}"), why))?;
        self.give_up(old);
        Ok(())
    }
}
