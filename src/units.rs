//! Sizes, rates and durations as people write them, and back.
//!
//! Sizes follow NVSHMEM's perftest: `K`, `M`, `G`, `T` are powers of 1024 and fractions are allowed.
//! Rates are read by [`crate::lab::Rate`], as `tc` writes them; here they are only printed, in powers of 1000.

use std::time::Duration;

/// Why a size or a duration could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {input:?} as {wanted}")]
pub struct UnitError {
    /// What was given.
    input: String,
    /// What was wanted, with an example.
    wanted: &'static str,
}

/// Splits `12.5ms` into `12.5` and `ms`. The number is finite and not negative.
fn split(input: &str) -> Option<(f64, &str)> {
    let text = input.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let value: f64 = number.parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some((value, unit.trim()))
}

/// Turns a non-negative number into an integer if it fits.
fn to_u64(value: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked on the line itself")]
    (value < 9.0e18).then_some(value.round() as u64)
}

/// Reads a size in bytes: `4`, `64K`, `1.5M`, `1G` (powers of 1024; a trailing `B` or `iB` is accepted).
///
/// # Errors
/// When the text is not a number with one of these units, or the size exceeds 2^63.
pub fn parse_size(input: &str) -> Result<u64, UnitError> {
    let error =
        || UnitError { input: input.to_owned(), wanted: "a size in bytes such as 4096, 64K, 1.5M or 1G" };
    let (value, unit) = split(input).ok_or_else(error)?;
    let factor = match unit.trim_end_matches("iB").trim_end_matches('B') {
        "" => 1.0,
        "k" | "K" => 1024.0,
        "m" | "M" => 1024.0 * 1024.0,
        "g" | "G" => 1024.0 * 1024.0 * 1024.0,
        "t" | "T" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(error()),
    };
    to_u64(value * factor).ok_or_else(error)
}

/// Reads a duration: `1s`, `200ms`, `1.5`, `2m`. A bare number means seconds.
///
/// # Errors
/// When the text is not a number with one of these units, or exceeds a year.
pub fn parse_duration(input: &str) -> Result<Duration, UnitError> {
    let error = || UnitError { input: input.to_owned(), wanted: "a duration such as 1s, 200ms or 2m" };
    let (value, unit) = split(input).ok_or_else(error)?;
    let seconds = match unit {
        "" | "s" => value,
        "us" => value / 1e6,
        "ms" => value / 1e3,
        "m" | "min" => value * 60.0,
        "h" => value * 3600.0,
        _ => return Err(error()),
    };
    if seconds > 366.0 * 86_400.0 {
        return Err(error());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Reads a bit rate: `400Gb/s`, `100gbit`, `25G`, `2500M` (powers of 1000). A bare number means bits per second.
///
/// # Errors
/// When the text is not a number with one of these units, or the rate is below 1 Mb/s or above 100 Tb/s, which no
/// network interface for RDMA has.
pub fn parse_bit_rate(input: &str) -> Result<u64, UnitError> {
    let error =
        || UnitError { input: input.to_owned(), wanted: "a bit rate such as 400Gb/s, 100gbit or 25G" };
    let (value, unit) = split(input).ok_or_else(error)?;
    if unit.contains('B') {
        // Bytes, which are eight times as much.
        return Err(error());
    }
    let unit = unit.to_ascii_lowercase();
    let unit = ["bit/s", "bits/s", "bit", "b/s", "bps"]
        .into_iter()
        .find_map(|suffix| unit.strip_suffix(suffix))
        .unwrap_or(&unit);
    let factor = match unit.trim() {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        _ => return Err(error()),
    };
    to_u64(value * factor).filter(|rate| (1_000_000..=100_000_000_000_000).contains(rate)).ok_or_else(error)
}

/// A size in bytes, short, in powers of 1024: `0 B`, `64 KiB`, `1.5 MiB`.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 || value >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// A bit rate, short, in powers of 1000: `200 Mb/s`, `391.3 Gb/s`.
#[must_use]
pub fn format_bit_rate(bits_per_s: f64) -> String {
    scaled(bits_per_s, ["b/s", "kb/s", "Mb/s", "Gb/s", "Tb/s"])
}

/// A byte rate, short, in powers of 1000: `25 MB/s`, `48.9 GB/s`.
#[must_use]
pub fn format_byte_rate(bytes_per_s: f64) -> String {
    scaled(bytes_per_s, ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"])
}

fn scaled(value: f64, units: [&str; 5]) -> String {
    let mut value = value;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if value >= 100.0 || value == 0.0 {
        format!("{value:.0} {}", units[unit])
    } else if value >= 10.0 {
        format!("{value:.1} {}", units[unit])
    } else {
        format!("{value:.2} {}", units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("4", 4)]
    #[test_case("64K", 65_536)]
    #[test_case("1.5M", 1_572_864)]
    #[test_case("1G", 1 << 30)]
    #[test_case("8MiB", 8 << 20)]
    fn reads_sizes(text: &str, bytes: u64) {
        assert_eq!(parse_size(text), Ok(bytes));
    }

    #[test_case("")]
    #[test_case("-1")]
    #[test_case("12Q")]
    #[test_case("inf")]
    #[test_case("1e99G")]
    #[test_case("99999999999T")]
    fn refuses_what_is_no_size(text: &str) {
        assert!(parse_size(text).is_err());
    }

    #[test_case("400Gb/s", Some(400_000_000_000))]
    #[test_case("100gbit", Some(100_000_000_000))]
    #[test_case("2.5 G", Some(2_500_000_000))]
    #[test_case("25000M", Some(25_000_000_000); "in mega")]
    #[test_case("100000000000", Some(100_000_000_000); "in bits")]
    #[test_case("400", None; "400 bits per second")]
    #[test_case("100 Gbit/s", Some(100_000_000_000))]
    #[test_case("400GB", None; "bytes")]
    #[test_case("400GB/s", None; "bytes per second")]
    #[test_case("fast", None)]
    #[test_case("1e9T", None)]
    fn reads_bit_rates(text: &str, rate: Option<u64>) {
        assert_eq!(parse_bit_rate(text).ok(), rate);
    }

    #[test_case("1s", 1000)]
    #[test_case("200ms", 200)]
    #[test_case("1.5", 1500)]
    #[test_case("2m", 120_000)]
    fn reads_durations(text: &str, ms: u64) {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)));
    }

    #[test_case(0.0, "0 b/s")]
    #[test_case(97.8e9, "97.8 Gb/s")]
    #[test_case(391.27e9, "391 Gb/s")]
    #[test_case(999.9e6, "1.00 Gb/s")]
    fn prints_rates(value: f64, text: &str) {
        assert_eq!(format_bit_rate(value), text);
    }
}
