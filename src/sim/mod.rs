//! `railtop sim`: which NIC policy holds on clusters that nobody has rented yet.
//!
//! The very policies of [`crate::transport::select`] choose NICs in a model of a cluster, in which ports, proxies and windows take
//! time. It is a model: what it leaves out, and how far its figures are from measured ones, stands in docs/scale.md.

mod costs;
mod each;
mod engine;
mod limit;
mod nic;
mod outcome;
mod pe;
pub mod report;
mod rounds;
mod scene;
pub mod traffic;
mod wheel;
mod windows;

#[cfg(test)]
mod made;
#[cfg(test)]
mod tests;

pub use costs::{Costs, Preset, Told};
pub use each::{Watcher, run_each};
pub use engine::{Ended, Watch, run};
pub use limit::{check_time, memory};
pub use outcome::{Balance, NicMoved, Outcome};
pub use scene::{Scene, SceneError, Slow};
