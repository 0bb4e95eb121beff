//! The reader threads, one per device, and the wait for their answers.
//!
//! A thread gets one request at a time and answers into a channel that all share. One that misses the deadline is not
//! waited for again, nor asked again, until it has answered; its late answer counts for the tick that finds it.
//! What a thread does is passed in, so that tests can have devices that hang.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::monitor::model::view::SourceKind;
use crate::monitor::sample::{PortFacts, PortSample};
use crate::text::printable;

/// What a thread sends back: its id and its ports.
type Answer = (u64, Vec<PortSample>);

/// Reads all ports of one device; runs on that device's thread.
pub(super) type ReadDevice = Box<dyn FnMut() -> Vec<PortSample> + Send>;
/// Makes the reader of the device with this name.
pub(super) type MakeReader = Box<dyn Fn(&str) -> ReadDevice + Send>;

/// One reader thread, seen from outside.
#[derive(Debug)]
struct Worker {
    id: u64,
    requests: Sender<()>,
    /// When the request that is still open was made.
    asked: Option<Instant>,
    /// The ports it last told of.
    known: Vec<Arc<PortFacts>>,
}

/// All reader threads. Dropping it ends them as soon as they are back from the kernel; it does not wait for that.
pub(super) struct Pool {
    make_reader: MakeReader,
    workers: HashMap<String, Worker>,
    next_id: u64,
    answers: Receiver<Answer>,
    answer: Sender<Answer>,
}

impl Pool {
    pub(super) fn new(make_reader: MakeReader) -> Self {
        let (answer, answers) = mpsc::channel();
        Self { make_reader, workers: HashMap::new(), next_id: 0, answers, answer }
    }

    /// Ends the threads of devices that are no longer there.
    pub(super) fn keep_only(&mut self, devices: &[String]) {
        self.workers.retain(|name, _| devices.contains(name));
    }

    /// Asks the thread of every device and collects what comes until `deadline`, in the order of `devices`.
    pub(super) fn read(&mut self, devices: &[String], deadline: Duration) -> Vec<PortSample> {
        let mut fresh: HashMap<u64, Vec<PortSample>> = HashMap::new();
        while let Ok(late) = self.answers.try_recv() {
            self.take(late, &mut fresh);
        }
        let mut failed = HashMap::new();
        let mut open = HashSet::new();
        for device in devices {
            match self.ask(device, &fresh) {
                Ok(asked) => open.extend(asked),
                Err(reason) => {
                    failed.insert(device.clone(), reason);
                }
            }
        }
        let until = Instant::now() + deadline;
        while !open.is_empty() {
            let Ok(answer) = self.answers.recv_timeout(until.saturating_duration_since(Instant::now()))
            else {
                break;
            };
            open.remove(&answer.0);
            self.take(answer, &mut fresh);
        }
        devices.iter().flat_map(|d| self.result(d, &mut fresh, failed.get(d))).collect()
    }

    /// Asks `device`'s thread unless it still owes an answer or has just given a late one. Its id if asked.
    fn ask(&mut self, device: &str, fresh: &HashMap<u64, Vec<PortSample>>) -> Result<Option<u64>, String> {
        if !self.workers.contains_key(device) {
            let worker = self.start(device)?;
            self.workers.insert(device.to_owned(), worker);
        }
        let Some(worker) = self.workers.get_mut(device) else { return Ok(None) };
        if worker.asked.is_some() || fresh.contains_key(&worker.id) {
            return Ok(None);
        }
        if worker.requests.send(()).is_err() {
            // The thread ended, which only a bug can bring about: begin again at the next tick.
            self.workers.remove(device);
            return Err("its reader thread ended; it is started again".to_owned());
        }
        worker.asked = Some(Instant::now());
        Ok(Some(worker.id))
    }

    /// Books an answer, unless it is of a thread that is no longer wanted.
    fn take(&mut self, (id, ports): Answer, fresh: &mut HashMap<u64, Vec<PortSample>>) {
        let Some(worker) = self.workers.values_mut().find(|w| w.id == id) else { return };
        worker.asked = None;
        worker.known = ports.iter().map(|p| Arc::clone(&p.facts)).collect();
        fresh.insert(id, ports);
    }

    fn result(
        &self,
        device: &str,
        fresh: &mut HashMap<u64, Vec<PortSample>>,
        failed: Option<&String>,
    ) -> Vec<PortSample> {
        let worker = self.workers.get(device);
        if let Some(ports) = worker.and_then(|w| fresh.remove(&w.id)) {
            return ports;
        }
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
        let mut read = (self.make_reader)(device);
        let (requests, asked) = mpsc::channel();
        let answer = self.answer.clone();
        let id = self.next_id;
        self.next_id += 1;
        thread::Builder::new()
            .name(format!("read {device}").chars().take(15).collect())
            .spawn(move || while asked.recv().is_ok() && answer.send((id, read())).is_ok() {})
            .map_err(|e| format!("cannot start a reader thread: {e}"))?;
        Ok(Worker { id, requests, asked: None, known: Vec::new() })
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
    use std::sync::Mutex;

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
            Box::new(move || {
                if device == "slow" {
                    let _closed = allowed.lock().unwrap().recv();
                }
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
            let ports = pool.read(&devices, Duration::from_millis(50));
            assert!(ports.len() == 2 && ports[1].facts.device == "slow");
            let reason = ports[1].reading.as_ref().unwrap_err();
            assert!(reason.starts_with("has not answered for"), "{reason}");
        }
        // The fast one is answered for at every tick, however long the deadline: nobody waits for the slow one again.
        let ports = pool.read(&devices, LONG);
        assert!(ports[0].reading.is_ok() && ports[1].reading.is_err());

        // It comes back: its late answer is found, and then it takes part again.
        allow.send(()).unwrap();
        allow.send(()).unwrap();
        let back = (0..1000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            pool.read(&devices, LONG)[1].reading.is_ok()
        });
        assert!(back);
    }

    #[test]
    fn answers_come_in_the_order_of_the_devices() {
        let (mut pool, _allow) = with_a_slow_one();
        let ports = pool.read(&names(&["c", "a", "b"]), LONG);
        assert_eq!(ports.iter().map(|p| p.facts.device.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
        pool.keep_only(&names(&["a"]));
        assert_eq!(pool.workers.len(), 1);
    }
}
