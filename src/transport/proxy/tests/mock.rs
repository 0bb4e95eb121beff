//! NICs that exist in memory only and behave as badly as real ones may: late, out of order, full, and silent about
//! lengths. Bytes are copied when they are *delivered*, not when they are posted; the target hears of them afterwards.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::judge::Judge;
use super::rng::Rng;
use crate::transport::heap::Heap;
use crate::transport::nic::{Failed, Limits, Nic, NicError, PeerNic, Piece, Posted, Sink};

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
    /// Pieces that may be under way to a PE by each NIC of its own.
    pub(super) room: u64,
    /// How many frames are injected.
    pub(super) inject_percent: u64,
    /// Bytes of pieces in flight that are enough.
    pub(super) ahead: u64,
    /// Longest piece.
    pub(super) max_piece: u64,
    /// Of a put that travels in a frame.
    pub(super) inline_max: u64,
    /// Whether target completions say the length, which libfabric 1.17's tcp does not.
    pub(super) says_len: bool,
    /// Whether immediates have 64 bits (tcp) or 32 (EFA).
    pub(super) wide: bool,
    /// Whether NICs can be fenced and opened again.
    pub(super) reopens: bool,
    /// After how many milliseconds without any sign NICs are suspected; 0: never.
    pub(super) nic_timeout_ms: u64,
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
            room: u64::MAX,
            inject_percent: 50,
            ahead: 256,
            max_piece: 32,
            inline_max: 16,
            says_len: true,
            wide: true,
            reopens: false,
            nic_timeout_ms: 0,
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
            room: [1, 4, 32, u64::MAX][rng.index(4)],
            inject_percent: [0, 50, 100][rng.index(3)],
            ahead: [1, 100, 1000, u64::MAX][rng.index(4)],
            max_piece: rng.between(1, 100),
            inline_max: [0, 16, 100, 1024][rng.index(4)],
            says_len: rng.chance(50),
            wide: rng.chance(50),
            reopens: true,
            nic_timeout_ms: 0,
        }
    }
}

/// What a NIC reports when it is polled.
#[derive(Debug)]
enum Event {
    Done(PeerNic, Option<u64>),
    Failed(PeerNic, Option<u64>),
    Landed { from: u32, immediate: u64, len: u64 },
    Frame(Vec<u8>),
}

/// Something that happens when the clock has come so far.
#[derive(Debug)]
struct Due<T>(u64, T);

/// Something under way between two NICs.
#[derive(Debug)]
struct Flight {
    from: PeerNic,
    to: PeerNic,
    /// Of the target's NIC, as the sender knew it.
    incarnation: u32,
    load: Load,
}

#[derive(Debug)]
enum Load {
    Piece(Piece),
    Frame(Vec<u8>),
}

/// What is wrong with a NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing goes in or out, and nothing says so: an interface that is down. What is under way comes through later.
    Silence,
    /// Nothing goes in or out, and operations fail.
    Errors,
    /// Nothing goes in or out, and nothing is taken.
    Full,
}

#[derive(Debug, Default)]
struct Port {
    events: Vec<Due<Event>>,
    in_flight: u64,
    /// Pieces and frames on their way here or waiting to be reported; what a NIC in trouble holds back takes no room here.
    arriving: usize,
    /// The next call fails with this.
    broken: Option<String>,
    trouble: Option<Trouble>,
    incarnation: u32,
    /// Openings that will fail.
    stubborn: u32,
}

struct Air {
    rng: Rng,
    weather: Weather,
    /// Polls so far, of all NICs.
    clock: u64,
    heaps: Vec<Arc<Heap>>,
    ports: Vec<Vec<Port>>,
    /// What has not arrived yet; pieces are not yet in the target's heap.
    flying: Vec<Due<Flight>>,
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
    /// Incarnations of others' NICs, where not 0.
    known: HashMap<PeerNic, u32>,
}

impl MockFabric {
    /// Connects PEs with these heaps and numbers of NICs.
    pub(super) fn new(rng: Rng, weather: Weather, heaps: &[Arc<Heap>], widths: &[u16], judge: Judge) -> Self {
        let ports = widths.iter().map(|&width| (0..width).map(|_| Port::default()).collect()).collect();
        let (flying, heaps) = (Vec::new(), heaps.to_vec());
        Self(Arc::new(Mutex::new(Air { rng, weather, clock: 0, heaps, ports, flying, judge })))
    }

