//! Anybody's texts as those of sysfs, and their names in the counter tables. See [`crate::fuzzing`].

use super::device::{is_interface, link_rate, state_word};
use super::driver::{from_name, uevent_value};
use super::file::parse_counter;
use super::topology::is_address;
use crate::monitor::moment::Moment;
use crate::monitor::source::netdev;
use crate::monitor::table::{self, Dir, Found, Term};
use crate::text::printable;

/// Takes the first line for a driver, and each line for a counter and for every other text there is.
pub(crate) fn texts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let driver = lines.next().unwrap_or_default();
    let table = table::of(Some(driver));
    let mut found = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        for dir in Dir::ALL {
            assert_eq!(table.desc(dir, name).name, name, "the kernel's own name");
        }
        match parse_counter(value) {
            Ok(value) => found.push((name, value)),
            Err(error) => assert_eq!(printable(&error.to_string()), error.to_string()),
        }
        assert_ne!(link_rate(line), Some(0), "no rate is no rate of 0");
        let _ = (state_word(line), from_name(line), is_address(line), is_interface(line));
        let _ = netdev::parse(line, Moment::between(0, 0));
    }
    let _ = uevent_value(&text, "DRIVER");
    for (_, quantity) in table.traffic() {
        let of = |term: &Term| {
            let value = found.iter().find(|(name, _)| *name == term.name).map(|(_, value)| *value);
            value.map_or(Found::Absent, Found::Value)
        };
        let _ = quantity.sum(of);
    }
    let _ = table::guess(|_, name| found.iter().any(|(known, _)| *known == name));
}
