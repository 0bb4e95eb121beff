//! One NIC with the queue in front of it and its counters. A full NIC holds up its own queue only.

mod ahead;
mod events;
mod outbox;

use ahead::Ahead;
use events::Events;
use outbox::Outbox;
pub(super) use outbox::{Envelope, Out, Tally};

use super::state::{Received, State};
use crate::counters::{NicBlock, NicCounts};
use crate::transport::nic::{Failed, Nic, NicError, PeerNic, Piece, Posted};
use crate::transport::wire::{Frame, Record};

/// Operations of a NIC that payload may not take: news of a failure must get out of a NIC whose queue is stuck.
const RESERVED: u64 = 8;

/// Targets that are tried after one another when the NIC says that it is full.
const OTHERS_TRIED: u32 = 4;

/// What a NIC's turn has brought besides counts.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Whether anything happened.
    pub(super) worked: bool,
    /// Operations that failed.
    pub(super) failed: Vec<Failed>,
    /// The NIC as a whole cannot go on.
    pub(super) broken: Option<NicError>,
    /// PEs for which something urgent was given up: an acknowledgement in it is to be said once more.
    pub(super) unsaid: Vec<u32>,
}

/// The target for which the NIC was full first: when its turn comes again, all have been tried.
#[derive(Default)]
struct Refused {
    by: Option<PeerNic>,
}

/// What came of handing something over.
enum Step {
    Went,
    Refused,
    /// There is nothing that may go now.
    Nothing,
}

/// A NIC at work.
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own, and they change apart")]
pub(super) struct Lane<N> {
    nic: N,
    outbox: Outbox,
    counts: NicCounts,
    /// Operations with a completion still to come.
    in_flight: u64,
    /// Bytes of pieces that wait or are in flight.
    load: u64,
    /// Pieces that wait or are in flight.
    unfinished_pieces: u64,
    /// Pieces pushed so far.
    pushed_pieces: u64,
    max_in_flight: u64,
    /// How many bytes of pieces may be in flight.
    ahead: Ahead,
    /// Whether it is a frame's turn.
    frames_turn: bool,
    /// When something was last completed, or posted to an idle NIC.
    moved_ms: u64,
    /// The queue did not get on when it was last tried: what is urgent must not wait in it.
    jammed: bool,
    /// Nothing of the queue went when it was last tried, after what is urgent.
    starved: bool,
    /// The NIC has failed as a whole and is not touched any more.
    broken: bool,
    block: Option<NicBlock>,
    dirty: bool,
    published_rx: Received,
}

impl<N: Nic> Lane<N> {
    pub(super) fn new(nic: N, me: u32, index: u16, pes: usize, block: Option<NicBlock>) -> Self {
        let limits = nic.limits();
        Self {
            nic,
            outbox: Outbox::new(u16::try_from(me).unwrap_or(u16::MAX), index, pes),
            counts: NicCounts::default(),
            in_flight: 0,
            load: 0,
            unfinished_pieces: 0,
            pushed_pieces: 0,
            max_in_flight: limits.max_in_flight.max(1),
            ahead: Ahead::new(limits.ahead.max(1)),
            frames_turn: true,
            moved_ms: 0,
            jammed: false,
            starved: false,
            broken: false,
            block,
            dirty: true,
            published_rx: Received::default(),
        }
    }

    /// Leaves the NIC open until the process ends, with the memory it may still write to.
    ///
    /// Closing an endpoint in mid-traffic drains it, and libfabric 1.17's `tcp;ofi_rxm` follows a null pointer when
    /// that finds a put with an immediate half received (the error entry of `tcpx_cq_report_error` has no context,
    /// `rxm_handle_comp_error` wants one). A PE that should say why its job has failed died of SIGSEGV instead.
    pub(super) fn abandon(self) {
        std::mem::forget(self.nic);
    }

    pub(super) fn name(&self) -> &str {
        self.nic.name()
    }

    pub(super) fn nic(&mut self) -> &mut N {
        &mut self.nic
    }

    /// Pieces pushed so far.
    pub(super) fn pushed_pieces(&self) -> u64 {
        self.pushed_pieces
    }

    /// Whether as many pieces have completed as had been pushed at a time: more may follow for ever, when others get what
    /// is here. Frames do not matter: some acknowledgement is always on its way.
    pub(super) fn has_finished(&self, pushed: u64) -> bool {
        self.unfinished_pieces == 0 || self.pushed_pieces - self.unfinished_pieces >= pushed
    }

