//! Where the answers to fetches and gets arrive: a table that the caller waits at and the proxy fills.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Fetches and gets of a PE that may be waited for at one time.
const SLOTS: usize = 256;

/// The tag of a get nobody waits for: quiet does.
pub const NOBODY: u32 = u32::MAX;

/// Nobody has the tag.
const FREE: u32 = 0;
/// Something is asked, or about to be, and its answer is waited for.
const PENDING: u32 = 1;
/// The answer is there.
const DONE: u32 = 2;
/// Something was asked, and nobody waits for the answer any more. The tag is not free before the answer has come: else that
/// would be taken for the answer to what is asked next.
const ABANDONED: u32 = 3;

#[derive(Debug, Default)]
struct Slot {
    state: AtomicU32,
    value: AtomicU64,
}

/// The table.
#[derive(Debug)]
pub struct Answers(Box<[Slot]>);

impl Default for Answers {
    fn default() -> Self {
        Self::new(SLOTS)
    }
}

impl Answers {
    /// A table of so many tags.
    #[must_use]
    pub fn new(tags: usize) -> Self {
        Self((0..tags).map(|_| Slot::default()).collect())
    }

    /// Number of tags.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There are always tags.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn slot(&self, tag: u32) -> Option<&Slot> {
        self.0.get(usize::try_from(tag).ok()?)
    }

    /// Takes a free tag for something about to be asked. Only the caller's thread does.
    #[must_use]
    pub fn take(&self) -> Option<u32> {
        let tag = self.0.iter().position(|slot| slot.state.load(Ordering::Relaxed) == FREE)?;
        let tag = u32::try_from(tag).ok()?;
        self.slot(tag)?.state.store(PENDING, Ordering::Relaxed);
        Some(tag)
    }

    /// Fills in an answer, or frees the tag if nobody waits for it any more. Only the proxy does; `false` when nothing was
    /// asked under this tag.
    #[must_use]
    pub fn fill(&self, tag: u32, value: u64) -> bool {
        let Some(slot) = self.slot(tag) else { return false };
        if slot.state.load(Ordering::Relaxed) == PENDING {
            slot.value.store(value, Ordering::Relaxed);
            let filled =
                slot.state.compare_exchange(PENDING, DONE, Ordering::Release, Ordering::Relaxed).is_ok();
            if filled {
                return true;
            }
        }
        // Abandoned before the answer came, or just now.
        slot.state.compare_exchange(ABANDONED, FREE, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether the answer is there.
    #[must_use]
    pub fn is_done(&self, tag: u32) -> bool {
        self.slot(tag).is_some_and(|slot| slot.state.load(Ordering::Acquire) == DONE)
    }

    /// Reads the answer, if it is there, and frees the tag.
    #[must_use]
    pub fn collect(&self, tag: u32) -> Option<u64> {
        let slot = self.slot(tag)?;
        if slot.state.load(Ordering::Acquire) != DONE {
            return None;
        }
        let value = slot.value.load(Ordering::Relaxed);
        slot.state.store(FREE, Ordering::Relaxed);
        Some(value)
    }

    /// Gives back a tag whose answer nobody will collect. Any thread that has the tag may; `asked` is whether the proxy knows
    /// the tag, so that an answer will come.
    pub fn abandon(&self, tag: u32, asked: bool) {
        let Some(slot) = self.slot(tag) else { return };
        let waits_for_answer = asked
            && slot.state.compare_exchange(PENDING, ABANDONED, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !waits_for_answer {
            slot.state.store(FREE, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_once() {
        let answers = Answers::default();
        let tag = answers.take().unwrap();
        assert!(!answers.is_done(tag) && answers.collect(tag).is_none());
        assert!(answers.fill(tag, 7));
        assert!(!answers.fill(tag, 8), "it was answered already");
        assert_eq!(answers.collect(tag), Some(7));
        assert_eq!(answers.collect(tag), None);
        assert!(!answers.fill(tag, 9), "nobody asks any more");
        assert!(!answers.fill(NOBODY, 9));
    }

    #[test]
    fn tags_run_out_and_come_back() {
        let answers = Answers::default();
        let tags: Vec<_> = std::iter::from_fn(|| answers.take()).collect();
        assert_eq!(tags.len(), answers.len());
        assert!(answers.fill(tags[9], 0));
        assert_eq!(answers.collect(tags[9]), Some(0));
        assert_eq!(answers.take(), Some(tags[9]));
    }

    #[test]
    fn an_abandoned_tag_is_free_once_its_answer_has_come() {
        let answers = Answers::new(1);
        let tag = answers.take().unwrap();
        answers.abandon(tag, true);
        assert_eq!(answers.take(), None, "its answer is still on the way");
        assert!(answers.fill(tag, 7));
        assert!(!answers.fill(tag, 7), "it came");
        assert_eq!(answers.take(), Some(tag));
        assert!(!answers.is_done(tag), "what came was not for this one");

        assert!(answers.fill(tag, 8));
        answers.abandon(tag, true);
        assert_eq!(answers.take(), Some(tag), "the answer was there already");
        answers.abandon(tag, false);
        assert_eq!(answers.take(), Some(tag), "it was never asked");
    }
}
