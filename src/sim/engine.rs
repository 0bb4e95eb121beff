//! The run itself: PEs post, NICs send and receive.
//!
//! ```text
//!  stream ─▶ proxy ─▶ selector ─▶ waiting ─▶ Tx ──latency──▶ Rx ─▶ known to the sender
//!            (put)    (policy)    (queue)    (window)
//! ```
//!
//! - A PE's proxy posts one put after another, each for its cost, and stops while the NIC that it was given has no room.
//! - A NIC takes turns among its waiting puts, a segment at a time, and sends while its window has room.
//! - A receiving NIC takes segments in the order in which they arrive. So once a segment is sent it is known when it will have
//!   arrived, and no event is needed for that: a put costs one event of its PE and one for each segment that had to wait.
//! - A sender whose window is full waits for one NIC; a share of that wait that NIC is busy with what is sent again.
//! - A put that begins at a NIC which has others for other PEs to send costs that NIC time, by how many they are: what it sends after
//!   the put's first segment waits for that.
//!
//! Time is whole picoseconds, everything is decided by it and by numbers of PEs and NICs: nothing depends on the machine.

mod queue;

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::limit::MOST_SEGMENTS;
use super::nic::{Flying, Receiver, Sender, Speed, Waiting};
use super::outcome::Outcome;
use super::pe::{Pe, Planned};
use super::rounds::Rounds;
use super::scene::{PPM, Scene, wire};
use super::traffic::{Put, Traffic};
use super::wheel::Wheel;
use super::windows::Windows;
use crate::balance::Direction;
use crate::chance::Numbers;
use crate::transport::select::{Op, Place, Plan, PolicyKind, Selector};

/// Told how many puts have been posted, now and then; may end the run.
pub type Watch<'w> = &'w mut dyn FnMut(u64) -> ControlFlow<()>;

/// Whoever watched has ended the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the simulation was ended before its time")]
pub struct Ended;

/// Events between two looks of who watches: some hundredths of a second.
const LOOK_EVERY: u64 = 1 << 18;

/// Everything that moves.
struct Engine<'s, T: Traffic> {
    scene: &'s Scene,
    pes: Vec<Pe<T::Stream>>,
    /// The two sides of each NIC.
    senders: Vec<Sender>,
    receivers: Vec<Receiver>,
    /// For [`Receiver::count_open`].
    later: Vec<VecDeque<u64>>,
    /// What a byte takes on a NIC of each [`Speed`].
    byte_times: [u64; 2],
    /// Rings of the NICs, one behind the other.
    waiting: Vec<Waiting>,
    flying: Vec<Flying>,
    wheel: Wheel,
    windows: Windows,
    segment: u64,
    reads_load: bool,
    loads: Vec<u64>,
    /// Where rounds overlap.
    rounds: Option<Rounds>,
    /// PEs of which a round may have ended in this event.
    moved_on: Vec<u32>,
    /// When everything that was posted has arrived.
    end: u64,
    puts: u64,
    events: u64,
}

/// Runs `traffic` in `scene` under `policy`.
///
/// # Errors
/// When `watch` ends it.
pub fn run<T: Traffic>(
    scene: &Scene,
    traffic: &T,
    policy: PolicyKind,
    watch: Watch<'_>,
) -> Result<Outcome, Ended> {
    let mut engine = Engine::new(scene, traffic, policy);
    if engine.rounds.is_some() {
        engine.round(traffic, 0, watch)?;
    } else {
        for round in 0..scene.iters {
            engine.round(traffic, round, watch)?;
        }
    }
    Ok(engine.finish(policy, scene.iters))
}

