//! The protocol state of a PE: groups towards and from every other PE, and what has been received on which NIC.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::counters::RxSource;
use crate::transport::answers::{Answers, NOBODY};
use crate::transport::atomic::Atomic;
use crate::transport::event::Event;
use crate::transport::group::{Inbound, Outbound, Release, Violation};
use crate::transport::heap::{Heap, HeapError};
use crate::transport::wire::{
    Action, Close, Data, Immediate, MAX_NICS, Progress, Record, Released, read_frame,
};

/// Where the probe's bytes come from and how many there are: in the heap's reserved page.
pub(crate) const PROBE_SOURCE: u64 = 1024;
/// Bytes of a probe.
pub(crate) const PROBE_BYTES: u64 = 64;
/// Where probes land, one slot per NIC (32 x 64 bytes).
pub(crate) const PROBE_TARGET: u64 = 2048;

/// Fetches and gets that one PE may have asked of another and not been answered.
const MOST_ASKED: u64 = 256;

/// What one NIC has received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) ops: u64,
    pub(super) bytes: u64,
    pub(super) signals: u64,
    pub(super) control_bytes: u64,
}

/// Something another PE has asked for and is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// The old value of a word.
    Answer { pe: u32, tag: u32, value: u64 },
    /// A part of this PE's heap.
    Get { pe: u32, remote: u64, local: u64, len: u64, tag: u32 },
}

impl Request {
    /// Who asked.
    pub(super) fn pe(self) -> u32 {
        match self {
            Self::Answer { pe, .. } | Self::Get { pe, .. } => pe,
        }
    }
}

/// What another PE says about ways and NICs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    Ask { nonce: u64 },
    State { nonce: u64, released: Released, progress: Vec<Progress> },
    Fence { nic: u16, incarnation: u32 },
    Card { nic: u16, incarnation: u32, released: Released, card: Vec<u8> },
    CardSeen { nic: u16, incarnation: u32 },
    Probe { nonce: u64 },
    Echo { nonce: u64 },
}

pub(super) struct State {
    me: u32,
    widths: Vec<u16>,
    heap: Arc<Heap>,
    answers: Arc<Answers>,
    outbound: Vec<Outbound>,
    inbound: Vec<Inbound>,
    received: Vec<Received>,
    /// By PE, then by own NIC: pieces and frames that have arrived.
    arrivals: Vec<u32>,
    /// By PE, then by that PE's NIC: frames that it has sent.
    heard: Vec<u32>,
    /// How received bytes are known; `None` while probing.
    rx_source: RxSource,
    /// Whether closes carry bytes per NIC, because some PE knows its Rx no other way.
    pub(super) ledger: bool,
    /// Payload bytes sent to each NIC of each PE.
    pub(super) sent: Vec<Vec<u64>>,
    /// Target completions seen while probing, and how many had the right length.
    pub(super) probes: (u64, u64),
    /// PEs that are owed an acknowledgement.
    owing: BTreeSet<u32>,
    /// Fetches and gets asked of each PE and not yet answered.
    asked: Vec<u64>,
    /// What other PEs have asked for.
    pub(super) requests: VecDeque<Request>,
    /// By PE: how many of them are its.
    requested: Vec<u64>,
    /// What other PEs have said about ways: (PE, what).
    pub(super) news: Vec<(u32, News)>,
    /// A waiter may have something to see.
    pub(super) wake: bool,
    /// What a peer did that it must not do.
    pub(super) violation: Option<String>,
}

