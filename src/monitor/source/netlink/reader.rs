//! One round over all devices: who is there, what happened to them, their ports' states and counters.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::{Answer, Client, Listener, PortId};
use super::error::NetlinkError;
use super::reply::{self, Device, Event, EventKind, Port, System};
use crate::monitor::clock;
use crate::monitor::sample::DeviceChange;

/// Most ports whose counters one datagram asks for: their answers must fit into the socket's buffer.
const LARGEST_BATCH: usize = 32;
/// What a batch may take, as a share of the interval. All of a batch have one time, spread evenly over its ports, and
/// what is wrong with that is wrong with the rates: at most half of this on each side, so of a steady rate less than 0.2 %.
const BATCH_SHARE: u32 = 300;
/// How long a port's state is taken as unchanged.
const STATE_HOLD: Duration = Duration::from_secs(2);
/// How long the list of devices is, where the kernel tells when it changes.
const LIST_HOLD: Duration = Duration::from_secs(10);
/// How long after a failure to open a socket the next attempt is: each may make the kernel look for a module.
const REOPEN_AFTER: Duration = Duration::from_secs(10);
/// More changes than this between two ticks are not told one by one.
const MAX_CHANGES: usize = 256;

/// What a round is to read.
#[derive(Debug, Clone)]
pub struct Query {
    /// Devices whose ports are read; `None` = all.
    pub devices: Option<Vec<String>>,
    /// What sysfs lists: when that changes, so has netlink's list.
    pub listed: Vec<String>,
    /// The time between rounds.
    pub interval: Duration,
}

/// What a round has read.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// Every device that this network namespace sees, asked for or not.
    pub devices: Vec<Device>,
    /// What happened to them since the round before.
    pub changes: Vec<DeviceChange>,
    /// The ports that were asked for.
    pub ports: Vec<PortAnswer>,
    /// How the RDMA subsystem is set.
    pub system: System,
    /// How long the counters took.
    pub took: Duration,
}

/// Names and values, in the driver's order.
pub type Counters = Vec<(Arc<str>, u64)>;

/// One port.
#[derive(Debug, Clone)]
pub struct PortAnswer {
    /// Device.
    pub device: String,
    /// The kernel's number of the device.
    pub index: u32,
    /// Port.
    pub port: u8,
    /// State, where the kernel tells.
    pub status: Port,
    /// When the counters were read, on the monotonic clock.
    pub mono_ns: u64,
    /// How long the read of them and of those asked for with them took.
    pub span_ns: u64,
    /// Counters in the driver's order, or why there are none.
    pub counters: Result<Counters, NetlinkError>,
}

/// Reads rounds. Lives on a thread of its own.
#[derive(Debug, Default)]
pub struct Reader {
    connection: Option<Connection>,
    failed: Option<(Instant, NetlinkError)>,
    devices: Vec<Device>,
    /// Names by number, as far as changes were told; `None` before the first list.
    told: Option<BTreeMap<u32, String>>,
    /// What happened, until a round is there to tell it: one that fails is followed by one that knows the new list.
    untold: Vec<DeviceChange>,
    listed: Option<Instant>,
    /// What sysfs listed at the last round.
    in_sysfs: Vec<String>,
    states: HashMap<PortId, Port>,
    states_read: Option<Instant>,
    /// Names of the counters that each port has had.
    names: HashMap<PortId, Vec<Arc<str>>>,
    batch: usize,
}

#[derive(Debug)]
struct Connection {
    client: Client,
    /// Where the kernel tells of changes.
    listener: Option<Listener>,
    system: System,
}

impl Connection {
    fn open() -> Result<Self, NetlinkError> {
        let mut client = Client::open()?;
        // A kernel that does not know the question does not know exclusive network namespaces either.
        let system = match client.system() {
            Err(NetlinkError::Refused(_)) => System::default(),
            other => other?,
        };
        // Without it the list is read at every round.
        let listener = if system.tells_changes { Listener::open().ok() } else { None };
        Ok(Self { client, listener, system })
    }
}

