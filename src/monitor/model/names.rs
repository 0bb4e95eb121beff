//! One identity per device, which a rename does not change.

use std::collections::HashMap;

use crate::monitor::sample::DeviceChange;

/// Most devices that were renamed and are remembered.
const MAX_RENAMED: usize = 1024;

/// Which device a name stands for: the name under which it was first seen, made unique where another had that.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, String>);

impl Names {
    /// Takes what happened to the devices since the tick before.
    pub(super) fn update(&mut self, changes: &[DeviceChange]) {
        for change in changes {
            match change {
                DeviceChange::Renamed { from, to } => {
                    if self.0.len() >= MAX_RENAMED {
                        self.0.clear();
                    }
                    let identity = self.0.remove(from).unwrap_or_else(|| from.clone());
                    self.0.insert(to.clone(), identity);
                }
                // The name is new here, yet it may be the identity of one that was renamed.
                DeviceChange::Added(name) => {
                    if !self.0.contains_key(name) && self.0.values().any(|identity| identity == name) {
                        let identity = self.unused(name);
                        self.0.insert(name.clone(), identity);
                    }
                }
                DeviceChange::Removed(_) => {}
            }
        }
    }

    /// The identity of the device with this name.
    pub(super) fn identity<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.get(name).map_or(name, String::as_str)
    }

    fn unused(&self, name: &str) -> String {
        let mut names = (2..).map(|n: usize| format!("{name}#{n}"));
        names.find(|n| self.0.values().all(|used| used != n)).unwrap_or_else(|| name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(from: &str, to: &str) -> DeviceChange {
        DeviceChange::Renamed { from: from.to_owned(), to: to.to_owned() }
    }

    #[test]
    fn a_device_stays_itself_through_renames() {
        let mut names = Names::default();
        names.update(&[renamed("rxe0", "a"), renamed("a", "b")]);
        assert_eq!(names.identity("b"), "rxe0");
        names.update(&[renamed("b", "rxe0")]);
        assert_eq!(names.identity("rxe0"), "rxe0");
    }

    #[test]
    fn a_new_device_under_an_old_name_is_another_one() {
        let mut names = Names::default();
        names.update(&[renamed("rxe0", "a"), DeviceChange::Added("rxe0".to_owned())]);
        assert_eq!((names.identity("a"), names.identity("rxe0")), ("rxe0", "rxe0#2"));
        names.update(&[renamed("rxe0", "c"), DeviceChange::Added("rxe0".to_owned())]);
        assert_eq!((names.identity("c"), names.identity("rxe0")), ("rxe0#2", "rxe0#3"));
    }

    #[test]
    fn names_that_are_swapped_do_not_swap_their_devices() {
        let mut names = Names::default();
        names.update(&[renamed("a", "tmp"), renamed("b", "a"), renamed("tmp", "b")]);
        assert_eq!((names.identity("a"), names.identity("b")), ("b", "a"));
    }
}
