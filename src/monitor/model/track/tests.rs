//! When there is a rate, and which, of readings made by the test.

use super::*;
use crate::monitor::counter::{Desc, Health};
use test_case::test_case;

const SECOND: Duration = Duration::from_secs(1);

fn reading(at_ns: u64, bytes: u64) -> Reading {
    Reading {
        mono_ns: at_ns,
        traffic: Traffic { tx_bytes: Some(bytes), rx_bytes: Some(2 * bytes), ..Traffic::default() },
        counters: vec![RawCounter::unknown("tx_bytes", bytes)],
        ..Reading::default()
    }
}

/// One tick with one good read.
fn tick(tracks: &mut Tracks, reading: &Reading) -> Rates {
    tracks.begin(SECOND);
    tracks.good("nic", reading)
}

#[test]
fn names_that_rotate_are_forgotten_the_oldest_first() {
    let mut tracks = Tracks::default();
    for n in 0..100_u64 {
        tracks.begin(Duration::from_secs(1));
        for k in 0..100 {
            let _first = tracks.good(&format!("{n}/{k}"), &reading(5, 5));
        }
    }
    assert!(tracks.by_key.len() <= MEMORY_ROWS + 200, "{}", tracks.by_key.len());
    assert!(tracks.had_traffic("95/0") && !tracks.had_traffic("5/0"));
}

#[test]
fn first_sight_has_values_and_no_rate() {
    let rates = tick(&mut Tracks::default(), &reading(5, 1 << 50));
    assert_eq!(rates.tx.bytes, Some(1 << 50));
    assert_eq!((rates.tx.bytes_per_s, rates.dt), (None, None));
    assert_eq!(rates.marks, [Mark::New]);
}

#[test]
fn the_rate_is_the_change_over_the_measured_time() {
    let mut tracks = Tracks::default();
    tick(&mut tracks, &reading(1_000_000_000, 100));
    let rates = tick(&mut tracks, &reading(2_250_000_000, 1100));
    assert_eq!(rates.dt, Some(Duration::from_millis(1250)));
    assert_eq!(rates.tx.bytes_per_s, Some(800.0));
    assert_eq!(rates.rx.bytes_per_s, Some(1600.0));
    assert_eq!(rates.counters[0].per_s, Some(800.0));
    assert_eq!(rates.marks, []);
}

#[test]
fn a_counter_that_goes_down_is_a_reset_and_the_next_rate_is_right() {
    let mut tracks = Tracks::default();
    tick(&mut tracks, &reading(1_000_000_000, 1_000_000));
    let reset = tick(&mut tracks, &reading(2_000_000_000, 10));
    assert_eq!(reset.marks, [Mark::Reset]);
    assert_eq!((reset.tx.bytes_per_s, reset.counters[0].per_s), (None, None));
    assert_eq!(reset.tx.bytes, Some(10));
    let after = tick(&mut tracks, &reading(3_000_000_000, 110));
    assert_eq!(after.tx.bytes_per_s, Some(100.0));
    assert_eq!(after.marks, []);
}

/// A reading with one more counter of this kind.
fn with(ns: u64, bytes: u64, kind: Kind, value: u64) -> Reading {
    let mut r = reading(ns, bytes);
    let help = "known".into();
    let desc = Desc { kind, feeds: Some(Health::Drops), help, ..Desc::unknown("other") };
    r.counters.push(RawCounter { desc: Arc::new(desc), value });
    r
}

#[test_case(Kind::Monotonic64, 7, 17, Some(10.0), false; "grows")]
#[test_case(Kind::Monotonic64, 7, 0, None, true; "one that only grows and is smaller resets all")]
#[test_case(Kind::Wrap32, 4_294_967_290, 4, Some(10.0), false; "wraps")]
#[test_case(Kind::Wrap32, 2_000, 4, None, false; "no wrap and not enough for a reset")]
#[test_case(Kind::Wrap32, 1 << 40, 4, None, false; "wider than it should be")]
#[test_case(Kind::Saturating(4), 3, 9, Some(6.0), false; "below its maximum")]
#[test_case(Kind::Saturating(4), 3, 15, None, false; "reaches its maximum")]
#[test_case(Kind::Saturating(16), 65_535, 0, None, false; "cleared")]
#[test_case(Kind::Gauge, 9, 3, None, false; "a gauge falls")]
#[test_case(Kind::Setting, 10, 12, None, false; "a setting changes")]
fn a_rate_follows_the_kind(kind: Kind, then: u64, now: u64, per_s: Option<f64>, reset: bool) {
    let mut tracks = Tracks::default();
    tick(&mut tracks, &with(1_000_000_000, 500, kind, then));
    let rates = tick(&mut tracks, &with(2_000_000_000, 600, kind, now));
    assert_eq!(rates.counters[1].per_s, per_s);
    assert_eq!(rates.health[Health::Drops], Tally { total: Some(now), per_s });
    assert_eq!(rates.marks, if reset { vec![Mark::Reset] } else { vec![] });
    assert_eq!(rates.tx.bytes_per_s, (!reset).then_some(100.0));
}

