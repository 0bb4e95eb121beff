//! What lab to build: how many nodes, PEs and NICs, how fast, and by which means.

use super::rate::Rate;

/// Most nodes of a lab: the management network numbers them 10.76.0.1 to 10.76.0.64.
pub const MAX_NODES: u16 = 64;
/// Most PEs on one node.
pub const MAX_PES_PER_NODE: u16 = 64;
/// Most NICs of one PE; a p5.48xlarge has 32 for all of its 8 GPUs together.
pub const MAX_NICS_PER_PE: u16 = 32;
/// Most NICs of a whole lab. 10.77.0.0/16 has room for 65,533; but each NIC is a veth pair with
/// two queues and a routing table, and the set-up of more than this takes minutes.
pub const MAX_NICS: u32 = 4096;

/// How the nodes of a lab are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabMode {
    /// Each node a network and UTS namespace, each NIC a rate-limited veth pair.
    Namespaces,
    /// Nodes are only names, each NIC an address of its own in 127.77.0.0/16, unlimited.
    /// Needs no permission; says nothing about NICs.
    Loopback,
}

/// The shape of a lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabSpec {
    /// Nodes, 1 to [`MAX_NODES`].
    pub nodes: u16,
    /// PEs on each node, 1 to [`MAX_PES_PER_NODE`].
    pub pes_per_node: u16,
    /// NICs that each PE has for itself, 1 to [`MAX_NICS_PER_PE`].
    pub nics_per_pe: u16,
    /// The limit of each NIC, in each direction; `None`: unlimited. Without effect in
    /// [`LabMode::Loopback`].
    pub nic_rate: Option<Rate>,
    /// Namespaces or loopback addresses.
    pub mode: LabMode,
}

impl Default for LabSpec {
    /// 2 nodes x 4 PEs x 4 NICs of 200 Mbit/s: the shape of the article, at a rate two cores carry.
    fn default() -> Self {
        Self {
            nodes: 2,
            pes_per_node: 4,
            nics_per_pe: 4,
            nic_rate: Rate::from_bits_per_s(200_000_000),
            mode: LabMode::Namespaces,
        }
    }
}

/// A shape no lab can have. The message names the flag to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// One of the numbers is out of its range.
    #[error("--{flag} must be 1 to {max}, not {value}")]
    Range {
        /// The flag's name, without dashes.
        flag: &'static str,
        /// What it was.
        value: u16,
        /// The largest it may be.
        max: u16,
    },
    /// Each number is right, but together they are too many NICs.
    #[error(
        "{nodes} nodes x {pes_per_node} PEs x {nics_per_pe} NICs are {total} NICs, more than the {MAX_NICS} \
         a lab can have: lower --nodes, --pes-per-node or --nics-per-pe"
    )]
    TooManyNics {
        /// Nodes asked for.
        nodes: u16,
        /// PEs per node asked for.
        pes_per_node: u16,
        /// NICs per PE asked for.
        nics_per_pe: u16,
        /// Their product.
        total: u32,
    },
}

impl LabSpec {
    /// Checks every limit.
    ///
    /// # Errors
    /// A [`SpecError`] that says which flag to change.
    pub fn validate(&self) -> Result<(), SpecError> {
        for (flag, value, max) in [
            ("nodes", self.nodes, MAX_NODES),
            ("pes-per-node", self.pes_per_node, MAX_PES_PER_NODE),
            ("nics-per-pe", self.nics_per_pe, MAX_NICS_PER_PE),
        ] {
            if !(1..=max).contains(&value) {
                return Err(SpecError::Range { flag, value, max });
            }
        }
        let total = self.nics();
        if total > MAX_NICS {
            let Self { nodes, pes_per_node, nics_per_pe, .. } = *self;
            return Err(SpecError::TooManyNics { nodes, pes_per_node, nics_per_pe, total });
        }
        Ok(())
    }

    /// PEs of the whole lab.
    #[must_use]
    pub fn pes(&self) -> u32 {
        u32::from(self.nodes) * u32::from(self.pes_per_node)
    }

    /// NICs of the whole lab.
    #[must_use]
    pub fn nics(&self) -> u32 {
        self.pes() * u32::from(self.nics_per_pe)
    }

    /// NICs of one node.
    #[must_use]
    pub fn nics_per_node(&self) -> u32 {
        u32::from(self.pes_per_node) * u32::from(self.nics_per_pe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(LabSpec::default().validate(), Ok(()));
    }

    #[test]
    fn names_the_flag_that_is_wrong() {
        for (spec, flag) in [
            (LabSpec { nodes: 0, ..LabSpec::default() }, "--nodes"),
            (LabSpec { nodes: 65, ..LabSpec::default() }, "--nodes"),
            (LabSpec { pes_per_node: 0, ..LabSpec::default() }, "--pes-per-node"),
            (LabSpec { nics_per_pe: 33, ..LabSpec::default() }, "--nics-per-pe"),
        ] {
            assert!(spec.validate().unwrap_err().to_string().contains(flag), "{spec:?}");
        }
    }

    #[test]
    fn bounds_the_product() {
        let spec = |nodes| LabSpec { nodes, pes_per_node: 64, nics_per_pe: 4, ..LabSpec::default() };
        assert_eq!(spec(16).validate(), Ok(()));
        assert!(matches!(spec(17).validate(), Err(SpecError::TooManyNics { total: 4352, .. })));
    }
}
