//! Whose turn it is where there is not room for all: neither what a program posts nor what the other PE has asked for may keep
//! the other waiting for ever, however much less room each of its own takes.

use super::WINDOW;

/// For whom something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Posted by this PE: its program, or a kernel of its GPU.
    Posted,
    /// Asked for by the PE that it goes to: the bytes of a get, the old value of a word.
    Asked,
}

impl Origin {
    fn other(self) -> Self {
        match self {
            Self::Posted => Self::Asked,
            Self::Asked => Self::Posted,
        }
    }
}

/// Who waits for room towards a PE, and whether the other has to let it go first. Whoever has been refused must try again until it
/// is taken.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// By origin: whether one of it has been refused.
    waits: [bool; 2],
    /// The one that waits, and that room is kept for from now on.
    first: Option<Origin>,
    /// Pieces, or groups without any, that went while another waited.
    passed: u64,
}

impl Turns {
    /// Whether anybody has been refused.
    #[inline]
    pub(super) fn is_anyone_waiting(&self) -> bool {
        self.waits != [false; 2]
    }

    /// Whether one of `origin`, of so many `pieces`, goes now, given whether it `fits`. Who has been passed by an eighth of what may
    /// be under way is the first from then on.
    #[cold]
    pub(super) fn take(&mut self, origin: Origin, fits: bool, pieces: u64, most_pieces: u64) -> bool {
        let other = origin.other();
        let goes = fits && self.first != Some(other);
        self.set_waiting(origin, !goes);
        if !goes {
            return false;
        }
        if self.first == Some(origin) {
            self.first = None;
        }
        if !self.is_waiting(other) {
            self.passed = 0;
            return true;
        }
        self.passed += pieces.max(1);
        if self.passed >= (most_pieces.min(WINDOW) / 8).max(1) {
            (self.first, self.passed) = (Some(other), 0);
        }
        true
    }

    fn is_waiting(&self, origin: Origin) -> bool {
        let [posted, asked] = self.waits;
        match origin {
            Origin::Posted => posted,
            Origin::Asked => asked,
        }
    }

    fn set_waiting(&mut self, origin: Origin, waits: bool) {
        let [posted, asked] = &mut self.waits;
        *match origin {
            Origin::Posted => posted,
            Origin::Asked => asked,
        } = waits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who goes of so many attempts, each turn both in this order, when there is room for one kind only or for both.
    fn run(turns: &mut Turns, attempts: usize, fits: impl Fn(usize, Origin) -> bool) -> [usize; 2] {
        let mut went = [0; 2];
        for attempt in 0..attempts {
            for (origin, count) in [Origin::Posted, Origin::Asked].into_iter().zip(&mut went) {
                *count += usize::from(turns.take(origin, fits(attempt, origin), 1, 64));
            }
        }
        went
    }

    #[test]
    fn who_is_refused_is_passed_by_an_eighth_and_then_waited_for() {
        let mut turns = Turns::default();
        assert!(!turns.is_anyone_waiting());
        let small_only = |_, origin| origin == Origin::Posted;
        assert_eq!(run(&mut turns, 100, small_only), [8 + 1, 0], "the first went before anyone waited");
        assert!(turns.is_anyone_waiting());
        assert_eq!(run(&mut turns, 1, |_, _| true), [0, 1]);
        assert_eq!(run(&mut turns, 1, |_, _| true), [1, 1]);
        assert!(!turns.is_anyone_waiting());
    }

    #[test]
    fn both_get_on_whoever_finds_room() {
        for chance in [2, 3, 7] {
            let mut turns = Turns::default();
            // Room for the one now and then, for the other nearly always, and the other way round.
            for rare in [Origin::Posted, Origin::Asked] {
                let [posted, asked] =
                    run(&mut turns, 7000, |attempt, origin| origin != rare || attempt % chance == 0);
                assert!(posted > 500 && asked > 500, "{posted} and {asked}");
            }
        }
    }

    #[test]
    fn nobody_is_waited_for_that_does_not_wait() {
        let mut turns = Turns::default();
        assert!(!turns.take(Origin::Asked, false, 1, 64));
        assert!(turns.take(Origin::Asked, true, 1, 64));
        let went = (0..1000).filter(|_| turns.take(Origin::Posted, true, 1, 64)).count();
        assert_eq!(went, 1000);
        assert!(!turns.is_anyone_waiting());
    }
}
