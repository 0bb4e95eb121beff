//! A quantity that NICs of all drivers have in common, and the counters it is made of.

use super::Dir;

/// A counter and what one count of it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Where it lies.
    pub dir: Dir,
    /// The counter's name.
    pub name: &'static str,
    /// Bytes (or packets) per count.
    pub multiplier: u64,
}

/// A counter of `ports/N/hw_counters`.
pub(super) const fn hw(name: &'static str) -> Term {
    Term { dir: Dir::HwCounters, name, multiplier: 1 }
}

/// A counter of `ports/N/counters` in 4-byte words.
pub(super) const fn words(name: &'static str) -> Term {
    Term { dir: Dir::Counters, name, multiplier: 4 }
}

/// A counter of `ports/N/counters`.
pub(super) const fn pma(name: &'static str) -> Term {
    Term { dir: Dir::Counters, name, multiplier: 1 }
}

/// A counter of the device's own directory.
pub(super) const fn device(name: &'static str) -> Term {
    Term { dir: Dir::Device, name, multiplier: 1 }
}

/// Alternatives, best first; each is a sum of terms. Empty where the driver counts no such thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity(pub(super) &'static [&'static [Term]]);

/// Nothing that the driver counts.
pub(super) const NONE: Quantity = Quantity(&[]);

/// What a source says about one counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Its value.
    Value(u64),
    /// There is no such counter.
    Absent,
    /// It is there and gives no number; why.
    Unreadable(String),
}

/// The value of a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// In bytes or packets.
    pub value: u64,
    /// Which alternative and which of its terms it was made of. Another one is no continuation.
    pub made_of: u32,
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The driver counts no such thing.
    NotCounted,
    /// No counter of any alternative is there; the first that could have been.
    Absent(&'static Term),
    /// The counter is there and gives no number.
    Unreadable(&'static Term, String),
}

impl Quantity {
    /// All counters that may be part of it.
    pub fn terms(&self) -> impl Iterator<Item = &'static Term> + use<> {
        self.0.iter().copied().flatten()
    }

    /// Its value: the sum of the first alternative that has any. Where one of two terms is missing, the other counts;
    /// where one is there and cannot be read, the other alone would be a wrong number.
    ///
    /// # Errors
    /// Says why, when no alternative has a value or the sum does not fit into 64 bits.
    pub fn sum(&self, found: impl Fn(&Term) -> Found) -> Result<Sum, Why> {
        let mut why = self.terms().next().map_or(Why::NotCounted, Why::Absent);
        for (alternative, terms) in (0_u32..).zip(self.0.iter().copied()) {
            let mut sum: Option<Sum> = None;
            let mut complete = true;
            for (bit, term) in (0_u32..).zip(terms) {
                match found(term) {
                    Found::Value(count) => {
                        let before = sum.map_or(0, |s| s.value);
                        let Some(value) =
                            count.checked_mul(term.multiplier).and_then(|v| v.checked_add(before))
                        else {
                            return Err(Why::Unreadable(term, too_large(count, term.multiplier)));
                        };
                        let made_of = sum.map_or(alternative << 8, |s| s.made_of) | 1 << bit;
                        sum = Some(Sum { value, made_of });
                    }
                    Found::Unreadable(reason) => {
                        complete = false;
                        if !matches!(why, Why::Unreadable(..)) {
                            why = Why::Unreadable(term, reason);
                        }
                    }
                    Found::Absent => {}
                }
            }
            if let Some(sum) = sum.filter(|_| complete) {
                return Ok(sum);
            }
        }
        Err(why)
    }
}

fn too_large(count: u64, multiplier: u64) -> String {
    if multiplier == 1 {
        format!("with {count} the sum does not fit into 64 bits")
    } else {
        format!("{count} words of {multiplier} bytes do not fit into 64 bits")
    }
}