impl State {
    pub(super) fn new(me: u32, widths: &[u16], own: usize, heap: Arc<Heap>, answers: Arc<Answers>) -> Self {
        Self {
            me,
            widths: widths.to_vec(),
            heap,
            answers,
            outbound: widths.iter().map(|_| Outbound::default()).collect(),
            inbound: widths.iter().map(|_| Inbound::default()).collect(),
            received: vec![Received::default(); own],
            arrivals: vec![0; widths.len() * own],
            heard: vec![0; widths.len() * MAX_NICS],
            rx_source: RxSource::None,
            ledger: false,
            sent: widths.iter().map(|&width| vec![0; usize::from(width)]).collect(),
            probes: (0, 0),
            owing: BTreeSet::new(),
            asked: vec![0; widths.len()],
            requests: VecDeque::new(),
            requested: vec![0; widths.len()],
            news: Vec::new(),
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

    #[inline]
    pub(super) fn outbound(&mut self, dst: u32) -> Result<&mut Outbound, String> {
        match self.outbound.get_mut(dst as usize) {
            Some(outbound) => Ok(outbound),
            None => Err(no_such_target(self.me, dst)),
        }
    }

    /// NICs of `pe`, at least 1.
    #[inline]
    pub(super) fn width(&self, pe: u32) -> u16 {
        self.widths.get(pe as usize).map_or(1, |&width| width.max(1))
    }

    pub(super) fn count_sent(&mut self, dst: u32, nic: u16, bytes: u64) {
        if let Some(total) = self.sent.get_mut(dst as usize).and_then(|nics| nics.get_mut(usize::from(nic))) {
            *total += bytes;
        }
    }

    /// A fetch or get goes to `dst`: an answer will come.
    pub(super) fn count_asked(&mut self, dst: u32) {
        if let Some(asked) = self.asked.get_mut(dst as usize) {
            *asked += 1;
        }
    }

    /// By PE: groups started towards it.
    pub(super) fn sent_so_far(&self) -> Vec<u64> {
        self.outbound.iter().map(Outbound::started).collect()
    }

    /// Whether all groups below `mark` towards `pe` are released, and everything asked of it is answered.
    pub(super) fn is_settled_with(&self, pe: u32, mark: u64) -> bool {
        self.outbound.get(pe as usize).is_none_or(|outbound| outbound.low() >= mark)
            && self.asked.get(pe as usize).is_none_or(|&asked| asked == 0)
    }

    /// Whether another fetch or get may be asked of `pe`: it has to remember each until it is answered.
    pub(super) fn may_ask(&self, pe: u32) -> bool {
        self.asked.get(pe as usize).is_none_or(|&asked| asked < MOST_ASKED)
    }

    /// What has been acknowledged to `pe` may not have reached it: it is said once more.
    pub(super) fn owe_again(&mut self, pe: u32) {
        if let Some(inbound) = self.inbound.get_mut(pe as usize)
            && inbound.forget_acks()
        {
            self.owing.insert(pe);
        }
    }

    /// PEs that something is still owed by.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = u32> {
        let all = (0..).zip(&self.outbound);
        all.filter(|&(pe, outbound)| !self.is_settled_with(pe, outbound.started())).map(|(pe, _)| pe)
    }

    pub(super) fn received(&self, nic: usize) -> Received {
        self.received.get(nic).copied().unwrap_or_default()
    }

    /// What has arrived from `pe`, by number of the NIC.
    pub(super) fn progress(&self, pe: u32) -> Vec<Progress> {
        let row = |table: &[u32], width: usize| {
            let start = pe as usize * width;
            table.get(start..start + width).unwrap_or_default().to_vec()
        };
        let (own, theirs) = (self.received.len(), usize::from(self.width(pe)));
        let (through, by) = (row(&self.arrivals, own), row(&self.heard, MAX_NICS));
        let at = |list: &[u32], nic: usize| list.get(nic).copied().unwrap_or(0);
        (0..own.max(theirs)).map(|nic| Progress { through: at(&through, nic), by: at(&by, nic) }).collect()
    }

    /// Which of the groups of `pe` are released here.
    pub(super) fn released(&self, pe: u32) -> Released {
        self.inbound.get(pe as usize).map_or(Released::below(0), Inbound::released)
    }

    /// Own NIC `nic` has been fenced: what landed through it for open groups does not count any more.
    pub(super) fn forget(&mut self, nic: u16) {
        self.inbound.iter_mut().for_each(|inbound| inbound.forget(nic));
    }

    /// Tells everyone who waits on this heap to look again.
    pub(super) fn notify(&self) {
        if let Ok(event) = Event::of(&self.heap) {
            event.notify();
        }
    }

    fn count_arrival(&mut self, nic: u16, src: u32) {
        let index = src as usize * self.received.len() + usize::from(nic);
        if let Some(count) = self.arrivals.get_mut(index) {
            *count = count.wrapping_add(1);
        }
    }

    /// A piece has landed through NIC `nic`.
    pub(super) fn landed(&mut self, nic: u16, immediate: u64, len: u64) {
        let immediate = Immediate::unpack(immediate);
        if let Some(received) = self.received.get_mut(usize::from(nic)) {
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
        self.count_arrival(nic, src);
        let outcome = match self.inbound.get_mut(src as usize) {
            Some(inbound) => inbound.landed(nic, immediate.group),
            None => return self.violate(format!("a put arrived from PE {src}, which does not exist")),
        };
        self.settle(nic, src, outcome);
    }

    /// A frame has arrived through NIC `nic`.
    pub(super) fn frame(&mut self, nic: u16, bytes: &[u8]) {
        let (src, by, records) = match read_frame(bytes) {
            Ok((src, by, records)) => (u32::from(src), usize::from(by), records),
            Err(error) => return self.violate(format!("{error} arrived through NIC {nic}")),
        };
        if src as usize >= self.inbound.len() {
            return self.violate(format!("a control frame arrived from PE {src}, which does not exist"));
        }
        self.count_arrival(nic, src);
        let heard = (by < MAX_NICS).then_some(src as usize * MAX_NICS + by);
        if let Some(count) = heard.and_then(|index| self.heard.get_mut(index)) {
            *count = count.wrapping_add(1);
        }
        let mut payload = 0;
        for record in records {
            match record {
                Ok(Record::Data(data)) => {
                    payload += data.bytes.len() as u64;
                    self.data(nic, src, &data);
                }
                Ok(record) => self.record(nic, src, record),
                Err(error) => self.violate(format!("PE {src}: {error} arrived through NIC {nic}")),
            }
        }
        if let Some(received) = self.received.get_mut(usize::from(nic)) {
            received.control_bytes += (bytes.len() as u64).saturating_sub(payload);
        }
    }

    fn record(&mut self, nic: u16, src: u32, record: Record<'_>) {
        let (Some(inbound), Some(outbound)) =
            (self.inbound.get_mut(src as usize), self.outbound.get_mut(src as usize))
        else {
            return;
        };
        let news = match record {
            Record::Close(close) => {
                let outcome = inbound.closed(close);
                return self.settle(nic, src, outcome);
            }
            Record::Ack { low } => {
                if let Err(violation) = outbound.acknowledged(low) {
                    self.violate(format!("PE {src}: {violation}"));
                }
                return;
            }
            Record::Data(_) => return,
            Record::Ask { nonce } => News::Ask { nonce },
            Record::State { nonce, released, progress } => News::State { nonce, released, progress },
            Record::Fence { nic, incarnation } => News::Fence { nic, incarnation },
            Record::Card { nic, incarnation, released, card } => {
                News::Card { nic, incarnation, released, card: card.to_vec() }
            }
            Record::CardSeen { nic, incarnation } => News::CardSeen { nic, incarnation },
            Record::Probe { nonce } => News::Probe { nonce },
            Record::Echo { nonce } => News::Echo { nonce },
        };
        self.news.push((src, news));
    }

    /// A small put has arrived within a frame.
    fn data(&mut self, nic: u16, src: u32, data: &Data<'_>) {
        let Some(inbound) = self.inbound.get_mut(src as usize) else { return };
        if data.again && !inbound.is_new(data.seq) {
            return;
        }
        if let Err(violation) = inbound.check_open(data.seq) {
            return self.violate(format!("PE {src}: {violation}"));
        }
        if let Err(error) = self.heap.write(data.remote, data.bytes) {
            return self.violate(format!("PE {src} sent a put that does not fit: {error}"));
        }
        if let Some(received) = self.received.get_mut(usize::from(nic)) {
            received.ops += 1;
            received.bytes += if self.rx_source == RxSource::None { 0 } else { data.bytes.len() as u64 };
        }
        let outcome = match data.action {
            None => inbound.piece(nic, data.seq),
            Some(_) => inbound.closed(Close { again: data.again, ..Close::new(data.seq, 0, data.action) }),
        };
        self.settle(nic, src, outcome);
    }

    /// Does what an arrival has completed, and notes the acknowledgement it makes due.
    fn settle(&mut self, nic: u16, src: u32, outcome: Result<Option<Release>, Violation>) {
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
                if let Some(action) = release.action {
                    self.act(nic, src, action);
                }
            }
        }
        self.owing.insert(src);
    }

