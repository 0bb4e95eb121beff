//! A recording as a trace for <https://ui.perfetto.dev>: a track per host, group and NIC, and counters below each NIC.
//!
//! Time is the wall clock in nanoseconds, fixed once per run of the recorder and carried on by the monotonic clock, so
//! that each NIC stands at the moment of its own read and no clock that is set meanwhile makes a jump. A counter keeps
//! its value until the next one in Perfetto; so a rate is written at the beginning of the time it was measured over.
//! Counters cannot be absent there: where no rate is known they fall to 0 below a slice that says why.

mod proto;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, Write};

use self::proto::{
    Attribute, Attributes, Clock, ClockSnapshot, CounterDescriptor, EXPLICIT, Packet, SIZE_BYTES,
    TrackDescriptor, TrackEvent, clock, event,
};
use super::counter::Health;
use super::model::view::{Flow, GroupKind, GroupView, Mark, NicView, View};
use super::record::Session;

/// All packets come from one writer.
const SEQUENCE: u32 = 1;

/// Writes a trace, packet by packet; keeps only what each NIC showed last.
#[derive(Debug)]
pub struct Trace<W> {
    out: W,
    buffer: Vec<u8>,
    /// Track numbers by path (`host`, `host/group/nic`, …).
    tracks: HashMap<String, u64>,
    nics: HashMap<u64, Last>,
    /// The latest moment so far, where what is open ends.
    latest: u64,
    /// Wall and monotonic clock at the same moment.
    anchor: (i128, u64),
}

/// What a NIC's tracks say at the moment.
#[derive(Debug, Default)]
struct Last {
    /// When it was read, as a time stamp.
    at: u64,
    /// Rates by track, as they stand.
    rates: HashMap<u64, f64>,
    /// Whether a slice that says why there is no rate is open.
    silent: bool,
    /// The last tick that had this NIC.
    tick: u64,
}

