//! What a tick costs: system calls, counted by the kernel, of the screen at 1 s with 32 EFA devices that all move.
//!
//! All at once, each in a terminal of its own, since what is counted are calls and not time. The devices tell how often
//! they were read, so that ticks that a busy machine left out do not make it look cheaper.

use std::collections::BTreeMap;

use crate::machine::Machine;

const NICS: u64 = 32;
/// How long is counted, in seconds: several of each kind of look that is not made at every tick (2 s to 10 s).
const SECONDS: u64 = 20;

/// Name, arguments, key pressed at first (3: the processes), and the most calls a tick. The queue pairs are there for all.
const SCREENS: [(&str, &str, &str, u64); 4] = [
    ("sysfs", "--source sysfs", "", 200),
    ("netlink", "--source netlink", "", 100),
    ("auto", "", "", 200),
    ("processes", "", "3", 400),
];

/// 32 devices, and eight processes with four queue pairs on each of them.
const NODE: &str = "devices=$(seq -s , -f rdmap%gs0:efa 0 31); use_mock $devices
    for counter in $mock/*/port/{tx,rx}_bytes.per_s; do echo 11250000000 >$counter; done
    python3 $vm/hold_qps.py 8 4 $(seq -f rdmap%gs0 0 31) >/tmp/held 2>&1 & echo $! >/tmp/holder
    until_true 60 grep -q ready /tmp/held || { cat /tmp/held >&2; exit 1; }
    [ $(rdma resource show qp | grep -c 'comm python3') = 1024 ]";

pub fn a_tick_of_32_nics_stays_within_its_system_calls(machine: &mut Machine) {
    let vm = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vm");
    machine.ok(&format!("vm={vm}; {NODE}"));
    machine.ok("screen kill-server 2>/dev/null; true");
    for (name, arguments, ..) in SCREENS {
        machine.ok(&format!("screen new-session -d -x 160 -y 48 -s {name} 'exec railtop -i 1s {arguments}'"));
    }
    for (name, _, key, _) in SCREENS {
        let until = |pattern: &str| {
            format!(
                "until_true 50 sh -c 'tmux -S /tmp/screen capture-pane -p -t {name} | grep -q \"{pattern}\"'"
            )
        };
        machine.ok(&until("rdmap0s0 .*[1-9]"));
        if !key.is_empty() {
            machine.ok(&format!("screen send-keys -t {name} {key}; {}", until("python3")));
        }
    }
    let names: Vec<&str> = SCREENS.iter().map(|(name, ..)| *name).collect();
    let names = names.join(" ");
    // What follows the start (facts, lists, the first pages) is over after a few ticks.
    let said = machine.ok(&format!(
        "source {vm}/count.sh; sleep 5
         reads() {{ cat $mock/*/reads | awk '{{ sum += $1 }} END {{ print sum }}'; }}
         for s in {names}; do count_begin $s $(screen display-message -p -t $s '#{{pane_pid}}') || exit; done
         before=$(reads); sleep {SECONDS}; echo reads $(($(reads) - before))
         for s in {names}; do echo $s $(count_end $s); done"
    ));
    machine.ok("screen kill-server; kill $(cat /tmp/holder); until_true 10 use_mock ''");
    let counts: BTreeMap<&str, u64> = said
        .lines()
        .map(|line| line.split_once(' ').and_then(|(k, v)| Some((k, v.parse().ok()?))).expect("NAME NUMBER"))
        .collect();
    // A device is read once for each screen and tick, or a few times where the values of a look are further apart than
    // the kernel keeps them.
    let screens = u64::try_from(SCREENS.len()).expect("few");
    let wanted = screens * NICS * SECONDS;
    assert!(counts["reads"] >= wanted * 8 / 10, "ticks were left out: {counts:?}");
    println!("{counts:?} in {SECONDS} s");
    for (name, _, _, limit) in SCREENS {
        let per_tick = counts[name] as f64 / SECONDS as f64;
        assert!(per_tick <= limit as f64, "{name}: {per_tick:.0} a tick: {counts:?}");
        // All have a tick a second, with a frame for it.
        assert!(per_tick > 8.0, "{name}: {per_tick:.0} a tick: {counts:?}");
    }
    assert!(counts["sysfs"] > 5 * NICS * SECONDS * 8 / 10, "five files a device: {counts:?}");
}
