//! NICs of a PE that fail, and are used again.
//!
//! A failure is told at once; that the NIC is used again only when that has lasted, so that one that comes and goes is
//! told once. One that failed and came back between two ticks shows in the number of its failures.

use std::collections::BTreeMap;
use std::time::Duration;

use super::journal::Found;
use super::latch::{Latch, Level, Turn};
use super::words::{port, span};
use crate::monitor::failover::consequence;
use crate::monitor::model::view::{EventKind, Severity};
use crate::monitor::sample::{PageNic, PageSample, PageState};
use crate::monitor::thresholds::Thresholds;

/// What is known of the NICs of PEs.
#[derive(Debug, Default)]
pub(super) struct Nics {
    /// By page and rail.
    nics: BTreeMap<(String, usize), Nic>,
}

/// One NIC of one run of a PE.
#[derive(Debug)]
struct Nic {
    /// Which run: process id, incarnation.
    run: (u32, u64),
    failures: u64,
    /// Failures before the one that is on.
    before: u64,
    /// The one that is on began before anybody looked.
    found_down: bool,
    latch: Latch,
}

impl Nics {
    /// Takes the pages of a tick in. A NIC that is down at first sight failed before anybody looked.
    pub(super) fn update(
        &mut self,
        now_ns: u64,
        pages: &[PageSample],
        limits: &Thresholds,
        found: &mut Vec<Found>,
    ) {
        let mut last = std::mem::take(&mut self.nics);
        for page in pages {
            // A PE that has ended uses no NIC, whatever it said last.
            if matches!(page.state, PageState::Closed | PageState::Dead) {
                continue;
            }
            for nic in &page.nics {
                let Some(down) = nic.is_down() else { continue };
                let key = (page.key.clone(), nic.index);
                let run = (page.pid, nic.reading.incarnation);
                let failures = nic.failures().unwrap_or(0);
                let known = match last.remove(&key).filter(|known| known.run == run) {
                    Some(mut known) => {
                        known.look(now_ns, page, nic, (down, failures), limits.nic_used_hold, found);
                        known
                    }
                    None => Nic::new(now_ns, run, down, failures),
                };
                self.nics.insert(key, known);
            }
        }
    }
}

impl Nic {
    fn new(now_ns: u64, run: (u32, u64), down: bool, failures: u64) -> Self {
        let mut latch = Latch::default();
        if down {
            latch.update(now_ns, Some(Level::On), Duration::ZERO, Duration::ZERO);
        }
        Self { run, failures, before: failures.saturating_sub(u64::from(down)), found_down: down, latch }
    }

    fn look(
        &mut self,
        now_ns: u64,
        page: &PageSample,
        nic: &PageNic,
        (down, failures): (bool, u64),
        used_hold: Duration,
        found: &mut Vec<Found>,
    ) {
        let before = std::mem::replace(&mut self.failures, failures);
        let level = match page.state {
            // It says nothing new.
            PageState::Stalled => None,
            _ if down || failures > before => Some(Level::On),
            _ => Some(Level::Off),
        };
        let subject = format!("{} PE {}", page.node, page.pe);
        match self.latch.update(now_ns, level, Duration::ZERO, used_hold) {
            Some(Turn::On(_)) => {
                (self.before, self.found_down) = (before, false);
                let (kind, severity) = (EventKind::NicFailed, Severity::Bad);
                found.push(Found { kind, severity, subject, text: failed(page, nic) });
            }
            Some(Turn::Off(lasted)) => {
                let times = failures.saturating_sub(self.before);
                let text = used_again(page, nic, lasted, times, self.found_down);
                let (kind, severity) = (EventKind::NicUsedAgain, Severity::Info);
                found.push(Found { kind, severity, subject, text });
            }
            None => {}
        }
    }
}

fn failed(page: &PageSample, nic: &PageNic) -> String {
    let is_down = |other: &&PageNic| other.index == nic.index || other.is_down() == Some(true);
    let (all, down) = (page.nics.len(), page.nics.iter().filter(is_down).count());
    let several = if down > 1 { format!("; {down} of its {all} NICs are down") } else { String::new() };
    format!("PE {}: {} failed; {}{several}.", page.pe, name(nic), consequence(all - down))
}

fn used_again(page: &PageSample, nic: &PageNic, lasted: u64, times: u64, found_down: bool) -> String {
    let (pe, name, lasted) = (page.pe, name(nic), span(lasted));
    if found_down {
        return format!(
            "PE {pe}: {name} is used again; it was down when it was first seen, {lasted} before."
        );
    }
    let times = if times > 1 { format!(", and failed {times} times") } else { String::new() };
    format!("PE {pe}: {name} is used again; it was not for {lasted}{times}.")
}

fn name(nic: &PageNic) -> String {
    port(&nic.device, nic.port)
}
