//! The state of the screen and what every action does to it. Pure: no terminal, no clock, no source.

mod arrange;
mod prompt;
mod select;
mod time;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::actions::{Action, Command};
use super::columns::{Chosen, Column};
use super::format::Units;
use super::glyphs::Glyphs;
use super::history::History;
use super::keymap::Keymap;
use super::layout::Plan;
use super::preferences::Preferences;
use super::replay;
use super::rows::{Row, RowKey, Sort};
use super::tabs::{PerTab, Tab};
use super::theme::Theme;
use super::widgets::graph::Look;
use crate::balance::DEFAULT_MAX_OVER_MEAN;
use crate::monitor::model::view::{GroupView, NicView, Severity, View};
use crate::monitor::record::Status;
use crate::monitor::replay::{ReplayCommand, ReplayStatus};
use crate::monitor::sample::Needs;

pub(super) use self::prompt::Prompt;
pub(super) use self::select::Selection;

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
    /// Begin a recording, or end it.
    Record,
    /// Go elsewhere in the recording that is shown, or at another speed.
    Replay(ReplayCommand),
}

/// What lies over the tab. The number is the first line shown, or the line the cursor is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Overlay {
    Help(usize),
    Notices(usize),
    Columns(usize),
    Detail(RowKey, usize),
}

impl Overlay {
    /// Where it stands.
    pub(super) fn position(&mut self) -> &mut usize {
        match self {
            Self::Help(at) | Self::Notices(at) | Self::Columns(at) | Self::Detail(_, at) => at,
        }
    }
}

/// Whether groups show their NICs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    /// All as long as all fit, else the selected group's, else none.
    Auto,
    All,
    None,
}

/// What the numbers of the list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Amount {
    /// Per second.
    #[default]
    Rate,
    /// Bytes since the screen began to look.
    SinceStart,
    /// Bytes since the counter began.
    SinceCounter,
}

impl Amount {
    fn next(self) -> Self {
        match self {
            Self::Rate => Self::SinceStart,
            Self::SinceStart => Self::SinceCounter,
            Self::SinceCounter => Self::Rate,
        }
    }
}

/// The intervals that keys step through.
const INTERVALS_MS: [u64; 7] = [100, 200, 500, 1000, 2000, 5000, 10_000];
/// How far a key goes through time that is not for single samples.
const MINUTE: Duration = Duration::from_secs(60);
/// The windows of the rolling average that keys step through, in seconds.
const WINDOWS_S: [u64; 8] = [1, 2, 5, 10, 30, 60, 120, 300];

