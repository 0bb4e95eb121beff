//! Is the load balanced? Bytes per NIC over a while, judged per group and direction.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Tick;
use super::model::view::{Flow, GroupKind, GroupView, NicView, SourceKind};
use crate::balance::{Spread, Verdict};

/// A group that moved less than this share of what the busiest group of its kind (and job) moved is left out in that
/// direction: acknowledgements and barriers are no load to balance.
pub const LEFT_OUT_BELOW: f64 = 0.01;

/// A direction of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Sent.
    Tx,
    /// Received.
    Rx,
}

impl Direction {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Tx, Self::Rx];

    /// `tx` or `rx`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tx => "tx",
            Self::Rx => "rx",
        }
    }

    fn of(self, nic: &NicView, source: Option<SourceKind>) -> Flow {
        let (tx, rx) = match (&nic.kernel, source) {
            // Asked for the interfaces below a page's NICs.
            (Some(kernel), Some(SourceKind::Netdev)) => (kernel.tx, kernel.rx),
            (None, Some(SourceKind::Netdev)) => (Flow::default(), Flow::default()),
            _ => (nic.tx, nic.rx),
        };
        match self {
            Self::Tx => tx,
            Self::Rx => rx,
        }
    }
}

/// One word for a group or for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Within the limit.
    Balanced,
    /// Not.
    Skewed,
    /// Nothing moved.
    Idle,
}

/// One group in one direction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupReport {
    /// Which group: `job/node/pe`, `gpu:0000:53:00.0`, `node:host`.
    pub group: String,
    /// Which direction.
    pub direction: Direction,
    /// Busiest NIC over mean; absent when idle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_over_mean: Option<f64>,
    /// NICs that carried traffic.
    pub active_nics: usize,
    /// All NICs whose bytes are known.
    pub nics: usize,
    /// The verdict.
    pub verdict: Word,
    /// Bytes in all.
    pub bytes: u64,
    /// NICs of the group that could not be judged, because their bytes are not known.
    #[serde(skip_serializing_if = "is_zero")]
    pub unread_nics: usize,
    /// Of a skewed group: the NICs that carried more than the limit times the mean.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub busiest: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// What `check` says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Skewed if one group is; else balanced, unless all are idle.
    pub verdict: Word,
    /// Every group, per direction.
    pub groups: Vec<GroupReport>,
}

/// Adds up bytes from tick to tick.
#[derive(Debug, Default)]
pub struct Tally {
    source: Option<SourceKind>,
    groups: BTreeMap<String, GroupTally>,
}

#[derive(Debug)]
struct GroupTally {
    scope: Scope,
    /// The most NICs it had at one time.
    size: usize,
    /// By key, each with the name to show.
    nics: BTreeMap<(Direction, String), NicTally>,
}

/// Groups that are compared with each other to tell load from chatter.
type Scope = (GroupKind, Option<String>);

#[derive(Debug)]
struct NicTally {
    name: String,
    last: u64,
    moved: u64,
}

impl Tally {
    /// Counts by `source`; without one by each group's own.
    #[must_use]
    pub fn new(source: Option<SourceKind>) -> Self {
        Self { source, groups: BTreeMap::new() }
    }

    /// Takes the next tick. A NIC counts from its first sight to its last, so a PE that ends keeps what it moved.
    pub fn add(&mut self, tick: &Tick) {
        for group in &tick.view.groups {
            let tally = self.groups.entry(group.key.clone()).or_insert_with(|| GroupTally::new(group));
            tally.size = tally.size.max(group.nics.len());
            for nic in &group.nics {
                for direction in Direction::BOTH {
                    if let Some(bytes) = direction.of(nic, self.source).bytes {
                        tally.add(direction, nic, bytes);
                    }
                }
            }
        }
    }

    /// Whether bytes of some NIC are known.
    #[must_use]
    pub fn has_seen_bytes(&self) -> bool {
        self.groups.values().any(|g| !g.nics.is_empty())
    }

    /// Judges `directions` under the limit `max_over_mean`.
    #[must_use]
    pub fn judge(&self, max_over_mean: f64, directions: &[Direction]) -> Report {
        let mut groups = Vec::new();
        for (key, group) in &self.groups {
            let busiest = self.busiest_of(&group.scope);
            for &direction in directions {
                groups.extend(group.judge(key, direction, max_over_mean, busiest));
            }
        }
        let any = |word| groups.iter().any(|g: &GroupReport| g.verdict == word);
        let verdict = match (any(Word::Skewed), any(Word::Balanced)) {
            (true, _) => Word::Skewed,
            (false, true) => Word::Balanced,
            (false, false) => Word::Idle,
        };
        Report { verdict, groups }
    }

    /// What the busiest group of a scope moved in its busier direction.
    fn busiest_of(&self, scope: &Scope) -> u64 {
        let of_scope = self.groups.values().filter(|g| g.scope == *scope);
        of_scope.flat_map(|g| Direction::BOTH.map(|d| g.total(d))).max().unwrap_or(0)
    }
}

impl GroupTally {
    fn new(group: &GroupView) -> Self {
        Self { scope: (group.kind, group.job.clone()), size: 0, nics: BTreeMap::new() }
    }

    fn add(&mut self, direction: Direction, nic: &NicView, bytes: u64) {
        let name = if nic.port > 1 { format!("{}/{}", nic.device, nic.port) } else { nic.device.clone() };
        let tally = self.nics.entry((direction, nic.key.clone())).or_insert_with(|| NicTally {
            name,
            last: bytes,
            moved: 0,
        });
        // After a reset it counts on from where the counter is now.
        tally.moved = tally.moved.saturating_add(bytes.saturating_sub(tally.last));
        tally.last = bytes;
    }

    fn of(&self, direction: Direction) -> impl Iterator<Item = &NicTally> {
        self.nics.iter().filter(move |((d, _), _)| *d == direction).map(|(_, nic)| nic)
    }

    fn total(&self, direction: Direction) -> u64 {
        self.of(direction).fold(0, |sum, nic| sum.saturating_add(nic.moved))
    }

    /// `None` when no NIC's bytes are known in this direction.
    fn judge(&self, key: &str, direction: Direction, limit: f64, busiest_group: u64) -> Option<GroupReport> {
        let mut moved: Vec<f64> = self.of(direction).map(|n| n.moved as f64).collect();
        let nics = moved.len();
        let bytes = self.total(direction);
        if (bytes as f64) < busiest_group as f64 * LEFT_OUT_BELOW {
            moved.clear();
        }
        let spread = Spread::of(&moved, limit);
        let verdict = match spread.verdict {
            Verdict::Balanced => Word::Balanced,
            Verdict::Skewed | Verdict::SingleNic => Word::Skewed,
            Verdict::Idle => Word::Idle,
        };
        let mean = bytes as f64 / nics.max(1) as f64;
        let busiest = self.of(direction).filter(|n| verdict == Word::Skewed && n.moved as f64 > mean * limit);
        (nics > 0).then(|| GroupReport {
            group: key.to_owned(),
            direction,
            max_over_mean: spread.max_over_mean,
            active_nics: spread.active_nics,
            nics,
            verdict,
            bytes,
            unread_nics: self.size.saturating_sub(nics),
            busiest: busiest.map(|n| n.name.clone()).collect(),
        })
    }
}
