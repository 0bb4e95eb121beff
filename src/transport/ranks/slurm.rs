//! What Slurm tells a task of a job step besides rank and size: who shares its node, and where the PEs can meet.
//!
//! Variables as in srun(1), "OUTPUT ENVIRONMENT VARIABLES", tried with Slurm 22.05. Only those of the *step* count: a batch
//! script's `SLURM_NTASKS_PER_NODE` and `SLURM_JOB_NODELIST` reach its steps unchanged, however few nodes and tasks these have.

use super::{RankError, number};

/// Where a step's port is looked for when Slurm reserves none: below the ports that systems hand out by themselves.
const PORTS: std::ops::Range<u64> = 20_000..30_000;

/// Steps with this number and above are Slurm's own (the shell that `salloc` starts on a node is `0xffff_fffa`, a batch script
/// `0xffff_fffb`): slurm.h, `SLURM_MAX_NORMAL_STEP_ID`. A program there is as much alone as outside of a step.
const SPECIAL_STEPS: u32 = 0xffff_fff0;

/// A task's place in its step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Step {
    /// Number among the tasks of this node.
    pub(super) local_rank: Option<u32>,
    /// Tasks on this node.
    pub(super) local_world: Option<u32>,
    /// The node of task 0, when the step has several nodes.
    pub(super) master_addr: Option<String>,
    /// A port that every task of the step computes alike.
    pub(super) master_port: Option<u16>,
}

impl Step {
    /// Of the task that has `rank`; nothing outside a step or in one of Slurm's own, and nothing when the rank is not srun's: `mpirun` starts its
    /// daemons by srun, and what it starts has their variables.
    pub(super) fn find(rank: u32, get: &impl Fn(&str) -> Option<String>) -> Result<Self, RankError> {
        let step = number::<u32>(get, "SLURM_STEP_ID")?.filter(|step| *step < SPECIAL_STEPS);
        let task = number::<u32>(get, "SLURM_PROCID")?;
        let (Some(step), Some(nodes)) = (step, get("SLURM_STEP_NODELIST")) else {
            return Ok(Self::default());
        };
        if task != Some(rank) {
            return Ok(Self::default());
        }
        let node = number(get, "SLURM_NODEID")?;
        let tasks = get("SLURM_STEP_TASKS_PER_NODE");
        // Any other distribution puts task 0 on the first node.
        let in_order = get("SLURM_DISTRIBUTION").as_deref() != Some("arbitrary");
        let several = number::<u32>(get, "SLURM_STEP_NUM_NODES")? != Some(1);
        let job = number::<u32>(get, "SLURM_JOB_ID")?;
        let reserved = get("SLURM_STEP_RESV_PORTS");
        Ok(Self {
            local_rank: number(get, "SLURM_LOCALID")?,
            local_world: tasks.zip(node).and_then(|(tasks, node)| tasks_on(&tasks, node)),
            master_addr: if in_order && several { first_host(&nodes) } else { None },
            master_port: reserved.and_then(|ports| first_port(&ports)).or_else(|| Some(port(job?, step))),
        })
    }
}

