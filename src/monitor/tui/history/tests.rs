//! Bounds, gaps, averages over time, and the way back.

use super::super::synthetic::{Cluster, Shape};
use super::*;
use crate::monitor::model::view::{Event, EventKind, Severity};

fn view(cluster: &Cluster, shape: Shape, tick: u64) -> Arc<View> {
    Arc::new(cluster.view(shape, tick))
}

/// A view as it mostly is: short windows are looked at only while they are shown, and weigh as much as all the rest.
fn without_windows(cluster: &Cluster, tick: u64) -> View {
    let mut view = cluster.view(Shape::PairSeq, tick);
    for nic in view.groups.iter_mut().flat_map(|group| &mut group.nics) {
        nic.rx_windows = None;
    }
    view
}

#[test]
fn memory_is_flat_over_ten_thousand_samples_of_32_nics() {
    let cluster = Cluster { nodes: 1, pes_per_node: 8, ..Cluster::default() };
    let mut history = History::default();
    let mut then = [0; 4];
    for tick in 0..10_000 {
        history.push(&Arc::new(without_windows(&cluster, tick)));
        if tick == 2_000 {
            then = history.size();
        }
    }
    let now = history.size();
    assert_eq!((now[0], now[1]), (CAPACITY, CAPACITY * (1 + 8 + 32)));
    assert_eq!(now[..2], then[..2]);
    // Whole screens, without the short windows of each NIC.
    assert!(now[3] <= VIEW_BYTES && now[2] >= 60, "{now:?}");
    assert!(now[2].abs_diff(then[2]) <= 2, "{then:?} {now:?}");
    let empty = Arc::new(View { groups: Vec::new(), ..cluster.view(Shape::PairSeq, 10_000) });
    for _ in 0..CAPACITY {
        history.push(&empty);
    }
    assert!(history.series.is_empty() && history.peaks.of(&RowKey::Group("job-1/0".to_owned())).is_none());
}

/// Views share the list of events until something happens: it is held once, and so it counts once.
#[test]
fn a_thousand_events_shorten_the_way_back_by_little() {
    let cluster = Cluster { nodes: 1, pes_per_node: 8, ..Cluster::default() };
    let list = |tick: u64| -> Arc<[Event]> {
        let event = |n: u64| Event {
            realtime_ns: i128::from(tick),
            mono_ns: tick,
            kind: EventKind::LossBegins,
            severity: Severity::Warning,
            subject: format!("rdmap{n}s0"),
            text: format!("rdmap{n}s0 loses packets: {n} drops, retransmits and timeouts a second for 3 s."),
        };
        (0..1_000).map(event).collect()
    };
    let mut history = History::default();
    let mut events = list(0);
    for tick in 0..2_000 {
        if tick % 50 == 0 {
            events = list(tick);
        }
        let view = View { events: Arc::clone(&events), ..without_windows(&cluster, tick) };
        history.push(&Arc::new(view));
        let views: Vec<&Arc<View>> = history.views.iter().map(|kept| &kept.view).collect();
        let mut lists: Vec<_> = views.iter().map(|view| &view.events).collect();
        lists.dedup_by(|a, b| Arc::ptr_eq(a, b));
        let held: usize = views.iter().map(|view| weight::of(view)).sum::<usize>()
            + lists.into_iter().map(|list| weight::events(list)).sum::<usize>();
        assert_eq!(history.bytes, held, "at {tick}: each list once");
    }
    let [_, _, views, bytes] = history.size();
    assert!(views >= 50 && bytes <= VIEW_BYTES, "{views} views, {bytes} bytes");
}

#[test]
fn a_row_that_comes_late_has_a_gap_before() {
    let cluster = Cluster::default();
    let mut history = History::default();
    let full = view(&cluster, Shape::PairSeq, 1);
    let key = RowKey::Group(full.groups[0].key.clone());
    history.push(&Arc::new(View { groups: Vec::new(), ..cluster.view(Shape::PairSeq, 0) }));
    history.push(&full);
    let (points, times) = history.until(&key, u64::MAX, 10);
    assert_eq!((points.len(), times.len()), (2, 2));
    assert_eq!(points[0].tx(), None);
    assert!(points[1].tx().is_some());
    let newest = history.until(&key, u64::MAX, 1).0;
    assert_eq!((newest.len(), newest[0].tx()), (1, points[1].tx()));
}

