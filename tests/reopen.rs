//! Fencing a NIC over real libfabric: two NICs on loopback, traffic between them, and the receiving one reopened in the
//! middle of it. `RAILTOP_LIBFABRIC` and `RAILTOP_TEST_PROVIDERS` pick library and providers as in `transport.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "support/providers.rs"]
mod providers;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use libfabric_sys::Libfabric;
use providers::providers;
use railtop::transport::fabric::{FabricNic, JobNics, Share, discover};
use railtop::transport::heap::Heap;
use railtop::transport::nic::{Failed, Nic, NicError, PeerNic, Piece, Posted, Sink};
use railtop::transport::wire::MAX_FRAME_BYTES;

/// Only a test that has failed waits so long.
const LIMIT: Duration = Duration::from_secs(240);

/// Held by tests that open descriptors and memory; alone by the one that counts what the process has of them.
static COUNTED: RwLock<()> = RwLock::new(());

fn uncounted() -> RwLockReadGuard<'static, ()> {
    COUNTED.read().unwrap_or_else(PoisonError::into_inner)
}

const HEAP: u64 = 8 << 20;
const BLOCK: u64 = 1 << 20;

/// What a NIC has reported.
#[derive(Default)]
struct Seen {
    done: u64,
    failed: Vec<Failed>,
    landed: Vec<u64>,
    frames: Vec<Vec<u8>>,
    receives_failed: u64,
}

impl Sink for Seen {
    fn piece_done(&mut self, _: PeerNic, _: u64) {
        self.done += 1;
    }

    fn frame_done(&mut self, _: PeerNic) {
        self.done += 1;
    }

    fn failed(&mut self, failed: Failed) {
        self.failed.push(failed);
    }

    fn landed(&mut self, immediate: u64, _: u64) {
        self.landed.push(immediate);
    }

    fn frame(&mut self, bytes: &[u8]) {
        self.frames.push(bytes.to_vec());
    }

    fn receive_failed(&mut self) {
        self.receives_failed += 1;
    }
}

/// A NIC of one PE and what it has reported.
struct End {
    nic: FabricNic,
    heap: Arc<Heap>,
    seen: Seen,
    posted: u64,
    peer: PeerNic,
}

impl End {
    fn reopen(&mut self) -> Result<Vec<u8>, NicError> {
        self.nic.close_receiver(&mut self.seen)?;
        self.nic.open_receiver()
    }

    fn poll(&mut self) {
        self.nic.poll(&mut self.seen).unwrap();
    }

    /// Puts a block whose words are all `value`, landing at offset 4 MiB with the immediate `value`.
    fn put(&mut self, len: u64, value: u64) -> Posted {
        let piece = Piece { to: self.peer, local: 1 << 20, remote: 4 << 20, len, immediate: value };
        let posted = self.nic.put(&piece).unwrap();
        self.posted += u64::from(posted == Posted::Yes);
        posted
    }

    fn ended(&self) -> u64 {
        self.seen.done + self.seen.failed.len() as u64
    }

    fn fill(&self, offset: u64, value: u64) {
        for word in self.heap.words(offset, BLOCK / 8).unwrap() {
            word.store(value, Ordering::Relaxed);
        }
    }

    fn is_full_of(&self, offset: u64, value: u64) -> bool {
        self.heap.words(offset, BLOCK / 8).unwrap().iter().all(|word| word.load(Ordering::Acquire) == value)
    }
}

/// PE 0 and PE 1, of one NIC each.
struct Pair {
    a: End,
    b: End,
}

impl Pair {
    /// Of a job in which failed NICs can be gone round.
    fn open(provider: &str) -> Self {
        Self::of(provider, true)
    }

    fn of(provider: &str, has_choice: bool) -> Self {
        /// Loopback addresses of this file: not those that `support::Job` uses.
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let lib = Arc::new(Libfabric::load().unwrap());
        let job = JobNics { writers: 1, has_choice };
        let net = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut ends: Vec<_> = (0..2_u8)
            .map(|pe| {
                let request = providers::nic(provider, 199 + net, u32::from(pe), 1);
                let info = discover(&lib, Some(provider), &[request], Share::Alone, false).unwrap().remove(0);
                let heap = Arc::new(Heap::create(HEAP).unwrap());
                let nic = FabricNic::open(&lib, info, &format!("nic{pe}"), &heap, None, &job).unwrap();
                let peer = PeerNic { pe: 1 - u32::from(pe), nic: 0 };
                End { nic, heap, seen: Seen::default(), posted: 0, peer }
            })
            .collect();
        let cards: Vec<_> = ends.iter().map(|end| vec![end.nic.card().clone()]).collect();
        for end in &mut ends {
            end.nic.connect(&cards).unwrap();
        }
        let b = ends.pop().unwrap();
        Self { a: ends.pop().unwrap(), b }
    }

    fn poll(&mut self) {
        self.a.poll();
        self.b.poll();
    }