#[test]
fn a_counter_that_nobody_knows_is_no_proof_of_a_reset() {
    let unknown = |ns, value| {
        let mut r = reading(ns, ns / 10_000_000);
        r.counters.push(RawCounter::unknown("new_name", value));
        r
    };
    let mut tracks = Tracks::default();
    tick(&mut tracks, &unknown(1_000_000_000, 9));
    let rates = tick(&mut tracks, &unknown(2_000_000_000, 3));
    assert_eq!((rates.marks, rates.counters[1].per_s), (vec![], None));
    assert_eq!(rates.tx.bytes_per_s, Some(100.0));
    assert_eq!(tick(&mut tracks, &unknown(3_000_000_000, 5)).counters[1].per_s, Some(2.0));
}

#[test]
fn two_narrow_counters_near_nothing_at_once_are_a_reset() {
    let two = |ns, a, b| {
        let mut r = with(ns, 500, Kind::Wrap32, a);
        let desc = Desc { kind: Kind::Wrap32, ..Desc::unknown("another") };
        r.counters.push(RawCounter { desc: Arc::new(desc), value: b });
        r
    };
    let mut tracks = Tracks::default();
    tick(&mut tracks, &two(1_000_000_000, 4_294_967_290, 4_294_967_295));
    assert_eq!(tick(&mut tracks, &two(2_000_000_000, 4, 0)).marks, [Mark::Reset]);
}

#[test]
fn a_counter_at_its_maximum_is_marked() {
    let rates = tick(&mut Tracks::default(), &with(5, 1, Kind::Saturating(8), 255));
    assert!(rates.counters[1].saturated && !rates.counters[0].saturated);
}

#[test]
fn a_failed_read_shows_the_last_values_and_never_a_rate() {
    let mut tracks = Tracks::default();
    tick(&mut tracks, &reading(1_000_000_000, 100));
    tick(&mut tracks, &reading(2_000_000_000, 200));
    tracks.begin(SECOND);
    let stale = tracks.stale("nic");
    assert_eq!(stale.marks, [Mark::Stale]);
    assert_eq!((stale.tx.bytes, stale.tx.bytes_per_s, stale.dt), (Some(200), None, None));
    assert_eq!(stale.mono_ns, 2_000_000_000);

    // It comes back two ticks later: no rate over the gap, then rates again.
    let back = tick(&mut tracks, &reading(4_000_000_000, 9_000_000));
    assert_eq!((back.tx.bytes_per_s, back.marks), (None, vec![Mark::New]));
    assert_eq!(tick(&mut tracks, &reading(5_000_000_000, 9_000_050)).tx.bytes_per_s, Some(50.0));
}

#[test]
fn a_device_that_is_always_late_has_a_rate_over_its_own_time_and_one_that_hung_once_has_a_gap() {
    let mut tracks = Tracks::default();
    let late = |ns, bytes| Reading { late: true, ..reading(ns, bytes) };
    tick(&mut tracks, &reading(1_000_000_000, 100));
    tracks.begin(SECOND);
    let first = tick(&mut tracks, &late(3_000_000_000, 9_000));
    assert_eq!((first.tx.bytes_per_s, first.marks), (None, vec![Mark::New]));
    for _ in 0..5 {
        tracks.begin(SECOND);
    }
    let second = tick(&mut tracks, &late(9_000_000_000, 9_600));
    assert_eq!((second.tx.bytes_per_s, second.dt), (Some(100.0), Some(Duration::from_secs(6))));
    assert_eq!(tick(&mut tracks, &late(90_000_000_000, 10_000)).tx.bytes_per_s, None, "too long");
}

