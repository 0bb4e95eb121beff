//! That memory stays what it is: what is allocated, as the allocator counts it, and what is resident, as the kernel does; not only
//! what the history says it holds.
#![cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "mallinfo2 is a C function"))]

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::super::actions::Action;
use super::super::encode;
use super::super::format::Units;
use super::super::glyphs::Glyphs;
use super::super::panes;
use super::super::state::State;
use super::super::theme::Theme;
use crate::monitor::model::Model;
use crate::monitor::model::view::SourceKind;
use crate::monitor::sample::{PortFacts, PortSample, RawCounter, Reading, Sample, Traffic};

const NICS: u64 = 32;
/// As many as are read of an EFA NIC for the list.
const COUNTERS: u64 = 5;
/// When everything that is bounded has reached its bound: the history of rates after half an hour.
const SETTLED: u64 = 2_500;
const SAMPLES: u64 = 10_000;
/// Set for the entry point below.
const TASK: &str = "RAILTOP_TEST_MEMORY";

/// 32 NICs at this second of a virtual clock, every counter of which moves.
fn sample(second: u64, before: &Sample) -> Sample {
    let mono_ns = (second + 1) * 1_000_000_000;
    let port = |nic: u64| {
        let known = before.ports.get(usize::try_from(nic).unwrap());
        let facts = known.map_or_else(
            || {
                let (device, driver) = (format!("rdmap{nic}s0"), Some("efa".to_owned()));
                Arc::new(PortFacts { device, port: 1, driver, ..PortFacts::default() })
            },
            |port| Arc::clone(&port.facts),
        );
        let bytes = second * (11_000_000_000 + nic * 1_000_003 + second % 7);
        let counter = |n: u64| {
            let known =
                known.and_then(|p| p.reading.as_ref().ok()?.counters.get(usize::try_from(n).unwrap()));
            let value = bytes + n;
            known.map_or_else(
                || RawCounter::unknown(&format!("counter_{n}"), value),
                |c| RawCounter { desc: Arc::clone(&c.desc), value },
            )
        };
        let traffic = Traffic { tx_bytes: Some(bytes), rx_bytes: Some(bytes / 2), ..Traffic::default() };
        let counters = (0..COUNTERS).map(counter).collect();
        let reading = Reading { mono_ns, traffic, counters, ..Reading::default() };
        PortSample { facts, source: SourceKind::Sysfs, reading: Ok(reading) }
    };
    Sample { realtime_ns: mono_ns.into(), mono_ns, ports: (0..NICS).map(port).collect(), ..Sample::default() }
}

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).unwrap().unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * u64::try_from(page).unwrap()
}

/// Bytes in use of all heaps. Looked up, since a glibc before 2.33 does not have it, and a test binary that names it would
/// not start there.
#[cfg(target_env = "gnu")]
fn allocated_bytes() -> usize {
    // SAFETY: a name that ends in zero.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"mallinfo2".as_ptr()) };
    if found.is_null() {
        eprintln!("skipped: what is allocated, as glibc has no mallinfo2 before 2.33");
        return 0;
    }
    // SAFETY: it is the function of this name and type.
    let mallinfo2: unsafe extern "C" fn() -> libc::mallinfo2 = unsafe { std::mem::transmute(found) };
    // SAFETY: takes nothing, and returns numbers.
    let info = unsafe { mallinfo2() };
    info.uordblks + info.hblkhd
}

/// Other C libraries do not tell, so there only what is resident is held.
#[cfg(not(target_env = "gnu"))]
fn allocated_bytes() -> usize {
    0
}

/// Started by the test below in a process that does nothing else.
#[test]
#[ignore = "an entry point that a test starts as a process"]
fn ten_thousand_samples() {
    if std::env::var_os(TASK).is_none() {
        return;
    }
    let second = Duration::from_secs(1);
    let mut model = Model::new("here".to_owned());
    let mut state = State::new(Theme::new(true, None), Glyphs::Unicode, Units::Bits, second);
    state.update(Action::Resize(160, 48));
    let mut last = Sample::default();
    let mut shown = panes::screen(&state);
    let mut settled = (0, 0);
    for tick in 0..SAMPLES {
        last = sample(tick, &last);
        state.update(Action::View(Arc::new(model.update(&last, second).view)));
        if tick % 64 == 0 {
            let next = panes::screen(&state);
            assert!(!encode::changes(&shown, &next).is_empty());
            shown = next;
        }
        if tick == SETTLED {
            settled = (resident_bytes(), allocated_bytes());
        }
    }
    let end = (resident_bytes(), allocated_bytes());
    let said =
        format!("resident and allocated: {settled:?} after {SETTLED} samples, {end:?} after {SAMPLES}");
    println!("{said}");
    assert!(end.0 <= settled.0 + 1_000_000, "{said}");
    // A view more or less is kept, as they differ in weight; 20 bytes lost per sample are seen.
    assert!(end.1 <= settled.1 + 150_000, "{said}");
}

#[test]
fn resident_memory_is_flat_over_ten_thousand_samples_of_32_nics() {
    let name = format!("{}::ten_thousand_samples", module_path!().split_once("::").unwrap().1);
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", &name, "--nocapture"])
        .env(TASK, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    eprintln!("{said}");
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("after 10000"), "it has run: {said}");
}
