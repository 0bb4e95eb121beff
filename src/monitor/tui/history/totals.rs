//! Bytes since the screen began to look, over resets of the counters.

use std::collections::HashMap;

use super::{CAPACITY, RowKey};
use crate::monitor::model::view::{NicView, View};

/// What one direction's counter said, and what it takes to make it begin at the start.
#[derive(Debug, Default, Clone, Copy)]
struct Way {
    last: Option<u64>,
    /// Added to the counter's value: minus what it had at the start, plus what it had at each reset.
    offset: i128,
    /// When it last began again; what was before cannot be told from its value any more.
    reset_ns: u64,
}

impl Way {
    fn push(&mut self, bytes: Option<u64>, mono_ns: u64) {
        let Some(bytes) = bytes else { return };
        match self.last {
            None => (self.offset, self.reset_ns) = (-i128::from(bytes), mono_ns),
            Some(last) if bytes < last => {
                (self.offset, self.reset_ns) = (self.offset + i128::from(last), mono_ns);
            }
            Some(_) => {}
        }
        self.last = Some(bytes);
    }

    fn since_start(&self, bytes: Option<u64>, mono_ns: u64) -> Option<u64> {
        self.last.filter(|_| mono_ns >= self.reset_ns)?;
        u64::try_from(i128::from(bytes?) + self.offset).ok()
    }
}

/// Both directions of every NIC, and for how many ticks it has been gone.
#[derive(Debug, Default)]
pub(super) struct Totals(HashMap<RowKey, ([Way; 2], usize)>);

impl Totals {
    /// Takes a tick's counters.
    pub(super) fn push(&mut self, view: &View) {
        for (_, gone) in self.0.values_mut() {
            *gone += 1;
        }
        for group in &view.groups {
            for nic in &group.nics {
                let key = RowKey::Nic(group.key.clone(), nic.key.clone());
                let (ways, gone) = self.0.entry(key).or_default();
                ways[0].push(nic.tx.bytes, view.mono_ns);
                ways[1].push(nic.rx.bytes, view.mono_ns);
                *gone = 0;
            }
        }
        self.0.retain(|_, (_, gone)| *gone < CAPACITY);
    }

    /// Bytes sent and received by `nic` from the start until `mono_ns`, which is when it was as it is given.
    pub(super) fn since_start(&self, mono_ns: u64, group: &str, nic: &NicView) -> [Option<u64>; 2] {
        let Some((ways, _)) = self.0.get(&RowKey::Nic(group.to_owned(), nic.key.clone())) else {
            return [None, None];
        };
        [ways[0].since_start(nic.tx.bytes, mono_ns), ways[1].since_start(nic.rx.bytes, mono_ns)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_takes_nothing_away_and_the_time_before_it_is_not_known() {
        let mut way = Way::default();
        way.push(Some(1_000), 1);
        way.push(Some(1_500), 2);
        assert_eq!(way.since_start(Some(1_500), 2), Some(500));
        way.push(Some(70), 3);
        assert_eq!(way.since_start(Some(70), 3), Some(570));
        assert_eq!(way.since_start(Some(1_500), 2), None);
        assert_eq!(way.since_start(None, 3), None);
    }
}
