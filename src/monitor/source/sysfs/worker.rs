//! The reader threads, one per device, and the wait for their answers.
//!
//! A tick costs one system call to wake all threads, one per thread to sleep again, one to wait and one to be woken:
//! all sleep on one word that counts the rounds, each finds its request in a slot of its own, and the last to answer
//! wakes whoever asked. One that misses the deadline is not waited for again, nor asked again, until it has answered;
//! its late answer counts for the tick that finds it.
//! What a thread does is passed in, so that tests can have devices that hang.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::futex::{self, Scope};
use crate::monitor::model::view::SourceKind;
use crate::monitor::sample::{Needs, PortFacts, PortSample};
use crate::text::printable;

/// Reads all ports of one device; runs on that device's thread.
pub(super) type ReadDevice = Box<dyn FnMut(Needs) -> Vec<PortSample> + Send>;
/// Makes the reader of the device with this name.
pub(super) type MakeReader = Box<dyn Fn(&str) -> ReadDevice + Send>;

/// The threads that still owe an answer in one round. A late one counts down a round that nobody waits for.
#[derive(Debug)]
struct Countdown {
    open: AtomicU32,
    /// 1 once all have answered: what the asker sleeps on, so that it is woken once.
    done: AtomicU32,
}

impl Countdown {
    fn new(open: u32) -> Self {
        Self { open: AtomicU32::new(open), done: AtomicU32::new(0) }
    }

    fn one_less(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.store(1, Ordering::Release);
            futex::wake_all(&self.done, Scope::Process);
        }
    }

    fn wait(&self, limit: Duration) {
        let until = Instant::now() + limit;
        while self.done.load(Ordering::Acquire) == 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            futex::wait(&self.done, 0, Some(left), Scope::Process);
        }
    }
}

/// What one thread and the pool share.
#[derive(Debug, Default)]
struct Slot {
    inner: Mutex<Exchange>,
    stop: AtomicBool,
    ended: AtomicBool,
}

#[derive(Debug, Default)]
struct Exchange {
    request: Option<(Arc<Countdown>, Needs)>,
    answer: Option<Vec<PortSample>>,
}

impl Slot {
    /// Held for a few moves only; a panic in between leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, Exchange> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that a thread has ended, however it did.
struct Ending(Arc<Slot>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

/// Counts one answer, also if the read panics.
struct Answering(Arc<Countdown>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.one_less();
    }
}

/// The life of a thread: sleep until a new round, see whether there is a request, answer it.
fn serve(round: &AtomicU32, slot: &Arc<Slot>, mut read: ReadDevice) {
    let _ending = Ending(Arc::clone(slot));
    loop {
        let seen = round.load(Ordering::Acquire);
        if slot.stop.load(Ordering::Acquire) {
            return;
        }
        let request = slot.lock().request.take();
        if let Some((countdown, needs)) = request {
            let _answering = Answering(countdown);
            let ports = read(needs);
            slot.lock().answer = Some(ports);
        } else {
            futex::wait(round, seen, None, Scope::Process);
        }
    }
}

/// One reader thread, seen from outside.
#[derive(Debug)]
struct Worker {
    slot: Arc<Slot>,
    /// When the request that is still open was made.
    asked: Option<Instant>,
    /// The ports it last told of.
    known: Vec<Arc<PortFacts>>,
}

impl Worker {
    /// Its answer, if it has given one.
    fn answer(&mut self) -> Option<Vec<PortSample>> {
        let ports = self.asked.and_then(|_| self.slot.lock().answer.take())?;
        self.asked = None;
        // Facts seldom change, and then all of them are new.
        let same = self.known.len() == ports.len()
            && self.known.iter().zip(&ports).all(|(known, port)| Arc::ptr_eq(known, &port.facts));
        if !same {
            self.known = ports.iter().map(|p| Arc::clone(&p.facts)).collect();
        }
        Some(ports)
    }

