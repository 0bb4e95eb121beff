//! The state of the screen and what every action does to it. Pure: no terminal, no clock, no source.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::actions::{Action, Command};
use super::format::Units;
use super::glyphs::Glyphs;
use super::history::History;
use super::keymap::Keymap;
use super::layout::{self, Plan, Room, Wants};
use super::preferences::Preferences;
use super::rows::{self, Row, RowKey, RowKind, Sort};
use super::theme::Theme;
use super::widgets::graph::Look;
use crate::monitor::model::view::{GroupView, NicView, View};
use crate::monitor::replay::ReplayStatus;

/// What the loop has to do after an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    Quit,
    Suspend,
    Redraw,
    SetInterval(Duration),
    /// Write down what was changed.
    Save,
}

/// What lies over the list. The number is the first line shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Overlay {
    Help(usize),
    Notices(usize),
    Detail(RowKey, usize),
}

/// Whether groups show their NICs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    /// All as long as all fit, else the selected group's, else none.
    Auto,
    All,
    None,
}

/// The intervals that `+` and `-` step through.
const INTERVALS_MS: [u64; 7] = [100, 200, 500, 1000, 2000, 5000, 10_000];

/// Everything the panes draw from.
pub(super) struct State {
    pub(super) theme: Theme,
    pub(super) glyphs: Glyphs,
    /// Which key means what, for the dispatch, the help and the status line.
    pub(super) keymap: Keymap,
    pub(super) units: Units,
    pub(super) look: Look,
    pub(super) interval: Duration,
    pub(super) sort: Sort,
    pub(super) filter: String,
    pub(super) typing: bool,
    pub(super) paused: bool,
    pub(super) overlay: Option<Overlay>,
    pub(super) caption: String,
    /// What the last key led to, until the next one.
    pub(super) message: Option<String>,
    /// Columns by name, and the averaging window, as they are kept.
    columns: Option<Vec<String>>,
    average: Option<Duration>,
    /// For how long no data came, when that is too long.
    pub(super) silent: Option<Duration>,
    pub(super) history: History,
    /// Where the recording stands, if what is shown is one.
    pub(super) replay: Option<ReplayStatus>,
    /// The view on the screen; older than the newest while paused.
    pub(super) shown: Option<Arc<View>>,
    newest: Option<Arc<View>>,
    pub(super) rows: Vec<Row>,
    /// Position of the selected row in `rows`.
    pub(super) selected: usize,
    selected_key: Option<RowKey>,
    /// Position of the first row on the screen.
    pub(super) top: usize,
    fold: Fold,
    folds: HashMap<String, bool>,
    size: (u16, u16),
    /// `None` when the window is too small.
    pub(super) plan: Option<Plan>,
    pub(super) collapsed: bool,
}

impl State {
    pub(super) fn new(theme: Theme, glyphs: Glyphs, units: Units, interval: Duration) -> Self {
        Self {
            theme,
            glyphs,
            keymap: Keymap::default(),
            units,
            look: Look::first(glyphs),
            interval,
            sort: Sort::default(),
            filter: String::new(),
            typing: false,
            paused: false,
            overlay: None,
            caption: String::new(),
            message: None,
            columns: None,
            average: None,
            silent: None,
            history: History::default(),
            replay: None,
            shown: None,
            newest: None,
            rows: Vec::new(),
            selected: 0,
            selected_key: None,
            top: 0,
            fold: Fold::Auto,
            folds: HashMap::new(),
            size: (0, 0),
            plan: None,
            collapsed: false,
        }
    }

    /// Takes over what somebody prefers.
    pub(super) fn prefer(&mut self, preferences: &Preferences) {
        let Preferences { interval, units, theme, sort, filter, columns, average } = preferences;
        self.interval = *interval;
        self.units = *units;
        self.theme = self.theme.named(*theme);
        self.sort = *sort;
        self.filter.clone_from(filter);
        self.columns.clone_from(columns);
        self.average = *average;
    }

    /// What is preferred now, for whoever writes it down.
    pub(super) fn preferences(&self) -> Preferences {
        Preferences {
            interval: self.interval,
            units: self.units,
            theme: self.theme.name(),
            sort: self.sort,
            filter: self.filter.clone(),
            columns: self.columns.clone(),
            average: self.average,
        }
    }

