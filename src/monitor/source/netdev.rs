//! What the kernel's network interfaces say about the software NICs of counter pages.
//!
//! A page's process may live in another network namespace. `/proc/<pid>/net/dev` shows the interfaces of *that*
//! namespace, for any process in it; so what is checked is the namespace, not who the process is.
//! Only where an interface carries one NIC alone: what several share says nothing about one of them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pages::FoundPage;
use crate::monitor::clock;
use crate::monitor::counter::Desc;
use crate::monitor::moment::Moment;
use crate::monitor::sample::{PageState, RawCounter, Reading, Traffic};
use crate::monitor::table::netdev::statistics;

/// The most that is read of a `net/dev`: room for some 500 interfaces.
const MAX_READ: u64 = 64 * 1024;
/// How often all of `/proc` may be searched for a process in a namespace.
const SEARCH_EVERY: Duration = Duration::from_secs(2);

/// Reads interface statistics of the namespaces pages live in.
#[derive(Debug)]
pub struct NetdevSource {
    proc_root: PathBuf,
    /// By namespace: a process that is in it.
    inside: HashMap<u64, u32>,
    searched: Option<Instant>,
}

/// One namespace's interfaces at one moment.
type Interfaces = HashMap<String, Reading>;

impl NetdevSource {
    /// Looks for processes below `proc_root`, `/proc` outside of tests.
    #[must_use]
    pub fn new(proc_root: PathBuf) -> Self {
        Self { proc_root, inside: HashMap::new(), searched: None }
    }

    /// Adds the kernel's numbers, or the reason for none, to each NIC of `pages` that has a network interface.
    pub fn read(&mut self, pages: &mut [FoundPage]) {
        let mut users: HashMap<(Option<u64>, String), usize> = HashMap::new();
        for page in pages.iter().filter(|p| lives(p)) {
            for netdev in page.sample.nics.iter().filter_map(|n| n.netdev.clone()) {
                *users.entry((page.net_ns, netdev)).or_default() += 1;
            }
        }
        // One read per namespace and tick, whatever the number of pages in it.
        let mut read: HashMap<u64, Result<Interfaces, String>> = HashMap::new();
        for page in pages.iter_mut().filter(|p| lives(p)) {
            let Some(net_ns) = page.net_ns.filter(|_| is_software(&page.sample.provider)) else { continue };
            let pid = page.sample.pid;
            for nic in &mut page.sample.nics {
                let Some(netdev) = nic.netdev.clone() else { continue };
                if netdev == "lo" || users.get(&(Some(net_ns), netdev.clone())).is_some_and(|&n| n > 1) {
                    continue;
                }
                let interfaces = read.entry(net_ns).or_insert_with(|| self.namespace(net_ns, pid));
                let reading = match interfaces {
                    Ok(all) => all
                        .get(&netdev)
                        .cloned()
                        .ok_or_else(|| format!("no interface {netdev} in its namespace")),
                    Err(reason) => Err(reason.clone()),
                };
                nic.netdev_reading = Some(reading.map_err(|e| format!("kernel's view of {netdev}: {e}")));
            }
        }
    }

    /// All interfaces of a namespace, through a process in it: the page's own, if it is one we can see.
    fn namespace(&mut self, net_ns: u64, pid: u32) -> Result<Interfaces, String> {
        let known = self.inside.get(&net_ns).copied();
        let candidates = [Some(pid), known];
        let inside = candidates.into_iter().flatten().find(|&p| self.net_ns_of(p) == Some(net_ns));
        let inside = inside
            .or_else(|| self.search(net_ns))
            .ok_or("no process that can be read is in its namespace")?;
        self.inside.insert(net_ns, inside);
        self.interfaces(inside).map_err(|e| format!("/proc/{inside}/net/dev: {e}"))
    }

    /// The inode of a process's network namespace, `4026531840` from `net:[4026531840]`.
    fn net_ns_of(&self, pid: u32) -> Option<u64> {
        let link = self.proc_root.join(format!("{pid}/ns/net")).read_link().ok()?;
        link.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
    }

    /// Any process in a namespace. The page's own process may be hidden behind a PID namespace.
    fn search(&mut self, net_ns: u64) -> Option<u32> {
        if self.searched.is_some_and(|t| t.elapsed() < SEARCH_EVERY) {
            return None;
        }
        self.searched = Some(Instant::now());
        let processes = self.proc_root.read_dir().ok()?;
        let mut pids = processes.filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok());
        pids.find(|&pid| self.net_ns_of(pid) == Some(net_ns))
    }

    fn interfaces(&self, pid: u32) -> io::Result<Interfaces> {
        let mut text = String::new();
        let before = clock::mono_ns();
        File::open(self.proc_root.join(format!("{pid}/net/dev")))?
            .take(MAX_READ)
            .read_to_string(&mut text)?;
        let moment = Moment::since(before);
        Ok(text.lines().filter_map(|line| parse(line, moment)).collect())
    }
}

