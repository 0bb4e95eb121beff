//! Ring and proxy alone: a NIC that completes everything at once, in one thread with the caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use railtop::counters::RxSource;
use railtop::transport::fault::Fault;
use railtop::transport::heap::Heap;
use railtop::transport::nic::{Limits, Nic, NicError, PeerNic, Piece, Posted, Sink};
use railtop::transport::proxy::{Clock, Driver, Parts, Progress, Proxy, Shared};
use railtop::transport::ring::{Command, Producer, Put, ring};
use railtop::transport::select::PolicyKind;
use railtop::transport::signal::{Signal, SignalOp};
use railtop::transport::wire::{FRAME_HEADER_BYTES, Frame, MAX_INLINE, Record};

/// As deep as a PE's.
const RING: usize = 1024;

/// Where the data come from and go to, and the signal's word.
pub const DATA: u64 = 8192;
pub const SIGNAL: u64 = 4096;

/// A put with a signal takes so many bytes of a frame: head, number, address, the atomic's two words and its 8 bytes.
const SMALL_RECORD: usize = 48;

/// So does the close of one whose data go by themselves: head, number, the atomic's two words.
const CLOSE_RECORD: usize = 32;

/// So does that of a group of nothing, with which a quiet asks for an acknowledgement: head, number.
const ASKING_RECORD: usize = 16;

/// The head of such a record: a close, of no pieces and with no action, that asks.
const ASKING: u64 = 1 | 1 << (16 + 9);

/// Quiets whose groups of nothing may be in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiets {
    /// One at most, the caller's: the length of a frame tells the groups in it.
    One,
    /// Of each ring one: the heads of records have to be read, some 25 instructions for each.
    OfRings,
}

/// Takes everything, completes it with the next poll, and acknowledges every group in the name of PE 1. It costs next to nothing itself.
pub struct NullNic {
    record: usize,
    quiets: Quiets,
    pieces: Vec<(PeerNic, u64)>,
    frames: Vec<PeerNic>,
    released: Arc<AtomicU64>,
    acknowledged: u64,
    ack: Frame,
}

impl NullNic {
    /// Groups of the records in a frame.
    #[inline]
    fn groups(&self, mut records: &[u8]) -> usize {
        if self.quiets == Quiets::One {
            return records.len() / self.record + usize::from(records.len() % self.record == ASKING_RECORD);
        }
        let mut groups = 0;
        while let Some(head) = records.first_chunk() {
            let asking = u64::from_le_bytes(*head) == ASKING;
            records = &records[if asking { ASKING_RECORD } else { self.record }..];
            groups += 1;
        }
        groups
    }
}

impl Nic for NullNic {
    fn name(&self) -> &'static str {
        "null"
    }

    fn limits(&self) -> Limits {
        Limits { max_piece: 8 << 20, max_in_flight: 256, ahead: u64::MAX }
    }

    fn put(&mut self, piece: &Piece) -> Result<Posted, NicError> {
        self.pieces.push((piece.to, piece.len));
        Ok(Posted::Yes)
    }

    fn send(&mut self, to: PeerNic, frame: &[u8]) -> Result<Posted, NicError> {
        let groups = self.groups(&frame[FRAME_HEADER_BYTES..]);
        self.released.fetch_add(groups as u64, Ordering::Relaxed);
        self.frames.push(to);
        Ok(Posted::Yes)
    }

    fn poll(&mut self, sink: &mut impl Sink) -> Result<usize, NicError> {
        let mut events = self.pieces.len() + self.frames.len();
        for (to, bytes) in self.pieces.drain(..) {
            sink.piece_done(to, bytes);
        }
        for to in self.frames.drain(..) {
            sink.frame_done(to);
        }
        let low = self.released.load(Ordering::Relaxed);
        if low > self.acknowledged {
            self.acknowledged = low;
            self.ack.clear();
            assert!(self.ack.push(&Record::Ack { low }), "an acknowledgement fits a frame");
            sink.frame(self.ack.as_slice());
            events += 1;
        }
        Ok(events)
    }

    fn can_reopen(&self) -> bool {
        false
    }

    fn close_receiver(&mut self, _sink: &mut impl Sink) -> Result<(), NicError> {
        Err(NicError { nic: "null".into(), what: "closing".into(), why: "it cannot".into() })
    }

    fn open_receiver(&mut self) -> Result<Vec<u8>, NicError> {
        Err(NicError { nic: "null".into(), what: "opening".into(), why: "it never closes".into() })
    }

    fn redirect(&mut self, _peer: PeerNic, _card: &[u8]) -> Result<(), NicError> {
        Ok(())
    }
}

