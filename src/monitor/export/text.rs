//! Families as text: `OpenMetrics` 1.0 and the older text format of Prometheus, 0.0.4.
//!
//! Sources: the `OpenMetrics` specification (<https://prometheus.io/docs/specs/om/open_metrics_spec/>) and Prometheus'
//! "Exposition formats" (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use super::family::{Family, Kind, Value};

/// How a page looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Text format 0.0.4, which everything reads.
    #[default]
    Prometheus,
    /// `OpenMetrics` 1.0, with units.
    OpenMetrics,
}

impl Format {
    /// The page's type in HTTP.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The page.
#[must_use]
pub fn page(families: &[Family], format: Format) -> String {
    let mut out = String::new();
    for family in families {
        add(&mut out, family, format);
    }
    if format == Format::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

fn add(out: &mut String, family: &Family, format: Format) {
    let meta = &family.meta;
    let name = meta.name.as_ref();
    let (suffix, kind) = match (meta.kind, format) {
        (Kind::Counter, _) => ("_total", "counter"),
        (Kind::BareCounter, Format::Prometheus) => ("", "counter"),
        (Kind::BareCounter, Format::OpenMetrics) => ("", "unknown"),
        (Kind::Gauge, _) => ("", "gauge"),
        (Kind::Info, Format::Prometheus) => ("_info", "gauge"),
        (Kind::Info, Format::OpenMetrics) => ("_info", "info"),
    };
    // OpenMetrics describes the family, whose name has no suffix; the older format describes the lines below.
    let described = match format {
        Format::Prometheus => suffix,
        Format::OpenMetrics => "",
    };
    push(out, &["# HELP ", name, described, " "]);
    escape(out, &meta.help, format == Format::OpenMetrics);
    push(out, &["\n# TYPE ", name, described, " ", kind, "\n"]);
    if let (Some(unit), Format::OpenMetrics) = (meta.unit, format) {
        push(out, &["# UNIT ", name, " ", unit, "\n"]);
    }
    for (labels, value) in &family.samples {
        push(out, &[name, suffix]);
        let mut open = '{';
        for (label, text) in labels.pairs() {
            out.push(open);
            push(out, &[label, "=\""]);
            escape(out, text, true);
            out.push('"');
            open = ',';
        }
        if open == ',' {
            out.push('}');
        }
        push(out, &[" ", &number(*value), "\n"]);
    }
}

fn push(out: &mut String, parts: &[&str]) {
    out.extend(parts.iter().copied());
}

/// Both formats escape the same characters, but the older one no quotation marks outside of labels.
fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

fn number(value: Value) -> String {
    match value {
        Value::Whole(value) => value.to_string(),
        Value::Real(value) if value.is_nan() => "NaN".to_owned(),
        Value::Real(value) if value.is_infinite() => if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
        Value::Real(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::family::{Families, Labels, Meta, bytes, gauge_in, info};
    use super::*;

    fn families() -> Vec<Family> {
        let mut families = Families::default();
        let labels = Labels::none().and("device", "a\"b\\c\nd\u{1b}[2J").and("port", "1");
        families.add(&bytes("rdma_port_transmit_bytes", "Bytes \"sent\"."), &labels, Some(u64::MAX));
        families.add(&info("rdma_device", "What it is."), &labels, Some(1_u64));
        families.add(&gauge_in("age_seconds", "seconds", "How old."), &Labels::none(), Some(0.25));
        let bare = Meta { kind: Kind::BareCounter, ..bytes("old_bytes", "Old.") };
        families.add(&Meta { unit: None, ..bare }, &Labels::none(), Some(0_u64));
        families.finish()
    }

    #[test]
    fn the_older_format() {
        let expected = "\
# HELP rdma_port_transmit_bytes_total Bytes \"sent\".
# TYPE rdma_port_transmit_bytes_total counter
rdma_port_transmit_bytes_total{device=\"a\\\"b\\\\c\u{fffd}d\u{fffd}[2J\",port=\"1\"} 18446744073709551615
# HELP rdma_device_info What it is.
# TYPE rdma_device_info gauge
rdma_device_info{device=\"a\\\"b\\\\c\u{fffd}d\u{fffd}[2J\",port=\"1\"} 1
# HELP age_seconds How old.
# TYPE age_seconds gauge
age_seconds 0.25
# HELP old_bytes Old.
# TYPE old_bytes counter
old_bytes 0
";
        assert_eq!(page(&families(), Format::Prometheus), expected);
    }

    #[test]
    fn openmetrics() {
        let expected = "\
# HELP rdma_port_transmit_bytes Bytes \\\"sent\\\".
# TYPE rdma_port_transmit_bytes counter
# UNIT rdma_port_transmit_bytes bytes
rdma_port_transmit_bytes_total{device=\"a\\\"b\\\\c\u{fffd}d\u{fffd}[2J\",port=\"1\"} 18446744073709551615
# HELP rdma_device What it is.
# TYPE rdma_device info
rdma_device_info{device=\"a\\\"b\\\\c\u{fffd}d\u{fffd}[2J\",port=\"1\"} 1
# HELP age_seconds How old.
# TYPE age_seconds gauge
# UNIT age_seconds seconds
age_seconds 0.25
# HELP old_bytes Old.
# TYPE old_bytes unknown
old_bytes 0
# EOF
";
        assert_eq!(page(&families(), Format::OpenMetrics), expected);
    }

    #[test]
    fn numbers_that_are_none_have_their_names() {
        let texts = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.5].map(|v| number(Value::Real(v)));
        assert_eq!(texts, ["NaN", "+Inf", "-Inf", "1.5"]);
    }

    /// What a parser of the format makes of a label's value.
    fn unescaped(text: &str) -> String {
        let mut chars = text.chars();
        let mut out = String::new();
        while let Some(c) = chars.next() {
            out.push(match c {
                '\\' => match chars.next() {
                    Some('n') => '\n',
                    Some(c) => c,
                    None => panic!("ends in a backslash: {text}"),
                },
                c => c,
            });
        }
        out
    }

    proptest::proptest! {
        /// A name stays within its quotation marks, and is what it was but for characters that do harm.
        #[test]
        fn any_name_is_one_label_on_one_line(name in ".{1,300}", open in proptest::bool::ANY) {
            let mut families = Families::default();
            families.add(&gauge_in("a_bytes", "bytes", "A."), &Labels::none().and("name", &name), Some(1_u64));
            let text = page(&families.finish(), if open { Format::OpenMetrics } else { Format::Prometheus });
            let lines: Vec<&str> = text.split('\n').filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
            proptest::prop_assert_eq!(lines.len(), 1);
            let value = lines[0].strip_prefix("a_bytes{name=\"").and_then(|rest| rest.strip_suffix("\"} 1"));
            proptest::prop_assert_eq!(unescaped(value.unwrap()), crate::text::printable(&name));
            // No quotation mark ends it early.
            let inside = value.unwrap().replace("\\\\", "").replace("\\\"", "");
            proptest::prop_assert!(!inside.contains('"'));
        }
    }
}
