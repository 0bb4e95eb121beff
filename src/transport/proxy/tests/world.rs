//! A job in one thread: proxies on mock NICs and the callers in front of them, all moved on by the test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(super) use super::caller::{Caller, Step};
use super::fetched::Fetched;
use super::judge::Judge;
use super::mock::{MockFabric, Weather};
use super::rng::Rng;
use crate::counters::{NicCounts, RxSource};
use crate::transport::fault::Fault;
use crate::transport::heap::Heap;
use crate::transport::proxy::{Clock, Parts, Progress, Proxy, Totals};
use crate::transport::ring::{Command, ring};
use crate::transport::select::PolicyKind;

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
    /// What fetches have brought.
    pub(super) fetched: Arc<Mutex<Fetched>>,
    /// By PE: whether others get from it.
    served: Vec<bool>,
}

impl World {
    /// Makes the job; every PE counts from zero.
    pub(super) fn new(rng: &mut Rng, setup: &Setup, mut judge: Judge) -> Self {
        let heaps: Vec<_> =
            setup.widths.iter().map(|_| Arc::new(Heap::create(setup.heap).unwrap())).collect();
        judge.prepare(&heaps);
        let fetched = judge.fetched();
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
            Caller::new((proxy, shared), producer, fault, Arc::clone(&fetched))
        });
        let callers = callers.collect();
        let served = vec![false; setup.widths.len()];
        let rng = Rng::new(rng.next());
        Self { fabric, callers, heaps, rng, turns: 0, clock, troubled: false, fetched, served }
    }

    pub(super) fn program(&mut self, pe: usize, steps: impl IntoIterator<Item = Step>) {
        let served = &mut self.served;
        self.callers[pe].extend(steps.into_iter().inspect(|step| {
            if let Step::Post(Command::Get { src, .. }) | Step::Ask(Command::Get { src, .. }) = step {
                served[*src as usize] = true;
            }
        }));
    }

    /// One turn of one PE, chosen by chance.
    pub(super) fn turn(&mut self) -> Result<(), String> {
        self.turns += 1;
        self.clock.fetch_add(TURN_NS, Ordering::Relaxed);
        let pe = self.rng.index(self.callers.len());
        let caller = &mut self.callers[pe];
        caller.step(pe, &self.heaps);
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
        self.check_payload(false);
        // A last acknowledgement waits for one more turn of its PE.
        let calm = 64 * self.callers.len();
        let mut quiet_turns = 0;
        while quiet_turns < calm {
            self.turn().unwrap();
            quiet_turns = if self.fabric.is_empty() { quiet_turns + 1 } else { 0 };
            assert!(self.turns < 2 * most_turns, "there is no end to the messages");
        }
        self.fabric.conclude();
        self.check_payload(true);
        if !self.troubled {
            let frames: [u64; 2] = self.sums(|c| [c.control_tx_bytes, c.control_rx_bytes]);
            assert_eq!(frames[0], frames[1], "frames");
        }
    }

    /// Turns one PE until it fails or `turns` have passed.
    pub(super) fn turn_one(&mut self, pe: usize, turns: u64) -> Result<(), String> {
        let caller = &mut self.callers[pe];
        for _ in 0..turns {
            caller.step(pe, &self.heaps);
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

    /// What the payload's counters must fulfil once all quiets are done. What others got of a PE may complete there later, when
    /// nothing is on its way.
    fn check_payload(&mut self, calm: bool) {
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
                if self.served[dst] && !calm {
                    continue;
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
