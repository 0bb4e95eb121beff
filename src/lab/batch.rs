//! The commands for `ip -batch -` and `tc -batch -` that make a lab's network. Pure text.
//!
//! ```text
//!   node0                                switch                                node1
//!   nic0 10.77.0.1 [tbf] ---- n0x0 [tbf]        [tbf] n1x0 ---- [tbf] nic0 10.77.0.5
//!   nic1 10.77.0.2 [tbf] ---- n0x1 [tbf] routes [tbf] n1x1 ---- [tbf] nic1 10.77.0.6
//!   eth0 10.76.0.1       ---- n0m                     n1m  ----       eth0 10.76.0.2
//! ```
//!
//! The switch routes between the veths and does not bridge them. On a bridge each NIC would hold an
//! ARP entry for each NIC it talks to, and the kernel's limit of 1,024 such entries (`gc_thresh3`)
//! counts all namespaces together, the host's own included: 4 nodes x 16 NICs would already overflow
//! it, for everybody. Routed, and with the neighbours written down, a NIC needs two permanent
//! entries, which do not count, and there is no ARP at all; nor is there the bridge's limit of 1,023
//! ports.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use super::address::{Nic, mac, management_address};
use super::rate::Rate;
use super::spec::{LabMode, LabSpec};

/// EFA's is 8.9 K; 9000 is what the lab's measurements were made with.
const MTU: u32 = 9000;
/// One 64 KiB GSO packet: with less, `tbf` cuts packets in software.
const BURST_BYTES: u32 = 64 << 10;
/// Room for an incast: with shallower queues one measures TCP time-outs, not NICs
/// (1 MiB: 9 % of the line rate of 4 NICs; 8 MiB: exactly one NIC's 25 %).
const LIMIT_BYTES: u32 = 8 << 20;

const DATA_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 255, 254);
const MANAGEMENT_GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 76, 0, 254);
/// Routing tables and rule priorities of the NICs start here, above the reserved 253 to 255.
const FIRST_TABLE: u32 = 1000;

/// One veth pair between a node and the switch, NIC or management alike.
struct Link {
    name: String,
    switch_name: String,
    address: Ipv4Addr,
    prefix: &'static str,
    gateway: Ipv4Addr,
    network: &'static str,
    mac: String,
    switch_mac: String,
}

impl Link {
    fn of_nic(nic: &Nic) -> Self {
        Self {
            name: nic.name(),
            switch_name: nic.switch_name(),
            address: nic.address,
            prefix: "16",
            gateway: DATA_GATEWAY,
            network: "10.77.0.0/16",
            mac: nic.mac(),
            switch_mac: nic.switch_mac(),
        }
    }

    fn of_management(node: u16) -> Self {
        Self {
            name: "eth0".to_owned(),
            switch_name: format!("n{node}m"),
            address: management_address(LabMode::Namespaces, node),
            prefix: "24",
            gateway: MANAGEMENT_GATEWAY,
            network: "10.76.0.0/24",
            mac: mac(0x30, node),
            switch_mac: mac(0x40, node),
        }
    }

    /// Makes both ends, and sets up the node's. `switch_netns` is a path to the switch's namespace.
    fn node_side(&self, text: &mut String, switch_netns: &str) {
        let Self { name, switch_name, address, prefix, gateway, mac, switch_mac, .. } = self;
        push(
            text,
            format_args!(
                "link add {name} mtu {MTU} address {mac} type veth \
             peer name {switch_name} mtu {MTU} address {switch_mac} netns {switch_netns}"
            ),
        );
        // noprefixroute: the kernel's own route would send every NIC's traffic out of the first.
        push(text, format_args!("addr add {address}/{prefix} dev {name} noprefixroute"));
        push(text, format_args!("link set {name} up"));
        push(text, format_args!("neigh add {gateway} lladdr {switch_mac} dev {name} nud permanent"));
    }

    /// The route to all of this link's network, in `table`.
    fn route(&self, text: &mut String, table: &str) {
        let Self { name, address, gateway, network, .. } = self;
        push(
            text,
            format_args!("route add {network} via {gateway} dev {name} onlink src {address} table {table}"),
        );
    }

    fn switch_side(&self, text: &mut String) {
        let Self { switch_name, address, mac, .. } = self;
        push(text, format_args!("link set {switch_name} up"));
        push(text, format_args!("neigh add {address} lladdr {mac} dev {switch_name} nud permanent"));
        push(text, format_args!("route add {address}/32 dev {switch_name}"));
    }
}

/// `ip -batch` for a node: its interfaces, and a routing table for each NIC's own address.
///
/// A socket not bound to a NIC's address uses the node's first NIC, as on a real host.
pub(super) fn node_ip(spec: &LabSpec, node: u16, switch_netns: &str) -> String {
    let mut text = String::new();
    push(&mut text, format_args!("link set lo up"));
    let management = Link::of_management(node);
    management.node_side(&mut text, switch_netns);
    management.route(&mut text, "main");
    for nic in spec.nics_of_node(node) {
        let link = Link::of_nic(&nic);
        let table = FIRST_TABLE + nic.index;
        link.node_side(&mut text, switch_netns);
        link.route(&mut text, &table.to_string());
        push(&mut text, format_args!("rule add pref {table} from {} lookup {table}", nic.address));
        if nic.index == 0 {
            link.route(&mut text, "main");
        }
    }
    text
}

