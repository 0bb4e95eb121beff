//! The monitor against a real kernel: rxe devices with real RDMA writes, and devices of `mockrdma` whose values are set
//! here. One virtual machine, many checks; README.md has the picture.
//!
//! What is right is never taken from railtop: it comes from the kernel's own files, from `rdma` of iproute2 and from
//! what was set.

#![expect(clippy::expect_used, clippy::panic, reason = "a check that cannot go on has failed")]

#[path = "../support/cargo.rs"]
mod cargo;
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

/// What only looks comes first.
const CHECKS: &[Check] = &checks![
    inventory::devices_are_listed_as_the_kernel_has_them,
    traffic::bytes_and_packets_are_the_kernels,
    transport::puts_over_verbs_arrive_whole,
    transport::an_all_to_all_over_verbs_takes_both_nics,
    transport::operations_over_verbs_keep_their_promises,
    values::a_first_sight_gives_no_rate,
    values::what_was_set_is_what_is_logged,
    values::a_counter_of_32_bits_wraps_without_a_mark,
    netlink::both_sources_say_the_same,
    netlink::a_network_namespace_has_netlink_and_leaves_the_device_counters_alone,
    processes::queue_pairs_are_counted_by_process_and_device,
    balance::a_slow_device_of_32_is_named_and_a_load_on_one_is_skewed,
    cost::a_tick_of_32_nics_stays_within_its_system_calls,
    screen::devices_events_and_counters_are_on_it,
    screen::a_device_that_hangs_keeps_nobody_off_the_first_screen,
    screen::a_signal_gives_the_terminal_back,
    screen::links_and_names_on_it_are_the_kernels_as_they_change,
    trouble::a_device_that_answers_einval_is_marked_and_the_others_go_on,
    trouble::a_device_that_hangs_is_marked_and_the_others_go_on,
    links::a_link_that_goes_down_is_seen_and_comes_back,
    links::a_renamed_device_goes_on_under_its_new_name,
    links::a_device_that_goes_and_comes_back_has_a_gap_and_no_spike,
    links::a_device_that_appears_is_found_while_running,
    links::a_driver_that_is_unbound_and_bound_again_is_followed,
];

/// What counts long: a minute and more, too long for every change.
const ON_REQUEST: [&str; 1] = ["cost::"];

/// One test, since all share a machine: booting takes longer than most checks. `RAILTOP_VM_ONLY=traffic,links` runs those
/// whose name contains one of these, `RAILTOP_VM_ONLY=all` all of them; without it those in [`ON_REQUEST`] are left out.
/// (Two machines at a time would be faster, and rates less exact.)
#[test]
fn in_a_virtual_machine() {
    let begin = Instant::now();
    let parts = match Parts::prepare() {
        Ok(parts) => parts,
        Err(reason) => {
            println!("skipped: {reason}");
            return;
        }
    };
    println!("prepared after {:.1?}", begin.elapsed());
    let only = std::env::var("RAILTOP_VM_ONLY").unwrap_or_default();
    let mut machine = Machine::boot(&parts);
    machine.ok("rxe_pairs 4");
    println!("up after {:.1?}", begin.elapsed());
    let mut failed = Vec::new();
    let wanted = |name: &str| match only.as_str() {
        "all" => true,
        "" => !ON_REQUEST.iter().any(|part| name.contains(part)),
        only => only.split(',').any(|part| name.contains(part)),
    };
    for (name, check) in CHECKS.iter().filter(|(name, _)| wanted(name)) {
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
