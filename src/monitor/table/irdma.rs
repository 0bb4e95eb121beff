//! Intel E800 and X722, iWARP and RoCE. Source: `hw/irdma/verbs.c`. IPv4 and IPv6 are counted apart and summed.

use super::quantity::{Quantity, hw};
use super::row::{
    LIFESPAN, Row, bytes, congestion, drops, error, neutral, operations, packets, pressure, retransmits,
};
use super::{DeviceDir, Driver};
use crate::monitor::counter::Kind;

pub(super) static TABLE: Driver = Driver {
    names: &["irdma", "ice", "i40e", "idpf"],
    tx_bytes: Quantity(&[&[hw("ip4OutOctets"), hw("ip6OutOctets")]]),
    rx_bytes: Quantity(&[&[hw("ip4InOctets"), hw("ip6InOctets")]]),
    tx_pkts: Quantity(&[&[hw("ip4OutPkts"), hw("ip6OutPkts")]]),
    rx_pkts: Quantity(&[&[hw("ip4InPkts"), hw("ip6InPkts")]]),
    rows: ROWS,
    // Some are narrower than 64 bits in hardware; the driver adds them up.
    unknown: Kind::Monotonic64,
    software: false,
    device: DeviceDir::Ignored,
    constant_state: false,
};

static ROWS: &[Row] = &[
    bytes("ip4OutOctets", "bytes sent over IPv4"),
    bytes("ip6OutOctets", "bytes sent over IPv6"),
    bytes("ip4InOctets", "bytes received over IPv4"),
    bytes("ip6InOctets", "bytes received over IPv6"),
    packets("ip4OutPkts", "packets sent over IPv4"),
    packets("ip6OutPkts", "packets sent over IPv6"),
    packets("ip4InPkts", "packets received over IPv4"),
    packets("ip6InPkts", "packets received over IPv6"),
    drops("ip4InDiscards", "IPv4 packets dropped on the way in"),
    drops("ip6InDiscards", "IPv6 packets dropped on the way in"),
    error("ip4InTruncatedPkts", "IPv4 packets that arrived cut off"),
    error("ip6InTruncatedPkts", "IPv6 packets that arrived cut off"),
    error("ip4OutNoRoutes", "IPv4 packets without a route"),
    error("ip6OutNoRoutes", "IPv6 packets without a route"),
    neutral("ip4InReasmRqd", "IPv4 fragments received"),
    neutral("ip6InReasmRqd", "IPv6 fragments received"),
    neutral("ip4OutSegRqd", "IPv4 packets sent in fragments"),
    neutral("ip6OutSegRqd", "IPv6 packets sent in fragments"),
    packets("ip4InMcastPkts", "IPv4 multicast packets received"),
    packets("ip6InMcastPkts", "IPv6 multicast packets received"),
    packets("ip4OutMcastPkts", "IPv4 multicast packets sent"),
    packets("ip6OutMcastPkts", "IPv6 multicast packets sent"),
    bytes("ip4InMcastOctets", "IPv4 multicast bytes received"),
    bytes("ip6InMcastOctets", "IPv6 multicast bytes received"),
    bytes("ip4OutMcastOctets", "IPv4 multicast bytes sent"),
    bytes("ip6OutMcastOctets", "IPv6 multicast bytes sent"),
    retransmits("tcpRetransSegs", "TCP segments of iWARP sent again"),
    error("tcpInOptErrors", "TCP segments with bad options"),
    error("tcpInProtoErrors", "TCP segments against the protocol"),
    packets("tcpInSegs", "TCP segments received"),
    packets("tcpOutSegs", "TCP segments sent"),
    error("rxVlanErrors", "packets with a wrong VLAN"),
    operations("iwInRdmaReads", "RDMA reads received"),
    operations("iwInRdmaSends", "messages received"),
    operations("iwInRdmaWrites", "RDMA writes received"),
    operations("iwOutRdmaReads", "RDMA reads sent"),
    operations("iwOutRdmaSends", "messages sent"),
    operations("iwOutRdmaWrites", "RDMA writes sent"),
    operations("iwRdmaBnd", "memory windows bound"),
    operations("iwRdmaInv", "memory keys invalidated"),
    congestion("cnpHandled", "congestion notifications this NIC received and slowed down for"),
    pressure("cnpIgnored", "congestion notifications this NIC received and did not heed"),
    congestion("cnpSent", "congestion notifications this NIC sent to its peers"),
    packets("RxUDP", "UDP packets received (RoCE v2)"),
    packets("TxUDP", "UDP packets sent (RoCE v2)"),
    congestion("RxECNMrkd", "packets that switches had marked for congestion"),
    LIFESPAN,
];
