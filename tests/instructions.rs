//! Instructions per put-signal in ring and proxy, on a NIC that completes at once: counted by valgrind, so that a slow-down
//! shows on any machine, and held within 3 % of `benches/transport/instructions.txt`.
//!
//! A compiler makes of the same source what it likes: each version has figures of its own, and one without any is skipped.
//! Building an optimised program takes minutes, so that is counted when asked for, and the tests' own build always: its
//! figures are several times as high, but a scan or an allocation more shows in both.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "support/callgrind.rs"]
mod callgrind;
#[path = "support/cargo.rs"]
mod cargo;

use std::path::{Path, PathBuf};
use std::process::Command;

use callgrind::instructions;
use cargo::cargo;

/// How far a count may be from its figure.
const TOLERANCE: f64 = 0.03;

const FIGURES: &str = "benches/transport/instructions.txt";

/// Puts of the two runs whose difference is counted: what does not depend on them cancels out.
const PUTS: [u64; 2] = [2_000, 10_000];

/// `1.95-x86_64`: the compiler's version and what it compiles for.
fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let version = text.split_whitespace().nth(1).unwrap_or_default();
    let minor: Vec<_> = version.split('.').take(2).collect();
    format!("{}-{}", minor.join("."), std::env::consts::ARCH)
}

/// The figures of a compiler and a profile: bytes of a put (`posted`: 8, from a GPU's ring; `lone`: 8, waited for and answered), NICs, instructions.
fn figures(text: &str, compiler: &str, profile: &str) -> Vec<(String, String, f64)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.starts_with(&[compiler, profile]))
        .map(|words| (words[2].to_owned(), words[3].to_owned(), words[4].parse().unwrap()))
        .collect()
}

/// Builds the benchmark with a profile and returns its path. With the features that a test of the whole workspace has: others would
/// be another build of everything.
fn build(profile: &str) -> PathBuf {
    let output = cargo()
        .args(["build", "--locked", "--workspace", "--profile", profile, "--bench", "transport"])
        .args(["--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).unwrap();
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    messages
        .filter(|message| message["target"]["name"] == "transport")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .unwrap()
}

/// Counts what a put-signal takes in this build, and holds it against the figures.
fn hold(profile: &str) {
    if let Some(reason) = callgrind::missing() {
        return eprintln!("skipped: {reason}");
    }
    let compiler = compiler();
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FIGURES)).unwrap();
    let figures = figures(&text, &compiler, profile);
    if figures.is_empty() {
        return eprintln!(
            "skipped: {FIGURES} has no instruction counts of rustc {compiler}, profile {profile}"
        );
    }
    let program = build(profile);
    let mut wrong = Vec::new();
    for (bytes, nics, figure) in figures {
        let [few, many] =
            PUTS.map(|puts| instructions(&program, &["count", &bytes, &nics, &puts.to_string()]));
        let each = (many - few) as f64 / (PUTS[1] - PUTS[0]) as f64;
        println!("{compiler} {profile} {bytes} {nics} {each:.1}");
        if (each / figure - 1.0).abs() > TOLERANCE {
            wrong.push(format!(
                "a put-signal takes {each:.1} instructions, not {figure} (bytes, or which: {bytes}, NICs: {nics})"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong:#?}\nIf that is meant, write the new figures into {FIGURES} and say why."
    );
}

#[test]
fn a_put_signal_takes_as_many_instructions_as_written_down() {
    hold("dev");
}

#[test]
fn optimised_it_takes_as_many_instructions_as_written_down() {
    if std::env::var_os("RAILTOP_COUNT_INSTRUCTIONS").is_none() {
        return eprintln!(
            "skipped: RAILTOP_COUNT_INSTRUCTIONS=1 builds an optimised program first, which takes minutes"
        );
    }
    hold("count");
}