    fn has_ended(&self) -> bool {
        self.slot.ended.load(Ordering::Acquire)
    }
}

/// All reader threads. Dropping it ends them as soon as they are back from the kernel; it does not wait for that.
pub(super) struct Pool {
    make_reader: MakeReader,
    workers: HashMap<String, Worker>,
    /// Counts the rounds; all threads sleep on it.
    round: Arc<AtomicU32>,
}

impl Pool {
    pub(super) fn new(make_reader: MakeReader) -> Self {
        Self { make_reader, workers: HashMap::new(), round: Arc::new(AtomicU32::new(0)) }
    }

    /// Ends the threads of devices that are no longer there.
    pub(super) fn keep_only(&mut self, devices: &[String]) {
        let before = self.workers.len();
        self.workers.retain(|name, worker| {
            let stays = devices.contains(name);
            worker.slot.stop.store(!stays, Ordering::Release);
            stays
        });
        if self.workers.len() < before {
            self.ring();
        }
    }

    /// Ends the thread of a device; the next read starts another.
    pub(super) fn forget(&mut self, device: &str) {
        if let Some(worker) = self.workers.remove(device) {
            worker.slot.stop.store(true, Ordering::Release);
            self.ring();
        }
    }

    /// Asks the thread of every device and collects what comes until `deadline`, in the order of `devices`.
    pub(super) fn read(&mut self, devices: &[String], needs: Needs, deadline: Duration) -> Vec<PortSample> {
        let mut fresh: HashMap<&str, Vec<PortSample>> = HashMap::new();
        let mut failed: HashMap<&str, String> = HashMap::new();
        let mut asked = Vec::new();
        for device in devices {
            match self.idle(device) {
                Ok(Some(late)) => {
                    fresh.insert(device, late);
                }
                Ok(None) if self.workers.get(device).is_some_and(|w| w.asked.is_none()) => asked.push(device),
                Ok(None) => {}
                Err(reason) => {
                    failed.insert(device, reason);
                }
            }
        }
        if let Some(count) = u32::try_from(asked.len()).ok().filter(|&n| n > 0) {
            let countdown = Arc::new(Countdown::new(count));
            for &device in &asked {
                if let Some(worker) = self.workers.get_mut(device) {
                    worker.asked = Some(Instant::now());
                    worker.slot.lock().request = Some((Arc::clone(&countdown), needs));
                }
            }
            self.ring();
            countdown.wait(deadline);
        }
        for &device in &asked {
            if let Some(ports) = self.workers.get_mut(device).and_then(Worker::answer) {
                fresh.insert(device, ports);
            }
        }
        devices
            .iter()
            .flat_map(|d| self.result(d, fresh.remove(d.as_str()), failed.get(d.as_str())))
            .collect()
    }

    /// Makes sure that `device` has a thread, and takes its late answer if there is one.
    fn idle(&mut self, device: &str) -> Result<Option<Vec<PortSample>>, String> {
        if self.workers.get(device).is_some_and(Worker::has_ended) {
            // Only a bug can bring this about: begin again at the next tick.
            self.workers.remove(device);
            return Err("its reader thread ended; it is started again".to_owned());
        }
        if !self.workers.contains_key(device) {
            let worker = self.start(device)?;
            self.workers.insert(device.to_owned(), worker);
        }
        Ok(self.workers.get_mut(device).and_then(Worker::answer))
    }

    /// Begins a round: every thread looks into its slot.
    fn ring(&self) {
        self.round.fetch_add(1, Ordering::Release);
        futex::wake_all(&self.round, Scope::Process);
    }

    fn result(
        &self,
        device: &str,
        ports: Option<Vec<PortSample>>,
        failed: Option<&String>,
    ) -> Vec<PortSample> {
        if let Some(ports) = ports {
            return ports;
        }
        let worker = self.workers.get(device);
        let waited = worker.and_then(|w| w.asked).map_or(0.0, |t| t.elapsed().as_secs_f64());
        let reason = failed.cloned().unwrap_or_else(|| format!("has not answered for {waited:.1} s"));
        let known = worker.map(|w| w.known.clone()).unwrap_or_default();
        let known = if known.is_empty() {
            vec![Arc::new(PortFacts { device: printable(device), port: 1, ..PortFacts::default() })]
        } else {
            known
        };
        known
            .into_iter()
            .map(|facts| PortSample { facts, source: SourceKind::Sysfs, reading: Err(reason.clone()) })
            .collect()
    }

