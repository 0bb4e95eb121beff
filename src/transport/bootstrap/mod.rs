//! Rendezvous: how the PEs of a job find each other, exchange addresses, and learn that one of them is gone.
//!
//! PE 0 listens on the address asked for; every PE (PE 0 too) connects, proves that it holds the job's secret, and
//! keeps the connection for small exchanges (addresses, results) and for bad news. Payload never passes here.

mod hub;
mod message;
pub mod secret;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use message::{MAX_REASON, Message};
use secret::Secret;

use super::fault::Fault;
use super::ranks::Ranks;
use super::wire;

/// How long PE 0 waits for the others to leave.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// What a rendezvous needs to know.
#[derive(Debug, Clone)]
pub struct Rendezvous {
    /// This PE's number.
    pub rank: u32,
    /// PEs in the job.
    pub world: u32,
    /// Host or address PE 0 listens on, and only there.
    pub addr: String,
    /// Its port.
    pub port: u16,
    /// The job's secret.
    pub secret: Secret,
    /// How long to wait for all PEs.
    pub join_time: Duration,
}

/// Why PEs could not come together, or no longer are.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// A variable that more than one PE needs is not set.
    #[error("a job of {world} PEs needs {name}: {help}")]
    Missing {
        /// PEs in the job.
        world: u32,
        /// The variable.
        name: &'static str,
        /// What to do.
        help: &'static str,
    },
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] secret::BadSecret),
    /// PE 0 cannot listen.
    #[error("PE 0 cannot listen on {addr}: {source}; is the address one of this node's, and the port free?")]
    Listen {
        /// Where.
        addr: String,
        /// What the system said.
        source: io::Error,
    },
    /// PE 0 cannot be reached.
    #[error(
        "cannot reach PE 0 at {addr} within {seconds:.1} s: {source}; check MASTER_ADDR and MASTER_PORT, and that PE 0 runs"
    )]
    Connect {
        /// Where.
        addr: String,
        /// How long it was tried.
        seconds: f32,
        /// The last error.
        source: io::Error,
    },
    /// What answers there is not this job's PE 0.
    #[error("what answers at {addr} is not this job's rendezvous: {why}")]
    NotOurs {
        /// Where.
        addr: String,
        /// What gave it away.
        why: String,
    },
    /// The job was given up; the reason names the PE.
    #[error("{0}")]
    Aborted(String),
    /// An exchange took too long.
    #[error("PE 0 did not complete an exchange within {0:?}: a PE hangs")]
    Timeout(Duration),
}

