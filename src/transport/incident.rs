//! What happened to a PE's NICs that the job survived, and why: counters say that a NIC is down, these say what it was.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::text::printable;

/// Incidents that may wait to be heard of.
const MOST_WAITING: usize = 64;

/// Something that happened to a NIC. Shown, it is a line that is safe for a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// The PE whose NIC it is.
    pub pe: u32,
    /// The NIC's name.
    pub nic: String,
    /// What it was.
    pub what: Happened,
    /// Incidents before this one that nobody had room for.
    pub missed: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// Nothing goes by it until a probe comes back: its work goes over the others.
    Down(String),
    /// It has failed as a whole, and for good.
    Gone(String),
    /// A PE does not get through to it, and has asked that what is still under way to it be kept out.
    Fenced {
        /// The PE.
        by: u32,
    },
    /// It works again.
    Up,
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.missed > 0 {
            write!(f, "({} more about NICs left out) ", self.missed)?;
        }
        write!(f, "PE {}: NIC {}: ", self.pe, printable(&self.nic))?;
        match &self.what {
            Happened::Down(why) => {
                write!(f, "out of use, its work goes over the others: {}", printable(why))
            }
            Happened::Gone(why) => {
                write!(f, "failed for good, its work goes over the others: {}", printable(why))
            }
            Happened::Fenced { by } => write!(f, "PE {by} does not get through to it; opened anew"),
            Happened::Up => write!(f, "in use again"),
        }
    }
}

/// Where a proxy tells of them. It never waits for who listens.
#[derive(Debug)]
pub(in crate::transport) struct Teller {
    pe: u32,
    to: Option<SyncSender<Incident>>,
    missed: u64,
}

impl Teller {
    /// One for PE `pe`, and the ear for it.
    pub(in crate::transport) fn new(pe: u32) -> (Self, Receiver<Incident>) {
        let (to, ear) = sync_channel(MOST_WAITING);
        (Self { pe, to: Some(to), missed: 0 }, ear)
    }

    /// Tells of one, or counts it as missed when too many wait.
    pub(in crate::transport) fn tell(&mut self, nic: &str, what: Happened) {
        let Some(to) = &self.to else { return };
        let incident = Incident { pe: self.pe, nic: nic.to_owned(), what, missed: self.missed };
        if to.try_send(incident).is_ok() {
            self.missed = 0;
        } else {
            self.missed += 1;
        }
    }

    /// Nothing more will happen: who listens hears the end.
    pub(in crate::transport) fn end(&mut self) {
        self.to = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_hears_is_counted_and_what_is_heard_is_one_safe_line() {
        let (mut teller, ear) = Teller::new(3);
        let down = || Happened::Down("write to PE 1 NIC 2: \u{1b}[31mreset\nby peer".to_owned());
        for _ in 0..MOST_WAITING + 5 {
            teller.tell("nic0", down());
        }
        let first = ear.recv().unwrap();
        assert_eq!((first.pe, first.missed), (3, 0));
        teller.tell("nic0", Happened::Up);
        teller.end();
        teller.tell("nic0", Happened::Up);
        let rest: Vec<_> = ear.iter().collect();
        assert_eq!(rest.len(), MOST_WAITING);
        let last = rest.last().unwrap();
        assert_eq!(last.to_string(), "(5 more about NICs left out) PE 3: NIC nic0: in use again");
        let shown = first.to_string();
        assert!(shown.contains("its work goes over the others: write to PE 1 NIC 2: "), "{shown}");
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }
}
