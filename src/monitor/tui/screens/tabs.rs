//! Every pane at every size people have, on a p5, a RoCE box and the story, with and without colour.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;
use ratatui::buffer::Cell;
use ratatui::style::{Color, Modifier};
use test_case::test_case;

use super::super::actions::{Action, Command};
use super::super::columns::Column;
use super::super::format::Units;
use super::super::glyphs::Glyphs;
use super::super::panes;
use super::super::state::State;
use super::super::synthetic::{Cluster, Machine, Shape};
use super::super::theme::Theme;
use super::looks::{explain, with_looks};
use super::{press, state, styled, text, type_text};
use crate::monitor::model::view::{GpusView, ProcessesView, View};

/// The sizes of the issue: a large screen, a laptop's, the classic one, a split, and what is left in a corner.
const SIZES: [(u16, u16); 5] = [(160, 48), (120, 40), (80, 24), (60, 20), (40, 10)];

/// A pane: its name, the machine it is shown on, and the keys that open it.
type Pane = (&'static str, Made, &'static [Command]);

#[derive(Clone, Copy)]
enum Made {
    P5,
    Roce,
    Colliding,
}

use Command::{Columns, Cumulative, Down, Enter, Help, Notices, Tab2, Tab3, Tab4, Tab5};

const PANES: [Pane; 15] = [
    ("nics", Made::P5, &[]),
    ("nics_roce", Made::Roce, &[]),
    ("nics_bytes", Made::P5, &[Cumulative, Cumulative]),
    ("heat", Made::Colliding, &[Command::Heat]),
    ("groups", Made::P5, &[Tab2, Down, Down, Down, Down]),
    ("processes", Made::P5, &[Tab3]),
    ("events", Made::P5, &[Tab4]),
    ("gpus", Made::P5, &[Tab5]),
    ("detail_nic", Made::Roce, &[Down, Down, Down, Enter]),
    ("detail_group", Made::Colliding, &[Enter]),
    ("detail_process", Made::P5, &[Tab3, Enter]),
    ("detail_gpu", Made::P5, &[Tab5, Enter]),
    ("columns", Made::P5, &[Columns, Down, Command::Pause]),
    ("notices", Made::Roce, &[Notices]),
    ("help", Made::P5, &[Help]),
];

fn made(what: Made, tick: u64) -> View {
    let interval = Duration::from_secs(1);
    match what {
        Made::P5 => Machine::p5(interval).view(tick),
        Made::Roce => Machine::roce(interval).view(tick),
        Made::Colliding => Cluster::default().view(Shape::Colliding, tick),
    }
}

fn open(pane: &Pane, (width, height): (u16, u16), glyphs: Glyphs, color: bool) -> State {
    let theme = Theme::new(color, None);
    let mut state = State::new(theme, glyphs, Units::Bits, Duration::from_secs(1));
    state.update(Action::Resize(width, height));
    for tick in 0..40 {
        state.update(Action::View(Arc::new(made(pane.1, tick))));
    }
    press(&mut state, pane.2);
    state
}

/// A pane at all sizes, one after the other.
fn at_every_size(pane: &Pane, mut screen: impl FnMut((u16, u16)) -> String) -> String {
    let sizes = SIZES.map(|size| {
        let screen = screen(size);
        format!("== {} {}x{}\n{screen}", pane.0, size.0, size.1)
    });
    sizes.concat()
}

#[test]
fn every_pane_at_every_size() {
    for pane in &PANES {
        let screens = at_every_size(pane, |size| text(&open(pane, size, Glyphs::Unicode, false)));
        assert_snapshot!(pane.0, screens);
    }
}

#[test]
fn every_pane_in_ascii() {
    for pane in &PANES {
        let screens = at_every_size(pane, |size| text(&open(pane, size, Glyphs::Ascii, false)));
        assert!(screens.is_ascii(), "{screens}");
        assert_snapshot!(format!("{}_ascii", pane.0), screens);
    }
}

