//! The rendezvous' server side, on PE 0: lets the holders of the secret in, exchanges their contributions, and tells
//! everyone when one of them is gone.
//!
//! Runs on a thread of its own with a single-threaded tokio runtime; never on the data path. One task per connection
//! reads, one per member writes, and the hub task owns all state.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};

use super::message::{self, Message};
use super::secret::{self, Secret};
use crate::transport::wire;

/// Connections that may be proving themselves at the same time; more wait in the listen queue.
const UNPROVEN_AT_ONCE: usize = 256;

/// Time a connection has to prove itself.
const PROOF_TIME: Duration = Duration::from_secs(5);

/// How long the hub of a failed job stays, to tell late-comers why.
const FAREWELL_TIME: Duration = Duration::from_secs(3);

/// What the hub serves.
#[derive(Debug, Clone)]
pub(super) struct HubConfig {
    pub(super) secret: Secret,
    pub(super) world: u32,
    /// How long to wait for all PEs.
    pub(super) join_time: Duration,
}

/// A PE that asks for its seat.
struct Joining {
    connection: u64,
    rank: u32,
    world: u32,
    wire: u16,
    from: SocketAddr,
    outbox: mpsc::UnboundedSender<Arc<Vec<u8>>>,
}

impl Joining {
    /// Tells it why it cannot have the seat.
    fn refuse(&self, reason: &str) {
        let _ = self.outbox.send(Arc::new(Message::Abort(reason.to_owned()).encode()));
    }
}

/// What a connection tells the hub.
enum Event {
    Joined(Joining),
    Said { connection: u64, rank: u32, message: Message },
    Gone { connection: u64, rank: u32, why: String },
}

/// Serves one job on `listener` until every member has left or the job is aborted.
pub(super) fn serve(listener: TcpListener, config: HubConfig) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (events, inbox) = mpsc::channel(64);
        let accept = tokio::spawn(accept(listener, config.secret.clone(), events));
        let mut inbox = Hub::new(config).run(inbox).await;
        // No new connections; the ones that are there end when their writers have flushed and the PEs have closed.
        accept.abort();
        let _ = timeout(FAREWELL_TIME, async { while inbox.recv().await.is_some() {} }).await;
        Ok(())
    })
}

/// Takes connections in, a bounded number of unproven ones at a time. Refusals are said once.
async fn accept(listener: tokio::net::TcpListener, secret: Secret, events: mpsc::Sender<Event>) {
    let gate = Arc::new(Semaphore::new(UNPROVEN_AT_ONCE));
    let mut told = false;
    let mut connections = 0_u64;
    let (refusals, mut refused) = mpsc::channel::<(SocketAddr, io::Error)>(UNPROVEN_AT_ONCE);
    loop {
        let Ok(permit) = Arc::clone(&gate).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some((from, why)) = refused.recv() => {
                if !told {
                    eprintln!("railtop: rendezvous: refused a connection from {from}: {why} (further ones are refused silently)");
                    told = true;
                }
                continue;
            }
        };
        let Ok((stream, from)) = accepted else {
            // Out of descriptors or the like: wait rather than spin.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        connections += 1;
        let connection = connections;
        let (secret, events, refusals) = (secret.clone(), events.clone(), refusals.clone());
        tokio::spawn(async move {
            let proven = timeout(PROOF_TIME, prove(stream, &secret)).await;
            drop(permit);
            match proven.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no proof in time")))
            {
                Ok(member) => member.serve(connection, from, events).await,
                Err(why) => {
                    let _ = refusals.try_send((from, why));
                }
            }
        });
    }
}

/// A connection that has proved to hold the secret.
struct Member {
    stream: TcpStream,
    rank: u32,
    world: u32,
    wire: u16,
}

/// Challenges a connection.
async fn prove(mut stream: TcpStream, secret: &Secret) -> io::Result<Member> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::PermissionDenied, what.to_owned());
    stream.set_nodelay(true)?;
    let Message::Hello { version, nonce: theirs } = receive(&mut stream, message::MAX_UNPROVEN).await? else {
        return Err(bad("not a hello"));
    };
    if version != message::VERSION {
        let reason = format!(
            "PE 0 speaks rendezvous version {}, this PE {version}: use one railtop everywhere",
            message::VERSION
        );
        stream.write_all(&Message::Abort(reason).encode()).await?;
        return Err(bad("another version"));
    }
    let ours = secret::nonce().map_err(|e| io::Error::other(e.to_string()))?;
    let proof = secret.prove(&[b"rendezvous", &theirs, &ours]);
    stream.write_all(&Message::Challenge { nonce: ours, proof }.encode()).await?;
    let Message::Join { proof, rank, world, wire } = receive(&mut stream, message::MAX_UNPROVEN).await?
    else {
        return Err(bad("not a join"));
    };
    if !secret.verify(&join_parts(&ours, &theirs, &rank.to_le_bytes(), &world.to_le_bytes()), &proof) {
        let reason = format!("{} is not the one of PE 0", secret::VARIABLE);
        stream.write_all(&Message::Abort(reason).encode()).await?;
        return Err(bad("wrong secret"));
    }
    Ok(Member { stream, rank, world, wire })
}

