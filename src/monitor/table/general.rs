//! Drivers without counters of their own, and a rule for those that nobody has written down.

use super::quantity::{Quantity, hw, pma, words};
use super::row::{LIFESPAN, Row};
use super::{DeviceDir, Driver};
use crate::monitor::counter::Kind;

/// The InfiniBand port counters, where they say anything.
const TX_BYTES: Quantity = Quantity(&[&[words("port_xmit_data")]]);
const RX_BYTES: Quantity = Quantity(&[&[words("port_rcv_data")]]);
const TX_PKTS: Quantity = Quantity(&[&[pma("port_xmit_packets")]]);
const RX_PKTS: Quantity = Quantity(&[&[pma("port_rcv_packets")]]);

/// Marvell `FastLinQ`: the PMA files are there and may say nothing.
pub(super) static QEDR: Driver = named(&["qedr", "qede"]);

/// InfiniBand adapters and others with port counters alone.
pub(super) static PMA_ONLY: Driver =
    named(&["ocrdma", "be2net", "vmw_pvrdma", "ib_mthca", "usnic_verbs", "ib_qib"]);

/// Intel Omni-Path: names of `hw_counters` are made at run time and may hold commas.
pub(super) static HFI1: Driver = named(&["hfi1"]);

const fn named(names: &'static [&'static str]) -> Driver {
    Driver {
        names,
        tx_bytes: TX_BYTES,
        rx_bytes: RX_BYTES,
        tx_pkts: TX_PKTS,
        rx_pkts: RX_PKTS,
        rows: &[LIFESPAN],
        unknown: Kind::Monotonic64,
        software: false,
        device: DeviceDir::Ignored,
        constant_state: false,
    }
}

/// For a driver that is in no table: the names that most use, then the port counters.
pub(super) static OTHERS: Driver = Driver {
    names: &[],
    tx_bytes: Quantity(&[&[hw("tx_bytes")], &[words("port_xmit_data")]]),
    rx_bytes: Quantity(&[&[hw("rx_bytes")], &[words("port_rcv_data")]]),
    tx_pkts: Quantity(&[&[hw("tx_pkts")], &[hw("tx_packets")], &[pma("port_xmit_packets")]]),
    rx_pkts: Quantity(&[&[hw("rx_pkts")], &[hw("rx_packets")], &[pma("port_rcv_packets")]]),
    rows: ROWS,
    unknown: Kind::Monotonic64,
    software: false,
    device: DeviceDir::Ignored,
    constant_state: false,
};

static ROWS: &[Row] = &[LIFESPAN];
