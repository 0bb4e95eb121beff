//! How long an acknowledgement of few groups waits for company.
//!
//! A put of the receiver's own may take it along, or more groups may come that need no other. But a sender that puts and waits until that has
//! landed, again and again, only waits for nothing then: 20 us of the 30 that each took over sockets. The receiver
//! learns that from what its waits bring, and forgets it as fast. It looks at one wait at a time: where two groups come one soon after the
//! other, and then a quiet, again and again, the second is company, and it goes on waiting; and a burst's end counts as a wait like any other.

use super::ACK_DELAY_NS;

/// Waits in a row that have brought nothing, after which the next acknowledgements go at once.
const IN_VAIN: u8 = 2;

/// So many of them, and then one waits again: it may be worth it by now.
const AT_ONCE: u8 = 15;

/// What the last waits have brought.
#[derive(Debug, Default)]
pub(super) struct Lone {
    /// Waits in a row that have brought nothing.
    in_vain: u8,
    /// Acknowledgements that have gone at once since the last wait.
    at_once: u8,
}

impl Lone {
    /// Nanoseconds from the last group on.
    pub(super) fn delay_ns(&self) -> u64 {
        if self.in_vain >= IN_VAIN && self.at_once < AT_ONCE { 0 } else { ACK_DELAY_NS }
    }

    /// One has gone by itself, with nothing to bear it company.
    pub(super) fn went(&mut self) {
        if self.delay_ns() == 0 {
            self.at_once += 1;
        } else {
            self.in_vain = self.in_vain.saturating_add(1);
            self.at_once = 0;
        }
    }

    /// While one waited more came, or something else took it along.
    pub(super) fn had_company(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many go at once from here on, at most `most`, until one waits.
    fn at_once(lone: &mut Lone, most: usize) -> usize {
        (0..most)
            .find(|_| {
                lone.delay_ns() > 0 || {
                    lone.went();
                    false
                }
            })
            .unwrap_or(most)
    }

    #[test]
    fn after_waits_in_vain_they_go_at_once_but_for_one_now_and_then() {
        let mut lone = Lone::default();
        for _ in 0..IN_VAIN {
            assert_eq!(at_once(&mut lone, 1), 0);
            lone.went();
        }
        for _ in 0..1000 {
            assert_eq!(at_once(&mut lone, 100), usize::from(AT_ONCE));
            lone.went();
        }
        lone.had_company();
        assert_eq!(at_once(&mut lone, 1), 0, "company is what it waits for");
    }
}
