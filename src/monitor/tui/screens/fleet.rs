//! Many nodes on one screen.

use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;
use test_case::test_case;

use super::super::actions::{Action, Command};
use super::super::format::Units;
use super::super::glyphs::Glyphs;
use super::super::rows::RowKey;
use super::super::state::State;
use super::super::synthetic::{Cluster, Shape};
use super::super::theme::Theme;
use super::{press, text, type_text};
use crate::monitor::counter::Health;
use crate::monitor::model::remote::{RemoteState, RemoteView};
use crate::monitor::model::view::{GroupKind, GroupView, View};

/// Eight nodes of two groups: one without balance, one with a link that is down, one that loses packets, one that is idle;
/// and three without numbers.
fn view(tick: u64) -> View {
    let cluster = Cluster { nodes: 1, pes_per_node: 2, nics: 8, ..Cluster::default() };
    let (even, odd, idle) = (
        cluster.view(Shape::PairSeq, tick),
        cluster.view(Shape::RoundRobin, tick),
        cluster.view(Shape::Idle, tick),
    );
    let mut groups: Vec<GroupView> = Vec::new();
    let mut fleet = Vec::new();
    for n in 1..=11_usize {
        let name = format!("gpu-{n:02}");
        let state = match n {
            4 => RemoteState::Lost,
            7 => RemoteState::Never,
            9 => RemoteState::Asked,
            _ => RemoteState::Live,
        };
        let begin = groups.len();
        if state == RemoteState::Live {
            let from = match n {
                3 => &odd,
                10 => &idle,
                _ => &even,
            };
            for (place, group) in from.groups.iter().enumerate() {
                let gpu = Some(format!("0000:{}3:00.0", place + 5));
                let mut group = GroupView {
                    key: format!("{name}|gpu:{place}"),
                    kind: GroupKind::Gpu,
                    node: name.clone(),
                    pe: None,
                    job: None,
                    pid: None,
                    gpu,
                    ..group.clone()
                };
                if n == 5 && place == 0 {
                    group.nics[3].state = Some("DOWN".to_owned());
                }
                if n == 6 && place == 1 {
                    group.nics[2].health[Health::Retransmits].per_s = Some(120.0);
                }
                groups.push(group);
            }
        }
        let reason = match n {
            4 => Some("connection refused"),
            7 => Some("no answer within 2s"),
            8 => Some("HTTP status 503"),
            _ => None,
        };
        let age = match state {
            RemoteState::Lost => Some(Duration::from_secs(95)),
            RemoteState::Live => Some(Duration::from_millis(80)),
            _ => None,
        };
        fleet.push(RemoteView {
            place: format!("http://{name}:9812/metrics"),
            name,
            state,
            reason: reason.map(str::to_owned),
            age,
            took: Some(Duration::from_millis(3)),
            counts: [tick + 1, u64::from(reason.is_some())],
            reads: tick + 1,
            groups: begin..groups.len(),
        });
    }
    View {
        host: "fleet".to_owned(),
        groups,
        fleet: Some(fleet.into()),
        processes: None,
        gpus: None,
        notices: Vec::new(),
        ..even
    }
}

fn open(width: u16, height: u16, glyphs: Glyphs) -> State {
    let mut state = State::new(Theme::new(false, None), glyphs, Units::Bits, Duration::from_secs(1));
    state.show_fleet();
    state.update(Action::Resize(width, height));
    for tick in 0..20 {
        state.update(Action::View(Arc::new(view(tick))));
    }
    state
}

#[test_case(200, 60)]
#[test_case(120, 40)]
#[test_case(80, 24)]
#[test_case(60, 20)]
#[test_case(40, 10)]
fn fleet_at(width: u16, height: u16) {
    assert_snapshot!(format!("fleet@{width}x{height}"), text(&open(width, height, Glyphs::Unicode)));
}

#[test]
fn fleet_in_ascii() {
    let screen = text(&open(80, 24, Glyphs::Ascii));
    assert!(screen.is_ascii(), "{screen}");
    assert_snapshot!("fleet_ascii@80x24", screen);
}

#[test]
fn a_node_and_a_group_in_detail() {
    let mut state = open(80, 24, Glyphs::Unicode);
    press(&mut state, &[Command::Enter]);
    assert_snapshot!("fleet_node@80x24", text(&state));
    press(&mut state, &[Command::Enter, Command::Down, Command::Down, Command::Down, Command::Enter]);
    assert_snapshot!("fleet_group@80x24", text(&state));
}

#[test]
fn the_cursor_stays_on_the_worst_until_somebody_goes_elsewhere() {
    let mut state = open(80, 24, Glyphs::Unicode);
    assert_eq!(state.rows[0].key, RowKey::Remote("gpu-04".to_owned()));
    let lost = |node: usize| {
        let mut view = view(20);
        let mut fleet = view.fleet.as_deref().unwrap_or_default().to_vec();
        fleet[node].state = RemoteState::Lost;
        fleet[node].groups = 0..0;
        view.fleet = Some(fleet.into());
        Action::View(Arc::new(view))
    };
    state.update(lost(0));
    assert_eq!((state.selected(), &state.rows[0].key), (0, &RowKey::Remote("gpu-01".to_owned())));
    press(&mut state, &[Command::Down]);
    let chosen = state.rows[1].key.clone();
    state.update(lost(1));
    assert_eq!(state.rows[state.selected()].key, chosen, "a row that was chosen stays chosen");
}

#[test]
fn filter_and_order() {
    let mut state = open(80, 24, Glyphs::Unicode);
    let rows = |state: &State| state.rows.len();
    assert_eq!(rows(&state), 8 * 2 + 3);
    for (filter, count) in
        [("gpu-03", 2), ("refused", 1), ("loses", 1), ("link down", 1), ("nic5", 16), ("zzz", 0)]
    {
        press(&mut state, &[Command::Escape, Command::Filter]);
        type_text(&mut state, filter);
        press(&mut state, &[Command::Enter]);
        assert_eq!(rows(&state), count, "{filter}: {}", text(&state));
    }
    press(&mut state, &[Command::Escape, Command::Sort]);
    assert_eq!(state.rows[0].key, RowKey::Group("gpu-01|gpu:0".to_owned()), "natural");
    press(&mut state, &[Command::Sort]);
    assert!(
        matches!(state.rows.last().map(|row| &row.key), Some(RowKey::Remote(_))),
        "who has no rate is last"
    );
}

#[test]
fn what_other_nodes_do_not_tell_has_no_tab() {
    let mut state = open(80, 24, Glyphs::Unicode);
    press(&mut state, &[Command::Tab3]);
    assert!(text(&state).contains("not told by other nodes"));
    press(&mut state, &[Command::NextTab, Command::NextTab, Command::NextTab, Command::NextTab]);
    assert!(text(&state).contains("what"), "{}", text(&state));
    let mut own = State::new(Theme::new(false, None), Glyphs::Unicode, Units::Bits, Duration::from_secs(1));
    own.update(Action::Resize(80, 24));
    press(&mut own, &[Command::Tab0]);
    assert!(text(&own).contains("only `railtop top --remote`"));
}
