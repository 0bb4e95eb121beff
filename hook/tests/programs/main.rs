//! The hook in programs that know nothing of it: every count against what the program is known to do.
//!
//! The programs are `traffic.c` beside this, `fi_pingpong` and MPI; the libraries are the system's libfabric and, where it can be fetched,
//! a 2.5. Traffic stays on the loopback interface. What a machine lacks is said as `skipped: reason`.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod faults;
mod listener;
mod mpi;
mod pingpong;
#[path = "../../../tests/support/port.rs"]
mod port;
mod programs;
mod support;
