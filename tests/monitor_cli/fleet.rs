//! `railtop top --remote … --once`: real exporters, made-up ones with known rates, and servers that mean no good.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use test_case::test_case;

use crate::export::Exporter;
use crate::exporters::{Answers, Node};
use crate::support::{fixture, railtop, stdout_of};

/// The program, which looks at others only.
fn top(args: &[&str]) -> Command {
    top_every("200ms", args)
}

fn top_every(interval: &str, args: &[&str]) -> Command {
    let mut command = railtop(Path::new("/nonexistent"));
    command.args(["--config", "", "top", "--interval", interval]).args(args);
    for name in
        ["RAILTOP_REMOTE", "RAILTOP_REMOTE_CA", "RAILTOP_REMOTE_AUTH", "SLURM_JOB_NODELIST", "SLURM_NODELIST"]
    {
        command.env_remove(name);
    }
    command
}

fn list(nodes: &[&Node]) -> String {
    nodes.iter().map(|node| node.address.to_string()).collect::<Vec<_>>().join(",")
}

fn rows(command: &mut Command) -> Vec<Value> {
    let text = stdout_of(command, 0);
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    serde_json::from_str::<Value>(&text).unwrap()["rows"].as_array().unwrap().clone()
}

fn once(nodes: &str, more: &[&str]) -> Vec<Value> {
    rows(top(&["--remote", nodes, "--once=json"]).args(more))
}

/// The row of the node at this address.
fn row<'a>(rows: &'a [Value], node: &Node) -> &'a Value {
    let name = node.address.to_string();
    rows.iter().find(|row| row["node"] == *name).expect(&name)
}

