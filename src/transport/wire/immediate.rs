//! The immediate of a piece: it fits the 32 bits that EFA has.
//!
//! Where the provider has 64 bits (tcp, shm) the upper half carries the length, because a target completion's length is
//! 0 there on libfabric 1.17 (seen on `tcp;ofi_rxm` and `net`).

/// What the immediate of a piece says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Immediate {
    /// The sending PE.
    pub src: u16,
    /// The low 16 bits of the group's sequence number.
    pub group: u16,
    /// The length of this piece, where the immediate has room for it; else 0.
    pub len: u32,
}

impl Immediate {
    /// Packs it for the wire. A 4-byte provider drops the upper half, which holds only the length.
    #[must_use]
    pub fn pack(self) -> u64 {
        u64::from(self.len) << 32 | u64::from(self.src) << 16 | u64::from(self.group)
    }

    /// Reads it back.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "each field takes its own bits")]
    pub fn unpack(data: u64) -> Self {
        Self { src: (data >> 16) as u16, group: data as u16, len: (data >> 32) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn immediates_come_back(src: u16, group: u16, len: u32) {
            let imm = Immediate { src, group, len };
            prop_assert_eq!(Immediate::unpack(imm.pack()), imm);
            // What a 4-byte provider keeps is enough to tell sender and group.
            let short = Immediate::unpack(imm.pack() & 0xffff_ffff);
            prop_assert_eq!((short.src, short.group, short.len), (src, group, 0));
        }
    }
}
