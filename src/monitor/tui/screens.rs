//! Snapshots of whole screens, at the sizes people have.

mod economy;
mod failed_nic;
mod fleet;
mod looks;
mod memory;
mod tabs;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;
use ratatui::buffer::Buffer;
use test_case::test_case;

use super::actions::{Action, Command};
use super::format::Units;
use super::glyphs::Glyphs;
use super::panes;
use super::rows::RowKey;
use super::state::State;
use super::synthetic::{Cluster, Machine, Shape};
use super::theme::Theme;
use crate::monitor::model::view::{GroupKind, Mark, View};

/// A screen without colours after `ticks` ticks of each shape.
fn state(width: u16, height: u16, glyphs: Glyphs, cluster: &Cluster, shapes: &[Shape]) -> State {
    let mut state = State::new(Theme::new(false, None), glyphs, Units::Bits, Duration::from_secs(1));
    state.update(Action::Resize(width, height));
    let mut tick = 0;
    for &shape in shapes {
        for _ in 0..10 {
            state.update(Action::View(Arc::new(cluster.view(shape, tick))));
            tick += 1;
        }
        state.update(Action::Caption(shape.caption().to_owned()));
    }
    state
}

fn story(width: u16, height: u16) -> State {
    let shapes = [Shape::Single, Shape::PairSeq, Shape::RoundRobin];
    state(width, height, Glyphs::Unicode, &Cluster::default(), &shapes)
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

/// The characters, without the blanks at the ends of lines.
pub(super) fn text(state: &State) -> String {
    let buffer = panes::screen(state);
    let width = usize::from(buffer.area.width.max(1));
    let lines = buffer.content.chunks(width);
    lines
        .map(|line| {
            line.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned() + "\n"
        })
        .collect()
}

/// Characters and styles: a run of cells that look alike is one `[style]text`.
fn styled(buffer: &Buffer) -> String {
    let mut dump = String::new();
    for line in buffer.content.chunks(usize::from(buffer.area.width)) {
        let mut last = None;
        for cell in line {
            let style = (cell.fg, cell.modifier);
            if last.replace(style) != Some(style) {
                let _ = write!(dump, "[{:?} {:?}]", cell.fg, cell.modifier);
            }
            dump.push_str(cell.symbol());
        }
        dump.push('\n');
    }
    dump
}

#[test_case(160, 60)]
#[test_case(160, 48)]
#[test_case(120, 40)]
#[test_case(100, 30)]
#[test_case(80, 24)]
#[test_case(60, 20)]
#[test_case(40, 10)]
#[test_case(20, 5)]
fn story_at(width: u16, height: u16) {
    assert_snapshot!(format!("story@{width}x{height}"), text(&story(width, height)));
}

#[test]
fn skewed_in_mono_and_idle_beside_it() {
    let cluster = Cluster { nodes: 2, pes_per_node: 1, ..Cluster::default() };
    let mut view = cluster.view(Shape::Skewed, 3);
    view.groups[1] = cluster.view(Shape::Idle, 3).groups[1].clone();
    let mut state = state(80, 24, Glyphs::Unicode, &cluster, &[]);
    state.update(Action::View(Arc::new(view)));
    assert_snapshot!("skewed@80x24", text(&state));
}

#[test]
fn story_in_ascii() {
    let shapes = [Shape::Single, Shape::PairSeq, Shape::RoundRobin];
    let screen = text(&state(80, 24, Glyphs::Ascii, &Cluster::default(), &shapes));
    assert!(screen.is_ascii());
    assert_snapshot!("story_ascii@80x24", screen);
}

#[test]
fn story_in_colour() {
    let mut state = story(80, 16);
    state.theme = Theme::new(true, None);
    assert_snapshot!("story_colour@80x16", styled(&panes::screen(&state)));
    state.theme = Theme::new(true, Some(std::ffi::OsStr::new("1")));
    assert!(!styled(&panes::screen(&state)).contains("Red"), "NO_COLOR");
}

#[test]
fn troubles_are_said_in_words() {
    let cluster = Cluster { nodes: 1, troubles: true, ..Cluster::default() };
    let mut state = state(120, 36, Glyphs::Unicode, &cluster, &[Shape::RoundRobin]);
    press(&mut state, &[Command::Collapse, Command::Collapse]);
    assert_snapshot!("troubles@120x36", text(&state));
    press(&mut state, &[Command::Notices]);
    assert_snapshot!("notices@120x36", text(&state));
    press(&mut state, &[Command::Notices, Command::Down, Command::Down, Command::Enter]);
    assert_snapshot!("detail_stale_nic@120x36", text(&state));
}

#[test]
fn details_and_help() {
    let mut state = story(80, 24);
    press(&mut state, &[Command::Down, Command::Enter]);
    assert_snapshot!("detail_nic@80x24", text(&state));
    press(&mut state, &[Command::Enter, Command::Up, Command::Enter]);
    assert_snapshot!("detail_group@80x24", text(&state));
    press(&mut state, &[Command::Help]);
    assert_snapshot!("help@80x24", text(&state));
    press(&mut state, &[Command::End]);
    assert_snapshot!("help_end@80x24", text(&state));
}

#[test]
fn paused_filtered_sorted_in_bytes() {
    let mut state = story(100, 20);
    press(&mut state, &[Command::Sort, Command::Sort, Command::Units, Command::Filter]);
    for c in "nic2".chars() {
        state.update(Action::Type(c));
    }
    assert_snapshot!("filter_typing@100x20", text(&state));
    press(&mut state, &[Command::Enter, Command::Pause]);
    for tick in 30..35 {
        state.update(Action::View(Arc::new(Cluster::default().view(Shape::Idle, tick))));
    }
    assert_snapshot!("paused@100x20", text(&state));
}

#[test]
fn first_frames() {
    let cluster = Cluster { nodes: 1, ..Cluster::default() };
    let mut state = state(80, 16, Glyphs::Unicode, &cluster, &[]);
    assert_snapshot!("before_data@80x16", text(&state));
    state.update(Action::View(Arc::new(cluster.view(Shape::Single, 0))));
    assert_snapshot!("first_sight@80x16", text(&state));
    state.update(Action::View(Arc::new(cluster.view(Shape::Idle, 1))));
    state.update(Action::Silent(Duration::from_secs(7)));
    assert_snapshot!("idle_and_silent@80x16", text(&state));
}

#[test]
fn nothing_to_show_has_a_reason() {
    let view = View {
        groups: Vec::new(),
        nothing: Some(
            "There is no RDMA device under /sys/class/infiniband and no counter page in /dev/shm. \
             Start a job with railtop's transport, or run `railtop demo`."
                .to_owned(),
        ),
        ..Cluster::default().view(Shape::Idle, 0)
    };
    let mut state = state(80, 16, Glyphs::Unicode, &Cluster::default(), &[]);
    state.update(Action::View(Arc::new(view)));
    assert_snapshot!("nothing@80x16", text(&state));
}

/// A node of EFA NICs seen through sysfs: packets, GPUs, no kernel column, a link whose rate is not known.
#[test]
fn device_counters_by_gpu() {
    let cluster = Cluster { nodes: 1, pes_per_node: 2, link_bits_per_s: None, ..Cluster::default() };
    let mut view = cluster.view(Shape::Single, 5);
    for (i, group) in view.groups.iter_mut().enumerate() {
        group.kind = GroupKind::Gpu;
        group.gpu = Some(format!("0000:{}3:00.0", i + 5));
        (group.pe, group.job, group.policy, group.pid) = (None, None, None, None);
        for (n, nic) in group.nics.iter_mut().enumerate() {
            nic.device = format!("rdmap{}s0", 79 + n + i * 16);
            nic.source = crate::monitor::model::view::SourceKind::Sysfs;
            nic.kernel = None;
            nic.driver = "efa".to_owned();
        }
    }
    let mut state = state(100, 24, Glyphs::Unicode, &cluster, &[]);
    state.update(Action::View(Arc::new(view)));
    assert_snapshot!("efa_auto@100x24", text(&state));
}

#[test]
fn two_jobs_on_a_node_one_of_them_with_a_dead_pe() {
    let cluster = Cluster { nodes: 1, pes_per_node: 2, ..Cluster::default() };
    let mut view = cluster.view(Shape::PairSeq, 5);
    for mut group in cluster.view(Shape::Single, 5).groups {
        (group.key, group.job) = (format!("job-2/{}", group.key), Some("alltoall-2".to_owned()));
        view.groups.push(group);
    }
    view.groups[0].marks = vec![Mark::Dead];
    let mut state = state(80, 24, Glyphs::Unicode, &cluster, &[]);
    state.update(Action::View(Arc::new(view)));
    assert_snapshot!("two_jobs@80x24", text(&state));
}

#[test]
fn thirty_two_nics_in_a_group() {
    let cluster = Cluster { nodes: 1, pes_per_node: 8, nics: 32, ..Cluster::default() };
    let screen = text(&state(80, 24, Glyphs::Unicode, &cluster, &[Shape::RoundRobin]));
    assert_snapshot!("32_nics@80x24", screen);
}

/// Names from outside may be anything; nothing of it reaches the terminal, at any size, in any pane.
#[test]
fn hostile_names_do_not_escape() {
    let evil = "\u{1b}[2J\u{1b}]0;x\u{7}\n\u{202e}名\u{0}";
    let mut view = Cluster { troubles: true, ..Cluster::default() }.view(Shape::RoundRobin, 3);
    view.host = evil.to_owned();
    view.notices[0].subject = evil.to_owned();
    view.notices[0].text = evil.repeat(100);
    for group in &mut view.groups {
        group.node = evil.to_owned();
        group.policy = Some(evil.to_owned());
        group.job = Some(evil.to_owned());
        group.marks = vec![Mark::Dead];
        for nic in &mut group.nics {
            nic.device = evil.to_owned();
            nic.netdev = Some(evil.to_owned());
            nic.reason = Some(evil.to_owned());
            nic.counters[0].desc = Arc::new(crate::monitor::counter::Desc::unknown(evil));
        }
    }
    for nic in view.groups.iter_mut().flat_map(|group| &mut group.nics) {
        nic.gpus = vec![evil.to_owned()];
        (nic.fw_ver, nic.link_layer, nic.pci) =
            (Some(evil.to_owned()), Some(evil.to_owned()), Some(evil.to_owned()));
    }
    let machine = Machine::p5(Duration::from_secs(1)).view(20);
    let mut processes = machine.processes.clone().unwrap();
    for process in &mut processes.processes {
        process.sample.command = evil.repeat(20);
        process.sample.user = Some(evil.to_owned());
        process.sample.qps = [(evil.to_owned(), 7), ("名".repeat(40), 1)].into();
    }
    processes.reason = Some(evil.to_owned());
    let mut gpus = machine.gpus.clone().unwrap();
    for gpu in &mut gpus.gpus {
        (gpu.sample.name, gpu.sample.reason) = (Some(evil.to_owned()), Some(evil.to_owned()));
        gpu.sample.nvlinks[0].remote = Some(evil.to_owned());
    }
    let mut events = machine.events.to_vec();
    for event in &mut events {
        (event.subject, event.text) = (evil.to_owned(), evil.repeat(30));
    }
    (view.processes, view.gpus, view.events) = (Some(processes), Some(gpus), events.into());
    let view = Arc::new(view);
    let panes: [&[Command]; 17] = [
        &[],
        &[Command::Columns, Command::End, Command::Pause],
        &[Command::Tab2],
        &[Command::Enter],
        &[Command::Tab3],
        &[Command::Enter],
        &[Command::Tab4],
        &[Command::Enter],
        &[Command::Tab5],
        &[Command::Enter],
        &[Command::Tab1, Command::Heat],
        &[Command::Average, Command::Cumulative, Command::Heat],
        &[Command::AverageWindow, Command::Escape, Command::StepBack],
        &[Command::Enter],
        &[Command::Enter, Command::Down, Command::Down, Command::Enter],
        &[Command::Notices],
        &[Command::Help, Command::End],
    ];
    for width in (1..170).step_by(13) {
        for height in (1..60).step_by(6) {
            for glyphs in [Glyphs::Unicode, Glyphs::Ascii] {
                let mut state = state(width, height, glyphs, &Cluster::default(), &[]);
                state.update(Action::View(Arc::clone(&view)));
                state.update(Action::Caption(evil.to_owned()));
                for commands in panes {
                    press(&mut state, commands);
                    let buffer = panes::screen(&state);
                    let bad = |c: char| c.is_control() || c == '\u{202e}';
                    assert!(!buffer.content.iter().any(|cell| cell.symbol().chars().any(bad)));
                    if glyphs == Glyphs::Ascii {
                        assert!(buffer.content.iter().all(|cell| cell.symbol().is_ascii()));
                    }
                }
            }
        }
    }
}

/// The selection's key is a NIC's; the list must cope with one that is named twice.
#[test]
fn equal_keys_do_no_harm() {
    let mut view = Cluster::default().view(Shape::PairSeq, 3);
    for group in &mut view.groups {
        group.key = "same".to_owned();
        for nic in &mut group.nics {
            nic.key = "same".to_owned();
        }
    }
    let mut state = state(80, 24, Glyphs::Unicode, &Cluster::default(), &[]);
    state.update(Action::View(Arc::new(view)));
    press(&mut state, &[Command::End, Command::Up, Command::PageUp, Command::Home, Command::Enter]);
    assert!(state.group(&RowKey::Group("same".to_owned())).is_some());
    assert!(!text(&state).is_empty());
}
