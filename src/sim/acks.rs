//! Acknowledgements that wait among the data: a PE begins its next round only when it knows that its own blocks have arrived.
//!
//! ```text
//!  a put has arrived ──look──▶ owed ──delay──▶ behind the puts that wait at its NIC ──latency──▶ behind what is being received
//!                               └── the receiver begins a round: at once, before its puts; or along with the first of them
//! ```
//!
//! What goes along with a put to the same PE comes with the last byte of that. So who is late is told late, and stays late; that is
//! what keeps PEs of the lab out of step (docs/scale.md).

use std::collections::VecDeque;

use super::scene::PPM;
use crate::chance::Numbers;

/// How far an acknowledgement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The put that it is for is on the way.
    Coming,
    /// The receiver has seen that put.
    Owed,
    /// It has gone otherwise; the moment at which it was due is still to come.
    Gone,
    /// It waits at its NIC, or has left it.
    Sent,
}

/// An acknowledgement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ack {
    /// The NIC that receives the put, and sends this.
    pub(super) from: u32,
    /// The NIC that sends the put.
    pub(super) to: u32,
    pub(super) stage: Stage,
}

/// All of them, each with a number until it has come.
#[derive(Debug)]
pub(super) struct Acks {
    nics_per_pe: u32,
    /// The chance that what is owed to the PE of a round's first put goes along with that, in millionths.
    along_ppm: u64,
    chance: Numbers,
    all: Vec<Ack>,
    unused: Vec<u32>,
    pes: Vec<Owing>,
    nics: Vec<Queue>,
}

/// What a PE has to acknowledge.
#[derive(Debug, Clone, Default)]
struct Owing {
    /// Seen, and not due yet.
    owed: Vec<u32>,
    /// To which PE so many go along with the next put.
    along: (u32, u32),
}

/// Acknowledgements that wait at a NIC.
#[derive(Debug, Clone, Default)]
struct Queue {
    /// Turns that puts have had there.
    turns: u64,
    /// After how many turns each of them goes.
    waiting: VecDeque<(u64, u32)>,
}

impl Acks {
    pub(super) fn new(pes: usize, nics_per_pe: u16, along_ppm: u64, seed: u64) -> Self {
        Self {
            nics_per_pe: nics_per_pe.into(),
            along_ppm,
            chance: Numbers::of(&[seed, ALONG]),
            all: Vec::new(),
            unused: Vec::new(),
            pes: vec![Owing::default(); pes],
            nics: vec![Queue::default(); pes * usize::from(nics_per_pe)],
        }
    }

    /// A new one, from NIC to NIC, for a put that is on the way; its number.
    pub(super) fn add(&mut self, from: u32, to: u32) -> u32 {
        let ack = Ack { from, to, stage: Stage::Coming };
        if let Some(number) = self.unused.pop() {
            self.all[number as usize] = ack;
            return number;
        }
        self.all.push(ack);
        u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, number: u32) -> Ack {
        self.all[number as usize]
    }

    /// Nothing more is to come of it.
    pub(super) fn end(&mut self, number: u32) {
        self.unused.push(number);
    }

    /// The receiver has seen its put.
    pub(super) fn owe(&mut self, number: u32) {
        let ack = &mut self.all[number as usize];
        ack.stage = Stage::Owed;
        self.pes[(ack.from / self.nics_per_pe) as usize].owed.push(number);
    }