    pub(super) fn nic(&self, pe: u32, nic: u16) -> MockNic {
        let name = format!("mock{pe}.{nic}");
        MockNic { at: PeerNic { pe, nic }, name, fabric: self.clone(), known: HashMap::new() }
    }

    fn air(&self) -> MutexGuard<'_, Air> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is on its way and everything has been reported.
    pub(super) fn is_empty(&self) -> bool {
        let air = self.air();
        air.flying.is_empty() && air.ports.iter().flatten().all(|port| port.events.is_empty())
    }

    /// What is where, for who looks for a mistake.
    pub(super) fn describe(&self) -> String {
        let air = self.air();
        let port = |port: &Port| {
            let Port { in_flight, arriving, trouble, events, .. } = port;
            format!("{in_flight} out, {arriving} in, {} events, {trouble:?}; ", events.len())
        };
        let pe = |ports: &Vec<Port>| ports.iter().map(port).collect::<String>() + "\n";
        let ports: String = air.ports.iter().map(pe).collect();
        format!("{ports}{} under way, {:?}", air.flying.len(), air.weather)
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
        self.air().arrive(to, Event::Landed { from: u32::MAX, immediate, len });
    }

    /// From now on every call of this NIC fails.
    pub(super) fn break_nic(&self, at: PeerNic, why: &str) {
        self.air().port(at).broken = Some(why.to_owned());
    }

    /// From now on NICs take so many arrivals that nobody has read.
    pub(super) fn set_rx_depth(&self, depth: usize) {
        self.air().weather.rx_depth = depth;
    }

    /// PEs that frames are on their way to, or wait at.
    pub(super) fn addressed(&self) -> HashSet<u32> {
        let air = self.air();
        let is_frame = |Due(_, flight): &&Due<Flight>| matches!(flight.load, Load::Frame(_));
        let flying = air.flying.iter().filter(is_frame).map(|Due(_, flight)| flight.to.pe);
        let is_unread =
            |port: &Port| port.events.iter().any(|Due(_, event)| matches!(event, Event::Frame(_)));
        let waiting = (0..).zip(&air.ports).filter(|(_, nics)| nics.iter().any(is_unread)).map(|(pe, _)| pe);
        flying.chain(waiting).collect()
    }

    /// From now on this NIC is in trouble, or is not any more.
    pub(super) fn trouble(&self, at: PeerNic, trouble: Option<Trouble>) {
        let mut air = self.air();
        let Air { ports, flying, .. } = &mut *air;
        let port = &mut ports[at.pe as usize][usize::from(at.nic)];
        let before = std::mem::replace(&mut port.trouble, trouble);
        for Due(_, flight) in flying.iter().filter(|Due(_, flight)| flight.from == at) {
            let arriving = &mut ports[flight.to.pe as usize][usize::from(flight.to.nic)].arriving;
            match (before.is_some(), trouble.is_some()) {
                (false, true) => *arriving -= 1,
                (true, false) => *arriving += 1,
                _ => {}
            }
        }
    }

    /// The next `times` this NIC is opened again, it fails.
    pub(super) fn make_stubborn(&self, at: PeerNic, times: u32) {
        self.air().port(at).stubborn = times;
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
            || self.port(from).trouble == Some(Trouble::Full)
            || self.port(from).in_flight >= depth
            || self.port(to).arriving >= rx_depth
    }

    /// What PE `from` has written to a NIC and that has not read must have its place in the queue there: for each NIC of the
    /// writer's as many pieces as were promised.
    fn check_room(&mut self, from: u32, to: PeerNic) {
        let room = self.weather.room.saturating_mul(self.ports[from as usize].len() as u64);
        let Port { incarnation, events, .. } = &self.ports[to.pe as usize][usize::from(to.nic)];
        let lands = |Due(_, flight): &&Due<Flight>| {
            (flight.from.pe, flight.to, flight.incarnation) == (from, to, *incarnation)
                && matches!(flight.load, Load::Piece(_))
        };
        let flying = self.flying.iter().filter(lands).count();
        let is_its =
            |Due(_, event): &&Due<Event>| matches!(event, Event::Landed { from: pe, .. } if *pe == from);
        let unread = events.iter().filter(is_its).count();
        assert!(
            (flying + unread) as u64 <= room,
            "{flying} pieces of PE {from} fly to {to} and {unread} are unread there"
        );
    }

