//! Who holds queue pairs: their owners over netlink, and what `/proc` says about each process.
//!
//! A driver may ask its device about every queue pair, and `/proc` is a file per process and question: so it is read
//! only while somebody looks, every few seconds, on a thread of its own, and once per process.

mod proc;
mod users;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::proc::Proc;
use self::users::Users;
use super::errand::{Errand, OVER, Restarted};
use super::netlink::{self, NetlinkError, Owner, OwnersByDevice};
use crate::monitor::clock;
use crate::monitor::sample::{ProcessSample, Processes};

/// How often it is read.
const EVERY: Duration = Duration::from_secs(5);
/// Most processes that are looked up.
const MAX_PROCESSES: usize = 4096;

/// The processes' source.
#[derive(Debug, Default)]
pub struct ProcessSource {
    errand: Restarted<(), Processes>,
    /// What was read last.
    latest: Option<Processes>,
    asked: Option<Instant>,
}

impl ProcessSource {
    /// What is known, read anew every few seconds. Waits until `until` where nothing is known yet.
    pub fn read(&mut self, until: Instant) -> Processes {
        if let Err(e) = self.ask() {
            return unknown(&format!("cannot start a thread: {e}"));
        }
        let patience = if self.latest.is_some() { Instant::now() } else { until };
        if let Some(fresh) = self.errand.answer(patience) {
            self.latest = Some(fresh);
        }
        if self.errand.is_resting() {
            // What was read last grows old, and nobody reads it anew before it is time to.
            self.latest = None;
        }
        let late = self.errand.open_for().filter(|&waited| waited > EVERY);
        let mut latest = self.latest.clone().unwrap_or_else(|| {
            let reason = if self.errand.is_resting() { OVER } else { "not read yet" };
            unknown(reason)
        });
        if let Some(waited) = late {
            latest.reason =
                Some(format!("RDMA netlink has not answered for {:.0} s: this is old", waited.as_secs_f64()));
        }
        latest
    }

    /// Nobody can be asked, and why.
    #[must_use]
    pub fn unknown(reason: &str) -> Processes {
        unknown(reason)
    }

    /// Nobody looks any more: what was read is of no use later.
    pub fn forget(&mut self) {
        self.latest = None;
        self.asked = None;
    }

    fn ask(&mut self) -> std::io::Result<()> {
        if self.asked.is_some_and(|at| at.elapsed() < EVERY) {
            return Ok(());
        }
        let start = || {
            Errand::start("processes", || {
                let mut reader = Reader::new(PathBuf::from("/proc"));
                move |()| reader.read(netlink::queue_pair_owners())
            })
        };
        if self.errand.ask((), start)? {
            self.asked = Some(Instant::now());
        }
        Ok(())
    }
}

/// Puts owners and processes together. Lives on a thread of its own.
#[derive(Debug)]
struct Reader {
    proc: Proc,
    users: Users,
}

impl Reader {
    fn new(proc_root: PathBuf) -> Self {
        Self { proc: Proc::new(proc_root), users: Users::default() }
    }

    fn read(&mut self, owners: Result<OwnersByDevice, NetlinkError>) -> Processes {
        let owners = match owners {
            Ok(owners) => owners,
            Err(e) => return unknown(&e.to_string()),
        };
        let mut all = Processes { mono_ns: clock::mono_ns(), ..Processes::default() };
        let mut by_pid: BTreeMap<u32, BTreeMap<String, u32>> = BTreeMap::new();
        for (device, counts) in &owners.owners {
            for (&owner, &count) in counts {
                let of = match owner {
                    Owner::Process(pid) => by_pid.entry(pid).or_default(),
                    Owner::Kernel => &mut all.kernel_qps,
                    Owner::Hidden => &mut all.hidden_qps,
                };
                of.insert(device.clone(), count);
            }
        }
        let found = by_pid.len();
        self.proc.keep_only(|pid| by_pid.contains_key(&pid));
        all.processes =
            by_pid.into_iter().take(MAX_PROCESSES).map(|(pid, qps)| self.process(pid, qps)).collect();
        all.reason = reason(&owners.failed, &all.hidden_qps, found);
        all
    }

