//! The rendezvous' server side, on PE 0: lets the holders of the secret in, exchanges their contributions, and tells
//! everyone when one of them is gone or hangs.
//!
//! Runs on a thread of its own with a single-threaded tokio runtime; never on the data path. The door proves newcomers,
//! two tasks per member read and write, and the hub owns all other state.

mod door;
mod member;
mod refusals;

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

pub(super) use door::join_parts;

use super::message::{self, Audience, Message};
use super::secret::Secret;
use crate::transport::absent::Absent;
use crate::transport::silence::Silence;
use crate::transport::wire;
use door::Door;
use member::{Bytes, Loss, Terms};

/// How long the hub of a failed job stays, to tell late-comers why.
const FAREWELL_TIME: Duration = Duration::from_secs(3);

/// What the hub serves.
#[derive(Debug, Clone)]
pub(super) struct HubConfig {
    pub(super) secret: Secret,
    pub(super) world: u32,
    /// How long to wait for all PEs.
    pub(super) join_time: Duration,
    /// Silence after which a PE counts as hung; zero: never.
    pub(super) pe_timeout: Duration,
}

/// A PE that asks for its seat.
struct Joining {
    connection: u64,
    rank: u32,
    world: u32,
    wire: u16,
    from: SocketAddr,
    outbox: mpsc::UnboundedSender<Bytes>,
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
    Lost { connection: u64, rank: u32, loss: Loss },
}

/// A line on stderr; one that cannot be written is no reason to fail.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "railtop: {line}");
}

/// Serves one job on `listener` until every member has left or the job is aborted.
pub(super) fn serve(listener: TcpListener, config: HubConfig) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (events, inbox) = mpsc::channel(64);
        let (pulse, beats) = watch::channel(Bytes::default());
        let begun = Arc::new(AtomicBool::new(false));
        let terms = Terms { pe_timeout: config.pe_timeout, begun: Arc::clone(&begun), pulse: beats };
        let mut door = Door::new(listener, config.secret.clone(), events, terms);
        let hub = Hub::new(config, begun, pulse);
        let mut inbox = tokio::select! {
            inbox = hub.run(inbox) => inbox,
            never = door.run() => match never {},
        };
        // No new connections; the ones that are there end when their writers have flushed and the PEs have closed.
        drop(door);
        let _ = timeout(FAREWELL_TIME, async { while inbox.recv().await.is_some() {} }).await;
        Ok(())
    })
}

/// One place in the job.
#[derive(Default)]
struct Seat {
    /// The connection of the PE that holds it.
    connection: Option<u64>,
    outbox: Option<mpsc::UnboundedSender<Bytes>>,
    contribution: Option<(Audience, Vec<u8>)>,
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
    /// Bytes of the present exchange so far.
    gathered: usize,
    begun: Arc<AtomicBool>,
    pulse: watch::Sender<Bytes>,
}

