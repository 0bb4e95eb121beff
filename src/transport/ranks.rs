//! Who am I: the PE's number and the job's size from flags or from the launcher's environment.
//!
//! Order (contract): flags, torchrun (`RANK`, …), Open MPI, `PMIx`, Slurm. A launcher counts only when it names both rank
//! and size, so that a half-set environment is an error that says which half is missing.

mod slurm;

use super::wire::MAX_PES;

/// A PE's place in its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranks {
    /// This PE's number.
    pub rank: u32,
    /// PEs in the job.
    pub world: u32,
    /// Number among the PEs of this node, when the launcher says.
    pub local_rank: Option<u32>,
    /// PEs on this node, when the launcher says.
    pub local_world: Option<u32>,
    /// Where the rendezvous is (host or address), when the launcher says; under Slurm, the step's first node.
    pub master_addr: Option<String>,
    /// Its port, when the launcher says.
    pub master_port: Option<u16>,
    /// Where rank and size came from, for messages.
    pub from: &'static str,
}

/// What the command line says; `None` where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RankFlags {
    /// `--rank`.
    pub rank: Option<u32>,
    /// `--world-size`.
    pub world: Option<u32>,
    /// `--master-addr`.
    pub master_addr: Option<String>,
    /// `--master-port`.
    pub master_port: Option<u16>,
}

/// A rank environment that does not make sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RankError {
    /// A variable that is no number.
    #[error("{name}={value:?} is not a number from 0 to {max}")]
    NotANumber {
        /// The variable.
        name: String,
        /// What it holds, cut to a bounded length.
        value: String,
        /// The largest value it may have.
        max: u64,
    },
    /// One of rank and size is there, the other is not.
    #[error("{present} is set but {missing} is not; set both, or start with `railtop lab -- …`")]
    Missing {
        /// The variable that is set.
        present: &'static str,
        /// The variable that is not.
        missing: &'static str,
    },
    /// More PEs than the wire format can name.
    #[error("a job of {world} PEs (from {from}) is too large: at most {MAX_PES} are possible")]
    TooMany {
        /// The size.
        world: u32,
        /// Where it came from.
        from: &'static str,
    },
    /// A rank that is not below the size.
    #[error("rank {rank} is not below the world size {world} (from {from})")]
    OutOfRange {
        /// The rank.
        rank: u32,
        /// The size.
        world: u32,
        /// Where they came from.
        from: &'static str,
    },
}

/// What flags or a launcher say about numbers.
struct Numbers {
    rank: u32,
    world: u32,
    local_rank: Option<u32>,
    local_world: Option<u32>,
    from: &'static str,
}

/// Where a launcher puts rank, size and local rank.
struct Launcher {
    name: &'static str,
    rank: &'static str,
    world: &'static str,
    local: &'static str,
    /// PEs of the node.
    local_world: &'static str,
}

/// What [`Ranks::from`] says where a rank is `PMIx`'s.
pub(super) const PMIX: &str = "PMIx";
/// What [`Ranks::from`] says under Slurm.
pub(super) const SLURM: &str = "Slurm";

const LAUNCHERS: [Launcher; 4] = [
    Launcher {
        name: "torchrun",
        rank: "RANK",
        world: "WORLD_SIZE",
        local: "LOCAL_RANK",
        local_world: "LOCAL_WORLD_SIZE",
    },
    Launcher {
        name: "Open MPI",
        rank: "OMPI_COMM_WORLD_RANK",
        world: "OMPI_COMM_WORLD_SIZE",
        local: "OMPI_COMM_WORLD_LOCAL_RANK",
        local_world: "OMPI_COMM_WORLD_LOCAL_SIZE",
    },
    // PMIx itself sets no size; launchers that use it do (PRRTE: PMIX_SIZE is not standard, Slurm's SLURM_NTASKS is).
    Launcher {
        name: PMIX,
        rank: "PMIX_RANK",
        world: "PMIX_SIZE",
        local: "PMIX_LOCAL_RANK",
        local_world: "PMIX_LOCAL_SIZE",
    },
    Launcher {
        name: SLURM,
        rank: "SLURM_PROCID",
        world: "SLURM_NTASKS",
        local: "SLURM_LOCALID",
        local_world: "SLURM_NTASKS_PER_NODE",
    },
];

impl Ranks {
    /// Reads flags first, then the environment through `get`. Without either this is a job of one PE.
    ///
    /// # Errors
    /// When a variable is no number, one half is missing, or the rank is not below the size.
    pub fn find(flags: &RankFlags, get: impl Fn(&str) -> Option<String>) -> Result<Self, RankError> {
        let Numbers { rank, world, local_rank, local_world, from } = Self::numbers(flags, &get)?;
        if rank >= world {
            return Err(RankError::OutOfRange { rank, world, from });
        }
        if world > MAX_PES {
            return Err(RankError::TooMany { world, from });
        }
        let master_port = match flags.master_port {
            Some(port) => Some(port),
            None => number(&get, "MASTER_PORT")?,
        };
        let master_addr =
            flags.master_addr.clone().or_else(|| get("MASTER_ADDR").filter(|addr| !addr.is_empty()));
        // `srun --mpi=pmix` sets a rank of PMIx's and nothing else of it.
        let step = match from {
            SLURM | PMIX => slurm::Step::find(rank, &get)?,
            _ => slurm::Step::default(),
        };
        let (local_rank, local_world) = (local_rank.or(step.local_rank), step.local_world.or(local_world));
        let (master_addr, master_port) = (master_addr.or(step.master_addr), master_port.or(step.master_port));
        Ok(Self { rank, world, local_rank, local_world, master_addr, master_port, from })
    }

