//! The proxy: it owns a PE's NICs, carries out what the caller posts, and applies what arrives.
//!
//! It alone touches the NICs, the policies and the counters, so nothing within it needs a lock. A turn: take commands,
//! hand pieces and frames to the NICs, poll the NICs, publish counters. Who takes the turns, and rests when nothing
//! happened, is the [`Driver`]'s matter: a thread, or a caller that waits.

mod clock;
mod driver;
mod idle;
mod lane;
mod posted;
mod recovery;
mod send;
mod shared;
mod sleeper;
mod state;
mod ways;

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub use clock::Clock;
pub use driver::{Drive, Driver};
pub use idle::{Idle, Progress, Rest};
use lane::{Lane, Outcome};
use posted::Posted;
use recovery::Recovery;
pub use shared::{Shared, Totals};
use state::State;
pub(super) use state::{PROBE_BYTES, PROBE_TARGET};
use ways::Ways;

use super::answers::NOBODY;
use super::atomic::Atomic;
use super::fault::Fault;
use super::gpu::Rings;
use super::heap::Heap;
use super::nic::Nic;
use super::ring::{Command, Consumer};
use super::select::{Place, PolicyKind, Route, Selector};
use super::wire::{Action, MAX_INLINE, Record};
use crate::counters::{PageState, PageWriter, PeCounts, ProcessBlock, RxSource};

/// Commands taken before the NICs are polled again.
const COMMANDS_AT_ONCE: usize = 64;

/// Bytes that are copied on this node for a GPU before the NICs are polled again.
const KEPT_AT_ONCE: u64 = 1 << 20;

/// Pieces and frames that may wait for the NICs before the proxy stops taking commands.
const MAX_WAITING: usize = 1024;

/// Bytes that wait or are in flight per NIC from which on least-loaded chooses no more.
const LADEN: u64 = 1 << 20;

/// Pieces a shared group may have before it is closed on the way, so that the memory of what was sent stays bounded.
const LONG_GROUP: u32 = 64;

/// How often an idle proxy shows that it lives.
const HEARTBEAT_NS: u64 = 100_000_000;

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
    /// Puts of at most this many bytes travel within a frame; at most [`MAX_INLINE`].
    pub inline_max: u64,
    /// The policy to start with.
    pub policy: PolicyKind,
    /// Commands from the caller.
    pub commands: Consumer,
    /// Where failures go.
    pub fault: Fault,
    /// The counter page, if there is one.
    pub page: Option<PageWriter>,
    /// Where the time comes from.
    pub clock: Clock,
    /// After how long without any sign a NIC is suspected of having failed; 0: only when it says so.
    pub nic_timeout: Duration,
    /// What to do when there is nothing to do.
    pub progress: Progress,
}

/// The proxy's world.
pub struct Proxy<N> {
    lanes: Vec<Lane<N>>,
    state: State,
    heap: Arc<Heap>,
    commands: Consumer,
    /// What a GPU posts.
    rings: Rings,
    /// A command that found no room; nothing else is taken until it goes.
    stalled: Option<Command>,
    selector: Selector,
    /// The same policy for signals, atomics and acknowledgements.
    control: Selector,
    place: Place,
    ways: Ways,
    recovery: Recovery,
    /// NIC pair last used per destination: flushes travel where the data did.
    last_routes: Vec<Route>,
    wide_immediate: bool,
    /// Puts of at most this many bytes travel within a frame.
    inline_max: u64,
    /// The quiet under way: its ticket, and the PE it is about or all.
    quiet: Option<Quiet>,
    shared: Arc<Shared>,
    fault: Fault,
    page: Option<PageWriter>,
    process: Option<ProcessBlock>,
    counts: PeCounts,
    next_heartbeat: u64,
    /// Nothing may be sent any more.
    hushed: bool,
    clock: Clock,
    /// The clock, once a turn.
    now_ns: u64,
    now_ms: u64,
    progress: Progress,
    /// Used again every turn.
    loads: Vec<u64>,
    acks: Vec<(u32, u64)>,
    outcome: Outcome,
    /// The bytes of a small put on their way from the heap into a frame.
    small: Vec<u8>,
}

