//! `HiSilicon` Hip09 and later. Source: `hw/hns/hns_roce_main.c`. It counts packets and no bytes.

use super::quantity::{NONE, Quantity, hw};
use super::row::{LIFESPAN, Row, congestion, drops, error, neutral, packets};
use super::{DeviceDir, Driver};
use crate::monitor::counter::Kind;

pub(super) static TABLE: Driver = Driver {
    names: &["hns_roce", "hns_roce_hw_v2", "hns3"],
    tx_bytes: NONE,
    rx_bytes: NONE,
    tx_pkts: Quantity(&[&[hw("tx_pkt")]]),
    rx_pkts: Quantity(&[&[hw("rx_pkt")]]),
    rows: ROWS,
    unknown: Kind::Monotonic64,
    software: false,
    device: DeviceDir::Ignored,
    constant_state: false,
};

static ROWS: &[Row] = &[
    packets("tx_pkt", "packets sent"),
    packets("rx_pkt", "packets received"),
    packets("rx_rc_pkt", "packets received on reliable connections"),
    packets("rx_uc_pkt", "packets received on unreliable connections"),
    packets("rx_ud_pkt", "datagrams received"),
    packets("rx_xrc_pkt", "packets received on extended reliable connections"),
    packets("tx_rc_pkt", "packets sent on reliable connections"),
    packets("tx_uc_pkt", "packets sent on unreliable connections"),
    packets("tx_ud_pkt", "datagrams sent"),
    packets("tx_xrc_pkt", "packets sent on extended reliable connections"),
    drops("rx_err_pkt", "packets received with an error and dropped"),
    error("tx_err_pkt", "packets that could not be sent"),
    congestion("rx_cnp_pkt", "congestion notifications received"),
    congestion("tx_cnp_pkt", "congestion notifications sent"),
    error("trp_get_mpt_err_pkt", "packets whose memory region could not be looked up"),
    error("trp_get_irrl_err_pkt", "packets whose pending read could not be looked up"),
    neutral("ecn_doorbell", "doorbells about congestion marks"),
    neutral("rx_buffer", "receive buffers"),
    neutral("trp_rx_sof", "packets begun"),
    neutral("cq_cqe", "completions"),
    neutral("cq_poe", "completions by processor offload"),
    neutral("cq_notify", "notifications about completions"),
    LIFESPAN,
];
