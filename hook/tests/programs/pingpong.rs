//! `fi_pingpong` of libfabric's own package, between two processes.

use std::process::Command;

use crate::listener::wait_for;
use crate::port::Port;
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
    // Its server sets SO_REUSEADDR (libfabric's util/pingpong.c), so it may listen where this is bound.
    let reserved = Port::reserve();
    let number = reserved.address.port();
    let port = number.to_string();
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
    wait_for(number);
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