    /// The sender's completion, at a time that has nothing to do with the delivery's.
    fn complete_later(&mut self, at: PeerNic, event: Event) {
        let due = self.later() + self.rng.below(self.weather.delay);
        let port = self.port(at);
        port.in_flight += 1;
        port.events.push(Due(due, event));
    }

    fn take_off(&mut self, flight: Flight) {
        if self.port(flight.from).trouble.is_none() {
            self.port(flight.to).arriving += 1;
        }
        let due = self.later();
        self.flying.push(Due(due, flight));
    }

    /// Brings what is due to where it goes, in any order; what an endpoint that is no more was to get is lost.
    fn deliver(&mut self) {
        let (clock, ports) = (self.clock, &self.ports);
        let in_trouble = |at: PeerNic| ports[at.pe as usize][usize::from(at.nic)].trouble.is_some();
        let lands = |Due(at, flight): &mut Due<Flight>| {
            *at <= clock && !in_trouble(flight.from) && !in_trouble(flight.to)
        };
        let mut due: Vec<_> = self.flying.extract_if(.., lands).collect();
        self.rng.shuffle(&mut due);
        for Due(_, Flight { from, to, incarnation, load }) in due {
            if self.port(to).incarnation != incarnation {
                // Sent to where nobody listens any more.
                self.port(to).arriving -= 1;
                continue;
            }
            let at = self.later();
            let event = match load {
                Load::Frame(bytes) => Event::Frame(bytes),
                Load::Piece(piece) => {
                    let source = Arc::clone(&self.heaps[from.pe as usize]);
                    source
                        .copy_to(piece.local, &self.heaps[to.pe as usize], piece.remote, piece.len)
                        .unwrap();
                    let Weather { says_len, wide, .. } = self.weather;
                    let immediate = if wide { piece.immediate } else { piece.immediate & 0xffff_ffff };
                    Event::Landed { from: from.pe, immediate, len: if says_len { piece.len } else { 0 } }
                }
            };
            self.port(to).events.push(Due(at, event));
        }
    }

    /// What a NIC has to report now, in any order; some of it waits for another poll. While its interface is
    /// down, nothing of what it sends completes.
    fn reports(&mut self, at: PeerNic) -> Vec<Event> {
        let (clock, skip) = (self.clock, self.rng.next());
        let mut keep = Rng::new(skip);
        let trouble = self.port(at).trouble;
        let mut events: Vec<_> = self
            .port(at)
            .events
            .extract_if(.., |Due(due, event)| {
                let held = trouble == Some(Trouble::Silence) && matches!(event, Event::Done(..));
                *due <= clock && !held && !keep.chance(25)
            })
            .map(|Due(_, event)| match event {
                Event::Done(to, bytes) if trouble == Some(Trouble::Errors) => Event::Failed(to, bytes),
                event => event,
            })
            .collect();
        self.rng.shuffle(&mut events);
        events
    }
}

impl MockNic {
    fn working(&self) -> Result<MutexGuard<'_, Air>, NicError> {
        let mut air = self.fabric.air();
        match air.port(self.at).broken.clone() {
            None => Ok(air),
            Some(why) => Err(self.error(&why)),
        }
    }

    fn error(&self, why: &str) -> NicError {
        NicError { nic: self.name.clone(), what: "poll".into(), why: why.to_owned() }
    }

    fn incarnation(&self, of: PeerNic) -> u32 {
        self.known.get(&of).copied().unwrap_or(0)
    }

    /// Reports events to `sink`. Nothing is copied between an event and the judge's look, so a signal that comes too
    /// early is always seen.
    fn report(&self, air: &mut Air, events: Vec<Event>, sink: &mut impl Sink) {
        let pe = self.at.pe as usize;
        for event in events {
            match event {
                Event::Done(to, bytes) => {
                    air.port(self.at).in_flight -= 1;
                    match bytes {
                        Some(bytes) => sink.piece_done(to, bytes),
                        None => sink.frame_done(to),
                    }
                }
                Event::Failed(to, bytes) => {
                    air.port(self.at).in_flight -= 1;
                    sink.failed(Failed { to, bytes, error: self.error("the operation failed") });
                }
                Event::Landed { immediate, len, .. } => {
                    air.port(self.at).arriving -= 1;
                    sink.landed(immediate, len);
                }
                Event::Frame(bytes) => {
                    air.port(self.at).arriving -= 1;
                    sink.frame(&bytes);
                }
            }
            air.judge.look(pe, &air.heaps[pe]);
        }
    }
}

