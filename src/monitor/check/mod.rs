//! Is the load balanced? Bytes per NIC over a while, judged per group and direction.

mod tally;

use serde::Serialize;

pub use tally::Tally;

use crate::balance::Direction;

/// A group that moved less than this share of what the busiest group of its kind (and job) moved is left out in that
/// direction: acknowledgements and barriers are no load to balance.
pub const LEFT_OUT_BELOW: f64 = 0.01;

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
    /// Which group: `job/node/pe`, `gpu:0000:53:00.0`, `numa:0`, `node:host`.
    pub group: String,
    /// Which direction.
    pub direction: Direction,
    /// Busiest NIC over mean; absent when idle or not known. The least it can be where NICs could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_over_mean: Option<f64>,
    /// NICs that carried traffic.
    pub active_nics: usize,
    /// All NICs of the group.
    pub nics: usize,
    /// The verdict; absent when it could not be judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Word>,
    /// Why it could not be judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `dead` or `stalled`, where the PE was so at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// Bytes in all, of the NICs that could be read.
    pub bytes: u64,
    /// NICs that could not be read.
    #[serde(skip_serializing_if = "is_zero")]
    pub unread_nics: usize,
    /// NICs that the group is judged without: their drivers count no bytes, and so say nothing about a load.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// NICs that the PE did without at the last look, because they had failed: the others carry their work.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub down: Vec<String>,
    /// NICs that were so at an earlier look, and are used again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub was_down: Vec<String>,
    /// Of a skewed group: the NICs that carried more than the limit times the mean.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub busiest: Vec<String>,
    /// The one NIC that carried far less than the others, which share the load: also of a group that is balanced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// What `check` says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Skewed if one group is; else balanced, unless all are idle. Groups that could not be judged have no say.
    pub verdict: Word,
    /// Every group, per direction.
    pub groups: Vec<GroupReport>,
}

impl Report {
    /// The report of `groups`.
    ///
    /// # Errors
    /// When none of them could be judged, with the reasons.
    fn of(groups: Vec<GroupReport>) -> Result<Self, String> {
        let any = |word| groups.iter().any(|g: &GroupReport| g.verdict == Some(word));
        let verdict = match (any(Word::Skewed), any(Word::Balanced), any(Word::Idle)) {
            (true, _, _) => Word::Skewed,
            (false, true, _) => Word::Balanced,
            (false, false, true) => Word::Idle,
            (false, false, false) => return Err(why_none(&groups)),
        };
        Ok(Self { verdict, groups })
    }
}

/// Why no group could be judged: a reason that several share is said once.
fn why_none(groups: &[GroupReport]) -> String {
    if !groups.is_empty() && groups.iter().all(|g| g.state == Some(tally::DEAD)) {
        return "all PEs are dead".to_owned();
    }
    let mut reasons: Vec<String> =
        groups.iter().filter_map(|g| Some(format!("{}: {}", g.group, g.reason.as_ref()?))).collect();
    reasons.dedup();
    let more = reasons.len().saturating_sub(4);
    reasons.truncate(4);
    if more > 0 {
        reasons.push(format!("and {more} more"));
    }
    reasons.join("; ")
}
