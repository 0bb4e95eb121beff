//! `class/net/<interface>/statistics`: for software RDMA, whose packets pass its network interface.
//! Source: the kernel's Documentation/networking/statistics.rst.

use std::sync::{Arc, LazyLock};

use super::row::{Row, bytes, drops, error, packets};
use crate::monitor::counter::Desc;

static ROWS: [Row; 8] = [
    bytes("tx_bytes", "bytes the network interface sent: all traffic on it, headers included"),
    bytes("rx_bytes", "bytes the network interface received: all traffic on it, headers included"),
    packets("tx_packets", "packets the network interface sent"),
    packets("rx_packets", "packets the network interface received"),
    drops("tx_dropped", "packets the network interface dropped on the way out"),
    drops("rx_dropped", "packets the network interface dropped on the way in"),
    error("tx_errors", "packets the network interface could not send"),
    error("rx_errors", "packets the network interface received with an error"),
];

static DESCS: LazyLock<Vec<Arc<Desc>>> =
    LazyLock::new(|| ROWS.iter().map(|row| Arc::new(row.desc(row.name.into()))).collect());

/// The statistics of interest: bytes sent and received, packets sent and received, then drops and errors.
#[must_use]
pub fn statistics() -> &'static [Arc<Desc>] {
    &DESCS
}