    /// The one way the state changes.
    pub(super) fn update(&mut self, action: Action) -> Effect {
        let effect = match action {
            Action::View(view) => {
                self.history.push(&view);
                self.silent = None;
                self.newest = Some(view);
                if !self.paused {
                    self.shown.clone_from(&self.newest);
                }
                Effect::None
            }
            Action::Past(views) => {
                self.history = History::default();
                for view in &views {
                    self.history.push(view);
                }
                Effect::None
            }
            Action::Replay(status) => {
                self.replay = Some(status);
                Effect::None
            }
            Action::Resize(width, height) => {
                self.size = (width, height);
                Effect::None
            }
            Action::Caption(text) => {
                self.caption = text;
                Effect::None
            }
            Action::Message(text) => {
                self.message = Some(text);
                Effect::None
            }
            Action::Background(background) => {
                self.theme = self.theme.on(Some(background));
                Effect::None
            }
            Action::Silent(duration) => {
                self.silent = Some(duration);
                Effect::None
            }
            Action::Type(c) => {
                if !c.is_control() && self.filter.chars().count() < 64 {
                    self.filter.push(c);
                }
                Effect::None
            }
            Action::Command(command) => {
                self.message = None;
                self.command(command)
            }
        };
        self.arrange();
        effect
    }

    fn command(&mut self, command: Command) -> Effect {
        match command {
            Command::Quit => return Effect::Quit,
            Command::Suspend => return Effect::Suspend,
            Command::Redraw => return Effect::Redraw,
            Command::Slower => return self.step_interval(1),
            Command::Faster => return self.step_interval(-1),
            Command::Help => self.toggle(Overlay::Help(0)),
            Command::Notices => self.toggle(Overlay::Notices(0)),
            Command::Filter => {
                self.overlay = None;
                self.typing = true;
            }
            Command::Erase => drop(self.filter.pop()),
            Command::Escape => self.escape(),
            Command::Enter => self.enter(),
            Command::Sort => self.sort = self.sort.next(),
            Command::Pause => {
                self.paused = !self.paused;
                if !self.paused {
                    self.shown.clone_from(&self.newest);
                }
            }
            Command::Theme => {
                self.theme = self.theme.named(self.theme.name().next());
                self.message = Some(format!("theme {}", self.theme.title()));
            }
            Command::SaveSettings => return Effect::Save,
            Command::Units => self.units = self.units.toggled(),
            Command::Graph => self.look = self.look.next(self.glyphs),
            Command::Collapse => {
                self.fold = self.next_fold();
                self.folds.clear();
            }
            Command::FoldOne => self.fold_selected(true),
            Command::UnfoldOne => self.fold_selected(false),
            Command::Up => self.go(-1),
            Command::Down => self.go(1),
            Command::PageUp => self.go(-self.page()),
            Command::PageDown => self.go(self.page()),
            Command::Home => self.go(isize::MIN),
            Command::End => self.go(isize::MAX),
            // The screen's tabs, columns, averages, peaks and records are made where those panes are.
            Command::NextTab
            | Command::PreviousTab
            | Command::Tab1
            | Command::Tab2
            | Command::Tab3
            | Command::Tab4
            | Command::Tab5
            | Command::StepBack
            | Command::StepForth
            | Command::Columns
            | Command::Cumulative
            | Command::Average
            | Command::Wider
            | Command::Narrower
            | Command::Heat
            | Command::PeaksReset
            | Command::Record => {}
        }
        Effect::None
    }

    /// What the key for collapsing does next: the other extreme, then the next, then by itself again.
    pub(super) fn next_fold(&self) -> Fold {
        match self.fold {
            Fold::Auto if self.collapsed => Fold::None,
            Fold::Auto | Fold::None => Fold::All,
            Fold::All => Fold::Auto,
        }
    }

    fn toggle(&mut self, overlay: Overlay) {
        let same = self
            .overlay
            .as_ref()
            .is_some_and(|now| std::mem::discriminant(now) == std::mem::discriminant(&overlay));
        self.overlay = (!same).then_some(overlay);
    }

