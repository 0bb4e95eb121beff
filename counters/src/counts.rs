//! The counters themselves: one table gives each field its name, unit, kind and help.
//!
//! The order of a table is the order of the words in the page, and the order in which the writer
//! stores them. `tx_posted_*` comes before `tx_done_*` for that reason: see `docs/counter-page.md`,
//! "In flight is never negative".

use std::ops::Add;

/// How a field behaves over time, and so how values of several threads are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldKind {
    /// Only grows; threads are added.
    Counter,
    /// Goes up and down; threads are added.
    Gauge,
    /// The highest value so far; of several threads the highest counts.
    HighWater,
}

impl FieldKind {
    /// Puts the values of two threads together. Saturates, because a page may hold anything.
    #[must_use]
    pub fn merge(self, a: u64, b: u64) -> u64 {
        match self {
            Self::Counter | Self::Gauge => a.saturating_add(b),
            Self::HighWater => a.max(b),
        }
    }

    /// What a value has gained since an earlier one. Only a counter gains; of the others the later value is all there is.
    #[must_use]
    pub fn since(self, later: u64, earlier: u64) -> u64 {
        match self {
            Self::Counter => later.saturating_sub(earlier),
            Self::Gauge | Self::HighWater => later,
        }
    }

    pub(super) fn code(self) -> u32 {
        match self {
            Self::Counter => 0,
            Self::Gauge => 1,
            Self::HighWater => 2,
        }
    }

    /// A code of a newer minor version is taken for a gauge: the kind that promises least.
    pub(super) fn from_code(code: u32) -> Self {
        match code {
            0 => Self::Counter,
            2 => Self::HighWater,
            _ => Self::Gauge,
        }
    }
}

/// What is known about one field at compile time. Name, unit and kind also travel in the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Name in the page; what readers match by.
    pub name: &'static str,
    /// Unit in the page: `ops`, `bytes`, `events`, `nics`, `ns`.
    pub unit: &'static str,
    /// How the field behaves over time.
    pub kind: FieldKind,
    /// One sentence for a help screen. Not in the page.
    pub help: &'static str,
    /// The minor version of the page that brought it; older pages are without it.
    pub since_minor: u16,
}

macro_rules! counter_block {
    ($(#[$meta:meta])* $name:ident { $( $field:ident, $kind:ident, $unit:literal, $help:literal $(, since $minor:literal)?; )+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name {
            $( #[doc = $help] pub $field: u64, )+
        }

        impl $name {
            /// Number of fields.
            pub const LEN: usize = [$( stringify!($field) ),+].len();
            /// Every field, in the order of the page.
            pub const FIELDS: [Field; Self::LEN] = [
                $( Field {
                    name: stringify!($field),
                    unit: $unit,
                    kind: FieldKind::$kind,
                    help: $help.trim_ascii(),
                    since_minor: 0 $( + $minor )?,
                }, )+
            ];

            /// The names of all fields but those: for [`PageSpec::uncounted`](super::PageSpec::uncounted) of a writer that counts only those.
            #[must_use]
            pub fn names_without(counted: &[&str]) -> Vec<&'static str> {
                let names = Self::FIELDS.iter().map(|field| field.name);
                names.filter(|name| !counted.contains(name)).collect()
            }

            /// The values, in the order of [`Self::FIELDS`].
            #[must_use]
            #[inline]
            pub fn to_array(&self) -> [u64; Self::LEN] {
                [$( self.$field, )+]
            }

            /// The inverse of [`Self::to_array`].
            #[must_use]
            pub fn from_array(values: [u64; Self::LEN]) -> Self {
                let [$( $field, )+] = values;
                Self { $( $field, )+ }
            }

            /// What was counted since `earlier`.
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                Self { $( $field: FieldKind::$kind.since(self.$field, earlier.$field), )+ }
            }
        }

        /// Adds threads or NICs up: counters saturate, of a high-water mark the higher stays.
        impl Add for $name {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self { $( $field: FieldKind::$kind.merge(self.$field, other.$field), )+ }
            }
        }

        impl std::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
                iter.fold(Self::default(), Add::add)
            }
        }
    };
}