impl<'s, T: Traffic> Engine<'s, T> {
    fn new(scene: &'s Scene, traffic: &T, policy: PolicyKind) -> Self {
        let (world, all) = (scene.pes(), scene.nics());
        let (queue, window) = (scene.costs.queue.max(1), scene.costs.window.max(1));
        let speed = |nic| if scene.is_slow(nic).is_some() { Speed::Slow } else { Speed::Full };
        let senders: Vec<Sender> =
            (0..all).map(|nic| Sender { speed: speed(nic), ..Sender::default() }).collect();
        let receivers = (0..all).map(|nic| Receiver { speed: speed(nic), ..Receiver::default() }).collect();
        let byte_time =
            |speed| senders.iter().position(|nic| nic.speed == speed).map(|nic| scene.byte_time(nic as u64));
        let (full, slow) = (byte_time(Speed::Full), byte_time(Speed::Slow));
        let byte_times = [full.or(slow).unwrap_or(1), slow.or(full).unwrap_or(1)];
        let selector = |me| Selector::new(policy, Place { me, pes: world, nics: scene.nics_per_pe });
        let numbers = |me: u32, what| Numbers::of(&[scene.seed, what, me.into()]);
        let pe = |me| Pe::new(traffic.stream(me, 0), selector(me), numbers(me, JITTER));
        let byte_time = byte_times[0];
        let segment = scene.costs.segment_bytes.max(traffic.largest().div_ceil(MOST_SEGMENTS)).max(1);
        let per_pe = traffic.about() / u64::from(world.max(1));
        let least = scene
            .costs
            .put_ps
            .saturating_mul(per_pe)
            .max(wire(traffic.largest() * per_pe / u64::from(scene.nics_per_pe.max(1)), byte_time));
        // As many events a day as are sorted in no time: in all 16 of every PE's puts, or every NIC's segments.
        let apart = scene.costs.put_ps.max(1).min(wire(segment.min(traffic.largest()), byte_time).max(1));
        let day = 16 * apart / u64::from(world.max(1));
        Self {
            scene,
            pes: (0..world).map(pe).collect(),
            waiting: vec![Waiting::default(); senders.len() * usize::from(queue)],
            flying: vec![Flying::default(); senders.len() * usize::from(window)],
            wheel: Wheel::new(day),
            windows: Windows::new(senders.len(), least.saturating_mul(scene.iters.into())),
            later: vec![VecDeque::new(); senders.len()],
            senders,
            receivers,
            byte_times,
            segment,
            reads_load: selector(0).reads_load(),
            loads: vec![0; usize::from(scene.nics_per_pe)],
            rounds: traffic
                .due()
                .filter(|_| scene.iters > 1)
                .map(|due| Rounds::new(scene.iters, world, due, copying(scene, traffic))),
            moved_on: Vec::new(),
            end: 0,
            puts: 0,
            events: 0,
        }
    }

    /// One round of the pattern: begins when everything of the last has arrived. Where rounds overlap, all of them.
    fn round(&mut self, traffic: &T, round: u32, watch: Watch<'_>) -> Result<(), Ended> {
        let begin = self.end;
        for me in 0..self.scene.pes() {
            self.begin(traffic, me, round, begin);
        }
        let world = self.scene.pes();
        while let Some((at, who)) = self.wheel.pop() {
            self.events += 1;
            if self.events.is_multiple_of(LOOK_EVERY) && watch(self.puts).is_break() {
                return Err(Ended);
            }
            if who < world {
                self.post(who, at);
            } else {
                let nic = (who - world) as usize;
                self.senders[nic].woken = false;
                self.serve(nic, at);
            }
            while let Some(pe) = self.moved_on.pop() {
                if let Some((begin, round)) = self.rounds.as_mut().and_then(|rounds| rounds.next(pe)) {
                    self.begin(traffic, pe, round, begin);
                }
            }
        }
        let copied = self
            .rounds
            .as_ref()
            .map_or_else(|| begin.saturating_add(copying(self.scene, traffic)), Rounds::copied);
        self.end = self.end.max(copied);
        Ok(())
    }

