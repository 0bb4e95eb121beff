//! Whole ticks through the model, for each kind of event.

mod chaos;
mod nics;

use std::sync::Arc;
use std::time::Duration;

use test_case::test_case;

use crate::monitor::counter::{Class, Desc, Health, Kind, Unit};
use crate::monitor::model::Model;
use crate::monitor::model::view::{Event, EventKind, Severity, SourceKind};
use crate::monitor::sample::{
    DeviceChange, PageSample, PageState, PortFacts, PortSample, RawCounter, Reading, Sample, Traffic, made,
};

const S: u64 = 1_000_000_000;
const SECOND: Duration = Duration::from_secs(1);

/// A device with all that can happen to it.
#[derive(Debug, Clone)]
struct Device {
    name: String,
    state: &'static str,
    phys: &'static str,
    bytes: u64,
    drops: u64,
    stuck: u64,
    pci: String,
    fails: Option<&'static str>,
}

/// A model with a clock and devices to turn.
struct World {
    model: Model,
    tick: u64,
    devices: Vec<Device>,
    pages: Vec<PageSample>,
    changes: Vec<DeviceChange>,
}

impl World {
    fn new(devices: usize) -> Self {
        let device = |i| Device {
            name: format!("mlx5_{i}"),
            state: "ACTIVE",
            phys: "LinkUp",
            bytes: 0,
            drops: 0,
            stuck: 0,
            pci: format!("0000:{i:02x}:00.0"),
            fails: None,
        };
        Self {
            model: Model::new("host".to_owned()),
            tick: 0,
            devices: (0..devices).map(device).collect(),
            pages: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// One tick, one second after the last; returns what it told.
    fn tick(&mut self) -> Vec<Event> {
        self.tick += 1;
        let mono_ns = self.tick * S;
        let sample = Sample {
            realtime_ns: i128::from(mono_ns) + 1_000 * i128::from(S),
            mono_ns,
            ports: self.devices.iter().map(|d| d.sample(mono_ns)).collect(),
            pages: self.pages.clone(),
            changes: std::mem::take(&mut self.changes),
            ..Sample::default()
        };
        let events = self.model.update(&sample, SECOND).view.events;
        events.iter().filter(|e| e.mono_ns == mono_ns).cloned().collect()
    }

    /// So many ticks, before each of which something is done.
    fn ticks(&mut self, count: usize, mut turn: impl FnMut(&mut Self)) -> Vec<Event> {
        let mut all = Vec::new();
        for _ in 0..count {
            turn(self);
            all.extend(self.tick());
        }
        all
    }
}

impl Device {
    fn sample(&self, mono_ns: u64) -> PortSample {
        let counter = |name: &'static str, kind, class, feeds, value| RawCounter {
            desc: Arc::new(Desc {
                name: name.into(),
                kind,
                class,
                unit: Unit::Count,
                feeds,
                help: "".into(),
            }),
            value,
        };
        let reading = Reading {
            mono_ns,
            traffic: Traffic { tx_bytes: Some(self.bytes), rx_bytes: Some(self.bytes), ..Traffic::default() },
            counters: vec![
                counter("rx_drops", Kind::Monotonic64, Class::Loss, Some(Health::Drops), self.drops),
                counter("link_downed", Kind::Saturating(8), Class::Error, None, self.stuck),
            ],
            ..Reading::default()
        };
        PortSample {
            facts: Arc::new(PortFacts {
                device: self.name.clone(),
                port: 1,
                driver: Some("mlx5_core".to_owned()),
                pci: Some(self.pci.clone()),
                state: Some(self.state.to_owned()),
                phys_state: Some(self.phys.to_owned()),
                ..PortFacts::default()
            }),
            source: SourceKind::Sysfs,
            reading: self.fails.map_or(Ok(reading), |why| Err(why.to_owned())),
        }
    }
}

fn page(state: PageState, started: u64) -> PageSample {
    let reading = Reading {
        incarnation: started,
        traffic: Traffic { tx_bytes: Some(1 << 20), rx_bytes: Some(0), ..Traffic::default() },
        ..Reading::default()
    };
    made::page(state, vec![made::nic(0, reading)])
}

/// Kinds and subjects.
fn told(events: &[Event]) -> Vec<(EventKind, &str)> {
    events.iter().map(|e| (e.kind, e.subject.as_str())).collect()
}

#[test]
fn what_is_there_at_the_start_is_no_event() {
    let mut world = World::new(3);
    world.devices[1].state = "DOWN";
    world.pages = vec![page(PageState::Dead, 1)];
    assert_eq!(world.ticks(20, |_| {}), []);
}

#[test]
fn a_link_that_goes_down_and_comes_up_is_told_once_each() {
    let mut world = World::new(2);
    world.ticks(3, |_| {});
    (world.devices[1].state, world.devices[1].phys) = ("DOWN", "Polling");
    let events = world.ticks(4, |_| {});
    assert_eq!(told(&events), [(EventKind::LinkDown, "mlx5_1")]);
    assert_eq!(
        events[0].text,
        "The port of mlx5_1 went from ACTIVE to DOWN (physical state Polling, before LinkUp) after 3.0 s; it moves \
         nothing until it is ACTIVE again."
    );
    assert_eq!(
        (events[0].severity, events[0].mono_ns, events[0].realtime_ns),
        (Severity::Bad, 4 * S, 1004 * i128::from(S))
    );
    world.devices[1].state = "INIT";
    assert_eq!(world.ticks(2, |_| {}), [], "on the way up");
    (world.devices[1].state, world.devices[1].phys) = ("ACTIVE", "LinkUp");
    let events = world.ticks(3, |_| {});
    assert_eq!(told(&events), [(EventKind::LinkUp, "mlx5_1")]);
    assert!(events[0].text.contains("ACTIVE after 6.0 s"), "{}", events[0].text);
}

#[test]
fn a_reset_says_from_what_to_what() {
    let mut world = World::new(1);
    world.ticks(3, |w| w.devices[0].bytes += 5_000_000);
    world.devices[0].bytes = 1000;
    let events = world.ticks(3, |_| {});
    assert_eq!(told(&events), [(EventKind::Reset, "mlx5_0")]);
    assert!(events[0].text.contains("sent bytes fell from"), "{}", events[0].text);
}

#[test]
fn devices_go_and_come() {
    let mut world = World::new(2);
    world.ticks(2, |_| {});
    let away = world.devices.pop().unwrap();
    let events = world.ticks(40, |_| {});
    assert_eq!(told(&events), [(EventKind::Gone, "mlx5_1")]);
    world.devices.push(away.clone());
    let events = world.ticks(3, |_| {});
    assert_eq!(told(&events), [(EventKind::Back, "mlx5_1")]);
    assert!(events[0].text.contains("back after 40 s"), "{}", events[0].text);
    world.devices.push(Device { name: "mlx5_7".to_owned(), pci: "0000:77:00.0".to_owned(), ..away });
    let events = world.ticks(3, |_| {});
    assert_eq!(told(&events), [(EventKind::Added, "mlx5_7")]);
}

#[test]
fn a_device_that_bounces_between_two_ticks_is_told_by_the_kernel_alone() {
    let mut world = World::new(1);
    world.ticks(2, |_| {});
    let name = || "mlx5_0".to_owned();
    world.changes = vec![DeviceChange::Removed(name()), DeviceChange::Added(name())];
    assert_eq!(told(&world.tick()), [(EventKind::Gone, "mlx5_0"), (EventKind::Back, "mlx5_0")]);
    assert_eq!(world.tick(), []);
}

/// In which tick the list shows the new name, and in which the kernel says it; `None` = never.
#[test_case(0, Some(0); "both at once")]
#[test_case(0, None; "only the list shows it")]
#[test_case(0, Some(1); "the list is first")]
#[test_case(2, Some(0); "the kernel is first")]
fn another_name_is_one_event_whoever_says_it_first(list: usize, kernel: Option<usize>) {
    let mut world = World::new(2);
    world.ticks(2, |w| w.devices[0].drops += 500);
    world.devices[0].stuck = 255;
    world.ticks(1, |_| {});
    let mut events = Vec::new();
    for tick in 0..5 {
        if tick == list {
            world.devices[0].name = "rocep1s0".to_owned();
        }
        if Some(tick) == kernel {
            let (from, to) = ("mlx5_0".to_owned(), "rocep1s0".to_owned());
            world.changes.push(DeviceChange::Renamed { from, to });
        }
        events.extend(world.tick());
    }
    assert_eq!(told(&events), [(EventKind::Renamed, "rocep1s0")], "and its full counter is not told again");
    assert_eq!(events[0].text, "mlx5_0 is called rocep1s0 now.");
}

#[test]
fn silence_is_told_after_a_while_with_its_reason() {
    let mut world = World::new(2);
    world.ticks(2, |_| {});
    world.devices[1].fails = Some("has not answered for 1.0 s");
    assert_eq!(world.ticks(2, |_| {}), [], "a late answer is nothing to tell");
    let events = world.ticks(5, |_| {});
    assert_eq!(told(&events), [(EventKind::Silent, "mlx5_1")]);
    assert!(events[0].text.ends_with("for 2.0 s: has not answered for 1.0 s."), "{}", events[0].text);
    world.devices[1].fails = None;
    let events = world.ticks(5, |_| {});
    assert_eq!(told(&events), [(EventKind::Answers, "mlx5_1")]);
    assert!(events[0].text.contains("no numbers for 7.0 s"), "{}", events[0].text);
}

#[test]
fn loss_begins_when_it_lasts_and_ends_when_it_is_quiet() {
    let mut world = World::new(2);
    world.ticks(2, |_| {});
    assert_eq!(world.ticks(3, |w| w.devices[0].drops += 2), [], "not yet");
    let events = world.ticks(10, |w| w.devices[0].drops += 2);
    assert_eq!(told(&events), [(EventKind::LossBegins, "mlx5_0")]);
    assert_eq!(events[0].text, "mlx5_0 loses: 2.0/s drops for 3.0 s now.");
    assert_eq!(world.ticks(9, |_| {}), [], "it may go on");
    let events = world.ticks(10, |_| {});
    assert_eq!(told(&events), [(EventKind::LossEnds, "mlx5_0")]);
    assert_eq!(events[0].text, "mlx5_0 has lost nothing for 10 s; before it did for 13 s: 26 drops.");
}

#[test]
fn a_burst_is_told_at_once_and_single_drops_are_not() {
    let mut world = World::new(1);
    let single = world.ticks(100, |w| w.devices[0].drops += u64::from(w.tick % 3 == 0));
    assert_eq!(single, []);
    world.devices[0].drops += 5000;
    let events = world.ticks(1, |_| {});
    assert_eq!(told(&events), [(EventKind::LossBegins, "mlx5_0")]);
    assert!(events[0].text.starts_with("mlx5_0 loses: 5000/s drops"), "{}", events[0].text);
}

#[test]
fn loss_of_a_device_that_goes_ends() {
    let mut world = World::new(1);
    world.ticks(6, |w| w.devices[0].drops += 5000);
    world.devices.clear();
    let events = world.ticks(30, |_| {});
    assert_eq!(told(&events), [(EventKind::Gone, "mlx5_0"), (EventKind::LossEnds, "mlx5_0")]);
}

#[test]
fn a_full_counter_is_told_once_and_again_after_it_was_cleared() {
    let mut world = World::new(1);
    world.devices[0].stuck = 200;
    world.ticks(2, |_| {});
    world.devices[0].stuck = 255;
    let events = world.ticks(5, |_| {});
    assert_eq!(told(&events), [(EventKind::Saturated, "mlx5_0")]);
    assert!(events[0].text.starts_with("link_downed (255) of mlx5_0 stands at its maximum"));
    world.devices[0].stuck = 0;
    assert_eq!(world.ticks(2, |_| {}), []);
    world.devices[0].stuck = 255;
    assert_eq!(told(&world.ticks(2, |_| {})), [(EventKind::Saturated, "mlx5_0")]);
}

#[test]
fn a_counter_that_was_full_when_it_was_first_read_is_no_event() {
    let mut world = World::new(1);
    world.devices[0].stuck = 255;
    // As when a pane that shows every counter is opened: not even then.
    assert_eq!(world.ticks(3, |_| {}), []);
    world.devices[0].stuck = 3;
    world.ticks(1, |_| {});
    world.devices[0].stuck = 255;
    assert_eq!(told(&world.ticks(2, |_| {})), [(EventKind::Saturated, "mlx5_0")]);
}

#[test]
fn a_device_whose_new_name_only_the_list_shows_keeps_its_row() {
    let mut world = World::new(2);
    world.ticks(3, |w| w.devices[0].bytes += 1_000);
    world.devices[0].name = "rocep1s0".to_owned();
    world.devices[0].bytes += 5_000;
    world.tick += 1;
    let mono_ns = world.tick * S;
    let ports = world.devices.iter().map(|d| d.sample(mono_ns)).collect();
    let sample = Sample { mono_ns, ports, ..Sample::default() };
    let view = world.model.update(&sample, SECOND).view;
    let rows: Vec<_> = view.groups.iter().flat_map(|g| &g.nics).collect();
    let shown: Vec<_> = rows.iter().map(|r| (r.device.as_str(), r.key.as_str(), r.tx.bytes_per_s)).collect();
    assert_eq!(shown, [("mlx5_1", "mlx5_1/1", Some(0.0)), ("rocep1s0", "mlx5_0/1", Some(5_000.0))]);
}

/// Four devices, of which the first carries `first` MB/s and the others `others` MB/s.
fn carry(world: &mut World, first: u64, others: u64) {
    for (i, device) in world.devices.iter_mut().enumerate() {
        device.bytes += 1_000_000 * if i == 0 { first } else { others };
    }
}

#[test]
fn imbalance_begins_and_ends_per_direction() {
    let mut world = World::new(4);
    world.ticks(10, |w| carry(w, 100, 100));
    assert_eq!(world.ticks(5, |w| carry(w, 300, 100)), [], "not yet");
    let events = world.ticks(10, |w| carry(w, 300, 100));
    assert_eq!(told(&events), [(EventKind::ImbalanceBegins, "host"), (EventKind::ImbalanceBegins, "host")]);
    assert!(
        events[0].text.starts_with(
            "The 4 NICs of host have not shared what it sent for 5.0 s: max/mean 2.00 (limit 1.25), 4 of them active"
        ),
        "{}",
        events[0].text
    );
    assert!(events[0].text.contains("busiest is mlx5_0"), "{}", events[0].text);
    assert!(events[1].text.contains("received"));
    // Within the limit, but not clearly: nothing ends.
    assert_eq!(world.ticks(20, |w| carry(w, 132, 100)), []);
    let events = world.ticks(10, |w| carry(w, 100, 100));
    assert_eq!(told(&events), [(EventKind::ImbalanceEnds, "host"), (EventKind::ImbalanceEnds, "host")]);
    assert!(events[0].text.contains("sent for 35 s; max/mean 1.00"), "{}", events[0].text);
}

#[test]
fn a_flapping_group_and_chatter_are_not_told() {
    let mut world = World::new(4);
    let flapping = world.ticks(300, |w| {
        let first = if w.tick.is_multiple_of(3) { 100 } else { 400 };
        carry(w, first, 100);
    });
    assert_eq!(flapping, []);
    let chatter = world.ticks(30, |w| w.devices[0].bytes += 1000);
    assert_eq!(chatter, []);
}

#[test]
fn the_slow_nic_is_named() {
    let mut world = World::new(4);
    let events = world.ticks(8, |w| carry(w, 10, 90));
    assert!(events[0].text.contains("; mlx5_0 is slow with"), "{}", events[0].text);
}

#[test]
fn a_pe_that_dies_is_told_once_and_one_that_closes_is_not() {
    let mut world = World::new(0);
    world.pages = vec![page(PageState::Alive, 1)];
    world.ticks(2, |_| {});
    world.pages = vec![page(PageState::Stalled, 1)];
    assert_eq!(world.ticks(2, |_| {}), []);
    world.pages = vec![page(PageState::Dead, 1)];
    let events = world.ticks(5, |_| {});
    assert_eq!(told(&events), [(EventKind::PeDied, "node0 PE 3")]);
    assert!(events[0].text.contains("pid 42, bench put) ended without closing"), "{}", events[0].text);
    world.pages = vec![page(PageState::Alive, 2)];
    world.tick();
    world.pages = vec![page(PageState::Closed, 2)];
    world.tick();
    world.pages.clear();
    assert_eq!(world.ticks(3, |_| {}), []);
}

#[test]
fn a_quiet_tick_shares_the_list_of_the_one_before() {
    let mut world = World::new(1);
    world.ticks(2, |_| {});
    world.devices[0].state = "DOWN";
    let events = |world: &mut World| {
        world.tick += 1;
        let mono_ns = world.tick * S;
        let ports = world.devices.iter().map(|d| d.sample(mono_ns)).collect();
        world.model.update(&Sample { mono_ns, ports, ..Sample::default() }, SECOND).view.events
    };
    let first = events(&mut world);
    assert_eq!(first.len(), 1);
    assert!(Arc::ptr_eq(&first, &events(&mut world)));
}
