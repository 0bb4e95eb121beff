//! One NIC with the queue in front of it and its counters. A full NIC holds up its own queue only.

use std::collections::VecDeque;

use super::state::{Received, State};
use crate::counters::{NicBlock, NicCounts};
use crate::transport::nic::{Failed, Nic, NicError, PeerNic, Piece, Posted, Sink};
use crate::transport::wire::{Frame, MAX_NICS, Record};

/// Operations of a NIC that payload may not take: news of a failure must get out of a NIC whose queue is stuck.
const RESERVED: u64 = 8;

/// How far ahead in the queue a frame may wait that urgent records join.
const SOON: usize = 4;

/// Targets that are tried after one another when the NIC says that it is full.
const OTHERS_TRIED: u32 = 4;

/// Urgent frames that may wait.
const MOST_URGENT: usize = 1024;

/// What of a frame is counted when it goes out.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Small puts in it.
    pub(super) puts: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Signals and atomics.
    pub(super) signals: u64,
}

/// A frame on its way out.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) to: PeerNic,
    pub(super) frame: Frame,
    tally: Tally,
}

/// Something to hand to a NIC.
#[derive(Debug)]
pub(super) enum Out {
    Piece(Piece),
    Frame(Envelope),
}

impl Out {
    /// Where it goes.
    pub(super) fn to(&self) -> PeerNic {
        match self {
            Self::Piece(piece) => piece.to,
            Self::Frame(envelope) => envelope.to,
        }
    }
}

/// What a NIC's turn has brought besides counts.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Whether anything happened.
    pub(super) worked: bool,
    /// Operations that failed.
    pub(super) failed: Vec<Failed>,
    /// The NIC as a whole cannot go on.
    pub(super) broken: Option<NicError>,
}

/// A NIC at work.
pub(super) struct Lane<N> {
    nic: N,
    me: u16,
    /// Number of the NIC.
    index: u16,
    queue: VecDeque<Out>,
    /// Acknowledgements and news: they go before everything else.
    urgent: VecDeque<Envelope>,
    /// Frames to use again.
    pool: Vec<Frame>,
    /// Number of the queue's first entry, counted since the start.
    first: u32,
    /// By peer's NIC: number of the queue entry that may be a frame to it.
    open: Vec<u32>,
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
    max_piece: u64,
    /// When something was last completed, or posted to an idle NIC.
    moved_ms: u64,
    /// The queue did not get on when it was last tried: what is urgent must not wait in it.
    jammed: bool,
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
            me: u16::try_from(me).unwrap_or(u16::MAX),
            index,
            queue: VecDeque::new(),
            urgent: VecDeque::new(),
            pool: Vec::new(),
            first: 0,
            open: vec![0; pes * MAX_NICS],
            counts: NicCounts::default(),
            in_flight: 0,
            load: 0,
            unfinished_pieces: 0,
            pushed_pieces: 0,
            max_in_flight: limits.max_in_flight.max(1),
            max_piece: limits.max_piece.max(1),
            moved_ms: 0,
            jammed: false,
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

    pub(super) fn nic(&mut self) -> &mut N {
        &mut self.nic
    }

    /// What may be under way to a peer's NIC.
    pub(super) fn room_at(&self, to: PeerNic) -> u64 {
        self.nic.room_at(to).max(1)
    }

    pub(super) fn max_piece(&self) -> u64 {
        self.max_piece
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
        !self.broken && (self.in_flight > 0 || !self.queue.is_empty() || !self.urgent.is_empty())
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
        self.queue.len()
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
        self.queue.push_back(Out::Piece(piece));
    }

    /// Adds a record to the frame that waits for the same NIC, or to a new one at the end of the queue.
    pub(super) fn record(&mut self, to: PeerNic, record: &Record<'_>, tally: Tally) {
        if let Some(envelope) = self.waiting_frame(to, usize::MAX)
            && envelope.frame.push(record)
        {
            envelope.tally.add(tally);
            return;
        }
        let frame = self.frame_with(record);
        self.append_frame(Envelope { to, frame, tally });
    }

    /// Adds a record to a frame that goes to the same NIC soon; `false` when there is none or it is full.
    pub(super) fn join(&mut self, to: PeerNic, record: &Record<'_>) -> bool {
        !self.jammed && self.waiting_frame(to, SOON).is_some_and(|envelope| envelope.frame.push(record))
    }

    /// Puts a frame at the end of the queue, where records for the same NIC join it.
    fn append_frame(&mut self, envelope: Envelope) {
        let number = self.first.wrapping_add(u32::try_from(self.queue.len()).unwrap_or(u32::MAX));
        if let Some(slot) = self.open.get_mut(slot_of(envelope.to)) {
            *slot = number;
        }
        self.queue.push_back(Out::Frame(envelope));
    }

