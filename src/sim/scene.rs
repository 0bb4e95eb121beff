//! What is simulated: a cluster, and what may be wrong with it.

use super::costs::Costs;

/// One cluster with one amount of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// Nodes.
    pub nodes: u32,
    /// PEs of each.
    pub pes_per_node: u32,
    /// NICs of each PE.
    pub nics_per_pe: u16,
    /// Line rate of a NIC.
    pub nic_bits_per_s: u64,
    /// How often the pattern is repeated, each time after everything of the last has arrived.
    pub iters: u32,
    /// Where all chance begins.
    pub seed: u64,
    /// NICs that are slower than the others.
    pub slow: Option<Slow>,
    /// By how much at most a put's cost for the proxy is off, in millionths.
    pub jitter_ppm: u64,
    /// What bytes and puts cost.
    pub costs: Costs,
}

/// Slow NICs, spread evenly over the cluster; the first one is NIC 0 of PE 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slow {
    /// How many.
    pub count: u32,
    /// What they have of the others' rate, in millionths.
    pub rate_ppm: u64,
}

/// Why a scene cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SceneError {
    /// There is nobody to send to.
    #[error("{0} node: the NICs carry nothing within a node, so name 2 or more")]
    TooFewNodes(u32),
    /// More than the model has numbers for, or memory.
    #[error("{nodes} nodes x {pes} PEs x {nics} NICs: more than {MOST_NICS} NICs in all")]
    TooLarge {
        /// Nodes.
        nodes: u32,
        /// PEs of each.
        pes: u32,
        /// NICs of each.
        nics: u16,
    },
    /// More than the policies' counters for each destination have memory.
    #[error("{nodes} nodes x {pes} PEs: more than {MOST_PES} PEs, and policies count for each pair of them")]
    TooManyPes {
        /// Nodes.
        nodes: u32,
        /// PEs of each.
        pes: u32,
    },
    /// Too many slow NICs.
    #[error("{slow} slow NICs of {all}")]
    TooSlow {
        /// Slow ones.
        slow: u32,
        /// All.
        all: u64,
    },
    /// A put without bytes.
    #[error("{size} bytes make puts of no byte: name more")]
    NoBytes {
        /// What was asked for.
        size: u64,
    },
    /// More than one can wait for.
    #[error("{0} bytes in one put: at most 2^36")]
    TooManyBytes(u64),
    /// More than there is memory for.
    #[error("{answers} answers in a round: at most {most}; name fewer tokens or experts of each")]
    TooManyAnswers {
        /// Tokens times the experts that each takes, of all PEs.
        answers: u64,
        /// The most.
        most: u64,
    },
    /// Times that 64 bits cannot hold.
    #[error(
        "this could take more than 53 simulated days: name fewer bytes or iterations, or faster NICs and puts"
    )]
    TooLong,
}

/// NICs of a cluster, at most: eight times those of 1,024 nodes of the article's kind.
pub const MOST_NICS: u64 = 1 << 18;
/// PEs of a cluster, at most: a counter of 8 bytes for each pair of them is 2 GiB.
pub const MOST_PES: u32 = 1 << 14;
/// Bytes of a put, at most: a segment, which is a 32nd of a large put, has 32 bits for its bytes.
pub const MOST_BYTES: u64 = 1 << 36;

impl Scene {
    /// PEs of the cluster.
    #[must_use]
    pub fn pes(&self) -> u32 {
        self.nodes.saturating_mul(self.pes_per_node)
    }

    /// NICs of the cluster.
    #[must_use]
    pub fn nics(&self) -> u64 {
        u64::from(self.pes()) * u64::from(self.nics_per_pe)
    }

