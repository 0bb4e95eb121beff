//! How many bytes a screen of moving NICs costs at the terminal: at 1 Hz no more than 4 kB a second.

use std::sync::Arc;
use std::time::Duration;

use ratatui::buffer::Buffer;
use test_case::test_case;

use super::super::actions::{Action, Command};
use super::super::encode;
use super::super::format::Units;
use super::super::glyphs::Glyphs;
use super::super::panes;
use super::super::state::State;
use super::super::synthetic::{Cluster, Machine, Shape};
use super::super::terminal::{BEGIN_SYNC, END_SYNC};
use super::super::theme::Theme;
use super::press;
use crate::monitor::model::view::View;

const LIMIT: usize = 4_000;

/// Mean bytes per frame over 60 samples after the first screen, with these keys pressed.
fn mean(width: u16, height: u16, keys: &[Command], view: impl Fn(u64) -> View) -> usize {
    let mut state = State::new(Theme::new(true, None), Glyphs::Unicode, Units::Bits, Duration::from_secs(1));
    state.update(Action::Resize(width, height));
    // As long as it takes for the graph to fill the window: then every sample moves all of it.
    for tick in 0..200 {
        state.update(Action::View(Arc::new(view(tick))));
    }
    press(&mut state, keys);
    let mut shown: Buffer = panes::screen(&state);
    let mut bytes = 0;
    for tick in 200..260 {
        state.update(Action::View(Arc::new(view(tick))));
        let next = panes::screen(&state);
        bytes += BEGIN_SYNC.len() + encode::changes(&shown, &next).len() + END_SYNC.len();
        shown = next;
    }
    bytes / 60
}

/// 32 NICs, each on a line, every number and bar of which changes with every sample.
#[test_case(160, 48, &[], "p5"; "folded as it comes")]
#[test_case(120, 40, &[], "p5"; "folded as it comes, smaller")]
#[test_case(160, 48, &[Command::Collapse], "p5"; "all 32 NICs on the screen")]
#[test_case(160, 54, &[], "p5"; "all 32 NICs and their groups on the screen")]
#[test_case(120, 40, &[Command::Collapse], "p5"; "most of 32 NICs on the screen")]
#[test_case(160, 54, &[], "job"; "a job's 32 NICs and their PEs with the kernel's figures")]
#[test_case(160, 48, &[Command::Tab2], "p5"; "groups")]
#[test_case(120, 40, &[Command::Tab3], "p5"; "processes")]
#[test_case(160, 48, &[Command::Tab5], "p5"; "gpus")]
#[test_case(160, 48, &[Command::Collapse], "job"; "a job's 32 NICs with the kernel's figures")]
#[test_case(160, 48, &[Command::Down, Command::Down, Command::Enter], "p5"; "detail")]
#[test_case(160, 48, &[Command::Collapse, Command::Heat], "job"; "a job's NICs with their short windows")]
#[test_case(160, 48, &[Command::Heat], "p5"; "strips of samples")]
fn a_second_costs_at_most_4_kb(width: u16, height: u16, keys: &[Command], what: &str) {
    let machine = Machine::p5(Duration::from_secs(1));
    let cluster =
        Cluster { nodes: 1, pes_per_node: 8, link_bits_per_s: Some(100_000_000_000), ..Cluster::default() };
    let bytes = mean(width, height, keys, |tick| match what {
        "job" => cluster.view(Shape::PairSeq, tick),
        _ => machine.view(tick),
    });
    eprintln!("{width}x{height} {what} {keys:?}: {bytes} bytes a frame");
    assert!(bytes <= LIMIT, "{bytes} bytes a frame");
    assert!(bytes > 200, "something moves: {bytes}");
}
