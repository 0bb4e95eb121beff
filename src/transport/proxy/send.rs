//! From commands to pieces and records: what goes out, by which way, and what is remembered of it.

use super::acks::{ack_ahead, join_ack};
use super::lane::{Lane, Tally};
use super::room::Room;
use super::state::{PROBE_BYTES, PROBE_SOURCE};
use super::{Done, LONG_GROUP, Proxy};
use crate::transport::atomic::Atomic;
use crate::transport::group::log::{Small, Span, What};
use crate::transport::group::{Origin, enter};
use crate::transport::heap::HeapError;
use crate::transport::nic::{Nic, PeerNic, Piece};
use crate::transport::ring::Put;
use crate::transport::select::{Op, Part, Plan, Route};
use crate::transport::wire::{Action, Close, DataHead, Immediate, Record, Tail};

impl<N: Nic> Proxy<N> {
    /// The policy's choice for payload that goes in one piece.
    #[inline]
    fn route(&mut self, dst: u32, len: u64) -> Route {
        self.look_at_loads();
        self.selector.route(Op { dst, len, peer_nics: self.state.width(dst) }, &self.loads)
    }

    /// Counts what is in flight per NIC, for a policy that wants to know.
    pub(super) fn look_at_loads(&mut self) {
        if self.selector.reads_load() {
            self.loads.clear();
            self.loads.extend(self.lanes.iter().map(Lane::load));
        }
    }

    /// Queues a record that must not wait.
    pub(super) fn urgent(&mut self, pe: u32, way: Route, record: &Record<'_>) {
        if let Some(lane) = self.lanes.get_mut(usize::from(way.local)) {
            lane.urgent(PeerNic { pe, nic: way.remote }, record);
        }
    }

    /// The policy's choice for signals, atomics and acknowledgements. It has counters of its own: what a program does
    /// beside its puts must not shift the NICs of its puts.
    pub(super) fn control_route(&mut self, dst: u32) -> Route {
        let op = Op { dst, len: 0, peer_nics: self.state.width(dst) };
        self.look_at_loads();
        let wanted = self.control.route(op, &self.loads);
        self.ways.open_way(dst, wanted)
    }

    /// Starts a group of its own of so many pieces towards `dst`; `None` when it has to wait.
    #[inline]
    fn start(&mut self, origin: Origin, dst: u32, pieces: u64) -> Result<Option<u64>, String> {
        let outbound = self.state.outbound(dst)?;
        if outbound.admits(origin, false, pieces)
            && let Ok(seq) = outbound.start()
        {
            return Ok(Some(seq));
        }
        self.make_room(dst)?;
        Ok(None)
    }

    /// A full window never empties while the shared group in it stays open, so that one is closed then.
    #[cold]
    pub(super) fn make_room(&mut self, dst: u32) -> Result<(), String> {
        self.close_plain(dst)
    }

    /// Whether the CPUs at both ends can copy a put, and it is worth it.
    #[inline]
    pub(super) fn fits_frame(&self, put: &Put) -> bool {
        put.len <= self.inline_max && put.local.max(put.remote) < self.host_end
    }

    /// Small puts with a signal are what message rates are made of: their way is short and straight.
    #[inline]
    pub(super) fn put(&mut self, put: &Put) -> Result<Done, String> {
        match put.signal {
            Some(signal) if self.fits_frame(put) && put.len > 0 => {
                let Some(seq) = self.start(Origin::Posted, put.dst, 1)? else { return Ok(Done::NoRoom) };
                let wanted = self.route(put.dst, put.len);
                self.inline(put, wanted, seq, Tail::from(signal))?;
                Ok(Done::Yes)
            }
            Some(signal) => self.put_then(Origin::Posted, put, Action::Change(Atomic::from(signal))),
            None => self.put_plain(put),
        }
    }

    /// A put without a signal.
    fn put_plain(&mut self, put: &Put) -> Result<Done, String> {
        let pieces = match self.room_for(put)? {
            Room::Pieces(pieces) => pieces,
            Room::ForPart(bytes) => return self.begin_long(Origin::Posted, put, bytes, false),
        };
        if !self.state.outbound(put.dst)?.admits(Origin::Posted, true, pieces) {
            self.make_room(put.dst)?;
            return Ok(Done::NoRoom);
        }
        if put.len > 0 {
            let plan = self.plan(put.dst, put.len)?;
            self.plain(put, plan)?;
        }
        Ok(Done::Yes)
    }

