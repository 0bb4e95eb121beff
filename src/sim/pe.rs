//! A PE: what it sends, and which NICs its policy gives that.

use super::traffic::Put;
use crate::chance::Numbers;
use crate::transport::select::{Op, Part, Parts, Plan, Route, Selector};

/// Puts that a PE takes from its stream at a time: eight counters of a policy that counts per destination are one cache line, which
/// would else be fetched anew for each.
const BATCH: usize = 8;

/// A put with its NICs, where the policy can tell them ahead.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planned {
    pub(super) put: Put,
    pub(super) plan: Plan,
}

/// In place of a plan that is made when the put is posted.
fn undecided() -> Plan {
    Plan::one(Route::aligned(0))
}

/// A PE's state, what every put touches first.
#[repr(C)]
pub(super) struct Pe<S> {
    /// Puts of the batch that are posted, and all of them.
    posted: u8,
    filled: u8,
    /// There is something in `held`, which is looked at only then.
    holds: bool,
    batch: [Planned; BATCH],
    pub(super) stream: S,
    pub(super) selector: Selector,
    /// What its puts cost.
    pub(super) jitter: Numbers,
    held: Option<Held>,
}

/// See [`Pe::hold`].
type Held = (u32, Part, Parts, u64);

impl<S: Iterator<Item = Put>> Pe<S> {
    pub(super) fn new(stream: S, selector: Selector, jitter: Numbers) -> Self {
        let none = Planned { put: Put { dst: 0, len: 0 }, plan: undecided() };
        Self {
            posted: 0,
            filled: 0,
            holds: false,
            batch: [none; BATCH],
            stream,
            selector,
            jitter,
            held: None,
        }
    }

    /// Keeps what found no room: its PE, the part that is next, those behind it, and what the ones before it have cost.
    pub(super) fn hold(&mut self, held: Held) {
        (self.holds, self.held) = (true, Some(held));
    }

    /// What found no room before.
    #[inline]
    pub(super) fn take_held(&mut self) -> Option<Held> {
        if std::mem::take(&mut self.holds) { self.held.take() } else { None }
    }

    /// The next put. A policy that looks at no load answers the same whenever it is asked, so it is asked `ahead`.
    pub(super) fn next(&mut self, nics: u16, ahead: bool) -> Option<Planned> {
        if self.posted == self.filled {
            (self.posted, self.filled) = (0, 0);
            for place in &mut self.batch {
                let Some(put) = self.stream.next() else { break };
                let op = Op { dst: put.dst, len: put.len, peer_nics: nics };
                let plan = if ahead { self.selector.next(op, &[]) } else { undecided() };
                *place = Planned { put, plan };
                self.filled += 1;
            }
            if self.filled == 0 {
                return None;
            }
        }
        self.posted += 1;
        self.batch.get(usize::from(self.posted - 1)).copied()
    }
}
