//! Fencing: NICs of this PE are closed for what is still under way to them, and what was under way to others' is sent again.

use std::collections::BTreeMap;

use super::Proxy;
use super::suspicion::DOUBT_MS;
use crate::transport::nic::{Nic, NicError, PeerNic};
use crate::transport::proxy::lane::Lane;
use crate::transport::select::Route;
use crate::transport::wire::{Record, Released};

/// One of this PE's NICs as others must see it.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnNic {
    pub(super) incarnation: u32,
    /// Its card, once it is not that of the start any more; empty when it is nowhere.
    card: Vec<u8>,
    /// Peers that do not know this incarnation yet, with what they had released here when it was fenced.
    pub(super) untold: BTreeMap<u32, Released>,
    /// Opening it again has failed; to be tried again.
    shut: bool,
}

impl OwnNic {
    /// Whether nobody can write to it.
    fn card_is_gone(&self) -> bool {
        self.incarnation > 0 && self.card.is_empty()
    }
}

impl<N: Nic> Proxy<N> {
    /// Own NIC `nic` as a whole cannot go on.
    pub(in super::super) fn nic_broke(&mut self, nic: u16, error: &NicError) -> Result<(), String> {
        if !self.recovery.able || self.lanes.len() < 2 {
            return Err(error.to_string());
        }
        self.shut(nic)?;
        self.fence(nic)?;
        // What it had under way is suspect everywhere.
        for (watch, pe) in self.recovery.watches.iter_mut().zip(0..) {
            let width = self.state.width(pe);
            watch.failed.extend((0..width).map(|remote| Route { local: nic, remote }));
            watch.failed.sort_unstable();
            watch.failed.dedup();
        }
        self.recovery.next_look_ms = 0;
        Ok(())
    }

    /// Closes own NIC `nic`: what waits in its queue goes over others.
    pub(super) fn shut(&mut self, nic: u16) -> Result<(), String> {
        if !self.ways.close(nic, self.now_ms) {
            return Ok(());
        }
        self.mark(nic, true);
        (0..self.place.pes).for_each(|pe| self.state.owe_again(pe));
        let waiting = self.lanes.get_mut(usize::from(nic)).map(Lane::take_queue).unwrap_or_default();
        waiting.into_iter().try_for_each(|out| self.divert(nic, out))
    }

    /// Whether own NIC `nic` can be fenced now. Every peer must know a NIC of this PE as it is: if two PEs fenced all of
    /// their NICs before hearing of each other's, neither could tell the other any more. Who asked will ask again.
    pub(super) fn may_fence(&self, nic: u16) -> bool {
        let others = || (0..).zip(&self.recovery.own).filter(|&(other, _)| other != nic).map(|(_, own)| own);
        let known_to = |pe| others().any(|own| !own.card_is_gone() && !own.untold.contains_key(&pe));
        self.ways.may_be_deaf() || (0..self.place.pes).filter(|&pe| pe != self.place.me).all(known_to)
    }

    /// Fences own NIC `nic` and has everybody told.
    pub(super) fn fence(&mut self, nic: u16) -> Result<(), String> {
        let Some(lane) = self.lanes.get_mut(usize::from(nic)) else { return Ok(()) };
        let mut failed = Vec::new();
        let card = lane.fence(nic, &mut self.state, self.now_ms, &mut failed);
        let retry = self.recovery.own.get(usize::from(nic)).is_some_and(|own| own.shut);
        if retry && card.is_err() {
            // Everybody knows that it is nowhere.
            return Ok(());
        }
        lane.counts_mut().fences += 1;
        for failed in failed {
            self.operation_failed(nic, failed)?;
        }
        if let Some(violation) = self.state.violation.take() {
            return Err(violation);
        }
        // Only now: what landed before the fence has just been counted.
        self.state.forget(nic);
        let me = self.place.me;
        let released: BTreeMap<_, _> =
            (0..self.place.pes).filter(|&pe| pe != me).map(|pe| (pe, self.state.released(pe))).collect();
        let Some(own) = self.recovery.own.get_mut(usize::from(nic)) else { return Ok(()) };
        own.incarnation += 1;
        own.shut = card.is_err();
        own.card = card.unwrap_or_default();
        own.untold = released;
        Ok(())
    }

    /// Tries once more to open NICs that could not be opened after their fence.
    pub(super) fn reopen_shut(&mut self) -> Result<(), String> {
        let shut: Vec<_> =
            (0..).zip(&self.recovery.own).filter_map(|(nic, own)| own.shut.then_some(nic)).collect();
        shut.into_iter().try_for_each(|nic| self.fence(nic))
    }

    /// Tells those who do not know yet that a NIC of this PE has a new incarnation.
    pub(super) fn announce(&mut self) {
        for nic in 0..self.recovery.own.len() {
            let Some(own) = self.recovery.own.get(nic).filter(|own| !own.untold.is_empty()) else { continue };
            let OwnNic { incarnation, card, untold, .. } = own.clone();
            let Ok(nic) = u16::try_from(nic) else { continue };
            for (pe, released) in untold {
                self.tell(pe, &Record::Card { nic, incarnation, released, card: &card });
            }
        }
    }

    /// A NIC of another PE has been fenced and has a new incarnation: what was under way to it is sent again.
    pub(super) fn follow(
        &mut self,
        at: PeerNic,
        incarnation: u32,
        released: &Released,
        card: &[u8],
    ) -> Result<(), String> {
        if at.nic >= self.state.width(at.pe) {
            return Err(format!("PE {} speaks of its NIC {}, which does not exist", at.pe, at.nic));
        }
        if incarnation <= self.recovery.known(at.pe, at.nic) {
            self.tell(at.pe, &Record::CardSeen { nic: at.nic, incarnation });
            return Ok(());
        }
        self.recovery.known.insert((at.pe, at.nic), incarnation);
        let until = self.now_ms + self.recovery.patience_ms.max(DOUBT_MS);
        self.recovery.forgiven.insert((at.pe, at.nic), until);
        for lane in &mut self.lanes {
            lane.purge(at);
            if !card.is_empty() {
                lane.nic().redirect(at, card).map_err(|error| format!("PE {}: {error}", at.pe))?;
            }
        }
        if card.is_empty() {
            self.ways.close_peer(at, self.now_ms);
        }
        // Acknowledgements that were under way to it are lost.
        self.state.owe_again(at.pe);
        let outbound = self.state.outbound(at.pe)?;
        outbound.acknowledged(released.low).map_err(|violation| format!("PE {}: {violation}", at.pe))?;
        let lost = outbound.lost(at.nic, released);
        if let Some(watch) = self.recovery.watches.get_mut(at.pe as usize) {
            watch.fences.remove(&at.nic);
            watch.failed.retain(|way| way.remote != at.nic);
            watch.doubted.retain(|way| way.remote != at.nic);
            (watch.moved_ms, watch.nonce, watch.since_ms) = (self.now_ms, 0, None);
        }
        self.send_again(at.pe, lost)?;
        self.tell(at.pe, &Record::CardSeen { nic: at.nic, incarnation });
        Ok(())
    }
}