impl Nic for MockNic {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        let Weather { max_piece, promised_depth, ahead, .. } = self.fabric.air().weather;
        Limits { max_piece, max_in_flight: promised_depth, ahead }
    }

    fn room_at(&self, _to: PeerNic) -> u64 {
        self.fabric.air().weather.room
    }

    fn put(&mut self, piece: &Piece) -> Result<Posted, NicError> {
        let mut air = self.working()?;
        assert!((1..=air.weather.max_piece).contains(&piece.len), "a piece of {} bytes", piece.len);
        assert!(air.port(self.at).in_flight < air.weather.promised_depth, "more in flight than promised");
        if air.is_full(self.at, piece.to) {
            return Ok(Posted::Full);
        }
        if air.port(self.at).trouble == Some(Trouble::Errors) && air.rng.chance(50) {
            return Err(self.error("refused"));
        }
        air.complete_later(self.at, Event::Done(piece.to, Some(piece.len)));
        let (to, incarnation) = (piece.to, self.incarnation(piece.to));
        air.take_off(Flight { from: self.at, to, incarnation, load: Load::Piece(*piece) });
        air.check_room(self.at.pe, to);
        Ok(Posted::Yes)
    }

    fn send(&mut self, to: PeerNic, frame: &[u8]) -> Result<Posted, NicError> {
        let mut air = self.working()?;
        if air.is_full(self.at, to) {
            return Ok(Posted::Full);
        }
        let incarnation = self.incarnation(to);
        air.take_off(Flight { from: self.at, to, incarnation, load: Load::Frame(frame.to_vec()) });
        let inject = air.weather.inject_percent;
        if air.rng.chance(inject) {
            return Ok(Posted::Injected);
        }
        air.complete_later(self.at, Event::Done(to, None));
        Ok(Posted::Yes)
    }

    fn poll(&mut self, sink: &mut impl Sink) -> Result<usize, NicError> {
        let mut air = self.working()?;
        air.clock += 1;
        air.deliver();
        let events = air.reports(self.at);
        let count = events.len();
        self.report(&mut air, events, sink);
        Ok(count)
    }

    fn can_reopen(&self) -> bool {
        self.fabric.air().weather.reopens
    }

    fn close_receiver(&mut self, sink: &mut impl Sink) -> Result<(), NicError> {
        let mut air = self.fabric.air();
        let port = air.port(self.at);
        port.incarnation += 1;
        let unreadable = port.broken.is_some();
        // What is still under way to the old endpoint never lands.
        let at = self.at;
        let lost: Vec<_> = air.flying.extract_if(.., |Due(_, flight)| flight.to == at).collect();
        for Due(_, flight) in lost {
            if air.port(flight.from).trouble.is_none() {
                air.port(at).arriving -= 1;
            }
        }
        // What has landed is reported, by a NIC that can be read; a frame that arrived and was not yet reported may be lost with
        // the endpoint.
        let drop_frames = unreadable || air.rng.chance(50);
        let drained: Vec<_> = air
            .port(self.at)
            .events
            .extract_if(.., |Due(_, event)| matches!(event, Event::Landed { .. } | Event::Frame(_)))
            .map(|Due(_, event)| event)
            .collect();
        let (frames, mut landed): (Vec<_>, Vec<_>) =
            drained.into_iter().partition(|event| matches!(event, Event::Frame(_)));
        if drop_frames {
            air.port(self.at).arriving -= frames.len();
        } else {
            landed.extend(frames);
        }
        if unreadable {
            air.port(self.at).arriving -= landed.len();
        } else {
            self.report(&mut air, landed, sink);
        }
        Ok(())
    }

    /// As libfabric: that a queue cannot be read does not keep an endpoint from being opened.
    fn open_receiver(&mut self) -> Result<Vec<u8>, NicError> {
        let mut air = self.fabric.air();
        let port = air.port(self.at);
        if port.stubborn > 0 {
            port.stubborn -= 1;
            return Err(self.error("no such device"));
        }
        Ok(port.incarnation.to_le_bytes().to_vec())
    }

    fn redirect(&mut self, peer: PeerNic, card: &[u8]) -> Result<(), NicError> {
        let bytes = card.try_into().map_err(|_| self.error("no card"))?;
        self.known.insert(peer, u32::from_le_bytes(bytes));
        Ok(())
    }
}
