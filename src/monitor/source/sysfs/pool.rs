//! The devices' readers: whom to ask, whom to wait for, and what to say of those who do not answer.
//!
//! Each device has a reader of its own, which some thread of the [`Crew`] runs. One that misses the deadline is not
//! waited for again until it has answered in time; it is asked anew as soon as it has answered, so that a device which
//! always takes longer than a tick has its values, and rates over the time that they are apart, as often as it answers.
//! What a reader does is passed in, so that tests can have devices that hang.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::pause::Pause;
use super::crew::{Crew, Task};
use crate::monitor::model::view::SourceKind;
use crate::monitor::sample::{Needs, PortFacts, PortSample};
use crate::text::printable;

/// Reads all ports of one device; on one thread at a time.
pub(super) type ReadDevice = Box<dyn FnMut(Needs) -> Vec<PortSample> + Send>;
/// Makes the reader of the device with this name.
pub(super) type MakeReader = Box<dyn Fn(&str) -> ReadDevice + Send>;

/// Most devices that went or were renamed while a read of them hung: each holds a thread. With more, new devices are not
/// read until some let go, so that a device which hangs, goes and comes back again and again does not use up the machine.
const MAX_LOST: usize = 64;

/// What is said of a device whose reader panicked, until there is another.
const BUG: &str = "its reader ended by a bug; it is started again after a while";

/// What whoever reads a device and the pool share.
#[derive(Default)]
struct Desk {
    /// The reader, while nobody reads.
    read: Option<ReadDevice>,
    answer: Option<Answer>,
    /// A read panicked, so there is no reader any more; for a while none is made.
    broken: Option<Pause>,
}

impl Desk {
    fn of(read: ReadDevice) -> SharedDesk {
        Arc::new(Mutex::new(Self { read: Some(read), ..Self::default() }))
    }
}

struct Answer {
    ports: Vec<PortSample>,
    took: Duration,
}

type SharedDesk = Arc<Mutex<Desk>>;

/// Held for a few moves only; a panic in between leaves nothing half done.
fn lock(desk: &SharedDesk) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Marks the desk of a read that panics.
struct Reading<'a>(&'a SharedDesk);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(self.0).broken = Some(Pause::begin());
        }
    }
}

/// One read.
fn task(desk: &SharedDesk, needs: Needs) -> Task {
    let desk = Arc::clone(desk);
    Box::new(move || {
        let Some(mut read) = lock(&desk).read.take() else { return };
        let _reading = Reading(&desk);
        let begun = Instant::now();
        let ports = read(needs);
        let answer = Answer { ports, took: begun.elapsed() };
        let mut open = lock(&desk);
        (open.read, open.answer) = (Some(read), Some(answer));
    })
}

/// One device, seen by who asks.
struct Device {
    desk: SharedDesk,
    /// When the request that is still open was made.
    asked: Option<Instant>,
    /// It took longer than was waited the last time.
    slow: bool,
    /// It went, or has another name, while it was read: what that read still says is not of what now has the name.
    lost: bool,
    /// The ports it last told of.
    known: Vec<Arc<PortFacts>>,
}

impl Device {
    fn new(read: ReadDevice) -> Self {
        Self { desk: Desk::of(read), asked: None, slow: false, lost: false, known: Vec::new() }
    }

    /// Its reader's panic, if that ended by one.
    fn broken(&self) -> Option<Pause> {
        lock(&self.desk).broken
    }

    /// Another reader; what is known of the device stays, and with it its place among the others.
    fn begin_again(&mut self, read: ReadDevice) {
        (self.desk, self.asked) = (Desk::of(read), None);
    }

    /// Its answer, if it has given one. It is late where the tick that asked is over.
    fn answer(&mut self, deadline: Duration, late: bool) -> Option<Vec<PortSample>> {
        let Answer { mut ports, took } = self.asked.and_then(|_| lock(&self.desk).answer.take())?;
        self.asked = None;
        self.slow = took > deadline;
        if late {
            for reading in ports.iter_mut().filter_map(|port| port.reading.as_mut().ok()) {
                reading.late = true;
            }
        }
        // Facts seldom change, and then all of them are new.
        let same = self.known.len() == ports.len()
            && self.known.iter().zip(&ports).all(|(known, port)| Arc::ptr_eq(known, &port.facts));
        if !same {
            self.known = ports.iter().map(|p| Arc::clone(&p.facts)).collect();
        }
        Some(ports)
    }

    /// Whether some thread is still at it.
    fn is_held(&self) -> bool {
        let desk = lock(&self.desk);
        self.asked.is_some() && desk.answer.is_none() && desk.broken.is_none()
    }
}

/// All devices' readers. Dropping it ends the threads as soon as they are back from the kernel; it does not wait for that.
pub(super) struct Pool {
    make_reader: MakeReader,
    devices: HashMap<String, Device>,
    crew: Crew,
}

