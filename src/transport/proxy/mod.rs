//! The proxy: one thread that owns a PE's NICs, carries out what the caller posts, and applies what arrives.
//!
//! It alone touches the NICs, the policies and the counters, so nothing on the data path needs a lock. Its loop:
//! take commands, hand pieces and frames to the NICs, poll the NICs, publish counters, rest when nothing happened.

mod idle;
mod lane;
mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use idle::Idle;
use lane::{Lane, Out};
use state::State;
pub(super) use state::{PROBE_BYTES, PROBE_TARGET, apply as apply_signal};

use super::fault::Fault;
use super::heap::Heap;
use super::nic::{Nic, PeerNic, Piece};
use super::ring::{Command, Consumer, Put};
use super::select::{Place, PolicyKind, Route, Selector};
use super::signal::Signal;
use super::wire::{Close, Frame, Immediate};
use crate::counters::{NicCounts, PageState, PageWriter, PeCounts, ProcessBlock, RxSource, monotonic_ns};

/// Commands taken before the NICs are polled again.
const COMMANDS_AT_ONCE: usize = 32;

/// Pieces and frames that may wait for the NICs before the proxy stops taking commands.
const MAX_WAITING: usize = 1024;

/// Pieces a shared group may have before it is closed on the way, so that no count can overflow.
const LONG_GROUP: u32 = 1 << 20;

/// How long after a NIC's failure the news of a lost PE may take.
const ECHO: Duration = Duration::from_millis(300);

/// How often an idle proxy shows that it lives.
const HEARTBEAT_NS: u64 = 100_000_000;

/// What the proxy shares with the caller.
#[derive(Debug, Default)]
pub struct Shared {
    quiet_done: AtomicU64,
    snapshot_done: AtomicU64,
    snapshot: Mutex<Totals>,
    resting: AtomicBool,
    thread: OnceLock<Thread>,
    /// Bytes sent and received per NIC, for samplers.
    live: Vec<[AtomicU64; 2]>,
    local_ops: AtomicU64,
    local_bytes: AtomicU64,
    barriers: AtomicU64,
    /// Every PE has said that nothing is under way any more.
    settled: AtomicBool,
}

impl Shared {
    fn new(nics: usize) -> Self {
        Self { live: (0..nics).map(|_| <[AtomicU64; 2]>::default()).collect(), ..Self::default() }
    }

    /// Last quiet ticket that is done.
    #[must_use]
    pub fn quiet_done(&self) -> u64 {
        self.quiet_done.load(Ordering::Acquire)
    }

    /// Last snapshot ticket that is done.
    #[must_use]
    pub fn snapshot_done(&self) -> u64 {
        self.snapshot_done.load(Ordering::Acquire)
    }

    /// The totals of the last snapshot.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Payload bytes (sent, received) of each NIC so far, without disturbing the proxy.
    #[must_use]
    pub fn live_bytes(&self) -> Vec<[u64; 2]> {
        self.live.iter().map(|pair| pair.each_ref().map(|bytes| bytes.load(Ordering::Relaxed))).collect()
    }

    /// A number that changes whenever payload moves through a NIC.
    pub(super) fn moved(&self) -> u64 {
        self.live.iter().flatten().fold(0, |sum, bytes| sum.wrapping_add(bytes.load(Ordering::Relaxed)))
    }

