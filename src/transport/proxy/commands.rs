//! Carrying out what the caller and GPUs post.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::lane::Lane;
use super::{Proxy, Totals};
use crate::counters::RxSource;
use crate::transport::answers::NOBODY;
use crate::transport::atomic::Atomic;
use crate::transport::group::{Origin, Outbound};
use crate::transport::nic::Nic;
use crate::transport::ring::Command;
use crate::transport::select::{PolicyKind, Selector};
use crate::transport::wire::Action;

/// Commands taken before the NICs are polled again.
const COMMANDS_AT_ONCE: usize = 64;

/// Bytes that are copied on this node for a GPU before the NICs are polled again.
const KEPT_AT_ONCE: u64 = 1 << 20;

/// Pieces and frames that may wait for the NICs before the proxy stops taking commands.
const MAX_WAITING: usize = 1024;

/// Bytes that wait or are in flight per NIC from which on least-loaded chooses no more.
const LADEN: u64 = 1 << 20;

/// What became of a command.
pub(super) enum Done {
    Yes,
    /// It is to be tried again later.
    NoRoom,
    /// What is left of a put ([`Proxy::rest`]) is to be tried later.
    Partly,
    /// The proxy is to end.
    Stop,
}

/// Commands that were taken and wait.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// One that found no room; nothing else is taken until it goes.
    stalled: Option<Command>,
    /// The caller's next, which waits for its quiet.
    behind: Option<Command>,
    /// Whether one of these may be there, or the caller's quiet: every put asks.
    look: bool,
}

impl Held {
    fn stall(&mut self, command: Option<Command>) {
        (self.stalled, self.look) = (command, true);
    }

    /// The caller's next command may have to wait.
    pub(super) fn look(&mut self) {
        self.look = true;
    }

    /// Whether one waits for room.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.is_some()
    }

    /// Whether any waits.
    pub(super) fn is_any(&self) -> bool {
        self.is_stalled() || self.behind.is_some()
    }
}

impl<N: Nic> Proxy<N> {
    /// Carries out what the caller has posted; `None` when it was told to stop.
    pub(super) fn take_commands(&mut self) -> Result<Option<bool>, String> {
        let mut worked = false;
        let mut kept = 0;
        let mut waiting = self.waiting_for_nics();
        for _ in 0..COMMANDS_AT_ONCE {
            if waiting >= MAX_WAITING || self.selector.reads_load() && self.are_lanes_laden() {
                break;
            }
            let mut next = self.next_command();
            if next.is_none() {
                next = self.rings.pop()?;
                let Some(command) = &next else { break };
                self.took_posts = true;
                if let Some(bytes) = self.keep_on_node(command)? {
                    worked = true;
                    kept += bytes;
                    if kept >= KEPT_AT_ONCE {
                        break;
                    }
                    continue;
                }
            }
            // By reference: a command is as long as a line of the cache.
            let Some(command) = &next else { break };
            match self.carry_out(command)? {
                Done::Yes => worked = true,
                Done::NoRoom => {
                    self.held.stall(next);
                    break;
                }
                Done::Partly => {
                    self.held.stall(self.rest.take().map(Command::Put));
                    worked = true;
                    break;
                }
                Done::Stop => return Ok(None),
            }
            // A command of many pieces is the last of its turn.
            waiting += 1;
            if matches!(command, Command::Put(put) if put.len > self.inline_max) {
                waiting = self.waiting_for_nics();
            }
        }
        Ok(Some(worked))
    }

    /// The command that found no room, else the caller's next.
    #[inline]
    fn next_command(&mut self) -> Option<Command> {
        if self.held.look { self.next_held() } else { self.commands.pop() }
    }