    fn start(&mut self, device: &str) -> Result<Worker, String> {
        let read = (self.make_reader)(device);
        let slot = Arc::new(Slot::default());
        let (round, theirs) = (Arc::clone(&self.round), Arc::clone(&slot));
        thread::Builder::new()
            .name(format!("read {device}").chars().take(15).collect())
            .spawn(move || serve(&round, &theirs, read))
            .map_err(|e| format!("cannot start a reader thread: {e}"))?;
        Ok(Worker { slot, asked: None, known: Vec::new() })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.keep_only(&[]);
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("workers", &self.workers).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::sample::Reading;
    use std::sync::mpsc::{self, Sender};

    const LONG: Duration = Duration::from_secs(60);

    fn port(device: &str) -> PortSample {
        let facts = PortFacts { device: device.to_owned(), port: 1, ..PortFacts::default() };
        PortSample { facts: Arc::new(facts), source: SourceKind::Sysfs, reading: Ok(Reading::default()) }
    }

    fn names(devices: &[&str]) -> Vec<String> {
        devices.iter().map(|&d| d.to_owned()).collect()
    }

    /// A pool in which the device `slow` answers only as often as the returned sender allows.
    fn with_a_slow_one() -> (Pool, Sender<()>) {
        let (allow, allowed) = mpsc::channel::<()>();
        let allowed = Arc::new(Mutex::new(allowed));
        let pool = Pool::new(Box::new(move |device| {
            let (device, allowed) = (device.to_owned(), Arc::clone(&allowed));
            Box::new(move |_| {
                if device == "slow" {
                    let _closed = allowed.lock().unwrap().recv();
                }
                assert_ne!(device, "broken", "a bug in a reader");
                vec![port(&device)]
            })
        }));
        (pool, allow)
    }

    #[test]
    fn a_stuck_device_holds_nobody_and_is_told_by_its_reason() {
        let (mut pool, allow) = with_a_slow_one();
        let devices = names(&["fast", "slow"]);
        for _ in 0..2 {
            let ports = pool.read(&devices, Needs::everything(), Duration::from_millis(50));
            assert!(ports.len() == 2 && ports[1].facts.device == "slow");
            let reason = ports[1].reading.as_ref().unwrap_err();
            assert!(reason.starts_with("has not answered for"), "{reason}");
        }
        // The fast one is answered for at every tick, however long the deadline: nobody waits for the slow one again.
        let ports = pool.read(&devices, Needs::everything(), LONG);
        assert!(ports[0].reading.is_ok() && ports[1].reading.is_err());

        // It comes back: its late answer is found, and then it takes part again.
        allow.send(()).unwrap();
        allow.send(()).unwrap();
        let back = (0..1000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            pool.read(&devices, Needs::everything(), LONG)[1].reading.is_ok()
        });
        assert!(back);
    }

    #[test]
    fn a_thread_that_ends_holds_nobody_and_is_started_again() {
        let (mut pool, _allow) = with_a_slow_one();
        let devices = names(&["broken", "fast"]);
        for _ in 0..3 {
            let ports = pool.read(&devices, Needs::everything(), LONG);
            assert!(ports[0].reading.is_err() && ports[1].reading.is_ok());
        }
    }

    #[test]
    fn answers_come_in_the_order_of_the_devices() {
        let (mut pool, _allow) = with_a_slow_one();
        let ports = pool.read(&names(&["c", "a", "b"]), Needs::everything(), LONG);
        assert_eq!(ports.iter().map(|p| p.facts.device.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
        pool.keep_only(&names(&["a"]));
        assert_eq!(pool.workers.len(), 1);
        pool.forget("a");
        assert!(pool.workers.is_empty());
        assert!(pool.read(&names(&["a"]), Needs::everything(), LONG)[0].reading.is_ok(), "a new thread");
    }
}
