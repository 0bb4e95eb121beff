//! NVIDIA ConnectX-3 and older. Source: `hw/mlx4/main.c` (diagnostic counters, 32 bits wide in firmware).
//! `rq` is the receiving (responder) side, `sq` the sending (requester) side.

use super::quantity::{Quantity, pma, words};
use super::row::{LIFESPAN, Row, drops, error, loss, neutral, retransmits, timeouts};
use super::{DeviceDir, Driver};
use crate::monitor::counter::Kind;

pub(super) static TABLE: Driver = Driver {
    names: &["mlx4_core", "mlx4_ib"],
    tx_bytes: Quantity(&[&[words("port_xmit_data")]]),
    rx_bytes: Quantity(&[&[words("port_rcv_data")]]),
    tx_pkts: Quantity(&[&[pma("port_xmit_packets")]]),
    rx_pkts: Quantity(&[&[pma("port_rcv_packets")]]),
    rows: ROWS,
    unknown: Kind::Wrap32,
    software: false,
    device: DeviceDir::Ignored,
    constant_state: false,
};

static ROWS: &[Row] = &[
    error("rq_num_lle", "receives with a local length error").wraps(),
    error("sq_num_lle", "sends with a local length error").wraps(),
    error("rq_num_lqpoe", "receives with a local queue pair error").wraps(),
    error("sq_num_lqpoe", "sends with a local queue pair error").wraps(),
    error("rq_num_lpe", "receives with a local protection error").wraps(),
    error("sq_num_lpe", "sends with a local protection error").wraps(),
    neutral("rq_num_wrfe", "receives given back when a queue pair ended").wraps(),
    neutral("sq_num_wrfe", "sends given back when a queue pair ended").wraps(),
    error("sq_num_mwbe", "memory windows that could not be bound").wraps(),
    error("sq_num_bre", "bad responses to requests").wraps(),
    error("sq_num_rire", "requests that the peer called invalid").wraps(),
    error("rq_num_rire", "peers' requests that were invalid").wraps(),
    error("sq_num_rae", "requests that the peer refused: wrong key or range").wraps(),
    error("rq_num_rae", "peers' requests that were refused: wrong key or range").wraps(),
    error("sq_num_roe", "requests that failed at the peer").wraps(),
    error("sq_num_tree", "requests given up after the last retransmission").wraps(),
    error("sq_num_rree", "requests given up because the receiver was never ready").wraps(),
    retransmits("sq_num_rnr", "answers `receiver not ready`, after which the request is sent again").wraps(),
    loss("rq_num_rnr", "answers `receiver not ready` that were sent").wraps(),
    retransmits("sq_num_oos", "answers `wrong sequence`: the peer missed packets of this NIC").wraps(),
    retransmits("rq_num_oos", "packets that arrived out of order, so that some were lost").wraps(),
    timeouts("sq_num_to", "acknowledgements that did not come in time").wraps(),
    loss("rq_num_dup", "requests that arrived a second time").wraps(),
    drops("rq_num_udsdprd", "datagrams dropped because the receiver had posted no buffer").wraps(),
    error("num_cqovf", "completion queues that overflowed").wraps(),
    LIFESPAN,
];
