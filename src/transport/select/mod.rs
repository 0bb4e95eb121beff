//! NIC selection: which of this PE's NICs sends an operation, and which of the target's receives it.
//!
//! Pure, without I/O and without time: the transport, the simulator and the tests run the very same code.
//! A policy is one type in one file; the list at the end of this file is the only other place that names it.
//!
//! A PE has any number of NICs. Where the target has as many, local and remote index are equal ("rails stay aligned")
//! unless a policy says otherwise, so **the sender's choice decides how evenly the receiver's NICs are loaded**.

mod plan;

use std::fmt;
use std::str::FromStr;

pub use plan::{CUT, Part, Parts, Plan, Route};
#[cfg(test)]
pub(super) use stripe::STRIPE_FROM;

/// Where a selector stands in the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// This PE's number.
    pub me: u32,
    /// PEs in the job.
    pub pes: u32,
    /// NICs of this PE, at least 1.
    pub nics: u16,
}

/// One operation to choose NICs for: a put, a get, or one without bytes (a signal, an atomic, an acknowledgement).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op {
    /// The other PE, below [`Place::pes`].
    pub dst: u32,
    /// Bytes.
    pub len: u64,
    /// NICs of the target, at least 1.
    pub peer_nics: u16,
}

/// A rule that gives each operation its NICs. Counters start at 0.
///
/// The same calls have the same answers on every machine: no clock, no randomness, no floating point.
pub trait Policy {
    /// Whether [`Self::next`] looks at the bytes in flight; else nobody has to count them.
    const READS_LOAD: bool = false;

    /// Shortest operation, in bytes, whose plan may have several parts.
    const SPLITS_FROM: u64 = u64::MAX;

    /// Starts with all counters at 0.
    fn new(place: Place) -> Self;

    /// The NICs for the next operation. `in_flight` has the bytes in flight per own NIC: what was given to the NIC and is
    /// not complete, with what still waits for it in a queue. A NIC beyond its end counts as idle.
    ///
    /// Whether a NIC works is not asked here: who posts knows, and takes another instead.
    fn next(&mut self, op: Op, in_flight: &[u64]) -> Plan;
}

/// A name on the command line that is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown NIC policy {0:?}; known: {known}", known = names().join(", "))]
pub struct UnknownPolicy(String);

/// The names of all policies, as they are written on the command line.
#[must_use]
pub fn names() -> Vec<&'static str> {
    PolicyKind::ALL.iter().map(|kind| kind.name()).collect()
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PolicyKind {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| UnknownPolicy(text.to_owned()))
    }
}

/// Makes the enum of all policies and the selector that runs one of them, dispatched by a match (no boxes on the data path).
macro_rules! policies {
    ($($module:ident :: $variant:ident = $name:literal, $help:literal;)+) => {
        $(mod $module;)+
        $(pub use $module::$variant;)+

        /// A policy by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum PolicyKind {
            $(#[doc = $help] $variant,)+
        }

        impl PolicyKind {
            /// All policies, in the order of the documentation.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The name on the command line, in logs and in counter pages.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One line of help.
            #[must_use]
            pub fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)+ }
            }
        }

        /// A policy at work.
        #[derive(Debug, Clone)]
        pub enum Selector {
            $(#[doc = $help] $variant($variant),)+
        }

        impl Selector {
            /// Starts `kind` with its counters at 0.
            #[must_use]
            pub fn new(kind: PolicyKind, place: Place) -> Self {
                match kind { $(PolicyKind::$variant => Self::$variant($variant::new(place)),)+ }
            }

            /// See [`Policy::READS_LOAD`].
            #[must_use]
            pub fn reads_load(&self) -> bool {
                match self { $(Self::$variant(_) => <$variant as Policy>::READS_LOAD,)+ }
            }

            /// See [`Policy::SPLITS_FROM`].
            #[must_use]
            #[inline]
            pub fn splits_from(&self) -> u64 {
                match self { $(Self::$variant(_) => <$variant as Policy>::SPLITS_FROM,)+ }
            }

            /// The NICs for the next operation; see [`Policy::next`].
            #[inline(always)]
            pub fn next(&mut self, op: Op, in_flight: &[u64]) -> Plan {
                match self { $(Self::$variant(policy) => policy.next(op, in_flight),)+ }
            }

            /// The pair of NICs for an operation that is not split, whatever its plan says: the first of that.
            // Called for, it took 65 of a put-signal's 480 instructions more.
            #[inline(always)]
            pub fn route(&mut self, op: Op, in_flight: &[u64]) -> Route {
                match self { $(Self::$variant(policy) => policy.next(op, in_flight).first(),)+ }
            }
        }
    };
}

policies! {
    single::Single = "single", "NIC 0 always, as NVSHMEM up to 3.5.21";
    round_robin::RoundRobin = "round-robin", "NICs in turn, one counter per PE, as NVSHMEM 3.6.5";
    round_robin_offset::RoundRobinOffset = "round-robin-offset", "round-robin with the remote NIC offset per pair, as NVSHMEM PR #76";
    pair_seq::PairSeq = "pair-seq", "offset per pair and a counter per destination (default)";
    stripe::Stripe = "stripe", "from 128 KiB on split over all NICs, else pair-seq";
    least_loaded::LeastLoaded = "least-loaded", "the NIC with the least bytes in flight";
}

#[cfg(test)]
mod tests;