    fn act(&mut self, nic: u16, src: u32, action: Action) {
        match action {
            Action::Change(atomic) => {
                if let Err(error) = self.change(nic, atomic) {
                    self.violate(format!("PE {src} sent a signal that cannot be applied: {error}"));
                }
            }
            Action::Fetch { atomic, tag } => match self.change(nic, atomic) {
                Ok(value) => self.request(src, Request::Answer { pe: src, tag, value }),
                Err(error) => {
                    self.violate(format!("PE {src} sent an atomic that cannot be applied: {error}"));
                }
            },
            Action::Get { remote, local, len, tag } => match self.heap.check(remote, len) {
                Ok(()) => self.request(src, Request::Get { pe: src, remote, local, len, tag }),
                Err(error) => self.violate(format!("PE {src} asked for what is not there: {error}")),
            },
            Action::Answer { tag, value } => {
                let asked = self.asked.get_mut(src as usize).filter(|asked| **asked > 0);
                let expected = asked.is_some_and(|asked| {
                    *asked -= 1;
                    tag == NOBODY || self.answers.fill(tag, value)
                });
                if !expected {
                    return self.violate(format!("PE {src} answered what it was not asked"));
                }
                self.wake = true;
            }
        }
    }

    /// Remembers something to be answered. A PE may ask again once it has its answer, and that is on its way before the
    /// request is forgotten here: twice as many are enough for who keeps to the rules.
    fn request(&mut self, src: u32, request: Request) {
        let Some(count) = self.requested.get_mut(src as usize) else { return };
        *count += 1;
        if *count > 2 * MOST_ASKED {
            return self.violate(format!("PE {src} asks for more than {MOST_ASKED} things at a time"));
        }
        self.requests.push_back(request);
    }

