//! `node_amazonefa_*`: the kernel's names, without `_total`. Source: the collector that AWS adds to `node_exporter`
//! (`amazon_efa_linux.go` of its EFA node exporter).

use std::borrow::Cow;

use super::super::family::{Families, Kind, Labels, Meta};
use super::super::ports;
use crate::monitor::Tick;

const INFO: Meta = Meta {
    name: Cow::Borrowed("node_amazonefa"),
    kind: Kind::Info,
    unit: None,
    help: Cow::Borrowed("Non-numeric data of an EFA device, value is always 1."),
};

pub(super) fn add(out: &mut Families, tick: &Tick) {
    for row in ports::rows(tick).filter(|row| row.driver == "efa") {
        out.add(&INFO, &Labels::none().and("device", &row.device), Some(1_u64));
        if !ports::is_live(row) {
            continue;
        }
        let labels = ports::labels(row);
        for counter in row.counters.iter().filter(|counter| is_name(counter.name())) {
            let desc = &counter.desc;
            let help = if desc.is_known() { desc.help.clone() } else { Cow::Borrowed("A counter of EFA.") };
            let name = format!("node_amazonefa_{}", counter.name()).into();
            // Its lifespan is a counter there too.
            let meta = Meta { name, kind: Kind::BareCounter, unit: None, help };
            out.add(&meta, &labels, Some(counter.value));
        }
    }
}

/// Whether a file's name can be part of a metric's.
fn is_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