    /// Polls both until something holds.
    fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            self.poll();
            assert!(start.elapsed() < LIMIT, "{what} does not happen");
        }
    }

    /// Reopens B's NIC and tells A.
    fn reopen(&mut self) {
        let card = self.b.reopen().unwrap();
        assert!(card.len() <= 400);
        self.a.nic.redirect(self.a.peer, &card).unwrap();
    }
}

/// The providers here whose endpoints can be closed in mid-traffic; says so for the others.
fn reopenable() -> Vec<String> {
    let (can, cannot): (Vec<_>, Vec<_>) =
        providers().into_iter().partition(|provider| Pair::open(provider).a.nic.can_reopen());
    for provider in cannot {
        let mut pair = Pair::open(&provider);
        let error = pair.b.reopen().unwrap_err().to_string();
        assert!(error.contains(&provider), "{error}");
    }
    can
}

/// Once the receiver is closed, nothing lands that was posted before, however much of it is under way, and everything
/// posted ends.
#[test]
fn nothing_lands_behind_the_fence() {
    let _others = uncounted();
    for provider in reopenable() {
        for polls in [0, 1, 3, 10, 100] {
            let mut pair = Pair::open(&provider);
            pair.a.fill(BLOCK, 7);
            pair.until("the first put", |pair| {
                if pair.a.posted == 0 {
                    pair.a.put(BLOCK, 7);
                }
                pair.b.seen.landed.len() == 1
            });
            while pair.a.put(BLOCK, 7) == Posted::Yes {}
            for _ in 0..polls {
                pair.poll();
            }
            let card = pair.b.reopen().unwrap();
            let landed = pair.b.seen.landed.len();
            pair.b.fill(4 << 20, 0);
            pair.until("the end of what was under way", |pair| pair.a.ended() == pair.a.posted);
            assert!(pair.b.is_full_of(4 << 20, 0), "{provider}: something landed after the fence");
            assert_eq!(pair.b.seen.landed.len(), landed, "{provider}: {polls} polls");
            assert!((landed as u64) < pair.a.posted, "{provider}: nothing was under way after {polls} polls");
            assert!(pair.a.seen.failed.iter().all(|failed| failed.bytes == Some(BLOCK)));
            assert_eq!(pair.a.nic.held().operations, 0);

            pair.a.nic.redirect(pair.a.peer, &card).unwrap();
            pair.a.fill(BLOCK, 8);
            pair.until("a put after the redirection", |pair| pair.a.put(BLOCK, 8) == Posted::Yes);
            pair.until("its landing", |pair| pair.b.seen.landed.len() > landed);
            assert!(pair.b.is_full_of(4 << 20, 8), "{provider}");
        }
    }
}

/// A redirection alone ends what is under way to the old address: the sender need not wait for the provider.
#[test]
fn a_redirection_gives_up_what_was_under_way() {
    let _others = uncounted();
    for provider in reopenable() {
        let mut pair = Pair::open(&provider);
        pair.until("the first put", |pair| pair.a.put(BLOCK, 7) == Posted::Yes);
        while pair.a.put(BLOCK, 7) == Posted::Yes {}
        pair.reopen();
        pair.a.poll();
        assert_eq!(pair.a.ended(), pair.a.posted, "{provider}");
        assert!(!pair.a.seen.failed.is_empty());
        // There is room for as much again at once.
        let before = pair.a.posted;
        let limit = pair.a.nic.limits().max_in_flight;
        pair.until("as much again", |pair| {
            while pair.a.put(64, 7) == Posted::Yes {}
            pair.a.posted - before >= limit
        });
        pair.until("its end", |pair| pair.a.ended() == pair.a.posted && pair.a.nic.held().operations == 0);
    }
}

/// Where no NIC can be gone round each has one endpoint; both sides may be the first to send.
#[test]
fn one_endpoint_serves_both_directions_where_nothing_can_be_gone_round() {
    let _others = uncounted();
    for provider in reopenable() {
        for _ in 0..10 {
            let mut pair = Pair::of(&provider, false);
            assert!(!pair.a.nic.can_reopen());
            assert_eq!(pair.a.nic.card().name, pair.a.nic.card().sender, "{provider}");
            for (end, value) in [(&mut pair.a, 7), (&mut pair.b, 8)] {
                end.fill(1 << 20, value);
                end.put(BLOCK, value);
            }
            pair.until("a put from each side", |pair| {
                for (end, value) in [(&mut pair.a, 7), (&mut pair.b, 8)] {
                    if end.posted == 0 {
                        end.put(BLOCK, value);
                    }
                }
                pair.a.seen.landed == [8] && pair.b.seen.landed == [7]
            });
            assert!(pair.a.is_full_of(4 << 20, 8) && pair.b.is_full_of(4 << 20, 7), "{provider}");
            pair.until("the end of both", |pair| pair.a.ended() == 1 && pair.b.ended() == 1);
            assert!(pair.a.seen.failed.is_empty() && pair.b.seen.failed.is_empty(), "{provider}");
            let error = pair.b.reopen().unwrap_err().to_string();
            assert!(error.contains(&provider), "{error}");
            // More than there are receives.
            for round in 0..300_u64 {
                let frame = round.to_le_bytes();
                pair.until("sending", |pair| pair.a.nic.send(pair.a.peer, &frame).unwrap() != Posted::Full);
                pair.until("sending", |pair| pair.b.nic.send(pair.b.peer, &frame).unwrap() != Posted::Full);
                pair.until("a frame each way", |pair| {
                    [&pair.a, &pair.b]
                        .iter()
                        .all(|end| end.seen.frames.last().is_some_and(|last| *last == frame))
                });
            }
        }
    }
}

