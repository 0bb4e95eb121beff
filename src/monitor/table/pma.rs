//! `ports/N/counters`: the InfiniBand port counters, the same for all drivers. Widths: InfiniBand specification,
//! `PortCounters` attribute, as in the kernel's `core/sysfs.c`. All of these stop at their maximum; data and
//! packets at that of 32 bits only where the device has no `PortCountersExtended`, and pass it elsewhere.

use super::row::{Row, bytes, drops, error, loss, packets, pressure};
use crate::monitor::counter::{Kind, Unit};

const fn stops(row: Row, bits: u8) -> Row {
    row.kind(Kind::Saturating(bits))
}

pub(super) static ROWS: &[Row] = &[
    stops(bytes("port_xmit_data", "data sent, in words of 4 bytes").unit(Unit::Words), 32),
    stops(bytes("port_rcv_data", "data received, in words of 4 bytes").unit(Unit::Words), 32),
    stops(packets("port_xmit_packets", "packets sent"), 32),
    stops(packets("port_rcv_packets", "packets received"), 32),
    packets("unicast_xmit_packets", "unicast packets sent"),
    packets("unicast_rcv_packets", "unicast packets received"),
    packets("multicast_xmit_packets", "multicast packets sent"),
    packets("multicast_rcv_packets", "multicast packets received"),
    stops(error("symbol_error", "bit errors on the lanes"), 16),
    stops(error("link_error_recovery", "times the link trained again and came back"), 8),
    stops(error("link_downed", "times the link went down"), 8),
    stops(error("port_rcv_errors", "packets received with an error"), 16),
    stops(error("port_rcv_remote_physical_errors", "packets that were bad before they came here"), 16),
    stops(error("port_rcv_switch_relay_errors", "packets that a switch could not forward"), 16),
    stops(
        drops("port_xmit_discards", "packets dropped on the way out: congestion, or the link was down"),
        16,
    ),
    stops(error("port_xmit_constraint_errors", "packets that were not allowed out"), 8),
    stops(error("port_rcv_constraint_errors", "packets that were not allowed in"), 8),
    stops(error("local_link_integrity_errors", "times bit errors passed the link's limit"), 4),
    stops(error("excessive_buffer_overrun_errors", "times flow control failed for long"), 4),
    stops(loss("VL15_dropped", "management packets dropped for want of a buffer").unit(Unit::Packets), 16),
    stops(pressure("port_xmit_wait", "ticks in which there was data to send and no credit"), 32),
];