    /// A PE begins a round.
    fn begin(&mut self, traffic: &T, pe: u32, round: u32, at: u64) {
        self.pes[pe as usize].stream = traffic.stream(pe, round);
        let cost = self.cost(pe);
        self.wheel.push(at + cost, pe);
    }

    /// What the next put costs the proxy of a PE.
    fn cost(&mut self, pe: u32) -> u64 {
        let put = self.scene.costs.put_ps;
        let most =
            u64::try_from(u128::from(put) * u128::from(self.scene.jitter_ppm) / u128::from(PPM)).unwrap_or(0);
        if most == 0 {
            return put;
        }
        (put + self.pes[pe as usize].jitter.below(2 * most + 1)).saturating_sub(most)
    }

    /// The proxy has dealt with a put: its parts go to their NICs.
    fn post(&mut self, pe: u32, at: u64) {
        let (dst, mut part, mut parts, mut cost) = if let Some(held) = self.pes[pe as usize].take_held() {
            held
        } else {
            let ahead = !self.reads_load;
            let Some(Planned { put, plan }) = self.pes[pe as usize].next(self.scene.nics_per_pe, ahead)
            else {
                if let Some(rounds) = &mut self.rounds {
                    rounds.idle(pe, at);
                    self.moved_on.push(pe);
                }
                return;
            };
            self.puts += 1;
            if let Some(rounds) = &mut self.rounds {
                rounds.post(pe, put.len);
            }
            let plan = if self.reads_load { self.choose(pe, put, at) } else { plan };
            let mut parts = plan.parts(put.len);
            let Some(part) = parts.next() else { return };
            (put.dst, part, parts, 0)
        };
        let (nics, queue) = (u32::from(self.scene.nics_per_pe), self.scene.costs.queue.max(1));
        loop {
            let local = (pe * nics + u32::from(part.route.local)) as usize;
            let nic = &mut self.senders[local];
            if nic.waits.len == queue {
                nic.wanted = true;
                self.pes[pe as usize].hold((dst, part, parts, cost));
                return;
            }
            let to = dst * nics + u32::from(part.route.remote);
            nic.load += part.len;
            let put = Waiting { to, fresh: true, left: part.len };
            if nic.woken || nic.waits.len > 0 || self.ready(local, at).at > at {
                self.wait(local, put);
            } else {
                // Most puts of a large cluster: the NIC is idle, and its queue is not touched.
                self.send(local, at, put);
            }
            if !self.senders[local].woken {
                self.serve(local, at);
            }
            cost += self.cost(pe);
            match parts.next() {
                Some(next) => part = next,
                None => break,
            }
        }
        self.wheel.push(at + cost, pe);
    }

    /// Asks a policy that looks at the load.
    fn choose(&mut self, pe: u32, put: Put, at: u64) -> Plan {
        let nics = self.scene.nics_per_pe;
        let first = pe as usize * usize::from(nics);
        for local in 0..usize::from(nics) {
            self.retire(first + local, at);
            self.loads[local] = self.senders[first + local].load;
        }
        let op = Op { dst: put.dst, len: put.len, peer_nics: nics };
        self.pes[pe as usize].selector.next(op, &self.loads)
    }

