//! What a sampler keeps: names for ever, numbers in rings that lose the oldest first.

use std::collections::{HashMap, HashSet, VecDeque};

use railtop::monitor::model::view::{GroupView, Mark, NicView, SourceKind, View};

use crate::abi::{self, Balance, HAS_RX_BYTES, HAS_TX_BYTES, Sample};
use crate::names::{GroupName, NicName};

/// Every mark, in the order of their bits.
pub(crate) const MARKS: [Mark; 9] = [
    Mark::New,
    Mark::Reset,
    Mark::Stale,
    Mark::Dead,
    Mark::Stalled,
    Mark::Torn,
    Mark::Gone,
    Mark::Down,
    Mark::Unsure,
];

/// Most NICs, and most groups, that get a number. PEs that come and go have new names all the time.
const MAX_NAMES: usize = 1 << 16;

/// The bit of a mark in [`Sample::flags`].
pub(crate) fn bit(mark: Mark) -> u32 {
    match mark {
        Mark::New => abi::NEW,
        Mark::Reset => abi::RESET,
        Mark::Stale => abi::STALE,
        Mark::Dead => abi::DEAD,
        Mark::Stalled => abi::STALLED,
        Mark::Torn => abi::TORN,
        Mark::Gone => abi::GONE,
        Mark::Down => abi::DOWN,
        Mark::Unsure => abi::UNSURE,
    }
}

/// Values with numbers from 0 on, of which the newest are kept.
#[derive(Debug, Clone)]
pub(crate) struct Ring<T> {
    kept: VecDeque<T>,
    /// The number of the oldest that is kept; so many are lost.
    first: u64,
    capacity: usize,
}

impl<T: Copy> Ring<T> {
    fn new(capacity: usize) -> Self {
        Self { kept: VecDeque::new(), first: 0, capacity: capacity.max(1) }
    }

    fn push(&mut self, value: T) {
        if self.kept.len() == self.capacity {
            self.kept.pop_front();
            self.first += 1;
        }
        self.kept.push_back(value);
    }

    /// How many had to make room.
    pub(crate) fn lost(&self) -> u64 {
        self.first
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.kept.iter()
    }

    /// At most `max` values from number `cursor` on, and the number after the last of them.
    pub(crate) fn read(&self, cursor: u64, max: usize) -> (Vec<T>, u64) {
        let begin = cursor.max(self.first);
        let skip = usize::try_from(begin - self.first).unwrap_or(usize::MAX);
        let values: Vec<T> = self.kept.iter().skip(skip).take(max).copied().collect();
        let end = begin + values.len() as u64;
        (values, end)
    }
}

/// Everything that was sampled. A copy of it can be looked at while sampling goes on.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) host: String,
    pub(crate) nics: Vec<NicName>,
    pub(crate) groups: Vec<GroupName>,
    pub(crate) samples: Ring<Sample>,
    pub(crate) balances: Ring<Balance>,
    pub(crate) ticks: u64,
    pub(crate) missed: u64,
}

/// What is kept, and how the next tick is added to it.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) kept: Kept,
    /// What the newest view says, a line each.
    view_notes: Vec<String>,
    nic_numbers: HashMap<String, u32>,
    group_numbers: HashMap<String, u32>,
    /// NICs and groups of the newest view.
    listed: HashSet<u32>,
    listed_groups: HashSet<u32>,
    /// The newest view has counter pages in it.
    has_pages: bool,
    too_many: bool,
}

impl Store {
    pub(crate) fn new(host: String, capacity: usize) -> Self {
        let kept = Kept {
            host,
            nics: Vec::new(),
            groups: Vec::new(),
            samples: Ring::new(capacity),
            balances: Ring::new(capacity),
            ticks: 0,
            missed: 0,
        };
        Self {
            kept,
            view_notes: Vec::new(),
            nic_numbers: HashMap::new(),
            group_numbers: HashMap::new(),
            listed: HashSet::new(),
            listed_groups: HashSet::new(),
            has_pages: false,
            too_many: false,
        }
    }

    /// Takes what one tick gave, the distance of the clocks at it, and how many were left out before it.
    pub(crate) fn add(&mut self, view: &View, wall: i64, missed: u64) {
        self.kept.ticks += 1;
        self.kept.missed += missed;
        let before = std::mem::take(&mut self.listed);
        let groups_before = std::mem::take(&mut self.listed_groups);
        self.has_pages = false;
        for group in &view.groups {
            let Some(number) = self.group_number(group) else { continue };
            self.listed_groups.insert(number);
            self.kept.balances.push(balance(number, group, view.mono_ns, wall));
            for nic in &group.nics {
                self.has_pages |= nic.source == SourceKind::Page;
                let Some(number) = self.nic_number(nic, number) else { continue };
                self.listed.insert(number);
                self.kept.samples.push(sample(number, nic, wall));
            }
        }
        // Said once of those that are not even listed any more.
        for group in gone(&groups_before, &self.listed_groups) {
            self.kept.balances.push(no_balance(group, view.mono_ns, wall));
        }
        for nic in gone(&before, &self.listed) {
            let nothing = Sample {
                nic,
                flags: bit(Mark::Gone),
                mono_ns: view.mono_ns,
                wall_minus_mono_ns: wall,
                dt_ns: 0,
                tx_bytes: 0,
                rx_bytes: 0,
                tx_bytes_per_s: f64::NAN,
                rx_bytes_per_s: f64::NAN,
            };
            self.kept.samples.push(nothing);
        }
        let notices = view.notices.iter().map(|notice| format!("{}: {}", notice.subject, notice.text));
        self.view_notes = view.nothing.iter().cloned().chain(notices).collect();
    }