impl<W: Write> Trace<W> {
    /// Begins a trace of the recording called `name`.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn begin(out: W, name: &str, sessions: &[Session]) -> io::Result<Self> {
        let mut trace = Self {
            out,
            buffer: Vec::new(),
            tracks: HashMap::new(),
            nics: HashMap::new(),
            latest: 0,
            anchor: (0, 0),
        };
        let mut attributes = vec![("recording", name.to_owned())];
        if let Some(first) = sessions.first() {
            attributes.push(("host", first.log.host.clone()));
            attributes.push(("railtop_version", first.log.version.clone()));
            attributes.extend(first.log.boot_id.clone().map(|id| ("boot_id", id)));
        }
        let attribute = attributes
            .into_iter()
            .map(|(key, value)| Attribute { key: Some(key.to_owned()), string_value: Some(value) })
            .collect();
        trace.packet(&Packet { trace_attributes: Some(Attributes { attribute }), ..Packet::default() })?;
        Ok(trace)
    }

    /// A run of the recorder begins; its clocks hold for the ticks that follow.
    ///
    /// # Errors
    /// When the trace cannot be written.
    pub fn session(&mut self, session: &Session) -> io::Result<()> {
        self.close()?;
        self.anchor = (session.log.started_ns, session.mono_ns);
        let clock = |id, at| Clock { clock_id: Some(id), timestamp: Some(at) };
        let realtime = u64::try_from(session.log.started_ns).unwrap_or(0);
        let mut clocks = vec![clock(clock::REALTIME, realtime), clock(clock::MONOTONIC, session.mono_ns)];
        // With it the kernel's own traces of the same boot can be laid over this one.
        if session.boottime_ns > 0 {
            clocks.push(clock(clock::BOOTTIME, session.boottime_ns));
        }
        let snapshot = ClockSnapshot { clocks, primary_trace_clock: Some(clock::REALTIME) };
        self.packet(&Packet { clock_snapshot: Some(snapshot), ..Packet::default() })
    }

    /// Adds a tick.
    ///
    /// # Errors
    /// When the trace cannot be written.
    pub fn tick(&mut self, view: &View) -> io::Result<()> {
        let host = self.track(&view.host, None, &view.host, 0, None, None)?;
        for (rank, group) in (0..).zip(&view.groups) {
            let path = format!("{}/{}", view.host, group.key);
            let parent = self.track(&path, Some(host), &group_name(group), rank, None, describe(group))?;
            for (rank, nic) in (0..).zip(&group.nics) {
                self.nic(&format!("{path}/{}", nic.key), parent, rank, nic, view.mono_ns)?;
            }
        }
        for event in view.events.iter().filter(|event| event.mono_ns == view.mono_ns) {
            let path = format!("{}//events", view.host);
            let track = self.track(&path, Some(host), "events", i32::MAX, None, None)?;
            let name = format!("{}: {}", event.subject, event.text);
            self.event(self.stamp(event.mono_ns), track, event::INSTANT, Some(name), None)?;
        }
        // A NIC that is not even listed any more has no rate either.
        let gone: Vec<u64> = self
            .nics
            .iter()
            .filter(|(_, last)| last.tick != view.mono_ns && !last.silent)
            .map(|(&t, _)| t)
            .collect();
        for track in gone {
            self.silence(track, "not in the recording any more")?;
        }
        Ok(())
    }

    /// Ends all that is open.
    ///
    /// # Errors
    /// When the trace cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.close()?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn nic(&mut self, path: &str, parent: u64, rank: i32, nic: &NicView, tick: u64) -> io::Result<()> {
        let name =
            if nic.port > 1 { format!("{} port {}", nic.device, nic.port) } else { nic.device.clone() };
        let track = self.track(path, Some(parent), &name, rank, None, Some(facts(nic)))?;
        let at = self.stamp(nic.mono_ns);
        self.latest = self.latest.max(at);
        let live = !nic.marks.iter().any(|mark| matches!(mark, Mark::Stale | Mark::Gone));
        let mut last = self.nics.remove(&track).unwrap_or_default();
        last.tick = tick;
        let known = nic.dt.filter(|_| live && (nic.tx.bytes_per_s.is_some() || nic.rx.bytes_per_s.is_some()));
        if let Some(dt) = known {
            let since = at.saturating_sub(u64::try_from(dt.as_nanos()).unwrap_or(u64::MAX));
            if last.silent {
                self.event(since, track, event::SLICE_END, None, None)?;
                last.silent = false;
            }
            for (order, (counter, unit, per_s)) in (0..).zip(rates(nic)) {
                let known = self.tracks.contains_key(&format!("{path}//{counter}"));
                if per_s.is_none() && !known {
                    continue;
                }
                let counter = self.counter(path, track, counter, unit, order)?;
                match per_s {
                    Some(per_s) => drop(last.rates.insert(counter, per_s)),
                    // What is not known any more must not stand there as if it were.
                    None if last.rates.remove(&counter).is_none() => continue,
                    None => {}
                }
                self.event(since, counter, event::COUNTER, None, Some(per_s.unwrap_or(0.0)))?;
            }
            last.at = at;
        }
        if let Some(bytes) = nic.in_flight_bytes.filter(|_| live) {
            let counter = self.counter(path, track, "in flight", Unit::Bytes, 100)?;
            self.event(at, counter, event::COUNTER, None, Some(bytes as f64))?;
        }
        let ended = known.is_none() && !last.silent && last.at > 0;
        self.nics.insert(track, last);
        if ended { self.silence(track, &why(nic)) } else { Ok(()) }
    }

    /// From the last read on there is no rate: says so, and why.
    fn silence(&mut self, track: u64, reason: &str) -> io::Result<()> {
        let Some(last) = self.nics.get_mut(&track) else { return Ok(()) };
        last.silent = true;
        let at = last.at;
        let counters: Vec<u64> = std::mem::take(&mut last.rates).into_keys().collect();
        if at == 0 {
            return Ok(());
        }
        for counter in counters {
            self.event(at, counter, event::COUNTER, None, Some(0.0))?;
        }
        self.event(at, track, event::SLICE_BEGIN, Some(format!("no rate: {reason}")), None)
    }

    /// The last rates hold until the last read; without a point there they would have no length.
    fn close(&mut self) -> io::Result<()> {
        for (track, last) in std::mem::take(&mut self.nics) {
            for (counter, per_s) in last.rates {
                self.event(last.at, counter, event::COUNTER, None, Some(per_s))?;
            }
            if last.silent && last.at > 0 {
                self.event(self.latest.max(last.at.saturating_add(1)), track, event::SLICE_END, None, None)?;
            }
        }
        Ok(())
    }

    fn counter(&mut self, path: &str, parent: u64, name: &str, unit: Unit, rank: i32) -> io::Result<u64> {
        let path = format!("{path}//{name}");
        let counter = match unit {
            Unit::BitsPerSecond => CounterDescriptor {
                unit_name: Some("bit/s".to_owned()),
                y_axis_share_key: Some("bit/s".to_owned()),
                ..CounterDescriptor::default()
            },
            Unit::PerSecond => {
                CounterDescriptor { unit_name: Some("1/s".to_owned()), ..CounterDescriptor::default() }
            }
            Unit::Bytes => CounterDescriptor { unit: Some(SIZE_BYTES), ..CounterDescriptor::default() },
        };
        self.track(&path, Some(parent), name, rank, Some(counter), None)
    }

    /// The number of a track, which is described when it is first used.
    fn track(
        &mut self,
        path: &str,
        parent_uuid: Option<u64>,
        name: &str,
        rank: i32,
        counter: Option<CounterDescriptor>,
        description: Option<String>,
    ) -> io::Result<u64> {
        let next = self.tracks.len() as u64 + 1;
        let uuid = match self.tracks.entry(path.to_owned()) {
            Entry::Occupied(known) => return Ok(*known.get()),
            Entry::Vacant(new) => *new.insert(next),
        };
        let descriptor = TrackDescriptor {
            uuid: Some(uuid),
            name: Some(name.to_owned()),
            parent_uuid,
            child_ordering: counter.is_none().then_some(EXPLICIT),
            counter,
            sibling_order_rank: Some(rank),
            description,
        };
        self.packet(&Packet { track_descriptor: Some(descriptor), ..Packet::default() })?;
        Ok(uuid)
    }

    fn event(
        &mut self,
        at: u64,
        track: u64,
        kind: i32,
        name: Option<String>,
        value: Option<f64>,
    ) -> io::Result<()> {
        let event = TrackEvent {
            r#type: Some(kind),
            track_uuid: Some(track),
            categories: vec!["railtop".to_owned()],
            name,
            counter_value: None,
            double_counter_value: value,
        };
        self.packet(&Packet {
            timestamp: Some(at),
            timestamp_clock_id: Some(clock::REALTIME),
            track_event: Some(event),
            ..Packet::default()
        })
    }

    /// A moment of the monotonic clock on the wall clock.
    fn stamp(&self, mono_ns: u64) -> u64 {
        let (wall, mono) = self.anchor;
        u64::try_from(wall.saturating_add(i128::from(mono_ns) - i128::from(mono))).unwrap_or(0)
    }

    /// A packet as a field of the trace.
    fn packet(&mut self, packet: &Packet) -> io::Result<()> {
        let packet = Packet { trusted_packet_sequence_id: Some(SEQUENCE), ..packet.clone() };
        self.buffer.clear();
        prost::encoding::message::encode(1, &packet, &mut self.buffer);
        self.out.write_all(&self.buffer)
    }
}