/// Everything the panes draw from.
#[expect(clippy::struct_excessive_bools, reason = "independent switches, each with its key")]
pub(super) struct State {
    pub(super) theme: Theme,
    pub(super) glyphs: Glyphs,
    pub(super) keymap: Keymap,
    pub(super) units: Units,
    pub(super) look: Look,
    /// Whether short windows are shown instead of the graph.
    pub(super) heat: bool,
    pub(super) amount: Amount,
    /// Columns of the list that are wanted.
    pub(super) columns: Chosen,
    pub(super) interval: Duration,
    /// Whether rates are averaged over [`window`](Self::window).
    pub(super) averages: bool,
    pub(super) window: Duration,
    pub(super) tab: Tab,
    /// Whether nodes are watched from afar.
    pub(super) fleet: bool,
    sorts: PerTab<Sort>,
    pub(super) filter: String,
    pub(super) prompt: Option<Prompt>,
    pub(super) paused: bool,
    pub(super) overlay: Option<Overlay>,
    pub(super) caption: String,
    /// What the last key led to, until the next one.
    pub(super) message: Option<String>,
    /// How the recording is that is being made.
    pub(super) recording: Option<Status>,
    /// Where the recording stands, if what is shown is one.
    pub(super) replay: Option<ReplayStatus>,
    /// For how long no data came, when that is too long.
    pub(super) silent: Option<Duration>,
    pub(super) history: History,
    /// The view on the screen: the newest, or an older one while paused; with averages in place of rates if wanted.
    pub(super) shown: Option<Arc<View>>,
    newest: Option<Arc<View>>,
    /// The moment on the screen, before anything is averaged.
    moment: Option<Arc<View>>,
    /// When the moment on the screen was, while paused.
    at: u64,
    pub(super) rows: Vec<Row>,
    /// Where the person is in each tab.
    selections: PerTab<Selection>,
    /// When the newest event was that the person has had on the screen.
    events_seen: u64,
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
            heat: false,
            amount: Amount::default(),
            columns: Chosen::default(),
            interval,
            averages: false,
            window: Duration::from_secs(5),
            tab: Tab::default(),
            fleet: false,
            sorts: PerTab::from(|tab| tab.sorts()[0]),
            filter: String::new(),
            prompt: None,
            paused: false,
            overlay: None,
            caption: String::new(),
            message: None,
            recording: None,
            replay: None,
            silent: None,
            history: History::default(),
            shown: None,
            newest: None,
            moment: None,
            at: 0,
            rows: Vec::new(),
            selections: PerTab::default(),
            events_seen: 0,
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
        (self.sorts[Tab::Nics], self.sorts[Tab::Groups]) = (*sort, *sort);
        self.filter.clone_from(filter);
        self.columns = columns.as_deref().map_or_else(Chosen::default, Chosen::named);
        self.averages = average.is_some();
        self.window = average.unwrap_or(self.window);
    }

    /// Shows a fleet from now on, and not this machine.
    pub(super) fn show_fleet(&mut self) {
        (self.fleet, self.tab) = (true, Tab::Fleet);
    }

    /// What is preferred now, for whoever writes it down.
    pub(super) fn preferences(&self) -> Preferences {
        Preferences {
            interval: self.interval,
            units: self.units,
            theme: self.theme.name(),
            sort: self.sorts[Tab::Nics],
            filter: self.filter.clone(),
            columns: (self.columns != Chosen::default()).then(|| self.columns.names()),
            average: self.averages.then_some(self.window),
        }
    }

    /// The one way the state changes.
    pub(super) fn update(&mut self, action: Action) -> Effect {
        let effect = match action {
            Action::View(view) => {
                self.take(view);
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
            Action::Recording(status) => {
                self.recording = status;
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
                self.type_into_prompt(c);
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
        if let Some(asked) = self.steered(command) {
            return Effect::Replay(asked);
        }
        match command {
            Command::Quit => return Effect::Quit,
            Command::Suspend => return Effect::Suspend,
            Command::Redraw => return Effect::Redraw,
            Command::Slower => return self.step_interval(1),
            Command::Faster => return self.step_interval(-1),
            Command::Help => self.toggle(Overlay::Help(0)),
            Command::Notices => self.toggle(Overlay::Notices(0)),
            Command::Columns => self.toggle(Overlay::Columns(0)),
            Command::Filter => self.ask(Prompt::Filter),
            Command::Erase => self.erase(),
            Command::Escape => self.escape(),
            Command::Enter => self.enter(),
            Command::Pause => self.pause_or_choose(),
            Command::StepBack => self.step_time(-1),
            Command::StepForth => self.step_time(1),
            Command::MinuteBack => self.go_back(MINUTE),
            Command::MinuteForth => self.go_forth(MINUTE),
            Command::Average => self.averages = !self.averages,
            Command::Wider => self.step_window(1),
            Command::Narrower => self.step_window(-1),
            Command::AverageWindow => self.ask(Prompt::Window(String::new())),
            Command::Sort => self.sorts[self.tab] = self.tab.next_sort(self.sorts[self.tab]),
            Command::Units => self.units = self.units.toggled(),
            Command::Cumulative => self.amount = self.amount.next(),
            Command::PeaksReset => self.history.forget_peaks(),
            Command::Graph => self.look = self.look.next(self.glyphs),
            Command::Heat => self.heat = !self.heat,
            Command::Collapse => {
                self.fold = self.next_fold();
                self.folds.clear();
            }
            // Left and right go through time while it stands still.
            Command::FoldOne if self.paused => self.step_time(-1),
            Command::UnfoldOne if self.paused => self.step_time(1),
            Command::FoldOne => self.fold_selected(true),
            Command::UnfoldOne => self.fold_selected(false),
            Command::NextTab => self.show(self.tab.next(1, self.fleet)),
            Command::PreviousTab => self.show(self.tab.next(-1, self.fleet)),
            Command::Tab0 => self.show(Tab::Fleet),
            Command::Tab1 => self.show(Tab::Nics),
            Command::Tab2 => self.show(Tab::Groups),
            Command::Tab3 => self.show(Tab::Processes),
            Command::Tab4 => self.show(Tab::Events),
            Command::Tab5 => self.show(Tab::Gpus),
            Command::Up => self.go(-1),
            Command::Down => self.go(1),
            Command::PageUp => self.go(-self.page()),
            Command::PageDown => self.go(self.page()),
            Command::Home => self.go(isize::MIN),
            Command::End => self.go(isize::MAX),
            Command::Theme => {
                self.theme = self.theme.named(self.theme.name().next());
                self.message = Some(format!("theme {}", self.theme.title()));
            }
            Command::SaveSettings => return Effect::Save,
            Command::Record => return Effect::Record,
        }
        Effect::None
    }

    /// What a command asks of the recording that is shown. In the column picker the key for pausing chooses.
    fn steered(&self, command: Command) -> Option<ReplayCommand> {
        let chooses = command == Command::Pause && matches!(self.overlay, Some(Overlay::Columns(_)));
        let steers = self.replay.is_some() && self.prompt.is_none() && !chooses;
        steers.then(|| replay::asked(command, self.overlay.is_some())).flatten()
    }

    /// What the screen shows, so that nothing else is read.
    pub(super) fn needs(&self) -> Needs {
        let detail =
            |of: fn(&RowKey) -> bool| matches!(&self.overlay, Some(Overlay::Detail(key, _)) if of(key));
        Needs {
            packets: self.columns.has(Column::Packets) && self.tab == Tab::Nics,
            all_counters: detail(|key| matches!(key, RowKey::Nic(..))),
            processes: self.tab == Tab::Processes,
            gpus: self.tab == Tab::Gpus,
            windows: self.heat && matches!(self.tab, Tab::Nics | Tab::Groups)
                || self.tab == Tab::Groups
                || detail(|key| matches!(key, RowKey::Group(_))),
        }
    }

    /// Busiest NIC over mean, up to which a group counts as balanced.
    pub(super) fn max_over_mean(&self) -> f64 {
        self.shown.as_ref().map_or(DEFAULT_MAX_OVER_MEAN, |view| view.max_over_mean)
    }

    /// The order of the rows of the tab on the screen.
    pub(super) fn sort(&self) -> Sort {
        self.sorts[self.tab]
    }

    fn show(&mut self, tab: Tab) {
        if !Tab::all(self.fleet).contains(&tab) {
            let why = match tab {
                Tab::Fleet => "only `railtop top --remote` shows other nodes".to_owned(),
                tab => format!("{}: not told by other nodes; `railtop` there shows them", tab.word(false)),
            };
            self.message = Some(why);
            return;
        }
        self.tab = tab;
        self.overlay = None;
        self.prompt = None;
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

    /// The prompt first, then what is open, then the filter: one thing a press.
    fn escape(&mut self) {
        if let Some(prompt) = self.prompt.take() {
            if matches!(prompt, Prompt::Filter) {
                self.filter.clear();
            }
        } else if self.overlay.take().is_none() {
            self.filter.clear();
        }
    }

    fn enter(&mut self) {
        if self.prompt.is_some() {
            self.answer();
        } else if self.overlay.is_some() {
            self.overlay = None;
        } else if let Some(row) = self.rows.get(self.selected()) {
            self.overlay = match &row.key {
                RowKey::Node(..) => None,
                RowKey::Way(group, _) => Some(Overlay::Detail(RowKey::Group(group.clone()), 0)),
                key => Some(Overlay::Detail(key.clone(), 0)),
            };
        }
    }

    /// In the column picker the key for pausing, which space is, chooses.
    fn pause_or_choose(&mut self) {
        if let Some(Overlay::Columns(at)) = self.overlay {
            if let Some(&column) = Column::ALL.get(at) {
                self.columns.toggle(column);
            }
        } else {
            self.pause();
        }
    }

    fn fold_selected(&mut self, fold: bool) {
        let groups: Vec<String> = match self.rows.get(self.selected()).map(|row| &row.key) {
            Some(RowKey::Group(group) | RowKey::Nic(group, _)) => vec![group.clone()],
            Some(node @ RowKey::Node(..)) => {
                let groups = self.shown.iter().flat_map(|view| &view.groups);
                groups.filter(|g| super::rows::node_key(g) == *node).map(|g| g.key.clone()).collect()
            }
            _ => return,
        };
        self.folds.extend(groups.into_iter().map(|group| (group, fold)));
    }

    fn step_interval(&mut self, by: isize) -> Effect {
        let now = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX);
        match step(&INTERVALS_MS, now, by) {
            Some(ms) => {
                self.interval = Duration::from_millis(ms);
                Effect::SetInterval(self.interval)
            }
            None => Effect::None,
        }
    }

    /// The group of a key, in the view on the screen.
    pub(super) fn group(&self, key: &RowKey) -> Option<&GroupView> {
        let (RowKey::Group(group) | RowKey::Nic(group, _) | RowKey::Way(group, _)) = key else { return None };
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

    /// How many events of each severity that is no mere information came since the person last had them on the screen;
    /// the worst first.
    pub(super) fn news(&self) -> impl Iterator<Item = (Severity, usize)> {
        let events = self.newest.iter().flat_map(|view| view.events.iter());
        let new = events.filter(|event| event.mono_ns > self.events_seen);
        let of = |severity| (severity, new.clone().filter(|event| event.severity == severity).count());
        [Severity::Bad, Severity::Warning].map(of).into_iter()
    }
}

/// The next of `steps`, which ascend, above `now`, or below it.
fn step(steps: &[u64], now: u64, by: isize) -> Option<u64> {
    if by > 0 {
        steps.iter().copied().find(|&step| step > now)
    } else {
        steps.iter().rev().copied().find(|&step| step < now)
    }
}

#[cfg(test)]
mod tests;
