//! What a counter is: how it behaves over time, what it counts, and what it means when it rises.
//!
//! Sources attach a [`Desc`] to every value they read; the model makes rates by [`Kind`], screens take colours from
//! [`Class`] and words from the help. What is not in any table has [`Desc::unknown`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How a counter's value moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Only grows, 64 bits wide: a smaller value means that it began again (driver reload, restarted process).
    Monotonic64,
    /// Grows and begins again at 2^32.
    Wrap32,
    /// Grows and stays at 2^bits - 1 until somebody clears it (InfiniBand's port counters).
    Saturating(u8),
    /// Goes up and down: a rate of it means nothing.
    Gauge,
    /// A setting that lies among the counters: neither a rate nor an event.
    Setting,
}

impl Kind {
    /// The value at which a saturating counter stops.
    #[must_use]
    pub fn maximum(self) -> Option<u64> {
        match self {
            Self::Saturating(bits) => {
                Some(1_u64.checked_shl(u32::from(bits)).map_or(u64::MAX, |top| top - 1))
            }
            _ => None,
        }
    }
}

/// What it means for a NIC's health when the counter rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Work being done.
    Traffic,
    /// The network or a receiver asks to slow down (CNP, ECN, waits).
    Congestion,
    /// Something was lost and sent again, or was dropped.
    Loss,
    /// Something failed.
    Error,
    /// Neither good nor bad, or not known.
    Neutral,
}

/// What one count stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// 4-byte words, as InfiniBand's `port_xmit_data`.
    Words,
    /// Packets.
    Packets,
    /// Operations, work requests, messages.
    Operations,
    /// Milliseconds.
    Milliseconds,
    /// Anything else that is counted.
    Count,
}

/// The health quantities that NICs of all drivers have in common; a counter may feed one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Packets dropped.
    Drops,
    /// Packets (or requests) sent again, or seen out of order.
    Retransmits,
    /// Times a peer did not answer in time.
    Timeouts,
    /// Congestion notifications and marks.
    Congestion,
}

impl Health {
    /// All, in the order they are shown.
    pub const ALL: [Self; 4] = [Self::Drops, Self::Retransmits, Self::Timeouts, Self::Congestion];

    /// The name in logs (`drops`, …).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Drops => "drops",
            Self::Retransmits => "retransmits",
            Self::Timeouts => "timeouts",
            Self::Congestion => "congestion",
        }
    }
}

/// One value per [`Health`] quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerHealth<T>([T; Health::ALL.len()]);

impl<T> std::ops::Index<Health> for PerHealth<T> {
    type Output = T;

    fn index(&self, quantity: Health) -> &T {
        &self.0[quantity as usize]
    }
}

impl<T> std::ops::IndexMut<Health> for PerHealth<T> {
    fn index_mut(&mut self, quantity: Health) -> &mut T {
        &mut self.0[quantity as usize]
    }
}

/// All that is known about a counter, whatever its value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Desc {
    /// The kernel's or the page's name, verbatim.
    pub name: Cow<'static, str>,
    /// How it behaves.
    pub kind: Kind,
    /// What a rise means.
    pub class: Class,
    /// What one count is.
    pub unit: Unit,
    /// The common quantity that it is (part of).
    pub feeds: Option<Health>,
    /// One sentence for people; empty when nothing is known.
    pub help: Cow<'static, str>,
}

impl Desc {
    /// A counter that only grows and of which nothing else is known.
    #[must_use]
    pub fn unknown(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            kind: Kind::Monotonic64,
            class: Class::Neutral,
            unit: Unit::Count,
            feeds: None,
            help: Cow::Borrowed(""),
        }
    }
}

impl Desc {
    /// Whether more than the name is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.help.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saturating_counters_stop_at_all_ones() {
        assert_eq!(Kind::Saturating(4).maximum(), Some(15));
        assert_eq!(Kind::Saturating(32).maximum(), Some(u64::from(u32::MAX)));
        assert_eq!(Kind::Saturating(64).maximum(), Some(u64::MAX));
        assert_eq!(Kind::Wrap32.maximum(), None);
    }
}
