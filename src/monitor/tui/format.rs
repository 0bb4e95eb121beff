//! Numbers as the screen writes them: one unit for the whole screen, missing is `-`, and zero is a number.

use crate::monitor::model::view::View;

/// Bits or bytes per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Units {
    /// Gb/s, as line rates are given.
    #[default]
    Bits,
    /// GB/s, powers of 1000.
    Bytes,
}

impl Units {
    /// The other one.
    #[must_use]
    pub fn toggled(self) -> Self {
        match self {
            Self::Bits => Self::Bytes,
            Self::Bytes => Self::Bits,
        }
    }
}

/// What a missing number looks like.
pub(super) const MISSING: &str = "-";

/// One unit for all rates of a screen, so that columns of numbers can be compared by eye.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    /// Bytes per second of one unit.
    unit: f64,
    /// The unit's name.
    pub(super) label: &'static str,
    decimals: usize,
}

impl Scale {
    /// Chosen by the fastest link, which does not change from tick to tick; by the largest rate where no link
    /// rate is known.
    pub(super) fn of(view: &View, units: Units) -> Self {
        let nics = || view.groups.iter().flat_map(|g| &g.nics);
        let link = nics().filter_map(|n| n.link_bits_per_s).max().map(|bits| bits as f64 / 8.0);
        let busiest =
            || nics().flat_map(|n| [n.tx.bytes_per_s, n.rx.bytes_per_s]).flatten().fold(0.0, f64::max);
        Self::for_top(link.unwrap_or_else(busiest), units)
    }

    /// The scale in which `top` (bytes per second) has one to three digits before the point.
    pub(super) fn for_top(top: f64, units: Units) -> Self {
        const BITS: [&str; 4] = ["kb/s", "Mb/s", "Gb/s", "Tb/s"];
        const BYTES: [&str; 4] = ["kB/s", "MB/s", "GB/s", "TB/s"];
        let (per_byte, labels) = match units {
            Units::Bits => (8.0, BITS),
            Units::Bytes => (1.0, BYTES),
        };
        let top = top * per_byte;
        let step = [1e6, 1e9, 1e12].iter().filter(|&&limit| top >= limit).count();
        let unit = [1e3, 1e6, 1e9, 1e12][step];
        Self { unit: unit / per_byte, label: labels[step], decimals: if top / unit >= 100.0 { 1 } else { 2 } }
    }

    /// A rate without its unit, at most six characters up to 99999 units.
    pub(super) fn number(&self, bytes_per_s: Option<f64>) -> String {
        let Some(rate) = bytes_per_s else { return MISSING.to_owned() };
        let value = rate / self.unit;
        let smallest = 0.1_f64.powi(i32::try_from(self.decimals).unwrap_or(1));
        if value > 0.0 && value < smallest / 2.0 {
            return format!("<{smallest:.*}", self.decimals);
        }
        let decimals = if value >= 9999.95 {
            0
        } else if value >= 999.95 {
            1
        } else {
            self.decimals
        };
        format!("{value:.decimals$}")
    }

    /// A rate with its unit.
    pub(super) fn with_unit(&self, bytes_per_s: Option<f64>) -> String {
        match bytes_per_s {
            None => MISSING.to_owned(),
            Some(_) => format!("{} {}", self.number(bytes_per_s), self.label),
        }
    }
}

/// A rate with a unit of its own, for places where nothing is compared.
pub(super) fn rate(bytes_per_s: Option<f64>, units: Units) -> String {
    match (bytes_per_s, units) {
        (None, _) => MISSING.to_owned(),
        (Some(rate), Units::Bits) => crate::units::format_bit_rate(rate * 8.0),
        (Some(rate), Units::Bytes) => crate::units::format_byte_rate(rate),
    }
}

/// A share in percent, at most four characters: `-`, `0%`, `<1%`, `97%`, `103%`.
pub(super) fn percent(share: Option<f64>) -> String {
    match share.map(|s| s * 100.0) {
        None => MISSING.to_owned(),
        Some(p) if p > 0.0 && p < 0.5 => "<1%".to_owned(),
        Some(p) => format!("{:.0}%", p.min(999.0)),
    }
}

/// A count per second in at most four characters: `0`, `<1`, `850`, `1.2k`, `123k`, `1.2M`.
pub(super) fn compact(value: Option<f64>) -> String {
    let Some(value) = value else { return MISSING.to_owned() };
    if value > 0.0 && value < 0.5 {
        return "<1".to_owned();
    }
    let mut scaled = value;
    for suffix in ["", "k", "M", "G", "T"] {
        if scaled < 9.95 && !suffix.is_empty() {
            return format!("{scaled:.1}{suffix}");
        }
        if scaled < 999.5 {
            return format!("{scaled:.0}{suffix}");
        }
        scaled /= 1000.0;
    }
    ">1P".to_owned()
}

