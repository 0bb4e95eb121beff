//! `tests/gpu/run.sh` says which goals are met, and fails when one is not: with programs that print what is to be judged.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of this text.
fn program(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Rates of 32 blocks and of one, in M/s, what a kernel's put costs more, also from a ring of its own, in us, and GB/s over one NIC and over four.
struct Figures {
    many: &'static str,
    one: &'static str,
    more: &'static str,
    own: &'static str,
    nics: [&'static str; 2],
}

const GOOD: Figures =
    Figures { many: "10.00", one: "2.31", more: "2.9", own: "1.5", nics: ["0.124", "0.496"] };

/// The verdicts of `run.sh ring lab` on them, and whether it has failed.
fn judge(figures: &Figures) -> (Vec<String>, bool) {
    let dir = tempfile::tempdir().unwrap();
    let Figures { many, one, more, own, nics: [single, all] } = figures;
    // As `benches/transport` pads its rows. Those of other numbers of rings are not judged.
    let row = |what: &str, value: &str| format!("echo '{what:<52} {value:>14}   >= 1             met'");
    let rows = [
        row("GPU, 8 B put-signal, 32 blocks of 256, rings: 1", "99.00 M/s"),
        row("GPU, 8 B put-signal, 1 blocks of 256, rings: 4", &format!("{one} M/s")),
        row("GPU, 8 B put-signal, 32 blocks of 256, rings: 4", &format!("{many} M/s")),
        row("    more than from the host", &format!("{more} us")),
        row("    more than from the host, own ring", &format!("{own} us")),
    ];
    let bench = program(dir.path(), "bench", &rows.join("\n"));
    let railtop = format!(
        "case \"$*\" in *single*) bw={single} ;; *) bw={all} ;; esac\n\
         echo '{{\"type\":\"row\",\"bw_gb_per_s\":'$bw',\"x\":1}}'"
    );
    let railtop = program(dir.path(), "railtop", &railtop);
    let output = Command::new("bash")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gpu/run.sh"))
        .args([&railtop, &bench, &bench])
        .args(["ring", "lab"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let table = text.split_once("== goals\n").expect("a table of goals").1;
    let verdicts = table.lines().filter_map(|line| line.split_whitespace().next_back());
    (verdicts.take(5).map(str::to_owned).collect(), !output.status.success())
}

#[test]
fn goals_that_are_met_are_said_so() {
    assert_eq!(judge(&GOOD), (vec!["met".to_owned(); 5], false));
}

#[test]
fn each_goal_that_is_missed_makes_it_fail() {
    let cases = [
        (0, Figures { many: "9.99", ..GOOD }),
        (1, Figures { one: "1.99", ..GOOD }),
        (2, Figures { more: "3.1", ..GOOD }),
        (3, Figures { own: "3.1", ..GOOD }),
        (4, Figures { nics: ["0.124", "0.470"], ..GOOD }),
        // What was not measured is not met.
        (0, Figures { many: "-", ..GOOD }),
        (4, Figures { nics: ["", "0.496"], ..GOOD }),
    ];
    for (missed, figures) in cases {
        let mut wanted = vec!["met"; 5];
        wanted[missed] = "MISSED";
        let (verdicts, failed) = judge(&figures);
        assert_eq!(verdicts, wanted);
        assert!(failed, "goal {missed} is missed");
    }
}
