//! Nonsense through the model: no panic, bounded, and what begins ends before it begins again.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::journal::KEPT;
use super::{Device, World, page};
use crate::monitor::model::view::{Event, EventKind};
use crate::monitor::sample::{DeviceChange, PageState};

/// Whether an event begins or ends something of its subject, and what.
fn edge(event: &Event) -> Option<(&'static str, bool)> {
    Some(match event.kind {
        EventKind::LossBegins => ("loss", true),
        EventKind::LossEnds => ("loss", false),
        EventKind::ImbalanceBegins if event.text.contains("sent") => ("tx", true),
        EventKind::ImbalanceEnds if event.text.contains("sent") => ("tx", false),
        EventKind::ImbalanceBegins => ("rx", true),
        EventKind::ImbalanceEnds => ("rx", false),
        EventKind::Silent => ("silent", true),
        EventKind::Answers => ("silent", false),
        EventKind::LinkDown => ("link", true),
        EventKind::LinkUp => ("link", false),
        EventKind::Gone => ("gone", true),
        EventKind::Back => ("gone", false),
        _ => return None,
    })
}

#[derive(Debug, Clone)]
enum Chaos {
    Bytes(usize, u64),
    Drops(usize, u64),
    State(usize, &'static str),
    Fail(usize, Option<&'static str>),
    Stuck(usize, u64),
    Swap(usize),
    Change(DeviceChange),
    Page(Option<PageState>, u64),
    Wait(u64),
}

fn chaos() -> impl Strategy<Value = Chaos> {
    let device = 0..4_usize;
    let name = || prop_oneof![Just("mlx5_0"), Just("mlx5_1"), Just("x\u{1b}[2J")].prop_map(str::to_owned);
    let state = prop_oneof![
        Just(PageState::Alive),
        Just(PageState::Dead),
        Just(PageState::Stalled),
        Just(PageState::Closed)
    ];
    prop_oneof![
        4 => (device.clone(), prop_oneof![Just(0), Just(u64::MAX), 0..1_u64 << 40]).prop_map(|(d, b)| Chaos::Bytes(d, b)),
        2 => (device.clone(), prop_oneof![Just(u64::MAX), 0..1000_u64]).prop_map(|(d, b)| Chaos::Drops(d, b)),
        1 => (device.clone(), prop_oneof![Just("ACTIVE"), Just("DOWN"), Just("")]).prop_map(|(d, s)| Chaos::State(d, s)),
        1 => (device.clone(), prop_oneof![Just(None), Just(Some("EIO"))]).prop_map(|(d, f)| Chaos::Fail(d, f)),
        1 => (device.clone(), prop_oneof![Just(0), Just(255_u64), Just(256)]).prop_map(|(d, b)| Chaos::Stuck(d, b)),
        1 => device.prop_map(Chaos::Swap),
        1 => name().prop_map(|n| Chaos::Change(DeviceChange::Removed(n))),
        1 => name().prop_map(|n| Chaos::Change(DeviceChange::Added(n))),
        1 => (name(), name()).prop_map(|(from, to)| Chaos::Change(DeviceChange::Renamed { from, to })),
        1 => (prop::option::of(state), 0..2_u64).prop_map(|(s, n)| Chaos::Page(s, n)),
        2 => (0..20_u64).prop_map(Chaos::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the sources say: no panic, a bounded list, and what begins ends before it begins again.
    #[test]
    fn begin_and_end_alternate_whatever_comes(steps in prop::collection::vec(chaos(), 1..120)) {
        let mut world = World::new(4);
        let mut away: HashMap<usize, Device> = HashMap::new();
        let mut all = Vec::new();
        for step in steps {
            let at = |world: &World, d: usize| world.devices.len().checked_sub(1).map(|last| d.min(last));
            match step {
                Chaos::Bytes(d, b) => if let Some(d) = at(&world, d) { world.devices[d].bytes = b },
                Chaos::Drops(d, b) => if let Some(d) = at(&world, d) { world.devices[d].drops = world.devices[d].drops.wrapping_add(b) },
                Chaos::State(d, s) => if let Some(d) = at(&world, d) { world.devices[d].state = s },
                Chaos::Fail(d, f) => if let Some(d) = at(&world, d) { world.devices[d].fails = f },
                Chaos::Stuck(d, b) => if let Some(d) = at(&world, d) { world.devices[d].stuck = b },
                Chaos::Swap(d) => match away.remove(&d) {
                    Some(device) => world.devices.push(device),
                    None => if let Some(i) = at(&world, d) { away.insert(d, world.devices.remove(i)); },
                },
                Chaos::Change(change) => world.changes.push(change),
                Chaos::Page(state, run) => world.pages = state.map(|s| page(s, run)).into_iter().collect(),
                Chaos::Wait(ticks) => world.tick += ticks,
            }
            all.extend(world.tick());
        }
        prop_assert!(all.len() < KEPT);
        let mut state: HashMap<(String, &str), bool> = HashMap::new();
        for event in &all {
            prop_assert!(event.text.ends_with('.'), "a sentence: {}", event.text);
            if let Some((from, _)) = event.text.split_once(" is called ") {
                // What a device was under its old name, it still is; who had the new one before is forgotten.
                state.retain(|(name, _), _| *name != event.subject);
                let moved: Vec<_> = state.keys().filter(|(name, _)| name == from).cloned().collect();
                for key in moved {
                    let began = state.remove(&key).unwrap();
                    state.insert((event.subject.clone(), key.1), began);
                }
            }
            if let Some((what, begins)) = edge(event) {
                let before = state.insert((event.subject.clone(), what), begins);
                prop_assert!(before != Some(begins), "{} {what} twice: {all:#?}", event.subject);
            }
        }
    }
}
