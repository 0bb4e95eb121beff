//! Acknowledgements and the puts that go the same way: behind some they would be late, with others they cost nothing.

use super::lane::Lane;
use super::state::Peer;
use crate::transport::nic::{Nic, PeerNic};
use crate::transport::wire::Record;

/// Bytes from which on a piece keeps what is behind it waiting for longer than a message of its own costs.
const LONG_PIECE: u64 = 32 << 10;

/// Sends an acknowledgement that is owed to a peer ahead of the first piece of `len` bytes that goes there. Its sender may
/// stand still for it, in a quiet say, and a close would take it along behind all of that piece. While pieces are under way
/// already nothing overtakes them, and it may as well travel with a close.
#[inline]
pub(super) fn ack_ahead<N: Nic>(peer: &mut Peer, lane: &mut Lane<N>, to: PeerNic, len: u64) {
    if len >= LONG_PIECE
        && peer.outbound.log().pieces() == 0
        && let Some(low) = peer.inbound.owed_ack()
    {
        lane.urgent(to, &Record::Ack { low });
        peer.inbound.acknowledge();
    }
}

/// Lets an acknowledgement that is owed to a peer travel in the frame that waits to go that way.
#[expect(clippy::inline_always, reason = "a part of a small put: see `Proxy::data`")]
#[inline(always)]
pub(super) fn join_ack<N: Nic>(peer: &mut Peer, lane: &mut Lane<N>, to: PeerNic) {
    if let Some(low) = peer.inbound.owed_ack()
        && lane.join(to, &Record::Ack { low })
    {
        peer.inbound.acknowledge();
    }
}