/// What colour says is also said without: characters and attributes are the same.
#[test]
fn every_pane_in_colour() {
    for pane in &PANES {
        let mut legend = BTreeMap::new();
        let screens = at_every_size(pane, |size| {
            let state = open(pane, size, Glyphs::Unicode, true);
            let colour = panes::screen(&state);
            let mono = panes::screen(&open(pane, size, Glyphs::Unicode, false));
            for (colour, mono) in colour.content.iter().zip(&mono.content) {
                assert_eq!(mono.fg, Color::Reset, "{} {size:?}", pane.0);
                assert_eq!(
                    (colour.symbol(), colour.modifier),
                    (mono.symbol(), mono.modifier),
                    "{} {size:?}",
                    pane.0
                );
            }
            with_looks(&colour, state.theme, &mut legend)
        });
        assert_snapshot!(format!("{}_colour", pane.0), explain(&legend) + &screens);
    }
}

/// What is written over something faint must not be left so: colours that can be read by themselves cannot then.
#[test]
fn nothing_that_stands_out_is_faint() {
    for pane in &PANES {
        for size in [(160, 48), (120, 40), (80, 24)] {
            let state = open(pane, size, Glyphs::Unicode, true);
            let buffer = panes::screen(&state);
            let faint = |cell: &&Cell| cell.modifier.contains(Modifier::BOLD.union(Modifier::DIM));
            let cells: String = buffer.content.iter().filter(faint).map(Cell::symbol).collect();
            assert_eq!(cells.trim(), "", "{} at {size:?}", pane.0);
        }
    }
}

/// The word on a line of the screen, with the look of its first character.
fn look_of(state: &State, line: &str, word: &str) -> String {
    let screen = styled(&panes::screen(state));
    let line =
        screen.lines().find(|text| text.contains(line)).unwrap_or_else(|| panic!("no {line} in\n{screen}"));
    let before = line.split(word).next().unwrap_or_default();
    before.rsplit('[').next().and_then(|look| look.split(']').next()).unwrap_or_default().to_owned()
}

/// Peer bug B7: a fault that rises was green, a NIC at 85 % of its line rate red.
#[test]
fn rising_faults_never_look_good_and_a_busy_nic_is_no_fault() {
    let detail = PANES.iter().find(|pane| pane.0 == "detail_nic").unwrap();
    let state = open(detail, (80, 24), Glyphs::Unicode, true);
    let rising = look_of(&state, "rp_cnp_handled", "5 400");
    assert!(rising.contains("BOLD") && !rising.contains("Green"), "{rising}");
    assert!(look_of(&state, "tx_pkts", "traffic").starts_with("Reset"));
    let screen = text(&state);
    let faults = screen.find("rp_cnp_handled").unwrap();
    assert!(faults < screen.find("tx_bytes").unwrap(), "faults first\n{screen}");

    // All but one of the NICs are at 82 to 94 %: only the slow one's mark is loud.
    let busy = open(&PANES[0], (160, 48), Glyphs::Unicode, true);
    let screen = styled(&panes::screen(&busy));
    let line = screen.lines().find(|line| line.contains("rdmap79s0")).unwrap();
    assert!(!line.contains("Red") && !line.contains("Magenta"), "{line}");
}

#[test]
fn a_slow_nic_is_named_though_max_over_mean_is_within_the_limit() {
    let mut view = made(Made::P5, 7);
    let group = &mut view.groups[2];
    group.tx.spread.verdict = crate::balance::Verdict::Balanced;
    let mut state = state(120, 40, Glyphs::Unicode, &Cluster::default(), &[]);
    state.update(Action::View(Arc::new(view)));
    press(&mut state, &[Tab2]);
    let screen = text(&state);
    let line = screen.lines().find(|line| line.contains("GPU 75:00.0 Tx")).unwrap();
    assert!(line.contains("▼ slow NIC") && line.contains("▼ rdmap114s0"), "{line}");
}

