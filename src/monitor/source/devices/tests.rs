use super::super::errand::Errand;
use super::*;

#[test]
fn a_panic_in_netlinks_thread_is_told_and_sysfs_tells_of_changes_from_then_on() {
    let tree = tempfile::tempdir().unwrap();
    let sysfs = SysfsSource::new(tree.path().to_owned(), None, Vec::new());
    let mut source = DeviceSource::new(Choice::Auto, sysfs, None);
    source.netlink =
        NetlinkSource::of(Errand::start("test", || |query: Query| panic!("a bug: {query:?}")).unwrap());
    source.answered = true;
    let long = Duration::from_secs(600);
    let tick = Tick { deadline: long, interval: long, needs: Needs::everything() };
    // And at every tick until it is started again.
    for _ in 0..2 {
        let mut read = DevicesRead::default();
        assert!(source.both(&[], tick, &mut read).is_empty());
        let told = Notice { subject: "RDMA netlink".to_owned(), text: OVER.to_owned() };
        assert_eq!((read.notices, source.answered), (vec![told], false));
    }
}