    /// The filter first while it is typed, then what is open, then the filter: one thing a press.
    fn escape(&mut self) {
        if self.typing {
            self.typing = false;
            self.filter.clear();
        } else if self.overlay.take().is_none() {
            self.filter.clear();
        }
    }

    fn enter(&mut self) {
        if self.typing {
            self.typing = false;
        } else if self.overlay.is_some() {
            self.overlay = None;
        } else if let Some(row) = self.rows.get(self.selected) {
            match row.kind {
                RowKind::Node { .. } => {}
                _ => self.overlay = Some(Overlay::Detail(row.key.clone(), 0)),
            }
        }
    }

    fn page(&self) -> isize {
        self.plan.map_or(10, |p| isize::try_from(p.list.height.max(2) - 1).unwrap_or(10))
    }

    /// Moves the overlay's text where one is open, else the selection.
    fn go(&mut self, by: isize) {
        if let Some(Overlay::Help(first) | Overlay::Notices(first) | Overlay::Detail(_, first)) =
            &mut self.overlay
        {
            // The panes clamp to their length; this only keeps Home and End from running away.
            *first = first.saturating_add_signed(by).min(10_000);
            return;
        }
        let last = self.rows.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(by).min(last);
        self.selected_key = self.rows.get(self.selected).map(|row| row.key.clone());
    }

    fn fold_selected(&mut self, fold: bool) {
        let groups: Vec<String> = match self.rows.get(self.selected).map(|row| &row.key) {
            Some(RowKey::Group(group) | RowKey::Nic(group, _)) => vec![group.clone()],
            Some(node @ RowKey::Node(..)) => {
                let groups = self.shown.iter().flat_map(|view| &view.groups);
                groups.filter(|g| rows::node_key(g) == *node).map(|g| g.key.clone()).collect()
            }
            None => return,
        };
        self.folds.extend(groups.into_iter().map(|group| (group, fold)));
    }