impl Rendezvous {
    /// Takes address, port and secret from `ranks` and the environment; `None` for a job of one PE.
    ///
    /// # Errors
    /// When a job of several PEs lacks a port or a usable secret.
    pub fn find(
        ranks: &Ranks,
        join_time: Duration,
        get: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, BootstrapError> {
        if ranks.world == 1 {
            return Ok(None);
        }
        let missing = |name, help| BootstrapError::Missing { world: ranks.world, name, help };
        let port = ranks
            .master_port
            .ok_or_else(|| missing("MASTER_PORT", "a free TCP port on PE 0's node, the same on every PE"))?;
        let secret = get(secret::VARIABLE).ok_or_else(|| {
            missing(secret::VARIABLE, "the same on every PE; `railtop lab` makes it, else `export RAILTOP_JOB_SECRET=$(openssl rand -hex 32)` before the launch")
        })?;
        Ok(Some(Self {
            rank: ranks.rank,
            world: ranks.world,
            addr: ranks.master_addr.clone().unwrap_or_else(|| "127.0.0.1".into()),
            port,
            secret: Secret::from_hex(&secret)?,
            join_time,
        }))
    }

    fn place(&self) -> String {
        format!("{}:{}", self.addr, self.port)
    }

    /// Joins the job; on PE 0 also starts serving it.
    ///
    /// # Errors
    /// When PE 0 cannot listen or be reached, the secret is wrong, sizes or versions differ, or a PE never comes:
    /// on every PE, within about [`Self::join_time`].
    pub fn join(&self, fault: &Fault) -> Result<Session, BootstrapError> {
        let hub = if self.rank == 0 { Some(self.listen()?) } else { None };
        // Everyone gives PE 0 a little longer than PE 0 gives everyone, so that its reason arrives first.
        let deadline = Instant::now() + self.join_time + Duration::from_secs(3);
        let stream =
            self.connect(deadline).and_then(|mut stream| self.prove(&mut stream, deadline).map(|()| stream));
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                // PE 0 stays until the others have heard the reason too.
                if let Some(hub) = hub {
                    let _ = hub.join();
                }
                return Err(error);
            }
        };
        Session::start(stream, self.rank, self.world, fault.clone(), hub)
            .map_err(|source| BootstrapError::Connect { addr: self.place(), seconds: 0.0, source })
    }

    fn listen(&self) -> Result<JoinHandle<()>, BootstrapError> {
        let error = |source| BootstrapError::Listen { addr: self.place(), source };
        let addrs: Vec<SocketAddr> =
            (self.addr.as_str(), self.port).to_socket_addrs().map_err(error)?.collect();
        let listener = TcpListener::bind(addrs.as_slice()).map_err(error)?;
        let config =
            hub::HubConfig { secret: self.secret.clone(), world: self.world, join_time: self.join_time };
        std::thread::Builder::new()
            .name("rendezvous".into())
            .spawn(move || {
                if let Err(error) = hub::serve(listener, config) {
                    eprintln!("railtop: rendezvous: {error}");
                }
            })
            .map_err(error)
    }

    fn connect(&self, deadline: Instant) -> Result<TcpStream, BootstrapError> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(5);
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            let attempt = (self.addr.as_str(), self.port).to_socket_addrs().and_then(|addrs| {
                let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                for addr in addrs {
                    match TcpStream::connect_timeout(&addr, remaining) {
                        Ok(stream) => return Ok(stream),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            });
            match attempt {
                Ok(stream) => return Ok(stream),
                Err(source) if Instant::now() + pause >= deadline => {
                    return Err(BootstrapError::Connect {
                        addr: self.place(),
                        seconds: begun.elapsed().as_secs_f32(),
                        source,
                    });
                }
                // PE 0 may not be listening yet.
                Err(_) => std::thread::sleep(pause),
            }
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// The PE's side of the handshake, up to the welcome.
    fn prove(&self, stream: &mut TcpStream, deadline: Instant) -> Result<(), BootstrapError> {
        let not_ours = |why: String| BootstrapError::NotOurs { addr: self.place(), why };
        let failed = |error: io::Error| not_ours(error.to_string());
        let ours = secret::nonce().map_err(|error| not_ours(error.to_string()))?;
        stream.set_nodelay(true).map_err(failed)?;
        stream
            .write_all(&Message::Hello { version: message::VERSION, nonce: ours }.encode())
            .map_err(failed)?;
        let mut timely = Timely { stream, deadline };
        let (nonce, proof) = match receive(&mut timely, message::MAX_UNPROVEN + MAX_REASON).map_err(failed)? {
            Message::Challenge { nonce, proof } => (nonce, proof),
            Message::Abort(reason) => return Err(BootstrapError::Aborted(reason)),
            _ => return Err(not_ours("it does not answer a hello with a challenge".into())),
        };
        if !self.secret.verify(&[b"rendezvous", &ours, &nonce], &proof) {
            return Err(not_ours(format!("it does not hold this PE's {}", secret::VARIABLE)));
        }
        let (rank, world) = (self.rank, self.world);
        let proof =
            self.secret.prove(&hub::join_parts(&nonce, &ours, &rank.to_le_bytes(), &world.to_le_bytes()));
        timely
            .stream
            .write_all(&Message::Join { proof, rank, world, wire: wire::VERSION }.encode())
            .map_err(failed)?;
        match receive(&mut timely, message::MAX_UNPROVEN + MAX_REASON) {
            Ok(Message::Welcome) => Ok(()),
            Ok(Message::Abort(reason)) => Err(BootstrapError::Aborted(reason)),
            Ok(_) => Err(not_ours("it does not keep to the protocol".into())),
            Err(error) => {
                Err(BootstrapError::Aborted(format!("PE 0 gave up before all PEs had joined: {error}")))
            }
        }
    }
}

/// A stream all of whose reads together end at a deadline, however slowly the other side drips.
struct Timely<'a> {
    stream: &'a mut TcpStream,
    deadline: Instant,
}

impl Read for Timely<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

/// Reads one message of at most `limit` bytes.
fn receive(stream: &mut impl Read, limit: usize) -> io::Result<Message> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let mut body = vec![0; message::check_len(len, limit)?];
    stream.read_exact(&mut body)?;
    Message::decode(&body)
}

/// A PE's place in a job that has come together.
#[derive(Debug)]
pub struct Session {
    rank: u32,
    world: u32,
    link: Option<Link>,
    fault: Fault,
}

/// The connection to PE 0.
#[derive(Debug)]
struct Link {
    stream: Mutex<TcpStream>,
    results: Mutex<mpsc::Receiver<Vec<Vec<u8>>>>,
    leaving: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    hub: Option<JoinHandle<()>>,
}

