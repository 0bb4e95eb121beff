//! Lines of a metrics page, in Prometheus' text format 0.0.4 or `OpenMetrics` 1.0, which are alike in what is read here:
//! `name{label="value",…} number [time]`.
//!
//! A page comes from another machine: nothing of it is believed before it is parsed. What is no line is counted and left
//! out; how much there may be of everything is bounded. Sources: as in `export/text.rs`.

use std::borrow::Cow;

/// The longest line that is looked at, in bytes. The exporter's are below 1000.
pub const MAX_LINE: usize = 8192;
/// Most labels of one line that are looked at.
pub const MAX_LABELS: usize = 32;

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// The metric's name, `_total` and the like included.
    pub name: &'a str,
    labels: &'a str,
    /// Its value as it stands there.
    pub value: &'a str,
}

impl<'a> Line<'a> {
    /// Parses one line; `None` for comments, blanks and whatever is none. Labels are checked when they are asked for.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        if line.len() > MAX_LINE || line.starts_with('#') {
            return None;
        }
        let end = line.bytes().position(|byte| !is_name(byte))?;
        let (name, rest) = line.split_at(end);
        if name.is_empty() || name.as_bytes()[0].is_ascii_digit() {
            return None;
        }
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(inside) => inside.split_at(closing(inside.as_bytes())?),
            None => ("", rest),
        };
        let rest = rest.strip_prefix('}').unwrap_or(rest);
        // A time, or an exemplar, may follow.
        let value = rest.strip_prefix([' ', '\t'])?.split_ascii_whitespace().next()?;
        Some(Self { name, labels, value })
    }

    /// Its labels in their order, values unescaped. Ends at the first that is none.
    #[must_use]
    pub fn labels(&self) -> Labels<'a> {
        Labels { rest: self.labels, left: MAX_LABELS }
    }

    /// A label's value.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<Cow<'a, str>> {
        self.labels().find(|(label, _)| *label == name).map(|(_, value)| value)
    }

    /// The value as a count: exact up to 2^64, whether it is written as a whole number or not. `None` for what is no
    /// count: NaN, infinite, negative, or beyond.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        self.value.parse().ok().or_else(|| {
            let value = self.real()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "within the range of u64"
            )]
            (0.0..18_446_744_073_709_551_616.0).contains(&value).then_some(value as u64)
        })
    }

    /// The value as a number that is one.
    #[must_use]
    pub fn real(&self) -> Option<f64> {
        self.value.parse().ok().filter(|value: &f64| value.is_finite())
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')
}

/// Where the brace closes, which is not one within a value's quotation marks.
fn closing(inside: &[u8]) -> Option<usize> {
    let (mut quoted, mut at) = (false, 0);
    loop {
        match inside.get(at)? {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

/// Labels one by one.
#[derive(Debug, Clone)]
pub struct Labels<'a> {
    rest: &'a str,
    left: usize,
}

impl<'a> Iterator for Labels<'a> {
    type Item = (&'a str, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let rest = self.rest.trim_start_matches([',', ' ']);
        let (name, rest) = rest.split_once("=\"")?;
        if name.is_empty() || !name.bytes().all(is_name) {
            self.rest = "";
            return None;
        }
        let bytes = rest.as_bytes();
        let mut end = 0;
        let mut escaped = false;
        while *bytes.get(end)? != b'"' {
            if bytes[end] == b'\\' {
                escaped = true;
                end += 1;
            }
            end += 1;
        }
        let value = rest.get(..end)?;
        self.rest = rest.get(end + 1..)?;
        Some((name, if escaped { Cow::Owned(unescape(value)) } else { Cow::Borrowed(value) }))
    }
}

fn unescape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => text.push('\n'),
                Some(c) => text.push(c),
                None => {}
            },
            (c, false) => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test]
    fn a_line_is_taken_apart() {
        let text = r#"rdma_x_total{device="a\"},b\\c\nd",port="1",} 18446744073709551615 1700000000"#;
        let line = Line::parse(text).unwrap();
        assert_eq!((line.name, line.count()), ("rdma_x_total", Some(u64::MAX)));
        assert_eq!(line.label("device").as_deref(), Some("a\"},b\\c\nd"));
        assert_eq!((line.label("port").as_deref(), line.label("none")), (Some("1"), None));
        assert_eq!(Line::parse("up 1").unwrap().value, "1");
    }

    #[test_case("# HELP x y")]
    #[test_case("")]
    #[test_case("{} 1")]
    #[test_case("1x 1")]
    #[test_case("x{a=\"b\" 1"; "never closed")]
    #[test_case("x{a=\"b} 1"; "the quotation mark neither")]
    #[test_case("x")]
    #[test_case("x{}1")]
    fn is_no_line(text: &str) {
        assert_eq!(Line::parse(text), None);
    }

    #[test_case("1e3", Some(1000), Some(1e3))]
    #[test_case("NaN", None, None)]
    #[test_case("+Inf", None, None)]
    #[test_case("-1", None, Some(-1.0))]
    #[test_case("1e30", None, Some(1e30))]
    #[test_case("1.9", Some(1), Some(1.9))]
    #[test_case("many", None, None)]
    fn what_is_no_number_is_none(value: &str, count: Option<u64>, real: Option<f64>) {
        let line = Line { name: "x", labels: "", value };
        assert_eq!((line.count(), line.real()), (count, real));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_line_or_none(text in "\\PC{0,80}") {
            if let Some(line) = Line::parse(&text) {
                proptest::prop_assert!(line.labels().count() <= MAX_LABELS);
                let _ = (line.count(), line.real());
            }
        }

        /// What our own exporter writes comes out again.
        #[test]
        fn labels_come_through(value in "\\PC{0,40}") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let text = format!("m{{a=\"{escaped}\",b=\"2\"}} 1");
            let line = Line::parse(&text).unwrap();
            proptest::prop_assert_eq!(line.label("a").unwrap(), value);
            proptest::prop_assert_eq!(line.label("b").unwrap(), "2");
        }
    }
}
