//! Rounds that overlap: a PE begins its next one as soon as everything of its own is there, whatever the others still wait for.
//!
//! So NVSHMEM's `alltoall_latency` repeats it: a PE waits for the blocks of all others and for its own to have
//! arrived, and no barrier follows. A PE is never two rounds ahead of another, whose block of the round before it would lack. `bench alltoall`
//! does not wait for its own (until 2026-11-30 it did), which the model does not tell apart: in the lab that is the 20 us of an acknowledgement.

/// Where each PE is.
#[derive(Debug)]
pub(super) struct Rounds {
    iters: u32,
    /// Bytes that every PE gets in a round.
    due: u64,
    /// What a PE copies within its node in a round takes so long, picoseconds.
    copy_ps: u64,
    pes: Vec<Progress>,
}

/// Where a PE is. Times are picoseconds.
#[derive(Debug, Clone, Default)]
struct Progress {
    round: u32,
    began: u64,
    /// When its proxy found nothing more to post.
    idle: Option<u64>,
    /// Bytes that it has posted and not sent.
    unsent: u64,
    /// When it knows that everything that it has sent has arrived.
    known: u64,
    /// Of even and of odd rounds: bytes that are still to be sent to it, and when what has been sent is there.
    due: [u64; 2],
    whole: [u64; 2],
}

impl Rounds {
    /// `iters` rounds of `pes` PEs.
    pub(super) fn new(iters: u32, pes: u32, due: u64, copy_ps: u64) -> Self {
        let pe = Progress { due: [due; 2], ..Progress::default() };
        Self { iters, due, copy_ps, pes: vec![pe; pes as usize] }
    }

    /// A PE posts so many bytes.
    pub(super) fn post(&mut self, pe: u32, bytes: u64) {
        self.pes[pe as usize].unsent += bytes;
    }

    /// Some of them are sent: they will be there at `arrived`, and the sender will know it at `known`.
    pub(super) fn send(&mut self, from: u32, to: u32, bytes: u64, arrived: u64, known: u64) {
        let sender = &mut self.pes[from as usize];
        sender.unsent -= bytes;
        sender.known = sender.known.max(known);
        let side = (sender.round % 2) as usize;
        let receiver = &mut self.pes[to as usize];
        receiver.due[side] -= bytes;
        receiver.whole[side] = receiver.whole[side].max(arrived);
    }

    /// A PE's proxy has posted everything of its round.
    pub(super) fn idle(&mut self, pe: u32, at: u64) {
        self.pes[pe as usize].idle = Some(at);
    }

    /// Where it is known when a PE's round will have ended and another follows: that moment, and the number of the next, in which
    /// the PE then is.
    pub(super) fn next(&mut self, pe: u32) -> Option<(u64, u32)> {
        let of = &mut self.pes[pe as usize];
        let side = (of.round % 2) as usize;
        if of.round + 1 >= self.iters || of.unsent > 0 || of.due[side] > 0 {
            return None;
        }
        let idle = of.idle.take()?;
        of.began = of.known.max(of.whole[side]).max(idle).max(of.began.saturating_add(self.copy_ps));
        of.round += 1;
        (of.due[side], of.whole[side]) = (self.due, 0);
        Some((of.began, of.round))
    }

    /// When all copies have been made.
    pub(super) fn copied(&self) -> u64 {
        self.pes.iter().map(|of| of.began.saturating_add(self.copy_ps)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pe_goes_on_when_everything_of_its_own_is_there() {
        let mut rounds = Rounds::new(3, 2, 10, 100);
        for pe in [0, 1] {
            rounds.post(pe, 10);
            rounds.idle(pe, 5);
        }
        rounds.send(0, 1, 10, 200, 220);
        assert_eq!(
            (rounds.next(0), rounds.next(1)),
            (None, None),
            "one lacks a block, the other has not sent its own"
        );
        rounds.send(1, 0, 10, 150, 170);
        assert_eq!(rounds.next(0), Some((220, 1)), "when it knows of its own");
        assert_eq!(rounds.next(0), None, "its proxy has not posted the second");
        // The second round's block comes to one that is in its first.
        rounds.post(0, 10);
        rounds.send(0, 1, 10, 300, 320);
        rounds.idle(0, 230);
        assert_eq!(rounds.next(1), Some((200, 1)));
        rounds.post(1, 10);
        rounds.send(1, 0, 10, 240, 260);
        rounds.idle(1, 210);
        assert_eq!(
            (rounds.next(0), rounds.next(1)),
            (Some((320, 2)), Some((300, 2))),
            "copies take until 320 and 300 as well"
        );
        rounds.idle(0, 330);
        assert_eq!(rounds.next(0), None, "three are all");
        assert_eq!(rounds.copied(), 420);
    }
}
