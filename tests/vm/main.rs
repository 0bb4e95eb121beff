//! The monitor against a real kernel: rxe devices with real RDMA writes, and devices of `mockrdma` whose values are set
//! here. Two virtual machines, many checks; README.md has the picture.
//!
//! What is right is never taken from railtop: it comes from the kernel's own files, from `rdma` of iproute2 and from
//! what was set.

#![expect(clippy::expect_used, clippy::panic, reason = "a check that cannot go on has failed")]

mod machine;
mod report;

mod balance;
mod cost;
mod inventory;
mod links;
mod netlink;
mod processes;
mod screen;
mod traffic;
mod transport;
mod trouble;
mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use machine::{Machine, Parts};

/// A check and its name. Each leaves the machine as it found it, so that they can be run alone.
type Check = (&'static str, fn(&mut Machine));

/// `module::function` of each, in the order they run.
macro_rules! checks {
    ($($module:ident :: $function:ident,)*) => {
        [$((concat!(stringify!($module), "::", stringify!($function)), $module::$function as fn(&mut Machine)),)*]
    };
}

/// What devices without hardware count, and what it costs to read that.
const COUNTS: &[Check] = &checks![
    values::a_first_sight_gives_no_rate,
    values::a_steady_source_is_shown_within_two_per_mille,
    values::a_reset_is_marked_and_gives_no_rate,
    values::the_largest_values_are_exact,
    values::words_of_mlx5_become_bytes,
    values::a_counter_of_32_bits_wraps_without_a_mark,
    netlink::both_sources_say_the_same,
    netlink::a_network_namespace_has_netlink_and_leaves_the_device_counters_alone,
    balance::rates_of_32_devices_are_right_and_the_slow_one_is_named,
    balance::a_load_on_one_device_is_skewed,
    cost::a_tick_of_32_nics_stays_within_its_system_calls,
];

/// Traffic, people and trouble; what only looks comes first.
const LIFE: &[Check] = &checks![
    inventory::devices_are_listed_as_the_kernel_has_them,
    traffic::bytes_and_packets_are_the_kernels,
    transport::puts_over_verbs_arrive_whole,
    processes::queue_pairs_are_counted_by_process_and_device,
    screen::devices_events_and_counters_are_on_it,
    screen::a_device_that_hangs_keeps_nobody_off_the_first_screen,
    screen::a_signal_gives_the_terminal_back,
    trouble::a_device_that_answers_einval_is_marked_and_the_others_go_on,
    trouble::a_device_that_hangs_is_marked_and_the_others_go_on,
    links::a_link_that_goes_down_is_seen_and_comes_back,
    links::a_renamed_device_goes_on_under_its_new_name,
    links::a_device_that_goes_and_comes_back_has_a_gap_and_no_spike,
    links::a_device_that_appears_is_found_while_running,
    links::a_driver_that_is_unbound_and_bound_again_is_followed,
];

/// Two tests, each with a machine for all its checks: booting takes longer than most of them, and most of their time is
/// waiting, so that two machines at a time take little more than one. `RAILTOP_VM_ONLY=traffic,links` runs those checks
/// whose name contains one of these.
#[test]
fn what_devices_count_in_a_virtual_machine() {
    run(COUNTS);
}

#[test]
fn what_happens_to_devices_in_a_virtual_machine() {
    run(LIFE);
}

fn run(checks: &[Check]) {
    let only = std::env::var("RAILTOP_VM_ONLY").unwrap_or_default();
    let checks: Vec<&Check> =
        checks.iter().filter(|(name, _)| only.split(',').any(|part| name.contains(part))).collect();
    if checks.is_empty() {
        return;
    }
    let begin = Instant::now();
    let parts = match Parts::prepare() {
        Ok(parts) => parts,
        Err(reason) => {
            println!("skipped: {reason}");
            return;
        }
    };
    let mut machine = Machine::boot(&parts);
    machine.ok("rxe_pairs 4");
    println!("up after {:.1?}", begin.elapsed());
    let mut failed = Vec::new();
    for (name, check) in checks {
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| check(&mut machine)));
        println!("{} {name} {:.1?}", if outcome.is_ok() { "ok    " } else { "FAILED" }, start.elapsed());
        if outcome.is_err() {
            failed.push(*name);
        }
    }
    println!("{:.1?} in all", begin.elapsed());
    assert!(failed.is_empty(), "failed: {}", failed.join(", "));
}
