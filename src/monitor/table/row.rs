//! One counter of a driver, and short ways to write it down.

use std::borrow::Cow;

use crate::monitor::counter::{Class, Desc, Health, Kind, Unit};

/// A counter of a table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The kernel's name; one that ends in `*` stands for all that begin so.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What a rise means.
    pub class: Class,
    /// What one count is.
    pub unit: Unit,
    /// The health quantity it is part of.
    pub feeds: Option<Health>,
    /// One sentence for people.
    pub help: &'static str,
}

impl Row {
    /// Whether the row describes the counter of this name.
    pub(super) fn covers(&self, name: &str) -> bool {
        self.name.strip_suffix('*').map_or(self.name == name, |start| name.starts_with(start))
    }

    pub(super) fn desc(&self, name: Cow<'static, str>) -> Desc {
        Desc {
            name,
            kind: self.kind,
            class: self.class,
            unit: self.unit,
            feeds: self.feeds,
            help: Cow::Borrowed(self.help),
        }
    }

    const fn new(name: &'static str, class: Class, unit: Unit, help: &'static str) -> Self {
        Self { name, kind: Kind::Monotonic64, class, unit, feeds: None, help }
    }

    /// The same, of another kind.
    pub(super) const fn kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// The same, 32 bits wide and wrapping.
    pub(super) const fn wraps(self) -> Self {
        self.kind(Kind::Wrap32)
    }

    /// The same, counting something else.
    pub(super) const fn unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    /// The same, as part of a health quantity.
    pub(super) const fn feeds(self, quantity: Health) -> Self {
        Self { feeds: Some(quantity), ..self }
    }
}

/// Bytes moved.
pub(super) const fn bytes(name: &'static str, help: &'static str) -> Row {
    Row::new(name, Class::Traffic, Unit::Bytes, help)
}

/// Packets moved.
pub(super) const fn packets(name: &'static str, help: &'static str) -> Row {
    Row::new(name, Class::Traffic, Unit::Packets, help)
}

/// Requests, messages, work requests.
pub(super) const fn operations(name: &'static str, help: &'static str) -> Row {
    Row::new(name, Class::Traffic, Unit::Operations, help)
}

/// Packets that were dropped.
pub(super) const fn drops(name: &'static str, help: &'static str) -> Row {
    Row::new(name, Class::Loss, Unit::Packets, help).feeds(Health::Drops)
}

/// Something sent again, or seen out of order.
pub(super) const fn retransmits(name: &'static str, help: &'static str) -> Row {
    Row::new(name, Class::Loss, Unit::Packets, help).feeds(Health::Retransmits)
}

/// A peer that did not answer in time.
pub(super) const fn timeouts(name: &'static str, help: &'static str) -> Row {
    Row::new(name, Class::Loss, Unit::Count, help).feeds(Health::Timeouts)
}

/// A sign of loss that is no part of the sums, since another counter holds the same event.
pub(super) const fn loss(name: &'static str, help: &'static str) -> Row {
    Row::new(name, Class::Loss, Unit::Count, help)
}

/// Congestion notifications and marks.
pub(super) const fn congestion(name: &'static str, help: &'static str) -> Row {
    Row::new(name, Class::Congestion, Unit::Packets, help).feeds(Health::Congestion)
}

/// A sign of congestion that is no notification.
pub(super) const fn pressure(name: &'static str, help: &'static str) -> Row {
    Row::new(name, Class::Congestion, Unit::Count, help)
}

/// Something failed.
pub(super) const fn error(name: &'static str, help: &'static str) -> Row {
    Row::new(name, Class::Error, Unit::Count, help)
}

/// Neither good nor bad.
pub(super) const fn neutral(name: &'static str, help: &'static str) -> Row {
    Row::new(name, Class::Neutral, Unit::Count, help)
}

/// Goes up and down.
pub(super) const fn gauge(name: &'static str, help: &'static str) -> Row {
    neutral(name, help).kind(Kind::Gauge)
}

/// How long the kernel keeps values of a directory before it asks the device again.
pub(super) const LIFESPAN: Row = Row::new(
    "lifespan",
    Class::Neutral,
    Unit::Milliseconds,
    "how long the kernel answers with the same values before it asks the device again",
)
.kind(Kind::Setting);
