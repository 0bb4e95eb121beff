//! The screen on made-up data: `cargo run --example tui_synthetic -- --help`.
//!
//! For work on the screen without NICs, and for the tests that watch it in a real terminal.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use railtop::lab::Rate;
use railtop::monitor::model::view::View;
use railtop::monitor::tui::synthetic::{Cluster, Scene, SyntheticSource};
use railtop::monitor::tui::{
    self, CaptionHandle, Ended, Preferences, StopFlag, TuiOptions, Units, ViewSource, Waker,
};

#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
#[command(about = "railtop's screen on made-up data")]
struct Args {
    /// Nodes.
    #[arg(long, default_value_t = 2)]
    nodes: usize,
    /// PEs per node.
    #[arg(long, default_value_t = 4)]
    pes: usize,
    /// NICs per PE.
    #[arg(long, default_value_t = 4)]
    nics: usize,
    /// Line rate of a NIC; `unknown` for none.
    #[arg(long, default_value = "200mbit")]
    rate: String,
    /// Time between ticks.
    #[arg(short, long, default_value = "1s", value_parser = railtop::units::parse_duration)]
    interval: Duration,
    /// Make ticks as often as this instead, with the data of one every `--interval`.
    #[arg(long, value_parser = railtop::units::parse_duration)]
    pace: Option<Duration>,
    /// Ticks before the next policy.
    #[arg(long, default_value_t = 10)]
    ticks: u64,
    /// What is made up.
    #[arg(long, value_enum, default_value_t = Scene::Story)]
    scene: Scene,
    /// Panic in the screen's own thread when it takes this view.
    #[arg(long)]
    panic_in_screen: Option<u64>,
    /// Panic in the source's thread at this tick.
    #[arg(long)]
    panic_at: Option<u64>,
    /// Show every mark and notice.
    #[arg(long)]
    troubles: bool,
    /// Only ASCII characters.
    #[arg(long)]
    ascii: bool,
    /// No colours.
    #[arg(long)]
    no_color: bool,
    /// GB/s instead of Gb/s.
    #[arg(long)]
    bytes: bool,
    /// Panic in another thread after this time.
    #[arg(long, value_parser = railtop::units::parse_duration)]
    panic_after: Option<Duration>,
    /// Raise the stop flag after this time.
    #[arg(long, value_parser = railtop::units::parse_duration)]
    stop_after: Option<Duration>,
}

/// A source that panics on the thread that asks it.
struct Panicking {
    source: SyntheticSource,
    left: Option<u64>,
}

impl ViewSource for Panicking {
    fn subscribe(&mut self, waker: Waker) {
        self.source.subscribe(waker);
    }

    fn latest(&mut self) -> Option<Arc<View>> {
        let view = self.source.latest()?;
        assert!(self.left != Some(0), "asked for with --panic-in-screen");
        self.left = self.left.map(|left| left - 1);
        Some(view)
    }

    fn set_interval(&mut self, interval: Duration) {
        self.source.set_interval(interval);
    }
}

#[expect(clippy::panic, reason = "this is what the flag is for")]
fn panic_after(time: Duration) {
    std::thread::sleep(time);
    panic!("asked for with --panic-after");
}

fn main() -> ExitCode {
    let args = Args::parse();
    let cluster = Cluster {
        nodes: args.nodes,
        pes_per_node: args.pes.max(1),
        nics: args.nics.max(1),
        link_bits_per_s: args.rate.parse::<Rate>().ok().map(Rate::bits_per_s),
        interval: args.interval,
        troubles: args.troubles,
    };
    let caption = CaptionHandle::new();
    let stop = StopFlag::new();
    if let Some(after) = args.panic_after {
        std::thread::spawn(move || panic_after(after));
    }
    if let Some(after) = args.stop_after {
        let stop = stop.clone();
        std::thread::spawn(move || {
            std::thread::sleep(after);
            stop.stop();
        });
    }
    let mut source = args.scene.source(cluster, args.ticks, caption.clone());
    if let Some(tick) = args.panic_at {
        source = source.panicking_at(tick);
    }
    if let Some(pace) = args.pace {
        source = source.paced(pace);
    }
    let mut source = Panicking { source, left: args.panic_in_screen };
    let options = TuiOptions {
        caption: Some(caption),
        stop: Some(stop),
        ascii: args.ascii,
        color: !args.no_color,
        preferences: Preferences {
            units: if args.bytes { Units::Bytes } else { Units::Bits },
            interval: args.interval,
            ..Preferences::default()
        },
        ..TuiOptions::default()
    };
    match tui::run(&mut source, &options) {
        Ok(ended) => {
            println!("ended: {ended:?}");
            match ended {
                Ended::Signal(number) => ExitCode::from(u8::try_from(128 + number).unwrap_or(1)),
                Ended::Quit | Ended::Stopped => ExitCode::SUCCESS,
            }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
