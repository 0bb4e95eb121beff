//! The highest rate of each row since somebody asked to begin anew.

use std::collections::HashMap;

use super::{CAPACITY, Point, RowKey};

/// For how many ticks a row may be gone before its peak is forgotten.
const PATIENCE: usize = CAPACITY;

/// One peak per row.
#[derive(Debug, Default)]
pub(super) struct Peaks(HashMap<RowKey, (Point, usize)>);

impl Peaks {
    /// Takes a tick's rates.
    pub(super) fn push(&mut self, now: &HashMap<RowKey, Point>) {
        for (_, gone) in self.0.values_mut() {
            *gone += 1;
        }
        for (key, point) in now {
            if let Some((peak, gone)) = self.0.get_mut(key) {
                (*peak, *gone) = (peak.merge(*point, f32::max), 0);
            } else {
                self.0.insert(key.clone(), (*point, 0));
            }
        }
        self.0.retain(|_, (_, gone)| *gone < PATIENCE);
    }

    /// A row's highest rates.
    pub(super) fn of(&self, key: &RowKey) -> Option<Point> {
        self.0.get(key).map(|(peak, _)| *peak)
    }
}
