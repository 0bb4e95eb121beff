//! `node_infiniband_*`. Source: `collector/infiniband_linux.go` of `node_exporter`, and `sysfs/class_infiniband.go` of
//! `procfs` for the files behind the names.
//!
//! Bytes and packets are those of railtop's table, so that drivers have them whose counters `node_exporter` does not
//! know: EFA's as its pull request 3670 names them. What only old kernels have (`counters_ext`) is left out, and so are
//! `board_id` and `hca_type`, which railtop does not read.

use super::super::family::{Families, Labels, Meta, bytes, counter, gauge, gauge_in, info};
use super::super::{pes, ports};
use crate::monitor::Tick;
use crate::monitor::model::view::NicView;

const INFO: Meta = info("node_infiniband", "Non-numeric data of an RDMA device, value is always 1.");
const STATE: Meta = gauge("node_infiniband_state_id", "Logical state of the port, 4 is active.");
const PHYSICAL: Meta =
    gauge("node_infiniband_physical_state_id", "Physical state of the port, 5 is link up.");
const RATE: Meta =
    gauge_in("node_infiniband_rate_bytes_per_second", "bytes_per_second", "Line rate of the port.");
const RX_BYTES: Meta = bytes("node_infiniband_port_data_received_bytes", "Bytes received by the port.");
const TX_BYTES: Meta = bytes("node_infiniband_port_data_transmitted_bytes", "Bytes sent by the port.");
const RX_PACKETS: Meta = counter("node_infiniband_port_packets_received", "Packets received by the port.");
const TX_PACKETS: Meta = counter("node_infiniband_port_packets_transmitted", "Packets sent by the port.");

/// The kernel's name, and the collector's without prefix and `_total`.
static COUNTERS: &[(&str, &str)] = &[
    ("excessive_buffer_overrun_errors", "excessive_buffer_overrun_errors"),
    ("link_downed", "link_downed"),
    ("link_error_recovery", "link_error_recovery"),
    ("local_link_integrity_errors", "local_link_integrity_errors"),
    ("multicast_rcv_packets", "multicast_packets_received"),
    ("multicast_xmit_packets", "multicast_packets_transmitted"),
    ("port_rcv_constraint_errors", "port_constraint_errors_received"),
    ("port_xmit_constraint_errors", "port_constraint_errors_transmitted"),
    ("port_rcv_discards", "port_discards_received"),
    ("port_xmit_discards", "port_discards_transmitted"),
    ("port_rcv_errors", "port_errors_received"),
    ("port_rcv_remote_physical_errors", "port_receive_remote_physical_errors"),
    ("port_rcv_switch_relay_errors", "port_receive_switch_relay_errors"),
    ("port_xmit_wait", "port_transmit_wait"),
    ("symbol_error", "symbol_error"),
    ("unicast_rcv_packets", "unicast_packets_received"),
    ("unicast_xmit_packets", "unicast_packets_transmitted"),
    ("VL15_dropped", "vl15_dropped"),
    ("duplicate_request", "duplicate_requests_packets"),
    ("implied_nak_seq_err", "implied_nak_seq_errors"),
    ("local_ack_timeout_err", "local_ack_timeout_errors"),
    ("np_cnp_sent", "np_cnp_packets_sent"),
    ("np_ecn_marked_roce_packets", "np_ecn_marked_roce_packets_received"),
    ("out_of_buffer", "out_of_buffer_drops"),
    ("out_of_sequence", "out_of_sequence_packets_received"),
    ("packet_seq_err", "packet_sequence_errors"),
    ("req_cqe_error", "req_cqes_errors"),
    ("req_cqe_flush_error", "req_cqes_flush_errors"),
    ("req_remote_access_errors", "req_remote_access_errors"),
    ("req_remote_invalid_request", "req_remote_invalid_request_errors"),
    ("resp_cqe_error", "resp_cqes_errors"),
    ("resp_cqe_flush_error", "resp_cqes_flush_errors"),
    ("resp_local_length_error", "resp_local_length_errors"),
    ("resp_remote_access_errors", "resp_remote_access_errors"),
    ("rnr_nak_retry_err", "rnr_nak_retry_packets_received"),
    ("roce_adp_retrans", "roce_adp_retransmits"),
    ("roce_adp_retrans_to", "roce_adp_retransmits_timeout"),
    ("roce_slow_restart", "roce_slow_restart_used"),
    ("roce_slow_restart_cnps", "roce_slow_restart_cnps"),
    ("roce_slow_restart_trans", "roce_slow_restart"),
    ("rp_cnp_handled", "rp_cnp_packets_handled"),
    ("rp_cnp_ignored", "rp_cnp_ignored_packets_received"),
    ("rx_atomic_requests", "rx_atomic_requests"),
    ("rx_dct_connect", "rx_dct_connect_requests"),
    ("rx_icrc_encapsulated", "rx_icrc_encapsulated_errors"),
    ("rx_read_requests", "rx_read_requests"),
    ("rx_write_requests", "rx_write_requests"),
];

pub(super) fn add(out: &mut Families, tick: &Tick) {
    for row in ports::rows(tick) {
        let device =
            Labels::none().and("device", &row.device).and_some("firmware_version", row.fw_ver.as_deref());
        out.add(&INFO, &device, Some(1_u64));
        port(out, row);
    }
}

fn port(out: &mut Families, row: &NicView) {
    if !ports::is_live(row) {
        return;
    }
    let labels = ports::labels(row);
    out.add(&STATE, &labels, row.state.as_deref().and_then(ports::state));
    out.add(&PHYSICAL, &labels, row.phys_state.as_deref().and_then(ports::physical_state));
    out.add(&RATE, &labels, row.link_bits_per_s.map(|bits| bits / 8));
    out.add(&RX_BYTES, &labels, row.rx.bytes);
    out.add(&TX_BYTES, &labels, row.tx.bytes);
    out.add(&RX_PACKETS, &labels, row.rx.ops);
    out.add(&TX_PACKETS, &labels, row.tx.ops);
    for (kernel, theirs) in COUNTERS {
        let meta = Meta { name: format!("node_infiniband_{theirs}").into(), ..counter("", HELP) };
        out.add(&meta, &labels, pes::value(&row.counters, kernel));
    }
}

const HELP: &str = "The counter that the kernel keeps of it for the port.";