/// Each empty tab has a sentence with a reason, at every size.
#[test]
fn nothing_to_show_is_said_in_every_tab() {
    let empty = View {
        groups: Vec::new(),
        nothing: Some("No RDMA device: the module ib_core is not loaded; run `modprobe efa`.".to_owned()),
        processes: Some(ProcessesView {
            hidden_qps: 3,
            reason: Some("other PID namespaces hide their owners: run with --pid=host".to_owned()),
            ..ProcessesView::default()
        }),
        gpus: Some(GpusView {
            gpus: Vec::new(),
            nothing: Some("No NVIDIA driver: libnvidia-ml.so.1 is not there.".to_owned()),
        }),
        events: Arc::new([]),
        ..made(Made::P5, 3)
    };
    let nobody_asked = View { processes: None, gpus: None, ..empty.clone() };
    for (width, height) in SIZES {
        for (tab, words) in [
            (Command::Tab1, ["No RDMA device"; 2]),
            (Command::Tab2, ["No RDMA device"; 2]),
            (Command::Tab3, ["3 queue pairs", "asked for"]),
            (Command::Tab4, ["Nothing has happened"; 2]),
            (Command::Tab5, ["No NVIDIA driver", "asked for"]),
        ] {
            for (view, words) in [&empty, &nobody_asked].into_iter().zip(words) {
                let mut state = state(width, height, Glyphs::Unicode, &Cluster::default(), &[]);
                state.update(Action::View(Arc::new(view.clone())));
                press(&mut state, &[tab]);
                let one_line = text(&state).split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(one_line.contains(words), "{words} at {width}x{height}:\n{}", text(&state));
            }
        }
    }
}

#[test_case(Tab3, "train", "python train.py"; "a command")]
#[test_case(Tab4, "link", "link"; "an event")]
#[test_case(Tab5, "gpu 3", "NVIDIA"; "a gpu")]
fn the_filter_works_in_every_tab(tab: Command, filter: &str, kept: &str) {
    let mut state = open(&PANES[0], (120, 40), Glyphs::Unicode, false);
    press(&mut state, &[tab]);
    let all = state.rows.len();
    press(&mut state, &[Command::Filter]);
    type_text(&mut state, filter);
    press(&mut state, &[Enter]);
    assert!(state.rows.len() < all && text(&state).contains(kept), "{}", text(&state));
    press(&mut state, &[Command::Filter]);
    type_text(&mut state, "nothing like it");
    press(&mut state, &[Enter]);
    assert!(text(&state).contains("Esc drops the filter"), "{}", text(&state));
}

#[test]
fn back_in_time_the_whole_screen_is_of_that_moment() {
    let mut state = state(120, 40, Glyphs::Unicode, &Cluster::default(), &[]);
    for tick in 0..30 {
        let shape = if tick < 15 { Shape::Single } else { Shape::PairSeq };
        state.update(Action::View(Arc::new(Cluster::default().view(shape, tick))));
    }
    assert!(text(&state).contains("balanced"));
    press(&mut state, &[Command::StepBack; 20]);
    let screen = text(&state);
    assert!(screen.contains("PAUSED 20 s ago") && screen.contains("single NIC 4.00x"), "{screen}");
    assert_snapshot!("back_in_time@120x40", screen);
    press(&mut state, &[Command::StepForth; 100]);
    assert!(text(&state).contains("PAUSED") && !text(&state).contains("single NIC"));
    press(&mut state, &[Command::Pause]);
    assert!(!text(&state).contains("PAUSED"));
}

/// What a person reads at 80 columns must tell groups apart, in every order.
#[test]
fn names_tell_groups_apart_in_every_order() {
    let mut state = open(&PANES[0], (80, 24), Glyphs::Unicode, false);
    press(&mut state, &[Command::Collapse; 2]);
    for _ in 0..4 {
        press(&mut state, &[Command::Sort]);
        let screen = text(&state);
        for gpu in ["53", "64", "75", "86", "97", "a8", "b9", "ca"] {
            assert!(screen.contains(&format!("GPU {gpu}:00.0 ")), "{screen}");
        }
    }
}