fn lives(page: &FoundPage) -> bool {
    matches!(page.sample.state, PageState::Alive | PageState::Stalled)
}

/// Providers whose traffic goes through a network interface of the kernel.
fn is_software(provider: &str) -> bool {
    matches!(provider.split(';').next(), Some("tcp" | "net" | "sockets" | "udp"))
}

/// One line of `net/dev`: `eth0: rx bytes, packets, 6 more, tx bytes, packets, 6 more`.
pub(super) fn parse(line: &str, moment: Moment) -> Option<(String, Reading)> {
    let (name, numbers) = line.split_once(':')?;
    let numbers: Vec<u64> = numbers.split_ascii_whitespace().map_while(|n| n.parse().ok()).collect();
    let [rx_bytes, rx_pkts, rx_errs, rx_drop, _, _, _, _, tx_bytes, tx_pkts, tx_errs, tx_drop, ..] =
        numbers[..]
    else {
        return None;
    };
    // In the order of `statistics`.
    let values = [tx_bytes, rx_bytes, tx_pkts, rx_pkts, tx_drop, rx_drop, tx_errs, rx_errs];
    let counter = |(desc, value): (&Arc<Desc>, u64)| RawCounter { desc: Arc::clone(desc), value };
    let reading = Reading {
        mono_ns: moment.at_ns,
        span_ns: moment.span_ns,
        traffic: Traffic {
            tx_bytes: Some(tx_bytes),
            rx_bytes: Some(rx_bytes),
            tx_ops: Some(tx_pkts),
            rx_ops: Some(rx_pkts),
        },
        counters: statistics().iter().zip(values).map(counter).collect(),
        ..Reading::default()
    };
    Some((name.trim().to_owned(), reading))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::counter::Health;

    #[test]
    fn reads_a_line() {
        let line = "  eth0:123456 10 1 2 0 0 0 0 98765 20 3 4 0 0 0 0";
        let (name, reading) = parse(line, Moment::between(7, 9)).unwrap();
        assert_eq!((name.as_str(), reading.mono_ns, reading.span_ns), ("eth0", 8, 2));
        assert_eq!((reading.traffic.rx_bytes, reading.traffic.tx_bytes), (Some(123_456), Some(98_765)));
        assert_eq!(reading.traffic.tx_ops, Some(20));
        let values: Vec<_> = reading.counters.iter().map(|c| (c.name(), c.value)).collect();
        assert_eq!(
            values[..4],
            [("tx_bytes", 98765), ("rx_bytes", 123_456), ("tx_packets", 20), ("rx_packets", 10)]
        );
        assert_eq!(values[4..], [("tx_dropped", 4), ("rx_dropped", 2), ("tx_errors", 3), ("rx_errors", 1)]);
        let drops = reading.counters.iter().filter(|c| c.desc.feeds == Some(Health::Drops));
        assert_eq!(drops.map(|c| c.value).sum::<u64>(), 6, "what is dropped below a PE's NIC is an event");
    }

    #[test]
    fn headings_and_short_lines_are_no_interfaces() {
        let never = Moment::between(0, 0);
        assert!(
            parse(" face |bytes    packets errs drop fifo frame compressed multicast|bytes", never).is_none()
        );
        assert!(parse("eth0: 1 2 3", never).is_none());
        assert!(parse("Inter-|   Receive ", never).is_none());
    }

    #[test]
    fn software_providers_go_by_their_first_layer() {
        assert!(is_software("tcp;ofi_rxm") && is_software("sockets"));
        assert!(!is_software("efa") && !is_software("verbs;ofi_rxm") && !is_software("shm"));
    }

    #[test]
    fn a_namespace_is_read_through_any_process_in_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("42/ns")).unwrap();
        std::fs::create_dir_all(dir.path().join("42/net")).unwrap();
        std::os::unix::fs::symlink("net:[99]", dir.path().join("42/ns/net")).unwrap();
        std::fs::write(dir.path().join("42/net/dev"), "nic0: 5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0\n").unwrap();
        let mut source = NetdevSource::new(dir.path().to_owned());
        // Process 7 is unknown here, as a page's process behind a PID namespace is.
        assert_eq!(source.namespace(99, 7).unwrap()["nic0"].traffic.tx_bytes, Some(6));
        assert!(source.namespace(98, 7).is_err());
    }
}