    /// The same while something may be held back. A quiet of the caller's speaks of what was posted before: what comes behind
    /// must not keep it from ending.
    #[cold]
    fn next_held(&mut self) -> Option<Command> {
        let Held { stalled, behind, look } = &mut self.held;
        if stalled.is_some() {
            return stalled.take();
        }
        if self.quiets.hold_caller() {
            if behind.is_none() {
                *behind = self.commands.pop();
            }
            return behind.take_if(|command| *command == Command::Stop);
        }
        *look = false;
        if behind.is_some() { behind.take() } else { self.commands.pop() }
    }

    /// Pieces and frames that wait for a NIC.
    fn waiting_for_nics(&self) -> usize {
        self.lanes.iter().map(Lane::waiting).sum()
    }

    /// Whether NICs have so much to do that a policy which looks at that had better choose later: what is chosen before
    /// anything has moved can only be spread evenly.
    fn are_lanes_laden(&self) -> bool {
        let works = |lane: &&Lane<N>| !lane.is_broken();
        let laden: u64 = self.lanes.iter().filter(works).map(Lane::load).sum();
        laden >= LADEN * self.lanes.iter().filter(works).count() as u64
    }

    /// What is rare has a function of its own: this is in the way of every put.
    #[inline]
    fn carry_out(&mut self, command: &Command) -> Result<Done, String> {
        match *command {
            Command::Put(ref put) => return self.put(put),
            Command::Signal { dst, signal } => {
                return self.bare(Origin::Posted, dst, Action::Change(Atomic::from(signal)));
            }
            Command::Atomic { dst, atomic, tag } => return self.atomic(dst, atomic, tag),
            Command::Get { src, remote, local, len, tag } => {
                return self.ask(src, Action::Get { remote, local, len, tag: tag.unwrap_or(NOBODY) }, true);
            }
            Command::Probe { dst, nic, remote, signal } => {
                return self.probe(dst, nic, remote, Action::Change(Atomic::from(signal)));
            }
            Command::Quiet { ticket, pe } => self.begin_quiet(ticket, pe)?,
            Command::RingQuiet { ring, posted } => self.begin_ring_quiet(ring, posted)?,
            Command::Fence => self.fence_all()?,
            Command::Snapshot(ticket) => self.snapshot(ticket),
            Command::SetPolicy(kind) => self.set_policy(kind),
            Command::SetRxSource { source, ledger } => self.start_counting(source, ledger),
            Command::Stop => return Ok(Done::Stop),
        }
        Ok(Done::Yes)
    }

    fn atomic(&mut self, dst: u32, atomic: Atomic, tag: Option<u32>) -> Result<Done, String> {
        let action = match tag {
            None => Action::Change(atomic),
            Some(tag) => Action::Fetch { atomic, tag },
        };
        self.ask(dst, action, tag.is_some())
    }

    fn fence_all(&mut self) -> Result<(), String> {
        self.flush(None)?;
        (0..self.place.pes).try_for_each(|dst| self.state.outbound(dst).map(Outbound::fence))
    }

    fn snapshot(&mut self, ticket: u64) {
        let lanes = self.lanes.iter().enumerate();
        let nics = lanes.map(|(index, lane)| lane.counts(self.state.received(index))).collect();
        let totals = Totals { nics, sent: self.state.sent(), probes: self.state.probes };
        *self.shared.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = totals;
        self.shared.snapshot_done.store(ticket, Ordering::Release);
        self.state.wake = true;
    }

    fn set_policy(&mut self, kind: PolicyKind) {
        self.selector = Selector::new(kind, self.place);
        self.control = Selector::new(kind, self.place);
        if let Some(page) = &mut self.page {
            page.set_policy(kind.name());
        }
    }

    /// A group that is nothing but its action, and may be answered.
    fn ask(&mut self, dst: u32, action: Action, answered: bool) -> Result<Done, String> {
        if answered && !self.state.may_ask(dst) {
            return Ok(Done::NoRoom);
        }
        let done = self.bare(Origin::Posted, dst, action)?;
        if answered && matches!(done, Done::Yes) {
            self.state.count_asked(dst);
        }
        Ok(done)
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
}