#[test]
fn values_that_nobody_updates_have_no_rate_and_neither_has_the_jump_after_them() {
    let mut tracks = Tracks::default();
    tick(&mut tracks, &reading(1_000_000_000, 100));
    for second in 2..4 {
        tracks.begin(SECOND);
        let still = tracks.unmoved(&reading(second * 1_000_000_000, 100));
        assert_eq!((still.tx.bytes, still.tx.bytes_per_s, still.marks), (Some(100), None, vec![]));
    }
    let back = tick(&mut tracks, &reading(4_000_000_000, 9_000_000));
    assert_eq!((back.tx.bytes_per_s, back.marks), (None, vec![Mark::New]));
    assert_eq!(tick(&mut tracks, &reading(5_000_000_000, 9_000_050)).tx.bytes_per_s, Some(50.0));
}

/// 100 B/s, read at `ms` give or take half of `took_ms`, when it was counted at `counted_ms`.
fn long(ms: u64, took_ms: u64, counted_ms: u64) -> Reading {
    Reading { span_ns: took_ms * 1_000_000, ..reading(ms * 1_000_000, counted_ms / 10) }
}

#[test]
fn a_read_that_hung_ends_no_interval_and_the_next_is_over_all_the_time_since_the_last_that_did_not() {
    let mut tracks = Tracks::default();
    let mut at = |ms, took_ms, counted_ms| {
        let rates = tick(&mut tracks, &long(ms, took_ms, counted_ms));
        (rates.tx.bytes, rates.tx.bytes_per_s, rates.dt.map(|dt| dt.as_millis()), rates.marks)
    };
    assert_eq!(at(1000, 1, 1000), (Some(100), None, None, vec![Mark::New]));
    assert_eq!(at(1250, 1, 1250), (Some(125), Some(100.0), Some(250), vec![]));
    // Counted when it ended, 135 ms after its middle: 154 B/s and then 42 B/s would be shown.
    assert_eq!(at(1500, 270, 1635), (Some(163), None, None, vec![Mark::Unsure]));
    assert_eq!(at(1750, 1, 1750), (Some(175), Some(100.0), Some(500), vec![]), "nothing is lost either");
    assert_eq!(at(2000, 1, 2000), (Some(200), Some(100.0), Some(250), vec![]));
}

#[test]
fn behind_a_first_sight_that_hung_the_rates_begin_one_read_later() {
    let mut tracks = Tracks::default();
    tick(&mut tracks, &long(1000, 270, 1135));
    let second = tick(&mut tracks, &long(1250, 1, 1250));
    assert_eq!((second.tx.bytes_per_s, second.marks), (None, vec![Mark::Unsure]));
    assert_eq!(tick(&mut tracks, &long(1500, 1, 1500)).tx.bytes_per_s, Some(100.0));
}

#[test]
fn a_read_that_ended_one_interval_begins_the_next_where_waiting_for_one_more_read_is_enough() {
    let mut tracks = Tracks::default();
    let mut at = |ms, took_ms| {
        let rates = tick(&mut tracks, &long(ms, took_ms, ms));
        rates.tx.bytes_per_s.zip(rates.dt.map(|dt| dt.as_millis()))
    };
    let shown = [at(1000, 1), at(1500, 40), at(1750, 12), at(2000, 1)];
    assert_eq!(shown, [None, Some((100.0, 500)), None, Some((100.0, 500))]);
}

#[test]
fn a_device_that_always_takes_long_has_rates_over_as_many_reads_as_make_them_sure() {
    let mut tracks = Tracks::default();
    // 300 ms of each second: after six of them both ends together are 5 % off at most.
    let shown: Vec<_> = (1..=13)
        .map(|second| tick(&mut tracks, &long(second * 1000, 300, second * 1000)))
        .map(|rates| rates.tx.bytes_per_s.zip(rates.dt.map(|dt| dt.as_secs())))
        .collect();
    let known = |&(at, shown): &(usize, Option<(f64, u64)>)| shown.is_some().then_some(at).is_some();
    let known: Vec<_> = shown.into_iter().enumerate().filter(known).collect();
    assert_eq!(known, [(6, Some((100.0, 6))), (12, Some((100.0, 6)))]);
}

#[test]
fn a_reset_is_seen_and_nothing_is_counted_over_it_while_a_rate_is_waited_for() {
    let mut tracks = Tracks::default();
    tick(&mut tracks, &long(1000, 1, 1000));
    assert_eq!(tick(&mut tracks, &long(2000, 900, 5000)).marks, [Mark::Unsure]);
    // More than at the read that rates would begin at, less than at the last one.
    let reset = tick(&mut tracks, &long(3000, 1, 3000));
    assert_eq!((reset.tx.bytes_per_s, reset.marks), (None, vec![Mark::Reset]));
    assert_eq!(tick(&mut tracks, &long(4000, 1, 4000)).tx.bytes_per_s, Some(100.0));
}

