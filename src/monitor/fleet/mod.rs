//! Many nodes on one screen, without Prometheus: their exporters' pages are read from here.
//!
//! ```text
//! target, hostlist, slurm: which nodes
//!   ─> client (HTTP, bounded) ─> openmetrics (lines) ─> page ─> Sample ─> node: a Model each ─┐
//!      process (ssh, srun) ─────> jsonl ──────────────────────> Sample ─────────────────────── ┤
//!                                                      assemble: one View, with every node <──┘ ─> tui, text
//! ```
//! What another machine sends is a [`Sample`](crate::monitor::sample::Sample) in the end, so that rates, resets, groups
//! and events are made here by the same model as there. All of it runs on one thread.

pub mod access;
mod assemble;
mod client;
pub mod hostlist;
mod jsonl;
mod lookup;
mod node;
mod openmetrics;
mod page;
mod poll;
mod process;
mod select;
pub mod slurm;
pub mod target;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

pub use client::Access;
pub use select::Select;
pub use target::Via;

use self::target::Target;
use super::model::view::View;
use super::newest::Newest;
use super::thresholds::Thresholds;

/// Which nodes, and how they are asked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The nodes, in the order of their rows where they are equally bad.
    pub targets: Vec<Target>,
    /// What of their numbers is looked at.
    pub select: Select,
    /// What it takes to be let in.
    pub access: Access,
    /// Time between two questions to the same node.
    pub interval: Duration,
    /// What counts as an event and as an imbalance.
    pub thresholds: Thresholds,
}

/// What the screen asks.
#[derive(Debug)]
enum Request {
    Interval(Duration),
    Stop,
}

/// Handle of the thread that asks. Dropping it ends the thread.
pub struct Fleet {
    newest: Newest,
    requests: UnboundedSender<Request>,
    thread: Option<JoinHandle<()>>,
}

impl Fleet {
    /// Begins to ask, at once.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(config: Config) -> io::Result<Self> {
        let runtime = runtime()?;
        let newest = Newest::default();
        let (requests, asked) = unbounded_channel();
        let views = newest.clone();
        let thread = thread::Builder::new().name("fleet".to_owned()).spawn(move || {
            let publish = move |view: View| views.publish(Arc::new(view));
            tokio::task::LocalSet::new().block_on(&runtime, poll::run(config, asked, publish));
            // A name server that does not answer is not waited for.
            runtime.shutdown_background();
        })?;
        Ok(Self { newest, requests, thread: Some(thread) })
    }

    /// From now on `wake` is called, on the thread that asks, whenever a new view is there; also now, if one is.
    pub fn subscribe(&mut self, wake: impl Fn() + Send + 'static) {
        self.newest.subscribe(wake);
    }

    /// Takes the newest view that was not taken before. Never waits.
    #[must_use]
    pub fn latest(&mut self) -> Option<Arc<View>> {
        self.newest.take()
    }

    /// Changes the interval, from now on.
    pub fn set_interval(&mut self, interval: Duration) {
        let _gone = self.requests.send(Request::Interval(interval));
    }

    /// Whether the thread still runs. If not, there will be no other view.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("thread", &self.thread).finish_non_exhaustive()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _gone = self.requests.send(Request::Stop);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Names are looked up by the C library, which blocks: on threads of their own, of which some may hang with a name server
/// while those of other names go on.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .thread_name("names")
        .max_blocking_threads(64)
        .build()
}
