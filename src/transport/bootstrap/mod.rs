//! Rendezvous: how the PEs of a job find each other, exchange addresses, and learn that one of them is gone.
//!
//! PE 0 listens on the address asked for; every PE (PE 0 too) connects, proves that it holds the job's secret, and
//! keeps the connection for small exchanges (addresses, results) and for bad news. Payload never passes here.

mod client;
mod error;
mod hub;
mod message;
pub mod secret;
mod session;

use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use error::BootstrapError;
pub use session::Session;

use secret::Secret;

use super::fault::Fault;
use super::ranks::{PMIX, Ranks, SLURM};

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
    /// Silence after which a PE counts as hung; zero: never. PE 0's holds for the job.
    pub pe_timeout: Duration,
}

impl Rendezvous {
    /// Takes address, port and secret from `ranks` and the environment; `None` for a job of one PE.
    ///
    /// # Errors
    /// When a job of several PEs lacks a port or a usable secret.
    pub fn find(
        ranks: &Ranks,
        join_time: Duration,
        pe_timeout: Duration,
        get: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, BootstrapError> {
        if ranks.world == 1 {
            return Ok(None);
        }
        let missing = |name, help| BootstrapError::Missing { world: ranks.world, name, help };
        let port = ranks.master_port.ok_or_else(|| {
            // A task of a step has a port: this is the batch script itself, to which Slurm gives a rank as well.
            let help = if ranks.from == SLURM {
                "or start the PEs as the tasks of a job step: `srun railtop bench …`"
            } else {
                "a free TCP port on PE 0's node, the same on every PE"
            };
            missing("MASTER_PORT", help)
        })?;
        let addr = ranks.master_addr.clone().unwrap_or_else(|| "127.0.0.1".into());
        let by_srun = [SLURM, PMIX].contains(&ranks.from);
        if ranks.rank == 0 && by_srun && only_here(&addr, port, &get) {
            return Err(missing(
                "MASTER_ADDR",
                "an address of PE 0's node that the other nodes reach; that node's own name leads to loopback there (see its /etc/hosts)",
            ));
        }
        let secret = get(secret::VARIABLE).ok_or_else(|| {
            missing(secret::VARIABLE, "the same on every PE; `railtop lab` makes it, else `export RAILTOP_JOB_SECRET=$(openssl rand -hex 32)` before the launch")
        })?;
        Ok(Some(Self {
            rank: ranks.rank,
            world: ranks.world,
            addr,
            port,
            secret: Secret::from_hex(&secret)?,
            join_time,
            pe_timeout,
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
        let (stream, pe_timeout) = match self.enter(deadline) {
            Ok(entered) => entered,
            Err(error) => {
                // PE 0 stays until the others have heard the reason too.
                if let Some(hub) = hub {
                    let _ = hub.join();
                }
                return Err(error);
            }
        };
        Session::start(stream, self.rank, self.world, pe_timeout, fault.clone(), hub)
            .map_err(|source| BootstrapError::Connect { addr: self.place(), seconds: 0.0, source })
    }

    fn listen(&self) -> Result<JoinHandle<()>, BootstrapError> {
        let error = |source| BootstrapError::Listen { addr: self.place(), source };
        let addrs: Vec<SocketAddr> =
            (self.addr.as_str(), self.port).to_socket_addrs().map_err(error)?.collect();
        let listener = TcpListener::bind(addrs.as_slice()).map_err(error)?;
        let config = hub::HubConfig {
            secret: self.secret.clone(),
            world: self.world,
            join_time: self.join_time,
            pe_timeout: self.pe_timeout,
        };
        std::thread::Builder::new()
            .name("rendezvous".into())
            .spawn(move || {
                if let Err(error) = hub::serve(listener, config) {
                    eprintln!("railtop: rendezvous: {error}");
                }
            })
            .map_err(error)
    }
}

/// Whether a job step on several nodes would meet where only this one is. Some distributions write a host's own name into its
/// `/etc/hosts` as 127.0.1.1; the others would call in vain until their time is over.
fn only_here(addr: &str, port: u16, get: &impl Fn(&str) -> Option<String>) -> bool {
    let nodes = get("SLURM_STEP_NUM_NODES").and_then(|nodes| nodes.parse::<u32>().ok());
    let Some(2..) = nodes else { return false };
    // A name that leads nowhere is said when PE 0 listens.
    let mut found = (addr, port).to_socket_addrs().into_iter().flatten().peekable();
    found.peek().is_some() && found.all(|found| found.ip().is_loopback())
}

#[cfg(test)]
mod tests;
