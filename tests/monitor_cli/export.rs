//! `railtop export` over real sockets and files: exact values, shared reads, and clients that mean no good.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fault::Fault;
use crate::http::{Answer, connect, exchange, get, get_with};
use crate::support::{Tree, fixture, railtop};

/// Only a test that has failed waits so long.
const LIMIT: Duration = Duration::from_secs(180);

/// Waits for something that must happen; the limit only ends a test that has failed.
#[track_caller]
fn eventually<T>(mut happens: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = happens() {
            return value;
        }
        assert!(begun.elapsed() < LIMIT, "it does not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A page on which every device has been read: one whose reader has no turn for half a second is on a later one.
fn page_of_all(address: SocketAddr) -> Answer {
    let unread = |line: &str| line.starts_with("rdma_port_readable{") && line.ends_with(" 0");
    eventually(|| Some(get(address, "/metrics")).filter(|page| !page.body.lines().any(unread)))
}

/// An exporter that serves.
pub(crate) struct Exporter {
    child: Child,
    pub(crate) address: SocketAddr,
    /// What it says, line by line.
    said: Receiver<String>,
}

impl Exporter {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, said) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let first = said.recv_timeout(LIMIT).unwrap();
        let address = first.split_once("://").and_then(|(_, rest)| rest.split_once("/metrics"));
        let address = address.map(|(address, _)| address.parse().unwrap()).expect(&first);
        Self { child, address, said }
    }

    /// Of this tree, on a port of its own.
    pub(crate) fn of(root: &Path, args: &[&str]) -> Self {
        Self::start(railtop(root).args(["export", "--listen", "127.0.0.1:0"]).args(args))
    }

    /// Waits for its end, which it comes to by itself; returns the code and what it has said.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        let code = self.child.wait().unwrap().code();
        (code, self.said.iter().collect())
    }

    fn stop(self) -> (Option<i32>, Vec<String>) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        self.end()
    }
}