    /// Whether the newest view has counter pages, whose numbers are as new as the look at them.
    pub(crate) fn has_pages(&self) -> bool {
        self.has_pages
    }

    /// What a person should know, a line each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = self.view_notes.clone();
        if self.kept.samples.lost() > 0 || self.kept.balances.lost() > 0 {
            notes.push(format!(
                "memory is full: the oldest {} samples of NICs and {} of balances had to make room; a longer interval, fewer \
                 devices or a larger capacity keep more",
                self.kept.samples.lost(),
                self.kept.balances.lost(),
            ));
        }
        if self.kept.missed > 0 {
            notes.push(format!(
                "{} rounds of reads were left out: this machine or a device was too slow",
                self.kept.missed
            ));
        }
        if self.too_many {
            notes.push(format!(
                "more than {MAX_NAMES} NICs or groups came and went; the later ones are not sampled"
            ));
        }
        notes
    }

    fn group_number(&mut self, group: &GroupView) -> Option<u32> {
        number(&mut self.group_numbers, &mut self.kept.groups, &group.key, &mut self.too_many, || {
            GroupName::of(group)
        })
    }

    fn nic_number(&mut self, nic: &NicView, group: u32) -> Option<u32> {
        number(&mut self.nic_numbers, &mut self.kept.nics, &nic.key, &mut self.too_many, || {
            NicName::of(nic, group)
        })
    }
}

/// The number of what has this key, which gets one when it is new.
fn number<T>(
    numbers: &mut HashMap<String, u32>,
    names: &mut Vec<T>,
    key: &str,
    too_many: &mut bool,
    name: impl FnOnce() -> T,
) -> Option<u32> {
    if let Some(&known) = numbers.get(key) {
        return Some(known);
    }
    if names.len() >= MAX_NAMES {
        *too_many = true;
        return None;
    }
    let new = u32::try_from(names.len()).ok()?;
    names.push(name());
    numbers.insert(key.to_owned(), new);
    Some(new)
}

fn sample(number: u32, nic: &NicView, wall_minus_mono_ns: i64) -> Sample {
    let has = |bytes: Option<u64>, flag: u32| if bytes.is_some() { flag } else { 0 };
    let marks = nic.marks.iter().fold(0, |flags, &mark| flags | bit(mark));
    let rates = (nic.tx.bytes_per_s, nic.rx.bytes_per_s);
    let known = rates.0.is_some() || rates.1.is_some();
    let dt = nic.dt.filter(|_| known).map_or(0, |dt| u64::try_from(dt.as_nanos()).unwrap_or(u64::MAX));
    Sample {
        nic: number,
        flags: marks | has(nic.tx.bytes, HAS_TX_BYTES) | has(nic.rx.bytes, HAS_RX_BYTES),
        mono_ns: nic.mono_ns,
        wall_minus_mono_ns,
        dt_ns: dt,
        tx_bytes: nic.tx.bytes.unwrap_or(0),
        rx_bytes: nic.rx.bytes.unwrap_or(0),
        tx_bytes_per_s: rates.0.unwrap_or(f64::NAN),
        rx_bytes_per_s: rates.1.unwrap_or(f64::NAN),
    }
}

/// Those that were there and are no more, in the order of their numbers.
fn gone(before: &HashSet<u32>, now: &HashSet<u32>) -> Vec<u32> {
    let mut gone: Vec<u32> = before.difference(now).copied().collect();
    gone.sort_unstable();
    gone
}

/// What a group has that is not there any more.
fn no_balance(group: u32, mono_ns: u64, wall_minus_mono_ns: i64) -> Balance {
    Balance {
        group,
        nics: 0,
        mono_ns,
        wall_minus_mono_ns,
        tx_bytes_per_s: f64::NAN,
        rx_bytes_per_s: f64::NAN,
        tx_max_over_mean: f64::NAN,
        rx_max_over_mean: f64::NAN,
    }
}

fn balance(number: u32, group: &GroupView, mono_ns: u64, wall_minus_mono_ns: i64) -> Balance {
    Balance {
        group: number,
        nics: u32::try_from(group.nics.len()).unwrap_or(u32::MAX),
        mono_ns,
        wall_minus_mono_ns,
        tx_bytes_per_s: group.tx.bytes_per_s.unwrap_or(f64::NAN),
        rx_bytes_per_s: group.rx.bytes_per_s.unwrap_or(f64::NAN),
        tx_max_over_mean: group.tx.spread.max_over_mean.unwrap_or(f64::NAN),
        rx_max_over_mean: group.rx.spread.max_over_mean.unwrap_or(f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_loses_the_oldest_and_a_reader_sees_it() {
        let mut ring = Ring::new(3);
        (0..5).for_each(|value| ring.push(value));
        assert_eq!((ring.lost(), ring.len()), (2, 3));
        // Two of the five are missed: 4 - (0 + 2).
        assert_eq!(ring.read(0, 2), (vec![2, 3], 4));
        assert_eq!(ring.read(4, 2), (vec![4], 5));
        assert_eq!(ring.read(5, 2), (vec![], 5));
        assert_eq!(ring.read(99, 2), (vec![], 99), "a cursor from elsewhere finds nothing");
    }

    #[test]
    fn each_mark_has_a_bit_of_its_own() {
        let all = MARKS.iter().fold(0, |flags, &mark| flags | bit(mark));
        assert_eq!((all, all.count_ones() as usize), (0x1_ff00, MARKS.len()));
        // As older headers have them.
        assert_eq!((bit(Mark::New), bit(Mark::Down), bit(Mark::Unsure)), (0x100, 0x8000, 0x1_0000));
    }
}
