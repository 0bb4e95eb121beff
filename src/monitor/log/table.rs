//! For reading: columns under two comment lines with names and units (the style of `nvidia-smi dmon`).

use std::io::{self, Write};

use super::Record;
use super::record::Count;
use crate::monitor::model::view::SourceKind;

pub(super) fn begin(out: &mut impl Write) -> io::Result<()> {
    line(out, ["# ts", "dev", "port", "source", "node/pe", "rate", "tx", "rx", "tx_ops", "rx_ops", "flags"])?;
    line(out, ["# UTC", "name", "#", "", "", "Gb/s", "Gb/s", "Gb/s", "op|pkt/s", "op|pkt/s", ""])
}

pub(super) fn record(out: &mut impl Write, r: &Record<'_>) -> io::Result<()> {
    let (tx_count, rx_count) = match r.count {
        Count::Packets { tx_pkts_per_s, rx_pkts_per_s, .. } => (tx_pkts_per_s, rx_pkts_per_s),
        Count::Operations { tx_ops_per_s, rx_ops_per_s, .. } => (tx_ops_per_s, rx_ops_per_s),
    };
    let dash = || "-".to_owned();
    let gbps = |bytes_per_s: Option<f64>| bytes_per_s.map_or_else(dash, |v| format!("{:.3}", v * 8.0 / 1e9));
    let count = |per_s: Option<f64>| per_s.map_or_else(dash, |v| format!("{v:.0}"));
    let pe = r.pe.map_or_else(dash, |pe| format!("{}/{pe}", r.node.unwrap_or("-")));
    let rate = r.rate_bps.map_or_else(dash, |bps| format!("{}", bps as f64 / 1e9));
    let flags = if r.flags.is_empty() { dash() } else { r.flags.join(",") };
    line(
        out,
        [
            &r.ts,
            r.dev,
            &r.port.to_string(),
            r.source,
            &pe,
            &rate,
            &gbps(r.tx_bytes_per_s),
            &gbps(r.rx_bytes_per_s),
            &count(tx_count),
            &count(rx_count),
            &flags,
        ],
    )
}

/// Text to the left, numbers to the right.
fn line(out: &mut impl Write, c: [&str; 11]) -> io::Result<()> {
    let [ts, dev, port, source, pe, rate, tx, rx, tx_count, rx_count, flags] = c;
    let width = SourceKind::Netdev.name().len();
    let line = format!(
        "{ts:<24} {dev:<14} {port:>4} {source:<width$} {pe:<12} {rate:>6} {tx:>9} {rx:>9} {tx_count:>9} {rx_count:>9} {flags}"
    );
    writeln!(out, "{}", line.trim_end())
}