/// A test that has failed leaves none behind.
impl Drop for Exporter {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[test]
fn a_scrape_has_the_kernels_own_values() {
    let efa = Exporter::of(&fixture("efa-p5"), &["--compat", "node_infiniband,node_amazonefa"]);
    let page = page_of_all(efa.address);
    assert!(page.head.contains("text/plain; version=0.0.4"), "{}", page.head);
    let devices = fs::read_dir(fixture("efa-p5").join("class/infiniband")).unwrap();
    let mut seen = 0;
    for device in devices.map(|entry| entry.unwrap()) {
        let name = device.file_name().into_string().unwrap();
        let labels = format!("{{device=\"{name}\",port=\"1\"}}");
        let file = |counter: &str| {
            let text = fs::read_to_string(device.path().join("ports/1/hw_counters").join(counter)).unwrap();
            Some(text.trim().parse::<f64>().unwrap())
        };
        for (counter, ours, theirs) in [
            (
                "tx_bytes",
                "rdma_port_transmit_bytes_total",
                "node_infiniband_port_data_transmitted_bytes_total",
            ),
            ("rx_bytes", "rdma_port_receive_bytes_total", "node_infiniband_port_data_received_bytes_total"),
            ("tx_pkts", "rdma_port_transmit_packets_total", "node_infiniband_port_packets_transmitted_total"),
            ("rx_pkts", "rdma_port_receive_packets_total", "node_infiniband_port_packets_received_total"),
        ] {
            for series in [ours, theirs, &format!("node_amazonefa_{counter}")] {
                assert_eq!(page.value(&format!("{series}{labels}")), file(counter), "{series}{labels}");
            }
        }
        let raw = format!(
            "rdma_port_hw_counters_total{{device=\"{name}\",port=\"1\",counter=\"rdma_write_recv_bytes\"}}"
        );
        assert_eq!(page.value(&raw), file("rdma_write_recv_bytes"));
        assert_eq!(page.value(&format!("rdma_port_state{labels}")), Some(4.0));
        seen += 1;
    }
    assert_eq!(seen, 8);
    let open = get_with(efa.address, "/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n");
    assert!(open.head.contains("application/openmetrics-text") && open.body.ends_with("\n# EOF\n"));
    assert_eq!(efa.stop().0, Some(0));

    // ConnectX counts in words of four bytes, and only the name of the quantity is in bytes.
    let mlx5 = Exporter::of(&fixture("mlx5-roce"), &["--no-hw-counters"]);
    let page = page_of_all(mlx5.address);
    assert_eq!(page.value("rdma_port_transmit_bytes_total{device=\"mlx5_0\",port=\"1\"}"), Some(8e9));
    assert!(!page.body.contains("rdma_port_hw_counters") && !page.body.contains("node_infiniband"));
    assert_eq!(mlx5.stop().0, Some(0));
}

#[test]
fn what_is_missing_has_no_series_and_what_is_unreadable_says_so() {
    let exporter = Exporter::of(&fixture("damage"), &[]);
    // Its reader has had its turn.
    let page = eventually(|| {
        let counts = "rdma_port_receive_packets_total{device=\"efa_4\",port=\"1\"}";
        Some(get(exporter.address, "/metrics")).filter(|page| page.value(counts).is_some())
    });
    let value = |name: &str, device: &str| page.value(&format!("{name}{{device=\"{device}\",port=\"1\"}}"));
    assert_eq!(value("rdma_port_transmit_bytes_total", "efa_0"), Some(1000.0));
    for device in ["efa_1", "efa_2", "efa_4"] {
        assert_eq!(value("rdma_port_transmit_bytes_total", device), None, "{device}");
        assert_eq!(value("rdma_port_receive_packets_total", device), Some(20.0), "{device}");
    }
    assert_eq!(exporter.stop().0, Some(0));
}

#[test]
fn a_thousand_scrapes_at_once_share_one_read() {
    const SCRAPERS: usize = 1000;
    let exporter = Exporter::of(&fixture("efa-p5"), &["-i", "1h"]);
    let (address, all) = (exporter.address, Barrier::new(SCRAPERS));
    let answers: Vec<_> = std::thread::scope(|scope| {
        let scrape = || {
            std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, || {
                all.wait();
                get(address, "/metrics")
            })
        };
        let threads: Vec<_> = (0..SCRAPERS).map(|_| scrape().unwrap()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(answers.len(), SCRAPERS);
    for answer in &answers {
        assert_eq!((answer.code, answer.value("railtop_reads_total")), (200, Some(1.0)), "{}", answer.head);
        assert_eq!(answer.body, answers[0].body, "one read is one page");
    }
    assert_eq!(exporter.stop().0, Some(0));
}

#[test]
fn counters_are_read_anew_when_the_time_has_come_but_not_within_a_drivers_lifespan() {
    let tree = Tree::new(&["efa_0"]);
    let exporter = Exporter::of(tree.dir.path(), &["-i", "10ms"]);
    let sent = "rdma_port_transmit_bytes_total{device=\"efa_0\",port=\"1\"}";
    let resets = "railtop_resets_total{device=\"efa_0\",port=\"1\"}";
    let until = |bytes: f64| {
        eventually(|| Some(get(exporter.address, "/metrics")).filter(|page| page.value(sent) == Some(bytes)))
    };
    tree.set("efa_0", 5_000_000_000, 7);
    assert_eq!(until(5e9).value(resets), Some(0.0));
    // A driver that was loaded again counts from 0: that is what is shown, and it is counted.
    tree.set("efa_0", 10, 7);
    let page = until(10.0);
    assert_eq!(page.value(resets), Some(1.0));
    // One per value at least: the first may have been the exporter's own, before any scrape.
    assert!(page.value("railtop_reads_total").unwrap() >= 2.0);
    assert_eq!(exporter.stop().0, Some(0));

    // From here on the kernel would give the same numbers for ten seconds, which is the longest that is believed.
    fs::write(tree.path("efa_0", "ports/1/hw_counters/lifespan"), "10000\n").unwrap();
    eventually(|| {
        let begun = Instant::now();
        let exporter = Exporter::of(tree.dir.path(), &["-i", "10ms"]);
        let reads: Vec<_> = (0..10)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(20));
                get(exporter.address, "/metrics").value("railtop_reads_total")
            })
            .collect();
        // One that took as long as that may have read again.
        (begun.elapsed() < Duration::from_secs(10)).then(|| {
            assert_eq!(reads, [Some(1.0); 10]);
            assert_eq!(exporter.stop().0, Some(0));
        })
    });
}

