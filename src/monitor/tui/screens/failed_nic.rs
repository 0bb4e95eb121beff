//! A NIC that its PE does without, in the list and in its details.

use std::sync::Arc;

use insta::assert_snapshot;

use super::super::actions::{Action, Command};
use super::super::glyphs::Glyphs;
use super::super::panes;
use super::super::state::State;
use super::super::synthetic::{Cluster, Shape};
use super::super::theme::Theme;
use super::{press, state, styled, text};
use crate::balance::DEFAULT_MAX_OVER_MEAN;
use crate::counters::{FieldKind, NicCounts};
use crate::monitor::counter::{Desc, Kind};
use crate::monitor::model::group;
use crate::monitor::model::view::{CounterView, Mark, View};

/// The fields that a page has for failures, as a source describes them.
fn counters(counts: &NicCounts) -> Vec<CounterView> {
    let fields = NicCounts::FIELDS.iter().zip(counts.to_array()).filter(|(field, _)| field.since_minor > 0);
    let counter = |(field, value): (&crate::counters::Field, u64)| CounterView {
        desc: Arc::new(Desc {
            kind: if field.kind == FieldKind::Counter { Kind::Monotonic64 } else { Kind::Gauge },
            help: field.help.into(),
            ..Desc::unknown(field.name)
        }),
        value,
        per_s: (field.kind == FieldKind::Counter).then_some(0.0),
        saturated: false,
    };
    fields.map(counter).collect()
}

/// Two PEs: nic2 of the first is down, nic1 of the second has been.
fn view(cluster: &Cluster) -> View {
    let mut view = cluster.view(Shape::PairSeq, 9);
    for (group, pe) in view.groups.iter_mut().zip(0..) {
        for (nic, index) in group.nics.iter_mut().zip(0..) {
            let mut counts = NicCounts { resent_ops: 12, resent_bytes: 3 << 20, ..NicCounts::default() };
            if (pe, index) == (0, 2) {
                counts = NicCounts { down: 1, failures: 1, fences: 1, ..NicCounts::default() };
                nic.marks = vec![Mark::Down];
                for flow in [&mut nic.tx, &mut nic.rx] {
                    (flow.bytes_per_s, flow.ops_per_s) = (Some(0.0), Some(0.0));
                }
                nic.kernel = None;
            } else if (pe, index) == (1, 1) {
                counts = NicCounts { failures: 3, fences: 3, ..NicCounts::default() };
            }
            nic.counters.extend(counters(&counts));
        }
        group.tx = group::flow(&group.nics, DEFAULT_MAX_OVER_MEAN, |nic| nic.tx);
        group.rx = group::flow(&group.nics, DEFAULT_MAX_OVER_MEAN, |nic| nic.rx);
    }
    view
}

fn shown(width: u16, height: u16, glyphs: Glyphs) -> State {
    let cluster = Cluster { nodes: 1, pes_per_node: 2, ..Cluster::default() };
    let mut state = state(width, height, glyphs, &cluster, &[]);
    state.update(Action::View(Arc::new(view(&cluster))));
    state
}

#[test]
fn a_nic_that_is_down_is_marked_on_its_row_and_its_group() {
    for (width, height) in [(120, 16), (80, 16), (60, 16)] {
        let screen = text(&shown(width, height, Glyphs::Unicode));
        assert!(screen.contains("✗ NIC down"), "{screen}");
        assert_eq!(screen.contains(" 1 down"), width > 60, "{screen}");
        assert_snapshot!(format!("failed_nic@{width}x{height}"), screen);
    }
}

#[test]
fn a_group_that_is_folded_shows_that_one_of_its_nics_is_down() {
    let mut state = shown(100, 12, Glyphs::Unicode);
    press(&mut state, &[Command::Collapse, Command::Collapse]);
    let screen = text(&state);
    assert!(!screen.contains("NIC down") && screen.contains("1 down"), "{screen}");
    assert_snapshot!("failed_nic_folded@100x12", screen);
}

#[test]
fn without_colour_and_in_ascii_the_words_stay() {
    let screen = text(&shown(80, 16, Glyphs::Ascii));
    assert!(screen.is_ascii() && screen.contains("NIC down"), "{screen}");
    assert_snapshot!("failed_nic_ascii@80x16", screen);
}

#[test]
fn in_colour_it_is_as_loud_as_a_dead_pe() {
    let mut state = shown(80, 12, Glyphs::Unicode);
    state.theme = Theme::new(true, None);
    let screen = styled(&panes::screen(&state));
    let row = screen.lines().find(|line| line.contains("NIC down")).unwrap();
    let style = row.split("NIC down").next().unwrap().rsplit('[').next().unwrap();
    assert!(style.contains("Red"), "{style}: {row}");
    assert_snapshot!("failed_nic_colour@80x12", screen);
}

#[test]
fn the_details_say_how_often_it_failed_and_have_every_field_with_its_help() {
    let mut state = shown(120, 36, Glyphs::Unicode);
    press(&mut state, &[Command::Down, Command::Down, Command::Down, Command::Enter]);
    assert_snapshot!("failed_nic_detail@120x36", text(&state));
    let mut helps = String::new();
    for _ in 0..20 {
        press(&mut state, &[Command::Down]);
        helps += &text(&state);
    }
    for field in NicCounts::FIELDS.iter().filter(|field| field.since_minor > 0) {
        let start: String = field.help.chars().take(40).collect();
        assert!(helps.contains(&format!("{}: {start}", field.name)), "{}", field.name);
    }
}