impl Reader {
    /// Reads once. Blocks as long as a driver does.
    ///
    /// # Errors
    /// When nothing can be read at all; a port that fails says so in its answer.
    pub fn read(&mut self, query: &Query) -> Result<Round, NetlinkError> {
        if let Some((at, error)) = &self.failed
            && at.elapsed() < REOPEN_AFTER
        {
            return Err(error.clone());
        }
        let mut connection = match self.connection.take().map_or_else(Connection::open, Ok) {
            Ok(connection) => connection,
            Err(e) => {
                self.failed = Some((Instant::now(), e.clone()));
                return Err(e);
            }
        };
        self.failed = None;
        let round = self.round(&mut connection, query);
        if round.is_ok() {
            self.connection = Some(connection);
        }
        self.finish(round)
    }

    /// Gives a round that succeeded all that is to be told.
    fn finish(&mut self, mut round: Result<Round, NetlinkError>) -> Result<Round, NetlinkError> {
        if let Ok(round) = &mut round {
            round.changes = std::mem::take(&mut self.untold);
        } else {
            // What still comes belongs to a question nobody waits for: begin with a new socket, and ask for less.
            self.listed = None;
            self.batch /= 2;
        }
        round
    }

    /// Keeps what is to be told.
    fn tell(&mut self, changes: impl IntoIterator<Item = DeviceChange>) {
        self.untold.extend(changes);
        self.untold.truncate(MAX_CHANGES);
    }

    /// A round, without what happened to the devices.
    fn round(&mut self, connection: &mut Connection, query: &Query) -> Result<Round, NetlinkError> {
        let other = self.in_sysfs != query.listed;
        self.in_sysfs.clone_from(&query.listed);
        if self.is_list_old(connection) || other {
            self.devices = connection.client.devices()?;
            self.listed = Some(Instant::now());
            self.compare();
        }
        let wanted = |d: &&Device| query.devices.as_ref().is_none_or(|names| names.contains(&d.name));
        let ports: Vec<(PortId, String)> = self
            .devices
            .iter()
            .filter(wanted)
            .flat_map(|d| (1..=d.ports).map(|port| ((d.index, port), d.name.clone())))
            .collect();
        self.read_states(&mut connection.client, &ports)?;
        let begun = Instant::now();
        let ports = self.read_counters(&mut connection.client, ports, query.interval)?;
        Ok(Round {
            devices: self.devices.clone(),
            changes: Vec::new(),
            ports,
            system: connection.system,
            took: begun.elapsed(),
        })
    }

    /// Whether the devices may be others than those listed last. Tells of those changes that the kernel tells of.
    fn is_list_old(&mut self, connection: &mut Connection) -> bool {
        let Some(listener) = &mut connection.listener else { return true };
        let events = listener.events();
        let lost = events.is_err();
        let events = events.unwrap_or_default();
        let some = !events.is_empty();
        if let Some(told) = &mut self.told {
            let changes: Vec<_> = events.into_iter().filter_map(|event| apply(told, event)).collect();
            self.tell(changes);
        }
        some || lost || self.listed.is_none_or(|at| at.elapsed() >= LIST_HOLD)
    }

    /// Tells what the list says that was not told yet.
    fn compare(&mut self) {
        let now: BTreeMap<u32, String> = self.devices.iter().map(|d| (d.index, d.name.clone())).collect();
        let changes = self.told.as_ref().map(|before| differences(before, &now)).unwrap_or_default();
        self.names.retain(|(index, _), _| now.contains_key(index));
        self.states.retain(|(index, _), _| now.contains_key(index));
        self.told = Some(now);
        self.tell(changes);
    }

    fn read_states(&mut self, client: &mut Client, ports: &[(PortId, String)]) -> Result<(), NetlinkError> {
        let known = ports.iter().all(|(id, _)| self.states.contains_key(id));
        if known && self.states_read.is_some_and(|at| at.elapsed() < STATE_HOLD) {
            return Ok(());
        }
        let ids: Vec<PortId> = ports.iter().map(|(id, _)| *id).collect();
        for some in ids.chunks(LARGEST_BATCH) {
            for (id, state) in some.iter().zip(client.ports(some)?) {
                self.states.insert(*id, state.unwrap_or_default());
            }
        }
        self.states_read = Some(Instant::now());
        Ok(())
    }

