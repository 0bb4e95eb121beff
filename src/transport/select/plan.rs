//! What a policy decided: which NICs carry an operation, and which bytes of it each.
//!
//! A plan is a handful of integers; its parts are worked out while they are gone through, so nothing is allocated.

/// The pair of NICs one part of an operation uses.
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

    /// The NICs that a running value names: `value % own` here and `value % peer` there.
    ///
    /// A value that counts up uses both sides evenly whatever their numbers of NICs, and where those are equal, rails
    /// stay aligned.
    #[must_use]
    #[inline]
    pub fn at(value: u64, own: u16, peer: u16) -> Self {
        let local = rail(value, own);
        Self { local, remote: if own == peer { local } else { rail(value, peer) } }
    }

    /// The NICs of the value behind this one's.
    #[inline]
    pub(super) fn next(self, own: u16, peer: u16) -> Self {
        let after = |nic: u16, nics: u16| if nic + 1 >= nics { 0 } else { nic + 1 };
        Self { local: after(self.local, own), remote: after(self.remote, peer) }
    }
}

/// `value % nics`, as a NIC index. `nics` of 0 counts as 1.
#[inline]
pub(super) fn rail(value: u64, nics: u16) -> u16 {
    let nics = u64::from(nics.max(1));
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below a u16")]
    let index = (value % nics) as u16;
    index
}

/// Where an operation may be cut, counted from its start: what NICs and caches move at a time (aws-ofi-nccl cuts its
/// stripes at the same 128 bytes). Where the destination is aligned to it, so is every part.
pub const CUT: u64 = 128;

/// Bytes of an operation that one pair of NICs carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The pair of NICs.
    pub route: Route,
    /// First byte, counted from the operation's start; a multiple of [`CUT`].
    pub offset: u64,
    /// Bytes; 0 only where the operation has none.
    pub len: u64,
}

/// The NICs of one side that share an operation: `sharing` of them from `first` on, with 0 after `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Side {
    first: u16,
    last: u16,
    sharing: u16,
}

impl Side {
    /// `sharing` NICs of `nics`, the first of them `value % nics`. Numbers of 0 count as 1.
    pub(super) fn new(value: u64, nics: u16, sharing: u16) -> Self {
        let nics = nics.max(1);
        Self { first: rail(value, nics), last: nics - 1, sharing: sharing.clamp(1, nics) }
    }

    #[inline]
    fn only(nic: u16) -> Self {
        Self { first: nic, last: nic, sharing: 1 }
    }

    /// The NIC that has share `share`, counted from 0.
    fn nic(self, share: u16) -> u16 {
        let to_last = self.last - self.first;
        if share <= to_last { self.first + share } else { share - to_last - 1 }
    }

    /// Where share `share` of `len` bytes ends: the shares are equal but for the cut, and the last one ends at `len`.
    fn end(self, share: u16, len: u64) -> u64 {
        let (ends, all) = (u64::from(share) + 1, u64::from(self.sharing));
        if ends >= all {
            return len;
        }
        // len * ends / all without overflow: the quotient's part stays below len, the remainder's below 2^32.
        let exact = len / all * ends + len % all * ends / all;
        exact - exact % CUT
    }
}

/// What a policy decided: one route, or a split over several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Plan {
    local: Side,
    remote: Side,
}

impl Plan {
    /// All of it over one pair of NICs.
    #[must_use]
    #[inline]
    pub fn one(route: Route) -> Self {
        Self { local: Side::only(route.local), remote: Side::only(route.remote) }
    }

    /// Equal shares for each side's NICs, in order; both sides' cuts apply.
    pub(super) fn split(local: Side, remote: Side) -> Self {
        Self { local, remote }
    }

    /// Whether several NICs share it, on either side.
    #[inline]
    fn is_split(self) -> bool {
        self.local.sharing > 1 || self.remote.sharing > 1
    }

    /// The parts of an operation of `len` bytes, in order: together they are every byte once. There is always at least
    /// one; without bytes it is one of length 0.
    #[must_use]
    #[inline]
    pub fn parts(self, len: u64) -> Parts {
        Parts { plan: self, len, offset: 0, local: 0, remote: 0, done: false }
    }

    /// Where it starts: the route of the first part, and of what cannot be split.
    #[must_use]
    #[inline]
    pub fn first(self) -> Route {
        Route { local: self.local.first, remote: self.remote.first }
    }
}

/// The parts of an operation; see [`Plan::parts`].
#[derive(Debug, Clone)]
pub struct Parts {
    plan: Plan,
    len: u64,
    offset: u64,
    /// Shares of either side that are used up.
    local: u16,
    remote: u16,
    done: bool,
}

impl Iterator for Parts {
    type Item = Part;

    #[inline]
    fn next(&mut self) -> Option<Part> {
        if self.done {
            return None;
        }
        if self.plan.is_split() {
            return self.next_share();
        }
        self.done = true;
        Some(Part { route: self.plan.first(), offset: 0, len: self.len })
    }
}

impl Parts {
    fn next_share(&mut self) -> Option<Part> {
        while !self.done {
            let Plan { local, remote } = self.plan;
            let route = Route { local: local.nic(self.local), remote: remote.nic(self.remote) };
            let (local_end, remote_end) =
                (local.end(self.local, self.len), remote.end(self.remote, self.len));
            let (offset, end) = (self.offset, local_end.min(remote_end));
            self.local += u16::from(local_end == end);
            self.remote += u16::from(remote_end == end);
            self.offset = end;
            self.done = end == self.len;
            // A share of less than a cut may be empty.
            if end > offset || self.done {
                return Some(Part { route, offset, len: end - offset });
            }
        }
        None
    }
}