impl Pool {
    pub(super) fn new(make_reader: MakeReader) -> Self {
        Self { make_reader, devices: HashMap::new(), crew: Crew::new() }
    }

    /// Forgets devices that are no longer there.
    pub(super) fn keep_only(&mut self, devices: &[String]) {
        self.devices.retain(|name, device| {
            device.lost |= !devices.contains(name);
            !device.lost || device.is_held()
        });
    }

    /// Begins anew with a device: the next read makes another reader.
    pub(super) fn forget(&mut self, device: &str) {
        if let Some(known) = self.devices.get_mut(device) {
            known.lost = true;
            if !known.is_held() {
                self.devices.remove(device);
            }
        }
    }

    /// Asks every device and collects what comes until `deadline`, in the order of `devices`.
    pub(super) fn read(&mut self, devices: &[String], needs: Needs, deadline: Duration) -> Vec<PortSample> {
        let mut fresh: HashMap<&str, Vec<PortSample>> = HashMap::new();
        let mut failed: HashMap<&str, String> = HashMap::new();
        let (mut waited, mut others) = (Vec::new(), Vec::new());
        let mut asked = Vec::new();
        for name in devices {
            let device = match self.device(name) {
                Ok(device) => device,
                Err(reason) => {
                    failed.insert(name, reason);
                    continue;
                }
            };
            if device.lost {
                continue;
            }
            if let Some(late) = device.answer(deadline, true) {
                fresh.insert(name, late);
            }
            if device.asked.is_none() {
                device.asked = Some(Instant::now());
                asked.push(name.as_str());
                // With a late answer in hand there is nothing to wait for.
                let queue =
                    if device.slow || fresh.contains_key(name.as_str()) { &mut others } else { &mut waited };
                queue.push(task(&device.desk, needs));
            }
        }
        if !asked.is_empty()
            && let Err(e) = self.crew.run(waited, others, deadline)
        {
            let reason = format!("cannot start a reader thread: {e}");
            for name in &asked {
                if let Some(device) = self.devices.get_mut(*name) {
                    device.asked = None;
                }
                failed.insert(name, reason.clone());
            }
        }
        for name in asked {
            // One that has given two answers has caught up, and the newer counts.
            let late = fresh.contains_key(name);
            if let Some(ports) = self.devices.get_mut(name).and_then(|d| d.answer(deadline, late)) {
                fresh.insert(name, ports);
            }
        }
        devices
            .iter()
            .flat_map(|d| self.result(d, fresh.remove(d.as_str()), failed.get(d.as_str())))
            .collect()
    }

