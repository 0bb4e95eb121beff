//! Fencing: NICs of this PE are closed for what is still under way to them, and what was under way to others' is sent again.

use std::collections::BTreeMap;

use super::Proxy;
use super::suspicion::DOUBT_MS;
use crate::transport::incident::Happened;
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
    /// Own NIC `nic` as a whole cannot go on: nothing goes by it any more, and nobody is to send to it.
    pub(in super::super) fn nic_broke(&mut self, nic: u16, error: &NicError) -> Result<(), String> {
        if !self.recovery.able || self.lanes.iter().all(Lane::is_broken) {
            return Err(error.to_string());
        }
        self.happened(nic, Happened::Gone(error.saying()));
        self.ways.give_up(nic);
        self.shut(nic)?;
        // It may have been closed before, with all others: then what is here has not gone elsewhere yet.
        (0..self.place.pes).for_each(|pe| self.state.owe_again(pe));
        self.divert_from(nic)?;
        if let Some(lane) = self.lanes.get_mut(usize::from(nic)) {
            lane.write_off();
        }
        self.fence(nic)?;
        // What it had under way is suspect everywhere.
        for pe in 0..self.place.pes {
            let is_under_way = self.state.outbound(pe)?.log().iter().any(|sent| sent.route.local == nic);
            if is_under_way && !self.ways.has_choice(pe) {
                return Err(error.to_string());
            }
            let width = self.state.width(pe);
            let Some(watch) = self.recovery.watches.get_mut(pe as usize) else { continue };
            watch.failed.extend((0..width).map(|remote| (Route { local: nic, remote }, error.saying())));
        }
        self.recovery.look_soon();
        Ok(())
    }

    /// Closes own NIC `nic`: what waits in its queue goes over others.
    pub(in super::super) fn shut(&mut self, nic: u16) -> Result<(), String> {
        if !self.ways.close(nic, self.now_ms) {
            return Ok(());
        }
        self.mark(nic, true);
        (0..self.place.pes).for_each(|pe| self.state.owe_again(pe));
        self.divert_from(nic)
    }

    /// Has what waits for closed NICs go by others, if any is open: it was queued while none was.
    pub(super) fn divert_from_closed(&mut self) -> Result<(), String> {
        if self.ways.all_open() || !self.ways.is_any_open() {
            return Ok(());
        }
        for nic in 0..self.place.nics {
            if !self.ways.is_open(nic) {
                self.divert_from(nic)?;
            }
        }
        Ok(())
    }

    fn divert_from(&mut self, nic: u16) -> Result<(), String> {
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

    /// Whether own NIC `nic` is the last one, will never be fenced for that, and nobody has said so yet.
    pub(super) fn is_last_left(&self, nic: u16) -> bool {
        self.lanes.len() > 1
            && (0..).zip(&self.lanes).all(|(other, lane)| other == nic || lane.is_broken())
            && !self.may_fence(nic)
    }

    /// Fences own NIC `nic` and has everybody told.
    pub(super) fn fence(&mut self, nic: u16) -> Result<(), String> {
        let Some(lane) = self.lanes.get_mut(usize::from(nic)) else { return Ok(()) };
        let mut failed = Vec::new();
        lane.close_receiver(nic, &mut self.state, self.now_ms, &mut failed)
            .map_err(|error| error.to_string())?;
        for failed in failed {
            self.operation_failed(nic, failed)?;
        }
        if let Some(violation) = self.state.violation.take() {
            return Err(violation);
        }
        // Only now: what landed before the fence has just been counted.
        self.state.forget(nic);
        let card = self.lanes.get_mut(usize::from(nic)).and_then(Lane::open_receiver);
        self.renew(nic, card);
        Ok(())
    }

    /// Tries once more to open NICs that could not be opened after their fence.
    pub(super) fn reopen_shut(&mut self) {
        for nic in 0..self.place.nics {
            if self.recovery.own.get(usize::from(nic)).is_some_and(|own| own.shut)
                && let Some(card) = self.lanes.get_mut(usize::from(nic)).and_then(Lane::open_receiver)
            {
                self.renew(nic, Some(card));
            }
        }
    }

    /// Own NIC `nic` has a new incarnation, with this card or nowhere; nobody knows yet.
    fn renew(&mut self, nic: u16, card: Option<Vec<u8>>) {
        let me = self.place.me;
        let released: BTreeMap<_, _> =
            (0..self.place.pes).filter(|&pe| pe != me).map(|pe| (pe, self.state.released(pe))).collect();
        let Some(own) = self.recovery.own.get_mut(usize::from(nic)) else { return };
        own.incarnation += 1;
        own.shut = card.is_none();
        own.card = card.unwrap_or_default();
        own.untold = released;
    }

    /// Tells those who do not know yet that a NIC of this PE has a new incarnation.
    pub(super) fn announce(&mut self) {
        for nic in 0..self.place.nics {
            let Some(own) = self.recovery.own.get(usize::from(nic)) else { continue };
            let untold: Vec<_> = own.untold.keys().copied().collect();
            for pe in untold {
                self.announce_to(pe, nic);
            }
        }
    }

    /// Tells a PE, if it does not know yet, that own NIC `nic` has a new incarnation.
    pub(super) fn announce_to(&mut self, pe: u32, nic: u16) {
        let Some(own) = self.recovery.own.get(usize::from(nic)) else { return };
        let Some(released) = own.untold.get(&pe).cloned() else { return };
        let (incarnation, card) = (own.incarnation, own.card.clone());
        self.tell(pe, &Record::Card { nic, incarnation, released, card: &card });
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
        let until = self.now_ms.saturating_add(self.recovery.patience_ms.max(DOUBT_MS));
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
        self.ways.may_probe(at, !card.is_empty(), self.now_ms);
        // Acknowledgements that were under way to it are lost.
        self.state.owe_again(at.pe);
        let outbound = self.state.outbound(at.pe)?;
        outbound.acknowledged(released.low).map_err(|violation| format!("PE {}: {violation}", at.pe))?;
        let lost = outbound.lost(at.nic, released);
        if let Some(watch) = self.recovery.watches.get_mut(at.pe as usize) {
            watch.fences.remove(&at.nic);
            watch.failed.retain(|way, _| way.remote != at.nic);
            watch.doubted.retain(|way, _| way.remote != at.nic);
            (watch.moved_ms, watch.nonce, watch.since_ms) = (self.now_ms, 0, None);
        }
        self.send_again(at.pe, lost)?;
        self.tell(at.pe, &Record::CardSeen { nic: at.nic, incarnation });
        Ok(())
    }
}
