//! What the process is: for the page's header.

#![expect(unsafe_code, reason = "asks the dynamic linker where a function comes from")]

use std::ffi::{CStr, c_void};
use std::path::PathBuf;
use std::{env, fs, process};

use counters::{NicCounts, NicIdentity, PageDir, PageSpec, PeCounts, RxSource};
use libfabric_sys::fid::fid_fabric;
use libfabric_sys::{FI_MAJOR, FI_MINOR};

use crate::first::First;

/// A process's place in its job, as the launcher says it: torchrun, Open MPI, `PMIx`, `PMI` (MPICH, Intel MPI), Slurm.
const RANKS: [(&str, &str, &str); 5] = [
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("PMIX_RANK", "PMIX_SIZE", "PMIX_LOCAL_RANK"),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
];

/// Where a job's name may be found.
const JOBS: [&str; 7] = [
    "RAILTOP_JOB",
    "SLURM_JOB_ID",
    "PBS_JOBID",
    "LSB_JOBID",
    "PMIX_NAMESPACE",
    "PMI_JOBID",
    "TORCHELASTIC_RUN_ID",
];

/// Rank, size of the job (0: not known), rank within the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    rank: u32,
    world: u32,
    local_rank: u32,
}

/// By the process id, which is nobody else's on this node.
fn alone(pid: u32) -> Place {
    Place { rank: pid, world: 0, local_rank: 0 }
}

/// By the environment.
fn place(var: impl Fn(&str) -> Option<String>) -> Option<Place> {
    let number = |name: &str| var(name)?.trim().parse::<u32>().ok();
    let of = |(rank, world, local): &(&str, &str, &str)| {
        let rank = number(rank)?;
        let world = number(world).filter(|world| *world > rank).unwrap_or(0);
        Some(Place { rank, world, local_rank: number(local).unwrap_or(0) })
    };
    RANKS.iter().find_map(of)
}

/// What the environment says of the process.
#[derive(Debug)]
pub(crate) struct Environment {
    place: Option<Place>,
    node: Option<String>,
    job: String,
    /// Where pages go.
    pub(crate) pages: PathBuf,
}

static ENVIRONMENT: First<Environment> = First::new();

/// What the environment said at the first call, which is one of the program's threads: in a thread of ours reading it would race with
/// a program that changes it.
pub(crate) fn environment() -> &'static Environment {
    ENVIRONMENT.get_or_make(|| {
        let var = |name: &str| env::var(name).ok();
        Environment {
            place: place(var),
            node: var("RAILTOP_NODE").or_else(|| var("SLURMD_NODENAME")),
            job: JOBS.iter().find_map(|name| var(name).filter(|value| !value.is_empty())).unwrap_or_default(),
            pages: PageDir::default_path(),
        }
    })
}

/// What a page of ours counts of a NIC: what `totals` puts there. Signals, a protocol's own messages, NICs that fail: nothing tells of these.
pub(crate) const COUNTED: [&str; 17] = [
    "tx_posted_ops",
    "tx_posted_bytes",
    "tx_done_ops",
    "tx_done_bytes",
    "tx_errors",
    "tx_eagain",
    "rx_ops",
    "rx_bytes",
    "rx_errors",
    "cq_polls",
    "cq_empty",
    "max_in_flight_ops",
    "read_posted_ops",
    "read_done_ops",
    "read_done_bytes",
    "atomic_ops",
    "seen_rx_bytes",
];

/// The page of this process. A `forked` one has its parent's environment, but is not its parent.
pub(crate) fn spec(nics: Vec<NicIdentity>, provider: &str, rx_source: RxSource, forked: bool) -> PageSpec {
    let environment = environment();
    let place = environment.place.filter(|_| !forked).unwrap_or_else(|| alone(process::id()));
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    PageSpec {
        node: environment.node.clone().unwrap_or_else(|| host.clone()),
        host,
        job: environment.job.clone(),
        command: command(&fs::read("/proc/self/cmdline").unwrap_or_default()),
        provider: provider.to_owned(),
        library_version: LIBRARY.get().cloned().unwrap_or_default(),
        rank: place.rank,
        world: place.world,
        local_rank: place.local_rank,
        policy: String::new(),
        rx_source,
        gpu: String::new(),
        nics,
        threads: 1,
        uncounted: [NicCounts::names_without(&COUNTED), PeCounts::names_without(&[])].concat(),
        onlooker: true,
    }
}

/// The command line, with the program's name in place of its path.
fn command(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line.get(..line.len().min(4096)).unwrap_or_default()).into_owned();
    let mut words = text.split('\0').filter(|word| !word.is_empty());
    let program = words.next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or_default();
    [program].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

static LIBRARY: First<String> = First::new();

/// Finds out the version of the library that a fabric comes from.
///
/// # Safety
/// A live fabric with its provider's table.
pub(crate) unsafe fn note_library(fabric: *const fid_fabric) {
    if LIBRARY.get().is_some() {
        return;
    }
    // SAFETY: the caller's promise; the handle that `dlopen` gives is for a library that is loaded already.
    unsafe {
        let Some(op) = (*fabric).ops.as_ref().and_then(|ops| ops.domain) else { return };
        let mut found: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(op as *const c_void, &raw mut found) == 0 || found.dli_fname.is_null() {
            return;
        }
        let handle = libc::dlopen(found.dli_fname, libc::RTLD_NOLOAD | libc::RTLD_LAZY);
        if handle.is_null() {
            return;
        }
        let name: &CStr = c"fi_version";
        let version = libc::dlsym(handle, name.as_ptr());
        if !version.is_null() {
            let version: unsafe extern "C" fn() -> u32 = std::mem::transmute(version);
            let version = version();
            LIBRARY.get_or_make(|| format!("{}.{}", FI_MAJOR(version), FI_MINOR(version)));
        }
        libc::dlclose(handle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_environment(pairs: &[(&str, &str)]) -> Place {
        let find =
            |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        place(find).unwrap_or(alone(4711))
    }

    #[test]
    fn the_launcher_says_who_a_process_is() {
        let torch = [("RANK", "3"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1"), ("SLURM_PROCID", "0")];
        assert_eq!(in_environment(&torch), Place { rank: 3, world: 8, local_rank: 1 });
        let mpich = [("PMI_RANK", "2"), ("PMI_SIZE", "4")];
        assert_eq!(in_environment(&mpich), Place { rank: 2, world: 4, local_rank: 0 });
    }

    #[test]
    fn without_one_or_with_nonsense_it_is_its_pid() {
        let alone = Place { rank: 4711, world: 0, local_rank: 0 };
        assert_eq!(in_environment(&[]), alone);
        assert_eq!(in_environment(&[("RANK", "first"), ("WORLD_SIZE", "2")]), alone);
        // A size that the rank is not below is no size.
        assert_eq!(in_environment(&[("RANK", "5"), ("WORLD_SIZE", "2")]).world, 0);
    }

    #[test]
    fn a_command_is_its_program_and_its_arguments() {
        assert_eq!(command(b"/usr/bin/fi_pingpong\0-p\0tcp;ofi_rxm\0"), "fi_pingpong -p tcp;ofi_rxm");
        assert_eq!(command(b""), "");
    }
}