/// [`ratio`] beside a verdict under `limit`, which the rounded number does not contradict.
pub(super) fn judged_ratio(max_over_mean: Option<f64>, limit: f64) -> String {
    ratio(max_over_mean.map(|ratio| crate::balance::to_show(ratio, limit)))
}

/// Busiest over mean: `1.02x`, `12.0x`; `-` when nothing moved.
pub(super) fn ratio(max_over_mean: Option<f64>) -> String {
    match max_over_mean {
        None => MISSING.to_owned(),
        Some(r) if r < 9.995 => format!("{r:.2}x"),
        Some(r) if r < 99.95 => format!("{r:.1}x"),
        Some(r) => format!("{r:.0}x"),
    }
}

/// An integer with thousands apart: `1 234 567`.
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A duration in a few characters: `200 ms`, `5 s`, `2 min`.
pub(super) fn duration(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.9995 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 119.5 {
        let text = format!("{seconds:.1}");
        format!("{} s", text.strip_suffix(".0").unwrap_or(&text))
    } else {
        format!("{:.0} min", seconds / 60.0)
    }
}

/// The time of day of the view, in UTC and marked so; logs carry the same clock.
pub(super) fn time_of_day(realtime_ns: i128) -> String {
    jiff::Timestamp::from_nanosecond(realtime_ns)
        .map_or_else(|_| MISSING.to_owned(), |t| t.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// The time of day alone, in UTC: `10:00:31`.
pub(super) fn clock(realtime_ns: i128) -> String {
    jiff::Timestamp::from_nanosecond(realtime_ns)
        .map_or_else(|_| MISSING.to_owned(), |t| t.strftime("%H:%M:%S").to_string())
}

/// A number of bytes in powers of 1000, at most seven characters: `0 B`, `999 kB`, `1.23 TB`.
pub(super) fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB", "TB", "PB"] {
        if value < 999.5 {
            return match value {
                _ if unit == "B" || value >= 99.95 => format!("{value:.0} {unit}"),
                ..9.995 => format!("{value:.2} {unit}"),
                _ => format!("{value:.1} {unit}"),
            };
        }
        value /= 1000.0;
    }
    format!("{value:.1} EB")
}

/// A fraction of `cells` as whole eighths of a cell, at least one for anything above zero.
pub(super) fn eighths(share: f64, cells: u16) -> usize {
    let whole = usize::from(cells) * 8;
    if share.is_nan() || share <= 0.0 {
        return 0;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 8 x 65535")]
    let eighths = (share.min(1.0) * whole as f64).round() as usize;
    eighths.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(None, "-")]
    #[test_case(Some(0.0), "0.0")]
    #[test_case(Some(1.0), "<0.1")]
    #[test_case(Some(12.2e9), "97.6")]
    #[test_case(Some(400e9), "3200.0")]
    fn rates_of_a_100_gigabit_screen(bytes_per_s: Option<f64>, text: &str) {
        assert_eq!(Scale::for_top(100e9 / 8.0, Units::Bits).number(bytes_per_s), text);
    }

    #[test_case(200e6, Units::Bits, "Mb/s")]
    #[test_case(100e9, Units::Bits, "Gb/s")]
    #[test_case(100e9, Units::Bytes, "GB/s")]
    #[test_case(0.0, Units::Bits, "kb/s")]
    fn one_unit_per_screen(top_bits: f64, units: Units, label: &str) {
        assert_eq!(Scale::for_top(top_bits / 8.0, units).label, label);
    }

    #[test_case(None, "-")]
    #[test_case(Some(0.0), "0")]
    #[test_case(Some(0.1), "<1")]
    #[test_case(Some(999.0), "999")]
    #[test_case(Some(1200.0), "1.2k")]
    #[test_case(Some(9_960.0), "10k")]
    #[test_case(Some(999_600.0), "1.0M")]
    #[test_case(Some(1e30), ">1P")]
    fn counts_fit_four_characters(value: Option<f64>, text: &str) {
        assert_eq!(compact(value), text);
        assert!(text.len() <= 4);
    }

    #[test]
    fn small_things() {
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(percent(Some(0.001)), "<1%");
        assert_eq!(ratio(Some(4.0)), "4.00x");
        assert_eq!(duration(std::time::Duration::from_millis(1500)), "1.5 s");
        assert_eq!(time_of_day(0), "1970-01-01 00:00:00Z");
        assert_eq!(time_of_day(i128::MAX), "-");
        assert_eq!(clock(3_661_000_000_000), "01:01:01");
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.00 kB"),
            (12_345_678, "12.3 MB"),
            (999_600_000, "1.00 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(eighths(0.0001, 10), 1);
        assert_eq!(eighths(f64::NAN, 10), 0);
        assert_eq!(eighths(9.0, 10), 80);
    }
}
