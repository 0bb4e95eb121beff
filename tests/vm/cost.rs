//! What a tick costs: system calls, counted by the kernel, of the screen at 1 s with 32 EFA devices that all move.
//!
//! One screen after the other, since what a busy machine makes late costs calls: more threads read then, and fewer devices
//! are asked for with one message. The calls of a count are divided by its ticks, which the same count has: the sampler
//! wakes the screen once a tick.

use crate::machine::Machine;

const NICS: u64 = 32;
/// How long is counted, in seconds: at least one of each kind of look that is not made at every tick (2 s to 10 s).
const SECONDS: u64 = 11;
/// How often is counted at most: a host that is busy for a moment can only make it more.
const COUNTS: usize = 3;

/// 32 devices, and eight processes with four queue pairs on each of them.
const NODE: &str = "use_mock $(seq -s , -f rdmap%gs0:efa 0 31)
    for counter in $mock/*/port/{tx,rx}_bytes.per_s; do echo 11250000000 >$counter; done
    python3 $vm/hold_qps.py 8 4 $(seq -f rdmap%gs0 0 31) >/tmp/held 2>&1 & echo $! >/tmp/holder
    until_true 60 grep -q ready /tmp/held || { cat /tmp/held >&2; exit 1; }
    [ $(rdma resource show qp | grep -c 'comm python3') = 1024 ]";

/// What one count says.
#[derive(Debug)]
struct Count {
    calls: u64,
    ticks: u64,
    /// Files of devices that were read.
    preads: u64,
}

impl Count {
    fn per_tick(&self) -> f64 {
        self.calls as f64 / self.ticks as f64
    }
}

pub fn a_tick_of_32_nics_stays_within_its_system_calls(machine: &mut Machine) {
    machine.ok(&format!("vm={VM}; {NODE}"));
    let mut missed = Vec::new();
    begin(machine, "--source sysfs");
    let sysfs = within(machine, "sysfs", 200, &mut missed);
    begin(machine, "--source netlink");
    let netlink = within(machine, "netlink", 100, &mut missed);
    begin(machine, "");
    within(machine, "auto", 200, &mut missed);
    machine.ok("screen send-keys 3; screen_until python3");
    let processes = within(machine, "processes", 400, &mut missed);
    machine.ok("screen kill-server; kill $(cat /tmp/holder); until_true 120 use_mock ''");
    assert!(missed.is_empty(), "{missed:?}");
    // They have read what they show: five files of each device, all devices' counters, all queue pairs.
    assert!(sysfs.preads >= 5 * NICS * (sysfs.ticks - 1), "{sysfs:?}");
    assert!(netlink.preads < NICS * netlink.ticks && netlink.calls > 2 * netlink.ticks, "{netlink:?}");
    assert!(processes.calls > 2 * processes.ticks, "{processes:?}");
}

const VM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vm");

/// A screen with rates of the devices, and of no others.
fn begin(machine: &mut Machine, arguments: &str) {
    machine.ok(&format!(
        "screen kill-server 2>/dev/null
         screen new-session -d -x 160 -y 48 'exec railtop -i 1s --device \"rdmap*\" {arguments}'
         screen_until 'rdmap0s0 .*[1-9]'"
    ));
}

/// Counts the running screen, again if it is more than `limit` a tick, and notes if it is so each time.
fn within(machine: &mut Machine, name: &str, limit: u64, missed: &mut Vec<String>) -> Count {
    let mut tried = 0;
    loop {
        // What follows the start (facts, lists, the first pages) is over after a few ticks.
        let said = machine.ok(&format!(
            "source {VM}/count.sh; sleep 3
             count_begin {name} $(screen display-message -p '#{{pane_pid}}') || exit
             sleep {SECONDS}; calls=$(count_end {name}) || exit
             echo $calls $(ticks_of {name}) $(calls_of {name} '.*' 'pread64')
             calls_of {name} '.*' '.*'"
        ));
        let numbers: Vec<u64> = said.split_whitespace().map(|n| n.parse().expect("a number")).collect();
        let [calls, ticks, preads, parts] = numbers[..] else { panic!("not four numbers: {said}") };
        assert_eq!(parts, calls, "the parts of the count");
        assert!((SECONDS / 2..=SECONDS + 2).contains(&ticks), "{name}: {ticks} ticks in {SECONDS} s");
        let count = Count { calls, ticks, preads };
        println!("       {name}: {:.0} system calls a tick, {limit} allowed: {count:?}", count.per_tick());
        tried += 1;
        if count.per_tick() <= limit as f64 {
            return count;
        }
        println!(
            "{}",
            machine.ok(&format!("sort -t: -k4 -n /tmp/{name}.calls | grep common_pid | tail -n 20"))
        );
        if tried == COUNTS {
            missed.push(format!("{name}: {:.0} a tick", count.per_tick()));
            return count;
        }
    }
}
