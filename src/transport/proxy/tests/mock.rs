//! NICs that exist in memory only and behave as badly as real ones may: late, out of order, full, and silent about
//! lengths. Bytes are copied when they are *delivered*, not when they are posted; the target hears of them afterwards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::judge::Judge;
use super::rng::Rng;
use crate::transport::heap::Heap;
use crate::transport::nic::{Limits, Nic, NicError, PeerNic, Piece, Posted, Sink};

/// How the NICs behave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// Polls, of whichever NIC, that each step may take.
    pub(super) delay: u64,
    /// How often a NIC says that it is full although it is not.
    pub(super) full_percent: u64,
    /// Operations the NIC says it takes.
    pub(super) promised_depth: u64,
    /// Operations the NIC takes.
    pub(super) depth: u64,
    /// Arrivals that may wait at a NIC before it refuses further ones.
    pub(super) rx_depth: usize,
    /// How many frames are injected.
    pub(super) inject_percent: u64,
    /// Longest piece.
    pub(super) max_piece: u64,
    /// Whether target completions say the length, which libfabric 1.17's tcp does not.
    pub(super) says_len: bool,
    /// Whether immediates have 64 bits (tcp) or 32 (EFA).
    pub(super) wide: bool,
}

impl Weather {
    /// Nothing in the way, apart from delay and order.
    pub(super) fn fair() -> Self {
        Self {
            delay: 8,
            full_percent: 0,
            promised_depth: 64,
            depth: 64,
            rx_depth: 1024,
            inject_percent: 50,
            max_piece: 32,
            says_len: true,
            wide: true,
        }
    }

    /// Anything.
    pub(super) fn any(rng: &mut Rng) -> Self {
        Self {
            delay: 1 << rng.below(8),
            full_percent: [0, 0, 10, 50, 80][rng.index(5)],
            promised_depth: 1 << rng.below(6),
            depth: 1 << rng.below(6),
            rx_depth: 1 << rng.below(8),
            inject_percent: [0, 50, 100][rng.index(3)],
            max_piece: rng.between(1, 100),
            says_len: rng.chance(50),
            wide: rng.chance(50),
        }
    }
}

/// What a NIC reports when it is polled.
#[derive(Debug)]
enum Event {
    PieceDone(PeerNic, u64),
    FrameDone(PeerNic),
    Landed { immediate: u64, len: u64 },
    Frame(Vec<u8>),
}

/// Something that happens when the clock has come so far.
#[derive(Debug)]
struct Due<T>(u64, T);

#[derive(Debug, Default)]
struct Port {
    events: Vec<Due<Event>>,
    in_flight: u64,
    /// Pieces and frames on their way here or waiting to be reported.
    arriving: usize,
    /// The next call fails with this.
    broken: Option<String>,
}

struct Air {
    rng: Rng,
    weather: Weather,
    /// Polls so far, of all NICs.
    clock: u64,
    heaps: Vec<Arc<Heap>>,
    ports: Vec<Vec<Port>>,
    /// Pieces whose bytes are not yet in the target's heap.
    flying: Vec<Due<(u32, Piece)>>,
    judge: Judge,
}

/// What connects the NICs.
#[derive(Clone)]
pub(super) struct MockFabric(Arc<Mutex<Air>>);

/// One NIC.
pub(super) struct MockNic {
    at: PeerNic,
    name: String,
    fabric: MockFabric,
}

impl MockFabric {
    /// Connects PEs with these heaps and numbers of NICs.
    pub(super) fn new(rng: Rng, weather: Weather, heaps: &[Arc<Heap>], widths: &[u16], judge: Judge) -> Self {
        let ports = widths.iter().map(|&width| (0..width).map(|_| Port::default()).collect()).collect();
        let (flying, heaps) = (Vec::new(), heaps.to_vec());
        Self(Arc::new(Mutex::new(Air { rng, weather, clock: 0, heaps, ports, flying, judge })))
    }

    pub(super) fn nic(&self, pe: u32, nic: u16) -> MockNic {
        MockNic { at: PeerNic { pe, nic }, name: format!("mock{pe}.{nic}"), fabric: self.clone() }
    }

    fn air(&self) -> MutexGuard<'_, Air> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is on its way and everything has been reported.
    pub(super) fn is_empty(&self) -> bool {
        let air = self.air();
        air.flying.is_empty() && air.ports.iter().flatten().all(|port| port.events.is_empty())
    }

    /// The judge's last word.
    pub(super) fn conclude(&self) {
        let mut air = self.air();
        let heaps = air.heaps.clone();
        air.judge.conclude(&heaps);
    }

    /// A frame from nowhere arrives.
    pub(super) fn forge_frame(&self, to: PeerNic, frame: &[u8]) {
        self.air().arrive(to, Event::Frame(frame.to_vec()));
    }

    /// A completion from nowhere arrives.
    pub(super) fn forge_landing(&self, to: PeerNic, immediate: u64, len: u64) {
        self.air().arrive(to, Event::Landed { immediate, len });
    }

    /// From now on every call of this NIC fails.
    pub(super) fn break_nic(&self, at: PeerNic, why: &str) {
        self.air().port(at).broken = Some(why.to_owned());
    }
}

impl Air {
    fn port(&mut self, at: PeerNic) -> &mut Port {
        &mut self.ports[at.pe as usize][usize::from(at.nic)]
    }

    fn later(&mut self) -> u64 {
        self.clock + self.rng.below(self.weather.delay)
    }