impl<N: Nic> Proxy<N> {
    /// Puts a proxy together; a [`Driver`] runs it.
    #[must_use]
    pub fn new(parts: Parts<N>) -> (Self, Arc<Shared>) {
        let Parts { me, widths, nics, wide_immediate, heap, policy, commands, fault, mut page, .. } = parts;
        let shared = Arc::new(Shared::new(nics.len()));
        let own = nics.len();
        let place = Place {
            me,
            pes: u32::try_from(widths.len()).unwrap_or(u32::MAX),
            nics: u16::try_from(own).unwrap_or(u16::MAX),
        };
        let process = page.as_mut().and_then(PageWriter::process_block);
        let able = nics.iter().all(Nic::can_reopen);
        let lanes = (0..)
            .zip(nics)
            .map(|(index, nic)| {
                let block = page.as_mut().and_then(|page| page.nic_block(0, index));
                Lane::new(nic, me, index, widths.len(), block)
            })
            .collect();
        let patience_ms = u64::try_from(parts.nic_timeout.as_millis()).unwrap_or(u64::MAX);
        let proxy = Self {
            lanes,
            last_routes: vec![Route::aligned(0); widths.len()],
            state: State::new(me, &widths, own, Arc::clone(&heap), Arc::clone(&shared.answers)),
            heap,
            commands,
            rings: Rings::default(),
            stalled: None,
            selector: Selector::new(policy, place),
            control: Selector::new(policy, place),
            place,
            ways: Ways::new(me, &widths, own),
            recovery: Recovery::new(widths.len(), own, patience_ms, able),
            wide_immediate,
            inline_max: parts.inline_max.min(MAX_INLINE as u64),
            quiet: None,
            shared: Arc::clone(&shared),
            fault,
            page,
            process,
            counts: PeCounts::default(),
            next_heartbeat: 0,
            hushed: false,
            now_ns: 0,
            now_ms: 0,
            clock: parts.clock,
            progress: parts.progress,
            loads: Vec::with_capacity(own),
            acks: Vec::new(),
            outcome: Outcome::default(),
            small: vec![0; MAX_INLINE],
        };
        (proxy, shared)
    }

    /// One round: commands, NICs, acknowledgements, counters. [`Driver`] goes on with it; tests do so by hand.
    ///
    /// # Errors
    /// When something has failed for good.
    pub fn turn(&mut self) -> Result<Turn, String> {
        // The connections of a PE that is gone are not to be touched: see `Lane::abandon`.
        if self.fault.reason().is_some() {
            return Ok(Turn::Stop);
        }
        self.now_ns = self.clock.now_ns();
        self.now_ms = self.now_ns / 1_000_000;
        self.counts.proxy_loops += 1;
        let Some(mut worked) = self.take_commands()? else { return Ok(Turn::Stop) };
        worked |= self.move_lanes()?;
        if !self.hushed {
            worked |= !self.state.news.is_empty();
            self.hear_news()?;
            worked |= self.serve()?;
            worked |= self.send_acks();
            self.look_after_ways()?;
            self.settle_quiet();
        }
        if self.state.wake {
            self.state.wake = false;
            self.state.notify();
        }
        if worked {
            self.publish();
            return Ok(Turn::Worked);
        }
        self.counts.proxy_idle += 1;
        if self.now_ns >= self.next_heartbeat {
            self.publish();
        }
        Ok(Turn::Idle)
    }

    /// Whether anything waits to be posted, answered or completed here. Acknowledgements that may wait a little do not count.
    fn has_work(&self) -> bool {
        !self.commands.is_empty()
            || !self.rings.is_empty()
            || self.stalled.is_some()
            || self.quiet.is_some()
            || !self.state.requests.is_empty()
            || self.lanes.iter().any(Lane::has_work)
    }

    /// From here on nothing is sent. Every PE has all it needs, and is about to close its NICs: shared memory, for one, is
    /// gone then, and who still wrote to it would die of that.
    fn hush(&mut self) {
        self.hushed = true;
    }

    /// Says that the proxy works from now on.
    fn begin(&mut self) {
        if let Some(page) = &mut self.page {
            page.set_state(PageState::Running);
        }
    }

    /// Ends the job with this reason, unless there is a better one. Then the page will be taken away; that of a PE whose own
    /// NIC failed stays to be seen.
    fn fail(&mut self, reason: String) {
        if let (None, Some(page)) = (self.fault.reason(), &mut self.page) {
            page.set_state(PageState::Aborted);
        }
        self.fault.raise(reason);
    }

    /// Says what is to be said at the end, and closes the NICs that can be closed.
    fn wind_up(&mut self) {
        self.state.notify();
        self.publish();
        let settled = self.shared.settled.load(Ordering::Acquire);
        self.lanes.drain(..).filter(|lane| !settled || lane.is_busy()).for_each(Lane::abandon);
        // The page goes when nobody writes it any more, or stays to say how it ended.
        (self.process, self.page) = (None, None);
    }

