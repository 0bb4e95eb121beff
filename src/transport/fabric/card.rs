//! What one PE tells the others about a NIC: at the start all of it, after a reopening where it now receives.

use serde::{Deserialize, Serialize};

/// Longest endpoint address.
pub(super) const MAX_NAME: usize = 256;

/// First byte of a card in bytes: format and version.
const VERSION: u8 = 1;

/// Bytes before the address.
const HEAD: usize = 20;

/// What another PE must know to write through a NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicCard {
    /// Address of the endpoint that receives.
    pub name: Vec<u8>,
    /// Address of the endpoint that sends, the same where that is the one that receives: EFA wants it in the target's address vector.
    pub sender: Vec<u8>,
    /// Key of the heap's registration on this NIC.
    pub key: u64,
    /// What offset 0 of the heap is called on the wire (0, or its virtual address).
    pub base: u64,
    /// The same of the heap's part in a device's memory, where this NIC reaches it.
    pub device: Option<Remote>,
    /// Pieces that each NIC which writes here may have under way, so that the completion queue cannot overrun.
    pub room: u32,
}

/// How memory is called on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// Key of its registration.
    pub key: u64,
    /// What its first byte is called (0, or its virtual address).
    pub base: u64,
}

/// Where a NIC receives: the part of a card that changes when it is opened again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Door {
    pub(super) name: Vec<u8>,
    pub(super) key: u64,
    pub(super) base: u64,
}

impl Door {
    /// In bytes, at most 276: version, three zeros, key, base (little-endian), address.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, 0, 0, 0];
        bytes.extend_from_slice(&self.key.to_le_bytes());
        bytes.extend_from_slice(&self.base.to_le_bytes());
        bytes.extend_from_slice(&self.name);
        bytes
    }

    /// Reads it back. The bytes come from another process: nothing is taken on trust.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let (head, name) = bytes.split_first_chunk::<HEAD>().ok_or("it is too short")?;
        if head[..4] != [VERSION, 0, 0, 0] {
            return Err("it is of another version");
        }
        if name.is_empty() || name.len() > MAX_NAME {
            return Err("its address is empty or too long");
        }
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&head[at..at + 8]);
            u64::from_le_bytes(word)
        };
        Ok(Self { name: name.to_vec(), key: word(4), base: word(12) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn doors_come_back(name in prop::collection::vec(any::<u8>(), 1..=MAX_NAME), key: u64, base: u64) {
            let door = Door { name, key, base };
            let bytes = door.encode();
            prop_assert!(bytes.len() <= 400);
            prop_assert_eq!(Door::decode(&bytes), Ok(door));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            if let Ok(door) = Door::decode(&bytes) {
                prop_assert_eq!(door.encode(), bytes);
            }
        }
    }
}