/// Control frames of any length pass before and after.
#[test]
fn frames_find_the_new_address() {
    let _others = uncounted();
    for provider in reopenable() {
        let mut pair = Pair::open(&provider);
        for round in 0..3_u8 {
            for len in [1, 40, MAX_FRAME_BYTES] {
                let frame = vec![round; len];
                pair.b.seen.frames.clear();
                pair.until("sending", |pair| pair.a.nic.send(pair.a.peer, &frame).unwrap() != Posted::Full);
                pair.until("a frame", |pair| !pair.b.seen.frames.is_empty());
                assert_eq!(pair.b.seen.frames, [frame], "{provider}");
            }
            pair.reopen();
        }
        assert_eq!(pair.b.seen.receives_failed, 0, "{provider}: what closing flushes has not failed");
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Two hundred reopenings under traffic in both directions: what the reopening NIC sends never fails, and neither
/// descriptors nor memory nor slots nor addresses pile up.
fn many_reopenings(provider: &str) {
    const WARM: u32 = 40;
    let mut pair = Pair::open(provider);
    let mut level = (0, 0);
    for cycle in 0..WARM + 200 {
        if cycle == WARM {
            level = (descriptors(), resident_bytes());
        }
        let (a_before, b_before) = (pair.a.seen.done, pair.b.seen.done);
        pair.until("traffic", |pair| {
            pair.a.put(64 << 10, 1);
            pair.b.put(64 << 10, 2);
            let _ = pair.a.nic.send(pair.a.peer, &[3; 200]).unwrap();
            pair.a.seen.done > a_before + 20 && pair.b.seen.done > b_before + 20
        });
        pair.reopen();
        pair.a.seen.failed.clear();
        pair.b.seen.frames.clear();
        pair.b.seen.landed.clear();
        pair.a.seen.landed.clear();
        assert!(pair.b.seen.failed.is_empty(), "{provider}: {:?}", pair.b.seen.failed);
    }
    let end = (descriptors(), resident_bytes());
    assert!(end.0 <= level.0 + 4, "{provider}: {} descriptors became {}", level.0, end.0);
    assert!(end.1 <= level.1 + (4 << 20), "{provider}: {} resident bytes became {}", level.1, end.1);
    pair.until("the end of all operations", |pair| {
        pair.a.nic.held().operations == 0 && pair.b.nic.held().operations == 0
    });
    assert_eq!(pair.a.nic.held(), pair.b.nic.held(), "{provider}");
    assert_eq!(pair.a.nic.held().ways, 2, "{provider}");
}

/// A connection that was accepted and never said a word must not be followed into the freed endpoint.
fn half_open_connections(provider: &str) {
    let mut pair = Pair::open(provider);
    for _ in 0..20 {
        let name = pair.b.nic.card().name.clone();
        let port = u16::from_be_bytes([name[2], name[3]]);
        let address = SocketAddrV4::new(Ipv4Addr::new(name[4], name[5], name[6], name[7]), port);
        let mut silent = TcpStream::connect(address).unwrap();
        silent.set_read_timeout(Some(LIMIT)).unwrap();
        (0..100).for_each(|_| pair.poll());
        pair.reopen();
        // A closed connection answers with its end or a reset, an open one with nothing.
        match silent.read(&mut [0; 64]) {
            Ok(bytes) => assert_eq!(bytes, 0, "{provider}"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{provider}"),
        }
        let _ = silent.write_all(&[1; 64]);
        drop(silent);
        let landed = pair.b.seen.landed.len();
        pair.until("traffic", |pair| {
            pair.a.put(64, 1);
            pair.b.seen.landed.len() > landed
        });
    }
}

/// In one test and alone, since they count what the whole process has.
#[test]
fn reopening_leaves_nothing_behind() {
    let _alone = COUNTED.write().unwrap_or_else(PoisonError::into_inner);
    let mut run = false;
    for provider in reopenable() {
        if provider != "verbs;ofi_rxm" {
            half_open_connections(&provider);
        }
        many_reopenings(&provider);
        run = true;
    }
    assert!(run || providers().is_empty());
}
