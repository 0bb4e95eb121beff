//! Rounds that overlap: a PE begins its next one as soon as everything of its own is there, whatever the others still wait for.
//!
//! So NVSHMEM's `alltoall_latency` and `bench alltoall` repeat it: a PE waits for the blocks of all others and for its own to have
//! arrived, and no barrier follows. A PE is never two rounds ahead of another, whose block of the round before it would lack.

use super::scene::Scene;
use crate::chance::Numbers;

/// For what its numbers are, so that no other use of the seed has the same.
const LOOKS: u64 = 5 << 32;

/// Where each PE is.
#[derive(Debug)]
pub(super) struct Rounds {
    iters: u32,
    /// Bytes that every PE gets in a round.
    due: u64,
    /// What a PE copies within its node in a round takes so long, picoseconds.
    copy_ps: u64,
    /// A PE looks so often, picoseconds, in each round from a moment on that is drawn; 0: always.
    look_ps: u64,
    seed: u64,
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
    /// It has begun a round and posted nothing of it.
    starts: bool,
    /// Puts whose acknowledgement it waits for.
    unanswered: u64,
    /// When it knows that everything that it has sent has arrived.
    known: u64,
    /// Of even and of odd rounds: bytes that are still to be sent to it, and when what has been sent is there.
    due: [u64; 2],
    whole: [u64; 2],
}

impl Rounds {
    /// Those of `scene`, in which every PE gets so many bytes and copies for so long.
    pub(super) fn new(scene: &Scene, due: u64, copy_ps: u64) -> Self {
        let pe = Progress { due: [due; 2], ..Progress::default() };
        let (iters, look_ps, seed) = (scene.iters, scene.costs.look_ps, scene.seed);
        Self { iters, due, copy_ps, look_ps, seed, pes: vec![pe; scene.pes() as usize] }
    }

    /// A PE posts so many bytes.
    pub(super) fn post(&mut self, pe: u32, bytes: u64) {
        self.pes[pe as usize].unsent += bytes;
    }

    /// Some of them are sent: they will be there at `arrived`.
    pub(super) fn send(&mut self, from: u32, to: u32, bytes: u64, arrived: u64) {
        let sender = &mut self.pes[from as usize];
        sender.unsent -= bytes;
        let side = (sender.round % 2) as usize;
        let receiver = &mut self.pes[to as usize];
        receiver.due[side] -= bytes;
        receiver.whole[side] = receiver.whole[side].max(arrived);
    }

    /// A PE will know at a moment that something of its own has arrived.
    pub(super) fn know(&mut self, pe: u32, at: u64) {
        let of = &mut self.pes[pe as usize];
        of.known = of.known.max(at);
    }

    /// Something that a PE has sent is to be acknowledged.
    pub(super) fn ask(&mut self, pe: u32) {
        self.pes[pe as usize].unanswered += 1;
    }

    /// That will have come to it at a moment.
    pub(super) fn answer(&mut self, pe: u32, at: u64) {
        self.know(pe, at);
        self.pes[pe as usize].unanswered -= 1;
    }

    /// When a PE sees what happens at a moment.
    pub(super) fn look(&self, pe: u32, at: u64) -> u64 {
        if self.look_ps == 0 {
            return at;
        }
        let round = self.pes[pe as usize].round;
        let first = Numbers::of(&[self.seed, LOOKS, pe.into(), round.into()]).below(self.look_ps);
        first + at.saturating_sub(first).div_ceil(self.look_ps) * self.look_ps
    }

    /// Whether a PE posts the first put of a round that is not its first; asked once for each put.
    pub(super) fn starts(&mut self, pe: u32) -> bool {
        std::mem::take(&mut self.pes[pe as usize].starts)
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
        if of.round + 1 >= self.iters || of.unsent > 0 || of.unanswered > 0 || of.due[side] > 0 {
            return None;
        }
        let idle = of.idle.take()?;
        let began = of.known.max(of.whole[side]).max(idle).max(of.began.saturating_add(self.copy_ps));
        let began = self.look(pe, began);
        let of = &mut self.pes[pe as usize];
        of.began = began;
        of.round += 1;
        of.starts = true;
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
    use crate::sim::costs::Preset;
    use crate::sim::made::scene as of_preset;

    /// Two PEs.
    fn scene(iters: u32, look_ps: u64) -> Scene {
        let mut scene = Scene { pes_per_node: 1, iters, ..of_preset(Preset::EfaP5, 2) };
        scene.costs.look_ps = look_ps;
        scene
    }

    #[test]
    fn a_pe_goes_on_when_everything_of_its_own_is_there() {
        let mut rounds = Rounds::new(&scene(3, 0), 10, 100);
        for pe in [0, 1] {
            rounds.post(pe, 10);
            rounds.idle(pe, 5);
        }
        rounds.send(0, 1, 10, 200);
        rounds.know(0, 220);
        assert_eq!(
            (rounds.next(0), rounds.next(1)),
            (None, None),
            "one lacks a block, the other has not sent its own"
        );
        rounds.send(1, 0, 10, 150);
        rounds.know(1, 170);
        assert_eq!(rounds.next(0), Some((220, 1)), "when it knows of its own");
        assert_eq!(rounds.next(0), None, "its proxy has not posted the second");
        // The second round's block comes to one that is in its first.
        rounds.post(0, 10);
        rounds.send(0, 1, 10, 300);
        rounds.know(0, 320);
        rounds.idle(0, 230);
        assert_eq!(rounds.next(1), Some((200, 1)));
        rounds.post(1, 10);
        rounds.send(1, 0, 10, 240);
        rounds.know(1, 260);
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

    #[test]
    fn a_pe_waits_for_what_it_has_asked_and_goes_on_when_it_looks() {
        let mut rounds = Rounds::new(&scene(3, 1000), 10, 0);
        for (pe, peer) in [(0, 1), (1, 0)] {
            rounds.post(pe, 10);
            rounds.idle(pe, 5);
            assert!(!rounds.starts(pe), "of the first round nobody asks");
            rounds.send(pe, peer, 10, 200);
            rounds.ask(pe);
        }
        assert_eq!(rounds.next(0), None, "it does not know that its own has arrived");
        rounds.answer(0, 5000);
        let seen = rounds.look(0, 5000);
        assert!(
            (5000..6000).contains(&seen)
                && rounds.look(0, seen) == seen
                && rounds.look(0, seen + 1) == seen + 1000
        );
        assert_eq!(rounds.next(0), Some((seen, 1)));
        assert_eq!((rounds.starts(0), rounds.starts(0)), (true, false));
        assert_eq!(rounds.next(1), None);
    }
}
