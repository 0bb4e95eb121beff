//! What keys and data do to the state.

use std::sync::Arc;
use std::time::Duration;

use super::super::actions::{Action, Command};
use super::super::format::Units;
use super::super::glyphs::Glyphs;
use super::super::synthetic::{Cluster, Machine, Shape};
use super::super::theme::Theme;
use super::*;
use crate::monitor::model::view::Mark;
use test_case::test_case;

fn state(width: u16, height: u16) -> State {
    let theme = Theme::new(false, None);
    let mut state = State::new(theme, Glyphs::Unicode, Units::Bits, Duration::from_secs(1));
    state.update(Action::Resize(width, height));
    state.update(Action::View(Arc::new(Cluster::default().view(Shape::RoundRobin, 1))));
    state
}

fn press(state: &mut State, commands: &[Command]) {
    for &command in commands {
        state.update(Action::Command(command));
    }
}

fn type_text(state: &mut State, text: &str) {
    for c in text.chars() {
        state.update(Action::Type(c));
    }
}

fn selected(state: &State) -> RowKey {
    state.rows[state.selected()].key.clone()
}

#[test]
fn the_selection_stays_on_its_row_over_a_sort_and_new_data() {
    let mut state = state(120, 60);
    press(&mut state, &[Command::Down, Command::Down, Command::Down]);
    let key = selected(&state);
    assert!(matches!(key, RowKey::Nic(..)));
    for _ in 0..4 {
        press(&mut state, &[Command::Sort]);
        assert_eq!(selected(&state), key);
    }
    let mut view = Cluster::default().view(Shape::RoundRobin, 2);
    view.groups.reverse();
    state.update(Action::View(Arc::new(view)));
    assert_eq!(selected(&state), key);
}

#[test]
fn a_folded_nic_hands_the_selection_to_its_group_and_gets_it_back() {
    let mut state = state(120, 60);
    press(&mut state, &[Command::Down, Command::Down]);
    let key = selected(&state);
    press(&mut state, &[Command::Collapse]);
    assert!(matches!(selected(&state), RowKey::Group(_)));
    press(&mut state, &[Command::Collapse]);
    assert_eq!(selected(&state), key);
}

#[test]
fn a_group_that_is_alone_is_scrolled_and_not_folded() {
    let cluster = Cluster { nodes: 1, pes_per_node: 1, nics: 32, ..Cluster::default() };
    let mut state = state(40, 10);
    state.update(Action::View(Arc::new(cluster.view(Shape::PairSeq, 1))));
    assert_eq!((state.rows.len(), state.collapsed), (33, false));
    press(&mut state, &[Command::End]);
    assert!(matches!(selected(&state), RowKey::Nic(..)) && state.top() > 0);
    // By hand it folds all the same.
    press(&mut state, &[Command::Collapse]);
    assert_eq!(state.rows.len(), 1);
}