    /// A put that is a group of its own, and what happens when it has landed.
    pub(super) fn put_then(&mut self, origin: Origin, put: &Put, action: Action) -> Result<Done, String> {
        if put.len == 0 {
            return self.bare(origin, put.dst, action);
        }
        let pieces = match self.room_for(put)? {
            Room::Pieces(pieces) => pieces,
            Room::ForPart(bytes) => return self.begin_long(origin, put, bytes, true),
        };
        let Some(seq) = self.start(origin, put.dst, pieces)? else { return Ok(Done::NoRoom) };
        let plan = self.plan(put.dst, put.len)?;
        if self.fits_frame(put) {
            self.inline(put, plan.first(), seq, Tail::from(action))?;
        } else {
            self.whole(put, plan, seq, action)?;
        }
        Ok(Done::Yes)
    }

    /// A put that is a group of its own: its pieces and its close.
    fn whole(&mut self, put: &Put, plan: Plan, seq: u64, action: Action) -> Result<(), String> {
        let mut close = Close::new(seq, 0, Some(action));
        let mut last = plan.first();
        for part in plan.parts(put.len) {
            let route = self.ways.open_way(put.dst, part.route);
            close.pieces += self.pieces(put, part, route, seq)?;
            if self.state.ledger {
                enter(&mut close.ledger, route.remote, part.len);
            }
            last = route;
        }
        self.close(put.dst, last, close)
    }

    /// A put without a signal: its pieces join the group that plain puts share.
    pub(super) fn plain(&mut self, put: &Put, plan: Plan) -> Result<(), String> {
        let ran_over = |_| "a group ran over although there was room".to_owned();
        if self.fits_frame(put) {
            let seq = self.state.outbound(put.dst)?.add_pieces(1).map_err(ran_over)?;
            self.inline(put, plan.first(), seq, Tail::NONE)?;
        } else {
            for part in plan.parts(put.len) {
                let route = self.ways.open_way(put.dst, part.route);
                let pieces = u32::try_from(part.len.div_ceil(self.longest_piece)).unwrap_or(u32::MAX);
                let seq = self.state.outbound(put.dst)?.add_pieces(pieces).map_err(ran_over)?;
                self.pieces(put, part, route, seq)?;
                if self.state.ledger {
                    self.state.outbound(put.dst)?.enter_in_ledger(route.remote, part.len);
                }
            }
        }
        if self.state.outbound(put.dst)?.open_pieces() >= LONG_GROUP {
            self.close_plain(put.dst)?;
        }
        Ok(())
    }

    /// Queues a part's pieces on its NIC and counts the bytes towards the target's NIC. Returns how many pieces.
    fn pieces(&mut self, put: &Put, part: Part, route: Route, seq: u64) -> Result<u32, String> {
        let max = self.longest_piece;
        let (mut offset, mut pieces) = (0, 0);
        while offset < part.len {
            let len = max.min(part.len - offset);
            let (local, remote) = (put.local + part.offset + offset, put.remote + part.offset + offset);
            self.piece(put.dst, route, seq, Span { local, remote, len })?;
            offset += len;
            pieces += 1;
        }
        self.state.peer(put.dst)?.last_route = route;
        Ok(pieces)
    }

    /// Queues one piece and remembers it.
    pub(super) fn piece(&mut self, dst: u32, route: Route, seq: u64, span: Span) -> Result<(), String> {
        let Span { local, remote, len } = span;
        let hint = if self.wide_immediate { u32::try_from(len).unwrap_or(0) } else { 0 };
        #[expect(clippy::cast_possible_truncation, reason = "the wire carries 16 bits of each")]
        let immediate = Immediate { src: self.place.me as u16, group: seq as u16, len: hint }.pack();
        let to = PeerNic { pe: dst, nic: route.remote };
        let peer = self.state.peer(dst)?;
        if let Some(lane) = self.lanes.get_mut(usize::from(route.local)) {
            ack_ahead(peer, lane, to, len);
            lane.push(Piece { to, local, remote, len, immediate });
        }
        peer.count_sent(route.remote, len);
        peer.outbound.remember(seq, route, self.now_ms, What::Piece(span));
        Ok(())
    }

    /// A small put: it travels within a frame.
    #[expect(clippy::inline_always, reason = "as `data`")]
    #[inline(always)]
    fn inline(&mut self, put: &Put, wanted: Route, seq: u64, tail: Tail) -> Result<(), String> {
        let route = self.ways.open_way(put.dst, wanted);
        let span = Span { local: put.local, remote: put.remote, len: put.len };
        self.data(put.dst, route, seq, &Small { span, tail }, false)
    }

