//! How evenly traffic is spread over the NICs of a group. Pure arithmetic, shared by the monitor and the workloads.

use serde::{Deserialize, Serialize};

/// A direction of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

    /// What a NIC did that way: `sent` or `received`.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Tx => "sent",
            Self::Rx => "received",
        }
    }
}

/// The busiest NIC's bytes over the mean of all NICs of the group: 1 = even, N = one NIC of N.
///
/// `None` when nothing moved: an idle group is neither balanced nor skewed.
#[must_use]
pub fn max_over_mean(bytes: &[f64]) -> Option<f64> {
    let total: f64 = bytes.iter().sum();
    let max = bytes.iter().copied().fold(0.0, f64::max);
    (total > 0.0).then(|| max * bytes.len() as f64 / total)
}

/// A NIC counts as active when it carries at least this share of the group's mean.
///
/// A rail that only carries barriers and acknowledgements must not pass for one that shares the load.
pub const ACTIVE_SHARE_OF_MEAN: f64 = 0.01;

/// How many NICs carry traffic worth the name (see [`ACTIVE_SHARE_OF_MEAN`]).
#[must_use]
pub fn active_nics(bytes: &[f64]) -> usize {
    let mean = bytes.iter().sum::<f64>() / bytes.len().max(1) as f64;
    bytes.iter().filter(|&&b| b > 0.0 && b >= mean * ACTIVE_SHARE_OF_MEAN).count()
}

/// What the spread of one group in one direction amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All NICs share the load within the limit.
    Balanced,
    /// Several NICs carry traffic, unevenly.
    Skewed,
    /// One NIC of several carries everything.
    SingleNic,
    /// Nothing moves.
    Idle,
    /// Some NICs are not known, and the others do not decide it.
    Unknown,
}

impl Verdict {
    /// The word on the screen.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::Skewed => "skewed",
            Self::SingleNic => "single NIC",
            Self::Idle => "idle",
            Self::Unknown => "unknown",
        }
    }

    /// Whether this is what `railtop check` fails on.
    #[must_use]
    pub fn is_imbalance(self) -> bool {
        matches!(self, Self::Skewed | Self::SingleNic)
    }
}

/// The default limit of max/mean between balanced and skewed (`check --max-over-mean`).
pub const DEFAULT_MAX_OVER_MEAN: f64 = 1.25;

/// A group that moves less than this in a direction, in bytes per second, does nothing worth a word about balance:
/// keep-alives and barriers are no load. 8 Mb/s is a thousandth of the slowest RDMA link's rate.
pub const BUSY_BYTES_PER_S: f64 = 1e6;

/// One group's spread in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Busiest NIC over mean; `None` when idle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_over_mean: Option<f64>,
    /// NICs that carry traffic.
    pub active_nics: usize,
    /// All NICs of the group.
    pub nics: usize,
    /// The verdict under the limit given.
    pub verdict: Verdict,
}

impl Spread {
    /// Judges `bytes` (or bytes per second), one value per NIC of the group. A group of one NIC is balanced by nature.
    #[must_use]
    pub fn of(bytes: &[f64], limit: f64) -> Self {
        let max_over_mean = max_over_mean(bytes);
        let active_nics = active_nics(bytes);
        let verdict = match max_over_mean {
            None => Verdict::Idle,
            Some(ratio) if ratio <= limit => Verdict::Balanced,
            Some(_) if active_nics == 1 => Verdict::SingleNic,
            Some(_) => Verdict::Skewed,
        };
        Self { max_over_mean, active_nics, nics: bytes.len(), verdict }
    }

    /// Judges a group of which `unread` NICs are not known, by what must be so whatever those carry.
    ///
    /// The most even case is that each of them carries as much as the busiest known one. If even that is beyond the
    /// limit, the group is skewed and `max_over_mean` is this least value; else nothing can be said.
    #[must_use]
    pub fn of_known(known: &[f64], unread: usize, limit: f64) -> Self {
        if unread == 0 {
            return Self::of(known, limit);
        }
        let busiest = known.iter().copied().fold(0.0, f64::max);
        let most_even: Vec<f64> = known.iter().copied().chain(std::iter::repeat_n(busiest, unread)).collect();
        let least = max_over_mean(&most_even).filter(|&ratio| ratio > limit);
        let verdict = if least.is_some() { Verdict::Skewed } else { Verdict::Unknown };
        Self { max_over_mean: least, active_nics: active_nics(known), nics: most_even.len(), verdict }
    }
}