/// What a PE's proof is made over.
pub(super) fn join_parts<'a>(
    ours: &'a [u8],
    theirs: &'a [u8],
    rank: &'a [u8],
    world: &'a [u8],
) -> [&'a [u8]; 5] {
    [b"pe", ours, theirs, rank, world]
}

impl Member {
    /// Registers with the hub, then passes on what the PE says until it leaves.
    async fn serve(self, connection: u64, from: SocketAddr, events: mpsc::Sender<Event>) {
        let (mut reader, mut writer) = self.stream.into_split();
        let (outbox, mut queue) = mpsc::unbounded_channel::<Arc<Vec<u8>>>();
        let rank = self.rank;
        let joined =
            Event::Joined(Joining { connection, rank, world: self.world, wire: self.wire, from, outbox });
        if events.send(joined).await.is_err() {
            return;
        }
        let writing = tokio::spawn(async move {
            while let Some(bytes) = queue.recv().await {
                if writer.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            let _ = writer.shutdown().await;
        });
        loop {
            let event = match receive(&mut reader, message::MAX_CONTRIBUTION + 1).await {
                Ok(message) => Event::Said { connection, rank, message },
                Err(error) => {
                    let why = match error.kind() {
                        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                            "its connection closed".to_owned()
                        }
                        _ => error.to_string(),
                    };
                    let _ = events.send(Event::Gone { connection, rank, why }).await;
                    break;
                }
            };
            if events.send(event).await.is_err() {
                break;
            }
        }
        let _ = writing.await;
    }
}

/// What both a fresh connection and a split one can be read through.
trait Source: AsyncReadExt + Unpin {}
impl Source for TcpStream {}
impl Source for OwnedReadHalf {}

/// Reads one message of at most `limit` bytes.
async fn receive(stream: &mut impl Source, limit: usize) -> io::Result<Message> {
    let mut len = [0; 4];
    stream.read_exact(&mut len).await?;
    let mut body = vec![0; message::check_len(len, limit)?];
    stream.read_exact(&mut body).await?;
    Message::decode(&body)
}

/// One place in the job.
#[derive(Default)]
struct Seat {
    /// The connection of the PE that holds it.
    connection: Option<u64>,
    outbox: Option<mpsc::UnboundedSender<Arc<Vec<u8>>>>,
    contribution: Option<Vec<u8>>,
    left: bool,
}

/// Tells PEs that come after the job has failed why it did, until `absent` of them have heard it.
async fn farewell(inbox: &mut mpsc::Receiver<Event>, absent: usize, reason: &str) {
    let mut told = 0;
    while told < absent {
        match inbox.recv().await {
            Some(Event::Joined(pe)) => {
                pe.refuse(reason);
                told += 1;
            }
            Some(_) => {}
            None => return,
        }
    }
}

struct Hub {
    config: HubConfig,
    seats: Vec<Seat>,
}

impl Hub {
    fn new(config: HubConfig) -> Self {
        let seats = (0..config.world).map(|_| Seat::default()).collect();
        Self { config, seats }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Event>) -> mpsc::Receiver<Event> {
        let deadline = Instant::now() + self.config.join_time;
        let outcome = match self.gather(&mut inbox, deadline).await {
            Ok(()) => self.exchange(&mut inbox).await,
            Err(reason) => Err(reason),
        };
        let absent = self.seats.iter().filter(|seat| seat.outbox.is_none()).count();
        if let Err(reason) = &outcome {
            self.broadcast(&Message::Abort(reason.clone()));
        }
        // Closing the outboxes lets the writers finish; members close their side when they have read the end.
        for seat in &mut self.seats {
            seat.outbox = None;
        }
        if let Err(reason) = outcome {
            let _ = timeout(FAREWELL_TIME, farewell(&mut inbox, absent, &reason)).await;
        }
        inbox
    }