#[test]
fn who_opens_connections_and_says_nothing_keeps_nobody_out() {
    let exporter = Exporter::of(&fixture("efa-p5"), &["--max-connections", "32"]);
    // Three times as many as there is room for; some say the beginning of a request, byte by byte if they could.
    let silent: Vec<_> = (0..96)
        .map(|n| {
            let mut stream = connect(exporter.address);
            if n % 2 == 0 {
                stream.write_all(b"GET /metrics HTTP/1.1\r\nX-Slow: ").unwrap();
            }
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(get(exporter.address, "/metrics").code, 200);
    }
    // Those beyond the limit have to give way.
    eventually(|| {
        let page = get(exporter.address, "/metrics");
        page.value("railtop_http_connections_evicted_total").filter(|evicted| *evicted >= 64.0)
    });
    // Those that are left do not hold up the end.
    assert_eq!(exporter.stop().0, Some(0));
    drop(silent);
}

#[test]
fn requests_that_are_none_get_an_answer_or_an_end() {
    let exporter = Exporter::of(&fixture("empty"), &[]);
    let code = |request: &str| exchange(exporter.address, request).map_or(0, |answer| answer.code);
    assert_eq!(code("GET / HTTP/1.0\r\n\r\n"), 200);
    assert_eq!(code("GET /healthz HTTP/1.0\r\n\r\n"), 200);
    assert_eq!(code("HEAD /metrics HTTP/1.0\r\n\r\n"), 200);
    assert_eq!(code("GET /../etc/passwd HTTP/1.0\r\n\r\n"), 404);
    assert_eq!(code("POST /metrics HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc"), 405);
    assert_eq!(code("\u{1b}[2J\r\n\r\n"), 400);
    assert_eq!(code("GET /metrics HTTP/9.9\r\n\r\n"), 400);
    // Longer than a head may be: refused, or cut off while it is still being sent.
    assert!(matches!(code(&format!("GET /{} HTTP/1.0\r\n\r\n", "x".repeat(1 << 20))), 0 | 414 | 431));
    assert_eq!(code("GET /metrics HTTP/1.0\r\n\r\n"), 200);
    let (ended, said) = exporter.stop();
    assert_eq!(ended, Some(0));
    // Nothing to measure is no reason to end: devices may come.
    assert!(said.iter().any(|line| line.contains("nothing to measure yet, serving on")), "{said:?}");
    assert!(!said.concat().contains('\u{1b}'), "{said:?}");
}

#[test]
fn what_cannot_be_is_said_with_the_right_code() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("users"), "ana:secret\n").unwrap();
    for (args, code, expected) in [
        (vec!["--listen", &taken], 1, "is another exporter running there?"),
        (vec!["--listen", "localhost"], 2, "HOST:PORT"),
        (vec!["--listen", "0", "--auth-file", &path("absent")], 1, "cannot read it"),
        (vec!["--listen", "0", "--auth-file", &path("users")], 1, "line 1: the hash is none of bcrypt's"),
        (
            vec!["--listen", "0", "--tls-cert", &path("absent"), "--tls-key", &path("absent")],
            1,
            "cannot read the certificate",
        ),
        (vec!["--listen", "0", "--tls-cert", &path("absent")], 2, "--tls-key"),
        (vec!["--textfile", &path("absent/rdma.prom")], 1, "cannot write"),
        (vec!["--textfile", "/dev/null", "-n", "1"], 1, "no file's name"),
        (vec!["--textfile", &path("a.prom"), "--listen", "0"], 2, "cannot be used with"),
        (vec![], 2, "say what to export"),
    ] {
        let output = railtop(&fixture("efa-p5")).arg("export").args(&args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(expected) && !stderr.contains("secret"), "{args:?}: {stderr}");
    }
}