/// `ratio` to two decimals, as it is shown beside a verdict under `limit`: rounded so that it stays on its side of the
/// limit. A group at 1.2503 is skewed, so it shows 1.26 and not the 1.25 that would be balanced.
#[must_use]
pub fn to_show(ratio: f64, limit: f64) -> f64 {
    let nearest = (ratio * 100.0).round() / 100.0;
    if ratio > limit && nearest <= limit {
        ((ratio * 100.0).floor() + 1.0) / 100.0
    } else if ratio <= limit && nearest > limit {
        (ratio * 100.0).floor() / 100.0
    } else {
        ratio
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(&[1.0, 1.0, 1.0, 1.0], Some(1.0), 4, Verdict::Balanced; "even")]
    #[test_case(&[8.0, 0.0, 0.0, 0.0], Some(4.0), 1, Verdict::SingleNic; "one of four")]
    #[test_case(&[4.0, 4.0, 0.0, 0.0], Some(2.0), 2, Verdict::Skewed; "two of four")]
    #[test_case(&[0.0, 0.0], None, 0, Verdict::Idle; "idle")]
    #[test_case(&[5.0], Some(1.0), 1, Verdict::Balanced; "only one NIC")]
    #[test_case(&[], None, 0, Verdict::Idle; "no NIC")]
    #[test_case(&[100.0, 0.1, 0.1, 0.1], Some(3.988_035_892_323_03), 1, Verdict::SingleNic; "chatter is not load")]
    fn judges(bytes: &[f64], ratio: Option<f64>, active: usize, verdict: Verdict) {
        let spread = Spread::of(bytes, DEFAULT_MAX_OVER_MEAN);
        match (spread.max_over_mean, ratio) {
            (Some(a), Some(b)) => assert!((a - b).abs() < 1e-9, "{a} != {b}"),
            (a, b) => assert_eq!(a, b),
        }
        assert_eq!((spread.active_nics, spread.verdict), (active, verdict));
    }

    #[test_case(1.2503, 1.25, "1.26"; "skewed by a hair")]
    #[test_case(1.25, 1.25, "1.25"; "at the limit it is balanced")]
    #[test_case(1.2449, 1.25, "1.24"; "well inside")]
    #[test_case(1.2, 1.195, "1.20"; "beyond a limit between two")]
    #[test_case(1.1949, 1.1949, "1.19"; "at such a limit")]
    #[test_case(1.1985, 1.199, "1.19"; "inside such a limit")]
    #[test_case(4.0, 1.25, "4.00"; "far out")]
    fn what_is_shown_stays_on_its_side_of_the_limit(ratio: f64, limit: f64, shown: &str) {
        assert_eq!(format!("{:.2}", to_show(ratio, limit)), shown);
    }

    #[test_case(&[8.0], 3, None, Verdict::Unknown; "one of four is known")]
    #[test_case(&[8.0, 8.0, 8.0], 1, None, Verdict::Unknown; "the fourth may carry anything")]
    #[test_case(&[0.0, 0.0, 0.0], 1, None, Verdict::Unknown; "the fourth may carry everything")]
    #[test_case(&[], 4, None, Verdict::Unknown; "none is known")]
    #[test_case(&[8.0, 0.0, 0.0], 1, Some(2.0), Verdict::Skewed; "the known ones prove it")]
    #[test_case(&[8.0, 0.0], 0, Some(2.0), Verdict::SingleNic; "all are known")]
    fn judges_by_what_is_known(known: &[f64], unread: usize, ratio: Option<f64>, verdict: Verdict) {
        let spread = Spread::of_known(known, unread, DEFAULT_MAX_OVER_MEAN);
        assert_eq!(
            (spread.max_over_mean, spread.verdict, spread.nics),
            (ratio, verdict, known.len() + unread)
        );
    }
}
