//! PEs that end without a word.

use std::collections::BTreeMap;

use super::journal::Found;
use crate::monitor::model::view::{EventKind, Severity};
use crate::monitor::sample::{PageSample, PageState};

/// Which run of each PE there is, and whether it was seen alive.
#[derive(Debug, Default)]
pub(super) struct Pes {
    /// By key: process id, incarnation, alive.
    pes: BTreeMap<String, (u32, u64, bool)>,
}

impl Pes {
    /// Takes the pages of a tick in. One that is dead at first sight died before anybody looked.
    pub(super) fn update(&mut self, pages: &[PageSample], found: &mut Vec<Found>) {
        let mut now = BTreeMap::new();
        for page in pages {
            let run = page.nics.first().map_or(0, |nic| nic.reading.incarnation);
            let dead = page.state == PageState::Dead;
            let was_alive = self
                .pes
                .get(&page.key)
                .is_some_and(|&(pid, before, alive)| alive && pid == page.pid && before == run);
            if dead && was_alive {
                found.push(died(page));
            }
            now.insert(
                page.key.clone(),
                (page.pid, run, matches!(page.state, PageState::Alive | PageState::Stalled)),
            );
        }
        self.pes = now;
    }
}

fn died(page: &PageSample) -> Found {
    let sum = |bytes: fn(&crate::monitor::sample::Traffic) -> Option<u64>| {
        page.nics.iter().filter_map(|nic| bytes(&nic.reading.traffic)).fold(0, u64::saturating_add)
    };
    let text = format!(
        "PE {} of job {} on {} (pid {}, {}) ended without closing its counter page: it was killed or crashed. It had \
         sent {} and received {}.",
        page.pe,
        page.job,
        page.node,
        page.pid,
        page.command,
        crate::units::format_size(sum(|t| t.tx_bytes)),
        crate::units::format_size(sum(|t| t.rx_bytes)),
    );
    Found {
        kind: EventKind::PeDied,
        severity: Severity::Bad,
        subject: format!("{} PE {}", page.node, page.pe),
        text,
    }
}
