//! What a NIC reports in one poll: completions are summed up, arrivals go to the state.

use super::super::state::State;
use crate::transport::nic::{Failed, PeerNic, Sink};

/// Takes one NIC's reports in.
pub(super) struct Events<'a> {
    nic: u16,
    state: &'a mut State,
    pub(super) done_ops: u64,
    pub(super) done_bytes: u64,
    pub(super) frames: u64,
    pub(super) rx_errors: u64,
    pub(super) failed: &'a mut Vec<Failed>,
}

impl<'a> Events<'a> {
    /// For NIC `nic`; what fails is added to `failed`.
    pub(super) fn new(nic: u16, state: &'a mut State, failed: &'a mut Vec<Failed>) -> Self {
        Self { nic, state, done_ops: 0, done_bytes: 0, frames: 0, rx_errors: 0, failed }
    }
}

impl Sink for Events<'_> {
    fn piece_done(&mut self, _to: PeerNic, bytes: u64) {
        self.done_ops += 1;
        self.done_bytes += bytes;
    }

    fn frame_done(&mut self, _to: PeerNic) {
        self.frames += 1;
    }

    fn landed(&mut self, immediate: u64, len: u64) {
        self.state.landed(self.nic, immediate, len);
    }

    fn frame(&mut self, bytes: &[u8]) {
        self.state.frame(self.nic, bytes);
    }

    fn receive_failed(&mut self) {
        self.rx_errors += 1;
    }

    fn failed(&mut self, failed: Failed) {
        self.failed.push(failed);
    }
}