impl Session {
    /// A job of one PE.
    #[must_use]
    pub fn alone(fault: Fault) -> Self {
        Self { rank: 0, world: 1, link: None, fault }
    }

    fn start(
        stream: TcpStream,
        rank: u32,
        world: u32,
        fault: Fault,
        hub: Option<JoinHandle<()>>,
    ) -> io::Result<Self> {
        stream.set_read_timeout(None)?;
        let mut reading = stream.try_clone()?;
        let (sender, results) = mpsc::channel();
        let leaving = Arc::new(AtomicBool::new(false));
        let (left, reason) = (Arc::clone(&leaving), fault.clone());
        let reader = std::thread::Builder::new().name("rendezvous-in".into()).spawn(move || {
            loop {
                match receive(&mut reading, message::MAX_RESULT) {
                    Ok(Message::Result(parts)) if parts.len() == world as usize => {
                        let _ = sender.send(parts);
                    }
                    Ok(Message::Abort(text)) => return reason.raise(text),
                    Ok(_) => return reason.raise("PE 0 does not keep to the rendezvous' protocol"),
                    Err(_) if left.load(Ordering::Acquire) => return,
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        return reason.raise("PE 0 left the job: its connection closed");
                    }
                    Err(error) => return reason.raise(format!("lost PE 0: {error}")),
                }
            }
        })?;
        let link = Link {
            stream: Mutex::new(stream),
            results: Mutex::new(results),
            leaving,
            reader: Some(reader),
            hub,
        };
        Ok(Self { rank, world, link: Some(link), fault })
    }

    /// This PE's number.
    #[must_use]
    pub fn rank(&self) -> u32 {
        self.rank
    }

    /// PEs in the job.
    #[must_use]
    pub fn world(&self) -> u32 {
        self.world
    }

    /// Gives everyone everyone's bytes, by rank. Every PE must call it the same number of times.
    ///
    /// # Errors
    /// When the job was given up, or an exchange takes longer than `limit`.
    pub fn allgather(&self, bytes: &[u8], limit: Duration) -> Result<Vec<Vec<u8>>, BootstrapError> {
        let Some(link) = &self.link else {
            return Ok(vec![bytes.to_vec()]);
        };
        self.say(link, &Message::Contribution(bytes.to_vec()))?;
        let results = link.results.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let deadline = Instant::now() + limit;
        loop {
            // A result that has arrived counts, whatever has gone wrong since.
            if let Ok(parts) = results.try_recv() {
                return Ok(parts);
            }
            if let Some(reason) = self.fault.reason() {
                return Err(BootstrapError::Aborted(reason.to_owned()));
            }
            let slice = Duration::from_millis(50).min(deadline.saturating_duration_since(Instant::now()));
            match results.recv_timeout(slice) {
                Ok(parts) => return Ok(parts),
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(RecvTimeoutError::Timeout) => return Err(BootstrapError::Timeout(limit)),
                Err(RecvTimeoutError::Disconnected) => {
                    let reason = self.fault.reason().unwrap_or("lost PE 0");
                    return Err(BootstrapError::Aborted(reason.to_owned()));
                }
            }
        }
    }

    fn say(&self, link: &Link, message: &Message) -> Result<(), BootstrapError> {
        let mut stream = link.stream.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        stream.write_all(&message.encode()).map_err(|error| {
            let reason = self.fault.reason().map_or_else(|| format!("lost PE 0: {error}"), ToOwned::to_owned);
            BootstrapError::Aborted(reason)
        })
    }

    /// Tells every PE that the job cannot go on.
    pub fn abort(&self, reason: &str) {
        self.fault.raise(reason);
        if let Some(link) = &self.link {
            let _ = self.say(link, &Message::Abort(reason.to_owned()));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        link.leaving.store(true, Ordering::Release);
        // A PE that leaves because the job failed says so, lest the others take it for a good end.
        let farewell = self.fault.reason().map_or(Message::Bye, |reason| Message::Abort(reason.to_owned()));
        let _ = self.say(&link, &farewell);
        if let Ok(stream) = link.stream.get_mut() {
            let _ = stream.shutdown(std::net::Shutdown::Write);
            // The hub of a job that hangs may never answer; a reader blocked on it must not hold us.
            if self.rank != 0 {
                let _ = stream.shutdown(std::net::Shutdown::Read);
            }
        }
        if let Some(hub) = link.hub.take() {
            // The others leave at about the same time. One that hangs must not hold us; the hub's thread ends with us.
            let deadline = Instant::now() + LEAVE_LIMIT;
            while !hub.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        if let Ok(stream) = link.stream.get_mut() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        if let Some(reader) = link.reader.take() {
            let _ = reader.join();
        }
    }
}

#[cfg(test)]
mod tests;
