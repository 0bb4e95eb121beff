//! `railtop report` and `railtop compare` from outside, and the page in a real browser.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::Command;

use assert_cmd::prelude::*;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::json;
use tempfile::TempDir;

fn railtop() -> Command {
    Command::new(env!("CARGO_BIN_EXE_railtop"))
}

/// Results of two policies: the one that piles up, and the one that does not, which is `factor` times as fast as it was.
fn results(factor: f64) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut lines = Vec::new();
    for (policy, rate, ratio, received) in [
        ("round-robin", 0.011, 4.0, [4000, 0, 0, 0]),
        ("pair-seq", 0.043 * factor, 1.0, [1000, 1000, 1000, 1000]),
    ] {
        lines.push(json!({
            "type": "run", "policy": policy, "host": "node-a", "command": ["railtop", "bench", "alltoall"],
            "nodes": 2, "pes": 2, "nics_per_pe": 4, "nic_bits_per_s": 50_000_000,
        }));
        for (size, share) in [(1 << 20, 0.9), (4 << 20, 1.0)] {
            lines.push(json!({
                "type": "row", "bench": "alltoall", "policy": policy, "size": size, "iters": 5,
                "latency_us": f64::from(size) / (rate * share) / 1e3, "busbw_gb_per_s": rate * share,
            }));
        }
        for pe in 0..2 {
            lines.extend(received.iter().enumerate().map(|(nic, rx)| {
                json!({
                    "type": "nic", "policy": policy, "pe": pe, "node": format!("node{pe}"), "nic": format!("nic{nic}"),
                    "tx_bytes": 1000, "rx_bytes": rx, "tx_ops": 1, "rx_ops": 1,
                })
            }));
        }
        lines.push(json!({
            "type": "balance", "policy": policy, "direction": "rx", "max_over_mean": ratio, "active_nics": 1, "nics": 4,
        }));
    }
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    fs::write(dir.path().join("run.jsonl"), lines.join("\n")).unwrap();
    dir
}

/// Rows of `bench moe`: two phases, one put at a time and gathered.
fn moe() -> String {
    let row = |phase: &str, batch: &str, tokens: u64, us: f64| {
        let size = tokens * 8 * 7392;
        let row = json!({
            "type": "row", "bench": "moe", "policy": "pair-seq", "phase": phase, "experts": 256, "topk": 8, "dim": 7168,
            "tokens": tokens, "batch": batch, "size": size, "iters": 5, "latency_us": us, "bw_gb_per_s": size as f64 / us / 1e3,
        });
        row.to_string()
    };
    let rows = ["dispatch", "combine"].map(|phase| {
        [row(phase, "off", 1, 100.0), row(phase, "off", 128, 7000.0), row(phase, "auto", 128, 3500.0)]
            .join("\n")
    });
    rows.join("\n")
}

#[test]
fn moe_has_a_table_for_each_phase_and_is_compared_by_phase_and_tokens() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("moe.jsonl"), moe()).unwrap();
    let text = railtop().args(["report", "--format", "text"]).arg(dir.path()).assert().success();
    text.stdout(contains("MoE with 256 experts, 8 per token, dim 7168").and(contains("dispatch")))
        .stdout(contains("pair-seq, batched, us"))
        .stdout(predicates::str::is_match(r"(?m)^128 +1\.08 +7000 +2\.16 +3500$").unwrap());
    let after = tempfile::tempdir().unwrap();
    let slower = moe().replacen("\"latency_us\":7000.0", "\"latency_us\":7000.5", 1);
    assert_ne!(slower, moe());
    let slower: Vec<&str> = slower.lines().filter(|line| !line.contains("combine")).collect();
    fs::write(after.path().join("moe.jsonl"), slower.join("\n")).unwrap();
    railtop().arg("compare").arg(dir.path()).arg(after.path()).assert().code(1).stdout(
        contains("moe dispatch E 256 topk 8 dim 7168 tokens 128")
            .and(contains("0 slower, 3 gone, 3 the same")),
    );
}

#[test]
fn the_text_has_the_figures() {
    let dir = results(1.0);
    railtop()
        .args(["report", "--format", "text"])
        .arg(dir.path())
        .assert()
        .success()
        .stdout(contains("All-to-all: 2 nodes, 2 PEs, 4 NICs each of 50.0 Mb/s (busbw, GB/s)"))
        .stdout(contains("4 MiB       0.0110    0.0430"))
        .stdout(contains("alltoall round-robin, 2 nodes, 2 PEs").and(contains("4.00")))
        .stdout(contains("railtop bench alltoall"));
}

