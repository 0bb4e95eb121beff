//! The lab: a cluster emulated on one machine, to run a command on, once per PE.
//!
//! A node is a network and UTS namespace, a NIC is a veth pair limited in both directions: at its own
//! egress what it sends, at the switch's egress towards it what it receives. Any NIC reaches any NIC;
//! a socket bound to a NIC's address uses that NIC. Traffic between PEs of one node stays in the
//! node and passes no NIC, as over `NVLink`.
//!
//! Nothing has a name outside: when the lab is dropped or its process dies, of SIGKILL too, the
//! kernel removes namespaces, interfaces and queues, and the guardian the processes.
//! Nothing is touched that the lab did not make: no interface, no setting, no process of the host.
//!
//! ```no_run
//! use railtop::lab::{Lab, LabCommand, LabSpec, RunOptions};
//! let mut lab = Lab::up(LabSpec::default())?;
//! let hello = LabCommand { program: "hostname".into(), ..LabCommand::default() };
//! let outcome = lab.run(&hello, RunOptions::default())?;
//! assert_eq!(outcome.exit_code(), 0);
//! # Ok::<(), railtop::lab::LabError>(())
//! ```

mod address;
mod batch;
mod build;
mod census;
mod error;
mod guardian;
mod iproute;
mod launch;
mod lines;
mod namespace;
mod output;
mod rate;
mod run;
mod spec;
mod stop;
mod supervise;
mod sysctl;

pub use address::{Nic, Pe, management_address, node_name};
pub use build::Lab;
pub use error::LabError;
pub use launch::LabCommand;
pub use output::{LineFunction, Output};
pub use rate::{Rate, RateError};
pub use run::{RunOptions, RunOutcome};
pub use spec::{LabMode, LabSpec, MAX_NICS, MAX_NICS_PER_PE, MAX_NODES, MAX_PES_PER_NODE, SpecError};
pub use stop::StopHandle;
pub use supervise::{Ended, PeExit};