    fn numbers(flags: &RankFlags, get: &impl Fn(&str) -> Option<String>) -> Result<Numbers, RankError> {
        match (flags.rank, flags.world) {
            (Some(rank), Some(world)) => {
                let (local_rank, local_world) =
                    (number(get, "LOCAL_RANK")?, number(get, "LOCAL_WORLD_SIZE")?);
                return Ok(Numbers { rank, world, local_rank, local_world, from: "flags" });
            }
            (Some(_), None) => return Err(RankError::Missing { present: "--rank", missing: "--world-size" }),
            (None, Some(_)) => return Err(RankError::Missing { present: "--world-size", missing: "--rank" }),
            (None, None) => {}
        }
        for launcher in &LAUNCHERS {
            let rank = number(get, launcher.rank)?;
            let world = match (launcher.name, number(get, launcher.world)?) {
                (PMIX, None) => number(get, "SLURM_NTASKS")?,
                (_, world) => world,
            };
            match (rank, world) {
                (Some(rank), Some(world)) => {
                    let (local_rank, local_world) =
                        (number(get, launcher.local)?, number(get, launcher.local_world)?);
                    return Ok(Numbers { rank, world, local_rank, local_world, from: launcher.name });
                }
                // Slurm sets SLURM_NTASKS in batch scripts too, and PMIX_RANK may stand beside another launcher's
                // size: only torchrun's and Open MPI's pair must be whole.
                (Some(_), None) if launcher.name != PMIX => {
                    return Err(RankError::Missing { present: launcher.rank, missing: launcher.world });
                }
                (None, Some(_)) if launcher.name == "torchrun" => {
                    return Err(RankError::Missing { present: launcher.world, missing: launcher.rank });
                }
                _ => {}
            }
        }
        Ok(Numbers { rank: 0, world: 1, local_rank: None, local_world: None, from: "no launcher" })
    }
}

/// The variable as a number; `None` when it is not set.
fn number<T: TryFrom<u64> + Bounded>(
    get: &impl Fn(&str) -> Option<String>,
    name: &str,
) -> Result<Option<T>, RankError> {
    let Some(text) = get(name) else {
        return Ok(None);
    };
    let value = text.trim().parse::<u64>().ok().and_then(|value| T::try_from(value).ok());
    value.map(Some).ok_or_else(|| RankError::NotANumber {
        name: name.to_owned(),
        value: crate::text::printable(&text).chars().take(40).collect(),
        max: T::MAX,
    })
}

/// The largest value of a number type, for messages.
trait Bounded {
    const MAX: u64;
}

impl Bounded for u32 {
    const MAX: u64 = u32::MAX as u64;
}

impl Bounded for u16 {
    const MAX: u64 = u16::MAX as u64;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(vars: &[(&str, &str)]) -> Result<Ranks, RankError> {
        find_with(&RankFlags::default(), vars)
    }

