//! The proxy: it owns a PE's NICs, carries out what the caller posts, and applies what arrives.
//!
//! It alone touches the NICs, the policies and the counters, so nothing within it needs a lock. A turn: take commands,
//! hand pieces and frames to the NICs, poll the NICs, publish counters. Who takes the turns, and rests when nothing
//! happened, is the [`Driver`]'s matter: a thread, or a caller that waits.

mod acks;
mod attendance;
mod clock;
mod commands;
mod drive;
mod driven;
mod driver;
mod idle;
mod lane;
mod posted;
mod quiet;
mod recovery;
mod room;
mod send;
mod serve;
mod shared;
mod sleeper;
mod state;
mod ways;

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub use attendance::Attendance;
pub use clock::Clock;
use commands::{Done, Held};
pub use drive::Drive;
pub use driver::{Driver, Turn, Work};
pub use idle::{Idle, Progress, Rest};
use lane::{Lane, Outcome};
use quiet::Quiets;
use recovery::Recovery;
pub use shared::{Shared, Totals};
use state::State;
use ways::Ways;

use super::fault::Fault;
use super::gpu::{RingFigures, Rings};
use super::heap::Heap;
use super::incident::Teller;
use super::nic::{Nic, PeerNic};
use super::ring::{Consumer, Put};
use super::select::{Place, PolicyKind, Selector};
use super::wire::{MAX_INLINE, Record};
use crate::counters::{PageState, PageWriter, PeCounts, ProcessBlock};

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
    /// Of rings that these have taken the place of.
    earlier: RingFigures,
    /// Whether this turn took something from a ring.
    took_posts: bool,
    /// Commands that wait.
    held: Held,
    /// What a part that has gone leaves of a put.
    rest: Option<Put>,
    /// Passes over what other PEs have asked for.
    passes: u64,
    selector: Selector,
    /// The same policy for signals, atomics and acknowledgements.
    control: Selector,
    place: Place,
    ways: Ways,
    recovery: Recovery,
    /// Where what happens to NICs is told.
    teller: Teller,
    wide_immediate: bool,
    /// Bytes of a piece at most, by whichever NIC: what waits for one may go by another.
    longest_piece: u64,
    /// Puts of at most this many bytes travel within a frame.
    inline_max: u64,
    /// Only offsets before this one are of memory that the CPU reaches: what lies beyond goes in no frame.
    host_end: u64,
    /// Quiets under way.
    quiets: Quiets,
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
}

impl<N: Nic> Proxy<N> {
    /// Puts a proxy together; a [`Driver`] runs it.
    #[must_use]
    pub fn new(parts: Parts<N>) -> (Self, Arc<Shared>) {
        let Parts { me, widths, nics, wide_immediate, heap, policy, commands, fault, mut page, .. } = parts;
        let host_end = heap.device().map_or(u64::MAX, |_| heap.len());
        let (teller, incidents) = Teller::new(me);
        let shared = Arc::new(Shared::new(nics.len(), incidents));
        let own = nics.len();
        let place = Place {
            me,
            pes: u32::try_from(widths.len()).unwrap_or(u32::MAX),
            nics: u16::try_from(own).unwrap_or(u16::MAX),
        };
        let process = page.as_mut().and_then(PageWriter::process_block);
        let longest_piece = nics.iter().map(|nic| nic.limits().max_piece).min().unwrap_or(1).max(1);
        let able = nics.iter().all(Nic::can_reopen);
        let others: Vec<_> = (0..).zip(&widths).map(|(pe, &width)| (width, most_pieces(&nics, pe))).collect();
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
            state: State::new(me, &others, own, Arc::clone(&heap), Arc::clone(&shared.answers)),
            heap,
            commands,
            rings: Rings::default(),
            earlier: RingFigures::default(),
            took_posts: false,
            held: Held::default(),
            rest: None,
            passes: 0,
            selector: Selector::new(policy, place),
            control: Selector::new(policy, place),
            place,
            ways: Ways::new(me, &widths, own),
            recovery: Recovery::new(widths.len(), own, patience_ms, able),
            teller,
            wide_immediate,
            longest_piece,
            inline_max: parts.inline_max.min(MAX_INLINE as u64),
            host_end,
            quiets: Quiets::default(),
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
        let before = std::mem::replace(&mut self.now_ns, self.clock.now_ns());
        if std::mem::take(&mut self.took_posts) {
            // The turn before this one, without a look at the clock of its own.
            self.counts.gpu_post_ns += self.now_ns.saturating_sub(before);
        }
        self.now_ms = self.now_ns / 1_000_000;
        self.counts.proxy_loops += 1;
        let Some(mut worked) = self.take_commands()? else { return Ok(Turn::Stop) };
        worked |= self.move_lanes()?;
        if !self.hushed {
            if !self.state.news.is_empty() {
                worked = true;
                self.hear_news()?;
            }
            if !self.state.requests.is_empty() {
                worked |= self.serve()?;
            }
            worked |= self.send_acks();
            self.look_after_ways()?;
            self.settle_quiets()?;
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
            || self.held.is_any()
            || !self.quiets.is_empty()
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
        self.teller.end();
        let settled = self.shared.settled.load(Ordering::Acquire);
        self.lanes.drain(..).filter(|lane| !settled || lane.is_busy()).for_each(Lane::abandon);
        // The page goes when nobody writes it any more, or stays to say how it ended.
        (self.process, self.page) = (None, None);
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
            // A drain of nothing is 45 instructions in each turn.
            if !outcome.failed.is_empty() {
                for failed in outcome.failed.drain(..) {
                    self.operation_failed(nic, failed)?;
                }
            }
            if !outcome.unsaid.is_empty() {
                outcome.unsaid.drain(..).for_each(|pe| self.state.owe_again(pe));
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
        any
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
        if !self.quiets.is_empty() || self.held.is_stalled() {
            let unsettled = self.state.unsettled().collect();
            *self.shared.waited_for.lock().unwrap_or_else(PoisonError::into_inner) = unsettled;
        }
        self.count_posts();
        self.counts.local_ops = self.shared.local_ops.load(Ordering::Relaxed);
        self.counts.local_bytes = self.shared.local_bytes.load(Ordering::Relaxed);
        self.counts.barriers = self.shared.barriers.load(Ordering::Relaxed);
        if let Some(process) = &mut self.process {
            process.publish(now, &self.counts);
        }
    }
}

/// Pieces that may be under way to PE `pe`: all of them may meet at one of its NICs, which has room for so many of each of these.
fn most_pieces<N: Nic>(nics: &[N], pe: u32) -> u64 {
    let each = nics.first().map_or(u64::MAX, |nic| nic.room_at(PeerNic { pe, nic: 0 }));
    each.max(1).saturating_mul(nics.len() as u64)
}

#[cfg(test)]
mod tests;
