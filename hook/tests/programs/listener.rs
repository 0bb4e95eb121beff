//! Waits for a server that takes one connection only: without connecting to it.

use std::time::{Duration, Instant};

/// Longer than a server takes to start on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Returns when somebody listens on a TCP port.
///
/// # Panics
/// If nobody does for a minute.
pub fn wait_for(port: u16) {
    let end = Instant::now() + LIMIT;
    while !listens(port) {
        assert!(Instant::now() < end, "nobody has listened on port {port} for {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn listens(port: u16) -> bool {
    const LISTEN: &str = "0A";
    let port = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|table| {
        std::fs::read_to_string(table).unwrap_or_default().lines().any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            words.len() > 3 && words[1].ends_with(&port) && words[3] == LISTEN
        })
    })
}