    /// Queues a small put and remembers it.
    #[expect(
        clippy::inline_always,
        reason = "called for, these two take 75 of 490 instructions of a put-signal"
    )]
    #[inline(always)]
    pub(super) fn data(
        &mut self,
        dst: u32,
        route: Route,
        seq: u64,
        small: &Small,
        again: bool,
    ) -> Result<(), String> {
        let Small { span, tail } = small;
        let to = PeerNic { pe: dst, nic: route.remote };
        let peer = self.state.peer(dst)?;
        if let Some(lane) = self.lanes.get_mut(usize::from(route.local)) {
            let head = DataHead { seq, remote: span.remote, tail, again };
            let len = usize::try_from(span.len).unwrap_or(usize::MAX);
            let tally = Tally { puts: 1, bytes: span.len, signals: u64::from(tail.is_change()) };
            let frame = lane.frame(to, head.record_bytes(len), tally);
            let bytes = frame.and_then(|frame| frame.push_data(&head, len)).ok_or_else(no_frame)?;
            self.heap.read(span.local, bytes).map_err(|error| unreadable(&error))?;
            join_ack(peer, lane, to);
        }
        peer.last_route = route;
        peer.count_sent(route.remote, span.len);
        peer.outbound.remember(seq, route, self.now_ms, What::Data(*small));
        Ok(())
    }

    /// A group that is nothing but its action.
    pub(super) fn bare(&mut self, origin: Origin, dst: u32, action: Action) -> Result<Done, String> {
        let Some(seq) = self.start(origin, dst, 1)? else { return Ok(Done::NoRoom) };
        let route = self.control_route(dst);
        self.close(dst, route, Close::new(seq, 0, Some(action)))?;
        Ok(Done::Yes)
    }

    /// Writes a few bytes to a PE through one NIC, to see what its completions say.
    pub(super) fn probe(&mut self, dst: u32, nic: u16, remote: u64, action: Action) -> Result<Done, String> {
        let Ok(seq) = self.state.outbound(dst)?.start() else { return Ok(Done::NoRoom) };
        let route = Route { local: nic, remote: nic % self.state.width(dst) };
        let part = Part { route, offset: 0, len: PROBE_BYTES };
        let put = Put { dst, local: PROBE_SOURCE, remote, len: PROBE_BYTES, signal: None };
        let pieces = self.pieces(&put, part, route, seq)?;
        self.close(dst, route, Close::new(seq, pieces, Some(action)))?;
        Ok(Done::Yes)
    }

    /// Closes the group that plain puts to `dst` share, if there is one.
    fn close_plain(&mut self, dst: u32) -> Result<(), String> {
        let close = self.state.outbound(dst)?.close_open(false);
        self.close_by_last_way(dst, close)
    }

    /// Somebody waits until all that was sent to `dst` has landed.
    pub(super) fn close_all(&mut self, dst: u32) -> Result<(), String> {
        let [shared, asking] = self.state.outbound(dst)?.close_all();
        self.close_by_last_way(dst, shared)?;
        self.close_by_last_way(dst, asking)
    }

    fn close_by_last_way(&mut self, dst: u32, close: Option<Close>) -> Result<(), String> {
        let Some(close) = close else { return Ok(()) };
        let wanted = self.state.peer(dst)?.last_route;
        let route = self.ways.open_way(dst, wanted);
        self.close(dst, route, close)
    }

    /// Queues the close of a group and remembers it.
    pub(super) fn close(&mut self, dst: u32, route: Route, mut close: Close) -> Result<(), String> {
        let to = PeerNic { pe: dst, nic: route.remote };
        let peer = self.state.peer(dst)?;
        peer.outbound.ask_in_time(&mut close);
        let tail = Tail::from(close.action);
        let tally = Tally { signals: u64::from(tail.is_change()), ..Tally::default() };
        if let Some(lane) = self.lanes.get_mut(usize::from(route.local)) {
            let frame = lane.frame(to, close.record_bytes(&tail), tally);
            if !frame.is_some_and(|frame| frame.push_close(&close, &tail)) {
                return Err(no_frame());
            }
            join_ack(peer, lane, to);
        }
        peer.outbound.remember(close.seq, route, self.now_ms, What::Close(close));
        Ok(())
    }
}

/// Never: a frame is chosen by the length of the record, and every record fits an empty one.
#[cold]
fn no_frame() -> String {
    "a record fits no frame".to_owned()
}

#[cold]
fn unreadable(error: &HeapError) -> String {
    error.to_string()
}