    /// Sends a segment of a put; what is left of it waits for its next turn.
    fn send(&mut self, nic: usize, at: u64, mut put: Waiting) {
        let window = self.scene.costs.window.max(1);
        let latency = self.scene.costs.latency_ps;
        let (nics, queue) = (usize::from(self.scene.nics_per_pe), self.scene.costs.queue.max(1));
        self.retire(nic, at);
        let target = put.to as usize;
        let (from, to) = (&mut self.senders[nic], &mut self.receivers[target]);
        let bytes = put.left.min(self.segment);
        let sent = at + wire(bytes, self.byte_times[from.speed as usize]);
        from.free = sent;
        if put.fresh && from.waits.len > 0 && self.scene.costs.crowd_ps > 0 {
            let costs = &self.scene.costs;
            let ring = &self.waiting[nic * usize::from(queue)..(nic + 1) * usize::from(queue)];
            let peer = |to: u32| to as usize / nics;
            let waits = from.waits;
            let others =
                (0..waits.len).filter(|&nth| peer(ring[waits.place(nth, queue)].to) != peer(put.to)).count();
            let most = costs.most_again.saturating_mul(wire(put.left, self.byte_times[from.speed as usize]));
            from.free += costs.crowd_ps.saturating_mul(others as u64).min(most);
        }
        from.moved.bytes += bytes;
        from.moved.ops += u64::from(put.fresh);

        let begin = to.free.max(at + latency);
        // As fast as the NIC is where others are to be received, too; not before it has been sent.
        to.free = begin + wire(bytes, self.byte_times[to.speed as usize]);
        let arrived = to.free.max(sent + latency);
        let busy_until = to.free;
        to.moved.bytes += bytes;
        to.moved.ops += u64::from(put.fresh);
        let whole = (bytes == put.left).then_some(busy_until);
        to.count_open(&mut self.later[target], put.fresh, at + latency, whole);
        self.end = self.end.max(arrived);

        while self.windows.is_beyond(busy_until.max(sent)) {
            self.merge_windows();
        }
        let (from, to) = (&mut self.senders[nic], &mut self.receivers[target]);
        self.windows.add(Direction::Tx, nic, &mut from.moved, at, sent, bytes);
        self.windows.add(Direction::Rx, target, &mut to.moved, begin, busy_until, bytes);

        let place = nic * usize::from(window) + from.flies.place(from.flies.len, window);
        from.flies.len += 1;
        let known = arrived + latency;
        self.flying[place] = Flying { known, to: put.to, bytes: u32::try_from(bytes).unwrap_or(u32::MAX) };
        if let Some(rounds) = &mut self.rounds {
            #[expect(clippy::cast_possible_truncation, reason = "MOST_NICS")]
            let (pe, peer) = ((nic / nics) as u32, (target / nics) as u32);
            rounds.send(pe, peer, bytes, arrived, known);
            self.moved_on.extend([pe, peer]);
        }
        put.left -= bytes;
        put.fresh = false;
        if put.left > 0 {
            self.wait(nic, put);
        } else if self.senders[nic].wanted {
            self.senders[nic].wanted = false;
            #[expect(clippy::cast_possible_truncation, reason = "MOST_NICS")]
            let pe = (nic / nics) as u32;
            self.wheel.push(at, pe);
        }
    }

    fn merge_windows(&mut self) {
        self.windows.merge();
        let tx = self.senders.iter_mut().map(|nic| &mut nic.moved);
        let rx = self.receivers.iter_mut().map(|nic| &mut nic.moved);
        tx.chain(rx).for_each(|moved| moved.window /= 2);
    }

    fn finish(mut self, policy: PolicyKind, iters: u32) -> Outcome {
        for (index, nic) in self.senders.iter_mut().enumerate() {
            self.windows.settle(Direction::Tx, index, &mut nic.moved);
        }
        for (index, nic) in self.receivers.iter_mut().enumerate() {
            self.windows.settle(Direction::Rx, index, &mut nic.moved);
        }
        Outcome {
            policy,
            iters,
            span_ps: self.end,
            puts: self.puts,
            events: self.events,
            nics_per_pe: self.scene.nics_per_pe.into(),
            senders: self.senders,
            receivers: self.receivers,
            windows: self.windows,
        }
    }
}

/// What numbers are for, so that no other use of the seed has the same: what puts cost.
const JITTER: u64 = 3 << 32;

/// How long a PE copies in a round, picoseconds.
fn copying(scene: &Scene, traffic: &impl Traffic) -> u64 {
    let Some(rate) = scene.costs.copy_bytes_per_s else { return 0 };
    let copy = u128::from(traffic.copied()) * 1_000_000_000_000 / u128::from(rate.max(1));
    u64::try_from(copy).unwrap_or(u64::MAX)
}
