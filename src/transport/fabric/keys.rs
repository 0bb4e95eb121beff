//! Keys of registered memory, where the provider leaves them to the application (no `FI_MR_PROV_KEY`): over sockets and `shm` a heap's
//! key is all that whoever reaches an endpoint needs to write there, so nobody can guess it.

/// What is registered with a NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    Heap = 1,
    Frames = 2,
    Device = 3,
}

/// The keys that one NIC asks for. Providers that make their own ignore them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys(u64);

impl Keys {
    /// Random keys of `bytes` bytes (`fi_domain_attr::mr_key_size`).
    pub(super) fn random(bytes: usize) -> Result<Self, getrandom::Error> {
        getrandom::u64().map(|random| Self::from(random, bytes))
    }

    /// The low two bits keep the keys of a NIC apart.
    fn from(random: u64, bytes: usize) -> Self {
        let bits = u32::try_from(bytes.min(8)).unwrap_or(8) * 8;
        Self(random & u64::MAX.checked_shr(64 - bits).unwrap_or(0) & !3)
    }

    /// The key of one kind of memory.
    pub(super) fn of(self, memory: Memory) -> u64 {
        self.0 | memory as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_fit() {
        let keys = |bytes| {
            let keys = Keys::from(u64::MAX, bytes);
            [Memory::Heap, Memory::Frames, Memory::Device].map(|memory| keys.of(memory))
        };
        assert_eq!(keys(8), [u64::MAX - 2, u64::MAX - 1, u64::MAX]);
        assert_eq!(keys(4), [0xffff_fffd, 0xffff_fffe, 0xffff_ffff]);
        assert_eq!(keys(16), keys(8), "no key has more than 64 bits here");
        assert_eq!(keys(0), [1, 2, 3], "nothing is said of their size");
    }

    #[test]
    fn no_two_nics_have_the_same() {
        let key = || Keys::random(8).unwrap().of(Memory::Heap);
        assert_ne!(key(), key());
    }
}
