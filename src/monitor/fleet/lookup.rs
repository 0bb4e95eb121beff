//! What a node's name stands for. The C library is asked, which blocks and cannot be told to stop: so each node has one
//! question open at most, whose answer is used whenever it comes, and asks again after a while only.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Between two questions about the same name: twice as long after each that failed, up to the second of them.
const AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// Most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;

/// Finds the addresses of a name and a port, and takes as long as it likes.
pub(super) type Resolve = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Why there is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed(pub(super) String);

type Answer = Result<Arc<[SocketAddr]>, Failed>;

/// A name, and what is known of it.
pub(super) struct Lookup {
    host: String,
    port: u16,
    resolve: Resolve,
    open: Option<JoinHandle<io::Result<Vec<SocketAddr>>>>,
    /// The last answer, when it came, and how many failed in a row.
    last: Option<(Answer, Instant)>,
    failures: u32,
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup").field("host", &self.host).field("last", &self.last).finish_non_exhaustive()
    }
}

impl Lookup {
    /// One that asks the system.
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self::with(host, port, Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.collect())))
    }

    /// One that asks somebody else.
    pub(super) fn with(host: &str, port: u16, resolve: Resolve) -> Self {
        Self { host: host.to_owned(), port, resolve, open: None, last: None, failures: 0 }
    }

    /// Whether a question has not been answered.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Its addresses, and whether they were known before. May be dropped and called again: the question stays open.
    pub(super) async fn addresses(&mut self) -> Result<(Arc<[SocketAddr]>, bool), Failed> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok((Arc::new([SocketAddr::new(address, self.port)]), false));
        }
        if self.open.is_none() {
            match &self.last {
                Some((Ok(addresses), _)) => return Ok((Arc::clone(addresses), true)),
                Some((Err(failed), at)) if at.elapsed() < self.wait() => return Err(failed.clone()),
                _ => {}
            }
        }
        let open = self.open.get_or_insert_with(|| {
            let (resolve, host, port) = (Arc::clone(&self.resolve), self.host.clone(), self.port);
            tokio::task::spawn_blocking(move || resolve(&host, port))
        });
        let answer = open.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        self.open = None;
        let found: Answer = match answer {
            Ok(addresses) if addresses.is_empty() => Err(Failed("the name stands for no address".to_owned())),
            Ok(addresses) => Ok(addresses.into_iter().take(MAX_ADDRESSES).collect()),
            Err(error) => Err(Failed(error.to_string())),
        };
        self.failures = if found.is_ok() { 0 } else { self.failures.saturating_add(1) };
        self.last = Some((found.clone(), Instant::now()));
        found.map(|addresses| (addresses, false))
    }

    /// Forgets addresses where nobody answers, unless they are so new that another answer would be the same; whether it did.
    pub(super) fn forget(&mut self) -> bool {
        let is_old = self.last.as_ref().is_some_and(|(_, at)| at.elapsed() >= AGAIN.0);
        if is_old {
            self.last = None;
        }
        is_old
    }

    fn wait(&self) -> Duration {
        AGAIN.0.saturating_mul(1 << self.failures.saturating_sub(1).min(4)).min(AGAIN.1)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use tokio::time::timeout;

    use super::*;

    fn loopback(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_name_server_that_hangs_has_one_question_of_each_node_and_holds_up_nobody() {
        let runtime = super::super::runtime().unwrap();
        let (release, released) = channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let blocks: Resolve = Arc::new(move |_, port| {
            count.fetch_add(1, Ordering::SeqCst);
            let _released = released.lock().unwrap().recv();
            Ok(vec![loopback(port)])
        });
        runtime.block_on(async {
            let mut slow: Vec<Lookup> =
                (0..16).map(|_| Lookup::with("slow", 7, Arc::clone(&blocks))).collect();
            for _ in 0..4 {
                for one in &mut slow {
                    assert!(timeout(Duration::from_millis(5), one.addresses()).await.is_err());
                    assert!(one.is_open());
                }
            }
            // All threads hang, and this one is answered.
            let mut good = Lookup::with("good", 9, Arc::new(|_, port| Ok(vec![loopback(port)])));
            let answer = timeout(Duration::from_secs(10), good.addresses()).await.expect("in time").unwrap();
            assert_eq!((&*answer.0, answer.1), (&[loopback(9)][..], false));
            assert_eq!(asked.load(Ordering::SeqCst), 16, "one each, though all were asked four times");
            drop(release);
            for one in &mut slow {
                assert_eq!(&*one.addresses().await.unwrap().0, [loopback(7)], "the late answer is used");
            }
            assert_eq!(asked.load(Ordering::SeqCst), 16);
        });
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_it_waits_longer_and_longer() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let mut lookup = Lookup::with(
            "no-such",
            7,
            Arc::new(move |_, _| {
                count.fetch_add(1, Ordering::SeqCst);
                Err(io::Error::other("Name or service not known"))
            }),
        );
        for _ in 0..300 {
            let failed = lookup.addresses().await.unwrap_err();
            assert_eq!(failed, Failed("Name or service not known".to_owned()));
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        // At 0, 5, 15, 35, 75, 135, 195 and 255 s.
        assert_eq!(asked.load(Ordering::SeqCst), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_asked_again_only_where_nobody_answers_and_it_is_not_new() {
        let mut lookup = Lookup::with("good", 9, Arc::new(|_, port| Ok(vec![loopback(port)])));
        assert!(!lookup.addresses().await.unwrap().1);
        assert!(lookup.addresses().await.unwrap().1 && !lookup.forget());
        tokio::time::advance(AGAIN.0).await;
        assert!(lookup.forget() && !lookup.addresses().await.unwrap().1);
        // An address needs nobody.
        let mut address = Lookup::with("::1", 9, Arc::new(|_, _| panic!("asked")));
        assert_eq!(address.addresses().await.unwrap().0[0].to_string(), "[::1]:9");
    }
}
