//! Which charts there are.

use super::*;
use crate::report::made::{self, report};

/// A run of `nodes` nodes with 8 PEs each, and its rows.
fn run(nodes: u64, policies: &[&str], sizes: &[u64]) -> Vec<String> {
    let row = |(policy, size): (&&str, &u64)| {
        made::row("alltoall", policy, *size, &format!("\"initiator\":\"sim\",\"busbw_gb_per_s\":{nodes}"))
    };
    let rows = policies.iter().flat_map(|policy| sizes.iter().map(move |size| (policy, size)));
    std::iter::once(made::header(nodes, nodes * 8, 4)).chain(rows.map(row)).collect()
}

#[test]
fn clusters_that_differ_in_nodes_make_a_chart_by_nodes() {
    let policies = ["round-robin", "pair-seq"];
    let runs =
        [run(2, &policies, &[1 << 30]), run(16, &policies, &[1 << 30]), run(1024, &policies, &[1 << 30])];
    let charts = charts(&report(&runs.concat()).runs);
    assert_eq!(charts.len(), 1, "and none of one point: {charts:?}");
    assert_eq!(charts[0].title, "All-to-all of 1 GiB by nodes: 8 PEs each, 4 NICs each of 200 Mb/s, net");
    let points: Vec<_> = charts[0].series.iter().map(|s| (s.name.as_str(), s.points.clone())).collect();
    let expected = BTreeMap::from([(2, 2.0), (16, 16.0), (1024, 1024.0)]);
    assert_eq!(points, [("round-robin, sim", expected.clone()), ("pair-seq, sim", expected)]);
    let table = charts[0].table();
    assert_eq!((table.head[0].as_str(), table.rows[1][0].as_str()), ("nodes", "16"));
}

#[test]
fn one_cluster_has_no_chart_by_nodes_and_several_sizes_keep_theirs() {
    let one = run(2, &["single"], &[1 << 20, 1 << 30]);
    assert_eq!(charts(&report(&one).runs).iter().map(|chart| chart.axis).collect::<Vec<_>>(), [Axis::Size]);
    let two = [one, run(4, &["single"], &[1 << 30])].concat();
    let axes: Vec<_> = charts(&report(&two).runs).iter().map(|chart| chart.axis).collect();
    assert_eq!(axes, [Axis::Nodes, Axis::Size], "the sizes of 2 nodes are two, those of 4 one");
}
