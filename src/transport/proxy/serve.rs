//! Answering what other PEs have asked for.

use super::state::Request;
use super::{Done, Proxy};
use crate::transport::nic::Nic;
use crate::transport::ring::Put;
use crate::transport::wire::Action;

impl<N: Nic> Proxy<N> {
    /// Answers what other PEs have asked, as far as their windows have room.
    pub(super) fn serve(&mut self) -> Result<bool, String> {
        let mut worked = false;
        for _ in 0..self.state.requests.len() {
            let Some(request) = self.state.requests.pop_front() else { break };
            let done = match request {
                Request::Answer { pe, tag, value } => self.bare(pe, Action::Answer { tag, value })?,
                Request::Get { pe, remote, local, len, tag } => {
                    let put = Put { dst: pe, local: remote, remote: local, len, signal: None };
                    self.put_then(&put, Action::Answer { tag, value: 0 })?
                }
            };
            match (done, self.rest.take(), request) {
                (Done::NoRoom, ..) => self.state.requests.push_back(request),
                (Done::Partly, Some(rest), Request::Get { pe, tag, .. }) => {
                    let Put { local: remote, remote: local, len, .. } = rest;
                    self.state.requests.push_back(Request::Get { pe, remote, local, len, tag });
                    worked = true;
                }
                _ => {
                    self.state.served(request.pe());
                    worked = true;
                }
            }
        }
        Ok(worked)
    }
}
