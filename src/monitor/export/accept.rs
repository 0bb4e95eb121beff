//! Which format a scraper wants: the `Accept` header of its request.

use super::text::Format;

/// The preferred format that we have. Who wants neither, or says nothing, gets the one that everything reads.
///
/// The weights `q` are those of RFC 9110, section 12.5.1, in thousandths.
#[must_use]
pub fn negotiate(accept: &str) -> Format {
    let (mut open, mut plain) = (0, 0);
    for range in accept.split(',').take(32) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut weight, mut version) = (1000, None);
        for (name, value) in parts.filter_map(|p| p.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => weight = thousandths(value.trim()).unwrap_or(0),
                "version" => version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        match (kind.as_str(), version) {
            ("application/openmetrics-text", None | Some("1.0.0")) => open = weight.max(open),
            ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => plain = weight.max(plain),
            _ => {}
        }
    }
    if open > plain { Format::OpenMetrics } else { Format::Prometheus }
}

fn thousandths(text: &str) -> Option<u32> {
    let weight: f64 = text.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
    (0.0..=1.0).contains(&weight).then_some((weight * 1000.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scrapers_send() {
        use Format::{OpenMetrics, Prometheus};
        for (accept, expected) in [
            ("", Prometheus),
            ("*/*", Prometheus),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Prometheus),
            // Prometheus 2.42, then 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.2",
                OpenMetrics,
            ),
            ("text/plain;version=0.0.4, application/openmetrics-text; q=0.5", Prometheus),
            ("application/openmetrics-text;version=2.0.0", Prometheus),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", OpenMetrics),
            ("application/openmetrics-text;q=0", Prometheus),
            ("application/openmetrics-text;q=x", Prometheus),
            (";;;,,,=;q=9e99", Prometheus),
        ] {
            assert_eq!(negotiate(accept), expected, "{accept}");
        }
    }

    proptest::proptest! {
        /// Who asks for plain text alone, in whatever words beside it, never gets anything else.
        #[test]
        fn any_header_has_an_answer(any in ".{0,200}", words in "[a-z/*;=,.0-9 q-]{0,200}") {
            let _either = negotiate(&any);
            let without = words.replace("openmetrics", "");
            proptest::prop_assert_eq!(negotiate(&without), Format::Prometheus);
        }
    }
}