    /// Counts a put to a PE of the same node; only the caller's thread does.
    pub(super) fn count_local(&self, bytes: u64) {
        self.local_ops.fetch_add(1, Ordering::Relaxed);
        self.local_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a barrier; only the caller's thread does.
    pub(super) fn count_barrier(&self) {
        self.barriers.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that no PE has anything under way: from here on NICs can be closed.
    pub(super) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    /// Wakes the proxy if it rests. Called after a command is in the ring.
    pub fn wake(&self) {
        // The fence pairs with the proxy's: either it sees the command, or we see it resting.
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.resting.load(Ordering::Relaxed)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}

/// Everything counted since the proxy began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Per own NIC.
    pub nics: Vec<NicCounts>,
    /// Payload bytes sent to each NIC of each PE.
    pub sent: Vec<Vec<u64>>,
    /// Target completions seen while probing, and how many of them had the right length.
    pub probes: (u64, u64),
}

/// What a proxy is made of.
pub struct Parts<N> {
    /// This PE's number.
    pub me: u32,
    /// NICs of each PE, by PE.
    pub widths: Vec<u16>,
    /// The NICs.
    pub nics: Vec<N>,
    /// Whether immediates have room for lengths.
    pub wide_immediate: bool,
    /// The heap.
    pub heap: Arc<Heap>,
    /// The policy to start with.
    pub policy: PolicyKind,
    /// Commands from the caller.
    pub commands: Consumer,
    /// Where failures go.
    pub fault: Fault,
    /// The counter page, if there is one.
    pub page: Option<PageWriter>,
}

/// The proxy thread's world.
pub struct Proxy<N> {
    lanes: Vec<Lane<N>>,
    state: State,
    commands: Consumer,
    /// A command that found no room; nothing else is taken until it goes.
    stalled: Option<Command>,
    selector: Selector,
    place: Place,
    /// NIC pair last used per destination: flushes travel where the data did.
    last_route: Vec<Route>,
    wide_immediate: bool,
    /// Ticket of the quiet under way.
    quiet: Option<u64>,
    shared: Arc<Shared>,
    fault: Fault,
    page: Option<PageWriter>,
    process: Option<ProcessBlock>,
    counts: PeCounts,
    next_heartbeat: u64,
}

impl<N: Nic> Proxy<N> {
    /// Puts a proxy together; [`Self::run`] runs it.
    #[must_use]
    pub fn new(parts: Parts<N>) -> (Self, Arc<Shared>) {
        let Parts { me, widths, nics, wide_immediate, heap, policy, commands, fault, mut page } = parts;
        let shared = Arc::new(Shared::new(nics.len()));
        let own = u16::try_from(nics.len()).unwrap_or(u16::MAX);
        let place = Place { me, pes: u32::try_from(widths.len()).unwrap_or(u32::MAX), nics: own };
        let process = page.as_mut().and_then(PageWriter::process_block);
        let lanes = (0..)
            .zip(nics)
            .map(|(index, nic)| Lane::new(nic, page.as_mut().and_then(|page| page.nic_block(0, index))))
            .collect();
        let proxy = Self {
            lanes,
            last_route: vec![Route::aligned(0); widths.len()],
            state: State::new(me, &widths, usize::from(own), heap),
            commands,
            stalled: None,
            selector: Selector::new(policy, place),
            place,
            wide_immediate,
            quiet: None,
            shared: Arc::clone(&shared),
            fault,
            page,
            process,
            counts: PeCounts::default(),
            next_heartbeat: 0,
        };
        (proxy, shared)
    }

    /// Works until told to stop or until something fails for good, here or on another PE.
    pub fn run(mut self) {
        let _ = self.shared.thread.set(std::thread::current());
        let mut idle = Idle::new();
        if let Some(page) = &mut self.page {
            page.set_state(PageState::Running);
        }
        loop {
            match self.turn() {
                Ok(Turn::Worked) => idle.reset(),
                Ok(Turn::Idle) => {
                    self.counts.proxy_idle += 1;
                    self.heartbeat();
                    let (shared, commands) = (&self.shared, &self.commands);
                    idle.rest(&shared.resting, || commands.is_empty());
                }
                Ok(Turn::Stop) => break,
                Err(reason) => {
                    // A NIC that fails because a PE is gone is only the echo of that: the rendezvous says so a moment
                    // later, and better. Then the page is taken away; one whose own NIC failed stays to be seen.
                    self.fault.await_reason(ECHO);
                    if let (None, Some(page)) = (self.fault.reason(), &mut self.page) {
                        page.set_state(PageState::Aborted);
                    }
                    self.fault.raise(reason);
                    break;
                }
            }
        }
        self.state.notify();
        self.publish();
        if !self.shared.settled.load(Ordering::Acquire) {
            self.lanes.drain(..).for_each(Lane::abandon);
        }
    }

    /// One round of the loop.
    fn turn(&mut self) -> Result<Turn, String> {
        // The connections of a PE that is gone are not to be touched: see `Lane::abandon`.
        if self.fault.reason().is_some() {
            return Ok(Turn::Stop);
        }
        let mut worked = false;
        self.counts.proxy_loops += 1;
        for _ in 0..COMMANDS_AT_ONCE {
            if self.lanes.iter().map(Lane::waiting).sum::<usize>() >= MAX_WAITING {
                break;
            }
            let Some(command) = self.stalled.take().or_else(|| self.commands.pop()) else { break };
            match self.carry_out(command)? {
                Done::Yes => worked = true,
                Done::NoRoom => {
                    self.stalled = Some(command);
                    break;
                }
                Done::Stop => return Ok(Turn::Stop),
            }
        }
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            worked |= lane.pump(self.place.me).map_err(|error| error.to_string())?;
            worked |= lane.poll(index, &mut self.state).map_err(|error| error.to_string())?;
        }
        if let Some(violation) = self.state.violation.take() {
            return Err(violation);
        }
        worked |= self.send_replies();
        self.settle_quiet();
        if self.state.wake {
            self.state.wake = false;
            self.state.notify();
        }
        if worked {
            self.publish();
        }
        Ok(if worked { Turn::Worked } else { Turn::Idle })
    }

    fn carry_out(&mut self, command: Command) -> Result<Done, String> {
        // A quiet speaks of what was posted before it: what comes behind must not keep it from ending.
        if self.quiet.is_some() && command != Command::Stop {
            return Ok(Done::NoRoom);
        }
        match command {
            Command::Put(put) => return self.put(&put),
            Command::Signal { dst, signal } => {
                if !self.has_room(dst, false)? {
                    return Ok(Done::NoRoom);
                }
                let Ok(seq) = self.state.outbound(dst)?.start() else { return Ok(Done::NoRoom) };
                self.close(dst, Route::aligned(0), Close::signal(seq, 0, signal));
            }
            Command::Probe { dst, nic, remote, signal } => {
                let Ok(seq) = self.state.outbound(dst)?.start() else { return Ok(Done::NoRoom) };
                let put =
                    Put { dst, local: state::PROBE_SOURCE, remote, len: state::PROBE_BYTES, signal: None };
                let route = Route { local: nic, remote: self.state.rail_of(dst, nic) };
                self.pieces(&put, route, seq);
                self.close(dst, route, Close::signal(seq, 1, signal));
            }
            Command::Quiet(ticket) => {
                self.counts.quiets += 1;
                self.quiet = Some(ticket);
                for dst in 0..self.place.pes {
                    self.close_plain(dst, true)?;
                }
            }
            Command::Snapshot(ticket) => {
                let nics = self
                    .lanes
                    .iter()
                    .enumerate()
                    .map(|(index, lane)| lane.counts(self.state.received(index)));
                let totals =
                    Totals { nics: nics.collect(), sent: self.state.sent.clone(), probes: self.state.probes };
                *self.shared.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = totals;
                self.shared.snapshot_done.store(ticket, Ordering::Release);
                self.state.wake = true;
            }
            Command::SetPolicy(kind) => {
                self.selector = Selector::new(kind, self.place);
                if let Some(page) = &mut self.page {
                    page.set_policy(kind.name());
                }
            }
            Command::SetRxSource { source, ledger } => {
                self.start_counting(source, ledger);
            }
            Command::Stop => return Ok(Done::Stop),
        }
        Ok(Done::Yes)
    }

    /// Ends the probing: from here on bytes count, all from zero.
    fn start_counting(&mut self, source: RxSource, ledger: bool) {
        self.state.start_counting(source, ledger);
        for lane in &mut self.lanes {
            lane.forget();
        }
        if let Some(page) = &mut self.page {
            page.set_rx_source(source);
        }
    }

    fn put(&mut self, put: &Put) -> Result<Done, String> {
        if !self.has_room(put.dst, put.signal.is_none())? {
            return Ok(Done::NoRoom);
        }
        let route = self.selector.next(put.dst);
        let route = Route { local: route.local, remote: self.state.rail_of(put.dst, route.remote) };
        if let Some(slot) = self.last_route.get_mut(put.dst as usize) {
            *slot = route;
        }
        match put.signal {
            Some(signal) => {
                let Ok(seq) = self.state.outbound(put.dst)?.start() else { return Ok(Done::NoRoom) };
                let pieces = self.pieces(put, route, seq);
                let mut close = Close::signal(seq, pieces, signal);
                if self.state.ledger && put.len > 0 {
                    close.ledger = vec![0; usize::from(route.remote) + 1];
                    if let Some(bytes) = close.ledger.last_mut() {
                        *bytes = put.len;
                    }
                }
                self.close(put.dst, route, close);
            }
            None if put.len == 0 => {}
            None => self.plain(put, route)?,
        }
        Ok(Done::Yes)
    }

    /// Whether a group towards `dst` can be started (or, for a plain put, the shared one be continued). A full window
    /// never empties while the shared group in it stays open, so that one is closed then.
    fn has_room(&mut self, dst: u32, plain: bool) -> Result<bool, String> {
        let room = self.state.outbound(dst)?.has_room_for(plain);
        if !room {
            self.close_plain(dst, false)?;
        }
        Ok(room)
    }

    /// Closes the group that plain puts to `dst` share, if there is one.
    fn close_plain(&mut self, dst: u32, flush: bool) -> Result<(), String> {
        if let Some(close) = self.state.outbound(dst)?.close_open(flush) {
            let route = self.last_route.get(dst as usize).copied().unwrap_or(Route::aligned(0));
            self.close(dst, route, close);
        }
        Ok(())
    }

    /// A put without a signal: its pieces join the group that plain puts share.
    fn plain(&mut self, put: &Put, route: Route) -> Result<(), String> {
        let pieces = put.len.div_ceil(self.max_piece(route.local));
        let ledger = self.state.ledger;
        let outbound = self.state.outbound(put.dst)?;
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        let Ok(seq) = outbound.add_pieces(pieces, route.remote, put.len, ledger) else {
            return Err("a group ran over although there was room".into());
        };
        let long = outbound.open_pieces() >= LONG_GROUP;
        self.pieces(put, route, seq);
        if long {
            self.close_plain(put.dst, false)?;
        }
        Ok(())
    }

    fn max_piece(&self, nic: u16) -> u64 {
        self.lanes.get(usize::from(nic)).map_or(1, lane::Lane::max_piece)
    }

    /// Queues a put's pieces on its NIC and counts the bytes towards the target's NIC. Returns how many pieces.
    fn pieces(&mut self, put: &Put, route: Route, seq: u64) -> u32 {
        let max = self.max_piece(route.local);
        let Some(lane) = self.lanes.get_mut(usize::from(route.local)) else { return 0 };
        let to = PeerNic { pe: put.dst, nic: route.remote };
        let (mut offset, mut pieces) = (0, 0);
        while offset < put.len {
            let len = max.min(put.len - offset);
            let hint = if self.wide_immediate { u32::try_from(len).unwrap_or(0) } else { 0 };
            #[expect(clippy::cast_possible_truncation, reason = "the wire carries 16 bits of each")]
            let immediate = Immediate { src: self.place.me as u16, group: seq as u16, len: hint }.pack();
            lane.push(Out::Piece(Piece {
                to,
                local: put.local + offset,
                remote: put.remote + offset,
                len,
                immediate,
            }));
            offset += len;
            pieces += 1;
        }
        self.state.count_sent(put.dst, route.remote, put.len);
        pieces
    }

    /// Queues the close of a group.
    fn close(&mut self, dst: u32, route: Route, close: Close) {
        let to = PeerNic { pe: dst, nic: self.state.rail_of(dst, route.remote) };
        if let Some(lane) = self.lanes.get_mut(usize::from(route.local)) {
            lane.push(Out::Frame(to, Frame::Close(close)));
        }
    }

    /// Queues the acknowledgements that arrivals have made due.
    fn send_replies(&mut self) -> bool {
        let mut any = false;
        for (nic, pe, low) in self.state.take_replies() {
            let to = PeerNic { pe, nic: self.state.rail_of(pe, u16::try_from(nic).unwrap_or(0)) };
            if let Some(lane) = self.lanes.get_mut(nic) {
                lane.push_first(Out::Frame(to, Frame::Ack { low }));
                any = true;
            }
        }
        // What is still owed is due in the next turn: not the moment to rest.
        any || self.state.owes()
    }

    /// Reports a quiet done when everything is settled.
    fn settle_quiet(&mut self) {
        let Some(ticket) = self.quiet else { return };
        // Landed there and completed here: only then may sources be reused and do both sides' counters agree.
        if self.state.is_settled() && self.lanes.iter().all(Lane::is_settled) {
            self.quiet = None;
            self.shared.quiet_done.store(ticket, Ordering::Release);
            self.state.wake = true;
        }
    }

    fn publish(&mut self) {
        let now = monotonic_ns();
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            let received = self.state.received(index);
            if let (Some(counts), Some([tx, rx])) = (lane.publish(now, received), self.shared.live.get(index))
            {
                tx.store(counts.tx_done_bytes, Ordering::Relaxed);
                rx.store(counts.rx_bytes, Ordering::Relaxed);
            }
        }
        if now >= self.next_heartbeat {
            self.beat(now);
        }
    }

    fn heartbeat(&mut self) {
        let now = monotonic_ns();
        if now >= self.next_heartbeat {
            self.publish();
        }
    }

    fn beat(&mut self, now: u64) {
        self.next_heartbeat = now + HEARTBEAT_NS;
        self.counts.local_ops = self.shared.local_ops.load(Ordering::Relaxed);
        self.counts.local_bytes = self.shared.local_bytes.load(Ordering::Relaxed);
        self.counts.barriers = self.shared.barriers.load(Ordering::Relaxed);
        if let Some(process) = &mut self.process {
            process.publish(now, &self.counts);
        }
    }
}

enum Turn {
    Worked,
    Idle,
    Stop,
}

enum Done {
    Yes,
    NoRoom,
    Stop,
}

impl Close {
    /// The close of a group with a signal.
    fn signal(seq: u64, pieces: u32, signal: Signal) -> Self {
        Self { seq, pieces, signal: Some(signal), flush: false, ledger: Vec::new() }
    }
}

#[cfg(test)]
mod tests;
