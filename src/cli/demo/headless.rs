//! The demo without a screen: each policy once, and a table.

use std::io::Write;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::cluster::Cluster;
use super::{DemoArgs, HEADLESS};
use crate::cli::exit::output_error;
use crate::cli::interrupt::Interrupt;
use crate::cli::source::TextOrJson;
use crate::lab::LabMode;
use crate::units::{format_bit_rate, format_size};

/// What one policy did, from the lines of PE 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Scene {
    policy: String,
    /// Payload of all NICs of all PEs together.
    #[serde(skip_serializing_if = "Option::is_none")]
    gb_per_s: Option<f64>,
    /// The same in bits and relative to the sum of the NICs' rates.
    #[serde(skip_serializing_if = "Option::is_none")]
    gbit_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    of_line_rate: Option<f64>,
    tx: Side,
    rx: Side,
}

/// One direction, of the PE that fared worst.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Side {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_over_mean: Option<f64>,
    active_nics: u64,
    nics: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99_window_max_over_mean: Option<f64>,
}

/// Puts the lines of a run together to scenes.
#[derive(Debug, Default)]
pub(super) struct Collector {
    bytes: f64,
    seconds: f64,
    tx: Side,
}

impl Collector {
    /// Takes a line in; the last line of a policy completes its scene.
    pub(super) fn line(&mut self, line: &str, line_rate_bits_per_s: Option<f64>) -> Option<Scene> {
        let value: Value = serde_json::from_str(line).ok()?;
        let number = |key: &str| value.get(key).and_then(Value::as_f64);
        match value.get("type").and_then(Value::as_str)? {
            "nic" => {
                self.bytes += number("tx_bytes").unwrap_or(0.0);
                self.seconds = self.seconds.max(number("seconds").unwrap_or(0.0));
            }
            "balance" => {
                let count = |key: &str| value.get(key).and_then(Value::as_u64).unwrap_or(0);
                let side = Side {
                    max_over_mean: number("max_over_mean"),
                    active_nics: count("active_nics"),
                    nics: count("nics"),
                    p99_window_max_over_mean: number("p99_window_max_over_mean"),
                };
                if value.get("direction").and_then(Value::as_str) == Some("tx") {
                    self.tx = side;
                } else {
                    let done = std::mem::take(self);
                    let rate = (done.seconds > 0.0).then(|| done.bytes / done.seconds);
                    return Some(Scene {
                        policy: value.get("policy").and_then(Value::as_str).unwrap_or("-").to_owned(),
                        gb_per_s: rate.map(|rate| rate / 1e9),
                        gbit_per_s: rate.map(|rate| rate * 8.0 / 1e9),
                        of_line_rate: rate.zip(line_rate_bits_per_s).map(|(rate, line)| rate * 8.0 / line),
                        tx: done.tx,
                        rx: side,
                    });
                }
            }
            _ => {}
        }
        None
    }
}

