//! Who is who in a lab: PEs, their nodes, and the name, address and MAC of each NIC. Pure.

use std::net::Ipv4Addr;

use super::spec::{LabMode, LabSpec};

/// One processing element: one process of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pe {
    /// Its number in the whole lab, `0..WORLD_SIZE`; node 0 has the first ones.
    pub rank: u32,
    /// The number of its node.
    pub node: u16,
    /// Its number on its node.
    pub local_rank: u16,
}

/// One emulated NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nic {
    /// The number of its node.
    pub node: u16,
    /// Its number on its node; PE `p` of a node has `p * K .. p * K + K`.
    pub index: u32,
    /// Its own address; a socket bound to it uses this NIC and no other.
    pub address: Ipv4Addr,
    /// Its number in the whole lab plus one: the host part of the address.
    host: u16,
}

impl Nic {
    /// The interface's name in its node, such as `nic4`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("nic{}", self.index)
    }

    /// The name of its other end, in the switch, such as `n0x4`.
    #[must_use]
    pub(super) fn switch_name(&self) -> String {
        format!("n{}x{}", self.node, self.index)
    }

    /// The MAC of the node's end; locally administered.
    pub(super) fn mac(&self) -> String {
        mac(0x10, self.host)
    }

    /// The MAC of the switch's end.
    pub(super) fn switch_mac(&self) -> String {
        mac(0x20, self.host)
    }
}

/// `02:…`: a locally administered unicast address (IEEE 802, bit 1 of the first octet).
pub(super) fn mac(kind: u8, host: u16) -> String {
    let [high, low] = host.to_be_bytes();
    format!("02:00:00:{kind:02x}:{high:02x}:{low:02x}")
}

/// The node's name, also its host name in [`LabMode::Namespaces`].
#[must_use]
pub fn node_name(node: u16) -> String {
    format!("node{node}")
}

/// The address for rendezvous on a node: not rate limited, not a NIC.
#[must_use]
pub fn management_address(mode: LabMode, node: u16) -> Ipv4Addr {
    match mode {
        // At most 64 nodes, so the last octet holds it.
        LabMode::Namespaces => Ipv4Addr::from_bits(Ipv4Addr::new(10, 76, 0, 1).to_bits() + u32::from(node)),
        LabMode::Loopback => Ipv4Addr::LOCALHOST,
    }
}

impl LabSpec {
    /// Every PE, in the order of ranks.
    pub fn all_pes(&self) -> impl Iterator<Item = Pe> + use<> {
        let per_node = u32::from(self.pes_per_node);
        (0..self.nodes).flat_map(move |node| {
            (0u16..).zip(0..per_node).map(move |(local_rank, p)| Pe {
                rank: u32::from(node) * per_node + p,
                node,
                local_rank,
            })
        })
    }

    /// The NICs of one node, in order.
    pub fn nics_of_node(&self, node: u16) -> impl Iterator<Item = Nic> + use<> {
        let per_node = self.nics_per_node();
        let net = match self.mode {
            LabMode::Namespaces => Ipv4Addr::new(10, 77, 0, 0),
            LabMode::Loopback => Ipv4Addr::new(127, 77, 0, 0),
        };
        // `validate` bounds the lab to MAX_NICS, so the host part fits in 16 bits.
        let first = u32::from(node) * per_node + 1;
        (0..per_node).map_while(move |index| {
            let host = u16::try_from(first + index).ok()?;
            let address = Ipv4Addr::from_bits(net.to_bits() + u32::from(host));
            Some(Nic { node, index, address, host })
        })
    }

    /// The NICs that belong to one PE, in order.
    pub fn nics_of_pe(&self, pe: Pe) -> impl Iterator<Item = Nic> + use<> {
        let count = usize::from(self.nics_per_pe);
        self.nics_of_node(pe.node).skip(usize::from(pe.local_rank) * count).take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ranks_fill_node_after_node() {
        let spec = LabSpec { nodes: 2, pes_per_node: 3, ..LabSpec::default() };
        let pes: Vec<_> = spec.all_pes().map(|pe| (pe.rank, pe.node, pe.local_rank)).collect();
        assert_eq!(pes, [(0, 0, 0), (1, 0, 1), (2, 0, 2), (3, 1, 0), (4, 1, 1), (5, 1, 2)]);
    }

    #[test]
    fn each_pe_has_its_own_nics() {
        let spec = LabSpec::default();
        let pe = spec.all_pes().nth(5).unwrap();
        let nics: Vec<_> = spec.nics_of_pe(pe).map(|nic| (nic.name(), nic.address.to_string())).collect();
        assert_eq!(nics.len(), 4);
        assert_eq!(nics[0], ("nic4".to_owned(), "10.77.0.21".to_owned()));
        assert_eq!(nics[3], ("nic7".to_owned(), "10.77.0.24".to_owned()));
    }

    #[test]
    fn the_largest_lab_has_no_address_twice() {
        let spec = LabSpec { nodes: 64, pes_per_node: 2, nics_per_pe: 32, ..LabSpec::default() };
        spec.validate().unwrap();
        let nics: Vec<_> = (0..spec.nodes).flat_map(|node| spec.nics_of_node(node)).collect();
        let unique = |key: fn(&Nic) -> String| nics.iter().map(key).collect::<HashSet<_>>().len();
        assert_eq!(nics.len(), 4096);
        assert_eq!(unique(|nic| nic.address.to_string()), 4096);
        assert_eq!(unique(Nic::switch_name), 4096);
        assert!(nics.iter().all(|nic| nic.switch_name().len() <= 15), "IFNAMSIZ");
    }

    #[test]
    fn loopback_nics_are_loopback_addresses() {
        let spec = LabSpec { mode: LabMode::Loopback, ..LabSpec::default() };
        assert!(spec.nics_of_node(1).all(|nic| nic.address.is_loopback()));
        assert_eq!(management_address(LabMode::Loopback, 1), Ipv4Addr::LOCALHOST);
        assert_eq!(management_address(LabMode::Namespaces, 63).to_string(), "10.76.0.64");
    }
}
