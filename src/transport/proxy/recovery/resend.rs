//! What is sent once more: over NICs that work, and what had not been sent yet by the NIC it waited for.

use super::Proxy;
use crate::transport::group::Moved;
use crate::transport::group::log::{Sent, Small, What};
use crate::transport::nic::Nic;
use crate::transport::proxy::lane::Out;
use crate::transport::select::Route;
use crate::transport::wire::{Close, Record, read_frame};

impl<N: Nic> Proxy<N> {
    /// Sends once more what was on its way to a NIC that has been fenced.
    pub(in super::super) fn send_again(&mut self, dst: u32, mut lost: Vec<Sent>) -> Result<(), String> {
        // Pieces first: their closes may have to say that they now go elsewhere.
        lost.sort_by_key(|sent| matches!(sent.what, What::Close(_)));
        let mut moved = Vec::new();
        for Sent { seq, route: before, what, .. } in lost {
            let route = self.ways.open_way(dst, before);
            if let (What::Piece(span), true) = (&what, self.state.ledger && before.remote != route.remote) {
                moved.push(Moved { seq, from: before.remote, to: route.remote, bytes: span.len });
            }
            if let Some(lane) = self.lanes.get_mut(usize::from(route.local)) {
                let counts = lane.counts_mut();
                counts.resent_ops += 1;
                counts.resent_bytes += match what {
                    What::Piece(span) | What::Data(Small { span, .. }) => span.len,
                    What::Close(_) => 0,
                };
            }
            match what {
                What::Piece(span) => self.piece(dst, route, seq, span)?,
                What::Data(small) => self.data(dst, route, seq, &small, true)?,
                What::Close(close) => {
                    let mut close = Close { again: true, ..close };
                    for moved in moved.extract_if(.., |moved| moved.seq == seq) {
                        moved.rebook(&mut close.ledger);
                    }
                    self.close(dst, route, close)?;
                }
            }
        }
        for moved in moved {
            self.state.outbound(dst)?.rebook(moved);
        }
        Ok(())
    }

    /// Something that waited in the queue of own NIC `nic`, which is closed now, goes by another one to the same NIC of
    /// the peer: nothing has to be counted anew there.
    pub(in super::super) fn divert(&mut self, nic: u16, out: Out) -> Result<(), String> {
        let to = match &out {
            Out::Piece(piece) => piece.to,
            Out::Frame(envelope) => envelope.to,
        };
        let from = Route { local: nic, remote: to.nic };
        let way = Route { remote: to.nic, ..self.ways.open_way(to.pe, from) };
        let outbound = self.state.outbound(to.pe)?;
        let Some(lane) = self.lanes.get_mut(usize::from(way.local)) else { return Ok(()) };
        match out {
            Out::Piece(piece) => {
                outbound.divert(from, way, |sent| {
                    matches!(sent.what, What::Piece(span) if (span.local, span.remote) == (piece.local, piece.remote))
                });
                lane.push(piece);
            }
            Out::Frame(envelope) => {
                let records = read_frame(envelope.frame.as_slice()).map(|(_, _, records)| records);
                for record in records.into_iter().flatten().flatten() {
                    match record {
                        Record::Close(close) => outbound.divert(from, way, |sent| {
                            sent.seq == close.seq && matches!(sent.what, What::Close(_))
                        }),
                        Record::Data(data) => outbound.divert(from, way, |sent| {
                            sent.seq == data.seq
                                && matches!(sent.what, What::Data(small) if small.span.remote == data.remote)
                        }),
                        _ => {}
                    }
                }
                lane.adopt(envelope);
            }
        }
        Ok(())
    }
}
