//! A job in one thread: proxies on mock NICs and the callers in front of them, all moved on by the test.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::judge::Judge;
use super::mock::{MockFabric, MockNic, Weather};
use super::rng::Rng;
use crate::counters::{NicCounts, RxSource};
use crate::transport::fault::Fault;
use crate::transport::heap::Heap;
use crate::transport::proxy::{Clock, Parts, Progress, Proxy, Shared, Totals};
use crate::transport::ring::{Command, Producer, ring};
use crate::transport::select::PolicyKind;

/// What a caller does next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Writes into its own heap, a multiple of 8 bytes.
    Fill(u64, Vec<u8>),
    /// Hands a command to the proxy.
    Post(Command),
    /// Quiet, and waits for it.
    Quiet,
    /// Quiet, without waiting: the next steps follow at once.
    QuietAhead,
}

/// What the job is made of.
pub(super) struct Setup {
    pub(super) widths: Vec<u16>,
    pub(super) weather: Weather,
    pub(super) policy: PolicyKind,
    pub(super) ring: usize,
    pub(super) heap: u64,
    /// How each PE knows its Rx bytes.
    pub(super) sources: Vec<RxSource>,
}

pub(super) struct Caller {
    pub(super) proxy: Proxy<MockNic>,
    pub(super) fault: Fault,
    pub(super) shared: Arc<Shared>,
    pub(super) producer: Producer,
    program: VecDeque<Step>,
    tickets: u64,
    waits: bool,
}

/// How long a turn takes.
const TURN_NS: u64 = 200_000;

/// The whole job.
pub(super) struct World {
    pub(super) fabric: MockFabric,
    pub(super) heaps: Vec<Arc<Heap>>,
    pub(super) callers: Vec<Caller>,
    rng: Rng,
    turns: u64,
    pub(super) clock: Arc<AtomicU64>,
    /// Whether NICs have been in trouble: then some things arrive twice or not at all.
    pub(super) troubled: bool,
}

impl Caller {
    /// Goes on with the program as far as ring and quiets let it.
    fn step(&mut self, heap: &Heap) {
        loop {
            if self.waits && self.shared.quiet_done() < self.tickets {
                return;
            }
            self.waits = false;
            let Some(step) = self.program.front() else { return };
            let command = match step {
                Step::Fill(offset, bytes) => {
                    for (word, bytes) in (0..).zip(bytes.chunks_exact(8)) {
                        let value = u64::from_le_bytes(bytes.try_into().unwrap());
                        heap.word(offset + 8 * word).unwrap().store(value, Ordering::Release);
                    }
                    self.program.pop_front();
                    continue;
                }
                Step::Post(command) => *command,
                Step::Quiet | Step::QuietAhead => Command::Quiet { ticket: self.tickets + 1, pe: None },
            };
            if !self.producer.try_push(command) {
                return;
            }
            if let Some(Step::Quiet | Step::QuietAhead) = self.program.front() {
                self.tickets += 1;
                self.waits = matches!(self.program.front(), Some(Step::Quiet));
            }
            self.program.pop_front();
        }
    }

    /// Whether the program has ended and its quiets are done.
    pub(super) fn is_done(&self) -> bool {
        self.program.is_empty() && self.shared.quiet_done() == self.tickets
    }
}

impl World {
    /// Makes the job; every PE counts from zero.
    pub(super) fn new(rng: &mut Rng, setup: &Setup, judge: Judge) -> Self {
        let heaps: Vec<_> =
            setup.widths.iter().map(|_| Arc::new(Heap::create(setup.heap).unwrap())).collect();
        let fabric = MockFabric::new(Rng::new(rng.next()), setup.weather, &heaps, &setup.widths, judge);
        let ledger = setup.sources.contains(&RxSource::Ledger);
        let clock = Arc::new(AtomicU64::new(0));
        let callers = (0..).zip(&setup.widths).map(|(me, &width)| {
            let (mut producer, commands) = ring(setup.ring);
            let fault = Fault::default();
            let (mut proxy, shared) = Proxy::new(Parts {
                me,
                widths: setup.widths.clone(),
                nics: (0..width).map(|nic| fabric.nic(me, nic)).collect(),
                wide_immediate: setup.weather.wide,
                heap: Arc::clone(&heaps[me as usize]),
                inline_max: setup.weather.inline_max,
                policy: setup.policy,
                commands,
                fault: fault.clone(),
                page: None,
                clock: Clock::Given(Arc::clone(&clock)),
                nic_timeout: Duration::from_millis(setup.weather.nic_timeout_ms),
                progress: Progress::Adaptive,
            });
            let source = setup.sources[me as usize];
            if source != RxSource::None {
                assert!(producer.try_push(Command::SetRxSource { source, ledger }));
                assert_eq!(proxy.turn().err(), None);
            }
            Caller { proxy, fault, shared, producer, program: VecDeque::new(), tickets: 0, waits: false }
        });
        let callers = callers.collect();
        Self { fabric, callers, heaps, rng: Rng::new(rng.next()), turns: 0, clock, troubled: false }
    }