    /// The device of this name, which may be new.
    fn device(&mut self, name: &str) -> Result<&mut Device, String> {
        if self.devices.get(name).is_some_and(|d| d.lost && !d.is_held()) {
            self.devices.remove(name);
        }
        if let Some(device) = self.devices.get_mut(name)
            && let Some(pause) = device.broken()
        {
            if pause.is_on() {
                return Err(BUG.to_owned());
            }
            device.begin_again((self.make_reader)(name));
        }
        if !self.devices.contains_key(name) {
            let lost = self.devices.values().filter(|d| d.lost).count();
            if lost >= MAX_LOST {
                return Err(format!("{lost} devices that went away still hang in a read: no other is begun"));
            }
            self.devices.insert(name.to_owned(), Device::new((self.make_reader)(name)));
        }
        // Inserted if it was not there.
        self.devices.get_mut(name).ok_or_else(String::new)
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
        let known = self.devices.get(device);
        let waited = known.and_then(|w| w.asked).map_or(0.0, |t| t.elapsed().as_secs_f64());
        let broken = known.is_some_and(|d| d.broken().is_some());
        let reason = match failed {
            Some(reason) => reason.clone(),
            None if broken => BUG.to_owned(),
            None => format!("has not answered for {waited:.1} s"),
        };
        let facts = known.map(|w| w.known.clone()).unwrap_or_default();
        let facts = if facts.is_empty() {
            vec![Arc::new(PortFacts { device: printable(device), port: 1, ..PortFacts::default() })]
        } else {
            facts
        };
        facts
            .into_iter()
            .map(|facts| PortSample { facts, source: SourceKind::Sysfs, reading: Err(reason.clone()) })
            .collect()
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("devices", &self.devices.keys()).finish_non_exhaustive()
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
                if device.starts_with("slow") {
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
        let devices = names(&["slow", "fast"]);
        for _ in 0..2 {
            let ports = pool.read(&devices, Needs::everything(), Duration::from_millis(500));
            assert!(ports.len() == 2 && ports[0].facts.device == "slow");
            let reason = ports[0].reading.as_ref().unwrap_err();
            assert!(reason.starts_with("has not answered for"), "{reason}");
        }
        // The fast one is answered for at every tick, however long the deadline: nobody waits for the slow one again.
        let ports = pool.read(&devices, Needs::everything(), LONG);
        assert!(ports[1].reading.is_ok() && ports[0].reading.is_err());

        // It comes back: its late answer is found, and it is asked again at once, and waited for once it is in time.
        let late = |ports: Vec<PortSample>| ports[0].reading.as_ref().ok().map(|r| r.late);
        allow.send(()).unwrap();
        assert!(until_some(|| late(pool.read(&devices, Needs::everything(), LONG))));
        assert!(pool.devices["slow"].asked.is_some());
        for _ in 0..10 {
            allow.send(()).unwrap();
        }
        until_some(|| late(pool.read(&devices, Needs::everything(), LONG)).filter(|late| !late));
    }

    /// What `look` gives once it gives something.
    fn until_some<T>(mut look: impl FnMut() -> Option<T>) -> T {
        for _ in 0..60_000 {
            if let Some(found) = look() {
                return found;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("never");
    }

    #[test]
    fn devices_that_hang_and_go_are_not_read_again_before_they_let_go_and_hold_a_bounded_number_of_threads() {
        let (mut pool, allow) = with_a_slow_one();
        let soon = Duration::from_millis(1);
        for _ in 0..5 {
            // It flaps: a thread each time would be one more each time.
            pool.read(&names(&["slow"]), Needs::everything(), soon);
            pool.keep_only(&[]);
            assert_eq!(pool.devices.len(), 1);
        }
        // Its answer is of what had the name before.
        allow.send(()).unwrap();
        until_some(|| (!pool.devices["slow"].is_held()).then_some(()));
        assert!(pool.read(&names(&["slow"]), Needs::everything(), soon)[0].reading.is_err());
        assert!(!pool.devices["slow"].lost, "a reader of its own");

        for n in 0..MAX_LOST + 5 {
            let name = names(&[&format!("slow{n}")]);
            pool.read(&name, Needs::everything(), Duration::ZERO);
            pool.keep_only(&[]);
        }
        assert_eq!(pool.devices.len(), MAX_LOST);
        let refused = pool.read(&names(&["another"]), Needs::everything(), LONG);
        assert!(refused[0].reading.as_ref().unwrap_err().contains("still hang"), "{refused:?}");
    }

    #[test]
    fn a_reader_that_panics_holds_nobody_and_is_made_again_after_a_while() {
        let (mut pool, _allow) = with_a_slow_one();
        let devices = names(&["broken", "fast"]);
        for _ in 0..3 {
            let ports = pool.read(&devices, Needs::everything(), LONG);
            assert_eq!(ports[0].reading.as_ref().err().map(String::as_str), Some(BUG));
            assert!(ports[1].reading.is_ok());
        }
    }

    #[test]
    fn after_a_panic_it_is_still_known_what_the_device_is() {
        let (made, readers) = mpsc::channel();
        let (allow, allowed) = mpsc::channel::<()>();
        let allowed = Arc::new(Mutex::new(allowed));
        let mut pool = Pool::new(Box::new(move |device| {
            made.send(()).unwrap();
            let (device, allowed) = (device.to_owned(), Arc::clone(&allowed));
            Box::new(move |_| {
                let go = allowed.lock().unwrap().try_recv();
                go.expect("a bug in a reader");
                let facts = PortFacts { device: device.clone(), port: 7, ..PortFacts::default() };
                vec![PortSample { facts: Arc::new(facts), ..port(&device) }]
            })
        }));
        let read = |pool: &mut Pool| pool.read(&names(&["a"]), Needs::everything(), LONG).remove(0);
        allow.send(()).unwrap();
        let before = read(&mut pool);
        assert!(before.reading.is_ok());
        for _ in 0..3 {
            let during = read(&mut pool);
            assert_eq!((&during.facts, during.reading), (&before.facts, Err(BUG.to_owned())));
        }
        assert_eq!(readers.try_iter().count(), 1, "no other at every tick");
        lock(&pool.devices["a"].desk).broken = Some(Pause::over());
        allow.send(()).unwrap();
        let after = read(&mut pool);
        assert!(after.reading.is_ok() && after.facts == before.facts, "{after:?}");
        assert_eq!(readers.try_iter().count(), 1);
    }

    #[test]
    fn answers_come_in_the_order_of_the_devices() {
        let (mut pool, _allow) = with_a_slow_one();
        let ports = pool.read(&names(&["c", "a", "b"]), Needs::everything(), LONG);
        assert_eq!(ports.iter().map(|p| p.facts.device.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
        pool.keep_only(&names(&["a"]));
        assert_eq!(pool.devices.len(), 1);
        pool.forget("a");
        assert!(pool.devices.is_empty());
        assert!(pool.read(&names(&["a"]), Needs::everything(), LONG)[0].reading.is_ok(), "a new reader");
    }
}
