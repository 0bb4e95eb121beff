//! NICs of a PE that fail and are used again.

use std::sync::Arc;

use super::{S, World, page, told};
use crate::monitor::counter::{Desc, Kind};
use crate::monitor::model::view::{EventKind, Severity};
use crate::monitor::sample::{PageNic, PageSample, PageState, RawCounter, Traffic};

/// The page of a PE with three NICs; of each, whether it is down and how often it failed, where the page says so.
fn page_with(state: PageState, started: u64, nics: [Option<(u64, u64)>; 3]) -> PageSample {
    let mut page = page(state, started);
    let nic = page.nics[0].clone();
    page.nics = (0..).zip(nics).map(|(index, says)| with_failures(nic.clone(), index, says)).collect();
    page
}

fn with_failures(mut nic: PageNic, index: usize, says: Option<(u64, u64)>) -> PageNic {
    (nic.index, nic.device) = (index, format!("nic{index}"));
    let counter = |name: &str, kind, value| RawCounter {
        desc: Arc::new(Desc { kind, ..Desc::unknown(name.to_owned()) }),
        value,
    };
    if let Some((down, failures)) = says {
        nic.reading.counters =
            vec![counter("down", Kind::Gauge, down), counter("failures", Kind::Monotonic64, failures)];
    }
    nic
}

const WORKS: Option<(u64, u64)> = Some((0, 0));

#[test]
fn a_nic_that_fails_is_told_at_once_and_that_it_is_used_again_when_that_lasts() {
    let mut world = World::new(0);
    let mut at = |nic2, ticks| {
        world.pages = vec![page_with(PageState::Alive, 1, [WORKS, WORKS, nic2])];
        let events = world.ticks(ticks, |_| {});
        events.into_iter().map(|e| (e.kind, e.severity, e.subject, e.text)).collect::<Vec<_>>()
    };
    assert_eq!(at(WORKS, 3), []);
    let failed = at(Some((1, 1)), 4);
    let told = (EventKind::NicFailed, Severity::Bad, "node0 PE 3".to_owned());
    assert_eq!(
        failed,
        [(told.0, told.1, told.2, "PE 3: nic2 failed; its work goes over the others.".to_owned())]
    );
    // It comes back and fails again: still the same event.
    assert_eq!(at(Some((0, 1)), 2), []);
    assert_eq!(at(Some((1, 2)), 2), []);
    let used = at(Some((0, 2)), 6);
    let told = (EventKind::NicUsedAgain, Severity::Info, "node0 PE 3".to_owned());
    let text = "PE 3: nic2 is used again; it was not for 8.0 s, and failed 2 times.".to_owned();
    assert_eq!(used, [(told.0, told.1, told.2, text)]);
}

#[test]
fn a_nic_that_fails_and_comes_back_between_two_ticks_is_told() {
    let mut world = World::new(0);
    world.pages = vec![page_with(PageState::Alive, 1, [WORKS, WORKS, Some((0, 4))])];
    world.ticks(2, |_| {});
    world.pages = vec![page_with(PageState::Alive, 1, [WORKS, WORKS, Some((0, 5))])];
    let events = world.ticks(6, |_| {});
    assert_eq!(
        told(&events),
        [(EventKind::NicFailed, "node0 PE 3"), (EventKind::NicUsedAgain, "node0 PE 3")]
    );
    assert_eq!(events[1].mono_ns - events[0].mono_ns, 4 * S, "a tick and the hold");
    assert!(!events[1].text.contains("times"), "{}", events[1].text);
}

#[test]
fn nics_that_all_fail_have_no_others() {
    let mut world = World::new(0);
    world.pages = vec![page_with(PageState::Alive, 1, [WORKS; 3])];
    world.tick();
    world.pages = vec![page_with(PageState::Alive, 1, [Some((1, 1)), Some((1, 1)), WORKS])];
    let two = world.tick();
    assert!(two[0].text.ends_with("over the others; 2 of its 3 NICs are down."), "{}", two[0].text);
    world.pages = vec![page_with(PageState::Alive, 1, [Some((1, 1)); 3])];
    let last = world.tick();
    assert_eq!((two.len(), last.len()), (2, 1));
    assert_eq!(last[0].text, "PE 3: nic2 failed; no other of its PE works; 3 of its 3 NICs are down.");
}

#[test]
fn what_a_page_does_not_say_said_before_or_says_as_its_last_word_is_no_failure() {
    let mut world = World::new(0);
    let mut at = |state, run, nic2, ticks| {
        world.pages = vec![page_with(state, run, [WORKS, None, nic2])];
        world.ticks(ticks, |_| {})
    };
    // Down at first sight; that it is used again is news.
    assert_eq!(at(PageState::Alive, 1, Some((1, 7)), 3), []);
    let used = at(PageState::Alive, 1, Some((0, 7)), 5);
    assert_eq!(told(&used), [(EventKind::NicUsedAgain, "node0 PE 3")]);
    assert!(used[0].text.contains("was down when it was first seen, 3.0 s before"), "{}", used[0].text);
    // One that stalls says nothing new, and one that has ended uses no NIC.
    assert_eq!(told(&at(PageState::Alive, 1, Some((1, 8)), 2)), [(EventKind::NicFailed, "node0 PE 3")]);
    assert_eq!(at(PageState::Stalled, 1, Some((0, 8)), 9), []);
    assert_eq!(at(PageState::Closed, 1, Some((0, 8)), 9), []);
    // The next run begins with nothing known.
    assert_eq!(at(PageState::Alive, 2, Some((1, 1)), 3), []);
    assert_eq!(at(PageState::Alive, 3, Some((0, 0)), 9), [], "another run is not that one's NIC used again");
}

#[test]
fn a_nic_that_is_down_is_the_reason_of_an_imbalance_and_not_slow() {
    let mut world = World::new(0);
    let mut carried = 0;
    let events = world.ticks(9, |world| {
        carried += 80 << 20;
        let down = Some((u64::from(carried > 160 << 20), 1));
        let mut page = page_with(PageState::Alive, 1, [WORKS, WORKS, down]);
        for nic in &mut page.nics {
            nic.reading.mono_ns = (world.tick + 1) * S;
            let bytes = if nic.index == 2 { carried.min(160 << 20) } else { carried };
            nic.reading.traffic = Traffic { tx_bytes: Some(bytes), rx_bytes: Some(0), ..Traffic::default() };
        }
        world.pages = vec![page];
    });
    assert_eq!(
        told(&events),
        [(EventKind::NicFailed, "node0 PE 3"), (EventKind::ImbalanceBegins, "node0 PE 3")]
    );
    let text = &events[1].text;
    assert!(text.ends_with("; nic2 is down.") && !text.contains("slow"), "{text}");
}