#[test]
fn rates_are_those_of_the_counters_and_the_worst_comes_first() {
    let even = Node::even(4, 4e9);
    let single = Node::new(Answers::Traffic(vec![[1e9, 8e9], [1e9, 0.0], [1e9, 0.0], [1e9, 0.0]]));
    let skewed = Node::new(Answers::Traffic(vec![[4e9, 1e9], [4e9, 1e9], [1e9, 1e9], [1e9, 1e9]]));
    // As much out of balance as can be, and nothing that anybody would feel.
    let whispers = Node::new(Answers::Traffic(vec![[9000.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]));
    let gone = Node::absent();
    let nodes = [&whispers, &even, &skewed, &gone, &single];
    let text = list(&nodes);
    let rows = once(&text, &[]);
    let order: Vec<&str> = rows.iter().map(|row| row["node"].as_str().unwrap()).collect();
    let expected =
        [gone.address, single.address, skewed.address, even.address, whispers.address].map(|a| a.to_string());
    assert_eq!(order, expected);
    let what: Vec<&Value> = rows.iter().map(|row| &row["what"]).collect();
    assert_eq!(rows[0]["state"], "no answer");
    assert!(rows[0]["reason"].as_str().unwrap().contains("connection refused"), "{:?}", rows[0]);
    assert!(
        rows[0].get("tx").is_none() && rows[0]["nics"].as_array().unwrap().is_empty(),
        "missing is not zero"
    );
    assert_eq!(what[1..], ["Rx single NIC: rdmap0s0", "Tx skewed: rdmap1s0", "balanced", "idle"]);
    let near = |value: &Value, rate: f64| {
        let value = value.as_f64().unwrap();
        assert!((value - rate).abs() <= rate * 1e-6, "{value} is not {rate}");
    };
    near(&rows[1]["rx"]["bytes_per_s"], 8e9);
    near(&rows[1]["rx"]["max_over_mean"], 4.0);
    near(&rows[2]["tx"]["max_over_mean"], 1.6);
    near(&rows[2]["nics"][3]["tx_bytes_per_s"], 1e9);
    assert_eq!(rows[1]["nics"][2]["rx_bytes_per_s"], 0.0, "zero is a number");
    assert_eq!((&rows[1]["rx"]["verdict"], &rows[3]["tx"]["active_nics"]), (&"single-nic".into(), &4.into()));
}

#[test]
fn real_exporters_are_read_as_they_are() {
    let efa = Exporter::of(&fixture("efa-p5"), &["--interval", "100ms"]);
    let mlx5 = Exporter::of(&fixture("mlx5-roce"), &["--interval", "100ms", "--no-hw-counters"]);
    let hostile = Exporter::of(&fixture("hostile"), &["--interval", "100ms"]);
    let nodes = [&efa, &mlx5, &hostile].map(|exporter| exporter.address.to_string());
    let rows = once(&nodes.join(","), &[]);
    let of = |at: usize| rows.iter().filter(|row| row["node"] == nodes[at]).collect::<Vec<_>>();
    let groups: Vec<&Value> = of(0).iter().map(|row| &row["group"]).collect();
    assert_eq!(groups, ["GPU 53:00.0", "GPU 64:00.0"], "as on the node itself");
    let nics: usize = of(0).iter().map(|row| row["nics"].as_array().unwrap().len()).sum();
    assert_eq!((nics, &of(0)[0]["tx"]["bytes_per_s"]), (8, &0.0.into()), "its counters stand still");
    assert!(of(1).iter().any(|row| row["what"].as_str().unwrap().contains("link DOWN")), "{:?}", of(1));
    assert!(!of(2).is_empty());
}

/// An exporter gives the same read to all who ask within its interval: that is no answer without a rate.
#[test]
fn an_exporter_that_reads_more_slowly_than_it_is_asked_has_rates_all_the_same() {
    let exporter = Exporter::of(&fixture("efa-p5"), &["--interval", "1s"]);
    let rows = once(&exporter.address.to_string(), &[]);
    assert_eq!(rows.len(), 2, "{rows:?}");
    for row in &rows {
        assert_eq!(row["tx"]["bytes_per_s"], 0.0, "{row}");
    }
}

#[test]
fn only_what_is_wanted_is_shown_and_nothing_of_it_is_no_answer() {
    let node = Node::even(4, 4e9);
    let rows = once(&list(&[&node]), &["--device", "rdmap[12]s0,rdmap2s0", "--line-rate", "rdmap*=200gbit"]);
    let nics: Vec<&Value> = rows[0]["nics"].as_array().unwrap().iter().map(|nic| &nic["dev"]).collect();
    assert_eq!(nics, ["rdmap2s0"]);
    for flags in [["--device", "mlx5_*"], ["--source", "netlink"]] {
        let text = stdout_of(top(&["--remote", &list(&[&node]), "--once"]).args(flags), 3);
        assert!(text.contains("none of its NICs is wanted"), "{text}");
    }
}

#[test]
fn a_node_that_sees_no_nic_comes_first_and_alone_is_an_error() {
    let page = "railtop_build_info 1\nrailtop_last_read_timestamp_seconds 5\n";
    let (blind, good) = (Node::new(Answers::Text(page.into())), Node::even(2, 1e9));
    let rows = once(&list(&[&good, &blind]), &[]);
    assert_eq!((&rows[0]["node"], &rows[0]["state"]), (&blind.address.to_string().into(), &"live".into()));
    assert!(rows[0]["reason"].as_str().unwrap().contains("sees no RDMA device"), "{rows:?}");
    let text = stdout_of(&mut top(&["--remote", &list(&[&blind]), "--once"]), 3);
    assert!(text.contains("sees no RDMA device"), "{text}");
}

#[test]
fn who_means_no_good_is_a_row_and_holds_up_nobody() {
    let good = Node::even(8, 1e9);
    let escapes = "railtop_last_read_timestamp_seconds 5\nrdma_device_info{device=\"\u{1b}[2J\u{202e}\",port=\"1\",driver=\"\u{7}\",source=\"sysfs\"} 1\n";
    let odd = [
        (Answers::Slowly, "no answer within"),
        (Answers::Endlessly, "longer than 8 MiB"),
        (Answers::Text(vec![0xff; 100_000]), "no text"),
        (Answers::Text(b"\x1b[31m<html>".to_vec()), "no railtop exporter"),
        (Answers::Text(b"railtop_build_info 1\n".repeat(30_000)), "does not say when"),
        (Answers::Raw(b"\x1b]0;title\x07\x1b[2J\r\n\r\n"), "no HTTP"),
        (Answers::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"), "no HTTP"),
        (
            Answers::Raw(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
            "HTTP status 302",
        ),
        (Answers::Raw(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), "--remote-auth FILE"),
        (Answers::Raw(b""), "no HTTP"),
    ];
    let bad: Vec<(Node, &str)> = odd.into_iter().map(|(answers, why)| (Node::new(answers), why)).collect();
    let controls = Node::new(Answers::Text(escapes.as_bytes().to_vec()));
    let nodes: Vec<&Node> = bad.iter().map(|(node, _)| node).chain([&good, &controls]).collect();
    let begun = Instant::now();
    // What has no bound would end here, and not the machine's memory.
    let mut command = Command::new("sh");
    // A node has as long as that to answer: enough for what is long, also where others are at work.
    let inner = top_every("6s", &["--remote", &list(&nodes), "--once=json"]);
    command
        .args(["-c", "ulimit -v 1500000; exec \"$0\" \"$@\""])
        .arg(inner.get_program())
        .args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let rows = rows(&mut command);
    // It gives up after some seconds; those that never end would hold it up for ever.
    assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", begun.elapsed());
    for (node, why) in &bad {
        let row = row(&rows, node);
        assert_eq!(row["state"], "no answer", "{row}");
        assert!(row["reason"].as_str().unwrap().contains(why), "{row} does not say {why}");
    }
    let rate = row(&rows, &good)["tx"]["bytes_per_s"].as_f64().unwrap();
    assert!((rate - 8e9).abs() < 8e3, "{rate}");
    assert_eq!(row(&rows, &controls)["nics"][0]["dev"], "\u{fffd}[2J\u{fffd}");
}

#[test_case(&["--remote", "a[1-", "--once"], 2, "brackets"; "no list")]
#[test_case(&["--remote", "", "--once"], 2, "names no node"; "an empty list")]
#[test_case(&["--remote", "https://u:p@h", "--once"], 2, "--remote-auth FILE"; "a password where all can read it")]
#[test_case(&["--once"], 2, "--once goes with --remote"; "once without nodes")]
#[test_case(&["--remote", "127.0.0.1:1"], 2, "terminal"; "no terminal")]
#[test_case(&["--remote", "127.0.0.1:1", "--once"], 3, "none of the nodes has answered"; "nobody there")]
#[test_case(&["--remote", "h", "--once", "--remote-auth", "/nonexistent"], 1, "cannot read user and password in /nonexistent"; "no password")]
#[test_case(&["--remote", "https://h", "--once", "--remote-ca", "/nonexistent"], 1, "cannot read the authorities in /nonexistent"; "no authorities")]
#[test_case(&["--remote", "h:22", "--via", "srun", "--once"], 2, "has no port"; "a port for srun")]
#[test_case(&["--nodes-from-slurm", "--once"], 2, "SLURM_JOB_NODELIST"; "no job")]
#[test_case(&["--nodes-from-slurm", "12;id", "--once"], 2, "is no number of a job"; "no number of a job")]
#[test_case(&["--remote", "h", "--record", "f"], 2, "cannot be used with"; "no recording")]
fn what_cannot_be_is_said_with_the_right_code(args: &[&str], code: i32, why: &str) {
    let output = top(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(why), "{said}");
}

#[test]
fn tls_and_passwords() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) =
        (file("cert.pem", &made.cert.pem()), file("key.pem", &made.signing_key.serialize_pem()));
    // Of cost 4: "ops" and "s3cret".
    let users = file("users", &format!("ops:{}\n", bcrypt_of("s3cret")));
    let exporter = Exporter::of(
        &fixture("efa-p5"),
        &["--tls-cert", &cert, "--tls-key", &key, "--auth-file", &users, "--interval", "100ms"],
    );
    let node = format!("https://localhost:{}", exporter.address.port());
    let (right, wrong) = (file("right", "ops:s3cret\n"), file("wrong", "ops:secret\n"));
    let rows = once(&node, &["--remote-ca", &cert, "--remote-auth", &right]);
    assert_eq!((rows.len(), &rows[0]["state"]), (2, &"live".into()), "{rows:?}");
    let refused = |more: &[&str]| {
        let text = stdout_of(top(&["--remote", &node, "--once"]).args(more), 3);
        text.lines().nth(1).unwrap().to_owned()
    };
    assert!(refused(&["--remote-ca", &cert]).contains("wants user and password"));
    assert!(refused(&["--remote-ca", &cert, "--remote-auth", &wrong]).contains("wants user and password"));
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = file("other.pem", &other.cert.pem());
    assert!(refused(&["--remote-ca", &other, "--remote-auth", &right]).contains("TLS: "));
    // Nothing is sent to where others could read it: TEST-NET-1 is nobody's.
    let plain =
        stdout_of(top(&["--remote", "192.0.2.1", "--once", "--remote-auth", &right]).env("X", "1"), 3);
    assert!(plain.contains("over https only"), "{plain}");
}

fn bcrypt_of(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

/// A program called `name` in `dir` that does this.
fn program(dir: &Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = dir.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// As ssh does it, but on this machine: what stands behind the host is run, with the terminal closed.
#[test]
fn nodes_without_an_exporter_are_asked_by_ssh_and_nothing_stays_behind() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().display();
    let ssh = format!(
        "while [ \"$1\" != -- ]; do case $1 in BatchMode=yes) batch=1 ;; esac; shift; done
         echo $$ >>{here}/pids
         case $batch,$2 in
         ,*) echo 'asks for a password' >&2; exit 1 ;;
         *,shut) printf 'x\\nshut: Permission denied\\033[2J (publickey).\\n' >&2; exit 255 ;;
         *,mute) exec sleep 1000 ;;
         esac
         shift 3
         RAILTOP_SYSFS_ROOT={fixture} RAILTOP_PAGE_DIR={here}/none exec {railtop} \"$@\"",
        fixture = fixture("mlx5-roce").display(),
        railtop = assert_cmd::cargo::cargo_bin!("railtop").display(),
    );
    program(dir.path(), "ssh", &ssh);
    let path = format!("{here}:{}", std::env::var("PATH").unwrap());
    let rows = rows(
        top(&["--remote", "gpu1,shut,mute,ssh://ops@gpu2", "--via", "ssh", "--once=json"]).env("PATH", path),
    );
    let of = |node: &str| rows.iter().find(|row| row["node"] == node).unwrap();
    assert_eq!(of("shut")["reason"], "shut: Permission denied\u{fffd}[2J (publickey).");
    assert_eq!((&of("mute")["state"], &of("mute")["place"]), (&"asked".into(), &"ssh://mute".into()));
    assert_eq!(of("mute")["reason"], "it has not answered so far");
    let first: Vec<&Value> = rows.iter().take(2).map(|row| &row["node"]).collect();
    assert!(first.contains(&&"mute".into()) && first.contains(&&"shut".into()), "the worst first: {rows:?}");
    for (node, place) in [("gpu1", "ssh://gpu1"), ("gpu2", "ssh://ops@gpu2")] {
        let row = of(node);
        assert_eq!((&row["place"], &row["state"]), (&place.into(), &"live".into()), "{rows:?}");
        assert_eq!(row["tx"]["bytes_per_s"], 0.0, "counters that stand still");
        assert!(row["what"].as_str().unwrap().contains("link DOWN"), "{row}");
    }
    let pids = std::fs::read_to_string(dir.path().join("pids")).unwrap();
    assert!(pids.lines().count() >= 4, "{pids}");
    for pid in pids.lines() {
        assert!(!Path::new("/proc").join(pid).exists(), "{pid} goes on");
    }
}

#[test]
fn nodes_of_a_job() {
    let (one, two) = (Node::even(2, 1e9), Node::even(2, 1e9));
    let nodes = list(&[&one, &two]);
    let rows_inside = rows(top(&["--nodes-from-slurm", "--once=json"]).env("SLURM_JOB_NODELIST", &nodes));
    assert_eq!(rows_inside.len(), 2);
    // Slurm's own program is asked for other jobs; what it would say is in tests/slurm.
    let dir = tempfile::tempdir().unwrap();
    let squeue = |script: &str| program(dir.path(), "squeue", script);
    let ask = || {
        let mut command = top(&["--nodes-from-slurm", "77_1", "--once=json"]);
        command.env("PATH", dir.path());
        command
    };
    squeue(&format!("[ \"$5\" = 77_1 ] && echo '{}' && echo '{}'", one.address, two.address));
    assert_eq!(rows(&mut ask()).len(), 2);
    for (script, why) in [
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", "Invalid job id specified"),
        ("exit 0", "has no nodes"),
    ] {
        squeue(script);
        let output = ask().output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(why), "{said}");
    }
}
