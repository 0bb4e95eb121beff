//! What a sender comes to know: acknowledgements that wait in the queues of data. See [`Acks`](crate::sim::acks::Acks).

use super::Engine;
use crate::sim::acks::Stage;
use crate::sim::traffic::Traffic;

impl<T: Traffic> Engine<'_, T> {
    /// The number of the first acknowledgement among those whom events are for: behind PEs and NICs.
    pub(super) fn first_ack(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "MOST_NICS")]
        let nics = self.senders.len() as u32;
        self.scene.pes() + nics
    }

    /// A PE posts a put to `dst`: where a round begins with it, what is owed goes.
    pub(super) fn begin_acks(&mut self, pe: u32, dst: u32, at: u64) {
        let (Some(acks), Some(rounds)) = (&mut self.acks, &mut self.rounds) else { return };
        if rounds.starts(pe) {
            for ack in acks.begin(pe, dst) {
                self.queue_ack(ack, at);
            }
        }
    }

    /// NIC `nic` sends a segment to `target` until `sent`, which makes its put arrive `whole` at a moment: that will be acknowledged.
    pub(super) fn ask(&mut self, nic: usize, target: usize, sent: u64, whole: Option<u64>) {
        let first = self.first_ack();
        let (Some(acks), Some(rounds)) = (&mut self.acks, &mut self.rounds) else { return };
        acks.turn(nic);
        while let Some(ack) = acks.leave(nic) {
            self.wheel.push(sent, first + ack);
        }
        let Some(arrived) = whole else { return };
        #[expect(clippy::cast_possible_truncation, reason = "MOST_NICS")]
        let (nic, target) = (nic as u32, target as u32);
        let nics = u32::from(self.scene.nics_per_pe);
        let (pe, peer) = (nic / nics, target / nics);
        rounds.ask(pe);
        self.wheel.push(rounds.look(peer, arrived), first + acks.add(target, nic));
        for _ in 0..acks.along(pe, peer) {
            rounds.answer(peer, arrived);
        }
    }

    /// An acknowledgement's put is seen, or it is due, or has left its NIC.
    pub(super) fn acknowledge(&mut self, number: u32, at: u64) {
        let first = self.first_ack();
        let (Some(acks), Some(rounds)) = (&mut self.acks, &mut self.rounds) else { return };
        let ack = acks.get(number);
        match ack.stage {
            Stage::Coming => {
                acks.owe(number);
                self.wheel.push(at.saturating_add(self.scene.costs.ack_ps.unwrap_or(0)), first + number);
            }
            Stage::Owed => self.queue_ack(number, at),
            Stage::Gone => acks.end(number),
            Stage::Sent => {
                acks.end(number);
                let to = &self.receivers[ack.to as usize];
                let received = to.free.saturating_sub(self.bursts[to.speed as usize]);
                let pe = ack.to / u32::from(self.scene.nics_per_pe);
                rounds.answer(pe, received.max(at + self.scene.costs.latency_ps));
                self.moved_on.push(pe);
            }
        }
    }

    /// An acknowledgement goes to its NIC, behind what waits there.
    fn queue_ack(&mut self, number: u32, at: u64) {
        let first = self.first_ack();
        let Some(acks) = &mut self.acks else { return };
        let nic = acks.get(number).from as usize;
        let sender = &self.senders[nic];
        let free = sender.free.saturating_sub(self.bursts[sender.speed as usize]);
        // What is left of the put that sends comes behind it.
        let later = self.scene.costs.turn_when_sent && sender.rests && at < free;
        if !acks.queue(number, sender.waits.len - u16::from(later)) {
            self.wheel.push(free.max(at), first + number);
        }
    }
}