#[test]
fn who_serves_more_than_this_machine_is_warned() {
    let exporter = Exporter::start(railtop(&fixture("empty")).args(["export", "--listen", "0.0.0.0:0"]));
    let warning = exporter.said.recv_timeout(LIMIT).unwrap();
    assert!(warning.contains("this is not loopback") && warning.contains("--auth-file"), "{warning}");
    assert_eq!(exporter.stop().0, Some(0));
}

#[test]
fn a_file_is_written_again_and_again_and_stays() {
    let tree = Tree::new(&["efa_0"]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rdma.prom");
    let run = |root: &Path, args: &[&str]| {
        let mut command = railtop(root);
        command.args(["export", "-i", "50ms", "--textfile"]).arg(&path).args(args).output().unwrap()
    };
    tree.set("efa_0", 42, 43);
    assert_eq!(run(tree.dir.path(), &["-n", "3"]).status.code(), Some(0));
    let page = fs::read_to_string(&path).unwrap();
    assert!(page.contains("rdma_port_transmit_bytes_total{device=\"efa_0\",port=\"1\"} 42\n"), "{page}");
    assert!(page.contains("railtop_reads_total 3\n") && !page.contains("railtop_http"), "{page}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    // One alone reads twice, or it would have no rates.
    assert_eq!(run(tree.dir.path(), &["-n", "1"]).status.code(), Some(0));
    let page = fs::read_to_string(&path).unwrap();
    let throughput = "rdma_group_throughput_bytes_per_second{group=\"node\",direction=\"transmit\"} 0\n";
    assert!(page.contains("railtop_reads_total 2\n") && page.contains(throughput), "{page}");
    // What has nothing to say says so, and replaces what was true once.
    assert_eq!(run(&fixture("empty"), &["-n", "1"]).status.code(), Some(3));
    assert!(!fs::read_to_string(&path).unwrap().contains("efa_0"));

    fs::remove_file(&path).unwrap();
    let mut command = railtop(tree.dir.path());
    let mut child = command.args(["export", "-i", "10ms", "--textfile"]).arg(&path).spawn().unwrap();
    eventually(|| path.exists().then_some(()));
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(fs::read_to_string(&path).unwrap().contains("railtop_reads_total"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_write_that_fails_later_is_said_once_and_the_next_ones_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let (place, away) = (dir.path().join("textfile"), dir.path().join("away"));
    fs::create_dir(&place).unwrap();
    let path = place.join("rdma.prom");
    let mut command = railtop(&fixture("efa-p5"));
    command.args(["export", "-i", "10ms", "--textfile"]).arg(&path).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let there = || eventually(|| path.exists().then_some(()));
    there();
    fs::rename(&place, &away).unwrap();
    let mut said = lines.map_while(Result::ok);
    assert!(said.any(|line| line.contains("cannot write") && line.contains("goes on")));
    fs::create_dir(&place).unwrap();
    there();
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(said.filter(|line| line.contains("cannot write")).count(), 0);
}

#[test]
fn a_server_that_panics_ends_the_exporter() {
    let Some(fault) = Fault::new("clock", "http") else { return };
    let mut command = railtop(&fixture("efa-p5"));
    command.args(["export", "--listen", "127.0.0.1:0"]).envs(fault.environment());
    let exporter = Exporter::start(&mut command);
    assert_eq!(get(exporter.address, "/metrics").code, 200);
    fs::write(fault.when(), "").unwrap();
    // Wakes the thread, which looks at its clock. It may have looked already, and nobody listens any more.
    if let Ok(mut stream) = TcpStream::connect(exporter.address) {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let _cut = stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n");
        let _cut = stream.read(&mut [0]);
    }
    let (code, said) = exporter.end();
    assert_eq!(code, Some(1), "{said:?}");
    assert!(said.iter().any(|line| line.contains("the server has ended")), "{said:?}");
}
