//! Which row the person is on. It is held by its key, so that it stays on its row when others come and go.

use super::super::panes;
use super::super::rows::{self, Row, RowKey, RowKind};
use super::super::tabs::Tab;
use super::State;
use crate::monitor::model::view::{GroupView, View};

/// Where the person is in one tab.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Selection {
    /// Position of the selected row.
    pub(super) index: usize,
    /// Its key; `None` before anybody chose, and in the events to follow the newest.
    pub(super) key: Option<RowKey>,
    /// Position of the first row on the screen.
    pub(super) top: usize,
}

impl State {
    /// Position of the selected row in `rows`.
    pub(in super::super) fn selected(&self) -> usize {
        self.selections[self.tab].index
    }

    /// Position of the first row on the screen.
    pub(in super::super) fn top(&self) -> usize {
        self.selections[self.tab].top
    }

    pub(super) fn page(&self) -> isize {
        self.plan.map_or(10, |p| isize::try_from(p.list.height.max(2) - 1).unwrap_or(10))
    }

    /// Moves the overlay's text or cursor where one is open, else the selection.
    pub(super) fn go(&mut self, by: isize) {
        let last = panes::overlay_end(self);
        if let Some(overlay) = &mut self.overlay {
            let at = overlay.position();
            *at = at.saturating_add_signed(by).min(last);
            return;
        }
        let last = self.rows.len().saturating_sub(1);
        let (follow, top) = (self.follows(), self.stays_on_top());
        let selection = &mut self.selections[self.tab];
        selection.index = selection.index.saturating_add_signed(by).min(last);
        selection.key = self.rows.get(selection.index).map(|row| row.key.clone());
        if (follow && selection.index == last) || (top && selection.index == 0) {
            selection.key = None;
        }
    }

    /// Whether the selection stays at the first row, whichever that is: the worst, until somebody goes elsewhere.
    fn stays_on_top(&self) -> bool {
        self.tab == Tab::Fleet
    }

    /// Whether the selection stays at the end when rows are added there.
    fn follows(&self) -> bool {
        self.tab == Tab::Events && self.sort() == rows::Sort::NewestLast
    }

    /// When what is selected in the list has gone for good, the nearest row that is still there takes its place, else
    /// the first group that lives; a row that is only folded or filtered away keeps the selection.
    pub(super) fn forget_vanished(&mut self, view: &View) {
        let there = |key: &RowKey| match key {
            RowKey::Group(group) | RowKey::Way(group, _) => view.groups.iter().any(|g| g.key == *group),
            RowKey::Nic(group, nic) => {
                view.groups.iter().any(|g| g.key == *group && g.nics.iter().any(|n| n.key == *nic))
            }
            RowKey::Node(..) => view.groups.iter().any(|g| rows::node_key(g) == *key),
            RowKey::Process(_) | RowKey::Event(..) | RowKey::Gpu(_) | RowKey::Remote(_) => true,
        };
        let selection = &self.selections[self.tab];
        if self.tab != Tab::Nics || selection.key.as_ref().is_none_or(there) || view.groups.is_empty() {
            return;
        }
        let distance = |(index, _): &(usize, &Row)| index.abs_diff(selection.index);
        let group = |row: &Row| !matches!(row.kind, RowKind::Node { .. }) && there(&row.key);
        let near = self.rows.iter().enumerate().filter(|(_, row)| group(row)).min_by_key(distance);
        let key = near
            .map(|(_, row)| row.key.clone())
            .or_else(|| first_group(view).map(|group| RowKey::Group(group.key.clone())));
        self.selections[self.tab].key = key;
    }

    /// The group that the list's selection is in; the first group as long as nothing is selected.
    pub(super) fn selected_group(&self, view: &View) -> Option<String> {
        match &self.selections[Tab::Nics].key {
            Some(RowKey::Group(group) | RowKey::Nic(group, _)) => Some(group.clone()),
            Some(_) => None,
            None => first_group(view).map(|group| group.key.clone()),
        }
    }

    /// Finds the selected row again by its key.
    pub(super) fn reselect(&mut self) {
        let find = |key: &RowKey| self.rows.iter().position(|row| row.key == *key);
        let last = self.rows.len().saturating_sub(1);
        let selection = &self.selections[self.tab];
        let found = match &selection.key {
            // A NIC that was folded away hands the selection to its group.
            Some(key @ RowKey::Nic(group, _)) => find(key).or_else(|| find(&RowKey::Group(group.clone()))),
            Some(key) => find(key),
            None if self.follows() => Some(last),
            None if self.stays_on_top() => Some(0),
            None => self.rows.iter().position(|row| !matches!(row.kind, RowKind::Node { .. })),
        };
        let index = found.unwrap_or(selection.index).min(last);
        let key = self.rows.get(index).map(|row| row.key.clone());
        let free = self.follows() || self.stays_on_top();
        let selection = &mut self.selections[self.tab];
        selection.index = index;
        if selection.key.is_none() && !free {
            selection.key = key;
        }
    }

    /// Keeps the selected row, and the heading it stands under where possible, in sight.
    pub(super) fn scroll(&mut self) {
        let height = usize::from(self.plan.map_or(1, |p| p.list.height)).max(1);
        let rows = self.rows.len();
        let selection = &mut self.selections[self.tab];
        if selection.index < selection.top {
            selection.top = selection.index;
        }
        if selection.index >= selection.top + height {
            selection.top = selection.index + 1 - height;
        }
        selection.top = selection.top.min(rows.saturating_sub(height));
        if selection.index == 1 && height > 1 {
            selection.top = 0;
        }
    }
}

/// The first group that lives, else the first.
fn first_group(view: &View) -> Option<&GroupView> {
    view.groups.iter().find(|group| !rows::is_dead(group)).or(view.groups.first())
}
