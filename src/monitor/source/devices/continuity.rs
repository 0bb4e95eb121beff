//! One incarnation per port, whatever source it is read from: the counters are the same ones, so that a change of the
//! source is neither a reset nor a gap.

use std::collections::HashMap;

use crate::monitor::model::view::SourceKind;
use crate::monitor::sample::PortSample;

/// Most ports that are remembered.
const MAX_PORTS: usize = 4096;

/// The incarnations of all ports.
#[derive(Debug, Default)]
pub(super) struct Continuity(HashMap<(String, u8), Port>);

/// Of each source the incarnation it last told, and ours.
#[derive(Debug, Default)]
struct Port {
    sysfs: Option<u64>,
    netlink: Option<u64>,
    ours: u64,
}

impl Continuity {
    /// A renamed device stays what it is.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let ports: Vec<u8> = self.0.keys().filter(|(name, _)| name == from).map(|&(_, port)| port).collect();
        for port in ports {
            if let Some(known) = self.0.remove(&(from.to_owned(), port)) {
                self.0.insert((to.to_owned(), port), known);
            }
        }
    }

    /// Puts our incarnation in place of the source's.
    pub(super) fn apply(&mut self, sample: &mut PortSample) {
        let Ok(reading) = &mut sample.reading else { return };
        if self.0.len() >= MAX_PORTS {
            self.0.clear();
        }
        let port = self.0.entry((sample.facts.device.clone(), sample.facts.port)).or_default();
        let last = if sample.source == SourceKind::Netlink { &mut port.netlink } else { &mut port.sysfs };
        let theirs = reading.incarnation;
        if last.replace(theirs).is_some_and(|before| before != theirs) {
            port.ours += 1;
        }
        reading.incarnation = port.ours;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::monitor::sample::{PortFacts, Reading};

    #[test]
    fn only_a_change_within_one_source_is_a_new_incarnation() {
        let mut continuity = Continuity::default();
        let mut tell = |source, incarnation| {
            let facts = PortFacts { device: "a".to_owned(), port: 1, ..PortFacts::default() };
            let reading = Ok(Reading { incarnation, ..Reading::default() });
            let mut sample = PortSample { facts: Arc::new(facts), source, reading };
            continuity.apply(&mut sample);
            sample.reading.unwrap().incarnation
        };
        assert_eq!(tell(SourceKind::Sysfs, 0), 0);
        assert_eq!(tell(SourceKind::Netlink, 77), 0);
        assert_eq!(tell(SourceKind::Sysfs, 0), 0);
        assert_eq!(tell(SourceKind::Netlink, 78), 1);
        assert_eq!(tell(SourceKind::Sysfs, 0), 1);
        assert_eq!(tell(SourceKind::Sysfs, 1), 2);
    }
}
