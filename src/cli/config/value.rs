//! How values of the configuration file are read: the same words as on the command line, the same errors.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::monitor::tui::AVERAGE_WINDOWS;
use crate::text::{nearest, printable};

/// A text that `parse` reads; `what` names it for whoever wrote something else.
fn text<'de, D, T>(
    from: D,
    what: &'static str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    struct Text<T, F>(&'static str, F, PhantomData<T>);

    impl<T, F: FnOnce(&str) -> Result<T, String>> Visitor<'_> for Text<T, F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.1)(text).map_err(E::custom)
        }
    }

    from.deserialize_str(Text(what, parse, PhantomData))
}

/// One of the words that the flag of the same name takes.
pub(super) fn choice<'de, D: Deserializer<'de>, T: ValueEnum>(from: D) -> Result<Option<T>, D::Error> {
    text(from, "a text, one of the words that are possible here", |word| choose(word).map(Some))
}

/// The variant of a word, or what is possible.
fn choose<T: ValueEnum>(word: &str) -> Result<T, String> {
    T::from_str(word, false).map_err(|_| {
        let names: Vec<String> = T::value_variants()
            .iter()
            .filter_map(|variant| variant.to_possible_value().map(|value| value.get_name().to_owned()))
            .collect();
        one_of(word, &names)
    })
}

/// Says that a word is none of those known.
fn one_of<S: AsRef<str>>(word: &str, known: &[S]) -> String {
    let known = || known.iter().map(AsRef::as_ref);
    let list = known().collect::<Vec<_>>().join(", ");
    let hint = nearest(word, known()).map_or_else(String::new, |near| format!("; did you mean {near}?"));
    format!("{:?} is none of {list}{hint}", printable(word))
}

/// An interval between samples.
pub(super) fn interval<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    text(from, "a text such as \"1s\" or \"200ms\"", crate::cli::source::parse_interval).map(Some)
}

/// A time, from nothing to a day.
pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    text(from, "a text such as \"5s\"", |text| {
        let time = crate::units::parse_duration(text).map_err(|e| e.to_string())?;
        if time > Duration::from_secs(86_400) { Err("at most 24h".to_owned()) } else { Ok(time) }
    })
    .map(Some)
}

/// The window of a rolling average; `off` for none.
pub(super) fn average<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Average>, D::Error> {
    text(from, "a text such as \"10s\", or \"off\"", |text| {
        if text == "off" {
            return Ok(Average(None));
        }
        let time = crate::units::parse_duration(text).map_err(|e| format!("{e}, or off"))?;
        if AVERAGE_WINDOWS.contains(&time) {
            Ok(Average(Some(time)))
        } else {
            Err("an averaging window is at least 100ms and at most 30m, or off".to_owned())
        }
    })
    .map(Some)
}

/// See [`average`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Average(pub(super) Option<Duration>);

/// Anything with `FromStr`.
pub(super) fn parsed<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: fmt::Display>,
{
    text(from, "a text", |text| text.parse().map_err(|e: T::Err| e.to_string())).map(Some)
}

/// A directory; `~/` in front may stand for the home directory, see [`in_home`](super::place::in_home).
pub(super) fn directory<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    text(from, "a text, the path of a directory", |path| match path.strip_prefix('~') {
        _ if path.is_empty() => Err("an empty path is no directory; \".\" is the current one".to_owned()),
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Err(
            "only ~/ is expanded, to your own home directory; ~NAME is not: write the path out, or ./~NAME"
                .to_owned(),
        ),
        _ => Ok(Some(PathBuf::from(path))),
    })
}

/// Names of columns.
pub(super) fn columns<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    struct Column(String);

    impl<'de> Deserialize<'de> for Column {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let known = crate::monitor::tui::COLUMN_NAMES;
            text(from, "the name of a column", |name| {
                if known.contains(&name) { Ok(Self(name.to_owned())) } else { Err(one_of(name, known)) }
            })
        }
    }

    let mut columns: Vec<String> = Vec::new();
    for Column(name) in Vec::<Column>::deserialize(from)? {
        if columns.contains(&name) {
            return Err(D::Error::custom(format!("the column {name} is there twice")));
        }
        columns.push(name);
    }
    Ok(Some(columns))
}

/// max/mean: from 1 on.
pub(super) fn ratio<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    match f64::deserialize(from)? {
        ratio if ratio.is_finite() && ratio >= 1.0 => Ok(Some(ratio)),
        _ => Err(D::Error::custom("max/mean is a number from 1 (exactly even) to the number of NICs")),
    }
}

/// A number that is not negative.
pub(super) fn amount<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    match f64::deserialize(from)? {
        amount if amount.is_finite() && amount >= 0.0 => Ok(Some(amount)),
        _ => Err(D::Error::custom("this is a number from 0 on")),
    }
}

/// Per cent.
pub(super) fn percent<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    match u32::deserialize(from)? {
        percent @ 0..=100 => Ok(Some(percent)),
        _ => Err(D::Error::custom("this is a number from 0 to 100")),
    }
}

/// A line rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BitRate(pub(super) u64);

impl<'de> Deserialize<'de> for BitRate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        text(from, "a text such as \"400Gb/s\"", |text| {
            crate::units::parse_bit_rate(text).map(Self).map_err(|e| e.to_string())
        })
    }
}

/// The keys of a command: one, or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key such as \"q\", or a list of keys")
            }

            fn visit_str<E: Error>(self, key: &str) -> Result<Keys, E> {
                Ok(Keys(vec![key.to_owned()]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Keys, A::Error> {
                let mut keys = Vec::new();
                while let Some(key) = list.next_element()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }

        from.deserialize_any(OneOrMore)
    }
}
