//! The rendezvous' door: takes connections in, and lets pass on who proves to hold the job's secret.
//!
//! Everything here is bounded: how many may be at it, for how long, and how much of them is read. When all places are
//! taken, the oldest of the address that takes most of them has to go, so that half-open connections, however many, do
//! not keep the PEs out.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Event;
use super::member::{Member, Terms};
use super::refusals::{Refusal, Refusals};
use crate::transport::bootstrap::message::{self, Message};
use crate::transport::bootstrap::secret::{self, Secret};

/// Connections that may be proving themselves at the same time; more wait in the listen queue.
const PLACES: usize = 256;

/// Time a connection has to prove itself.
const PROOF_TIME: Duration = Duration::from_secs(5);

/// A connection that has been at it for less is not sent away to make room: a PE needs some milliseconds.
const UNDISTURBED: Duration = Duration::from_millis(500);

/// A connection that is proving itself.
struct Guest {
    from: SocketAddr,
    since: Instant,
    task: AbortHandle,
}

/// How it went.
struct Judged {
    connection: u64,
    from: SocketAddr,
    outcome: Result<Member, Refusal>,
}

/// The door.
pub(super) struct Door {
    listener: TcpListener,
    secret: Secret,
    events: mpsc::Sender<Event>,
    terms: Terms,
    connections: u64,
    guests: HashMap<u64, Guest>,
    proofs: JoinSet<Judged>,
    refusals: Refusals,
    /// That no connection could be accepted has been said.
    told: bool,
}

impl Door {
    pub(super) fn new(
        listener: TcpListener,
        secret: Secret,
        events: mpsc::Sender<Event>,
        terms: Terms,
    ) -> Self {
        Self {
            listener,
            secret,
            events,
            terms,
            connections: 0,
            guests: HashMap::new(),
            proofs: JoinSet::new(),
            refusals: Refusals::default(),
            told: false,
        }
    }

