//! PEs that somebody waits for, for messages: "PE 3, 5 and 12 others".

use std::fmt;

/// Most numbers that are told; more become "and N others".
const SHOWN: usize = 4;

/// Some PEs by number, the lowest of them, and how many there are in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Absent {
    first: Vec<u32>,
    total: usize,
}

impl Absent {
    /// Most numbers that are kept.
    pub const KEPT: usize = 16;

    /// These, of `total` in all (at least as many as are named).
    #[must_use]
    pub fn of(first: Vec<u32>, total: usize) -> Self {
        let total = total.max(first.len());
        Self { first, total }
    }

    /// Whether nobody is absent.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.total == 0
    }

    /// The numbers that are known.
    #[must_use]
    pub fn first(&self) -> &[u32] {
        &self.first
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }
}

impl FromIterator<u32> for Absent {
    fn from_iter<I: IntoIterator<Item = u32>>(pes: I) -> Self {
        let mut absent = Self::default();
        for pe in pes {
            absent.total += 1;
            if absent.first.len() < Self::KEPT {
                absent.first.push(pe);
            }
        }
        absent
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One more is shown rather than called "1 other".
        let all = self.total <= SHOWN + 1 && self.total == self.first.len();
        let shown = if all { &self.first[..] } else { &self.first[..self.first.len().min(SHOWN)] };
        let others = self.total - shown.len();
        match (shown, others) {
            ([], 0) => f.write_str("nobody"),
            ([], others) => write!(f, "{others} PEs"),
            (shown, others) => {
                f.write_str("PE ")?;
                for (index, pe) in shown.iter().enumerate() {
                    let before = match index {
                        0 => "",
                        _ if others == 0 && index + 1 == shown.len() => " and ",
                        _ => ", ",
                    };
                    write!(f, "{before}{pe}")?;
                }
                match others {
                    0 => Ok(()),
                    1 => f.write_str(" and 1 other"),
                    others => write!(f, " and {others} others"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(&[], 0, "nobody")]
    #[test_case(&[7], 1, "PE 7")]
    #[test_case(&[3, 5], 2, "PE 3 and 5")]
    #[test_case(&[1, 2, 3, 4, 5], 5, "PE 1, 2, 3, 4 and 5")]
    #[test_case(&[1, 2, 3, 4, 5, 6], 6, "PE 1, 2, 3, 4 and 2 others")]
    #[test_case(&[3, 5], 14, "PE 3, 5 and 12 others")]
    #[test_case(&[3, 5, 6], 4, "PE 3, 5, 6 and 1 other")]
    #[test_case(&[], 3, "3 PEs")]
    #[test_case(&[9], 0, "PE 9"; "a total that is too small")]
    fn they_are_named_compactly(first: &[u32], total: usize, text: &str) {
        assert_eq!(Absent::of(first.to_vec(), total).to_string(), text);
    }

    #[test]
    fn only_the_first_are_kept_and_all_are_counted() {
        let many: Absent = (0..1000).collect();
        assert_eq!((many.first().len(), many.total()), (Absent::KEPT, 1000));
        assert_eq!(many.to_string(), "PE 0, 1, 2, 3 and 996 others");
    }
}
