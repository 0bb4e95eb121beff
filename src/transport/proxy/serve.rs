//! Answering what other PEs have asked for.

use super::state::Request;
use super::{Done, Proxy};
use crate::transport::group::Origin;
use crate::transport::nic::Nic;
use crate::transport::ring::Put;
use crate::transport::wire::Action;

impl<N: Nic> Proxy<N> {
    /// Answers what other PEs have asked, as far as their windows have room.
    pub(super) fn serve(&mut self) -> Result<bool, String> {
        let mut worked = false;
        self.passes += 1;
        for _ in 0..self.state.requests.len() {
            let Some(request) = self.state.requests.pop_front() else { break };
            let pe = request.pe();
            // Of one PE's in the order in which they came, or small ones would keep a long one waiting for ever.
            let must_wait = self.state.peer(pe)?.waited_in == self.passes;
            let done = if must_wait { Done::NoRoom } else { self.answer(request)? };
            match done {
                Done::NoRoom => {
                    self.state.peer(pe)?.waited_in = self.passes;
                    self.state.requests.push_back(request);
                    continue;
                }
                Done::Partly => {
                    let rest = self.rest_of(request);
                    self.state.requests.push_back(rest);
                }
                Done::Yes | Done::Stop => self.state.served(pe),
            }
            worked = true;
        }
        Ok(worked)
    }

    fn answer(&mut self, request: Request) -> Result<Done, String> {
        match request {
            Request::Answer { pe, tag, value } => self.bare(Origin::Asked, pe, Action::Answer { tag, value }),
            Request::Get { pe, remote, local, len, tag } => {
                let put = Put { dst: pe, local: remote, remote: local, len, signal: None };
                self.put_then(Origin::Asked, &put, Action::Answer { tag, value: 0 })
            }
        }
    }

    /// What a part that has gone leaves of a get. Here and there are the other way round in the put that answers it.
    fn rest_of(&mut self, request: Request) -> Request {
        match (request, self.rest.take()) {
            (Request::Get { pe, tag, .. }, Some(put)) => {
                Request::Get { pe, remote: put.local, local: put.remote, len: put.len, tag }
            }
            (request, _) => request,
        }
    }
}