#[test]
fn a_file_that_is_there_is_kept_and_nothing_to_report_is_said() {
    let dir = results(1.0);
    let page = dir.path().join("report.html");
    let report = || {
        let mut command = railtop();
        command.arg("report").arg(dir.path()).arg("-o").arg(&page);
        command
    };
    report().assert().success();
    assert!(fs::read_to_string(&page).unwrap().starts_with("<!DOCTYPE html>"));
    report().assert().code(1).stderr(contains("is there already").and(contains("--force")));
    report().arg("--force").assert().success();
    let empty = tempfile::tempdir().unwrap();
    railtop().arg("report").arg(empty.path()).assert().code(3).stderr(contains("has no results"));
    // Files that gave nothing are named, each with its reason.
    fs::write(empty.path().join("bad.jsonl"), "what is this\n").unwrap();
    fs::write(empty.path().join("cut.rec"), "railtop").unwrap();
    fs::write(empty.path().join("empty.jsonl"), "").unwrap();
    fs::write(empty.path().join("red\u{1b}[31m\nforged.rec"), "another kind of file").unwrap();
    railtop()
        .arg("report")
        .arg(empty.path())
        .assert()
        .code(3)
        .stderr(contains("has no results").and(contains("\n  bad.jsonl: ")).and(contains("\n  cut.rec: ")))
        .stderr(contains("\n  empty.jsonl: no result in it"))
        .stderr(
            contains("another kind of file").and(contains("\u{1b}").not()).and(contains("\nforged").not()),
        );
    // Every message goes the same way: what a user names is no more trusted than what a directory holds.
    let gone = empty.path().join("red\u{1b}[31m");
    railtop().arg("compare").arg(&gone).arg(&gone).assert().code(1).stderr(contains("\u{1b}").not());
    railtop().arg("replay").arg(&gone).assert().code(1).stderr(contains("\u{fffd}[31m"));
    let page = gone.join("page.html");
    railtop()
        .arg("report")
        .arg(dir.path())
        .arg("-o")
        .arg(&page)
        .assert()
        .code(1)
        .stderr(contains("\u{1b}").not());
    railtop().arg("report").arg(empty.path().join("gone")).assert().code(1).stderr(contains("cannot read"));
}

#[test]
fn what_has_become_slower_or_is_gone_is_exit_code_1() {
    let (before, slower, same) = (results(1.0), results(0.8), results(0.97));
    let compare = |after: &Path| {
        let mut command = railtop();
        command.arg("compare").arg(before.path()).arg(after);
        command
    };
    compare(same.path()).assert().success().stdout(contains("0 slower, 0 gone, 4 the same"));
    compare(slower.path()).assert().code(1).stdout(contains("SLOWER").and(contains("2 slower")));
    compare(slower.path()).args(["--threshold", "30%"]).assert().success();
    compare(slower.path()).args(["--threshold", "x"]).assert().code(2).stderr(contains("not a share"));
    let part = tempfile::tempdir().unwrap();
    let lines = fs::read_to_string(before.path().join("run.jsonl")).unwrap();
    let kept: Vec<&str> = lines.lines().filter(|line| !line.contains("pair-seq")).collect();
    fs::write(part.path().join("run.jsonl"), kept.join("\n")).unwrap();
    compare(part.path()).assert().code(1).stdout(contains("GONE"));
    compare(part.path()).arg("--allow-gone").assert().success();
    let other = lines.replace("\"nodes\":2", "\"nodes\":4");
    fs::write(part.path().join("run.jsonl"), other).unwrap();
    compare(part.path()).assert().code(3).stderr(contains("no row in common"));
}

/// A browser as people have it, without a window; `None`, and said, where there is none.
fn chromium() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success()));
    if found.is_none() {
        eprintln!("skipped: no Chromium");
    }
    found
}

/// What the browser says and shows of the page.
fn browse(browser: &str, page: &Path, arguments: &[&str]) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("timeout")
        .args(["600", browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .args(["--enable-logging=stderr", "--disable-dev-shm-usage", "--window-size=1100,2400"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("it was there a moment ago");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// A picture's pixels, three bytes each.
fn pixels(path: &Path) -> Vec<[u8; 3]> {
    let decoder = png::Decoder::new(std::io::BufReader::new(fs::File::open(path).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let each = info.color_type.samples();
    bytes[..info.buffer_size()].chunks_exact(each).map(|p| [p[0], p[1], p[2]]).collect()
}

#[test]
fn a_browser_shows_the_page_in_light_and_dark_and_complains_of_nothing() {
    let Some(browser) = chromium() else { return };
    let dir = results(1.0);
    fs::write(dir.path().join("moe.jsonl"), moe()).unwrap();
    let page = dir.path().join("report.html");
    railtop().arg("report").arg(dir.path()).arg("-o").arg(&page).assert().success();

    let (dom, log) = browse(browser, &page, &["--dump-dom"]);
    assert!(!log.contains("CONSOLE"), "{log}");
    // What a browser has made of it is what was meant: nothing moved out of a table or closed early.
    for part in [
        "id=\"speed-0\"",
        "id=\"balance\"",
        "id=\"nics\"",
        "id=\"runs\"",
        "aria-label=\"All-to-all",
        "aria-label=\"MoE with 256 experts",
    ] {
        assert!(dom.contains(part), "{part}");
    }
    assert_eq!(dom.matches("<table>").count(), 7, "a chart's, two of NICs, two of MoE, balance, runs");
    assert_eq!(dom.matches("<figure").count(), 5);

    let blue = [0x3b, 0x82, 0xc4];
    for (scheme, paper) in [("1", [0xff; 3]), ("0", [0x0d, 0x11, 0x17])] {
        let picture = dir.path().join(format!("{scheme}.png"));
        let argument = format!("--screenshot={}", picture.display());
        browse(browser, &page, &[&argument, &format!("--blink-settings=preferredColorScheme={scheme}")]);
        let pixels = pixels(&picture);
        assert_eq!(pixels[0], paper, "the page's own paper");
        let of = |wanted: [u8; 3]| pixels.iter().filter(|pixel| **pixel == wanted).count();
        // Bars of one colour are large; ink on paper is everywhere.
        assert!(of(blue) > 2000, "{} blue pixels", of(blue));
        let ink = if scheme == "1" { [0x1b, 0x1f, 0x24] } else { [0xe6, 0xed, 0xf3] };
        assert!(of(ink) > 500, "{} of ink", of(ink));
    }
}