    /// A PE posts the first put of a round, to `first`: numbers of what it sends at once, before that.
    pub(super) fn begin(&mut self, pe: u32, first: u32) -> Vec<u32> {
        let owed = std::mem::take(&mut self.pes[pe as usize].owed);
        let (to_first, others): (Vec<u32>, Vec<u32>) =
            owed.into_iter().partition(|&number| self.get(number).to / self.nics_per_pe == first);
        let goes_along = !to_first.is_empty() && self.chance.below(PPM) < self.along_ppm;
        if goes_along {
            let count = u32::try_from(to_first.len()).unwrap_or(u32::MAX);
            self.pes[pe as usize].along = (first, count);
            for &number in &to_first {
                self.all[number as usize].stage = Stage::Gone;
            }
        }
        let at_once = others.into_iter().chain(to_first.into_iter().filter(|_| !goes_along));
        // Under new numbers: those of old are still to come as due.
        at_once
            .map(|number| {
                let Ack { from, to, .. } = self.get(number);
                self.all[number as usize].stage = Stage::Gone;
                self.add(from, to)
            })
            .collect()
    }

    /// A whole put from PE to PE has been sent: how many went along with it.
    pub(super) fn along(&mut self, pe: u32, to: u32) -> u32 {
        let along = &mut self.pes[pe as usize].along;
        if along.0 == to { std::mem::take(&mut along.1) } else { 0 }
    }

    /// It goes behind the next turns of so many puts at its NIC. `false`: there is none, so that it need not wait for a turn.
    pub(super) fn queue(&mut self, number: u32, puts: u16) -> bool {
        let ack = &mut self.all[number as usize];
        if ack.stage == Stage::Owed {
            self.pes[(ack.from / self.nics_per_pe) as usize].owed.retain(|&other| other != number);
        }
        ack.stage = Stage::Sent;
        let queue = &mut self.nics[ack.from as usize];
        if puts > 0 {
            queue.waiting.push_back((queue.turns + u64::from(puts), number));
        }
        puts > 0
    }

    /// A put has had a turn at a NIC.
    pub(super) fn turn(&mut self, nic: usize) {
        self.nics[nic].turns += 1;
    }

    /// The next one that leaves a NIC.
    pub(super) fn leave(&mut self, nic: usize) -> Option<u32> {
        let Queue { turns, waiting } = &mut self.nics[nic];
        let &(after, number) = waiting.front()?;
        if after > *turns {
            return None;
        }
        waiting.pop_front();
        Some(number)
    }
}

/// For what the numbers are, so that no other use of the seed has the same.
const ALONG: u64 = 6 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// PE 1 has seen puts of PEs 0 and 2, which have two NICs each.
    fn owing(along_ppm: u64) -> (Acks, [u32; 2]) {
        let mut acks = Acks::new(3, 2, along_ppm, 1);
        let numbers = [acks.add(2, 1), acks.add(3, 4)];
        for number in numbers {
            acks.owe(number);
        }
        (acks, numbers)
    }

    #[test]
    fn what_is_owed_goes_before_a_round_or_along_with_its_first_put() {
        let (mut acks, old) = owing(PPM);
        let at_once = acks.begin(1, 2);
        assert_eq!(at_once.len(), 1, "the one to PE 0");
        assert_eq!((acks.get(at_once[0]).from, acks.get(at_once[0]).to), (2, 1));
        assert!(old.iter().all(|&number| acks.get(number).stage == Stage::Gone));
        assert_eq!(acks.along(1, 0), 0, "another put");
        assert_eq!((acks.along(1, 2), acks.along(1, 2)), (1, 0), "once");

        let (mut acks, _) = owing(0);
        assert_eq!(acks.begin(1, 2).len(), 2, "never along");
        assert_eq!(acks.along(1, 2), 0);
    }

    #[test]
    fn one_waits_for_the_turns_of_the_puts_before_it() {
        let (mut acks, [one, two]) = owing(0);
        assert!(!acks.queue(one, 0), "nothing is before it");
        assert!(acks.queue(two, 2));
        assert_eq!(acks.begin(1, 0), [0; 0], "neither is owed any more");
        acks.turn(3);
        assert_eq!(acks.leave(3), None);
        acks.turn(3);
        assert_eq!((acks.leave(3), acks.leave(3)), (Some(two), None));
        acks.end(two);
        assert_eq!(acks.add(0, 5), two, "its number is free");
    }
}