    fn process(&mut self, pid: u32, qps: BTreeMap<String, u32>) -> ProcessSample {
        let Some(facts) = self.proc.look(pid) else {
            // It ended between the two reads.
            return ProcessSample { pid, command: "(ended)".to_owned(), qps, ..ProcessSample::default() };
        };
        ProcessSample {
            pid,
            user: self.users.name(facts.uid),
            uid: Some(facts.uid),
            command: facts.command.clone(),
            resident_bytes: facts.resident_bytes,
            threads: facts.threads,
            qps,
        }
    }
}

fn unknown(reason: &str) -> Processes {
    Processes { mono_ns: clock::mono_ns(), reason: Some(reason.to_owned()), ..Processes::default() }
}

/// Why not everything is known.
fn reason(
    failed: &[(String, NetlinkError)],
    hidden: &BTreeMap<String, u32>,
    processes: usize,
) -> Option<String> {
    let mut reasons = Vec::new();
    if let Some((device, error)) = failed.first() {
        let more = if failed.len() > 1 { format!(" and {} more", failed.len() - 1) } else { String::new() };
        reasons.push(format!("{device}{more}: {error}"));
    }
    if hidden.values().any(|&count| count > 0) {
        reasons.push(
            "some queue pairs belong to processes of another PID namespace (in a container share the host's: hostPID, \
             --pid=host)"
                .to_owned(),
        );
    }
    if processes > MAX_PROCESSES {
        reasons.push(format!("{processes} processes hold queue pairs, {MAX_PROCESSES} are shown"));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    fn owners(list: &[(&str, Owner, u32)]) -> OwnersByDevice {
        let mut all = OwnersByDevice::default();
        for &(device, owner, count) in list {
            all.owners.entry(device.to_owned()).or_default().insert(owner, count);
        }
        all
    }

    #[test]
    fn after_a_panic_nothing_old_is_shown() {
        let buggy = Errand::start("test", || |()| panic!("a bug")).unwrap();
        let old = Processes { processes: vec![ProcessSample::default()], ..Processes::default() };
        let mut source =
            ProcessSource { errand: Restarted::of(buggy), latest: Some(old), ..ProcessSource::default() };
        source.ask().unwrap();
        // The panic is on its way.
        let begun = Instant::now();
        let read = std::iter::from_fn(|| Some(source.read(Instant::now())))
            .take_while(|_| begun.elapsed() < Duration::from_secs(60))
            .find(|read| read.processes.is_empty())
            .expect("nothing old");
        assert_eq!((read.reason.as_deref(), source.errand.is_there()), (Some(OVER), false));
        // Somebody looks away and again.
        source.forget();
        assert_eq!(source.read(Instant::now()).reason.as_deref(), Some(OVER));
        assert!(!source.errand.is_there(), "not at once");
        source.errand.end_rest();
        source.ask().unwrap();
        assert_eq!((source.errand.is_there(), source.errand.is_resting()), (true, false));
    }

    #[test]
    fn owners_and_proc_are_joined_and_nobody_is_left_out() {
        let me = std::process::id();
        let read = Reader::new("/proc".into()).read(Ok(owners(&[
            ("a", Owner::Process(me), 4),
            ("b", Owner::Process(me), 2),
            ("a", Owner::Kernel, 1),
            ("b", Owner::Hidden, 3),
        ])));
        let [process] = &read.processes[..] else { panic!("{read:?}") };
        assert_eq!((process.pid, process.qps["a"], process.qps["b"]), (me, 4, 2));
        assert_eq!(process.uid, Some(nix::unistd::geteuid().as_raw()));
        assert!(process.resident_bytes.unwrap() > 100_000 && process.threads.unwrap() >= 1);
        assert!(!process.command.is_empty());
        assert_eq!((read.kernel_qps["a"], read.hidden_qps["b"]), (1, 3));
        assert!(read.reason.unwrap().contains("PID namespace"));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let mut reader = Reader::new("/proc".into());
        let read = reader.read(Err(NetlinkError::Open(Errno::EPROTONOSUPPORT)));
        assert!(read.reason.unwrap().contains("ib_core"));
        let mut some = owners(&[("a", Owner::Process(u32::MAX), 1)]);
        some.failed.push(("b".to_owned(), NetlinkError::Refused(Errno::EPERM)));
        let read = reader.read(Ok(some));
        assert_eq!(read.processes[0].command, "(ended)");
        assert_eq!(read.reason.as_deref(), Some("b: no permission to ask RDMA netlink"));
    }
}
