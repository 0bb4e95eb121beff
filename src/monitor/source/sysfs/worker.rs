//! The reader threads, one per device, and the wait for their answers.
//!
//! A thread gets one request at a time and answers into a channel that all share. One that misses the deadline is not
//! waited for again, nor asked again, until it has answered; its late answer counts for the tick that finds it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::device::DeviceReader;
use super::root::Root;
use super::topology::{self, Gpu};
use crate::monitor::sample::{PortFacts, PortSample};
use crate::text::printable;

/// What a thread sends back: its id and its ports.
type Answer = (u64, Vec<PortSample>);

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
#[derive(Debug)]
pub(super) struct Pool {
    root: Arc<Root>,
    gpus: Option<Arc<Vec<Gpu>>>,
    workers: HashMap<String, Worker>,
    next_id: u64,
    answers: Receiver<Answer>,
    answer: Sender<Answer>,
}

impl Pool {
    pub(super) fn new(root: Arc<Root>) -> Self {
        let (answer, answers) = mpsc::channel();
        Self { root, gpus: None, workers: HashMap::new(), next_id: 0, answers, answer }
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
        let until = Instant::now() + deadline;
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
        known.into_iter().map(|facts| PortSample { facts, reading: Err(reason.clone()) }).collect()
    }

    fn start(&mut self, device: &str) -> Result<Worker, String> {
        let root = &self.root;
        let gpus = Arc::clone(self.gpus.get_or_insert_with(|| Arc::new(topology::gpus(root))));
        let mut reader = DeviceReader::new(Arc::clone(&self.root), gpus, device.to_owned());
        let (requests, asked) = mpsc::channel();
        let answer = self.answer.clone();
        let id = self.next_id;
        self.next_id += 1;
        thread::Builder::new()
            .name(format!("read {device}").chars().take(15).collect())
            .spawn(move || while asked.recv().is_ok() && answer.send((id, reader.read())).is_ok() {})
            .map_err(|e| format!("cannot start a reader thread: {e}"))?;
        Ok(Worker { id, requests, asked: None, known: Vec::new() })
    }
}
