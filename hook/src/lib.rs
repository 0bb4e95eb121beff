//! Counts the traffic of any libfabric program, from within, and publishes it as a counter page (`docs/counter-page.md`).
//!
//! One file, two ways in: as an external provider that libfabric loads itself (`FI_HOOK=railtop` with `FI_PROVIDER_PATH`,
//! `provider`), or preloaded in front of `fi_fabric` (`LD_PRELOAD`, `preload`). Both see every fabric that the program
//! opens and put our functions into its tables of operations; from a fabric that goes on to its domains, endpoints and
//! completion queues. `docs/hook.md` is for users, with what cannot be seen.
//!
//! # How objects are hooked
//!
//! * A provider's tables are static and shared by its objects, so they are never written. An object gets a copy (`shadow`),
//!   as large as the provider's table, in which some functions are ours; a header before the copy says which table it was
//!   copied from and which object it is for.
//! * Providers write into their tables, compare them with their own, or replace them, in `bind`, `control`, `setopt` and `close`. So the object's
//!   own tables are put back for the time of those calls, and with an endpoint's also its domain's.
//! * Every function of ours that posts or reads calls the provider's exactly once, whatever happens to the counting, and finds it through the
//!   object at that moment: if the table there is not ours (any more), it does nothing but call on.
//!
//! # How it counts
//!
//! Every thread adds to numbers of its own ([`count`]) with plain loads and stores. A thread of ours (`publisher`) adds them up a hundred times
//! a second while they change and publishes the sums: it is the only writer of the page's records. That thread is one that the C library does
//! not know (`thread` says why), so whatever needs more than memory, making a page above all, is done in the program's own threads.
//!
//! # What it may never do
//!
//! Take the program down. What is not on the path of an operation runs under `guard`, which turns a panic into "stop
//! counting"; what is on it has nothing that could panic. Nothing is written to the program's stdout or stderr.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod changes;
pub mod count;
mod domain;
mod endpoint;
mod fabric;
mod first;
mod fork;
mod guard;
mod identity;
mod lock;
mod nics;
mod preload;
pub mod provider;
mod publisher;
mod queue;
mod rest;
mod settings;
mod shadow;
mod system;
mod thread;
mod totals;
mod transmit;

pub use fabric::hook_fabric;
pub use publisher::{finish, publish_now};
