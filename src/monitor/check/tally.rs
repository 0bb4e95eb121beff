//! Adds up what every NIC moves, and judges its group by it.

use std::collections::BTreeMap;

use super::{GroupReport, LEFT_OUT_BELOW, Report, Word};
use crate::balance::{Direction, Spread, Verdict};
use crate::monitor::Tick;
use crate::monitor::model::distribution::slow;
use crate::monitor::model::view::{Flow, GroupKind, GroupView, Mark, NicView, SourceKind};
use crate::monitor::sample::Needs;

/// The state of a PE that ended without a word.
pub(super) const DEAD: &str = "dead";

/// Adds up bytes from tick to tick.
#[derive(Debug, Default)]
pub struct Tally {
    source: Option<SourceKind>,
    groups: BTreeMap<String, GroupTally>,
}

/// Groups that are compared with each other to tell load from chatter.
type Scope = (GroupKind, Option<String>);

#[derive(Debug)]
struct GroupTally {
    scope: Scope,
    /// At the last look.
    state: Option<&'static str>,
    /// By key.
    nics: BTreeMap<String, NicTally>,
}

/// One NIC.
#[derive(Debug, Default)]
struct NicTally {
    /// The name to show.
    name: String,
    tx: FlowTally,
    rx: FlowTally,
    /// Why it could not be read, where it could not.
    reason: Option<String>,
    /// It could not be read at the last look.
    stale: bool,
    /// Its driver has no counter of bytes.
    counts_no_bytes: bool,
    /// Of what it was read last.
    incarnation: Option<u64>,
    /// Whether its PE did without it, because it had failed.
    down: Down,
}

/// At which looks a NIC was down.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Down {
    #[default]
    Never,
    /// At some, not at the last.
    Before,
    /// At the last.
    Now,
}

impl Down {
    fn then(self, down: bool) -> Self {
        match self {
            _ if down => Self::Now,
            Self::Never => Self::Never,
            Self::Before | Self::Now => Self::Before,
        }
    }
}

/// One direction of a NIC.
#[derive(Debug, Default)]
struct FlowTally {
    bytes: Counter,
    /// Operations of a page, packets of a device.
    ops: Counter,
    /// A device's bytes were not known at the last look, or at no look before it.
    lost: bool,
}

/// A counter from its first sight on.
#[derive(Debug, Default)]
struct Counter {
    last: Option<u64>,
    moved: u64,
    /// At how many looks it had a value: between two of them something can have moved.
    looks: u64,
}

impl Counter {
    /// After a reset it counts on from where the counter is now.
    fn add(&mut self, value: Option<u64>) {
        let Some(value) = value else { return };
        self.moved = self.moved.saturating_add(value.saturating_sub(self.last.unwrap_or(value)));
        self.last = Some(value);
        self.looks += 1;
    }
}

impl FlowTally {
    fn add(&mut self, flow: Flow, is_another: bool) {
        if is_another {
            // Between two devices of one name nothing moved, however far apart their counters are.
            (self.bytes.last, self.ops.last) = (None, None);
        }
        self.bytes.add(flow.bytes);
        self.ops.add(flow.ops);
    }
}

impl NicTally {
    fn of(&self, direction: Direction) -> &FlowTally {
        match direction {
            Direction::Tx => &self.tx,
            Direction::Rx => &self.rx,
        }
    }

    /// Whether its bytes are known up to the last look.
    fn is_read(&self, direction: Direction) -> bool {
        let flow = self.of(direction);
        !self.stale && !flow.lost && flow.bytes.last.is_some()
    }
}

impl Tally {
    /// Counts by `source`; without one by each group's own.
    #[must_use]
    pub fn new(source: Option<SourceKind>) -> Self {
        Self { source, groups: BTreeMap::new() }
    }

    /// What has to be read: bytes, and how many packets (or operations) they were, which tells what one more makes.
    #[must_use]
    pub fn needs() -> Needs {
        Needs { packets: true, ..Needs::list() }
    }

