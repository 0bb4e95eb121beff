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
    /// Counts one put to `dst`.
    pub fn count(&mut self, pe: &Pe, dst: u32, len: u64) {
        if !pe.is_local(dst) {
            self.puts += 1;
            self.bytes += len;
        }
    }
}
