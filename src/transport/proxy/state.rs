//! The protocol state of a PE: groups towards and from every other PE, and what has been received on which NIC.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::counters::RxSource;
use crate::transport::event::Event;
use crate::transport::group::{Inbound, Outbound, Release, Violation};
use crate::transport::heap::Heap;
use crate::transport::signal::{Signal, SignalOp};
use crate::transport::wire::{Frame, Immediate};

/// Where the probe's bytes come from and how many there are: in the heap's reserved page.
pub(crate) const PROBE_SOURCE: u64 = 1024;
/// Bytes of a probe.
pub(crate) const PROBE_BYTES: u64 = 64;
/// Where probes land, one slot per NIC (32 x 64 bytes).
pub(crate) const PROBE_TARGET: u64 = 2048;

/// What one NIC has received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) ops: u64,
    pub(super) bytes: u64,
    pub(super) signals: u64,
    pub(super) control_bytes: u64,
}

pub(super) struct State {
    me: u32,
    widths: Vec<u16>,
    heap: Arc<Heap>,
    outbound: Vec<Outbound>,
    inbound: Vec<Inbound>,
    received: Vec<Received>,
    /// How received bytes are known; `None` while probing.
    rx_source: RxSource,
    /// Whether closes carry bytes per NIC, because some PE knows its Rx no other way.
    pub(super) ledger: bool,
    /// Payload bytes sent to each NIC of each PE.
    pub(super) sent: Vec<Vec<u64>>,
    /// Target completions seen while probing, and how many had the right length.
    pub(super) probes: (u64, u64),
    /// PEs that are owed an acknowledgement, with the NIC their last arrival came through.
    owing: BTreeMap<u32, usize>,
    /// A waiter may have something to see.
    pub(super) wake: bool,
    /// What a peer did that it must not do.
    pub(super) violation: Option<String>,
}

impl State {
    pub(super) fn new(me: u32, widths: &[u16], own: usize, heap: Arc<Heap>) -> Self {
        Self {
            me,
            widths: widths.to_vec(),
            heap,
            outbound: widths.iter().map(|_| Outbound::default()).collect(),
            inbound: widths.iter().map(|_| Inbound::default()).collect(),
            received: vec![Received::default(); own],
            rx_source: RxSource::None,
            ledger: false,
            sent: widths.iter().map(|&width| vec![0; usize::from(width)]).collect(),
            probes: (0, 0),
            owing: BTreeMap::new(),
            wake: false,
            violation: None,
        }
    }

    /// Ends the probing; all counts start at zero.
    pub(super) fn start_counting(&mut self, source: RxSource, ledger: bool) {
        self.rx_source = source;
        self.ledger = ledger;
        self.received.fill(Received::default());
        self.sent.iter_mut().flatten().for_each(|bytes| *bytes = 0);
    }

    pub(super) fn outbound(&mut self, dst: u32) -> Result<&mut Outbound, String> {
        let me = self.me;
        self.outbound
            .get_mut(dst as usize)
            .ok_or_else(|| format!("PE {me} was asked to write to PE {dst}, which does not exist"))
    }

    /// The NIC of `pe` that `nic` stands for, if PEs have different numbers of NICs.
    pub(super) fn rail_of(&self, pe: u32, nic: u16) -> u16 {
        self.widths.get(pe as usize).map_or(0, |&width| nic % width.max(1))
    }

    /// NICs of PE `pe`.
    pub(super) fn width_of(&self, pe: u32) -> u16 {
        self.widths.get(pe as usize).map_or(1, |&width| width.max(1))
    }

