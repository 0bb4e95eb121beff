//! This test program in another role: as the process of a lab, or as a PE that makes traffic.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use railtop::lab::{Lab, LabCommand, LabError, LabMode, RunOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::{shell, spec};

const ROLE: &str = "RAILTOP_TEST_ROLE";
/// A lab's exit code where the machine allows none.
pub(crate) const SKIPPED: i32 = 77;

/// Not a test: what the processes made by [`lab_process`] and [`traffic`] run.
#[test]
#[ignore = "run by other tests"]
fn play() {
    let role = std::env::var(ROLE).unwrap_or_default();
    match role.split_once(' ') {
        Some(("namespaces", script)) => lab(LabMode::Namespaces, script),
        Some(("loopback", script)) => lab(LabMode::Loopback, script),
        Some(("send", flows)) => run_tokio(send_all(flows)),
        Some(("receive", count)) => run_tokio(receive_all(count.parse().unwrap())),
        _ => eprintln!("skipped: only a role for other tests"),
    }
}

const ARGS: [&str; 5] = ["--exact", "role::play", "--ignored", "--nocapture", "--test-threads=1"];

/// A process that builds a lab of 2 nodes x 1 PE x 1 NIC and runs `script` on it.
pub(crate) fn lab_process(program: &Path, mode: LabMode, script: &str) -> Command {
    let mode = if mode == LabMode::Loopback { "loopback" } else { "namespaces" };
    let mut command = Command::new(program);
    command.args(ARGS).env(ROLE, format!("{mode} {script}"));
    command
}

/// A PE that plays `send FROM>TO,…` on rank 0 or `receive COUNT` on the others.
pub(crate) fn traffic(flows: &[(SocketAddr, SocketAddr)]) -> LabCommand {
    let list: Vec<_> = flows.iter().map(|(from, to)| format!("{from}>{to}")).collect();
    let program = std::env::current_exe().unwrap();
    let script = r#"if [ "$RANK" = 0 ]; then R="send $0"; else R="receive $1"; fi; shift
        RAILTOP_TEST_ROLE=$R exec "$@""#;
    let mut command = shell(script);
    command.args.extend([list.join(","), flows.len().to_string()].map(Into::into));
    command.args.push(program.into());
    command.args.extend(ARGS.map(Into::into));
    command
}

fn lab(mode: LabMode, script: &str) {
    // The test harness has begun a line.
    println!();
    let spec = railtop::lab::LabSpec { mode, ..spec(2, 1, 1) };
    let code = match Lab::up(spec).and_then(|mut lab| lab.run(&shell(script), RunOptions::default())) {
        Ok(outcome) => i32::from(outcome.exit_code()),
        Err(LabError::NotPermitted { .. } | LabError::ToolMissing(_)) => SKIPPED,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    };
    std::process::exit(code);
}

fn run_tokio(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future);
}

/// From a flow's start until counting begins, so that the first burst does not count.
const WARM_UP: Duration = Duration::from_millis(300);

/// Sends over every flow until both sides have counted; prints what each NIC has sent in between.
async fn send_all(flows: &str) {
    let mut senders = tokio::task::JoinSet::new();
    let (counted, seen) = tokio::sync::watch::channel(());
    for flow in flows.split(',') {
        let (from, to) = flow.split_once('>').unwrap();
        let stream = connect(from.parse().unwrap(), to.parse().unwrap()).await;
        senders.spawn(send(stream, seen.clone()));
    }
    report("tx").await;
    drop(counted);
    senders.join_all().await;
}

/// Sends until this side has counted, and the other has said with a byte that it has.
async fn send(stream: TcpStream, mut counted: tokio::sync::watch::Receiver<()>) {
    let block = vec![7u8; 64 << 10];
    let (mut from, mut to) = stream.into_split();
    let flood = async { while to.write_all(&block).await.is_ok() {} };
    let both = async {
        let _ended = counted.changed().await;
        from.read_u8().await.unwrap();
    };
    tokio::select! {
        () = flood => panic!("the other side has gone"),
        () = both => {}
    }
}

/// Connects once the other side listens, from exactly the address given.
async fn connect(from: SocketAddr, to: SocketAddr) -> TcpStream {
    for _ in 0..12_000 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(from).unwrap();
        match socket.connect(to).await {
            Ok(stream) => return stream,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    panic!("nobody listens at {to}");
}

/// Receives `count` flows, on any of its addresses, and prints what each NIC has received meanwhile.
async fn receive_all(count: usize) {
    let listener = TcpListener::bind("0.0.0.0:7000").await.unwrap();
    let mut receivers = tokio::task::JoinSet::new();
    let mut senders = Vec::new();
    for _ in 0..count {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut from, to) = stream.into_split();
        senders.push(to);
        receivers.spawn(async move {
            let mut block = vec![0u8; 64 << 10];
            while from.read(&mut block).await.is_ok_and(|length| length > 0) {}
        });
    }
    report("rx").await;
    for sender in &mut senders {
        sender.write_all(b".").await.unwrap();
    }
    receivers.join_all().await;
}

/// `NIC rx|tx BYTES MICROSECONDS` for each NIC, over about 2 s, as counted by the kernel.
async fn report(direction: &str) {
    tokio::time::sleep(WARM_UP).await;
    let (before, start) = (counters(direction), Instant::now());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (after, elapsed) = (counters(direction), start.elapsed().as_micros());
    for ((nic, before), (_, after)) in before.into_iter().zip(after) {
        println!("\nNIC {nic} {} {elapsed}", after - before);
    }
}

/// Bytes per interface `nic…`, from `/proc/self/net/dev`: field 0 is what it received, field 8 sent.
fn counters(direction: &str) -> Vec<(String, u64)> {
    let field = if direction == "rx" { 0 } else { 8 };
    let text = std::fs::read_to_string("/proc/self/net/dev").unwrap();
    let lines = text.lines().filter_map(|line| line.trim().split_once(':'));
    lines
        .filter(|(name, _)| name.starts_with("nic"))
        .map(|(name, values)| {
            (name.to_owned(), values.split_whitespace().nth(field).unwrap().parse().unwrap())
        })
        .collect()
}
