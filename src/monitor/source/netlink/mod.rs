//! The kernel's RDMA netlink: devices, port states, hardware counters, who holds queue pairs, devices coming and going.
//!
//! Nothing here needs a privilege. Counters are those of `ports/N/hw_counters` in sysfs and no others: mlx5's bytes and
//! EFA's device counters are not among them. A round over 32 ports takes some ten system calls: many questions go in
//! one datagram, and many answers come with one call.
//!
//! ```text
//! wire    framing, pure          ┐
//! reply   what the answers mean  ├─> client  questions ─> reader  a round ─> NetlinkSource, on its own thread
//! socket  datagrams              ┘
//! ```

mod client;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod reader;
mod reply;
mod socket;
mod wire;

use std::collections::HashMap;
use std::time::{Duration, Instant};

pub use error::NetlinkError;
pub use reader::{PortAnswer, Query, Round};
pub use reply::{Device, Owner, Port as PortStatus, System};
pub use wire::Malformed;

use self::client::Client;
use self::reader::Reader;
use super::errand::{Errand, Restarted};

/// Rounds, read on a thread of their own: a device that hangs holds that thread and nobody else.
#[derive(Debug, Default)]
pub struct NetlinkSource {
    errand: Restarted<Query, Result<Round, NetlinkError>>,
}

impl NetlinkSource {
    /// Begins a round, unless the one before has not ended, or a bug ended the thread a short while ago.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn ask(&mut self, query: Query) -> std::io::Result<()> {
        let start = || {
            Errand::start("netlink", || {
                let mut reader = Reader::default();
                move |query| reader.read(&query)
            })
        };
        self.errand.ask(query, start).map(|_| ())
    }

    /// The round that was asked for, waited for until `until`; `None` when it is late. Then it is found later.
    pub fn answer(&mut self, until: Instant) -> Option<Result<Round, NetlinkError>> {
        let answer = self.errand.answer(until);
        if self.errand.is_resting() { Some(Err(NetlinkError::Panicked)) } else { answer }
    }

    /// One whose questions this errand answers.
    #[cfg(test)]
    pub(super) fn of(errand: Errand<Query, Result<Round, NetlinkError>>) -> Self {
        Self { errand: Restarted::of(errand) }
    }

    /// For how long the open round has been waited for.
    #[must_use]
    pub fn open_for(&self) -> Option<Duration> {
        self.errand.open_for()
    }
}

/// Who holds the queue pairs of every device, by the device's name. Blocks: a driver may query each of them.
///
/// # Errors
/// When RDMA netlink cannot be asked. A device that cannot be asked is left out, with its reason in the second list.
pub fn queue_pair_owners() -> Result<OwnersByDevice, NetlinkError> {
    let mut client = Client::open()?;
    let mut all = OwnersByDevice::default();
    for device in client.devices()? {
        match client.owners(device.index) {
            Ok(owners) => {
                let counts = all.owners.entry(device.name).or_default();
                for owner in owners {
                    *counts.entry(owner).or_default() += 1;
                }
            }
            // Gone since the list was made.
            Err(NetlinkError::Refused(nix::errno::Errno::ENODEV)) => {}
            Err(e @ NetlinkError::Refused(_)) => all.failed.push((device.name, e)),
            Err(e) => return Err(e),
        }
    }
    Ok(all)
}

/// Queue pairs by device and owner.
#[derive(Debug, Clone, Default)]
pub struct OwnersByDevice {
    /// How many each owner holds.
    pub owners: HashMap<String, HashMap<Owner, u32>>,
    /// Devices that refused, and how.
    pub failed: Vec<(String, NetlinkError)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_panic_nobody_waits_and_the_thread_is_started_again_after_a_while() {
        let buggy = Errand::start("test", || |query: Query| panic!("a bug: {query:?}")).unwrap();
        let mut source = NetlinkSource::of(buggy);
        let query = || Query { devices: Some(Vec::new()), listed: Vec::new(), interval: Duration::ZERO };
        for _ in 0..3 {
            source.ask(query()).unwrap();
            let answer = source.answer(Instant::now() + Duration::from_secs(600));
            assert!(matches!(answer, Some(Err(NetlinkError::Panicked))), "{answer:?}");
            assert_eq!((source.open_for(), source.errand.is_there()), (None, false), "not at once");
        }
        source.errand.end_rest();
        source.ask(query()).unwrap();
        assert_eq!((source.errand.is_there(), source.errand.is_resting()), (true, false));
    }
}
