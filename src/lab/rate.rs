//! The rate of an emulated NIC: a number of bits per second, written as `tc` writes it.

use std::fmt;
use std::str::FromStr;

/// A NIC's line rate in bits per second, never zero.
///
/// Written as in `tc(8)`: `200mbit`, `1gbit`, `2.5gbit`, `64kbit`; decimal prefixes, upper or
/// lower case. `tc` reads `mbps` as mega*bytes*, which few expect, so that spelling is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

/// The slowest rate worth emulating: below it, one 64 KiB burst takes longer than a second.
const MIN_BITS_PER_S: u64 = 1_000_000;
/// The fastest: no NIC is faster, and no machine emulates it.
const MAX_BITS_PER_S: u64 = 1_000_000_000_000;

impl Rate {
    /// A rate of `bits_per_s`; `None` outside 1 Mbit/s to 1 Tbit/s.
    #[must_use]
    pub fn from_bits_per_s(bits_per_s: u64) -> Option<Self> {
        (MIN_BITS_PER_S..=MAX_BITS_PER_S).contains(&bits_per_s).then_some(Self(bits_per_s))
    }

    /// Bits per second.
    #[must_use]
    pub fn bits_per_s(self) -> u64 {
        self.0
    }
}

/// Why a text is not a [`Rate`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// No number with a unit.
    #[error("expected a number and kbit, mbit, gbit or tbit, such as 200mbit")]
    Syntax,
    /// `mbps` and the like.
    #[error("{0:?} could mean bits or bytes: write kbit, mbit, gbit or tbit, such as 200mbit")]
    Ambiguous(String),
    /// Too slow or too fast to emulate.
    #[error("the rate must lie between 1mbit and 1tbit")]
    Range,
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let text = text.trim().to_ascii_lowercase();
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let exponent = match unit.trim().trim_end_matches("/s") {
            "bit" => 0,
            "kbit" => 3,
            "mbit" => 6,
            "gbit" => 9,
            "tbit" => 12,
            unit if unit.ends_with("bps") => return Err(RateError::Ambiguous(unit.to_owned())),
            _ => return Err(RateError::Syntax),
        };
        let bits_per_s = decimal(number, exponent).ok_or(RateError::Syntax)?;
        Self::from_bits_per_s(bits_per_s).ok_or(RateError::Range)
    }
}

/// `number` x 10^`exponent` in integers, so that `0.1gbit` is exactly 100 Mbit/s.
/// Saturates; `None` for anything that is not `digits[.digits]`.
fn decimal(number: &str, exponent: usize) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) {
        return None;
    }
    let fraction_digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(exponent);
    let mut value: u64 = 0;
    for digit in whole.bytes().chain(fraction_digits) {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    }
    fraction.bytes().all(|b| b.is_ascii_digit()).then_some(value)
}

impl fmt::Display for Rate {
    /// The largest unit that needs no fraction: `200mbit`, `2500mbit`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units =
            [(1_000_000_000_000, "tbit"), (1_000_000_000, "gbit"), (1_000_000, "mbit"), (1_000, "kbit")];
        let (scale, unit) =
            units.into_iter().find(|(scale, _)| self.0.is_multiple_of(*scale)).unwrap_or((1, "bit"));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("200mbit", 200_000_000)]
    #[test_case("1gbit", 1_000_000_000)]
    #[test_case("50Mbit", 50_000_000)]
    #[test_case("2.5gbit", 2_500_000_000)]
    #[test_case("0.1gbit", 100_000_000)]
    #[test_case(" 1500 kbit ", 1_500_000 ; "spaces")]
    #[test_case("100gbit/s", 100_000_000_000 ; "per second")]
    #[test_case("1tbit", 1_000_000_000_000)]
    fn reads(text: &str, bits_per_s: u64) {
        assert_eq!(text.parse::<Rate>().map(Rate::bits_per_s), Ok(bits_per_s));
    }

    #[test_case("" ; "empty")]
    #[test_case("mbit")]
    #[test_case("200")]
    #[test_case("-5mbit" ; "negative")]
    #[test_case("1.2.3gbit")]
    #[test_case("1.gbit")]
    #[test_case("0mbit")]
    #[test_case("1kbit" ; "too slow")]
    #[test_case("99999999999999999999999gbit" ; "too fast")]
    #[test_case("200mbps")]
    #[test_case("1.0000000000000x1gbit" ; "letters in the fraction")]
    fn refuses(text: &str) {
        assert!(text.parse::<Rate>().is_err(), "{text:?}");
    }

    #[test]
    fn shows_what_it_reads() {
        for text in ["200mbit", "1gbit", "2500mbit", "1500kbit", "1tbit"] {
            assert_eq!(text.parse::<Rate>().map(|r| r.to_string()), Ok(text.to_owned()));
        }
    }
}