    /// Takes the next tick. A NIC counts from its first sight to its last, so a PE that ends keeps what it moved.
    pub fn add(&mut self, tick: &Tick) {
        for group in &tick.view.groups {
            let tally = self.groups.entry(group.key.clone()).or_insert_with(|| GroupTally::new(group));
            tally.state = state(group);
            for nic in &group.nics {
                let tally = tally.nics.entry(nic.key.clone()).or_insert_with(|| NicTally::new(nic));
                tally.stale = nic.marks.iter().any(|m| matches!(m, Mark::Stale | Mark::Gone));
                tally.reason.clone_from(&nic.reason);
                tally.down = tally.down.then(nic.marks.contains(&Mark::Down));
                let (tx, rx) = flows(nic, self.source);
                let is_another = tally.incarnation.replace(nic.incarnation) != Some(nic.incarnation);
                tally.tx.add(tx, is_another);
                tally.rx.add(rx, is_another);
                tally.counts_no_bytes = nic.counts_no_bytes();
                // The interface below a PE's NIC is not read any more once the PE has ended, and that is fine.
                let is_device = nic.source != SourceKind::Page;
                let is_lost = |flow: Flow, tally: &FlowTally| {
                    is_device && (flow.bytes.is_none() || tally.bytes.looks < 2)
                };
                (tally.tx.lost, tally.rx.lost) = (is_lost(tx, &tally.tx), is_lost(rx, &tally.rx));
                if tally.tx.bytes.looks.max(tally.rx.bytes.looks) == 1 && tally.reason.is_none() {
                    tally.reason = Some("it has answered only once".to_owned());
                }
            }
        }
    }

    /// Whether no group was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Judges `directions` under the limit `max_over_mean`.
    ///
    /// # Errors
    /// When no group could be judged: why.
    pub fn judge(&self, max_over_mean: f64, directions: &[Direction]) -> Result<Report, String> {
        let mut groups = Vec::new();
        for (key, group) in &self.groups {
            let busiest = self.busiest_of(&group.scope);
            groups.extend(directions.iter().map(|&d| group.judge(key, d, max_over_mean, busiest)));
        }
        Report::of(groups)
    }

    /// What the busiest group of a scope moved in its busier direction.
    fn busiest_of(&self, scope: &Scope) -> u64 {
        let of_scope = self.groups.values().filter(|g| g.scope == *scope);
        of_scope.flat_map(|g| Direction::BOTH.map(|d| g.bytes(d))).max().unwrap_or(0)
    }
}

fn state(group: &GroupView) -> Option<&'static str> {
    let has = |mark| group.marks.contains(&mark);
    if has(Mark::Dead) { Some(DEAD) } else { has(Mark::Stalled).then_some("stalled") }
}

impl NicTally {
    fn new(nic: &NicView) -> Self {
        let name = if nic.port > 1 { format!("{}/{}", nic.device, nic.port) } else { nic.device.clone() };
        Self { name, ..Self::default() }
    }
}

impl GroupTally {
    fn new(group: &GroupView) -> Self {
        Self { scope: (group.kind, group.job.clone()), state: None, nics: BTreeMap::new() }
    }

    /// The NICs that could be read.
    fn read(&self, direction: Direction) -> impl Iterator<Item = &NicTally> {
        self.nics.values().filter(move |nic| nic.is_read(direction))
    }

    /// The NICs that are judged: those whose drivers count bytes, or all where none does.
    fn judged(&self) -> impl Iterator<Item = &NicTally> {
        let all_alike = self.nics.values().all(|nic| nic.counts_no_bytes);
        self.nics.values().filter(move |nic| all_alike || !nic.counts_no_bytes)
    }

    /// The names of the others.
    fn left_out(&self) -> Vec<String> {
        let judged: Vec<&str> = self.judged().map(|nic| nic.name.as_str()).collect();
        let names = self.nics.values().map(|nic| nic.name.clone());
        names.filter(|name| !judged.contains(&name.as_str())).collect()
    }

    /// The names of those that were down so.
    fn names(&self, down: Down) -> Vec<String> {
        self.nics.values().filter(|nic| nic.down == down).map(|nic| nic.name.clone()).collect()
    }

    fn bytes(&self, direction: Direction) -> u64 {
        self.read(direction).fold(0, |sum, nic| sum.saturating_add(nic.of(direction).bytes.moved))
    }

