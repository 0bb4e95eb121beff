//! One identity per device, which a rename does not change.

use std::collections::HashMap;

use super::events::Renamed;
use crate::monitor::sample::DeviceChange;

/// Most devices that were renamed and are remembered.
const MAX_RENAMED: usize = 1024;

/// For so many ticks the kernel may tell of a name that the list has given away already.
const PATIENCE: u8 = 10;

/// Which device a name stands for: the name under which it was first seen, made unique where another had that.
#[derive(Debug, Default)]
pub(super) struct Names {
    identities: HashMap<String, String>,
    /// New names that nobody has told of yet, with the ticks for which they may still be told.
    guessed: Vec<(String, String, u8)>,
}

impl Names {
    /// Takes what happened to the devices since the tick before.
    pub(super) fn update(&mut self, changes: &[DeviceChange]) {
        for change in changes {
            match change {
                DeviceChange::Renamed { from, to } => {
                    match self.guessed.iter().position(|(f, t, _)| f == from && t == to) {
                        Some(known) => drop(self.guessed.remove(known)),
                        None => self.rename(from, to),
                    }
                }
                // The name is new here, yet it may be the identity of one that was renamed.
                DeviceChange::Added(name) => {
                    if !self.identities.contains_key(name)
                        && self.identities.values().any(|identity| identity == name)
                    {
                        let identity = self.unused(name);
                        self.identities.insert(name.clone(), identity);
                    }
                }
                DeviceChange::Removed(_) => {}
            }
        }
    }

    /// Takes the new names that the list of devices gave away, where the kernel tells of none (or later).
    pub(super) fn guess(&mut self, renamed: &[Renamed]) {
        self.guessed.retain_mut(|(_, _, patience)| {
            *patience -= 1;
            *patience > 0
        });
        for Renamed { from, to, .. } in renamed.iter().filter(|r| r.guessed) {
            self.rename(from, to);
            self.guessed.push((from.clone(), to.clone(), PATIENCE));
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        if self.identities.len() >= MAX_RENAMED {
            self.identities.clear();
        }
        let identity = self.identities.remove(from).unwrap_or_else(|| from.to_owned());
        self.identities.insert(to.to_owned(), identity);
    }

    /// The identity of the device with this name.
    pub(super) fn identity<'a>(&'a self, name: &'a str) -> &'a str {
        self.identities.get(name).map_or(name, String::as_str)
    }

    fn unused(&self, name: &str) -> String {
        let mut names = (2..).map(|n: usize| format!("{name}#{n}"));
        names.find(|n| self.identities.values().all(|used| used != n)).unwrap_or_else(|| name.to_owned())
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
    fn a_name_that_the_list_gave_away_is_not_taken_again_when_the_kernel_tells_of_it() {
        let guess =
            |from: &str, to: &str| Renamed { from: from.to_owned(), to: to.to_owned(), guessed: true };
        let mut names = Names::default();
        names.update(&[renamed("rxe0", "a")]);
        names.guess(&[guess("a", "b")]);
        assert_eq!(names.identity("b"), "rxe0");
        names.update(&[renamed("a", "b")]);
        assert_eq!(names.identity("b"), "rxe0");
        // Nobody waits for ever to be told.
        names.guess(&[guess("b", "c")]);
        (0..PATIENCE).for_each(|_| names.guess(&[]));
        names.update(&[renamed("c", "b"), renamed("b", "c")]);
        assert_eq!(names.identity("c"), "rxe0");
        // What was told is taken once, by the one who was told.
        names.guess(&[Renamed { guessed: false, ..guess("c", "d") }]);
        assert_eq!(names.identity("d"), "d");
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