impl Hub {
    fn new(config: HubConfig, begun: Arc<AtomicBool>, pulse: watch::Sender<Bytes>) -> Self {
        let seats = (0..config.world).map(|_| Seat::default()).collect();
        Self { config, seats, gathered: 0, begun, pulse }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Event>) -> mpsc::Receiver<Event> {
        let deadline = Instant::now() + self.config.join_time;
        let outcome = match self.gather(&mut inbox, deadline).await {
            Ok(()) => self.exchange(&mut inbox).await,
            Err(reason) => Err(reason),
        };
        let absent = self.seats.iter().filter(|seat| seat.connection.is_none()).count();
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
                Some(Event::Lost { connection, rank, .. } | Event::Said { connection, rank, .. })
                    if !self.is_seated(rank, connection) => {}
                Some(Event::Lost { rank, loss, .. }) => {
                    return Err(format!("{} before the job began", self.lost(rank, &loss)));
                }
                Some(Event::Said { rank, message: Message::Abort(reason), .. }) => {
                    return Err(format!("PE {rank}: {reason}"));
                }
                Some(Event::Said { rank, .. }) => return Err(unruly(rank)),
                None => return Err("the rendezvous cannot accept connections any more".into()),
            }
        }
        let pe_timeout_ms = u32::try_from(self.config.pe_timeout.as_millis()).unwrap_or(u32::MAX);
        self.broadcast(&Message::Welcome { pe_timeout_ms });
        self.begun.store(true, Ordering::Relaxed);
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
        let missing: Absent = self.ranks(|seat| seat.outbox.is_none());
        format!(
            "{missing} did not join within {} s ({} of {} did)",
            self.config.join_time.as_secs_f32(),
            self.seats.len() - missing.total(),
            self.seats.len()
        )
    }

    /// The PEs whose seats are like this.
    fn ranks(&self, like: impl Fn(&Seat) -> bool) -> Absent {
        (0..).zip(&self.seats).filter(|(_, seat)| like(seat)).map(|(rank, _): (u32, _)| rank).collect()
    }

    /// Whom those wait for who have contributed already.
    fn awaited(&self) -> Absent {
        if self.gathered == 0 {
            return Absent::default();
        }
        self.ranks(|seat| seat.contribution.is_none())
    }

    /// What has happened to a PE. One that hangs is told that the others go without it, for when it wakes up.
    fn lost(&mut self, rank: u32, loss: &Loss) -> String {
        let Loss::Silent(silent) = loss else {
            let why = if let Loss::Broken(error) = loss { error } else { "its connection closed" };
            return format!("PE {rank} left the job: {why}");
        };
        let (silent, limit) = (silent.as_secs_f32(), self.config.pe_timeout.as_secs_f32());
        if let Some(outbox) = self.seats.get_mut(rank as usize).and_then(|seat| seat.outbox.take()) {
            let reason = format!(
                "PE {rank}, this one, stood still or was cut off, and the job has ended without it: PE 0 heard \
                 nothing from it for {silent:.1} s (--pe-timeout is {limit} s)"
            );
            let _ = outbox.send(Arc::new(Message::Abort(reason).encode()));
        }
        format!(
            "PE {rank} hangs or is cut off: PE 0 heard nothing from it for {silent:.1} s (--pe-timeout is {limit} s)"
        )
    }

    /// Exchanges contributions until all have left.
    async fn exchange(&mut self, inbox: &mut mpsc::Receiver<Event>) -> Result<(), String> {
        let mut beat = interval(Silence::beat(self.config.pe_timeout));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.seats.iter().any(|seat| !seat.left) {
            let event = tokio::select! {
                event = inbox.recv() => event,
                _ = beat.tick() => {
                    self.pulse.send_replace(Arc::new(Message::Pulse(self.awaited()).encode()));
                    continue;
                }
            };
            let Some(event) = event else { return Ok(()) };
            match event {
                Event::Joined(pe) => {
                    pe.refuse(&format!("a PE at {} came as PE {} after the job had begun", pe.from, pe.rank));
                }
                Event::Lost { connection, rank, .. } | Event::Said { connection, rank, .. }
                    if !self.is_seated(rank, connection) => {}
                Event::Lost { rank, loss, .. } => {
                    if self.seats.get(rank as usize).is_some_and(|seat| !seat.left) {
                        return Err(self.lost(rank, &loss));
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
            Message::Contribution { audience, bytes } => {
                self.gathered += bytes.len() + 4;
                if seat.contribution.replace((audience, bytes)).is_some() {
                    return Err(format!("PE {rank} contributed twice to one exchange"));
                }
                if self.gathered >= message::MAX_RESULT {
                    return Err(format!(
                        "the PEs' parts of an exchange are larger than {} MiB together",
                        message::MAX_RESULT >> 20
                    ));
                }
                if self.seats.iter().all(|seat| seat.contribution.is_some()) {
                    self.hand_out()?;
                }
            }
            _ => return Err(unruly(rank)),
        }
        Ok(())
    }

    /// Gives an exchange that is complete to those who are to have it.
    fn hand_out(&mut self) -> Result<(), String> {
        self.gathered = 0;
        let (audiences, parts): (Vec<_>, Vec<_>) =
            self.seats.iter_mut().filter_map(|seat| seat.contribution.take()).unzip();
        let audience = audiences.first().copied().unwrap_or(Audience::All);
        if let Some(other) = (0_u32..).zip(&audiences).find(|(_, other)| **other != audience) {
            return Err(format!("PE 0 and PE {} do not make the same exchanges", other.0));
        }
        let result = Message::Result(parts);
        match audience {
            Audience::All => self.broadcast(&result),
            Audience::First => {
                let done = Arc::new(Message::Result(Vec::new()).encode());
                let mut outboxes = self.seats.iter().map(|seat| seat.outbox.as_ref());
                if let Some(first) = outboxes.next().flatten() {
                    let _ = first.send(Arc::new(result.encode()));
                }
                for outbox in outboxes.flatten() {
                    let _ = outbox.send(Arc::clone(&done));
                }
            }
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

fn unruly(rank: u32) -> String {
    format!("PE {rank} does not keep to the rendezvous' protocol")
}
