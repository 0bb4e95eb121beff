//! One NIC with the queue in front of it and its counters. A full NIC holds up its own queue only.

use std::collections::VecDeque;

use crate::counters::{NicBlock, NicCounts};
use crate::transport::nic::{Failed, Nic, NicError, PeerNic, Piece, Posted, Sink};
use crate::transport::wire::Frame;

use super::state::{Received, State};

/// Something to hand to a NIC.
#[derive(Debug)]
pub(super) enum Out {
    Piece(Piece),
    Frame(PeerNic, Frame),
}

/// A NIC at work.
pub(super) struct Lane<N> {
    nic: N,
    queue: VecDeque<Out>,
    counts: NicCounts,
    /// Operations with a completion still to come.
    in_flight: u64,
    /// Pieces that wait or are in flight.
    unfinished_pieces: u64,
    max_in_flight: u64,
    max_piece: u64,
    block: Option<NicBlock>,
    dirty: bool,
    published_rx: Received,
}

impl<N: Nic> Lane<N> {
    pub(super) fn new(nic: N, block: Option<NicBlock>) -> Self {
        let limits = nic.limits();
        Self {
            nic,
            queue: VecDeque::new(),
            counts: NicCounts::default(),
            in_flight: 0,
            unfinished_pieces: 0,
            max_in_flight: limits.max_in_flight.max(1),
            max_piece: limits.max_piece.max(1),
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

    pub(super) fn max_piece(&self) -> u64 {
        self.max_piece
    }

    /// Whether every piece pushed has completed. Frames do not matter: while others keep sending, some acknowledgement
    /// is always on its way.
    pub(super) fn is_settled(&self) -> bool {
        self.unfinished_pieces == 0
    }

    /// What waits for the NIC.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn push(&mut self, out: Out) {
        self.unfinished_pieces += u64::from(matches!(out, Out::Piece(_)));
        self.queue.push_back(out);
    }

    /// For acknowledgements: a sender may be standing still for one, and no order is promised anyway.
    pub(super) fn push_first(&mut self, out: Out) {
        self.queue.push_front(out);
    }

    /// Hands as much of the queue to the NIC as it takes.
    pub(super) fn pump(&mut self, me: u32) -> Result<bool, NicError> {
        let mut any = false;
        while self.in_flight < self.max_in_flight {
            let Some(out) = self.queue.front() else { break };
            let posted = match out {
                Out::Piece(piece) => self.nic.put(piece)?,
                Out::Frame(to, frame) => {
                    #[expect(clippy::cast_possible_truncation, reason = "a job has at most 2^16 PEs")]
                    let bytes = frame.encode(me as u16);
                    let posted = self.nic.send(*to, bytes.as_slice())?;
                    if posted != Posted::Full {
                        self.counts.control_tx_bytes += bytes.as_slice().len() as u64;
                    }
                    posted
                }
            };
            if posted == Posted::Full {
                self.counts.tx_eagain += 1;
                self.dirty = true;
                break;
            }
            if posted == Posted::Yes {
                self.in_flight += 1;
            }
            if let Some(out) = self.queue.pop_front() {
                self.count_posted(&out);
            }
            any = true;
        }
        Ok(any)
    }

    fn count_posted(&mut self, out: &Out) {
        self.dirty = true;
        match out {
            Out::Piece(piece) => {
                self.counts.tx_posted_ops += 1;
                self.counts.tx_posted_bytes += piece.len;
                let in_flight = self.counts.in_flight_ops();
                self.counts.max_in_flight_ops = self.counts.max_in_flight_ops.max(in_flight);
            }
            Out::Frame(_, Frame::Close(close)) if close.signal.is_some() => self.counts.signal_tx_ops += 1,
            Out::Frame(..) => {}
        }
    }

    /// Polls the NIC into the state.
    pub(super) fn poll(&mut self, index: usize, state: &mut State) -> Result<bool, NicError> {
        let mut events = Events { nic: index, state, done_ops: 0, done_bytes: 0, frames: 0, failed: None };
        let polled = self.nic.poll(&mut events);
        let polled = polled.and_then(|count| events.failed.take().map_or(Ok(count), Err));
        let (ops, bytes, frames) = (events.done_ops, events.done_bytes, events.frames);
        self.counts.cq_polls += 1;
        self.counts.tx_done_ops += ops;
        self.counts.tx_done_bytes += bytes;
        self.in_flight = self.in_flight.saturating_sub(ops + frames);
        self.unfinished_pieces = self.unfinished_pieces.saturating_sub(ops);
        match polled {
            Ok(0) => {
                self.counts.cq_empty += 1;
                Ok(false)
            }
            Ok(_) => {
                self.dirty = true;
                Ok(true)
            }
            Err(error) => {
                self.counts.tx_errors += 1;
                self.dirty = true;
                Err(error)
            }
        }
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

/// Takes one NIC's reports in.
struct Events<'a> {
    nic: usize,
    state: &'a mut State,
    done_ops: u64,
    done_bytes: u64,
    frames: u64,
    failed: Option<NicError>,
}

impl Sink for Events<'_> {
    fn piece_done(&mut self, _: PeerNic, bytes: u64) {
        self.done_ops += 1;
        self.done_bytes += bytes;
    }

    fn frame_done(&mut self, _: PeerNic) {
        self.frames += 1;
    }

    fn failed(&mut self, failed: Failed) {
        self.failed.get_or_insert(failed.error);
    }

    fn landed(&mut self, immediate: u64, len: u64) {
        self.state.landed(self.nic, immediate, len);
    }

    fn frame(&mut self, bytes: &[u8]) {
        self.state.frame(self.nic, bytes);
    }
}
