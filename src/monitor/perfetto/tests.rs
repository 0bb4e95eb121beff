//! What a trace says, decoded again.

use std::time::Duration;

use prost::Message as _;

use super::*;
use crate::monitor::model::Model;
use crate::monitor::record::tests::efa;

/// A trace of four ticks, of which the third could not be read; per track name all (time, value).
fn trace() -> (proto::Trace, HashMap<String, Vec<(u64, f64)>>) {
    let session = Session::new_for_test("node-a", 1_795_000_000_000_000_000, 5_000_000_000);
    let mut trace = Trace::begin(Vec::new(), "a.rec", std::slice::from_ref(&session)).unwrap();
    trace.session(&session).unwrap();
    let mut model = Model::new("node-a".to_owned());
    for tick in 0..4 {
        let mut sample = efa(tick, 2);
        if tick == 2 {
            sample.ports[1].reading = Err("has not answered".to_owned());
        }
        trace.tick(&model.update(&sample, Duration::from_secs(1)).view).unwrap();
    }
    let bytes = trace.finish().unwrap();
    let trace = proto::Trace::decode(bytes.as_slice()).unwrap();
    let mut names = HashMap::new();
    let mut values: HashMap<String, Vec<(u64, f64)>> = HashMap::new();
    for packet in &trace.packet {
        if let Some(track) = &packet.track_descriptor {
            let parent = track
                .parent_uuid
                .and_then(|p| names.get(&p))
                .map_or(String::new(), |p: &String| format!("{p}/"));
            names.insert(track.uuid.unwrap(), format!("{parent}{}", track.name.as_deref().unwrap()));
        }
        if let Some(event) = &packet.track_event {
            let name = names[&event.track_uuid.unwrap()].clone();
            let value = event.double_counter_value.unwrap_or(f64::from(event.r#type.unwrap()));
            values.entry(name).or_default().push((packet.timestamp.unwrap(), value));
        }
    }
    (trace, values)
}

#[test]
fn a_rate_stands_where_it_was_measured_and_a_gap_is_a_slice() {
    let (trace, values) = trace();
    let start = 1_795_000_000_000_000_000;
    let second = |n: u64| start + n * 1_000_000_000;
    let rate = 200e9;
    let good = &values["node-a/node-a NICs/rdmap0s0/Tx"];
    assert_eq!(*good, [(second(0), rate), (second(1), rate), (second(2), rate), (second(3), rate)]);
    // Read 40 us later than its neighbour; no rate from the second read on.
    let at = |n| second(n) + 40_000;
    assert_eq!(values["node-a/node-a NICs/rdmap1s0/Tx"], [(at(0), rate), (at(1), 0.0)]);
    let slices = &values["node-a/node-a NICs/rdmap1s0"];
    assert_eq!(*slices, [(at(1), 1.0), (at(3), 2.0)]);
    let why = trace.packet.iter().filter_map(|p| p.track_event.as_ref()?.name.as_deref()).next();
    assert_eq!(why, Some("no rate: it could not be read; has not answered"));
    let clocks = trace.packet.iter().find_map(|p| p.clock_snapshot.as_ref()).unwrap();
    assert_eq!(clocks.primary_trace_clock, Some(clock::REALTIME));
}