    fn step_interval(&mut self, by: isize) -> Effect {
        let now = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX);
        let next = if by > 0 {
            INTERVALS_MS.into_iter().find(|&ms| ms > now)
        } else {
            INTERVALS_MS.into_iter().rev().find(|&ms| ms < now)
        };
        match next {
            Some(ms) => {
                self.interval = Duration::from_millis(ms);
                Effect::SetInterval(self.interval)
            }
            None => Effect::None,
        }
    }

    /// Rebuilds rows and areas, and finds the selected row again by its key.
    fn arrange(&mut self) {
        let Some(view) = self.shown.clone() else {
            let wants = self.wants([0; 4]);
            self.plan = layout::plan(self.size.0, self.size.1, wants).map(|p| p.0);
            return;
        };
        self.forget_vanished(&view);
        let build = |folded: &dyn Fn(&str) -> bool| rows::build(&view, self.sort, &self.filter, folded);
        let open = self.selected_group(&view);
        let expanded = build(&|_| false);
        let collapsed = build(&|_| true).len();
        let opened = build(&|key| Some(key) != open.as_deref()).len() - collapsed;
        // Groups folded by hand stay as they are.
        let by_hand = |key: &str, otherwise: bool| self.folds.get(key).copied().unwrap_or(otherwise);
        let rows = build(&|key| by_hand(key, self.fold == Fold::All)).len();
        let wants = self.wants([expanded.len(), rows, collapsed, opened]);
        let planned = layout::plan(self.size.0, self.size.1, wants);
        let room = match self.fold {
            Fold::Auto => planned.map_or(Room::None, |(_, room)| room),
            Fold::All => Room::None,
            Fold::None => Room::All,
        };
        let rows = build(&|key| {
            by_hand(
                key,
                match room {
                    Room::All => false,
                    Room::Selected => Some(key) != open.as_deref(),
                    Room::None => true,
                },
            )
        });
        self.rows = rows;
        self.collapsed = room != Room::All;
        self.plan = planned.map(|p| p.0);
        self.reselect();
        self.scroll();
    }

    /// When what is selected has gone for good, the nearest row that is still there takes its place, else the first
    /// group that lives; a row that is only folded or filtered away keeps the selection.
    fn forget_vanished(&mut self, view: &View) {
        let there = |key: &RowKey| match key {
            RowKey::Group(group) => view.groups.iter().any(|g| g.key == *group),
            RowKey::Nic(group, nic) => {
                view.groups.iter().any(|g| g.key == *group && g.nics.iter().any(|n| n.key == *nic))
            }
            RowKey::Node(..) => view.groups.iter().any(|g| rows::node_key(g) == *key),
        };
        if self.selected_key.as_ref().is_none_or(there) || view.groups.is_empty() {
            return;
        }
        let distance = |(index, _): &(usize, &Row)| index.abs_diff(self.selected);
        let group = |row: &Row| !matches!(row.kind, RowKind::Node { .. }) && there(&row.key);
        let near = self.rows.iter().enumerate().filter(|(_, row)| group(row)).min_by_key(distance);
        self.selected_key = near
            .map(|(_, row)| row.key.clone())
            .or_else(|| first_group(view).map(|group| RowKey::Group(group.key.clone())));
    }

    /// The group that the selection is in; the first group as long as nothing is selected.
    fn selected_group(&self, view: &View) -> Option<String> {
        match &self.selected_key {
            Some(RowKey::Group(group) | RowKey::Nic(group, _)) => Some(group.clone()),
            Some(RowKey::Node(..)) => None,
            None => first_group(view).map(|group| group.key.clone()),
        }
    }

    fn wants(&self, [expanded, rows, collapsed, opened]: [usize; 4]) -> Wants {
        let notices = self.shown.as_ref().is_some_and(|view| !view.notices.is_empty());
        let caption_lines = u16::try_from(self.caption.lines().count()).unwrap_or(2);
        let graph = self.look != Look::Off;
        Wants {
            expanded,
            rows,
            collapsed,
            opened,
            auto: self.fold == Fold::Auto,
            graph,
            notices,
            caption_lines,
        }
    }

    fn reselect(&mut self) {
        let find = |key: &RowKey| self.rows.iter().position(|row| row.key == *key);
        let found = match &self.selected_key {
            // A NIC that was folded away hands the selection to its group.
            Some(key @ RowKey::Nic(group, _)) => find(key).or_else(|| find(&RowKey::Group(group.clone()))),
            Some(key) => find(key),
            None => self.rows.iter().position(|row| matches!(row.kind, RowKind::Group { .. })),
        };
        self.selected = found.unwrap_or(self.selected).min(self.rows.len().saturating_sub(1));
        if self.selected_key.is_none() {
            self.selected_key = self.rows.get(self.selected).map(|row| row.key.clone());
        }
    }

    /// Keeps the selected row, and the heading it stands under where possible, in sight.
    fn scroll(&mut self) {
        let height = usize::from(self.plan.map_or(1, |p| p.list.height)).max(1);
        if self.selected < self.top {
            self.top = self.selected;
        }
        if self.selected >= self.top + height {
            self.top = self.selected + 1 - height;
        }
        self.top = self.top.min(self.rows.len().saturating_sub(height));
        if self.selected == 1 && height > 1 {
            self.top = 0;
        }
    }

    /// The group of a key, in the view on the screen.
    pub(super) fn group(&self, key: &RowKey) -> Option<&GroupView> {
        let (RowKey::Group(group) | RowKey::Nic(group, _)) = key else { return None };
        self.shown.as_ref()?.groups.iter().find(|g| g.key == *group)
    }

    /// The NIC of a key, in the view on the screen.
    pub(super) fn nic(&self, key: &RowKey) -> Option<&NicView> {
        let RowKey::Nic(_, nic) = key else { return None };
        self.group(key)?.nics.iter().find(|n| n.key == *nic)
    }

    /// The size of the window.
    pub(super) fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Time between the view on the screen and the newest, while paused.
    pub(super) fn behind(&self) -> Option<Duration> {
        let (shown, newest) = (self.shown.as_ref()?, self.newest.as_ref()?);
        self.paused.then(|| Duration::from_nanos(newest.mono_ns.saturating_sub(shown.mono_ns)))
    }
}

/// The first group that lives, else the first.
fn first_group(view: &View) -> Option<&GroupView> {
    view.groups.iter().find(|group| !rows::is_dead(group)).or(view.groups.first())
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