    fn find_with(flags: &RankFlags, vars: &[(&str, &str)]) -> Result<Ranks, RankError> {
        Ranks::find(flags, |name| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn launchers_in_their_order() {
        let slurm = [("SLURM_PROCID", "5"), ("SLURM_NTASKS", "8"), ("SLURM_LOCALID", "1")];
        let found = find(&slurm).unwrap();
        assert_eq!((found.rank, found.world, found.local_rank, found.from), (5, 8, Some(1), "Slurm"));

        let mut with_mpi = vec![("OMPI_COMM_WORLD_RANK", "2"), ("OMPI_COMM_WORLD_SIZE", "4")];
        with_mpi.extend(slurm);
        assert_eq!(find(&with_mpi).unwrap().from, "Open MPI");

        let mut with_torch =
            vec![("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "10.0.0.1"), ("MASTER_PORT", "29500")];
        with_torch.extend(with_mpi);
        let found = find(&with_torch).unwrap();
        assert_eq!(
            (found.from, found.master_addr.as_deref(), found.master_port),
            ("torchrun", Some("10.0.0.1"), Some(29500))
        );

        let flags = RankFlags { rank: Some(1), world: Some(3), ..RankFlags::default() };
        assert_eq!(find_with(&flags, &with_torch).unwrap().from, "flags");

        let pmix = [("PMIX_RANK", "3"), ("SLURM_NTASKS", "8")];
        assert_eq!(find(&pmix).unwrap().from, "PMIx");
        assert_eq!(find(&[]).unwrap().world, 1);
    }

    /// A task of a step as Slurm 22.05 sets it: task 3 of 4 on 2 nodes, from a batch script that asked for 8 tasks a node.
    const STEP: [(&str, &str); 11] = [
        ("SLURM_JOB_ID", "7"),
        ("SLURM_JOB_NODELIST", "node[0-3]"),
        ("SLURM_LOCALID", "1"),
        ("SLURM_NODEID", "1"),
        ("SLURM_NTASKS", "4"),
        ("SLURM_NTASKS_PER_NODE", "8"),
        ("SLURM_PROCID", "3"),
        ("SLURM_STEP_ID", "2"),
        ("SLURM_STEP_NODELIST", "node[1-2]"),
        ("SLURM_STEP_NUM_NODES", "2"),
        ("SLURM_STEP_TASKS_PER_NODE", "2(x2)"),
    ];

    fn changed(name: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
        STEP.into_iter().filter(|(key, _)| *key != name).chain([(name, value)]).collect()
    }

    #[test]
    fn a_slurm_step_says_where_to_meet() {
        let found = find(&STEP).unwrap();
        assert_eq!((found.rank, found.world, found.from), (3, 4, "Slurm"));
        assert_eq!((found.local_rank, found.local_world), (Some(1), Some(2)), "the step's, not the script's");
        assert_eq!(found.master_addr.as_deref(), Some("node1"), "the step's first, not the job's");
        assert!(found.master_port.is_some());
        let reserved = find(&changed("SLURM_STEP_RESV_PORTS", "12000-12001")).unwrap();
        assert_eq!(reserved.master_port, Some(12000));
        let said = find(&changed("MASTER_ADDR", "10.0.0.9")).unwrap();
        assert_eq!((said.master_addr.as_deref(), said.master_port), (Some("10.0.0.9"), found.master_port));
        // One node needs no name that others know; an arbitrary order does not begin with the first.
        for (name, value) in [("SLURM_STEP_NUM_NODES", "1"), ("SLURM_DISTRIBUTION", "arbitrary")] {
            assert_eq!(find(&changed(name, value)).unwrap().master_addr, None, "{name}");
        }
        let cyclic = find(&changed("SLURM_DISTRIBUTION", "cyclic")).unwrap();
        assert_eq!(cyclic.master_addr.as_deref(), Some("node1"));
    }

    #[test]
    fn pmix_under_slurm_has_the_steps_neighbours() {
        let found = find(&changed("PMIX_RANK", "3")).unwrap();
        assert_eq!(
            (found.from, found.rank, found.local_rank, found.local_world),
            ("PMIx", 3, Some(1), Some(2))
        );
        assert_eq!(found.master_addr.as_deref(), Some("node1"));
        // Somebody else's rank: what srun started was a daemon.
        let found = find(&changed("PMIX_RANK", "0")).unwrap();
        assert_eq!(
            (found.rank, found.local_rank, found.master_addr, found.master_port),
            (0, None, None, None)
        );
    }

    #[test]
    fn mpirun_in_a_slurm_job_is_not_the_step_of_its_daemons() {
        let mut vars = STEP.to_vec();
        vars.extend([("OMPI_COMM_WORLD_RANK", "3"), ("OMPI_COMM_WORLD_SIZE", "6")]);
        let found = find(&vars).unwrap();
        assert_eq!((found.from, found.master_addr, found.master_port), ("Open MPI", None, None));
    }

    #[test]
    fn half_an_environment_is_an_error_that_says_which_half() {
        let text = find(&[("RANK", "1")]).unwrap_err().to_string();
        assert!(text.contains("RANK is set but WORLD_SIZE is not"), "{text}");
        assert!(find(&[("WORLD_SIZE", "2")]).is_err());
        assert!(find_with(&RankFlags { rank: Some(1), ..RankFlags::default() }, &[]).is_err());
    }

    #[test]
    fn jobs_too_large_for_the_wire_are_refused() {
        assert!(find(&[("RANK", "0"), ("WORLD_SIZE", "65536")]).is_ok());
        let error = find(&[("RANK", "0"), ("WORLD_SIZE", "4294967295")]).unwrap_err().to_string();
        assert!(error.contains("65536"), "{error}");
    }

    #[test]
    fn nonsense_is_refused() {
        for vars in [
            [("RANK", "x"), ("WORLD_SIZE", "2")],
            [("RANK", "-1"), ("WORLD_SIZE", "2")],
            [("RANK", "2"), ("WORLD_SIZE", "2")],
        ] {
            assert!(find(&vars).is_err(), "{vars:?}");
        }
        let error =
            find(&[("RANK", "0"), ("WORLD_SIZE", "1"), ("MASTER_PORT", "70000")]).unwrap_err().to_string();
        assert!(error.contains("0 to 65535"), "{error}");
        let error = find(&[("RANK", "\u{1b}[2J"), ("WORLD_SIZE", "1")]).unwrap_err().to_string();
        assert!(!error.contains('\u{1b}'), "{error}");
    }
}
