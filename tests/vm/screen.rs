//! The screen, on a terminal that tmux emulates.

use crate::machine::Machine;

/// Beside the rxe devices one that sends at 90 Gb/s.
const BEGIN: &str = "use_mock efa_0:efa; echo 424242 >$mock/efa_0/port/send_bytes
    echo 11250000000 >$mock/efa_0/port/tx_bytes.per_s
    screen_begin -i 500ms || exit";

/// What the terminal's modes are: 1 while a program has the other screen; 0 where the cursor is hidden.
const MODES: &str = "screen display-message -p 'alternate #{alternate_on} cursor #{cursor_flag}'";

pub fn devices_events_and_counters_are_on_it(machine: &mut Machine) {
    machine.ok(BEGIN);
    machine.ok("screen_until '^[^a-z]*rxe0 ' && screen_until '^[^a-z]*rxe3 '");
    // As the title says, in Gb/s; a hundredth either way is the emulation's.
    machine.ok("screen_until 'NIC .*Gb/s' && screen_until '^[^a-z]*efa_0 .* (89\\.[5-9]|90\\.[0-4]) '");
    // The groups come first, and the devices in their natural order.
    machine.ok("screen send-keys Down Enter; screen_until 'send_bytes +424 242'");
    // With a key right behind it, an Escape would be an Alt.
    machine.ok("screen send-keys Escape; screen_until '2 Groups'");
    machine.ok("screen send-keys 4; ip link set v0a down; screen_until 'rxe0.*DOWN'");
    machine.ok("ip link set v0a up; rxe_route 0; screen_until 'rxe0.*ACTIVE'");
    machine.ok("screen kill-server; use_mock ''");
}

/// The first look waits for nobody, and the next tick is an hour away.
pub fn a_device_that_hangs_keeps_nobody_off_the_first_screen(machine: &mut Machine) {
    machine.ok("use_mock efa_0:efa,efa_1:efa,efa_2:efa; echo 60000 >$mock/efa_1/stall_ms
        screen_begin -i 1h --source sysfs --device 'efa_*'");
    // They have been read (and have a rate if that was so twice), it has not.
    machine.ok("for d in 0 2; do screen_until \"^[^a-z]*efa_$d +(new| .*[0-9]\\\\.[0-9])\" || exit; done
        screen_until '^[^a-z]*efa_1 +stale'");
    machine.ok("echo 0 >$mock/efa_1/stall_ms; screen kill-server; until_true 120 use_mock ''");
}

pub fn a_signal_gives_the_terminal_back(machine: &mut Machine) {
    machine.ok(BEGIN);
    machine.ok("screen_until '^[^a-z]*efa_0 '");
    assert_eq!(machine.ok(MODES), "alternate 1 cursor 0\n");
    machine.ok("kill -TERM $(screen_pid); screen_until '^ended with 143'");
    assert_eq!(machine.ok(MODES), "alternate 0 cursor 1\n");
    let line = machine.ok("stty -a -F $(screen display-message -p '#{pane_tty}')");
    let words: Vec<&str> = line.split_whitespace().collect();
    for mode in ["icanon", "echo", "isig", "opost"] {
        assert!(words.iter().any(|w| w.trim_end_matches(';') == mode), "{mode} is off: {line}");
    }
    machine.ok("screen kill-server; use_mock ''");
}

/// What is done to the devices while the screen shows them, and whether the kernel's own files say that it is done.
const CHANGES: [(&str, &str); 5] = [
    ("ip link set v1a down", "grep -q DOWN $sys/rxe2/ports/1/state"),
    ("ip link set v1a up; rxe_route 1", "grep -q ACTIVE $sys/rxe2/ports/1/state"),
    ("rdma dev set rxe3 name rdmap16s27", "[ -e $sys/rdmap16s27 -a ! -e $sys/rxe3 ]"),
    ("rdma link delete rdmap16s27", "[ ! -e $sys/rdmap16s27 ]"),
    ("rdma link add rxe3 type rxe netdev v1b", "grep -q ACTIVE $sys/rxe3/ports/1/state"),
];

pub fn links_and_names_on_it_are_the_kernels_as_they_change(machine: &mut Machine) {
    let changes = CHANGES.map(|(change, done)| {
        format!(
            "{change}; until_true 50 eval '{done}' && until_true 50 screen_agrees ||
                 {{ echo 'after: {change}' >&2; screen_agrees >&2; exit 1; }}\n"
        )
    });
    machine.ok(&format!(
        "sys=/sys/class/infiniband; screen_begin -i 250ms && screen_until '^[^a-z]*rxe3 ' || exit
         {}",
        changes.concat()
    ));
    // Each is an event.
    machine.ok(
        "screen send-keys 4
         for event in 'link down +rxe2 .* went from ACTIVE to DOWN' 'link up +rxe2 .* is ACTIVE after' \
             'renamed +rdmap16s27 rxe3 is called rdmap16s27 now' 'device gone +rdmap16s27' 'new device +rxe3'; do
             screen_until \"$event\" || exit
         done; screen kill-server",
    );
}
