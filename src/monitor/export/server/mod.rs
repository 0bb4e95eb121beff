//! The HTTP server: a thread with a runtime of its own, which knows how to ask for a page and nothing of counters.
//!
//! What it withstands: half-open connections and slow readers (`connections`), requests without end (hyper's limits
//! below), wrong passwords ([`auth`]), and more scrapes at once than there are threads, since all share one read.

mod answer;
pub mod auth;
mod connections;
mod stats;
pub mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};

use self::answer::Answers;
use self::auth::Auth;
use self::connections::{Connections, Guard};
pub use self::stats::Stats;
use self::tls::Tls;
use super::text::Format;
use crate::on_drop::OnDrop;

/// How long a client may take for a request's head, and how long a connection may idle between two.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long the kernel keeps bytes that a client does not take (`TCP_USER_TIMEOUT`), in milliseconds.
const UNREAD_MS: u32 = 30_000;
/// The longest head of a request. Prometheus' is below 1 KiB.
const MAX_HEAD: usize = 16 << 10;
/// Most header fields.
const MAX_FIELDS: usize = 64;
/// How long answers that have begun may go on after the end was asked for.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long to pause where the system has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// A scraper that waits for a page.
#[derive(Debug)]
pub struct Scrape {
    /// In this format.
    pub format: Format,
    /// Where it goes. Dropped, the scraper is told that nobody reads any more.
    pub answer: oneshot::Sender<Bytes>,
}

/// How to serve.
#[derive(Debug)]
pub struct Config {
    /// Bound already, so that errors come before the start.
    pub listener: TcpListener,
    /// Certificate and key; plain HTTP without.
    pub tls: Option<Tls>,
    /// Who may read the page; everybody without.
    pub auth: Option<Auth>,
    /// Most connections at a time.
    pub max_connections: usize,
}

/// Handle of the server's thread.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    stats: Arc<Stats>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Starts to serve. `ask` is called for each scrape, on the server's thread, and must not wait. `ended` is called
    /// when the server's thread ends, for whatever reason.
    ///
    /// # Errors
    /// When the runtime or the thread cannot be started.
    pub fn start(
        config: Config,
        ask: impl Fn(Scrape) + Send + Sync + 'static,
        ended: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let address = config.listener.local_addr()?;
        config.listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            // For passwords, which take long on purpose.
            .max_blocking_threads(1)
            .build()?;
        let (stop, stopped) = watch::channel(false);
        let stats = Arc::new(Stats::default());
        let ours = Arc::clone(&stats);
        let thread = thread::Builder::new().name("http".to_owned()).spawn(move || {
            let _tell = OnDrop::new(ended);
            let Config { listener, tls, auth, max_connections } = config;
            let answers = Arc::new(Answers::new(Box::new(ask), auth, Arc::clone(&ours)));
            let connections = Arc::new(Connections::new(max_connections, ours));
            runtime.block_on(async move {
                // Bound and set up before; this only registers it.
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                accept(listener, tls.map(Arc::new), answers, &connections, stopped).await;
                let _late = tokio::time::timeout(LAST_WORDS, connections.all_closed()).await;
            });
            // A password that is still being looked at is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { address, stop, stats, thread })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it counts.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Takes no new connection; those in the middle of an answer have two seconds. `ended` is called when that is over.
    pub fn stop(&self) {
        let _ended = self.stop.send(true);
    }

    /// Waits for the thread; false when it has panicked.
    #[must_use]
    pub fn join(self) -> bool {
        self.thread.join().is_ok()
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    tls: Option<Arc<Tls>>,
    answers: Arc<Answers>,
    connections: &Arc<Connections>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let next = async {
            connections.room().await;
            listener.accept().await
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            _ = stopped.changed() => return,
        };
        let Ok((stream, _)) = accepted else {
            // A connection that broke off, or no descriptor left: neither is a reason to end.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let guard = Connections::open(connections);
        let (tls, answers, stopped) = (tls.clone(), Arc::clone(&answers), stopped.clone());
        tokio::spawn(async move {
            let evicted = guard.evicted();
            tokio::select! {
                () = connection(stream, tls, answers, &guard, stopped) => {}
                () = evicted.notified() => {}
            }
        });
    }
}

async fn connection(
    stream: TcpStream,
    tls: Option<Arc<Tls>>,
    answers: Arc<Answers>,
    guard: &Guard,
    stopped: watch::Receiver<bool>,
) {
    // Neither is vital, and a kernel that refuses them serves as well.
    let _old = setsockopt(&stream, sockopt::TcpUserTimeout, &UNREAD_MS);
    let _same = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return http(stream, answers, guard, stopped).await;
    };
    let handshake = tokio::time::timeout(HANDSHAKE_TIME, tls.acceptor().accept(stream));
    if let Ok(Ok(stream)) = handshake.await {
        http(stream, answers, guard, stopped).await;
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answers: Arc<Answers>,
    guard: &Guard,
    mut stopped: watch::Receiver<bool>,
) {
    let service = service_fn(|request| {
        let answers = Arc::clone(&answers);
        async move { Ok::<_, std::convert::Infallible>(answers.to(&request, guard).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_FIELDS)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = pin!(serving);
    // Whatever a connection ends with is its client's business.
    tokio::select! {
        _ = serving.as_mut() => {}
        _ = stopped.changed() => {
            serving.as_mut().graceful_shutdown();
            let _end = serving.await;
        }
    }
}

#[cfg(test)]
mod tests;