/// The first of `a[01-03,7]b[1-2],c`, which is `a01b1`; `None` for what is no list of hosts.
fn first_host(list: &str) -> Option<String> {
    let (mut host, mut rest) = (String::new(), list);
    loop {
        let end = rest.find(['[', ',', ']']).unwrap_or(rest.len());
        let (plain, tail) = rest.split_at_checked(end)?;
        host.push_str(plain);
        match tail.strip_prefix('[') {
            Some(inside) => {
                let (range, after) = inside.split_once(']')?;
                let first = range.split([',', '-']).next()?;
                if first.is_empty() || !first.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                host.push_str(first);
                rest = after;
            }
            None if tail.starts_with(']') => return None,
            None => break,
        }
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (!host.is_empty() && host.len() <= 255 && host.chars().all(fits)).then_some(host)
}

/// How many tasks the node with this number has, from `2(x3),1`.
fn tasks_on(list: &str, node: u32) -> Option<u32> {
    let mut nodes = 0_u64;
    for part in list.split(',') {
        let (tasks, times) = match part.split_once("(x") {
            Some((tasks, times)) => (tasks, times.strip_suffix(')')?.parse::<u32>().ok()?),
            None => (part, 1),
        };
        nodes += u64::from(times);
        if u64::from(node) < nodes {
            return tasks.parse().ok();
        }
    }
    None
}

/// The first of the ports that Slurm reserved for the step (`MpiParams=ports=…`): `12000-12003,12007`.
fn first_port(ports: &str) -> Option<u16> {
    ports.split([',', '-']).next()?.trim().parse().ok().filter(|port| *port != 0)
}

/// A port that differs from that of other jobs and other steps, as far as so few can.
fn port(job: u32, step: u32) -> u16 {
    let spread = (u64::from(job) * 31 + u64::from(step)) % (PORTS.end - PORTS.start);
    u16::try_from(PORTS.start + spread).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use test_case::test_case;

    #[test_case("node0", Some("node0"))]
    #[test_case("node[0-1]", Some("node0"))]
    #[test_case("p5-dy-gpu-[03,05-07],q1", Some("p5-dy-gpu-03"))]
    #[test_case("b,a[1-2]", Some("b"))]
    #[test_case("rack[1-2]n[08-09].x", Some("rack1n08.x"))]
    #[test_case("", None; "nothing")]
    #[test_case("[]", None; "an empty range")]
    #[test_case("a[1", None; "an open range")]
    #[test_case("a]1", None; "a range that only ends")]
    #[test_case("a[x-y]", None; "a range of no numbers")]
    #[test_case("a b", None; "a blank")]
    fn first_of_hosts(list: &str, expected: Option<&str>) {
        assert_eq!(first_host(list).as_deref(), expected);
    }

    #[test_case("2(x3),1", 0, Some(2))]
    #[test_case("2(x3),1", 2, Some(2))]
    #[test_case("2(x3),1", 3, Some(1))]
    #[test_case("2(x3),1", 4, None; "one too far")]
    #[test_case("3,1", 1, Some(1))]
    #[test_case("2(x", 0, None; "half of it")]
    #[test_case("4294967295(x4294967295),1(x4294967295)", 4_294_967_295, Some(1); "as large as it gets")]
    fn tasks_of_a_node(list: &str, node: u32, expected: Option<u32>) {
        assert_eq!(tasks_on(list, node), expected);
    }

    #[test_case("0", true; "the first")]
    #[test_case("4294967279", true; "the last of users")]
    #[test_case("4294967280", false; "the first that is special")]
    #[test_case("4294967290", false; "the shell of salloc")]
    #[test_case("4294967291", false; "a batch script")]
    fn steps_of_slurms_own_are_none(id: &str, users: bool) {
        let vars = [
            ("SLURM_JOB_ID", "7"),
            ("SLURM_LOCALID", "0"),
            ("SLURM_NODEID", "0"),
            ("SLURM_PROCID", "0"),
            ("SLURM_STEP_ID", id),
            ("SLURM_STEP_NODELIST", "node[1-2]"),
            ("SLURM_STEP_NUM_NODES", "2"),
            ("SLURM_STEP_TASKS_PER_NODE", "1(x2)"),
        ];
        let get =
            |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let step = Step::find(0, &get).unwrap();
        assert_eq!(step.master_addr.as_deref(), users.then_some("node1"));
        assert_eq!(step.local_world, users.then_some(1));
        assert_eq!(step == Step::default(), !users);
    }

    #[test]
    fn ports_are_reserved_or_spread() {
        assert_eq!(first_port("12000-12003"), Some(12000));
        assert_eq!(first_port("0"), None);
        assert_eq!(first_port("70000"), None);
        assert_ne!(port(7, 0), port(7, 1));
        assert_ne!(port(7, 0), port(8, 0));
        assert!(PORTS.contains(&u64::from(port(u32::MAX, u32::MAX))));
    }

    proptest! {
        #[test]
        fn whatever_stands_there_a_host_is_a_plain_word(list in any::<String>(), node in any::<u32>()) {
            if let Some(host) = first_host(&list) {
                prop_assert!(!host.is_empty() && !host.contains(|c: char| c.is_control() || c.is_whitespace()));
            }
            let _ = (tasks_on(&list, node), first_port(&list));
        }

        #[test]
        fn the_first_of_a_range_is_what_it_begins_with(
            name in "[a-z][a-z0-9-]{0,8}", from in 0_u32..99, more in 1_u32..9, width in 1_usize..4
        ) {
            let list = format!("{name}[{from:0width$}-{:0width$},777],other", from + more);
            prop_assert_eq!(first_host(&list), Some(format!("{name}{from:0width$}")));
        }
    }
}