    /// Whether it can be simulated.
    ///
    /// # Errors
    /// When it is too small or too large.
    pub fn check(&self) -> Result<(), SceneError> {
        let (nodes, pes, nics) = (self.nodes, self.pes_per_node, self.nics_per_pe);
        if nodes < 2 {
            return Err(SceneError::TooFewNodes(nodes));
        }
        let all = u64::from(nodes).saturating_mul(pes.into()).saturating_mul(nics.into());
        if all > MOST_NICS {
            return Err(SceneError::TooLarge { nodes, pes, nics });
        }
        if self.pes() > MOST_PES {
            return Err(SceneError::TooManyPes { nodes, pes });
        }
        match self.slow {
            Some(slow) if u64::from(slow.count) > all => Err(SceneError::TooSlow { slow: slow.count, all }),
            _ => Ok(()),
        }
    }

    /// Whether NIC `nic` of all is slow.
    pub(super) fn is_slow(&self, nic: u64) -> Option<u64> {
        let slow = self.slow.filter(|slow| slow.count > 0)?;
        // The k-th is the first NIC whose share of the count reaches k.
        let step = |nic: u64| (nic * u64::from(slow.count)).div_ceil(self.nics().max(1));
        (step(nic) < step(nic + 1)).then_some(slow.rate_ppm)
    }

    /// What a byte takes on a NIC, as a fixed-point number of picoseconds with [`POINT`] binary digits.
    pub(super) fn byte_time(&self, nic: u64) -> u64 {
        let share = u128::from(self.is_slow(nic).unwrap_or(PPM)) * u128::from(self.costs.goodput_ppm);
        let whole = u128::from(PPM) * u128::from(PPM);
        let byte = (8_000_000_000_000_u128 << POINT) / u128::from(self.nic_bits_per_s.max(1));
        u64::try_from(byte * whole / share.max(1)).unwrap_or(u64::MAX)
    }
}

/// A whole, in millionths.
pub(super) const PPM: u64 = 1_000_000;
/// Binary digits behind the point of a byte's time.
pub(super) const POINT: u32 = 24;

/// What `bytes` take, in picoseconds.
pub(super) fn wire(bytes: u64, byte_time: u64) -> u64 {
    u64::try_from((u128::from(bytes) * u128::from(byte_time)) >> POINT).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::costs::Preset;
    use crate::sim::made::scene;

    #[test]
    fn a_byte_takes_what_the_rate_says() {
        let mut of = scene(Preset::EfaP5, 2);
        assert_eq!(wire(1 << 30, of.byte_time(0)) / 1_000_000, 87_831, "us for 1 GiB at 97.8 Gb/s");
        of.slow = Some(Slow { count: 1, rate_ppm: 500_000 });
        assert_eq!(wire(1 << 30, of.byte_time(0)) / 1_000_000, 175_663, "us on one of half the rate");
        assert_eq!(wire(1 << 30, of.byte_time(1)) / 1_000_000, 87_831, "us beside it");
    }

    #[test]
    fn slow_nics_are_as_many_as_asked_for_and_spread() {
        let mut of = scene(Preset::EfaP5, 4);
        for count in [0, 1, 3, 7, 128] {
            of.slow = Some(Slow { count, rate_ppm: 1 });
            let slow: Vec<u64> = (0..of.nics()).filter(|&nic| of.is_slow(nic).is_some()).collect();
            assert_eq!(slow.len(), count as usize);
            let apart = slow.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(128);
            assert!(apart >= 128 / u64::from(count.max(1)), "{slow:?}");
            assert!(count == 0 || slow[0] == 0);
        }
    }

    #[test]
    fn says_what_cannot_be() {
        let mut of = scene(Preset::Lab, 1);
        assert!(of.check().unwrap_err().to_string().contains("2 or more"));
        of.nodes = 1 << 20;
        assert!(matches!(of.check(), Err(SceneError::TooLarge { .. })));
        (of.nodes, of.nics_per_pe) = (2049, 1);
        assert_eq!(of.check(), Err(SceneError::TooManyPes { nodes: 2049, pes: 8 }));
        of.nodes = 2048;
        assert_eq!(of.check(), Ok(()));
        (of.nodes, of.nics_per_pe) = (2, 4);
        of.slow = Some(Slow { count: 65, rate_ppm: 1 });
        assert_eq!(of.check(), Err(SceneError::TooSlow { slow: 65, all: 64 }));
    }
}
