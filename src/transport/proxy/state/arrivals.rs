//! What arrives: pieces, frames and their records, and what is done when a group is whole.

use super::peer::Peer;
use super::{MOST_ASKED, News, PROBE_BYTES, Request, State};
use crate::counters::RxSource;
use crate::transport::answers::NOBODY;
use crate::transport::atomic::Atomic;
use crate::transport::group::{Release, Violation};
use crate::transport::heap::HeapError;
use crate::transport::wire::{Action, Close, Data, Immediate, Record, read_frame};

impl State {
    /// A piece has landed through NIC `nic`.
    pub(in super::super) fn landed(&mut self, nic: u16, immediate: u64, len: u64) {
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
        self.unflushed |= self.flush.is_some();
        let src = u32::from(immediate.src);
        let outcome = match self.peers.get_mut(src as usize) {
            Some(peer) => {
                peer.count_arrival(nic);
                peer.inbound.landed(nic, immediate.group)
            }
            None => return self.violate(format!("a put arrived from PE {src}, which does not exist")),
        };
        self.settle(nic, src, outcome);
    }

    /// A frame has arrived through NIC `nic`.
    pub(in super::super) fn frame(&mut self, nic: u16, bytes: &[u8]) {
        let (src, by, records) = match read_frame(bytes) {
            Ok((src, by, records)) => (u32::from(src), by, records),
            Err(error) => return self.violate(format!("{error} arrived through NIC {nic}")),
        };
        let Some(peer) = self.peers.get_mut(src as usize) else {
            return self.violate(format!("a control frame arrived from PE {src}, which does not exist"));
        };
        peer.count_arrival(nic);
        peer.hear(by);
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
        let Some(peer) = self.peers.get_mut(src as usize) else { return };
        let news = match record {
            Record::Close(close) => {
                let outcome = peer.inbound.closed(close);
                return self.settle(nic, src, outcome);
            }
            Record::Ack { low } => {
                if let Err(violation) = peer.outbound.acknowledged(low) {
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
        let Some(Peer { inbound, .. }) = self.peers.get_mut(src as usize) else { return };
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
            // Before its signal, and before anybody hears that it has landed.
            Ok(Some(_)) if self.unflushed && !self.make_visible() => return,
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
        self.owe(src);
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
            Action::Get { remote, local, len, tag } => {
                // All heaps are equally long: what would land behind this one's end would there, too.
                match self.heap.check(remote, len).and_then(|()| self.heap.check(local, len)) {
                    Ok(()) => self.request(src, Request::Get { pe: src, remote, local, len, tag }),
                    Err(error) => self.violate(format!("PE {src} asked for what is not there: {error}")),
                }
            }
            Action::Answer { tag, value } => {
                let peer = self.peers.get_mut(src as usize).filter(|peer| peer.asked > 0);
                let expected = peer.is_some_and(|peer| {
                    peer.asked -= 1;
                    tag == NOBODY || self.answers.fill(tag, value)
                });
                if !expected {
                    return self.violate(format!("PE {src} answered what it was not asked"));
                }
                self.wake = true;
            }
        }
    }

    /// A kernel that sees a signal must see the bytes before it, too; `false` when that cannot be.
    #[cold]
    fn make_visible(&mut self) -> bool {
        self.unflushed = false;
        let Some(Err(why)) = self.flush.as_ref().map(|flush| flush()) else { return true };
        self.violate(format!("what NICs have written cannot be made visible to the GPU: {why}"));
        false
    }

    /// Remembers something to be answered. A PE may ask again once it has its answer, and that is on its way before the
    /// request is forgotten here: twice as many are enough for who keeps to the rules.
    fn request(&mut self, src: u32, request: Request) {
        let Some(peer) = self.peers.get_mut(src as usize) else { return };
        peer.requested += 1;
        if peer.requested > 2 * MOST_ASKED {
            return self.violate(format!("PE {src} asks for more than {MOST_ASKED} things at a time"));
        }
        self.requests.push_back(request);
    }

    /// A request of `pe` has been answered.
    pub(in super::super) fn served(&mut self, pe: u32) {
        if let Some(peer) = self.peers.get_mut(pe as usize) {
            peer.requested = peer.requested.saturating_sub(1);
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
}
