//! Nodes that are not there: servers on loopback that answer as an exporter would, or as none should.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::port::Port;

/// How a node answers.
#[derive(Debug, Clone)]
#[allow(dead_code, reason = "each program of tests uses some of them")]
pub(crate) enum Answers {
    /// As an exporter: these bytes per second over each NIC, sent and received.
    Traffic(Vec<[f64; 2]>),
    /// A byte of a head now and then, and never its end.
    Slowly,
    /// A body without an end.
    Endlessly,
    /// This as the body.
    Text(Vec<u8>),
    /// This as all of the answer.
    Raw(&'static [u8]),
}

/// A server that ends when it is dropped. Its address is nobody else's as long as the tests run: who comes later is refused.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    ended: Arc<AtomicBool>,
    /// Who accepts connections.
    listens: Option<JoinHandle<()>>,
    /// Requests so far.
    pub(crate) requests: Arc<AtomicUsize>,
}

impl Node {
    pub(crate) fn new(answers: Answers) -> Self {
        let mut node = Self::absent();
        let listener = TcpListener::bind(node.address).expect("a port that is kept for it");
        let (ended, requests) = (Arc::clone(&node.ended), Arc::clone(&node.requests));
        let begun = Instant::now();
        node.listens = Some(std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (answers, ended, requests) = (answers.clone(), Arc::clone(&ended), Arc::clone(&requests));
                std::thread::spawn(move || serve(stream, &answers, begun, &ended, &requests));
            }
        }));
        node
    }

    /// Nobody: an address that refuses.
    pub(crate) fn absent() -> Self {
        Self { address: Port::for_good(), ended: Arc::default(), listens: None, requests: Arc::default() }
    }

    /// As many NICs that share what they send and receive, in bytes per second each.
    pub(crate) fn even(nics: usize, rate: f64) -> Self {
        Self::new(Answers::Traffic(vec![[rate, rate]; nics]))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // So that it looks. Once it has ended, nobody listens there any more.
        if TcpStream::connect(self.address).is_ok() {
            let _ended = self.listens.take().map(JoinHandle::join);
        }
    }
}

/// Answers requests on one connection, which is kept.
fn serve(
    mut stream: TcpStream,
    answers: &Answers,
    begun: Instant,
    ended: &AtomicBool,
    requests: &AtomicUsize,
) {
    let mut buffer = [0; 4096];
    loop {
        // A request is one segment on loopback.
        let Ok(1..) = stream.read(&mut buffer) else { return };
        if ended.load(Ordering::SeqCst) {
            return;
        }
        requests.fetch_add(1, Ordering::SeqCst);
        let sent = match answers {
            Answers::Traffic(rates) => whole(&mut stream, page(rates, begun).as_bytes()),
            Answers::Text(body) => whole(&mut stream, body),
            Answers::Raw(bytes) => {
                stream.write_all(bytes).and_then(|()| stream.shutdown(std::net::Shutdown::Write))
            }
            Answers::Slowly => slowly(&mut stream, ended),
            Answers::Endlessly => endlessly(&mut stream, ended),
        };
        if sent.is_err() {
            return;
        }
    }
}

fn whole(stream: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    stream.write_all(&answer)
}

fn slowly(stream: &mut TcpStream, ended: &AtomicBool) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ")?;
    while !ended.load(Ordering::SeqCst) {
        stream.write_all(b"a")?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn endlessly(stream: &mut TcpStream, ended: &AtomicBool) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    let mut chunk = b"100000\r\n".to_vec();
    chunk.extend(std::iter::repeat_n(b'x', 1 << 20));
    chunk.extend_from_slice(b"\r\n");
    while !ended.load(Ordering::SeqCst) {
        stream.write_all(&chunk)?;
    }
    Ok(())
}

/// What an EFA's driver counts beside bytes: the greater part of a page.
const COUNTERS: [&str; 18] = [
    "send_bytes",
    "send_wrs",
    "recv_bytes",
    "recv_wrs",
    "rdma_read_wrs",
    "rdma_read_bytes",
    "rdma_read_wr_err",
    "rdma_read_resp_bytes",
    "rdma_write_wrs",
    "rdma_write_bytes",
    "rdma_write_wr_err",
    "rdma_write_recv_bytes",
    "retrans_bytes",
    "retrans_pkts",
    "retrans_timeout_events",
    "unresponsive_remote_events",
    "impaired_remote_conn_events",
    "rx_drops",
];

/// The page of a node whose counters have been running since `begun`.
fn page(rates: &[[f64; 2]], begun: Instant) -> String {
    // Exactly the counters of the time that is told, which has milliseconds: in whole numbers, since a sum of 10^17 bytes has no
    // room for its last digits in a float.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_millis();
    let past = begun.elapsed().as_secs_f64();
    let mut text = String::from("railtop_build_info{version=\"test\"} 1\n");
    let mut add = |line: std::fmt::Arguments<'_>| text.write_fmt(line).expect("memory");
    add(format_args!("railtop_last_read_timestamp_seconds {}.{:03}\n", now / 1000, now % 1000));
    for (n, [sent, received]) in rates.iter().enumerate() {
        let labels = format!("device=\"rdmap{n}s0\",port=\"1\"");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole rate")]
        let counted = |rate: &f64| (*rate as u128) * (now % 1_000_000_000) / 1000;
        add(format_args!(
            "rdma_device_info{{{labels},driver=\"efa\",numa=\"0\",gpu=\"\",source=\"sysfs\"}} 1\n"
        ));
        add(format_args!("rdma_port_state{{{labels}}} 4\nrdma_port_readable{{{labels}}} 1\n"));
        add(format_args!("rdma_port_link_rate_bytes_per_second{{{labels}}} 12500000000\n"));
        add(format_args!("rdma_port_transmit_bytes_total{{{labels}}} {}\n", counted(sent)));
        add(format_args!("rdma_port_receive_bytes_total{{{labels}}} {}\n", counted(received)));
        add(format_args!("rdma_port_retransmit_packets_total{{{labels},counter=\"retrans_pkts\"}} 7\n"));
        for counter in COUNTERS {
            let value = past * 1e6;
            add(format_args!("rdma_port_hw_counters_total{{{labels},counter=\"{counter}\"}} {value:.0}\n"));
        }
    }
    text
}