    pub(super) fn program(&mut self, pe: usize, steps: impl IntoIterator<Item = Step>) {
        self.callers[pe].program.extend(steps);
    }

    /// One turn of one PE, chosen by chance.
    pub(super) fn turn(&mut self) -> Result<(), String> {
        self.turns += 1;
        self.clock.fetch_add(TURN_NS, Ordering::Relaxed);
        let pe = self.rng.index(self.callers.len());
        let caller = &mut self.callers[pe];
        caller.step(&self.heaps[pe]);
        caller.proxy.turn().map(|_| ())
    }

    /// Runs until every program has ended and its quiets are done, and then until nothing is on its way. Bytes and
    /// counters must be right at both times.
    pub(super) fn run(&mut self, most_turns: u64) {
        while !self.callers.iter().all(Caller::is_done) {
            self.turn().unwrap();
            assert!(self.turns < most_turns, "the programs have not ended after {most_turns} turns");
        }
        self.fabric.conclude();
        self.check_payload();
        // A last acknowledgement waits for one more turn of its PE.
        let calm = 64 * self.callers.len();
        let mut quiet_turns = 0;
        while quiet_turns < calm {
            self.turn().unwrap();
            quiet_turns = if self.fabric.is_empty() { quiet_turns + 1 } else { 0 };
            assert!(self.turns < 2 * most_turns, "there is no end to the messages");
        }
        self.fabric.conclude();
        self.check_payload();
        if !self.troubled {
            let frames: [u64; 2] = self.sums(|c| [c.control_tx_bytes, c.control_rx_bytes]);
            assert_eq!(frames[0], frames[1], "frames");
        }
    }

    /// Turns one PE until it fails or `turns` have passed.
    pub(super) fn turn_one(&mut self, pe: usize, turns: u64) -> Result<(), String> {
        let caller = &mut self.callers[pe];
        for _ in 0..turns {
            caller.step(&self.heaps[pe]);
            caller.proxy.turn()?;
        }
        Ok(())
    }

    /// Everything every PE has counted.
    pub(super) fn totals(&mut self) -> Vec<Totals> {
        let ask = |caller: &mut Caller| {
            let ticket = caller.shared.snapshot_done() + 1;
            assert!(caller.producer.try_push(Command::Snapshot(ticket)));
            assert_eq!(caller.proxy.turn().err(), None);
            assert_eq!(caller.shared.snapshot_done(), ticket);
            caller.shared.totals()
        };
        self.callers.iter_mut().map(ask).collect()
    }

    /// Two counters over all NICs.
    fn sums(&mut self, fields: fn(&NicCounts) -> [u64; 2]) -> [u64; 2] {
        let totals = self.totals();
        let each = totals.iter().flat_map(|totals| &totals.nics).map(fields);
        each.fold([0, 0], |[a, b], [c, d]| [a + c, b + d])
    }

    /// What the payload's counters must fulfil once all quiets are done.
    fn check_payload(&mut self) {
        if self.troubled {
            return;
        }
        let totals = self.totals();
        for (dst, receiver) in totals.iter().enumerate() {
            for (nic, counts) in receiver.nics.iter().enumerate() {
                if receiver.probes == (0, 0) {
                    let sent: u64 = totals.iter().map(|sender| sender.sent[dst][nic]).sum();
                    assert_eq!(counts.rx_bytes, sent, "PE {dst} NIC {nic}: bytes received and sent");
                }
                assert_eq!(counts.tx_posted_ops, counts.tx_done_ops, "PE {dst} NIC {nic}: operations");
                assert_eq!(counts.tx_posted_bytes, counts.tx_done_bytes, "PE {dst} NIC {nic}: bytes");
            }
        }
        for (what, fields) in [
            ("puts", (|c| [c.tx_posted_ops, c.rx_ops]) as fn(&NicCounts) -> [u64; 2]),
            ("signals", |c| [c.signal_tx_ops, c.signal_rx_ops]),
            ("errors", |c| [c.tx_errors + c.rx_errors, 0]),
        ] {
            let [sent, received] = self.sums(fields);
            assert_eq!(sent, received, "{what}");
        }
    }
}