    /// Takes connections in for as long as it is polled.
    pub(super) async fn run(&mut self) -> Infallible {
        loop {
            let full = self.guests.len() >= PLACES;
            let leaving = full.then(|| self.next_to_leave()).flatten();
            tokio::select! {
                Some(judged) = self.proofs.join_next() => self.judge(judged),
                accepted = self.listener.accept(), if !full => match accepted {
                    Ok((stream, from)) => self.admit(stream, from),
                    Err(error) => self.rest(&error).await,
                },
                () = until(leaving.map(|(_, since)| since + UNDISTURBED)) => {
                    if let Some((connection, _)) = leaving {
                        self.send_away(connection);
                    }
                }
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, from: SocketAddr) {
        self.connections += 1;
        let (connection, secret) = (self.connections, self.secret.clone());
        let task = self.proofs.spawn(async move {
            let outcome = timeout(PROOF_TIME, prove(stream, &secret)).await.unwrap_or(Err(Refusal::Slow));
            Judged { connection, from, outcome }
        });
        self.guests.insert(connection, Guest { from, since: Instant::now(), task });
    }

    fn judge(&mut self, judged: Result<Judged, JoinError>) {
        // Those sent away have been counted then.
        let Ok(Judged { connection, from, outcome }) = judged else { return };
        if self.guests.remove(&connection).is_none() {
            return;
        }
        match outcome {
            Ok(member) => {
                tokio::spawn(member.serve(connection, from, self.events.clone(), self.terms.clone()));
            }
            Err(refusal) => self.refuse(refusal, from),
        }
    }

    fn next_to_leave(&self) -> Option<(u64, Instant)> {
        let guests: Vec<_> = self
            .guests
            .iter()
            .map(|(&connection, guest)| (connection, guest.from.ip(), guest.since))
            .collect();
        oldest_of_the_busiest(&guests)
    }

    fn send_away(&mut self, connection: u64) {
        let Some(guest) = self.guests.remove(&connection) else { return };
        guest.task.abort();
        self.refuse(Refusal::Crowd, guest.from);
    }

    fn refuse(&mut self, refusal: Refusal, from: SocketAddr) {
        if let Some(line) = self.refusals.note(refusal, from) {
            super::say(&line);
        }
    }

    /// Out of descriptors or the like: waits rather than spins.
    async fn rest(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.told, true) {
            super::say(&format!("rendezvous: cannot accept a connection, trying on: {error}"));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(line) = self.refusals.sum() {
            super::say(&line);
        }
    }
}

/// Of connections with address and arrival: the oldest of the address that has most.
fn oldest_of_the_busiest(guests: &[(u64, IpAddr, Instant)]) -> Option<(u64, Instant)> {
    let mut per_ip: HashMap<IpAddr, usize> = HashMap::new();
    for (_, ip, _) in guests {
        *per_ip.entry(*ip).or_default() += 1;
    }
    let most = per_ip.values().max()?;
    guests
        .iter()
        .filter(|(_, ip, _)| per_ip.get(ip) == Some(most))
        .map(|&(connection, _, since)| (connection, since))
        .min_by_key(|&(connection, since)| (since, connection))
}

/// Sleeps until then, or for ever.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Challenges a connection.
async fn prove(mut stream: TcpStream, secret: &Secret) -> Result<Member, Refusal> {
    let lost = |_: io::Error| Refusal::Vanished;
    stream.set_nodelay(true).map_err(lost)?;
    let Message::Hello { version, nonce: theirs } = receive(&mut stream).await? else {
        return Err(Refusal::Stranger);
    };
    if version != message::VERSION {
        let reason = format!(
            "PE 0 speaks rendezvous version {}, this PE {version}: use one railtop everywhere",
            message::VERSION
        );
        stream.write_all(&Message::Abort(reason).encode()).await.map_err(lost)?;
        return Err(Refusal::Version);
    }
    // Without randomness nobody can be let in; the other side gives up in time.
    let ours = secret::nonce().map_err(|_| Refusal::Slow)?;
    let proof = secret.prove(&[b"rendezvous", &theirs, &ours]);
    stream.write_all(&Message::Challenge { nonce: ours, proof }.encode()).await.map_err(lost)?;
    let Message::Join { proof, rank, world, wire } = receive(&mut stream).await? else {
        return Err(Refusal::Stranger);
    };
    if !secret.verify(&join_parts(&ours, &theirs, &rank.to_le_bytes(), &world.to_le_bytes()), &proof) {
        let reason = format!("{} is not the one of PE 0", secret::VARIABLE);
        stream.write_all(&Message::Abort(reason).encode()).await.map_err(lost)?;
        return Err(Refusal::Secret);
    }
    Ok(Member { stream, rank, world, wire })
}

/// What a PE's proof is made over.
pub(in crate::transport::bootstrap) fn join_parts<'a>(
    ours: &'a [u8],
    theirs: &'a [u8],
    rank: &'a [u8],
    world: &'a [u8],
) -> [&'a [u8]; 5] {
    [b"pe", ours, theirs, rank, world]
}

/// Reads one message of the handshake.
async fn receive(stream: &mut TcpStream) -> Result<Message, Refusal> {
    let lost = |_: io::Error| Refusal::Vanished;
    let mut len = [0; 4];
    stream.read_exact(&mut len).await.map_err(lost)?;
    let len = message::check_len(len, message::MAX_UNPROVEN).map_err(|_| Refusal::Stranger)?;
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await.map_err(lost)?;
    Message::decode(&body).map_err(|_| Refusal::Stranger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_floods_makes_room_before_who_came_earlier() {
        let begun = Instant::now();
        let at = |connection, last: u8, ms| {
            (connection, IpAddr::from([10, 0, 0, last]), begun + Duration::from_millis(ms))
        };
        assert_eq!(oldest_of_the_busiest(&[]), None);
        let mut guests = vec![at(1, 1, 0), at(2, 2, 1)];
        guests.extend((3..9).map(|connection| at(connection, 9, connection)));
        for expected in [3, 4, 5, 6] {
            let (connection, since) = oldest_of_the_busiest(&guests).unwrap();
            assert_eq!((connection, since), (expected, begun + Duration::from_millis(expected)));
            guests.retain(|guest| guest.0 != connection);
        }
    }
}