    /// Carries out what the caller has posted; `None` when it was told to stop.
    fn take_commands(&mut self) -> Result<Option<bool>, String> {
        let mut worked = false;
        let mut kept = 0;
        let mut waiting: usize = self.lanes.iter().map(Lane::waiting).sum();
        for _ in 0..COMMANDS_AT_ONCE {
            if waiting >= MAX_WAITING || self.selector.reads_load() && self.are_lanes_laden() {
                break;
            }
            let command = match self.stalled.take().or_else(|| self.commands.pop()) {
                Some(command) => command,
                None => match self.posted()? {
                    Posted::Nothing => break,
                    Posted::Kept(bytes) => {
                        worked = true;
                        kept += bytes;
                        if kept >= KEPT_AT_ONCE {
                            break;
                        }
                        continue;
                    }
                    Posted::Command(command) => command,
                },
            };
            match self.carry_out(command)? {
                Done::Yes => worked = true,
                Done::NoRoom => {
                    self.stalled = Some(command);
                    break;
                }
                Done::Stop => return Ok(None),
            }
            // A command of many pieces is the last of its turn.
            waiting += 1;
            if matches!(command, Command::Put(put) if put.len > self.inline_max) {
                waiting = self.lanes.iter().map(Lane::waiting).sum();
            }
        }
        Ok(Some(worked))
    }

    /// Whether NICs have so much to do that a policy which looks at that had better choose later: what is chosen before
    /// anything has moved can only be spread evenly.
    fn are_lanes_laden(&self) -> bool {
        let laden: u64 = self.lanes.iter().map(Lane::load).sum();
        laden >= LADEN * self.lanes.len() as u64
    }

    /// Lets every NIC post and poll.
    fn move_lanes(&mut self) -> Result<bool, String> {
        let mut outcome = std::mem::take(&mut self.outcome);
        let mut worked = false;
        for index in 0..self.lanes.len() {
            let (Some(lane), Ok(nic)) = (self.lanes.get_mut(index), u16::try_from(index)) else { continue };
            outcome.worked = false;
            if !self.hushed {
                lane.pump(self.now_ms, &mut outcome);
            }
            lane.poll(nic, &mut self.state, self.now_ms, &mut outcome);
            worked |= outcome.worked;
            if self.hushed {
                // The other side has closed its NIC, as this one is about to.
                outcome.failed.clear();
                outcome.broken = None;
            }
            for failed in outcome.failed.drain(..) {
                self.operation_failed(nic, failed)?;
            }
            if let Some(error) = outcome.broken.take() {
                self.nic_broke(nic, &error)?;
            }
        }
        self.outcome = outcome;
        match self.state.violation.take() {
            Some(violation) => Err(violation),
            None => Ok(worked),
        }
    }