    /// For acknowledgements and news: a sender may be standing still for one, and no order is promised anyway.
    pub(super) fn urgent(&mut self, to: PeerNic, record: &Record<'_>) {
        if self.broken {
            return;
        }
        if self.join(to, record) {
            return;
        }
        if let Some(envelope) = self.urgent.iter_mut().rev().take(SOON).find(|envelope| envelope.to == to)
            && envelope.frame.push(record)
        {
            return;
        }
        let frame = self.frame_with(record);
        self.urgent.push_back(Envelope { to, frame, tally: Tally::default() });
    }

    /// The frame to `to` that waits within the first `within` entries of the queue.
    fn waiting_frame(&mut self, to: PeerNic, within: usize) -> Option<&mut Envelope> {
        let number = *self.open.get(slot_of(to))?;
        // What the slot says may be long gone, or never have been: the entry itself decides.
        let index = usize::try_from(number.wrapping_sub(self.first)).ok().filter(|&index| index < within)?;
        match self.queue.get_mut(index)? {
            Out::Frame(envelope) if envelope.to == to => Some(envelope),
            _ => None,
        }
    }

    fn frame_with(&mut self, record: &Record<'_>) -> Frame {
        let mut frame = self.pool.pop().unwrap_or_else(|| Frame::new(self.me, self.index));
        let fits = frame.push(record);
        debug_assert!(fits, "every record fits an empty frame");
        frame
    }

    fn recycle(&mut self, mut frame: Frame) {
        frame.clear();
        self.pool.push(frame);
    }