    /// Waits until every seat is taken.
    async fn gather(&mut self, inbox: &mut mpsc::Receiver<Event>, deadline: Instant) -> Result<(), String> {
        while self.seats.iter().any(|seat| seat.outbox.is_none()) {
            let Ok(event) = timeout_at(deadline, inbox.recv()).await else {
                return Err(self.missing());
            };
            match event {
                Some(Event::Joined(pe)) => self.seat(pe)?,
                Some(Event::Gone { connection, rank, .. } | Event::Said { connection, rank, .. })
                    if !self.is_seated(rank, connection) => {}
                Some(Event::Gone { rank, why, .. }) => {
                    return Err(format!("PE {rank} left before the job began: {why}"));
                }
                Some(Event::Said { rank, message: Message::Abort(reason), .. }) => {
                    return Err(format!("PE {rank}: {reason}"));
                }
                Some(Event::Said { .. }) => {}
                None => return Err("the rendezvous cannot accept connections any more".into()),
            }
        }
        self.broadcast(&Message::Welcome);
        Ok(())
    }

    fn seat(&mut self, pe: Joining) -> Result<(), String> {
        let Joining { connection, rank, world, wire, from, .. } = pe;
        let tell = |reason: String| {
            pe.refuse(&reason);
            Err(reason)
        };
        if world != self.config.world {
            return tell(format!(
                "PE {rank} at {from} was started for {world} PEs, PE 0 for {}",
                self.config.world
            ));
        }
        if wire != wire::VERSION {
            return tell(format!(
                "PE {rank} at {from} speaks wire version {wire}, PE 0 {}: use one railtop everywhere",
                wire::VERSION
            ));
        }
        let Some(seat) = usize::try_from(rank).ok().and_then(|rank| self.seats.get_mut(rank)) else {
            return tell(format!("a PE at {from} says it is PE {rank} of {world}"));
        };
        if seat.outbox.is_some() {
            return tell(format!("two PEs say they are PE {rank}; the second is at {from}"));
        }
        (seat.connection, seat.outbox) = (Some(connection), Some(pe.outbox));
        Ok(())
    }

    /// Whether what a connection says counts: one that came as a rank already taken was refused, and its end is not
    /// that PE's.
    fn is_seated(&self, rank: u32, connection: u64) -> bool {
        self.seats.get(rank as usize).is_some_and(|seat| seat.connection == Some(connection))
    }

    fn missing(&self) -> String {
        let missing: Vec<_> = (0..)
            .zip(&self.seats)
            .filter(|(_, seat)| seat.outbox.is_none())
            .map(|(rank, _): (u32, _)| rank)
            .collect();
        let shown: Vec<_> = missing.iter().take(16).map(ToString::to_string).collect();
        let more = if missing.len() > shown.len() { ", …" } else { "" };
        format!(
            "PE {}{more} did not join within {} s ({} of {} did)",
            shown.join(", "),
            self.config.join_time.as_secs_f32(),
            self.seats.len() - missing.len(),
            self.seats.len()
        )
    }

    /// Exchanges contributions until all have left.
    async fn exchange(&mut self, inbox: &mut mpsc::Receiver<Event>) -> Result<(), String> {
        while self.seats.iter().any(|seat| !seat.left) {
            let Some(event) = inbox.recv().await else { return Ok(()) };
            match event {
                Event::Joined(pe) => {
                    pe.refuse(&format!("a PE at {} came as PE {} after the job had begun", pe.from, pe.rank));
                }
                Event::Gone { connection, rank, .. } | Event::Said { connection, rank, .. }
                    if !self.is_seated(rank, connection) => {}
                Event::Gone { rank, why, .. } => {
                    if self.seats.get(rank as usize).is_some_and(|seat| !seat.left) {
                        return Err(format!("PE {rank} left the job: {why}"));
                    }
                }
                Event::Said { rank, message, .. } => self.said(rank, message)?,
            }
        }
        Ok(())
    }

    fn said(&mut self, rank: u32, message: Message) -> Result<(), String> {
        let Some(seat) = self.seats.get_mut(rank as usize) else { return Ok(()) };
        match message {
            Message::Bye => seat.left = true,
            Message::Abort(reason) => return Err(format!("PE {rank}: {reason}")),
            Message::Contribution(bytes) => {
                if seat.contribution.replace(bytes).is_some() {
                    return Err(format!("PE {rank} contributed twice to one exchange"));
                }
                if self.seats.iter().all(|seat| seat.contribution.is_some()) {
                    let parts = self
                        .seats
                        .iter_mut()
                        .map(|seat| seat.contribution.take().unwrap_or_default())
                        .collect();
                    self.broadcast(&Message::Result(parts));
                }
            }
            _ => return Err(format!("PE {rank} does not keep to the rendezvous' protocol")),
        }
        Ok(())
    }

    fn broadcast(&self, message: &Message) {
        let bytes = Arc::new(message.encode());
        for outbox in self.seats.iter().filter_map(|seat| seat.outbox.as_ref()) {
            let _ = outbox.send(Arc::clone(&bytes));
        }
    }
}
