//! How much of a put may be under way at once. Each piece counts against the target's completion queue until it is acknowledged, and
//! not every provider guards that queue against overrun. A put that would take more goes in parts.

use super::{Done, Proxy};
use crate::transport::group::Origin;
use crate::transport::nic::Nic;
use crate::transport::ring::Put;
use crate::transport::select::{Op, Plan};

/// What of a put may go, once there is room.
pub(super) enum Room {
    /// All of it, in at most so many pieces.
    Pieces(u64),
    /// It is long: so many bytes now, the others when these are acknowledged.
    ForPart(u64),
}

impl<N: Nic> Proxy<N> {
    /// What may go at once of this put. What travels in a frame takes no entry of its own.
    #[inline]
    pub(super) fn room_for(&mut self, put: &Put) -> Result<Room, String> {
        if self.fits_frame(put) || put.len <= self.longest_piece && put.len < self.selector.splits_from() {
            return Ok(Room::Pieces(1));
        }
        self.room_for_pieces(put)
    }

    /// The same of one that may be several pieces. One that takes more than half of the room goes in parts, so that one part
    /// is under way while another is acknowledged.
    fn room_for_pieces(&mut self, put: &Put) -> Result<Room, String> {
        let most = self.state.outbound(put.dst)?.most_pieces();
        let part = (most / 2).max(1).saturating_mul(self.longest_piece);
        Ok(if put.len > part {
            Room::ForPart(part)
        } else {
            Room::Pieces(self.most_pieces_of(put.dst, put.len).min(most))
        })
    }

    /// Pieces that `len` bytes may come to: each cut of a policy's may make one more.
    fn most_pieces_of(&self, dst: u32, len: u64) -> u64 {
        let pieces = len.div_ceil(self.longest_piece);
        if len < self.selector.splits_from() {
            return pieces;
        }
        pieces + (self.lanes.len() as u64 + u64::from(self.state.width(dst))).saturating_sub(2)
    }

    /// The policy's choice for payload, but not over more NICs than there is room for pieces.
    pub(super) fn plan(&mut self, dst: u32, len: u64) -> Result<Plan, String> {
        self.look_at_loads();
        let plan = self.selector.next(Op { dst, len, peer_nics: self.state.width(dst) }, &self.loads);
        let is_split = len >= self.selector.splits_from();
        let fits = !is_split || self.most_pieces_of(dst, len) <= self.state.outbound(dst)?.most_pieces();
        Ok(if fits { plan } else { Plan::one(plan.first()) })
    }

    /// Sends the first `bytes` of a put, and sets aside what is left of it. Where something happens when all has landed
    /// (`then`), the last part waits until those before have.
    #[cold]
    pub(super) fn begin_long(
        &mut self,
        origin: Origin,
        put: &Put,
        bytes: u64,
        then: bool,
    ) -> Result<Done, String> {
        let dst = put.dst;
        let pieces = self.most_pieces_of(dst, bytes);
        let outbound = self.state.outbound(dst)?;
        if !outbound.admits(origin, true, pieces.min(outbound.most_pieces())) {
            self.make_room(dst)?;
            return Ok(Done::NoRoom);
        }
        let plan = self.plan(dst, bytes)?;
        self.plain(&Put { len: bytes, signal: None, ..*put }, plan)?;
        let rest = Put { local: put.local + bytes, remote: put.remote + bytes, len: put.len - bytes, ..*put };
        if then && matches!(self.room_for(&rest)?, Room::Pieces(_)) {
            self.close_all(dst)?;
            self.state.outbound(dst)?.fence();
        }
        self.rest = Some(rest);
        Ok(Done::Partly)
    }
}
