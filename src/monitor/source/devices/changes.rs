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
}