    fn read_counters(
        &mut self,
        client: &mut Client,
        ports: Vec<(PortId, String)>,
        interval: Duration,
    ) -> Result<Vec<PortAnswer>, NetlinkError> {
        let ids: Vec<PortId> = ports.iter().map(|(id, _)| *id).collect();
        let mut answers = Vec::with_capacity(ports.len());
        let mut slowest = Duration::ZERO;
        for batch in ids.chunks(self.batch.max(1)) {
            let mut values: Vec<Option<Result<Counters, NetlinkError>>> = vec![None; batch.len()];
            let before = clock::mono_ns();
            client.counters(batch, |i, answer| {
                values[i] = Some(match answer {
                    Answer::Body(body) => Ok(self.named(batch[i], body)?),
                    Answer::Refused(e) => Err(e),
                });
                Ok(())
            })?;
            let took = clock::mono_ns().saturating_sub(before);
            let each = took / u64::try_from(batch.len()).unwrap_or(1).max(1);
            slowest = slowest.max(Duration::from_nanos(each));
            let mut mono_ns = before + each / 2;
            for values in values {
                answers.push((values.unwrap_or(Err(NetlinkError::Timeout)), mono_ns, took));
                mono_ns += each;
            }
        }
        self.batch = batch_of(interval, slowest);
        let gone =
            |r: &Result<_, NetlinkError>| matches!(r, Err(NetlinkError::Refused(nix::errno::Errno::ENODEV)));
        if answers.iter().any(|(r, ..)| gone(r)) {
            self.listed = None;
        }
        let answer =
            |(((index, port), device), (counters, mono_ns, span_ns)): ((PortId, String), (_, u64, u64))| {
                PortAnswer {
                    status: self.states.get(&(index, port)).cloned().unwrap_or_default(),
                    device,
                    index,
                    // Never more than 255: see `reply::device`.
                    port: u8::try_from(port).unwrap_or(u8::MAX),
                    mono_ns,
                    span_ns,
                    counters,
                }
            };
        Ok(ports.into_iter().zip(answers).map(answer).collect())
    }

    /// The counters of an answer, with the names that the port had before: they do not change.
    fn named(&mut self, id: PortId, body: &[u8]) -> Result<Counters, NetlinkError> {
        let names = self.names.entry(id).or_default();
        let mut values = Vec::with_capacity(names.len());
        reply::counters(body, |name, value| {
            let place = values.len();
            if names.get(place).is_none_or(|known| **known != *name) {
                names.truncate(place);
                names.push(Arc::from(name));
            }
            values.push((Arc::clone(&names[place]), value));
        })?;
        Ok(values)
    }
}

/// How many ports one datagram may ask for, where reading one takes `each`.
fn batch_of(interval: Duration, each: Duration) -> usize {
    let room = interval / BATCH_SHARE;
    let fit = room.as_nanos().checked_div(each.as_nanos()).unwrap_or(u128::MAX);
    usize::try_from(fit).unwrap_or(usize::MAX).clamp(1, LARGEST_BATCH)
}

/// Takes an event into the list of what was told. `None` when it says nothing new.
fn apply(told: &mut BTreeMap<u32, String>, event: Event) -> Option<DeviceChange> {
    match event.kind {
        EventKind::Registered => {
            let new = told.insert(event.index, event.name.clone()).is_none();
            new.then_some(DeviceChange::Added(event.name))
        }
        EventKind::Unregistered => told.remove(&event.index).map(DeviceChange::Removed),
        EventKind::Renamed => {
            let from = told.insert(event.index, event.name.clone())?;
            (from != event.name).then_some(DeviceChange::Renamed { from, to: event.name })
        }
        EventKind::Other => None,
    }
}

