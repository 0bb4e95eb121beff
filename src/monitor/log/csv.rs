//! Comma-separated values after RFC 4180, one header line, empty = missing. Columns are only ever added at the end.

use std::io::{self, Write};

use super::Record;
use super::record::Count;

const COLUMNS: &str = "ts,mono_ns,dt_s,host,dev,port,source,job,node,pe,policy,rx_source,driver,netdev,rate_bps,\
tx_bytes,rx_bytes,tx_bytes_per_s,rx_bytes_per_s,tx_pkts,rx_pkts,tx_pkts_per_s,rx_pkts_per_s,\
tx_ops,rx_ops,tx_ops_per_s,rx_ops_per_s,in_flight_bytes,flags,reason,missed_ticks,state,\
phys_state,link_layer,rate_overridden,drops,retransmits,timeouts,congestion,\
drops_per_s,retransmits_per_s,timeouts_per_s,congestion_per_s,saturated,down,span_ns";

pub(super) fn begin(out: &mut impl Write) -> io::Result<()> {
    out.write_all(COLUMNS.as_bytes())?;
    out.write_all(b"\r\n")
}

pub(super) fn record(out: &mut impl Write, r: &Record<'_>) -> io::Result<()> {
    let (packets, operations) = match r.count {
        Count::Packets { tx_pkts, rx_pkts, tx_pkts_per_s, rx_pkts_per_s } => (
            [number(tx_pkts), number(rx_pkts), number(tx_pkts_per_s), number(rx_pkts_per_s)],
            Default::default(),
        ),
        Count::Operations { tx_ops, rx_ops, tx_ops_per_s, rx_ops_per_s } => {
            (Default::default(), [number(tx_ops), number(rx_ops), number(tx_ops_per_s), number(rx_ops_per_s)])
        }
    };
    let mut fields = vec![
        r.ts.clone(),
        number(r.mono_ns),
        number(r.dt_s),
        text(Some(r.host)),
        text(Some(r.dev)),
        r.port.to_string(),
        r.source.to_owned(),
        text(r.job),
        text(r.node),
        number(r.pe),
        text(r.policy),
        text(r.rx_source),
        text(Some(r.driver)),
        text(r.netdev),
        number(r.rate_bps),
        number(r.tx_bytes),
        number(r.rx_bytes),
        number(r.tx_bytes_per_s),
        number(r.rx_bytes_per_s),
    ];
    fields.extend(packets);
    fields.extend(operations);
    fields.extend([
        number(r.in_flight_bytes),
        r.flags.join(" "),
        text(r.reason),
        r.missed_ticks.to_string(),
        text(r.state),
        text(r.phys_state),
        text(r.link_layer),
        if r.rate_overridden { "true" } else { "" }.to_owned(),
        number(r.health.drops),
        number(r.health.retransmits),
        number(r.health.timeouts),
        number(r.health.congestion),
        number(r.health.drops_per_s),
        number(r.health.retransmits_per_s),
        number(r.health.timeouts_per_s),
        number(r.health.congestion_per_s),
        text(Some(&r.saturated.join(" "))),
        number(r.down),
        number((r.span_ns > 0).then_some(r.span_ns)),
    ]);
    write!(out, "{}\r\n", fields.join(","))
}

fn number<T: ToString>(value: Option<T>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

/// Quotes where RFC 4180 asks for it.
fn text(value: Option<&str>) -> String {
    let value = value.unwrap_or_default();
    if value.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_needs_quotes() {
        assert_eq!(text(Some("plain")), "plain");
        assert_eq!(text(Some("a,\"b\"")), "\"a,\"\"b\"\"\"");
        assert_eq!(text(None), "");
    }
}