counter_block! {
    /// What one proxy thread did on one NIC since it started.
    ///
    /// `tx_posted_bytes`, `tx_done_bytes` and `rx_bytes` are the payload of puts. The protocol's own
    /// messages (signals, acknowledgements, barriers) are `control_*`: so that the payload of all
    /// senders to a NIC and the NIC's `rx_bytes` are the same number.
    NicCounts {
        tx_posted_ops, Counter, "ops", " Puts handed to the provider.";
        tx_posted_bytes, Counter, "bytes", " Payload of the puts handed to the provider.";
        tx_done_ops, Counter, "ops", " Puts completed, well or in error; never more than posted.";
        tx_done_bytes, Counter, "bytes", " Payload of the puts completed; never more than posted.";
        tx_errors, Counter, "ops", " Completed operations that failed.";
        tx_eagain, Counter, "events", " Times the provider said \"queue full, try again\".";
        rx_ops, Counter, "ops", " Puts that arrived from other PEs.";
        rx_bytes, Counter, "bytes", " Payload that arrived; how it is known is the page's Rx source.";
        signal_tx_ops, Counter, "ops", " Signals sent.";
        signal_rx_ops, Counter, "ops", " Signals received.";
        control_tx_bytes, Counter, "bytes", " Bytes of the protocol's own messages sent.";
        control_rx_bytes, Counter, "bytes", " Bytes of the protocol's own messages received.";
        rx_errors, Counter, "events", " Completions at the target that failed or made no sense.";
        cq_polls, Counter, "events", " Times the completion queue was read.";
        cq_empty, Counter, "events", " Reads of the completion queue that found nothing.";
        max_in_flight_ops, HighWater, "ops", " Most puts that were posted and not yet done at one time.";
        down, Gauge, "nics", " 1 while the NIC is not used because it has failed, else 0.", since 1;
        failures, Counter, "events", " Times the NIC failed and its work went over others.", since 1;
        fences, Counter, "events", " Times the NIC was closed for what was under way to it, and opened anew.", since 1;
        resent_ops, Counter, "ops", " Messages sent once more through this NIC because another one, here or there, had failed.", since 1;
        resent_bytes, Counter, "bytes", " Payload of the puts sent once more through this NIC.", since 1;
        read_posted_ops, Counter, "ops", " RMA reads handed to the provider; in none of the tx counters.", since 3;
        read_done_ops, Counter, "ops", " RMA reads completed; never more than posted.", since 3;
        read_done_bytes, Counter, "bytes", " Payload that RMA reads have brought; part of the received bytes.", since 3;
        atomic_ops, Counter, "ops", " Atomics among the operations posted.", since 3;
        seen_rx_bytes, Counter, "bytes", " Payload that completions tell of; what else has arrived, if the Rx source is none, nothing tells.", since 3;
        setup_tx_bytes, Counter, "bytes", " Bytes sent to try the NIC out, before the other counters began.", since 4;
    }
}

impl NicCounts {
    /// Puts posted and not yet done.
    #[must_use]
    pub fn in_flight_ops(&self) -> u64 {
        self.tx_posted_ops.saturating_sub(self.tx_done_ops)
    }

    /// Payload bytes posted and not yet done.
    #[must_use]
    pub fn in_flight_bytes(&self) -> u64 {
        self.tx_posted_bytes.saturating_sub(self.tx_done_bytes)
    }
}

counter_block! {
    /// What belongs to the PE as a whole and to no NIC.
    PeCounts {
        local_ops, Counter, "ops", " Puts to PEs of the same node, copied without a NIC.";
        local_bytes, Counter, "bytes", " Payload of the puts to PEs of the same node.";
        barriers, Counter, "events", " Barriers completed.";
        quiets, Counter, "events", " Quiets completed.";
        proxy_loops, Counter, "events", " Turns of the proxy's loop.";
        proxy_idle, Counter, "events", " Turns of the proxy's loop that found nothing to do.";
        gpu_posts, Counter, "ops", " Puts, signals and quiets that GPU threads have posted and the proxy has taken.", since 2;
        gpu_post_ns, Counter, "ns", " Time of the turns in which the proxy took some of them.", since 2;
        gpu_stalls, Counter, "events", " Times a GPU thread found its ring full and waited.", since 2;
        gpu_ring_used, Gauge, "ops", " Posted by GPU threads and not yet taken by the proxy.", since 2;
        gpu_ring_size, Gauge, "ops", " What the rings of the PE's GPU hold; 0 without any.", since 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_of_counters_only() {
        let earlier =
            NicCounts { tx_done_bytes: 10, rx_ops: 3, max_in_flight_ops: 7, ..NicCounts::default() };
        let later = NicCounts { tx_done_bytes: 25, rx_ops: 3, max_in_flight_ops: 8, ..NicCounts::default() };
        let gained = NicCounts { tx_done_bytes: 15, max_in_flight_ops: 8, ..NicCounts::default() };
        assert_eq!(later.since(&earlier), gained);
    }

    #[test]
    fn names_are_unique_and_fit_the_page() {
        for fields in [&NicCounts::FIELDS[..], &PeCounts::FIELDS[..]] {
            for (i, field) in fields.iter().enumerate() {
                assert!(field.name.len() <= super::super::layout::SCHEMA_NAME_LEN);
                assert!(field.unit.len() <= super::super::layout::SCHEMA_UNIT_LEN);
                assert!(fields[..i].iter().all(|other| other.name != field.name));
            }
        }
    }

    #[test]
    fn posted_is_stored_before_done() {
        let at = |name| NicCounts::FIELDS.iter().position(|f| f.name == name);
        assert!(at("tx_posted_ops") < at("tx_done_ops"));
        assert!(at("tx_posted_bytes") < at("tx_done_ops"));
    }

    #[test]
    fn threads_add_up_and_saturate() {
        let a = NicCounts { rx_bytes: u64::MAX, max_in_flight_ops: 3, ..NicCounts::default() };
        let b = NicCounts { rx_bytes: 1, max_in_flight_ops: 7, tx_errors: 2, ..NicCounts::default() };
        let sum: NicCounts = [a, b].into_iter().sum();
        assert_eq!((sum.rx_bytes, sum.max_in_flight_ops, sum.tx_errors), (u64::MAX, 7, 2));
        assert_eq!(NicCounts::from_array(a.to_array()), a);
    }
}
