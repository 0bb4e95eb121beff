//! Which devices came and went, where the kernel does not tell.

use crate::monitor::glob::Glob;
use crate::monitor::sample::DeviceChange;

/// What happened between two lists of names. A rename looks like one that went and one that came.
pub(super) fn between(before: &[String], now: &[String]) -> Vec<DeviceChange> {
    let gone = before.iter().filter(|name| !now.contains(name)).cloned().map(DeviceChange::Removed);
    let new = now.iter().filter(|name| !before.contains(name)).cloned().map(DeviceChange::Added);
    gone.chain(new).collect()
}

/// Whether a change concerns a device that is looked at.
pub(super) fn concerns(change: &DeviceChange, device: Option<&Glob>) -> bool {
    device.is_none_or(|glob| match change {
        DeviceChange::Added(name) | DeviceChange::Removed(name) => glob.matches(name),
        DeviceChange::Renamed { from, to } => glob.matches(from) || glob.matches(to),
    })
}

/// Names that another device had a tick `before`.
pub(super) fn taken_over<'a>(changes: &'a [DeviceChange], before: &[String]) -> Vec<&'a str> {
    let new = changes.iter().filter_map(|change| match change {
        DeviceChange::Renamed { to, .. } => Some(to),
        DeviceChange::Added(_) | DeviceChange::Removed(_) => None,
    });
    new.filter(|to| before.contains(to)).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_compared_by_name() {
        let names = |all: &[&str]| all.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
        let changes = between(&names(&["a", "b"]), &names(&["b", "c"]));
        assert_eq!(changes, [DeviceChange::Removed("a".to_owned()), DeviceChange::Added("c".to_owned())]);
        let glob: Glob = "c".parse().unwrap();
        assert_eq!(changes.iter().filter(|c| concerns(c, Some(&glob))).count(), 1);
    }

    #[test]
    fn names_that_are_swapped_are_taken_over_and_new_ones_are_not() {
        let renamed =
            |from: &str, to: &str| DeviceChange::Renamed { from: from.to_owned(), to: to.to_owned() };
        let swap = [renamed("a", "tmp"), renamed("b", "a"), renamed("tmp", "b"), renamed("c", "d")];
        let before = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(taken_over(&swap, &before), ["a", "b"]);
    }
}
