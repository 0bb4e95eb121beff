//! What happens next: events by time, as a calendar of days.
//!
//! A day is a short stretch of time with a handful of events, which are sorted when it comes. So an event costs a push and a
//! share of a small sort, however many wait; a heap of tens of thousands would cost fifteen comparisons in as many
//! cache lines. Events of one moment come in the order of their numbers.

/// A moment in picoseconds, and who is meant.
type Event = (u64, u32);

/// Days ahead that have a place of their own; what is later waits in one pile.
const DAYS: u64 = 1 << 12;

/// The calendar.
#[derive(Debug)]
pub(super) struct Wheel {
    /// A day is 2^this picoseconds.
    shift: u32,
    today: u64,
    /// The first day without a place.
    end: u64,
    days: Vec<Vec<Event>>,
    /// Events in `days`.
    near: usize,
    far: Vec<Event>,
    /// Today's, the next one last.
    current: Vec<Event>,
    /// Room of days that are over, for those to come: kept in its place, it would be there once for each day, and in no cache.
    spare: Vec<Vec<Event>>,
}

fn place(day: u64) -> usize {
    (day % DAYS) as usize
}

impl Wheel {
    /// With days of at most `day_ps`.
    pub(super) fn new(day_ps: u64) -> Self {
        let shift = day_ps.max(1).ilog2();
        let days = (0..DAYS).map(|_| Vec::new()).collect();
        Self {
            shift,
            today: 0,
            end: DAYS,
            days,
            near: 0,
            far: Vec::new(),
            current: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Notes an event, not before the last one that came.
    pub(super) fn push(&mut self, at: u64, who: u32) {
        let day = at >> self.shift;
        if day <= self.today {
            let place = self.current.partition_point(|&event| event > (at, who));
            self.current.insert(place, (at, who));
        } else if day < self.end {
            if let Some(events) = self.days.get_mut(place(day)) {
                if events.capacity() == 0 {
                    *events = self.spare.pop().unwrap_or_default();
                }
                events.push((at, who));
                self.near += 1;
            }
        } else {
            self.far.push((at, who));
        }
    }

    /// The next event.
    pub(super) fn pop(&mut self) -> Option<Event> {
        while self.current.is_empty() {
            if self.near == 0 {
                self.turn()?;
            }
            self.today += 1;
            if let Some(events) = self.days.get_mut(place(self.today)).filter(|events| !events.is_empty()) {
                self.near -= events.len();
                self.spare.push(std::mem::replace(&mut self.current, std::mem::take(events)));
                self.current.sort_unstable_by(|a, b| b.cmp(a));
            }
        }
        self.current.pop()
    }

    /// Nothing is near: goes on to the first day of what is far.
    fn turn(&mut self) -> Option<()> {
        let first = self.far.iter().map(|&(at, _)| at).min()? >> self.shift;
        (self.today, self.end) = (first - 1, first + DAYS);
        for (at, who) in std::mem::take(&mut self.far) {
            self.push(at, who);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As a heap would: pushes among the pops, near, far and now.
        #[test]
        fn comes_in_order(day in 1_u64..100_000, delays in prop::collection::vec((0_u64..1 << 34, 0_u32..50, 0..3_u32), 1..200)) {
            let (mut wheel, mut heap) = (Wheel::new(day), std::collections::BinaryHeap::new());
            let mut now = 0;
            for (delay, who, pops) in delays {
                let delay = if who % 2 == 0 { delay } else { delay % 1000 };
                wheel.push(now + delay, who);
                heap.push(std::cmp::Reverse((now + delay, who)));
                for _ in 0..pops {
                    let next = wheel.pop();
                    prop_assert_eq!(next, heap.pop().map(|event| event.0));
                    now = next.map_or(now, |event| event.0);
                }
            }
            while let Some(std::cmp::Reverse(event)) = heap.pop() {
                prop_assert_eq!(wheel.pop(), Some(event));
            }
            prop_assert_eq!(wheel.pop(), None);
        }
    }
}
