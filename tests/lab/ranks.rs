//! What a PE finds in its environment, and how its output comes out.

use std::collections::HashSet;

use crate::support::{Lines, loopback, one_at_a_time, shell, spec, up};

#[test]
fn every_pe_knows_who_and_where_it_is() {
    let _alone = one_at_a_time();
    let Some(mut lab) = up(spec(2, 2, 2)) else {
        return;
    };
    let lines = Lines::default();
    let script = r#"echo "$RANK/$WORLD_SIZE $LOCAL_RANK/$LOCAL_WORLD_SIZE $(hostname) $RAILTOP_NODE $MASTER_ADDR $RAILTOP_NICS""#;
    let outcome = lab.run(&shell(script), lines.options()).unwrap();
    assert_eq!(outcome.exit_code(), 0);
    let expected = [
        "0/4 0/2 node0 node0 10.76.0.1 nic0=10.77.0.1,nic1=10.77.0.2",
        "1/4 1/2 node0 node0 10.76.0.1 nic2=10.77.0.3,nic3=10.77.0.4",
        "2/4 0/2 node1 node1 10.76.0.1 nic0=10.77.0.5,nic1=10.77.0.6",
        "3/4 1/2 node1 node1 10.76.0.1 nic2=10.77.0.7,nic3=10.77.0.8",
    ];
    assert_eq!(lines.sorted(), (0..).zip(expected.map(str::to_owned)).collect::<Vec<_>>());
}

#[test]
fn the_settings_are_the_lab_s_and_not_the_host_s() {
    let _alone = one_at_a_time();
    let host = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap();
    let Some(mut lab) = up(spec(1, 1, 1)) else {
        return;
    };
    let lines = Lines::default();
    let script = "cat /proc/sys/net/ipv4/tcp_congestion_control";
    lab.run(&shell(script), lines.options()).unwrap();
    assert_eq!(lines.sorted()[0].1, "reno");
    drop(lab);
    let after = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap();
    assert_eq!(host, after);
}

#[test]
fn runs_follow_one_another_with_a_new_port_and_secret() {
    let _alone = one_at_a_time();
    let Some(mut lab) = up(spec(2, 1, 1)) else {
        return;
    };
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let lines = Lines::default();
        lab.run(&shell(r#"echo "$MASTER_PORT $RAILTOP_JOB_SECRET""#), lines.options()).unwrap();
        let lines = lines.sorted();
        assert_eq!(lines[0].1, lines[1].1, "all PEs of a run agree");
        assert!(seen.insert(lines[0].1.clone()));
    }
}

#[test]
fn loopback_needs_no_namespaces() {
    let _alone = one_at_a_time();
    let mut lab = up(loopback(2, 1, 2)).unwrap();
    let lines = Lines::default();
    let script =
        r#"echo "$RAILTOP_LAB $RAILTOP_NODE $RAILTOP_NICS ${RAILTOP_NIC_RATE_BPS-unlimited} $MASTER_ADDR""#;
    lab.run(&shell(script), lines.options()).unwrap();
    let expected = [
        (0, "loopback node0 nic0=127.77.0.1,nic1=127.77.0.2 unlimited 127.0.0.1".to_owned()),
        (1, "loopback node1 nic0=127.77.0.3,nic1=127.77.0.4 unlimited 127.0.0.1".to_owned()),
    ];
    assert_eq!(lines.sorted(), expected);
}

#[test]
fn lines_stay_whole_and_none_is_lost() {
    let _alone = one_at_a_time();
    let mut lab = up(loopback(1, 4, 1)).unwrap();
    let lines = Lines::default();
    let script = "i=0; while [ $i -lt 500 ]; do echo line $i of $RANK; i=$((i+1)); done; printf end";
    lab.run(&shell(script), lines.options()).unwrap();
    let lines = lines.sorted();
    assert_eq!(lines.len(), 4 * 501);
    for rank in 0..4 {
        let own: Vec<_> = lines.iter().filter(|(r, _)| *r == rank).map(|(_, line)| line.as_str()).collect();
        let expected: Vec<_> =
            (0..500).map(|i| format!("line {i} of {rank}")).chain(["end".to_owned()]).collect();
        assert_eq!(own, expected);
    }
}
