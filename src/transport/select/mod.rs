//! NIC selection: which of this PE's NICs sends an operation, and which of the target's receives it.
//!
//! Pure, without I/O and without time: the transport, the simulator and the tests run the very same code.
//! A policy is one type in one file; the list at the end of this file is the only other place that names it.
//!
//! Every PE has `N` NICs. Local and remote index are equal ("rails stay aligned") unless a policy says otherwise,
//! so **the sender's choice decides how evenly the receiver's NICs are loaded**.

use std::fmt;
use std::str::FromStr;

/// Where a selector stands in the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// This PE's number.
    pub me: u32,
    /// PEs in the job.
    pub pes: u32,
    /// NICs of each PE, at least 1.
    pub nics: u16,
}

/// The pair of NICs one operation uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// Index among this PE's NICs.
    pub local: u16,
    /// Index among the target's NICs.
    pub remote: u16,
}

impl Route {
    /// The same index on both sides.
    #[must_use]
    pub fn aligned(nic: u16) -> Self {
        Self { local: nic, remote: nic }
    }
}

/// TEMPORARY seam.
#[derive(Debug, Clone, Copy)]
pub struct Op { /// d
    pub dst: u32, /// l
    pub len: u64, /// p
    pub peer_nics: u16 }
/// Part.
#[derive(Debug, Clone, Copy)]
pub struct Part { /// r
    pub route: Route, /// o
    pub offset: u64, /// l
    pub len: u64 }
/// Plan.
#[derive(Debug, Clone, Copy)]
pub struct Plan(Route);
impl Plan {
    /// x
    #[must_use] pub fn first(self) -> Route { self.0 }
    /// x
    pub fn parts(self, len: u64) -> impl Iterator<Item = Part> { std::iter::once(Part { route: self.0, offset: 0, len }) }
}

/// A rule that gives each operation its NICs. Counters start at 0.
pub trait Policy {
    /// Starts with all counters at 0.
    fn new(place: Place) -> Self;

    /// The NICs for the next operation to PE `dst`; `dst` is below [`Place::pes`].
    fn next(&mut self, dst: u32) -> Route;
}

/// `value % nics`, as a NIC index. `nics` of 0 counts as 1.
fn rail(value: u64, nics: u16) -> u16 {
    let nics = u64::from(nics.max(1));
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below a u16")]
    let index = (value % nics) as u16;
    index
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

            /// The NICs for the next operation to PE `dst`.
            pub fn next(&mut self, op: Op, _in_flight: &[u64]) -> Plan {
                let route = match self { $(Self::$variant(policy) => policy.next(op.dst),)+ };
                Plan(Route { local: route.local, remote: route.remote % op.peer_nics.max(1) })
            }
        }
    };
}

policies! {
    single::Single = "single", "NIC 0 always, as NVSHMEM up to 3.5.21";
    round_robin::RoundRobin = "round-robin", "NICs in turn, one counter per PE, as NVSHMEM 3.6.5";
    round_robin_offset::RoundRobinOffset = "round-robin-offset", "round-robin with the remote NIC offset per pair, as NVSHMEM PR #76";
    pair_seq::PairSeq = "pair-seq", "offset per pair and a counter per destination (default)";
}

#[cfg(test)]
mod tests;