    pub(super) fn count_sent(&mut self, dst: u32, nic: u16, bytes: u64) {
        if let Some(total) = self.sent.get_mut(dst as usize).and_then(|nics| nics.get_mut(usize::from(nic))) {
            *total += bytes;
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.outbound.iter().all(Outbound::is_settled)
    }

    pub(super) fn received(&self, nic: usize) -> Received {
        self.received.get(nic).copied().unwrap_or_default()
    }

    /// Tells everyone who waits on this heap to look again.
    pub(super) fn notify(&self) {
        if let Ok(event) = Event::of(&self.heap) {
            event.notify();
        }
    }

    /// A piece has landed through NIC `nic`.
    pub(super) fn landed(&mut self, nic: usize, immediate: u64, len: u64) {
        let immediate = Immediate::unpack(immediate);
        if let Some(received) = self.received.get_mut(nic) {
            received.ops += 1;
            received.bytes += match self.rx_source {
                RxSource::CqeLen => len,
                RxSource::ImmLen => u64::from(immediate.len),
                RxSource::Ledger => 0,
                RxSource::None => {
                    self.probes.0 += 1;
                    self.probes.1 += u64::from(len == PROBE_BYTES);
                    0
                }
            };
        }
        let src = u32::from(immediate.src);
        let outcome = match self.inbound.get_mut(src as usize) {
            Some(inbound) => inbound.landed(immediate.group),
            None => return self.violate(format!("a put arrived from PE {src}, which does not exist")),
        };
        self.settle(nic, src, outcome);
    }

    /// A control frame has arrived through NIC `nic`.
    pub(super) fn frame(&mut self, nic: usize, bytes: &[u8]) {
        if let Some(received) = self.received.get_mut(nic) {
            received.control_bytes += bytes.len() as u64;
        }
        let (src, frame) = match Frame::decode(bytes) {
            Ok((src, frame)) => (u32::from(src), frame),
            Err(error) => return self.violate(format!("{error} arrived through NIC {nic}")),
        };
        let (Some(inbound), Some(outbound)) =
            (self.inbound.get_mut(src as usize), self.outbound.get_mut(src as usize))
        else {
            return self.violate(format!("a control frame arrived from PE {src}, which does not exist"));
        };
        match frame {
            Frame::Close(close) => {
                let outcome = inbound.closed(close);
                self.settle(nic, src, outcome);
            }
            Frame::Ack { low } => {
                if let Err(violation) = outbound.acknowledged(low) {
                    self.violate(format!("PE {src}: {violation}"));
                }
            }
        }
    }

    /// Applies what an arrival has completed, and notes the acknowledgement it makes due.
    fn settle(&mut self, nic: usize, src: u32, outcome: Result<Option<Release>, Violation>) {
        match outcome {
            Err(violation) => return self.violate(format!("PE {src}: {violation}")),
            Ok(None) => return,
            Ok(Some(release)) => {
                if self.rx_source == RxSource::Ledger {
                    for (received, bytes) in self.received.iter_mut().zip(&release.ledger) {
                        // The numbers are the peer's: they may be anything.
                        received.bytes = received.bytes.saturating_add(*bytes);
                    }
                }
                if let Some(signal) = release.signal {
                    if let Some(received) = self.received.get_mut(nic) {
                        received.signals += 1;
                    }
                    if let Err(why) = apply(&self.heap, signal) {
                        return self.violate(format!("PE {src} sent a signal that cannot be applied: {why}"));
                    }
                    self.wake = true;
                }
            }
        }
        self.owing.insert(src, nic);
    }

    /// Takes the acknowledgements that are due in this turn: (own NIC, PE, low mark). An acknowledgement goes back
    /// through the NIC that the last arrival from that PE came through.
    pub(super) fn take_replies(&mut self) -> Vec<(usize, u32, u64)> {
        let mut replies = Vec::new();
        let inbound = &mut self.inbound;
        self.owing.retain(|&src, &mut nic| {
            let Some(inbound) = inbound.get_mut(src as usize) else { return false };
            if let Some(low) = inbound.take_ack() {
                replies.push((nic, src, low));
            }
            inbound.owes_ack()
        });
        replies
    }

    /// Whether an acknowledgement is still to be sent in a later turn.
    pub(super) fn owes(&self) -> bool {
        !self.owing.is_empty()
    }

    fn violate(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }
}

/// Changes a signal word. Released, so that whoever acquires the new value sees the data it speaks of.
pub(crate) fn apply(heap: &Heap, signal: Signal) -> Result<(), String> {
    let word = heap.word(signal.offset).map_err(|error| error.to_string())?;
    match signal.op {
        SignalOp::Set => word.store(signal.value, Ordering::Release),
        SignalOp::Add => {
            word.fetch_add(signal.value, Ordering::AcqRel);
        }
    }
    Ok(())
}