    fn arrive(&mut self, to: PeerNic, event: Event) {
        let due = self.later();
        let port = self.port(to);
        port.arriving += 1;
        port.events.push(Due(due, event));
    }

    fn is_full(&mut self, from: PeerNic, to: PeerNic) -> bool {
        let Weather { full_percent, depth, rx_depth, .. } = self.weather;
        self.rng.chance(full_percent)
            || self.port(from).in_flight >= depth
            || self.port(to).arriving >= rx_depth
    }

    /// The sender's completion, at a time that has nothing to do with the delivery's.
    fn complete_later(&mut self, at: PeerNic, event: Event) {
        let due = self.later() + self.rng.below(self.weather.delay);
        let port = self.port(at);
        port.in_flight += 1;
        port.events.push(Due(due, event));
    }

    /// Brings the pieces whose time has come into the heaps, in any order.
    fn deliver(&mut self) {
        let clock = self.clock;
        let mut due: Vec<_> = self.flying.extract_if(.., |Due(at, _)| *at <= clock).collect();
        self.rng.shuffle(&mut due);
        for Due(_, (from, piece)) in due {
            let to = piece.to;
            let source = Arc::clone(&self.heaps[from as usize]);
            source.copy_to(piece.local, &self.heaps[to.pe as usize], piece.remote, piece.len).unwrap();
            let Weather { says_len, wide, .. } = self.weather;
            let immediate = if wide { piece.immediate } else { piece.immediate & 0xffff_ffff };
            let at = self.later();
            let len = if says_len { piece.len } else { 0 };
            self.port(to).events.push(Due(at, Event::Landed { immediate, len }));
        }
    }

    /// What a NIC has to report now, in any order; some of it waits for another poll.
    fn reports(&mut self, at: PeerNic) -> Vec<Event> {
        let (clock, skip) = (self.clock, self.rng.next());
        let mut keep = Rng::new(skip);
        let due = self
            .port(at)
            .events
            .extract_if(.., |Due(due, _)| *due <= clock && !keep.chance(25))
            .map(|Due(_, event)| event);
        let mut events: Vec<_> = due.collect();
        self.rng.shuffle(&mut events);
        events
    }
}

impl MockNic {
    fn working(&self) -> Result<MutexGuard<'_, Air>, NicError> {
        let mut air = self.fabric.air();
        match air.port(self.at).broken.clone() {
            None => Ok(air),
            Some(why) => Err(NicError { nic: self.name.clone(), what: "poll".into(), why }),
        }
    }
}

impl Nic for MockNic {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        let Weather { max_piece, promised_depth, .. } = self.fabric.air().weather;
        Limits { max_piece, max_in_flight: promised_depth }
    }

    fn put(&mut self, piece: &Piece) -> Result<Posted, NicError> {
        let mut air = self.working()?;
        assert!((1..=air.weather.max_piece).contains(&piece.len), "a piece of {} bytes", piece.len);
        assert!(air.port(self.at).in_flight < air.weather.promised_depth, "more in flight than promised");
        if air.is_full(self.at, piece.to) {
            return Ok(Posted::Full);
        }
        air.complete_later(self.at, Event::PieceDone(piece.to, piece.len));
        air.port(piece.to).arriving += 1;
        let due = air.later();
        air.flying.push(Due(due, (self.at.pe, *piece)));
        Ok(Posted::Yes)
    }

    fn send(&mut self, to: PeerNic, frame: &[u8]) -> Result<Posted, NicError> {
        let mut air = self.working()?;
        if air.is_full(self.at, to) {
            return Ok(Posted::Full);
        }
        air.arrive(to, Event::Frame(frame.to_vec()));
        let inject = air.weather.inject_percent;
        if air.rng.chance(inject) {
            return Ok(Posted::Injected);
        }
        air.complete_later(self.at, Event::FrameDone(to));
        Ok(Posted::Yes)
    }

    fn poll(&mut self, sink: &mut impl Sink) -> Result<usize, NicError> {
        let mut air = self.working()?;
        let pe = self.at.pe as usize;
        air.clock += 1;
        air.deliver();
        let events = air.reports(self.at);
        let count = events.len();
        for event in events {
            match event {
                Event::PieceDone(to, bytes) => {
                    air.port(self.at).in_flight -= 1;
                    sink.piece_done(to, bytes);
                }
                Event::FrameDone(to) => {
                    air.port(self.at).in_flight -= 1;
                    sink.frame_done(to);
                }
                Event::Landed { immediate, len } => {
                    air.port(self.at).arriving -= 1;
                    sink.landed(immediate, len);
                }
                Event::Frame(bytes) => {
                    air.port(self.at).arriving -= 1;
                    sink.frame(&bytes);
                }
            }
            // Nothing is copied between an event and this look, so a signal that comes too early is always seen.
            let air = &mut *air;
            air.judge.look(pe, &air.heaps[pe]);
        }
        Ok(count)
    }

    fn can_reopen(&self) -> bool {
        false
    }

    fn reopen(&mut self, _: &mut impl Sink) -> Result<Vec<u8>, NicError> {
        Err(NicError { nic: self.name.clone(), what: "reopen".into(), why: "not by this mock".into() })
    }

    fn redirect(&mut self, _: PeerNic, _: &[u8]) -> Result<(), NicError> {
        Err(NicError { nic: self.name.clone(), what: "redirect".into(), why: "not by this mock".into() })
    }
}
