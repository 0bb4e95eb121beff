//! `fi_pingpong` of libfabric's own package, between two processes.

use std::process::Command;

use crate::support::{HOOK, Stage, Way, run};

/// Rounds, and bytes of a message.
const ROUNDS: u64 = 100;
const BYTES: u64 = 1024;
/// Before the rounds, the two synchronise with a message of 4 bytes each.
const SYNC: (u64, u64) = (1, 4);

#[test]
fn both_sides_of_a_ping_pong_are_counted_exactly() {
    if Command::new("fi_pingpong").arg("-h").output().is_err() {
        return println!("skipped: no fi_pingpong (package libfabric-bin)");
    }
    let cases = [("tcp;ofi_rxm", "rdm"), ("net", "rdm"), ("tcp", "msg")];
    for (provider, kind) in cases {
        for way in [HOOK, Way::Preload, Way::Hook("noop;railtop")] {
            exact(provider, kind, way);
        }
    }
}

fn exact(provider: &str, kind: &str, way: Way) {
    let stage = Stage::new();
    let port = free_port().to_string();
    let arguments = ["-p", provider, "-e", kind, "-I", &ROUNDS.to_string(), "-S", &BYTES.to_string()];
    let mut server = stage
        .command("fi_pingpong", way)
        .args(arguments)
        .args(["-B", &port])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // The client tries for a while, but gives up when nobody listens.
    let mut client = stage.command("fi_pingpong", way);
    client.args(arguments).args(["-P", &port, "127.0.0.1"]);
    wait_for_listener(port.parse().unwrap());
    run(&mut client);
    assert!(server.wait().unwrap().success());
    let pages = stage.pages();
    assert_eq!(pages.len(), 2, "{provider} {way:?}");
    let each = (ROUNDS + SYNC.0, ROUNDS * BYTES + SYNC.1);
    for page in &pages {
        assert_eq!(page.totals(), [each; 2], "{provider} {kind} {way:?}");
        assert_eq!(page.identity.provider, provider);
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until somebody listens on a port, without connecting to it: the server takes one connection only.
fn wait_for_listener(port: u16) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let port = format!(":{port:04X}");
    while std::time::Instant::now() < end {
        let listens = ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
            std::fs::read_to_string(table).unwrap_or_default().lines().any(|line| {
                let words: Vec<_> = line.split_whitespace().collect();
                words.len() > 3 && words[1].ends_with(&port) && words[3] == "0A"
            })
        });
        if listens {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("fi_pingpong does not listen on {port}");
}
