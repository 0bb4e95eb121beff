//! Metric families: a name, what it means, and one value per set of labels.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::text::printable;

/// How a family's values behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, or begins again.
    Counter,
    /// The same under a name without `_total`, as older exporters have it. `OpenMetrics` has no such counter: there it
    /// is of unknown type.
    BareCounter,
    /// Goes up and down.
    Gauge,
    /// Says something in its labels; the value is 1.
    Info,
}

/// What a family is, whatever its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Its name without `_total` and `_info`, which the text adds.
    pub name: Cow<'static, str>,
    /// How it behaves.
    pub kind: Kind,
    /// The unit that the name ends in, where it has one.
    pub unit: Option<&'static str>,
    /// One sentence.
    pub help: Cow<'static, str>,
}

const fn meta(name: &'static str, kind: Kind, unit: Option<&'static str>, help: &'static str) -> Meta {
    Meta { name: Cow::Borrowed(name), kind, unit, help: Cow::Borrowed(help) }
}

/// A counter of something without a unit.
pub(super) const fn counter(name: &'static str, help: &'static str) -> Meta {
    meta(name, Kind::Counter, None, help)
}

/// A counter whose name ends in `bytes`.
pub(super) const fn bytes(name: &'static str, help: &'static str) -> Meta {
    meta(name, Kind::Counter, Some("bytes"), help)
}

/// A counter whose name ends in `seconds`.
pub(super) const fn seconds(name: &'static str, help: &'static str) -> Meta {
    meta(name, Kind::Counter, Some("seconds"), help)
}

/// A gauge.
pub(super) const fn gauge(name: &'static str, help: &'static str) -> Meta {
    meta(name, Kind::Gauge, None, help)
}

/// A gauge whose name ends in `unit`.
pub(super) const fn gauge_in(name: &'static str, unit: &'static str, help: &'static str) -> Meta {
    meta(name, Kind::Gauge, Some(unit), help)
}

/// A family that says something in its labels.
pub(super) const fn info(name: &'static str, help: &'static str) -> Meta {
    meta(name, Kind::Info, None, help)
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A count, exact up to 2^64.
    Whole(u64),
    /// A measurement.
    Real(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

/// Labels with values that are safe to show: without control characters, and not endless.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Labels(Vec<(&'static str, String)>);

impl Labels {
    /// No label.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The same and one more. An empty value is no label, as Prometheus sees it.
    #[must_use]
    pub fn and(mut self, name: &'static str, value: &str) -> Self {
        if !value.is_empty() {
            self.0.push((name, printable(value)));
        }
        self
    }

    /// The same, and one more where there is a value.
    #[must_use]
    pub fn and_some(self, name: &'static str, value: Option<&str>) -> Self {
        self.and(name, value.unwrap_or_default())
    }

    /// In order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

/// A family with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// What it is.
    pub meta: Meta,
    /// Its values, each under other labels.
    pub samples: Vec<(Labels, Value)>,
}

/// All families of a page, in the order in which they were first added to.
#[derive(Debug, Default)]
pub struct Families {
    all: Vec<Family>,
    by_name: HashMap<Cow<'static, str>, usize>,
    seen: HashSet<(usize, Labels)>,
}

impl Families {
    /// Adds a value, where there is one: what is missing has no line, and is not 0.
    ///
    /// A second value under the same labels is left out. Names of devices that differ in control characters alone would
    /// else make a page that nobody reads.
    pub fn add(&mut self, meta: &Meta, labels: &Labels, value: Option<impl Into<Value>>) {
        let Some(value) = value else { return };
        let index = self.by_name.get(&meta.name).copied().unwrap_or_else(|| {
            self.all.push(Family { meta: meta.clone(), samples: Vec::new() });
            self.by_name.insert(meta.name.clone(), self.all.len() - 1);
            self.all.len() - 1
        });
        if self.seen.insert((index, labels.clone()))
            && let Some(family) = self.all.get_mut(index)
        {
            family.samples.push((labels.clone(), value.into()));
        }
    }

    /// The families.
    #[must_use]
    pub fn finish(self) -> Vec<Family> {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Meta = counter("a", "A.");

    #[test]
    fn the_same_labels_are_there_once_and_missing_is_nothing() {
        let mut families = Families::default();
        let device = |name: &str| Labels::none().and("device", name).and("empty", "");
        families.add(&A, &device("x\n"), Some(1_u64));
        families.add(&A, &device("x\u{1b}"), Some(2_u64));
        families.add(&A, &device("y"), None::<u64>);
        families.add(&gauge("b", "B."), &Labels::none(), None::<u64>);
        let all = families.finish();
        let [only] = &all[..] else { panic!("{all:?}") };
        assert_eq!(only.samples, [(Labels(vec![("device", "x\u{fffd}".to_owned())]), Value::Whole(1))]);
    }
}
