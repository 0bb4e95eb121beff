//! How many bytes a screen of moving NICs costs at the terminal: at 1 Hz no more than 4 kB a second in the terminal's own
//! 16 colours, which `default` and, on a dark background, `auto` always take; more where a theme has colours of its own.

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
use super::super::theme::{Background, Depth, Theme, ThemeName};
use super::press;
use crate::monitor::model::view::View;

const LIMIT: usize = 4_000;

/// Mean bytes per frame over 60 samples after the first screen, with these keys pressed.
fn mean(theme: Theme, width: u16, height: u16, keys: &[Command], view: impl Fn(u64) -> View) -> usize {
    let mut state = State::new(theme, Glyphs::Unicode, Units::Bits, Duration::from_secs(1));
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

/// The same of 32 NICs, of a machine or a job.
fn of(theme: Theme, width: u16, height: u16, keys: &[Command], what: &str) -> usize {
    let machine = Machine::p5(Duration::from_secs(1));
    let cluster =
        Cluster { nodes: 1, pes_per_node: 8, link_bits_per_s: Some(100_000_000_000), ..Cluster::default() };
    mean(theme, width, height, keys, |tick| match what {
        "job" => cluster.view(Shape::PairSeq, tick),
        _ => machine.view(tick),
    })
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
    let bytes = of(Theme::new(true, None), width, height, keys, what);
    eprintln!("{width}x{height} {what} {keys:?}: {bytes} bytes a frame");
    assert!(bytes <= LIMIT, "{bytes} bytes a frame");
    assert!(bytes > 200, "something moves: {bytes}");
}

/// The codes of more colours are longer (`38;2;R;G;B` instead of `36`), where a theme has colours of its own.
#[test_case(ThemeName::Auto, Depth::Indexed, Background::Dark, LIMIT; "256 on dark")]
#[test_case(ThemeName::Auto, Depth::Indexed, Background::Light, 4_200; "256 on light")]
#[test_case(ThemeName::Auto, Depth::True, Background::Dark, LIMIT; "24 bits on dark")]
#[test_case(ThemeName::Auto, Depth::True, Background::Light, 4_400; "24 bits on light")]
#[test_case(ThemeName::Dark, Depth::True, Background::Dark, 5_200; "the dark theme in 24 bits")]
#[test_case(ThemeName::Light, Depth::True, Background::Light, 5_100; "the light theme in 24 bits")]
#[test_case(ThemeName::ColourBlind, Depth::True, Background::Dark, 5_100; "the colour-blind theme on dark")]
#[test_case(ThemeName::ColourBlind, Depth::True, Background::Light, 5_100; "the colour-blind theme on light")]
#[test_case(ThemeName::HighContrast, Depth::True, Background::Light, 5_100; "high contrast in 24 bits")]
fn more_colours_cost_somewhat_more(name: ThemeName, depth: Depth, background: Background, limit: usize) {
    let theme = Theme::new(true, None).named(name).with_depth(Some(depth)).on(Some(background));
    for (height, keys, what) in [
        (54, &[][..], "p5"),
        (54, &[], "job"),
        (48, &[Command::Collapse], "p5"),
        (48, &[Command::Collapse, Command::Heat], "job"),
    ] {
        let bytes = of(theme, 160, height, keys, what);
        eprintln!(
            "160x{height} {what} {keys:?}, {name:?} {depth:?} on {background:?}: {bytes} bytes a frame"
        );
        assert!(bytes <= limit, "{bytes} bytes a frame");
    }
}