/// What happened between two lists.
fn differences(before: &BTreeMap<u32, String>, now: &BTreeMap<u32, String>) -> Vec<DeviceChange> {
    let mut changes = Vec::new();
    let gone = before.iter().filter(|(index, _)| !now.contains_key(index));
    changes.extend(gone.map(|(_, name)| DeviceChange::Removed(name.clone())));
    for (index, name) in now {
        match before.get(index) {
            None => changes.push(DeviceChange::Added(name.clone())),
            Some(from) if from != name => {
                changes.push(DeviceChange::Renamed { from: from.clone(), to: name.clone() });
            }
            Some(_) => {}
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(devices: &[(u32, &str)]) -> BTreeMap<u32, String> {
        devices.iter().map(|&(index, name)| (index, name.to_owned())).collect()
    }

    #[test]
    fn a_number_that_keeps_its_device_is_a_rename_and_a_name_that_changes_its_number_is_not() {
        let before = list(&[(0, "rxe0"), (1, "rxe1"), (2, "rxe2")]);
        let now = list(&[(0, "rdmap16s27"), (2, "rxe2"), (7, "rxe1")]);
        let expected = [
            DeviceChange::Removed("rxe1".to_owned()),
            DeviceChange::Renamed { from: "rxe0".to_owned(), to: "rdmap16s27".to_owned() },
            DeviceChange::Added("rxe1".to_owned()),
        ];
        assert_eq!(differences(&before, &now), expected);
        assert_eq!(differences(&now, &now), []);
    }

    #[test]
    fn what_happened_before_a_round_that_failed_is_told_by_the_next_one() {
        let mut reader = Reader { batch: 8, ..Reader::default() };
        let device = |index, name: &str| Device { index, name: name.to_owned(), ..Device::default() };
        reader.devices = vec![device(0, "rxe0")];
        reader.compare();
        assert_eq!(reader.finish(Ok(Round::default())).unwrap().changes, [], "the first list is no news");
        reader.devices = vec![device(0, "rail0"), device(1, "rxe1")];
        reader.compare();
        assert!(reader.finish(Err(NetlinkError::Timeout)).is_err());
        assert_eq!((reader.listed, reader.batch), (None, 4));
        // The next round finds the same list.
        reader.compare();
        let renamed = DeviceChange::Renamed { from: "rxe0".to_owned(), to: "rail0".to_owned() };
        let expected = [renamed, DeviceChange::Added("rxe1".to_owned())];
        assert_eq!(reader.finish(Ok(Round::default())).unwrap().changes, expected);
        assert_eq!(reader.finish(Ok(Round::default())).unwrap().changes, [], "once");
    }

    #[test]
    fn an_event_that_a_list_has_told_already_is_not_told_again() {
        let mut told = list(&[(0, "a")]);
        let event = |kind, index, name: &str| Event { kind, index, name: name.to_owned() };
        assert_eq!(apply(&mut told, event(EventKind::Registered, 0, "a")), None);
        assert_eq!(apply(&mut told, event(EventKind::Unregistered, 5, "x")), None);
        assert_eq!(
            apply(&mut told, event(EventKind::Registered, 1, "b")),
            Some(DeviceChange::Added("b".to_owned()))
        );
        assert_eq!(apply(&mut told, event(EventKind::Renamed, 1, "b")), None);
        let renamed = DeviceChange::Renamed { from: "b".to_owned(), to: "c".to_owned() };
        assert_eq!(apply(&mut told, event(EventKind::Renamed, 1, "c")), Some(renamed));
        assert_eq!(
            apply(&mut told, event(EventKind::Unregistered, 1, "c")),
            Some(DeviceChange::Removed("c".to_owned()))
        );
        assert_eq!(told, list(&[(0, "a")]));
    }

    #[test]
    fn slow_ports_are_asked_one_by_one_and_fast_ones_together() {
        let second = Duration::from_secs(1);
        assert_eq!(batch_of(second, Duration::from_millis(3)), 1);
        assert_eq!(batch_of(second, Duration::from_micros(500)), 6);
        assert_eq!(batch_of(second, Duration::from_micros(5)), LARGEST_BATCH);
        assert_eq!(batch_of(second, Duration::ZERO), LARGEST_BATCH);
        assert_eq!(batch_of(second / 5, Duration::from_micros(500)), 1);
    }
}