    /// Whether anything waits or is in flight.
    pub(super) fn has_work(&self) -> bool {
        !self.broken && (self.in_flight > 0 || !self.outbox.is_empty())
    }

    /// Whether operations are in flight.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight > 0
    }

    /// Whether something has been completed since `since_ms`.
    pub(super) fn has_moved_since(&self, since_ms: u64) -> bool {
        self.in_flight > 0 && self.moved_ms > since_ms
    }

    /// What waits for the NIC.
    pub(super) fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Bytes of pieces in flight, as [`Ahead`] counts them.
    #[cfg(test)]
    pub(super) fn ahead(&self) -> u64 {
        self.ahead.in_flight()
    }

    /// Bytes of pieces that wait or are in flight.
    pub(super) fn load(&self) -> u64 {
        self.load
    }

    pub(super) fn counts_mut(&mut self) -> &mut NicCounts {
        self.dirty = true;
        &mut self.counts
    }

    pub(super) fn push(&mut self, piece: Piece) {
        self.unfinished_pieces += 1;
        self.pushed_pieces += 1;
        self.load += piece.len;
        self.outbox.push(piece);
    }

    /// A frame to `to` with room for a record of `bytes`; see [`Outbox::frame`].
    #[inline]
    pub(super) fn frame(&mut self, to: PeerNic, bytes: usize, tally: Tally) -> Option<&mut Frame> {
        self.outbox.frame(to, bytes, tally)
    }

    /// Adds a record to a frame that goes to the same NIC soon; `false` when there is none or it is full.
    pub(super) fn join(&mut self, to: PeerNic, record: &Record<'_>) -> bool {
        !self.jammed && self.outbox.join(to, record)
    }

    /// For acknowledgements and news: a sender may be standing still for one, and no order is promised anyway.
    pub(super) fn urgent(&mut self, to: PeerNic, record: &Record<'_>) {
        if !self.broken && !self.join(to, record) {
            self.outbox.urgent(to, record);
        }
    }

    /// Drops what waits for a peer's NIC: it has been fenced, and what matters is remembered elsewhere.
    pub(super) fn purge(&mut self, to: PeerNic) {
        self.outbox.purge(to).iter().for_each(|piece| self.finish(piece.len));
    }

    /// Takes everything that waits, to be sent by another NIC.
    pub(super) fn take_queue(&mut self) -> Vec<Out> {
        let queue = self.outbox.take();
        for out in &queue {
            if let Out::Piece(piece) = out {
                self.finish(piece.len);
            }
        }
        queue
    }

    /// Takes over a frame that another NIC did not get rid of; its records' ways must have been put right.
    pub(super) fn adopt(&mut self, envelope: Envelope) {
        self.outbox.adopt(envelope);
    }

    /// Pieces and frames that wait for a peer's NIC.
    pub(super) fn queued(&self, at: PeerNic) -> (usize, usize) {
        self.outbox.queued(at)
    }

    /// Whether the NIC has failed as a whole.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether payload finds room soon: not while operations that will never complete fill the queue.
    pub(super) fn is_usable(&self) -> bool {
        !self.broken && self.in_flight * 2 <= self.max_in_flight
    }

    /// A piece is over, one way or another.
    fn finish(&mut self, bytes: u64) {
        self.unfinished_pieces = self.unfinished_pieces.saturating_sub(1);
        self.load = self.load.saturating_sub(bytes);
    }

    /// Hands as much of the queue to the NIC as it takes.
    pub(super) fn pump(&mut self, now_ms: u64, outcome: &mut Outcome) {
        if self.broken {
            return;
        }
        // However much is urgent, what is not gets on: where nothing of it went the last time, it goes first.
        let starved = std::mem::take(&mut self.starved);
        if !starved {
            self.pump_urgent(now_ms, outcome);
        }
        let went = self.pump_queue(now_ms, outcome);
        self.starved = !starved && !went && self.waiting() > 0;
        if starved {
            self.pump_urgent(now_ms, outcome);
        }
    }

    /// Hands over what is not urgent, frames and pieces in turn; whether any of it went.
    fn pump_queue(&mut self, now_ms: u64, outcome: &mut Outcome) -> bool {
        let mut went = false;
        // A NIC with very few operations has none to reserve.
        let reserved = if self.max_in_flight > 2 * RESERVED { RESERVED } else { 0 };
        let most = self.max_in_flight - reserved;
        let mut frames = self.outbox.first_frame().map(|_| Refused::default());
        let mut pieces = self.outbox.first_piece().map(|_| Refused::default());
        let mut refusals = 0;
        self.jammed = self.in_flight >= most;
        while self.in_flight < most && refusals < OTHERS_TRIED {
            let of_frames = frames.is_some() && (self.frames_turn || pieces.is_none());
            self.frames_turn = !of_frames;
            let refused = if of_frames { &mut frames } else { &mut pieces };
            let Some(before) = refused else { break };
            let step = if of_frames {
                self.step_frame(before, now_ms, outcome)
            } else {
                self.step_piece(before, now_ms, outcome)
            };
            match step {
                Step::Went => went = true,
                Step::Refused => {
                    self.jammed = true;
                    refusals += 1;
                }
                Step::Nothing => *refused = None,
            }
        }
        went
    }

    /// Hands over the first frame.
    fn step_frame(&mut self, refused: &mut Refused, now_ms: u64, outcome: &mut Outcome) -> Step {
        let Some(envelope) = self.outbox.first_frame() else { return Step::Nothing };
        let (to, tally, bytes) = (envelope.to, envelope.tally, envelope.bytes());
        if refused.by == Some(to) {
            return Step::Nothing;
        }
        let result = self.nic.send(to, envelope.frame.as_slice());
        let took = self.took(now_ms, to, None, result, outcome);
        self.outbox.next_frame(!took);
        if took {
            tally.count(bytes, &mut self.counts);
            return Step::Went;
        }
        // The NIC may be full for this target only, for good if the target is out of reach: others go first.
        refused.by.get_or_insert(to);
        Step::Refused
    }

    /// Hands over the first piece, if the NIC has not enough of them.
    fn step_piece(&mut self, refused: &mut Refused, now_ms: u64, outcome: &mut Outcome) -> Step {
        let Some(piece) = self.outbox.first_piece() else { return Step::Nothing };
        let (to, len) = (piece.to, piece.len);
        if refused.by == Some(to) || !self.ahead.has_room(len, now_ms) {
            return Step::Nothing;
        }
        let result = self.nic.put(piece);
        let failed = result.is_err();
        let took = self.took(now_ms, to, Some(len), result, outcome);
        self.outbox.next_piece(!took);
        if took {
            if !failed {
                self.ahead.posted(len, now_ms);
            }
            self.count_piece(len, failed);
            return Step::Went;
        }
        refused.by.get_or_insert(to);
        Step::Refused
    }

    /// Hands over what must not wait, each target for itself.
    fn pump_urgent(&mut self, now_ms: u64, outcome: &mut Outcome) {
        for _ in 0..self.outbox.urgent_len() {
            if self.in_flight >= self.max_in_flight {
                break;
            }
            let Some(envelope) = self.outbox.first_urgent() else { break };
            let (to, tally, bytes) = (envelope.to, envelope.tally, envelope.bytes());
            let result = self.nic.send(to, envelope.frame.as_slice());
            let took = self.took(now_ms, to, None, result, outcome);
            self.outbox.next_urgent(!took);
            if took {
                tally.count(bytes, &mut self.counts);
            }
        }
        self.outbox.bound_urgent(&mut outcome.unsaid);
    }

    fn count_piece(&mut self, bytes: u64, failed: bool) {
        self.counts.tx_posted_ops += 1;
        self.counts.tx_posted_bytes += bytes;
        if failed {
            self.counts.tx_done_ops += 1;
            self.counts.tx_done_bytes += bytes;
            self.finish(bytes);
        }
        let in_flight = self.counts.in_flight_ops();
        self.counts.max_in_flight_ops = self.counts.max_in_flight_ops.max(in_flight);
    }

    /// Whether the NIC is through with what it was given, taken or failed; `false` when it is full.
    fn took(
        &mut self,
        now_ms: u64,
        to: PeerNic,
        bytes: Option<u64>,
        result: Result<Posted, NicError>,
        outcome: &mut Outcome,
    ) -> bool {
        self.dirty = true;
        match result {
            Ok(Posted::Full) => {
                self.counts.tx_eagain += 1;
                return false;
            }
            Ok(Posted::Injected) => {}
            Ok(Posted::Yes) => {
                if self.in_flight == 0 {
                    self.moved_ms = now_ms;
                }
                self.in_flight += 1;
            }
            Err(error) => {
                self.counts.tx_errors += 1;
                outcome.failed.push(Failed { to, bytes, error });
            }
        }
        outcome.worked = true;
        true
    }

    /// Polls the NIC into the state.
    pub(super) fn poll(&mut self, index: u16, state: &mut State, now_ms: u64, outcome: &mut Outcome) {
        if self.broken {
            return;
        }
        self.counts.cq_polls += 1;
        let polled = self.hear(index, state, now_ms, &mut outcome.failed, N::poll);
        match polled {
            Ok(0) => self.counts.cq_empty += 1,
            Ok(_) => {
                self.dirty = true;
                outcome.worked = true;
            }
            Err(error) => {
                self.counts.tx_errors += 1;
                self.dirty = true;
                self.broken = true;
                outcome.broken = Some(error);
            }
        }
    }

    /// Lets the NIC report into the state and accounts for it; what fails is added to `failed`.
    fn hear<'a, T>(
        &mut self,
        index: u16,
        state: &'a mut State,
        now_ms: u64,
        failed: &'a mut Vec<Failed>,
        report: impl FnOnce(&mut N, &mut Events<'a>) -> T,
    ) -> T {
        let before = failed.len();
        let mut events = Events::new(index, state, failed);
        let reported = report(&mut self.nic, &mut events);
        let Events { done_ops, done_bytes, frames, rx_errors, failed, .. } = events;
        self.counts.rx_errors += rx_errors;
        self.account(done_ops, done_bytes, frames, failed.get(before..).unwrap_or_default(), now_ms);
        reported
    }

    fn account(&mut self, ops: u64, bytes: u64, frames: u64, failed: &[Failed], now_ms: u64) {
        self.counts.tx_done_ops += ops;
        self.counts.tx_done_bytes += bytes;
        self.unfinished_pieces = self.unfinished_pieces.saturating_sub(ops);
        self.load = self.load.saturating_sub(bytes);
        self.in_flight = self.in_flight.saturating_sub(ops + frames + failed.len() as u64);
        self.ahead.done(bytes, now_ms);
        if ops + frames > 0 {
            self.moved_ms = now_ms;
        }
        for bytes in failed.iter().filter_map(|failed| failed.bytes) {
            self.counts.tx_done_ops += 1;
            self.counts.tx_done_bytes += bytes;
            self.ahead.done(bytes, now_ms);
            self.finish(bytes);
        }
        self.counts.tx_errors += failed.len() as u64;
    }

    /// Closes what the NIC receives by: what peers have written to it so far has been reported when this returns, and nothing
    /// else of it will land.
    pub(super) fn close_receiver(
        &mut self,
        index: u16,
        state: &mut State,
        now_ms: u64,
        failures: &mut Vec<Failed>,
    ) -> Result<(), NicError> {
        self.hear(index, state, now_ms, failures, N::close_receiver)?;
        self.counts_mut().fences += 1;
        Ok(())
    }

    /// Gives up what is in flight by a NIC that has failed as a whole: nobody will hear of it.
    pub(super) fn write_off(&mut self) {
        self.counts.tx_done_ops += self.unfinished_pieces;
        self.counts.tx_done_bytes += self.load;
        self.counts.tx_errors += self.in_flight;
        (self.unfinished_pieces, self.load, self.in_flight) = (0, 0, 0);
        self.ahead.forget();
        self.dirty = true;
    }

    /// Opens it again; `None` when that fails now, or for good since nobody would read what arrives. Returns the card of the
    /// new incarnation.
    pub(super) fn open_receiver(&mut self) -> Option<Vec<u8>> {
        if self.broken { None } else { self.nic.open_receiver().ok() }
    }

    /// The counters with what was received on this NIC.
    pub(super) fn counts(&self, received: Received) -> NicCounts {
        NicCounts {
            rx_ops: received.ops,
            rx_bytes: received.bytes,
            signal_rx_ops: received.signals,
            control_rx_bytes: received.control_bytes,
            ..self.counts
        }
    }

    /// Publishes the counters if they have changed, and returns them then.
    pub(super) fn publish(&mut self, now: u64, received: Received) -> Option<NicCounts> {
        if !self.dirty && received == self.published_rx {
            return None;
        }
        self.dirty = false;
        self.published_rx = received;
        let counts = self.counts(received);
        if let Some(block) = &mut self.block {
            block.publish(now, &counts);
        }
        Some(counts)
    }

    /// Starts counting from zero (after probing), and keeps how much that has taken.
    pub(super) fn forget(&mut self) {
        let before = self.counts.tx_posted_bytes + self.counts.control_tx_bytes;
        self.counts =
            NicCounts { setup_tx_bytes: self.counts.setup_tx_bytes + before, ..NicCounts::default() };
        self.dirty = true;
    }
}
