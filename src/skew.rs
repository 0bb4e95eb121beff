//! Which experts of a mixture are popular: the same in a benchmark and in the model.

use std::fmt;
use std::str::FromStr;

use crate::chance::Numbers;

/// What the numbers of this file are for, so that no other use of the seed has the same.
const POPULARITY: u64 = 1;

/// How likely the experts are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Skew {
    /// All alike.
    #[default]
    Uniform,
    /// The one in place r of a seeded order in proportion to r to the power of minus this.
    Zipf(f64),
}

impl FromStr for Skew {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "uniform" {
            return Ok(Self::Uniform);
        }
        let exponent = text.strip_prefix("zipf:").and_then(|number| number.parse().ok());
        match exponent {
            Some(exponent) if (0.0..=10.0).contains(&exponent) => Ok(Self::Zipf(exponent)),
            _ => Err("uniform, or zipf:S with S from 0 to 10".to_owned()),
        }
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.write_str("uniform"),
            Self::Zipf(exponent) => write!(f, "zipf:{exponent}"),
        }
    }
}

impl Skew {
    /// How likely each expert is, in whole numbers: PEs of different machines must agree, and powers may differ in their
    /// last bit.
    #[must_use]
    pub fn shares(self, experts: u32, seed: u64) -> Vec<u64> {
        let Self::Zipf(exponent) = self else { return vec![1; experts as usize] };
        let mut shares: Vec<u64> = (1..=experts)
            .map(|place| {
                let share = f64::from(place).powf(-exponent) * f64::from(1 << 20);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 2^20")]
                let share = share.round().max(1.0) as u64;
                share
            })
            .collect();
        let mut numbers = Numbers::of(&[seed, POPULARITY]);
        for last in (1..shares.len()).rev() {
            let other = numbers.below(last as u64 + 1);
            shares.swap(last, usize::try_from(other).unwrap_or(0));
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_is_read_as_it_is_written() {
        for text in ["uniform", "zipf:1.2", "zipf:0"] {
            assert_eq!(text.parse::<Skew>().unwrap().to_string(), text);
        }
        for text in ["", "zipf", "zipf:", "zipf:-1", "zipf:NaN", "zipf:11", "pareto:1"] {
            assert!(text.parse::<Skew>().unwrap_err().contains("zipf:S"), "{text}");
        }
    }
}