#[test]
fn no_rate_is_over_a_gap_that_follows_a_read_that_hung() {
    let mut tracks = Tracks::default();
    tick(&mut tracks, &long(1000, 1, 1000));
    assert_eq!(tick(&mut tracks, &long(2000, 900, 2000)).marks, [Mark::Unsure]);
    tracks.begin(SECOND);
    assert_eq!(tick(&mut tracks, &long(4000, 1, 4000)).marks, [Mark::New]);
    assert_eq!(tick(&mut tracks, &long(5000, 900, 5000)).marks, [Mark::Unsure]);
    let mut again = long(6000, 1, 6000);
    again.incarnation = 7;
    assert_eq!(tick(&mut tracks, &again).marks, [Mark::New]);
}

#[test]
fn where_only_the_rest_of_the_read_hung_the_traffic_has_rates_and_the_other_counters_have_none() {
    let mut tracks = Tracks::default();
    let rest = |ms: u64, rest_ms: u64| {
        let drops = Desc { feeds: Some(Health::Drops), ..Desc::unknown("rx_drops") };
        let drops = RawCounter { desc: Arc::new(drops), value: ms };
        Reading { rest_ns: rest_ms * 1_000_000, counters: vec![drops], ..long(ms, 1, ms) }
    };
    let mut at = |ms: u64, rest_ms: u64| {
        let rates = tick(&mut tracks, &rest(ms, rest_ms));
        (rates.tx.bytes_per_s, rates.counters[0].per_s, rates.health[Health::Drops].per_s, rates.marks)
    };
    at(1000, 4);
    let drops = Some(1000.0);
    assert_eq!(at(1250, 4), (Some(100.0), drops, drops, vec![]));
    for unsure in [at(1500, 200), at(1750, 4)] {
        assert_eq!(unsure, (Some(100.0), None, None, vec![Mark::Unsure]));
    }
    assert_eq!(at(2000, 4), (Some(100.0), drops, drops, vec![]));
}

#[test]
fn a_pause_of_the_monitor_is_a_gap() {
    let mut tracks = Tracks::default();
    tick(&mut tracks, &reading(1_000_000_000, 0));
    let late = tick(&mut tracks, &reading(60_000_000_000, 1_000_000));
    assert_eq!((late.tx.bytes_per_s, late.marks), (None, vec![Mark::New]));
}

#[test]
fn a_new_incarnation_is_first_sight_even_if_its_counters_are_higher() {
    let mut tracks = Tracks::default();
    tick(&mut tracks, &reading(1_000_000_000, 10));
    let restarted = Reading { incarnation: 1, ..reading(2_000_000_000, 1_000_000) };
    let rates = tick(&mut tracks, &restarted);
    assert_eq!((rates.tx.bytes_per_s, rates.marks), (None, vec![Mark::New]));
}

#[test]
fn a_missing_counter_has_no_rate_when_it_returns() {
    let mut tracks = Tracks::default();
    tick(&mut tracks, &reading(1_000_000_000, 100));
    let mut without = reading(2_000_000_000, 200);
    without.traffic.tx_bytes = None;
    let rates = tick(&mut tracks, &without);
    assert_eq!((rates.tx.bytes, rates.tx.bytes_per_s), (None, None));
    assert_eq!(rates.rx.bytes_per_s, Some(200.0));
    let back = tick(&mut tracks, &reading(3_000_000_000, 300));
    assert_eq!((back.tx.bytes, back.tx.bytes_per_s), (Some(300), None));
}

#[test]
fn a_constant_source_is_shown_within_a_fifth_of_a_percent_however_late_the_ticks_are() {
    // 90 Gb/s, read every 200 ms give or take 60 ms.
    let mut tracks = Tracks::default();
    let bytes_per_ns = 90.0 / 8.0;
    let mut at = 0_u64;
    for i in 0..200_u64 {
        at += 200_000_000 + (i * 7_919_777) % 60_000_000;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
        let rates = tick(&mut tracks, &reading(at, (at as f64 * bytes_per_ns) as u64));
        if i > 0 {
            let gbps = rates.tx.bytes_per_s.unwrap() * 8.0 / 1e9;
            assert!((gbps - 90.0).abs() < 90.0 * 0.002, "{gbps}");
        }
    }
}
