//! What a PE has put over NICs.

use serde::{Deserialize, Serialize};

use crate::transport::pe::Pe;

/// Put-signals and their bytes, without what went to PEs that are reached without a NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Traffic {
    /// Put-signals.
    pub puts: u64,
    /// Payload bytes.
    pub bytes: u64,
}

impl Traffic {
    /// Counts one put of the host's to `dst`.
    pub fn count(&mut self, pe: &Pe, dst: u32, len: u64) {
        self.add(!pe.is_local(dst), len);
    }

    /// Counts one put, if a NIC carries it.
    pub fn add(&mut self, by_nic: bool, len: u64) {
        if by_nic {
            self.puts += 1;
            self.bytes += len;
        }
    }
}