#[test]
fn the_slow_nic_is_named_at_80_columns() {
    let state = open(&PANES[4], (80, 24), Glyphs::Unicode, false);
    let screen = text(&state);
    assert!(
        screen.lines().any(|line| line.contains("GPU 75:00.0 Tx") && line.contains("▼ rdmap114s0")),
        "{screen}"
    );
}

#[test]
fn the_column_picker_follows_the_cursor() {
    for size in SIZES {
        let mut state = open(&PANES[0], size, Glyphs::Unicode, false);
        press(&mut state, &[Command::Columns]);
        for column in Column::ALL {
            let screen = text(&state);
            let row = screen.lines().find(|line| line.contains("▶[")).expect("the cursor is on the screen");
            assert!(row.contains(&format!("] {} ", column.name())), "{column:?} at {size:?}:\n{screen}");
            press(&mut state, &[Command::Down]);
        }
    }
}

#[test]
fn both_verdicts_fit_into_40_columns() {
    for pane in &PANES[..2] {
        let screen = text(&open(pane, (40, 10), Glyphs::Unicode, false));
        let line = screen.lines().next().unwrap();
        assert!(line.contains("Rx") && line.ends_with('x'), "{line:?}");
    }
}

/// A recording that ended by itself is said whatever else is to be said, and nothing cuts the moment shown.
#[test]
fn the_header_tells_of_a_recording_also_while_paused() {
    let mut state = open(&PANES[0], (120, 40), Glyphs::Unicode, false);
    let header = |state: &State| text(state).lines().next().unwrap_or_default().to_owned();
    let mut status =
        crate::monitor::record::Status { path: "a.rec".into(), bytes: 12_300, ticks: 3, error: None };
    state.update(Action::Recording(Some(status.clone())));
    assert!(header(&state).ends_with("Z  REC 12.0 KiB"), "{}", header(&state));
    press(&mut state, &[Command::StepBack]);
    assert!(header(&state).contains("Z  PAUSED 1 s ago  REC 12.0 KiB"), "{}", header(&state));
    status.error = Some("cannot write a.rec: No space left on device".to_owned());
    state.update(Action::Recording(Some(status)));
    let ended = "PAUSED 1 s ago  RECORDING ENDED: cannot write a.rec: No space left on device";
    assert!(header(&state).ends_with(ended), "{}", header(&state));
    state.update(Action::Resize(80, 24));
    state.update(Action::Recording(None));
    let time = header(&state);
    assert!(
        time.contains(" 10:00:") && time.ends_with("Z  PAUSED 1 s ago"),
        "the time without the date: {time}"
    );
}

#[test]
fn on_a_recording_every_word_is_true() {
    let mut state = open(&PANES[0], (120, 60), Glyphs::Unicode, false);
    state.update(Action::Replay(crate::monitor::replay::ReplayStatus {
        position: 3,
        length: 10,
        realtime_ns: 0,
        speed: 1.0,
        playing: true,
        error: None,
    }));
    press(&mut state, &[Help]);
    let help = text(&state);
    for line in ["p space       play, stop", "left          a tick back (stops)", "<             play faster"]
    {
        assert!(help.contains(line), "{help}");
    }
    for words in ["still collected", "while paused", "interval between samples", "record to a file"] {
        assert!(!help.contains(words), "{help}");
    }
    let view = View { processes: None, gpus: None, events: Arc::new([]), ..made(Made::P5, 100) };
    state.update(Action::View(Arc::new(view)));
    for (tab, words) in
        [(Tab3, "nobody had asked"), (Tab4, "in the recording so far"), (Tab5, "nobody had asked")]
    {
        press(&mut state, &[tab]);
        let screen = text(&state);
        assert!(screen.contains(words) && !screen.contains("Looking again"), "{screen}");
    }
}