#[test]
fn an_average_is_over_time_not_over_samples() {
    // Ticks of 200 ms: 2 s at nothing, then 2 s at full rate.
    let cluster = Cluster { interval: Duration::from_millis(200), ..Cluster::default() };
    let mut history = History::default();
    for tick in 1..=20 {
        let shape = if tick <= 10 { Shape::Idle } else { Shape::PairSeq };
        history.push(&view(&cluster, shape, tick));
    }
    let last = view(&cluster, Shape::PairSeq, 20);
    let nic = &last.groups[0].nics[0];
    let key = RowKey::Nic(last.groups[0].key.clone(), nic.key.clone());
    let full = 0.96 * 25e6;
    for (window_ms, share) in
        [(1_000, 1.0), (2_000, 1.0), (4_000, 0.526), (60_000, 0.526), (200, 1.0), (1, 1.0)]
    {
        let window = Duration::from_millis(window_ms);
        let mean = history.average(&key, last.mono_ns, window).unwrap().tx().unwrap();
        assert!((f64::from(mean) / full - share).abs() < 0.02, "{window_ms} ms: {}", f64::from(mean) / full);
    }
}

#[test]
fn the_way_back_is_whole_at_first_and_rates_further_on() {
    let cluster = Cluster { nodes: 1, pes_per_node: 8, ..Cluster::default() };
    let mut history = History::default();
    for tick in 0..1_000 {
        let shape = if tick < 500 { Shape::RoundRobin } else { Shape::PairSeq };
        history.push(&view(&cluster, shape, tick));
    }
    let newest = view(&cluster, Shape::PairSeq, 999);
    let back = history.step(newest.mono_ns, -10).unwrap();
    assert_eq!(*history.view_at(back).unwrap(), *view(&cluster, Shape::PairSeq, 989));
    assert_eq!(history.step(back, 1), history.step(newest.mono_ns, -9));

    let far = history.step(newest.mono_ns, -900).unwrap();
    let (rebuilt, true_one) = (history.view_at(far).unwrap(), view(&cluster, Shape::RoundRobin, 99));
    assert_eq!((rebuilt.mono_ns, rebuilt.realtime_ns), (true_one.mono_ns, true_one.realtime_ns));
    for (a, b) in rebuilt.groups.iter().zip(&true_one.groups) {
        assert_eq!(a.rx.spread.verdict, b.rx.spread.verdict);
        for (a, b) in a.nics.iter().zip(&b.nics) {
            let (a_rate, b_rate) = (a.rx.bytes_per_s.unwrap(), b.rx.bytes_per_s.unwrap());
            assert!((a_rate - b_rate).abs() <= b_rate * 1e-6);
            assert_eq!((a.rx.bytes, a.kernel.is_none(), a.counters.len()), (None, true, 0));
        }
    }
    assert_eq!(history.step(newest.mono_ns, -100_000), history.times.front().copied());
    assert_eq!(history.step(newest.mono_ns, 5), Some(newest.mono_ns));
    assert!(History::default().view_at(1).is_none() && History::default().step(1, -1).is_none());
}

#[test]
fn peaks_hold_until_they_are_forgotten() {
    let cluster = Cluster::default();
    let mut history = History::default();
    history.push(&view(&cluster, Shape::PairSeq, 1));
    history.push(&view(&cluster, Shape::Idle, 2));
    let key = RowKey::Group("job-1/0".to_owned());
    assert!(history.peak(&key).unwrap().rx().unwrap() > 1e6);
    history.forget_peaks();
    history.push(&view(&cluster, Shape::Idle, 3));
    assert_eq!(history.peak(&key).unwrap().rx(), Some(0.0));
}

#[test]
fn totals_begin_with_the_screen() {
    let cluster = Cluster::default();
    let mut history = History::default();
    for tick in 5..=8 {
        history.push(&view(&cluster, Shape::PairSeq, tick));
    }
    let (first, last) = (view(&cluster, Shape::PairSeq, 5), view(&cluster, Shape::PairSeq, 8));
    let (a, b) = (&first.groups[0].nics[0], &last.groups[0].nics[0]);
    let moved = b.tx.bytes.unwrap() - a.tx.bytes.unwrap();
    assert_eq!(history.since_start(&last, "job-1/0", b)[0], Some(moved));
    assert_eq!(history.since_start(&first, "job-1/0", a)[0], Some(0));
}
