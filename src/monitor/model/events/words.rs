//! The words that events are told in.

use crate::monitor::model::view::NicView;

/// A time that something took: `0.5 s`, `34 s`, `12 min`, `3.5 h`.
pub(in crate::monitor::model) fn span(ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    match seconds {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 119.5 => format!("{s:.0} s"),
        s if s < 7170.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// How often per second: `0.5/s`, `520/s`.
pub(super) fn rate(per_s: f64) -> String {
    if per_s < 10.0 { format!("{per_s:.1}/s") } else { format!("{per_s:.0}/s") }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

/// What a port is called: the device alone where it has one port, as nearly all have.
pub(super) fn port(device: &str, port: u8) -> String {
    if port > 1 { format!("{device}/{port}") } else { device.to_owned() }
}

/// What a row is called.
pub(super) fn row(row: &NicView) -> String {
    port(&row.device, row.port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case(0, "0.0 s")]
    #[test_case(500_000_000, "0.5 s")]
    #[test_case(9_960_000_000, "10 s")]
    #[test_case(119_000_000_000, "119 s")]
    #[test_case(120_000_000_000, "2 min")]
    #[test_case(7_200_000_000_000, "2.0 h")]
    #[test_case(u64::MAX, "5124095.6 h")]
    fn spans(ns: u64, text: &str) {
        assert_eq!(span(ns), text);
    }

    #[test]
    fn lists_and_rates() {
        let items = |n: usize| list(&["a", "b", "c"][..n].iter().map(|&s| s.to_owned()).collect::<Vec<_>>());
        assert_eq!([items(0), items(1), items(2), items(3)], ["", "a", "a and b", "a, b and c"]);
        assert_eq!((rate(0.5), rate(520.4)), ("0.5/s".to_owned(), "520/s".to_owned()));
    }
}
