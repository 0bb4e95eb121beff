//! NICs through libfabric.
//!
//! Each NIC has a fabric, a domain, a completion queue, the registered heap, and one or two endpoints (`receiver.rs`) with an address
//! vector each, of its own. What a provider grants is obeyed, not assumed: memory-registration mode, missing `info->nic`, ignored domain
//! hints and zero lengths in target completions are facts of life (libfabric 1.17 has all of them).

#![expect(unsafe_code, reason = "libfabric's objects are C structures behind raw pointers")]

mod card;
mod completion;
mod device;
mod discover;
mod endpoint;
mod failing;
mod half_open;
mod handles;
mod info;
mod keys;
mod open;
mod peers;
mod receiver;
mod slots;

pub use card::{NicCard, Remote};
pub use discover::{NicRequest, Share, discover, is_rdma};
pub use endpoint::{FabricNic, Held};
pub use info::Info;
pub use open::JobNics;

use libfabric_sys::Libfabric;

/// Why NICs cannot be used through libfabric.
#[derive(Debug, thiserror::Error)]
pub enum FabricError {
    /// libfabric itself is missing or too old.
    #[error(transparent)]
    Load(#[from] libfabric_sys::LoadError),
    /// No provider offers what the transport needs.
    #[error(
        "libfabric {version} ({library}) offers no way to write through {wanted}; tried: {tried}. Name a provider with --provider or FI_PROVIDER, see `fi_info`"
    )]
    NoProvider {
        /// Version of the library.
        version: String,
        /// Its file.
        library: String,
        /// The NIC wanted.
        wanted: String,
        /// Providers tried, with what each answered.
        tried: String,
    },
    /// NICs that cannot be shared out evenly.
    #[error(
        "{nics} NICs cannot be shared out evenly to {pes} PEs on this node; name each PE's with --nics or RAILTOP_NICS"
    )]
    Ambiguous {
        /// NICs found.
        nics: usize,
        /// PEs on the node.
        pes: u32,
    },
    /// NICs to share out, and nobody says among how many.
    #[error(
        "{nics} NICs, and the launcher does not say how many PEs this node has (LOCAL_WORLD_SIZE, OMPI_COMM_WORLD_LOCAL_SIZE, SLURM_NTASKS_PER_NODE); name each PE's with --nics or RAILTOP_NICS"
    )]
    UnknownShare {
        /// NICs found.
        nics: usize,
    },
    /// A call that should have worked did not.
    #[error("NIC {nic}: {call} failed: {why}")]
    Call {
        /// The NIC.
        nic: String,
        /// The libfabric function.
        call: &'static str,
        /// What libfabric says.
        why: String,
    },
    /// A card from another PE that makes no sense.
    #[error("PE {pe} describes its NICs in a way that cannot be used: {why}")]
    Card {
        /// The PE.
        pe: u32,
        /// What is wrong.
        why: String,
    },
}

/// Turns a libfabric return code into an error that names NIC and call.
fn check(lib: &Libfabric, nic: &str, call: &'static str, code: i32) -> Result<(), FabricError> {
    if code < 0 {
        return Err(FabricError::Call { nic: nic.to_owned(), call, why: lib.strerror(code) });
    }
    Ok(())
}