    fn judge(&self, key: &str, direction: Direction, limit: f64, busiest_group: u64) -> GroupReport {
        let bytes = self.bytes(direction);
        let mut moved: Vec<f64> = self.read(direction).map(|n| n.of(direction).bytes.moved as f64).collect();
        let unread_nics = self.judged().count() - moved.len();
        if (bytes as f64) < busiest_group as f64 * LEFT_OUT_BELOW {
            moved.fill(0.0);
        }
        let spread = Spread::of_known(&moved, unread_nics, limit);
        let verdict = match spread.verdict {
            _ if self.state == Some(DEAD) && Direction::BOTH.iter().all(|&d| self.bytes(d) == 0) => {
                Err("the PE is dead".to_owned())
            }
            Verdict::Balanced => Ok(Word::Balanced),
            Verdict::Skewed | Verdict::SingleNic if self.may_be_rounding(direction, &spread, limit) => {
                Err("too little traffic to judge: one operation more or less decides it; look longer"
                    .to_owned())
            }
            Verdict::Skewed | Verdict::SingleNic => Ok(Word::Skewed),
            Verdict::Idle => Ok(Word::Idle),
            Verdict::Unknown => Err(self.why_unread(direction)),
        };
        let skewed = verdict == Ok(Word::Skewed);
        let mean = bytes as f64 / moved.len().max(1) as f64;
        let busiest = self.read(direction).filter(|n| n.of(direction).bytes.moved as f64 > mean * limit);
        GroupReport {
            group: key.to_owned(),
            direction,
            max_over_mean: spread.max_over_mean,
            active_nics: spread.active_nics,
            nics: spread.nics,
            verdict: verdict.as_ref().ok().copied(),
            state: self.state,
            bytes,
            unread_nics,
            left_out: self.left_out(),
            down: self.names(Down::Now),
            was_down: self.names(Down::Before),
            slow: self.slow(direction, &moved),
            busiest: busiest.filter(|_| skewed).map(|n| n.name.clone()).collect(),
            reason: verdict.err(),
        }
    }

    /// The NIC that is slow by what all of them `moved`, and would be with one operation more. One that was down is not slow.
    fn slow(&self, direction: Direction, moved: &[f64]) -> Option<String> {
        if moved.len() < self.judged().count() {
            return None;
        }
        let found = slow(moved)?;
        let mut with_one_more = moved.to_vec();
        with_one_more[found] += self.bytes_of_operation(direction);
        let certain = slow(&with_one_more) == Some(found);
        self.read(direction)
            .nth(found)
            .filter(|nic| certain && nic.down == Down::Never)
            .map(|nic| nic.name.clone())
    }

    /// Whether a spread beyond the limit is within what one operation of the busiest NIC makes.
    ///
    /// A page counts an operation when it is done, however long it took: its bytes may have moved before the look, and
    /// the last ones' bytes are not counted yet. A NIC's bytes are off by less than one operation, then.
    fn may_be_rounding(&self, direction: Direction, spread: &Spread, limit: f64) -> bool {
        let busiest = self.read(direction).map(|n| n.of(direction).bytes.moved).max().unwrap_or(0) as f64;
        let certain = 1.0 - self.bytes_of_operation(direction) / busiest.max(1.0);
        spread.max_over_mean.is_some_and(|ratio| ratio * certain <= limit)
    }

    /// The mean size of an operation; that of the other direction where these are not counted, 0 where none are.
    fn bytes_of_operation(&self, direction: Direction) -> f64 {
        let ops = |d: Direction| self.read(d).fold(0, |sum: u64, n| sum.saturating_add(n.of(d).ops.moved));
        let counted = std::iter::once(direction).chain(Direction::BOTH).find(|&d| ops(d) > 0);
        counted.map_or(0.0, |d| self.bytes(d) as f64 / ops(d) as f64)
    }

    /// Names the NICs that could not be read, with the first one's reason.
    fn why_unread(&self, direction: Direction) -> String {
        let unread = || self.judged().filter(|nic| !nic.is_read(direction));
        let names = unread().map(|nic| nic.name.as_str()).collect::<Vec<_>>().join(", ");
        let why = unread().find_map(|nic| Some(format!(" ({}: {})", nic.name, nic.reason.as_ref()?)));
        format!("cannot read {names} of {} NICs{}", self.judged().count(), why.unwrap_or_default())
    }
}

/// What a NIC sent and received, as `source` has it.
fn flows(nic: &NicView, source: Option<SourceKind>) -> (Flow, Flow) {
    match (&nic.kernel, source) {
        // Asked for the interfaces below a page's NICs, or in place of software RDMA's bytes.
        (Some(kernel), Some(SourceKind::Netdev)) => (kernel.tx, kernel.rx),
        (None, Some(SourceKind::Netdev)) if nic.source != SourceKind::Netdev => {
            (Flow::default(), Flow::default())
        }
        _ => (nic.tx, nic.rx),
    }
}

#[cfg(test)]
mod tests;