/// What a counter counts.
#[derive(Debug, Clone, Copy)]
enum Unit {
    BitsPerSecond,
    PerSecond,
    Bytes,
}

/// A NIC's rates, in the order of the tracks.
fn rates(nic: &NicView) -> Vec<(&'static str, Unit, Option<f64>)> {
    let bits = |flow: &Flow| flow.bytes_per_s.map(|bytes| bytes * 8.0);
    let mut all = vec![
        ("Tx", Unit::BitsPerSecond, bits(&nic.tx)),
        ("Rx", Unit::BitsPerSecond, bits(&nic.rx)),
        ("Tx operations or packets", Unit::PerSecond, nic.tx.ops_per_s),
        ("Rx operations or packets", Unit::PerSecond, nic.rx.ops_per_s),
    ];
    if let Some(kernel) = &nic.kernel {
        all.push(("kernel Tx", Unit::BitsPerSecond, bits(&kernel.tx)));
        all.push(("kernel Rx", Unit::BitsPerSecond, bits(&kernel.rx)));
    }
    all.extend(Health::ALL.map(|health| (health.name(), Unit::PerSecond, nic.health[health].per_s)));
    all
}

/// Why a NIC has no rate.
fn why(nic: &NicView) -> String {
    let mark = nic.marks.iter().map(|mark| mark.words());
    let words: Vec<&str> = mark.chain(nic.reason.as_deref()).collect();
    if words.is_empty() { "not known".to_owned() } else { words.join("; ") }
}

fn group_name(group: &GroupView) -> String {
    match (group.kind, group.pe, &group.gpu) {
        (GroupKind::Pe, Some(pe), _) => format!("{} PE {pe}", group.node),
        (GroupKind::Gpu, _, Some(gpu)) => format!("{} GPU {gpu}", group.node),
        _ => format!("{} NICs", group.node),
    }
}

fn describe(group: &GroupView) -> Option<String> {
    let facts = [
        group.job.as_ref().map(|job| format!("job {job}")),
        group.pid.map(|pid| format!("process {pid}")),
        group.policy.as_ref().map(|policy| format!("policy {policy}")),
        group.rx_source.as_ref().map(|rx| format!("Rx by {rx}")),
    ];
    let words: Vec<String> = facts.into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn facts(nic: &NicView) -> String {
    let rate = nic.link_bits_per_s.map(|bits| format!("line rate {} Gbit/s", bits as f64 / 1e9));
    let facts = [
        Some(format!("driver {}, source {}", nic.driver, nic.source.name())),
        rate,
        nic.pci.as_ref().map(|pci| format!("PCI {pci}")),
        nic.numa.map(|node| format!("NUMA node {node}")),
        nic.netdev.as_ref().map(|netdev| format!("interface {netdev}")),
    ];
    facts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