/// What is put: `bytes` from and to the same place, and one is added to the signal's word.
pub fn put_of(bytes: u64) -> Put {
    let signal = Some(Signal { offset: SIGNAL, op: SignalOp::Add, value: 1 });
    Put { dst: 1, local: DATA, remote: DATA, len: bytes, signal }
}

/// A proxy of PE 0 of two, the ring of its caller, and its heap with room for [`put_of`] `bytes`.
pub struct Bench<N> {
    pub proxy: Proxy<N>,
    pub shared: Arc<Shared>,
    pub producer: Producer,
    pub heap: Arc<Heap>,
}

impl<N: Nic> Bench<N> {
    /// On these NICs; PE 1 has as many.
    pub fn new(bytes: u64, nics: Vec<N>, clock: Clock) -> Self {
        let heap = Arc::new(Heap::create(DATA + bytes).unwrap());
        let (mut producer, commands) = ring(RING);
        let width = u16::try_from(nics.len()).unwrap();
        let (proxy, shared) = Proxy::new(Parts {
            me: 0,
            widths: vec![width, width],
            nics,
            wide_immediate: true,
            heap: Arc::clone(&heap),
            inline_max: MAX_INLINE as u64,
            policy: PolicyKind::PairSeq,
            commands,
            fault: Fault::default(),
            page: None,
            clock,
            nic_timeout: Duration::from_secs(1),
            progress: Progress::Adaptive,
        });
        assert!(producer.try_push(Command::SetRxSource { source: RxSource::ImmLen, ledger: false }));
        Self { proxy, shared, producer, heap }
    }
}

/// A caller and its proxy on null NICs.
pub struct Alone {
    bench: Bench<NullNic>,
    put: Put,
    tickets: u64,
}

impl Alone {
    /// For put-signals of `bytes` over `nics` NICs, with this clock.
    pub fn new(bytes: u64, nics: u16, quiets: Quiets, clock: Clock) -> Self {
        let released = Arc::new(AtomicU64::new(0));
        let nic = |_| NullNic {
            record: if bytes == 8 { SMALL_RECORD } else { CLOSE_RECORD },
            quiets,
            pieces: Vec::new(),
            frames: Vec::new(),
            released: Arc::clone(&released),
            acknowledged: 0,
            ack: Frame::new(1, 0),
        };
        let bench = Bench::new(bytes, (0..nics).map(nic).collect(), clock);
        Self { bench, put: put_of(bytes), tickets: 0 }
    }

    /// The proxy by itself, to be run by whoever posts otherwise, and its heap.
    pub fn into_driver(mut self) -> (Driver<Proxy<NullNic>>, Arc<Heap>) {
        self.bench.proxy.turn().unwrap();
        (Driver::new(self.bench.proxy), self.bench.heap)
    }

    /// Puts `count` times and waits until all of it is acknowledged.
    pub fn puts(&mut self, count: u64) {
        let Bench { proxy, shared, producer, .. } = &mut self.bench;
        let mut left = count;
        while left > 0 {
            while left > 0 && producer.try_push(Command::Put(self.put)) {
                left -= 1;
            }
            proxy.turn().unwrap();
        }
        self.tickets += 1;
        while !producer.try_push(Command::Quiet { ticket: self.tickets, pe: None }) {
            proxy.turn().unwrap();
        }
        while shared.quiet_done() < self.tickets {
            proxy.turn().unwrap();
        }
    }
}

/// Nanoseconds per put-signal of `bytes` over `nics` NICs, the median of several rounds.
pub fn nanoseconds(bytes: u64, nics: u16) -> f64 {
    const PUTS: u64 = 200_000;
    let mut alone = Alone::new(bytes, nics, Quiets::One, Clock::System);
    alone.puts(PUTS);
    let rounds = (0..9).map(|_| {
        let start = Instant::now();
        alone.puts(PUTS);
        start.elapsed().as_secs_f64() * 1e9 / PUTS as f64
    });
    crate::median(rounds)
}