    /// A request of `pe` has been answered.
    pub(super) fn served(&mut self, pe: u32) {
        if let Some(count) = self.requested.get_mut(pe as usize) {
            *count = count.saturating_sub(1);
        }
    }

    fn change(&mut self, nic: u16, atomic: Atomic) -> Result<u64, HeapError> {
        if let Some(received) = self.received.get_mut(usize::from(nic)) {
            received.signals += 1;
        }
        let old = atomic.apply(&self.heap)?;
        self.wake = true;
        Ok(old)
    }

    /// Takes the acknowledgements that are due in this turn: (PE, low mark).
    pub(super) fn take_acks(&mut self, now_ns: u64, acks: &mut Vec<(u32, u64)>) {
        if self.owing.is_empty() {
            return;
        }
        let inbound = &mut self.inbound;
        self.owing.retain(|&src| {
            let Some(inbound) = inbound.get_mut(src as usize) else { return false };
            if let Some(low) = inbound.take_ack(now_ns) {
                acks.push((src, low));
            }
            inbound.owes_ack()
        });
    }

    /// What this PE has received from `pe`.
    pub(super) fn inbound_of(&mut self, pe: u32) -> Option<&mut Inbound> {
        self.inbound.get_mut(pe as usize)
    }

    /// Whether an acknowledgement is still to be sent in a later turn.
    pub(super) fn owes(&self) -> bool {
        !self.owing.is_empty()
    }

    pub(super) fn violate(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }
}

#[cold]
fn no_such_target(me: u32, dst: u32) -> String {
    format!("PE {me} was asked to write to PE {dst}, which does not exist")
}
