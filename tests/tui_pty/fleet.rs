//! Many nodes on one screen: as they come, go and hang, and what it costs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize};

use crate::exporters::{Answers, Node};
use crate::session::{Session, cells, railtop_in};

/// The screen of these nodes.
pub(crate) fn top(dir: &Path, interval: &str, nodes: &[&Node]) -> CommandBuilder {
    let mut command = railtop_in(dir);
    command.env("RAILTOP_INTERVAL", interval);
    command.args(["--config", "", "top", "--remote"]);
    command.arg(nodes.iter().map(|node| node.address.to_string()).collect::<Vec<_>>().join(","));
    command
}

#[test]
fn nodes_come_go_and_hang_and_the_others_go_on() {
    let dir = tempfile::tempdir().expect("a directory");
    let even = Node::even(4, 4e9);
    let single = Node::new(Answers::Traffic(vec![[8e9, 1e9], [0.0, 1e9], [0.0, 1e9], [0.0, 1e9]]));
    let dies = Node::even(4, 2e9);
    let hangs = Node::new(Answers::Slowly);
    let mut session = Session::start_command(top(dir.path(), "200ms", &[&even, &single, &dies, &hangs]));
    let line = |screen: &vt100::Screen, node: &str| {
        screen.contents().lines().find(|line| line.contains(node)).unwrap_or_default().to_owned()
    };
    let (of_even, of_single, of_dead, of_hung) = (
        even.address.to_string(),
        single.address.to_string(),
        dies.address.to_string(),
        hangs.address.to_string(),
    );
    session.wait_for("verdicts", |screen| {
        line(screen, &of_single).contains("Tx single NIC") && line(screen, &of_even).contains("balanced")
    });
    session.wait_for("one that hangs", |screen| line(screen, &of_hung).contains("no answer"));
    session.wait_for("rates", |screen| line(screen, &of_even).contains("128.0"));
    drop(dies);
    session.wait_for("one that is lost", |screen| {
        let line = line(screen, &of_dead);
        line.contains("lost") && line.contains("connection")
    });
    // The worst first: who says nothing, then who shares nothing, then the rest. One that was late for once is no exception for long.
    session.wait_for("the worst first", |screen| {
        let text = screen.contents();
        let place = |node: &str| text.lines().position(|line| line.contains(node));
        let bad = place(&of_dead).zip(place(&of_hung)).map(|(dead, hung)| dead.max(hung));
        bad.is_some()
            && bad < place(&of_single)
            && place(&of_single) < place(&of_even)
            && text.contains("2 without numbers")
    });
    session.type_keys(b"/balanced\r");
    session.wait_for("a filter", |screen| {
        line(screen, &of_single).is_empty() && !line(screen, &of_even).is_empty()
    });
    session.type_keys(b"\r");
    session.wait_for_text("rdmap3s0");
    session.wait_for_text("asked at");
    session.type_keys(b"\x1b");
    session.wait_for("the list", |screen| !screen.contents().contains("asked at"));
    session.type_keys(b"3");
    session.wait_for_text("not told by other nodes");
    session.type_keys(b"\x1b");
    session.wait_for("all nodes", |screen| !line(screen, &of_single).is_empty());
    session.type_keys(b"1");
    session.wait_for_text("%|m/m");
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
    session.assert_restored("");
}

#[test]
fn unknown_names_and_no_node_at_all_are_rows_and_the_screen_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let gone = Node::absent();
    let mut command = top(dir.path(), "200ms", &[&gone]);
    command.args(["--nodes-from-slurm"]);
    command.env("SLURM_JOB_NODELIST", "no-such-node-[1-3]");
    let mut session = Session::start_command(command);
    session.wait_for_text("no answer");
    session.wait_for_text("connection refused");
    session.wait_for_text("no-such-node-3");
    session.wait_for_text("4 without numbers");
    session.type_keys(b"q");
    assert_eq!(session.exit_status().exit_code(), 0);
}

/// Time of the processor that a process has used, user and system, in seconds.
fn used(id: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).expect("a number");
    // The 14th and 15th, counted from 1 and with the two before the bracket.
    (ticks(11) + ticks(12)) / 100.0
}

/// Run by hand, on the program that `RAILTOP_COST_OF` names (docs/fleet.md has the line): a build for tests says nothing of what
/// it costs.
#[test]
#[ignore = "measures the processor's time that a release build takes"]
fn sixty_four_nodes_cost_less_than_a_twentieth_of_a_core() {
    const NODES: usize = 64;
    const SECONDS: u64 = 20;
    let dir = tempfile::tempdir().expect("a directory");
    let nodes: Vec<Node> = (0..NODES)
        .map(|n| {
            if n % 8 == 0 {
                Node::new(Answers::Traffic([[8e9, 8e9], [0.0, 0.0]].repeat(4)))
            } else {
                Node::even(8, 4e9)
            }
        })
        .collect();
    let program = std::env::var_os("RAILTOP_COST_OF").expect("RAILTOP_COST_OF names a release build");
    let mut command = top(dir.path(), "1s", &nodes.iter().collect::<Vec<_>>());
    command.get_argv_mut()[0] = program;
    let session = Session::start_command(command);
    session
        .pty
        .master
        .resize(PtySize { rows: 60, cols: 200, pixel_width: 0, pixel_height: 0 })
        .expect("a size");
    session.output.lock().expect("no panic").screen_mut().set_size(cells(60), cells(200));
    session.wait_for_text("64 nodes");
    session.wait_for_text("skewed");
    std::thread::sleep(Duration::from_secs(3));
    let id = session.child.process_id().expect("it runs");
    let asked =
        || nodes.iter().map(|node| node.requests.load(std::sync::atomic::Ordering::SeqCst)).sum::<usize>();
    let (before, begun, asked_before) = (used(id), Instant::now(), asked());
    std::thread::sleep(Duration::from_secs(SECONDS));
    let (took, share) = (begun.elapsed().as_secs_f64(), used(id) - before);
    let pages = (asked() - asked_before) as f64 / took;
    println!("{NODES} nodes, {pages:.1} pages/s: {:.2} % of a core over {took:.1} s", share / took * 100.0);
    assert!(pages > 0.9 * NODES as f64, "{pages} pages a second are not all nodes at 1 Hz");
    assert!(share / took < 0.05, "{share} s in {took} s");
}
