//! What tokens hold, and what experts make of them. No model is computed: it has to be something that every PE can compute
//! of every token, to the bit.

use half::bf16;

use super::fp8;
use super::shape::{Shape, VALUES_PER_SCALE};
use crate::chance::Numbers;

/// What the numbers of this file are for.
const CONTENT: u64 = 3;

/// One token in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The run's seed.
    pub seed: u64,
    /// Source.
    pub pe: u32,
    /// Its number there.
    pub token: u32,
    /// The round: what is left of an earlier one cannot pass for it.
    pub round: u64,
}

impl Token {
    /// Its row, added to `row`: values of E4M3, none of them NaN, and for every 128 of them a scale, an `f32` between 1/128 and
    /// 1/64.
    pub fn write(self, shape: Shape, row: &mut Vec<u8>) {
        let Self { seed, pe, token, round } = self;
        let mut numbers = Numbers::of(&[seed, CONTENT, u64::from(pe), u64::from(token), round]);
        let values = (0..shape.dim / 8).flat_map(|_| numbers.number().to_le_bytes().map(fp8::finite));
        row.extend(values);
        for _ in 0..shape.scales() {
            let mantissa = u32::try_from(numbers.number() >> 41).unwrap_or(0);
            row.extend(f32::from_bits(120 << 23 | mantissa).to_le_bytes());
        }
    }
}

/// What a token's value is multiplied by at an expert: exact, and another one for each expert.
#[must_use]
pub fn factor(expert: u32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "below 2^24")]
    let number = (expert + 1) as f32;
    number / 16.0
}

/// What an expert makes of a row, added to `answer` as values of bf16: each value with its scale, times the expert's factor,
/// every product rounded to an `f32`.
pub fn answer(shape: Shape, expert: u32, row: &[u8], answer: &mut Vec<u8>) {
    let factor = factor(expert);
    let (values, scales) = row.split_at_checked(shape.dim as usize).unwrap_or_default();
    for (values, scale) in values.chunks(VALUES_PER_SCALE as usize).zip(scales.chunks_exact(4)) {
        let scale = f32::from_le_bytes(scale.try_into().unwrap_or_default());
        answer.extend(values.iter().flat_map(|&code| {
            let value = fp8::VALUES.get(usize::from(code)).copied().unwrap_or_default();
            bf16::from_f32(value * scale * factor).to_le_bytes()
        }));
    }
}

/// Adds an answer to what a token has so far, with its weight; every product and every sum is rounded to an `f32`.
pub fn add(sum: &mut [f32], weight: f32, answer: &[u8]) {
    for (sum, value) in sum.iter_mut().zip(answer.as_chunks().0) {
        // What `bf16::to_f32` does but for NaN, which there is none of here: many at once.
        *sum += weight * f32::from_bits(u32::from(u16::from_le_bytes(*value)) << 16);
    }
}

/// What a token has come to, as values of bf16: two bytes for each of `sum`.
pub fn round(sum: &[f32], bytes: &mut [u8]) {
    for (value, bytes) in sum.iter().zip(bytes.as_chunks_mut().0) {
        *bytes = bf16::from_f32(*value).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { experts: 4, topk: 2, dim: 272 };

    fn row(token: Token) -> Vec<u8> {
        let mut row = Vec::new();
        token.write(SHAPE, &mut row);
        row
    }

    #[test]
    fn rows_are_as_long_as_the_shape_says_and_hold_numbers() {
        let token = Token { seed: 1, pe: 2, token: 3, round: 4 };
        let content = row(token);
        assert_eq!(content.len() as u64, SHAPE.row_bytes());
        assert!(content[..272].iter().all(|&code| !fp8::decode(code).is_nan()));
        for scale in content[272..].chunks(4) {
            let scale = f32::from_le_bytes(scale.try_into().unwrap());
            assert!((1.0 / 128.0..1.0 / 64.0).contains(&scale), "{scale}");
        }
        for other in [
            Token { seed: 2, ..token },
            Token { pe: 3, ..token },
            Token { token: 4, ..token },
            Token { round: 5, ..token },
        ] {
            assert_ne!(row(other), content, "{other:?}");
        }
    }

    #[test]
    fn an_answer_is_each_value_times_scale_and_factor() {
        let content = row(Token { seed: 1, pe: 0, token: 0, round: 0 });
        let mut bytes = Vec::new();
        answer(SHAPE, 31, &content, &mut bytes);
        assert_eq!(bytes.len() as u64, SHAPE.expert_row_bytes());
        for (at, pair) in bytes.chunks(2).enumerate() {
            let scale = f32::from_le_bytes(content[272 + at / 128 * 4..][..4].try_into().unwrap());
            let exact = f64::from(fp8::decode(content[at])) * f64::from(scale) * 2.0;
            let got = f64::from(bf16::from_le_bytes(pair.try_into().unwrap()).to_f32());
            assert!((got - exact).abs() <= exact.abs() / 250.0, "{at}: {got} for {exact}");
        }
        let mut other = Vec::new();
        answer(SHAPE, 30, &content, &mut other);
        assert_ne!(bytes, other);
    }

    #[test]
    fn sums_are_weighted_and_rounded_once_at_the_end() {
        let bytes = |values: [f32; 3]| values.map(|value| bf16::from_f32(value).to_le_bytes()).concat();
        let mut sum = [0.0; 3];
        add(&mut sum, 0.25, &bytes([1.0, -2.0, 3.0]));
        add(&mut sum, 0.75, &bytes([5.0, 2.0, 1.0]));
        let mut result = [0; 6];
        round(&sum, &mut result);
        assert_eq!(result[..], bytes([4.0, 1.0, 1.5]));
    }
}
