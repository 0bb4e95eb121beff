//! The latest events, bounded, in a form that views share.

use std::sync::Arc;

use crate::monitor::model::view::{Event, EventKind, Severity};

/// How many events are kept.
pub(super) const KEPT: usize = 1000;

/// What a detector found; the journal knows when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: EventKind,
    pub(super) severity: Severity,
    /// To what.
    pub(super) subject: String,
    /// A sentence.
    pub(super) text: String,
}

/// The last events, oldest first.
#[derive(Debug)]
pub(super) struct Journal {
    events: Arc<[Event]>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { events: Arc::new([]) }
    }
}

impl Journal {
    /// Books what was found at one tick. Makes a new list only if something was.
    pub(super) fn book(&mut self, realtime_ns: i128, mono_ns: u64, found: Vec<Found>) {
        if found.is_empty() {
            return;
        }
        let new = found.into_iter().map(|found| Event {
            realtime_ns,
            mono_ns,
            kind: found.kind,
            severity: found.severity,
            subject: found.subject,
            text: found.text,
        });
        let mut all: Vec<Event> = self.events.iter().cloned().chain(new).collect();
        let surplus = all.len().saturating_sub(KEPT);
        self.events = all.drain(surplus..).collect();
    }

    /// The events, shared.
    pub(super) fn events(&self) -> Arc<[Event]> {
        Arc::clone(&self.events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(n: usize) -> Found {
        let (kind, severity) = (EventKind::Added, Severity::Info);
        Found { kind, severity, subject: n.to_string(), text: "It is there.".to_owned() }
    }

    #[test]
    fn keeps_the_last_and_shares_them_while_nothing_happens() {
        let mut journal = Journal::default();
        for n in 0..KEPT + 5 {
            journal.book(n as i128, n as u64, vec![found(n)]);
        }
        let events = journal.events();
        assert_eq!((events.len(), events[0].subject.as_str()), (KEPT, "5"));
        journal.book(0, 0, Vec::new());
        assert!(Arc::ptr_eq(&events, &journal.events()));
        journal.book(0, 0, (0..3 * KEPT).map(found).collect());
        assert_eq!(journal.events().len(), KEPT, "more at once than fit");
    }
}
