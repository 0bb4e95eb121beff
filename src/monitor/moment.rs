//! When something was read, how well that is known, and whether the time between two such moments is good for a rate.

use std::time::Duration;

use super::clock;

/// A rate is made only where the time it is over cannot be off by more than one part in this many, 5 %.
///
/// The least that anything is concluded from is the quarter by which `check` lets the busiest NIC be above the mean; a
/// number that is shown must not be what makes it, nor differ from the truth by more than a look at the screen tells.
/// Reading a device takes milliseconds, and at one tick a second it may take 50: what is left out is a read that hung,
/// or that whoever reads was put to sleep in.
const PARTS: u64 = 20;

/// A moment on the monotonic clock, known to half of `span_ns` on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The middle.
    pub(crate) at_ns: u64,
    /// From before the read until after it: the values are of some time in between.
    pub(crate) span_ns: u64,
}

impl Moment {
    /// Somewhere between a look at the clock before a read and one after it.
    pub(crate) fn between(before_ns: u64, after_ns: u64) -> Self {
        Self { at_ns: clock::middle(before_ns, after_ns), span_ns: after_ns.saturating_sub(before_ns) }
    }

    /// Somewhere between a look at the clock before a read and now.
    pub(crate) fn since(before_ns: u64) -> Self {
        Self::between(before_ns, clock::mono_ns())
    }

    /// The time from this moment to a later one, from middle to middle.
    pub(crate) fn until(self, later: Self) -> Duration {
        Duration::from_nanos(later.at_ns.saturating_sub(self.at_ns))
    }

    /// Whether that time is known well enough, where each end may be a further `more_ns` from where it should be.
    pub(crate) fn is_sure_until(self, later: Self, more_ns: u64) -> bool {
        let off = self.half().saturating_add(later.half()).saturating_add(more_ns);
        off.saturating_mul(PARTS) <= later.at_ns.saturating_sub(self.at_ns)
    }

    /// Whether an interval that begins here is known well enough sooner than one that begins at `other`.
    pub(crate) fn is_better_than(self, other: Self) -> bool {
        self.good_from() < other.good_from()
    }

    /// Whether the time since this moment will be known well enough at `at_ns`, if that is exact.
    pub(crate) fn is_good_by(self, at_ns: u64) -> bool {
        self.good_from() <= at_ns
    }

    /// From when on the time since this moment is known well enough, however exact its other end is.
    fn good_from(self) -> u64 {
        self.at_ns.saturating_add(self.half().saturating_mul(PARTS))
    }

    fn half(self) -> u64 {
        self.span_ns.div_ceil(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn moment(at_ms: u64, span_ms: u64) -> Moment {
        Moment { at_ns: at_ms * MS, span_ns: span_ms * MS }
    }

    #[test]
    fn an_interval_is_good_up_to_a_twentieth_of_it() {
        let (begin, end) = (moment(0, 60), moment(1000, 40));
        assert!(begin.is_sure_until(end, 0), "30 + 20 ms of a second");
        assert!(!begin.is_sure_until(end, 1) && !begin.is_sure_until(moment(999, 40), 0));
        assert!(moment(0, 0).is_sure_until(moment(0, 0), 0), "no time at all is exactly that");
    }

    #[test]
    fn an_old_exact_moment_is_better_than_a_new_vague_one_until_that_is_long_ago() {
        assert!(moment(0, 2).is_better_than(moment(500, 300)));
        assert!(moment(750, 2).is_better_than(moment(500, 300)));
        assert!(!moment(1000, 300).is_better_than(moment(0, 300)), "of two alike the older begins more");
    }

    proptest! {
        /// A steady flow, counted anywhere within each read, is never shown more than the bound off.
        #[test]
        fn no_rate_is_further_off_than_promised(
            spans in (0..400_u64, 0..400_u64), apart in 1_000..20_000_u64, counted in (0.0..=1.0, 0.0..=1.0)
        ) {
            let (a, b) = (moment(10_000, spans.0), moment(10_000 + apart, spans.1));
            prop_assume!(a.is_sure_until(b, 0));
            let truly = |m: Moment, share: f64| m.at_ns as f64 + (share - 0.5) * m.span_ns as f64;
            let true_ns = truly(b, counted.1) - truly(a, counted.0);
            let shown = true_ns / a.until(b).as_nanos() as f64;
            prop_assert!((shown - 1.0).abs() <= 1.0 / PARTS as f64 + 1e-9, "{shown} of the rate");
        }
    }
}