#[test]
fn the_selected_group_opens_where_not_all_fit() {
    let mut state = state(100, 30);
    assert!(state.collapsed);
    let open = |state: &State| {
        let nics = state.rows.iter().filter_map(|row| match &row.key {
            RowKey::Nic(group, _) => Some(group.clone()),
            _ => None,
        });
        nics.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(open(&state).into_iter().collect::<Vec<_>>(), ["job-1/0"]);
    press(&mut state, &[Command::Down; 5]);
    assert_eq!(selected(&state), RowKey::Group("job-1/1".to_owned()));
    assert_eq!(open(&state).into_iter().collect::<Vec<_>>(), ["job-1/1"]);
    press(&mut state, &[Command::Collapse]);
    assert_eq!(open(&state).len(), 8, "expanded");
    press(&mut state, &[Command::Collapse]);
    assert_eq!(open(&state).len(), 0, "collapsed");
}

#[test]
fn a_row_that_vanishes_leaves_the_selection_in_place() {
    let mut state = state(120, 60);
    press(&mut state, &[Command::End]);
    let mut view = Cluster::default().view(Shape::RoundRobin, 2);
    view.groups.truncate(1);
    state.update(Action::View(Arc::new(view)));
    assert!(state.selected() < state.rows.len());
    state.update(Action::View(Arc::new(View {
        groups: Vec::new(),
        ..Cluster::default().view(Shape::RoundRobin, 3)
    })));
    assert_eq!((state.rows.len(), state.selected()), (0, 0));
    press(&mut state, &[Command::Down, Command::Enter, Command::FoldOne, Command::PageUp]);
}

#[test]
fn a_selection_that_has_gone_goes_to_a_group_that_opens() {
    let mut state = state(80, 24);
    let mut view = Cluster::default().view(Shape::RoundRobin, 2);
    for group in &mut view.groups {
        group.key = format!("next-{}", group.key);
    }
    view.groups[0].marks = vec![Mark::Dead];
    state.update(Action::View(Arc::new(view.clone())));
    assert_eq!(selected(&state), RowKey::Group("next-job-1/1".to_owned()));
    assert!(
        state.rows.iter().any(|row| matches!(&row.key, RowKey::Nic(group, _) if group == "next-job-1/1"))
    );

    // Its neighbour takes its place when it alone has gone.
    press(&mut state, &[Command::End]);
    assert_eq!(selected(&state), RowKey::Group("next-job-1/7".to_owned()));
    view.groups.pop();
    state.update(Action::View(Arc::new(view)));
    assert_eq!(selected(&state), RowKey::Group("next-job-1/6".to_owned()));
}

#[test]
fn pause_freezes_the_screen_and_keeps_the_history() {
    let mut state = state(120, 60);
    press(&mut state, &[Command::Pause]);
    let cluster = Cluster::default();
    for tick in 2..12 {
        state.update(Action::View(Arc::new(cluster.view(Shape::PairSeq, tick))));
    }
    assert_eq!(state.shown.as_ref().unwrap().mono_ns, cluster.view(Shape::PairSeq, 1).mono_ns);
    assert_eq!(state.behind(), Some(Duration::from_secs(10)));
    let key = RowKey::Group(state.shown.as_ref().unwrap().groups[0].key.clone());
    assert_eq!(state.history.until(&key, u64::MAX, 100).0.len(), 11);
    press(&mut state, &[Command::Pause]);
    assert_eq!(state.shown.as_ref().unwrap().mono_ns, cluster.view(Shape::PairSeq, 11).mono_ns);
}

#[test_case(160, 60, false; "42 rows fit")]
#[test_case(80, 24, true; "42 rows do not fit")]
fn groups_collapse_by_themselves_when_they_do_not_fit(width: u16, height: u16, collapsed: bool) {
    assert_eq!(state(width, height).collapsed, collapsed);
}

#[test]
fn escape_closes_one_thing_at_a_time_and_never_quits() {
    let mut state = state(120, 60);
    press(&mut state, &[Command::Filter]);
    state.update(Action::Type('n'));
    press(&mut state, &[Command::Enter, Command::Help]);
    assert!(matches!(state.overlay, Some(Overlay::Help(_))));
    press(&mut state, &[Command::Escape]);
    assert_eq!((state.overlay.clone(), state.filter.as_str()), (None, "n"));
    press(&mut state, &[Command::Escape]);
    assert_eq!(state.filter, "");
    assert_eq!(state.update(Action::Command(Command::Escape)), Effect::None);
}

#[test]
fn the_interval_steps_on_a_ladder_and_comes_back() {
    let mut state = state(120, 60);
    assert_eq!(
        state.update(Action::Command(Command::Faster)),
        Effect::SetInterval(Duration::from_millis(500))
    );
    assert_eq!(state.update(Action::Command(Command::Slower)), Effect::SetInterval(Duration::from_secs(1)));
    for _ in 0..10 {
        press(&mut state, &[Command::Slower]);
    }
    assert_eq!(state.update(Action::Command(Command::Slower)), Effect::None);
}

#[test]
fn the_selected_row_is_always_on_the_screen() {
    let mut state = state(80, 16);
    press(&mut state, &[Command::Collapse]);
    for command in
        [Command::End, Command::PageUp, Command::Home, Command::PageDown, Command::Down, Command::Up]
    {
        press(&mut state, &[command]);
        let height = usize::from(state.plan.unwrap().list.height);
        assert!(state.top() <= state.selected() && state.selected() < state.top() + height, "{command:?}");
    }
}

#[test]
fn tabs_keep_their_selection_and_their_order() {
    let mut state = state(120, 40);
    let machine = Machine::p5(Duration::from_secs(1));
    state.update(Action::View(Arc::new(machine.view(20))));
    press(&mut state, &[Command::Tab3, Command::Down, Command::Down, Command::Sort]);
    let key = selected(&state);
    assert_eq!(state.sort(), Sort::Tx);
    press(&mut state, &[Command::NextTab]);
    assert_eq!((state.tab, state.sort()), (Tab::Events, Sort::NewestLast));
    press(&mut state, &[Command::PreviousTab]);
    assert_eq!((selected(&state), state.sort()), (key.clone(), Sort::Tx));
    // The process stays selected when others end before it.
    let mut view = machine.view(21);
    view.processes.as_mut().unwrap().processes.remove(0);
    state.update(Action::View(Arc::new(view)));
    assert_eq!(selected(&state), key);
}

#[test]
fn the_newest_event_is_followed_until_somebody_looks_elsewhere() {
    let mut state = state(120, 40);
    let machine = Machine::p5(Duration::from_secs(1));
    state.update(Action::View(Arc::new(machine.view(3))));
    assert_eq!(state.news().map(|(_, count)| count).sum::<usize>(), 2, "told in the tab bar");
    press(&mut state, &[Command::Tab4]);
    assert_eq!(state.news().map(|(_, count)| count).sum::<usize>(), 0);
    let last = |state: &State| state.selected() + 1 == state.rows.len();
    assert!(last(&state));
    state.update(Action::View(Arc::new(machine.view(8))));
    assert!(last(&state));
    press(&mut state, &[Command::Up]);
    let key = selected(&state);
    state.update(Action::View(Arc::new(machine.view(17))));
    assert_eq!(selected(&state), key);
    press(&mut state, &[Command::End]);
    assert!(last(&state));
}

#[test]
fn only_what_is_shown_is_needed() {
    let mut state = state(120, 40);
    let needs = |state: &mut State, commands: &[Command]| {
        press(state, commands);
        state.needs()
    };
    let none = Needs::default();
    assert_eq!(needs(&mut state, &[]), none);
    let nic = [Command::Down, Command::Down, Command::Enter];
    assert_eq!(needs(&mut state, &nic), Needs { all_counters: true, ..none });
    assert_eq!(needs(&mut state, &[Command::Escape, Command::Heat]), Needs { windows: true, ..none });
    assert_eq!(needs(&mut state, &[Command::Tab3]), Needs { processes: true, ..none });
    assert_eq!(needs(&mut state, &[Command::Tab5]), Needs { gpus: true, ..none });
    assert_eq!(needs(&mut state, &[Command::Tab4]), none);
    assert_eq!(needs(&mut state, &[Command::Tab2]), Needs { windows: true, ..none });
    state.columns.toggle(Column::Packets);
    assert_eq!(needs(&mut state, &[Command::Tab1, Command::Heat]), Needs { packets: true, ..none });
}

#[test]
fn averages_step_are_typed_and_change_the_rates() {
    let mut state = state(120, 40);
    let cluster = Cluster::default();
    for tick in 2..12 {
        let shape = if tick % 2 == 0 { Shape::Idle } else { Shape::PairSeq };
        state.update(Action::View(Arc::new(cluster.view(shape, tick))));
    }
    let rate = |state: &State| state.shown.as_ref().unwrap().groups[0].tx.bytes_per_s.unwrap() / 1e6;
    assert!((rate(&state) - 96.0).abs() < 2.0, "{}", rate(&state));
    press(&mut state, &[Command::Average, Command::Wider]);
    assert_eq!((state.window, state.averages), (Duration::from_secs(10), true));
    assert!((rate(&state) - 48.0).abs() < 2.0, "{}", rate(&state));
    press(&mut state, &[Command::Narrower, Command::AverageWindow]);
    type_text(&mut state, "nonsense");
    press(&mut state, &[Command::Enter]);
    assert!(state.prompt.is_some() && !state.makes_sense());
    press(&mut state, &[Command::Erase; 8]);
    type_text(&mut state, "2s");
    press(&mut state, &[Command::Enter]);
    assert_eq!((state.prompt.is_none(), state.window), (true, Duration::from_secs(2)));
    assert_eq!(state.filter, "");
}

#[test]
fn an_average_knows_over_how_much_it_is() {
    let mut state = state(120, 40);
    press(&mut state, &[Command::Average]);
    assert_eq!((state.window, state.averaged_over()), (Duration::from_secs(5), Some(Duration::ZERO)));
    let cluster = Cluster::default();
    (2..=4).for_each(|tick| {
        state.update(Action::View(Arc::new(cluster.view(Shape::PairSeq, tick))));
    });
    assert_eq!(state.averaged_over(), Some(Duration::from_secs(3)));
    assert!(crate::monitor::tui::screens::text(&state).contains("average of 5 s (3 s so far)"));
    (5..=9).for_each(|tick| {
        state.update(Action::View(Arc::new(cluster.view(Shape::PairSeq, tick))));
    });
    assert_eq!(state.averaged_over(), Some(state.window), "all of it is there");
    assert!(!crate::monitor::tui::screens::text(&state).contains("so far"));
}

#[test]
fn a_paused_moment_stays_however_long_one_looks() {
    let mut state = state(120, 40);
    press(&mut state, &[Command::Pause]);
    let then = state.shown.clone().unwrap();
    for tick in 2..2_500 {
        state.update(Action::View(Arc::new(
            Cluster { nodes: 1, ..Cluster::default() }.view(Shape::PairSeq, tick),
        )));
    }
    assert_eq!(state.shown.as_deref(), Some(&*then));
}

#[test]
fn the_way_down_an_overlay_ends_where_its_text_does() {
    let mut state = state(80, 24);
    press(&mut state, &[Command::Help, Command::End, Command::Down, Command::Down]);
    let Some(Overlay::Help(end)) = state.overlay else { panic!("no help") };
    press(&mut state, &[Command::Up]);
    assert_eq!(state.overlay, Some(Overlay::Help(end - 1)), "one press up is one line up");
    press(&mut state, &[Command::Columns, Command::End, Command::Pause]);
    assert!(state.columns.has(Column::Pci) && !state.paused);
}

/// A recording has no keys of its own: the commands of the one table steer it, unless they mean what is open.
#[test]
fn in_a_recording_commands_go_through_it() {
    let mut state = state(120, 40);
    state.update(Action::Replay(ReplayStatus {
        position: 3,
        length: 10,
        realtime_ns: 0,
        speed: 1.0,
        playing: true,
        error: None,
    }));
    let interval = state.interval;
    for (command, asked) in [
        (Command::Pause, ReplayCommand::Toggle),
        (Command::FoldOne, ReplayCommand::Step(-1)),
        (Command::UnfoldOne, ReplayCommand::Step(1)),
        (Command::StepBack, ReplayCommand::Seconds(-10)),
        (Command::MinuteForth, ReplayCommand::Seconds(60)),
        (Command::Home, ReplayCommand::Home),
        (Command::Faster, ReplayCommand::Faster),
    ] {
        assert_eq!(state.update(Action::Command(command)), Effect::Replay(asked));
    }
    assert!(!state.paused && state.interval == interval, "nothing of it is the live screen's");
    state.update(Action::Command(Command::Help));
    assert_eq!(state.update(Action::Command(Command::End)), Effect::None, "the end of the help");
    assert!(matches!(state.overlay, Some(Overlay::Help(at)) if at > 0));
    let columns = state.columns.names();
    press(&mut state, &[Command::Columns]);
    assert_eq!(state.update(Action::Command(Command::Pause)), Effect::None, "chooses a column");
    assert_ne!(state.columns.names(), columns);
}

#[test]
fn a_minute_back_and_forth() {
    let mut state = state(120, 40);
    for tick in 2..200 {
        state.update(Action::View(Arc::new(Cluster::default().view(Shape::PairSeq, tick))));
    }
    press(&mut state, &[Command::MinuteForth]);
    assert!(!state.paused, "there is nothing later than now");
    press(&mut state, &[Command::MinuteBack, Command::MinuteBack]);
    assert_eq!(state.behind(), Some(Duration::from_secs(120)));
    press(&mut state, &[Command::MinuteForth]);
    assert_eq!(state.behind(), Some(Duration::from_secs(60)));
    press(&mut state, &[Command::MinuteBack; 9]);
    assert_eq!(state.behind(), Some(Duration::from_secs(198)), "the first of all");
    press(&mut state, &[Command::MinuteForth; 9]);
    assert_eq!(state.behind(), Some(Duration::ZERO));
}
