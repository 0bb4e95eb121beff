//! What waits at a sending NIC: its puts in their turns, and the segments on the way that its window still has to get back.

use super::Engine;
use crate::sim::nic::{Flying, Waiting};
use crate::sim::scene::{PPM, wire};
use crate::sim::traffic::Traffic;

/// When a NIC can send.
#[derive(Clone, Copy)]
pub(super) struct Ready {
    pub(super) at: u64,
    /// What it waits for where its window is full.
    full: Option<Flying>,
}

impl<T: Traffic> Engine<'_, T> {
    /// Sends what a NIC can send now, and has it woken for the next.
    pub(super) fn serve(&mut self, nic: usize, at: u64) {
        while self.senders[nic].waits.len > 0 {
            let ready = self.ready(nic, at);
            if ready.at > at {
                if let Some(first) = ready.full {
                    self.stall(first, ready.at - self.senders[nic].free.max(at));
                }
                self.senders[nic].woken = true;
                #[expect(clippy::cast_possible_truncation, reason = "MOST_NICS")]
                let who = self.scene.pes() + nic as u32;
                self.wheel.push(ready.at, who);
                return;
            }
            let put = self.take(nic);
            self.send(nic, at, put);
        }
    }

    /// When a NIC can send its next segment. Where its window is full it waits for the segment that arrives first, which then
    /// comes to the head. Asking again changes nothing.
    pub(super) fn ready(&mut self, nic: usize, at: u64) -> Ready {
        let window = self.scene.costs.window.max(1);
        let free = self.senders[nic].free.max(at);
        let now = Ready { at: free, full: None };
        if self.senders[nic].flies.len < window {
            return now;
        }
        self.retire(nic, free);
        let flies = self.senders[nic].flies;
        if flies.len < window {
            return now;
        }
        let ring = &mut self.flying[nic * usize::from(window)..(nic + 1) * usize::from(window)];
        let Some(first) = (0..ring.len()).min_by_key(|&place| ring[place].known) else { return now };
        ring.swap(first, flies.head.into());
        let first = ring[usize::from(flies.head)];
        if first.known <= free {
            self.retire(nic, free);
            return now;
        }
        Ready { at: first.known, full: Some(first) }
    }

    /// A sender waits for `first` to arrive: meanwhile what was lost on the way there is sent again.
    fn stall(&mut self, first: Flying, wait: u64) {
        let lost = u128::from(wait) * u128::from(self.scene.costs.stall_ppm) / u128::from(PPM);
        let to = &mut self.receivers[first.to as usize];
        // Not more than all of it once more.
        let lost = u64::try_from(lost)
            .unwrap_or(u64::MAX)
            .min(wire(first.bytes.into(), self.byte_times[to.speed as usize]));
        to.free += lost;
    }

    /// Puts a put at the end of a NIC's queue.
    pub(super) fn wait(&mut self, nic: usize, put: Waiting) {
        let queue = self.scene.costs.queue.max(1);
        let waits = &mut self.senders[nic].waits;
        let place = nic * usize::from(queue) + waits.place(waits.len, queue);
        waits.len += 1;
        self.waiting[place] = put;
    }

    /// Takes the put that sends next out of a NIC's queue, which is not empty.
    fn take(&mut self, nic: usize) -> Waiting {
        let queue = self.scene.costs.queue.max(1);
        let first = nic * usize::from(queue);
        let waits = &mut self.senders[nic].waits;
        let put = self.waiting[first + waits.place(0, queue)];
        waits.drop_first(queue);
        put
    }

    /// Lets go what is known to have arrived.
    pub(super) fn retire(&mut self, nic: usize, at: u64) {
        let window = self.scene.costs.window.max(1);
        let of = &mut self.senders[nic];
        while of.flies.len > 0 {
            let first = &self.flying[nic * usize::from(window) + of.flies.place(0, window)];
            if first.known > at {
                break;
            }
            of.load -= u64::from(first.bytes);
            of.flies.drop_first(window);
        }
    }
}