    /// Drops what waits for a peer's NIC: it has been fenced, and what matters is remembered elsewhere.
    pub(super) fn purge(&mut self, to: PeerNic) {
        let (gone, kept): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.queue).into_iter().partition(|out| out.to() == to);
        self.queue = kept;
        // The numbers of the entries have changed: no slot may lead to one.
        self.open.fill(self.first.wrapping_sub(1));
        for out in gone {
            match out {
                Out::Piece(piece) => self.finish(piece.len),
                Out::Frame(envelope) => self.recycle(envelope.frame),
            }
        }
        self.urgent.retain(|envelope| envelope.to != to);
    }

    /// Takes everything that waits, to be sent by another NIC.
    pub(super) fn take_queue(&mut self) -> VecDeque<Out> {
        let queue = std::mem::take(&mut self.queue);
        self.first = self.first.wrapping_add(u32::try_from(queue.len()).unwrap_or(u32::MAX));
        for out in &queue {
            if let Out::Piece(piece) = out {
                self.finish(piece.len);
            }
        }
        queue
    }

    /// Takes over a frame that another NIC did not get rid of; its records' ways must have been put right.
    pub(super) fn adopt(&mut self, mut envelope: Envelope) {
        envelope.frame.set_nic(self.index);
        self.queue.push_back(Out::Frame(envelope));
    }

    /// Pieces and frames that wait for a peer's NIC.
    pub(super) fn queued(&self, at: PeerNic) -> (usize, usize) {
        self.queue.iter().fold((0, 0), |(pieces, frames), out| match out {
            Out::Piece(piece) if piece.to == at => (pieces + 1, frames),
            Out::Frame(envelope) if envelope.to == at => (pieces, frames + 1),
            _ => (pieces, frames),
        })
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
        self.pump_urgent(now_ms, outcome);
        // A NIC with very few operations has none to reserve.
        let reserved = if self.max_in_flight > 2 * RESERVED { RESERVED } else { 0 };
        let most = self.max_in_flight - reserved;
        let mut refused: Option<PeerNic> = None;
        let mut refusals = 0;
        self.jammed = self.in_flight >= most;
        while self.in_flight < most {
            let Some(out) = self.queue.front() else { break };
            let to = out.to();
            if refused == Some(to) {
                break;
            }
            let (bytes, result) = match out {
                Out::Piece(piece) => (Some(piece.len), self.nic.put(piece)),
                Out::Frame(envelope) => (None, self.nic.send(to, envelope.frame.as_slice())),
            };
            let failed = result.is_err();
            if !self.took(now_ms, to, bytes, result, outcome) {
                // The NIC may be full for this target only, for good if the target is out of reach: others go first.
                refusals += 1;
                self.jammed = true;
                if refusals == OTHERS_TRIED || self.queue.len() < 2 {
                    break;
                }
                refused.get_or_insert(to);
                self.set_back();
                continue;
            }
            self.first = self.first.wrapping_add(1);
            match self.queue.pop_front() {
                Some(Out::Piece(piece)) => self.count_piece(&piece, failed),
                Some(Out::Frame(envelope)) => {
                    self.count_frame(&envelope);
                    self.recycle(envelope.frame);
                }
                None => {}
            }
        }
    }

    /// Hands over what must not wait, each target for itself.
    fn pump_urgent(&mut self, now_ms: u64, outcome: &mut Outcome) {
        for _ in 0..self.urgent.len() {
            if self.in_flight >= self.max_in_flight {
                break;
            }
            let Some(envelope) = self.urgent.pop_front() else { break };
            let result = self.nic.send(envelope.to, envelope.frame.as_slice());
            if self.took(now_ms, envelope.to, None, result, outcome) {
                self.count_frame(&envelope);
                self.recycle(envelope.frame);
            } else {
                self.urgent.push_back(envelope);
            }
        }
        // To a target that is out of reach more and more would wait: what is new says it all.
        while self.urgent.len() > MOST_URGENT {
            if let Some(envelope) = self.urgent.pop_front() {
                self.recycle(envelope.frame);
            }
        }
    }

    /// Puts the first entry behind all others.
    fn set_back(&mut self) {
        let Some(out) = self.queue.pop_front() else { return };
        self.first = self.first.wrapping_add(1);
        match out {
            Out::Frame(envelope) => self.append_frame(envelope),
            Out::Piece(_) => self.queue.push_back(out),
        }
    }

    fn count_piece(&mut self, piece: &Piece, failed: bool) {
        self.counts.tx_posted_ops += 1;
        self.counts.tx_posted_bytes += piece.len;
        if failed {
            self.counts.tx_done_ops += 1;
            self.counts.tx_done_bytes += piece.len;
            self.finish(piece.len);
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

    /// A frame has gone out. Its small puts were copied, so they count as done.
    fn count_frame(&mut self, Envelope { frame, tally, .. }: &Envelope) {
        self.counts.tx_posted_ops += tally.puts;
        self.counts.tx_posted_bytes += tally.bytes;
        self.counts.tx_done_ops += tally.puts;
        self.counts.tx_done_bytes += tally.bytes;
        self.counts.signal_tx_ops += tally.signals;
        self.counts.control_tx_bytes += (frame.as_slice().len() as u64).saturating_sub(tally.bytes);
    }

    /// Polls the NIC into the state.
    pub(super) fn poll(&mut self, index: u16, state: &mut State, now_ms: u64, outcome: &mut Outcome) {
        if self.broken {
            return;
        }
        let mut events = Events::new(index, state);
        let polled = self.nic.poll(&mut events);
        let Events { done_ops, done_bytes, frames, failed, .. } = events;
        self.counts.cq_polls += 1;
        self.account(done_ops, done_bytes, frames, &failed, now_ms);
        outcome.failed.extend(failed);
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

    fn account(&mut self, ops: u64, bytes: u64, frames: u64, failed: &[Failed], now_ms: u64) {
        self.counts.tx_done_ops += ops;
        self.counts.tx_done_bytes += bytes;
        self.unfinished_pieces = self.unfinished_pieces.saturating_sub(ops);
        self.load = self.load.saturating_sub(bytes);
        self.in_flight = self.in_flight.saturating_sub(ops + frames + failed.len() as u64);
        if ops + frames > 0 {
            self.moved_ms = now_ms;
        }
        for bytes in failed.iter().filter_map(|failed| failed.bytes) {
            self.counts.tx_done_ops += 1;
            self.counts.tx_done_bytes += bytes;
            self.finish(bytes);
        }
        self.counts.tx_errors += failed.len() as u64;
    }

    /// Fences the NIC: what peers have written to it so far has been reported when this returns, and nothing else of it
    /// will land. Returns the card of its new incarnation.
    pub(super) fn fence(
        &mut self,
        index: u16,
        state: &mut State,
        now_ms: u64,
        failures: &mut Vec<Failed>,
    ) -> Result<Vec<u8>, NicError> {
        let mut events = Events::new(index, state);
        let card = self.nic.reopen(&mut events);
        let Events { done_ops, done_bytes, frames, failed, .. } = events;
        self.account(done_ops, done_bytes, frames, &failed, now_ms);
        failures.extend(failed);
        self.dirty = true;
        card
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

    /// Starts counting from zero (after probing).
    pub(super) fn forget(&mut self) {
        self.counts = NicCounts::default();
        self.dirty = true;
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.puts += other.puts;
        self.bytes += other.bytes;
        self.signals += other.signals;
    }
}

fn slot_of(to: PeerNic) -> usize {
    to.pe as usize * MAX_NICS + usize::from(to.nic)
}

/// Takes one NIC's reports in.
struct Events<'a> {
    nic: u16,
    state: &'a mut State,
    done_ops: u64,
    done_bytes: u64,
    frames: u64,
    failed: Vec<Failed>,
}

impl<'a> Events<'a> {
    fn new(nic: u16, state: &'a mut State) -> Self {
        Self { nic, state, done_ops: 0, done_bytes: 0, frames: 0, failed: Vec::new() }
    }
}

impl Sink for Events<'_> {
    fn piece_done(&mut self, _to: PeerNic, bytes: u64) {
        self.done_ops += 1;
        self.done_bytes += bytes;
    }

    fn frame_done(&mut self, _to: PeerNic) {
        self.frames += 1;
    }

    fn landed(&mut self, immediate: u64, len: u64) {
        self.state.landed(self.nic, immediate, len);
    }

    fn frame(&mut self, bytes: &[u8]) {
        self.state.frame(self.nic, bytes);
    }

    fn failed(&mut self, failed: Failed) {
        self.failed.push(failed);
    }
}