/// Runs the demo without a screen.
pub(super) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::install()?;
    let scene = args.scene(HEADLESS / u32::try_from(args.policy.len()).unwrap_or(1).max(1));
    let (sender, scenes) = mpsc::channel();
    let nics = f64::from(args.nodes) * f64::from(args.pes_per_node) * f64::from(args.nics_per_pe);
    let line_rate = args.nic_rate.0.map(|rate| rate.bits_per_s() as f64 * nics);
    let mut collector = Collector::default();
    let cluster = Cluster::start(
        args,
        scene,
        1,
        Box::new(move |line| {
            if let Some(scene) = collector.line(line, line_rate) {
                let _ = sender.send(scene);
            }
        }),
    )?;
    crate::cli::exit::say(&format!("railtop demo: {}", describe(args, cluster.mode, scene)));
    let mut printer =
        Printer { format: args.format, limited: cluster.mode == LabMode::Namespaces, printed: 0 };
    let mut interrupted = false;
    while !cluster.is_over() && !interrupted {
        interrupted = interrupt.wait_until(Instant::now() + Duration::from_millis(50))?;
        for scene in scenes.try_iter() {
            printer.print(&scene)?;
        }
    }
    cluster.end()?;
    for scene in scenes.try_iter() {
        printer.print(&scene)?;
    }
    if interrupted && printer.printed < args.policy.len() {
        crate::cli::exit::say(&format!(
            "railtop demo: ended early, after {} of {} policies",
            printer.printed,
            args.policy.len()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(args: &DemoArgs, mode: LabMode, scene: Duration) -> String {
    let shape = format!("{} nodes x {} PEs x {} NICs", args.nodes, args.pes_per_node, args.nics_per_pe);
    let nics = match (mode, args.nic_rate.0) {
        (LabMode::Namespaces, Some(rate)) => format!(" of {}", format_bit_rate(rate.bits_per_s() as f64)),
        (LabMode::Namespaces, None) => " without a rate limit".to_owned(),
        (LabMode::Loopback, _) => {
            " (loopback addresses without a rate limit: namespaces are not allowed here)".to_owned()
        }
    };
    format!(
        "{shape}{nics}, all-to-all of {} per PE, {:.1} s per policy",
        format_size(args.size),
        scene.as_secs_f64()
    )
}

/// Prints scenes as they come.
struct Printer {
    format: TextOrJson,
    /// Whether rates mean something.
    limited: bool,
    printed: usize,
}

impl Printer {
    fn print(&mut self, scene: &Scene) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        let line = match self.format {
            TextOrJson::Json => serde_json::to_string(scene)?,
            TextOrJson::Text => row(scene, self.limited),
        };
        if self.printed == 0 && self.format == TextOrJson::Text {
            writeln!(out, "{HEADER}").map_err(output_error)?;
        }
        self.printed += 1;
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(output_error)
    }
}

const HEADER: &str = "\
policy                  Gb/s   line   Tx NICs  max/mean   Rx NICs  max/mean  10 ms p99   what it shows";

fn row(scene: &Scene, limited: bool) -> String {
    let number = |value: Option<f64>, decimals: usize| {
        value.map_or_else(|| "-".to_owned(), |v| format!("{v:.decimals$}"))
    };
    let percent = scene
        .of_line_rate
        .filter(|_| limited)
        .map_or_else(|| "-".to_owned(), |share| format!("{:.0}%", share * 100.0));
    let nics = |side: &Side| format!("{}/{}", side.active_nics, side.nics);
    format!(
        "{:<20} {:>7} {percent:>6} {:>9} {:>9} {:>9} {:>9} {:>10}   {}",
        scene.policy,
        number(scene.gbit_per_s, 3),
        nics(&scene.tx),
        number(scene.tx.max_over_mean, 2),
        nics(&scene.rx),
        number(scene.rx.max_over_mean, 2),
        number(scene.rx.p99_window_max_over_mean, 2),
        moral(scene),
    )
}

/// What the numbers of a scene amount to, from the numbers themselves.
fn moral(scene: &Scene) -> &'static str {
    let uneven =
        |side: &Side| side.max_over_mean.is_some_and(|ratio| ratio > crate::balance::DEFAULT_MAX_OVER_MEAN);
    match (uneven(&scene.tx), uneven(&scene.rx)) {
        _ if scene.tx.max_over_mean.is_none() => "nothing moved",
        (true, true) if scene.tx.active_nics == 1 => "one NIC does everything",
        (true, true) => "both directions are uneven",
        (false, true) if scene.rx.active_nics == 1 => "all NICs send, Rx piles onto one",
        (false, true) => "Rx is uneven",
        (true, false) => "Tx is uneven",
        (false, false) => "all NICs share the load",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rx_ratio: f64, rx_active: u64) -> String {
        format!(
            "{{\"type\":\"nic\",\"tx_bytes\":1000000000,\"seconds\":2.0}}\n\
             {{\"type\":\"nic\",\"tx_bytes\":1000000000,\"seconds\":4.0}}\n\
             {{\"type\":\"balance\",\"policy\":\"round-robin\",\"direction\":\"tx\",\"max_over_mean\":1.0,\"active_nics\":4,\"nics\":4}}\n\
             {{\"type\":\"balance\",\"policy\":\"round-robin\",\"direction\":\"rx\",\"max_over_mean\":{rx_ratio},\"active_nics\":{rx_active},\"nics\":4,\"p99_window_max_over_mean\":4.0}}"
        )
    }

    fn scene(text: &str) -> Scene {
        let mut collector = Collector::default();
        text.lines().filter_map(|line| collector.line(line, Some(16e9))).last().unwrap()
    }

    #[test]
    fn a_scene_is_the_sum_of_the_nics_over_the_longest_time() {
        let scene = scene(&lines(4.0, 1));
        assert_eq!(
            (scene.gb_per_s, scene.gbit_per_s, scene.of_line_rate),
            (Some(0.5), Some(4.0), Some(0.25))
        );
        insta::assert_snapshot!(format!("{HEADER}\n{}", row(&scene, true)));
    }

    #[test]
    fn the_moral_follows_the_numbers() {
        assert_eq!(moral(&scene(&lines(4.0, 1))), "all NICs send, Rx piles onto one");
        assert_eq!(moral(&scene(&lines(1.0, 4))), "all NICs share the load");
        assert_eq!(moral(&Scene::default()), "nothing moved");
    }

    #[test]
    fn lines_that_are_none_of_ours_are_ignored() {
        let mut collector = Collector::default();
        for line in ["", "hello", "{\"type\":7}", "{\"type\":\"balance\"}", "[1]"] {
            let _ = collector.line(line, None);
        }
    }
}