/// `ip -batch` for the switch, to run when all nodes are made: they make its ends of the pairs.
pub(super) fn switch_ip(spec: &LabSpec) -> String {
    let mut text = String::new();
    push(&mut text, format_args!("link set lo up"));
    for gateway in [DATA_GATEWAY, MANAGEMENT_GATEWAY] {
        push(&mut text, format_args!("addr add {gateway}/32 dev lo"));
    }
    for node in 0..spec.nodes {
        Link::of_management(node).switch_side(&mut text);
        for nic in spec.nics_of_node(node) {
            Link::of_nic(&nic).switch_side(&mut text);
        }
    }
    text
}

/// `tc -batch` for a node: the limit of what its NICs send.
pub(super) fn node_tc(spec: &LabSpec, node: u16, rate: Rate) -> String {
    let mut text = String::new();
    for nic in spec.nics_of_node(node) {
        limit(&mut text, &nic.name(), rate);
    }
    text
}

/// `tc -batch` for the switch: the limit of what the NICs receive.
pub(super) fn switch_tc(spec: &LabSpec, rate: Rate) -> String {
    let mut text = String::new();
    for nic in (0..spec.nodes).flat_map(|node| spec.nics_of_node(node)) {
        limit(&mut text, &nic.switch_name(), rate);
    }
    text
}

fn limit(text: &mut String, device: &str, rate: Rate) {
    let bits_per_s = rate.bits_per_s();
    push(
        text,
        format_args!(
            "qdisc add dev {device} root tbf rate {bits_per_s}bit burst {BURST_BYTES} limit {LIMIT_BYTES}"
        ),
    );
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> LabSpec {
        LabSpec { nodes: 2, pes_per_node: 1, nics_per_pe: 2, ..LabSpec::default() }
    }

    #[test]
    fn a_node_in_full() {
        insta::assert_snapshot!(node_ip(&spec(), 1, "/proc/self/fd/9"), @r"
        link set lo up
        link add eth0 mtu 9000 address 02:00:00:30:00:01 type veth peer name n1m mtu 9000 address 02:00:00:40:00:01 netns /proc/self/fd/9
        addr add 10.76.0.2/24 dev eth0 noprefixroute
        link set eth0 up
        neigh add 10.76.0.254 lladdr 02:00:00:40:00:01 dev eth0 nud permanent
        route add 10.76.0.0/24 via 10.76.0.254 dev eth0 onlink src 10.76.0.2 table main
        link add nic0 mtu 9000 address 02:00:00:10:00:03 type veth peer name n1x0 mtu 9000 address 02:00:00:20:00:03 netns /proc/self/fd/9
        addr add 10.77.0.3/16 dev nic0 noprefixroute
        link set nic0 up
        neigh add 10.77.255.254 lladdr 02:00:00:20:00:03 dev nic0 nud permanent
        route add 10.77.0.0/16 via 10.77.255.254 dev nic0 onlink src 10.77.0.3 table 1000
        rule add pref 1000 from 10.77.0.3 lookup 1000
        route add 10.77.0.0/16 via 10.77.255.254 dev nic0 onlink src 10.77.0.3 table main
        link add nic1 mtu 9000 address 02:00:00:10:00:04 type veth peer name n1x1 mtu 9000 address 02:00:00:20:00:04 netns /proc/self/fd/9
        addr add 10.77.0.4/16 dev nic1 noprefixroute
        link set nic1 up
        neigh add 10.77.255.254 lladdr 02:00:00:20:00:04 dev nic1 nud permanent
        route add 10.77.0.0/16 via 10.77.255.254 dev nic1 onlink src 10.77.0.4 table 1001
        rule add pref 1001 from 10.77.0.4 lookup 1001
        ");
    }

    #[test]
    fn the_switch_in_full() {
        insta::assert_snapshot!(switch_ip(&spec()), @r"
        link set lo up
        addr add 10.77.255.254/32 dev lo
        addr add 10.76.0.254/32 dev lo
        link set n0m up
        neigh add 10.76.0.1 lladdr 02:00:00:30:00:00 dev n0m nud permanent
        route add 10.76.0.1/32 dev n0m
        link set n0x0 up
        neigh add 10.77.0.1 lladdr 02:00:00:10:00:01 dev n0x0 nud permanent
        route add 10.77.0.1/32 dev n0x0
        link set n0x1 up
        neigh add 10.77.0.2 lladdr 02:00:00:10:00:02 dev n0x1 nud permanent
        route add 10.77.0.2/32 dev n0x1
        link set n1m up
        neigh add 10.76.0.2 lladdr 02:00:00:30:00:01 dev n1m nud permanent
        route add 10.76.0.2/32 dev n1m
        link set n1x0 up
        neigh add 10.77.0.3 lladdr 02:00:00:10:00:03 dev n1x0 nud permanent
        route add 10.77.0.3/32 dev n1x0
        link set n1x1 up
        neigh add 10.77.0.4 lladdr 02:00:00:10:00:04 dev n1x1 nud permanent
        route add 10.77.0.4/32 dev n1x1
        ");
    }

    #[test]
    fn limits_both_ends() {
        let rate = "200mbit".parse().unwrap();
        insta::assert_snapshot!(node_tc(&spec(), 0, rate), @r"
        qdisc add dev nic0 root tbf rate 200000000bit burst 65536 limit 8388608
        qdisc add dev nic1 root tbf rate 200000000bit burst 65536 limit 8388608
        ");
        insta::assert_snapshot!(switch_tc(&spec(), rate), @r"
        qdisc add dev n0x0 root tbf rate 200000000bit burst 65536 limit 8388608
        qdisc add dev n0x1 root tbf rate 200000000bit burst 65536 limit 8388608
        qdisc add dev n1x0 root tbf rate 200000000bit burst 65536 limit 8388608
        qdisc add dev n1x1 root tbf rate 200000000bit burst 65536 limit 8388608
        ");
    }
}