    fn carry_out(&mut self, command: Command) -> Result<Done, String> {
        // A quiet speaks of what was posted before it: what comes behind must not keep it from ending.
        if self.quiet.is_some() && command != Command::Stop {
            return Ok(Done::NoRoom);
        }
        match command {
            Command::Put(put) => return self.put(&put),
            Command::Signal { dst, signal } => return self.bare(dst, Action::Change(Atomic::from(signal))),
            Command::Atomic { dst, atomic, tag } => {
                let action = match tag {
                    None => Action::Change(atomic),
                    Some(tag) => Action::Fetch { atomic, tag },
                };
                return self.ask(dst, action, tag.is_some());
            }
            Command::Get { src, remote, local, len, tag } => {
                return self.ask(src, Action::Get { remote, local, len, tag: tag.unwrap_or(NOBODY) }, true);
            }
            Command::Probe { dst, nic, remote, signal } => {
                return self.probe(dst, nic, remote, Action::Change(Atomic::from(signal)));
            }
            Command::Quiet { ticket, pe } => self.begin_quiet(Asker::Caller { ticket }, pe)?,
            Command::RingQuiet { ring, posted } => self.begin_quiet(Asker::Ring { ring, posted }, None)?,
            Command::Fence => {
                self.close_all_plain(None, true)?;
                for dst in 0..self.place.pes {
                    self.state.outbound(dst)?.fence();
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
                self.control = Selector::new(kind, self.place);
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

    fn begin_quiet(&mut self, asker: Asker, pe: Option<u32>) -> Result<(), String> {
        self.counts.quiets += 1;
        self.close_all_plain(pe, true)?;
        let groups = self.state.sent_so_far();
        let pieces = self.lanes.iter().map(Lane::pushed_pieces).collect();
        self.quiet = Some(Quiet { asker, pe, groups, pieces });
        Ok(())
    }

    /// Takes commands from a GPU's rings from now on, too; `false` while others are in use.
    fn attach(&mut self, rings: Rings) -> bool {
        let asked = self.quiet.as_ref().is_some_and(|quiet| matches!(quiet.asker, Asker::Ring { .. }));
        let free = self.rings.is_empty() && self.stalled.is_none() && !asked;
        if free {
            self.rings = rings;
        }
        free
    }

    /// A group that is nothing but its action, and may be answered.
    fn ask(&mut self, dst: u32, action: Action, answered: bool) -> Result<Done, String> {
        if answered && !self.state.may_ask(dst) {
            return Ok(Done::NoRoom);
        }
        let done = self.bare(dst, action)?;
        if answered && matches!(done, Done::Yes) {
            self.state.count_asked(dst);
        }
        Ok(done)
    }

    /// Closes the groups that plain puts share, towards one PE or all.
    fn close_all_plain(&mut self, pe: Option<u32>, flush: bool) -> Result<(), String> {
        match pe {
            Some(pe) => self.close_plain(pe, flush),
            None => (0..self.place.pes).try_for_each(|dst| self.close_plain(dst, flush)),
        }
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

    /// Queues the acknowledgements that arrivals have made due.
    fn send_acks(&mut self) -> bool {
        let mut acks = std::mem::take(&mut self.acks);
        self.state.take_acks(self.now_ns, &mut acks);
        let any = !acks.is_empty();
        for (pe, low) in acks.drain(..) {
            let route = self.control_route(pe);
            self.urgent(pe, route, &Record::Ack { low });
        }
        self.acks = acks;
        // What is still owed is due in the next turn: not the moment to rest.
        any || self.state.owes()
    }

    /// Reports a quiet done when everything is settled.
    fn settle_quiet(&mut self) {
        let Some(Quiet { asker, pe, groups, pieces }) = &self.quiet else { return };
        let asker = *asker;
        // What other PEs get here meanwhile does not count: it may have no end.
        let settled = match *pe {
            Some(pe) => self.state.is_settled_with(pe, groups.get(pe as usize).copied().unwrap_or(0)),
            // Landed there and completed here: only then do both sides' counters agree. A NIC that has failed may
            // complete nothing for long, but what it had has landed by another way.
            None => {
                (0..).zip(groups).all(|(pe, &mark)| self.state.is_settled_with(pe, mark))
                    && (self.recovery.has_acted()
                        || self.lanes.iter().zip(pieces).all(|(lane, &pushed)| lane.has_finished(pushed)))
            }
        };
        if settled {
            self.quiet = None;
            match asker {
                Asker::Caller { ticket } => {
                    self.shared.quiet_done.store(ticket, Ordering::Release);
                    self.state.wake = true;
                }
                Asker::Ring { ring, posted } => self.rings.quiet_done(ring, posted),
            }
        }
    }

    fn publish(&mut self) {
        let now = self.now_ns;
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

    fn beat(&mut self, now: u64) {
        self.next_heartbeat = now + HEARTBEAT_NS;
        if self.quiet.is_some() || self.stalled.is_some() {
            let unsettled = self.state.unsettled().collect();
            *self.shared.waited_for.lock().unwrap_or_else(PoisonError::into_inner) = unsettled;
        }
        self.counts.local_ops = self.shared.local_ops.load(Ordering::Relaxed);
        self.counts.local_bytes = self.shared.local_bytes.load(Ordering::Relaxed);
        self.counts.barriers = self.shared.barriers.load(Ordering::Relaxed);
        if let Some(process) = &mut self.process {
            process.publish(now, &self.counts);
        }
    }
}

/// A quiet under way: what it waits for is what had been sent when it began.
#[derive(Debug)]
struct Quiet {
    asker: Asker,
    /// The PE it is about, or all.
    pe: Option<u32>,
    /// By PE: groups started.
    groups: Vec<u64>,
    /// By NIC: pieces pushed.
    pieces: Vec<u64>,
}

/// Who waits for a quiet.
#[derive(Debug, Clone, Copy)]
enum Asker {
    /// The caller, for this ticket.
    Caller { ticket: u64 },
    /// A GPU, in this ring.
    Ring { ring: u32, posted: u64 },
}

/// What a round of the proxy's loop came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Something has moved.
    Worked,
    /// There was nothing to do.
    Idle,
    /// The proxy was told to stop, or the job has failed.
    Stop,
}

enum Done {
    Yes,
    NoRoom,
    Stop,
}

#[cfg(test)]
mod tests;
