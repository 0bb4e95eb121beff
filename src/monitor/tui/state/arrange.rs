//! What follows from every action: the moment, the rows, the areas, and the selected row's place.

use std::sync::Arc;

use super::super::layout::{self, Room, Wants};
use super::super::tab_rows;
use super::super::tabs::Tab;
use super::super::widgets::graph::Look;
use super::super::{rows, rows::Row};
use super::{Fold, State};
use crate::monitor::model::view::View;

impl State {
    /// Rebuilds what depends on anything else.
    pub(super) fn arrange(&mut self) {
        self.find_moment();
        let Some(view) = self.shown.clone() else {
            let wants = self.wants([0; 4]);
            self.plan = layout::plan(self.size.0, self.size.1, wants).map(|p| p.0);
            return;
        };
        self.forget_vanished(&view);
        match self.tab {
            Tab::Nics => self.arrange_list(&view),
            Tab::Groups => self.arrange_table(tab_rows::groups(&view, self.sort(), &self.filter)),
            Tab::Fleet => self.arrange_table(tab_rows::fleet(&view, self.sort(), &self.filter)),
            Tab::Processes => self.arrange_table(tab_rows::processes(&view, self.sort(), &self.filter)),
            Tab::Events => self.arrange_table(tab_rows::events(&view, self.sort(), &self.filter)),
            Tab::Gpus => self.arrange_table(tab_rows::gpus(&view, self.sort(), &self.filter)),
        }
        self.reselect();
        self.scroll();
    }

    fn arrange_table(&mut self, rows: Vec<Row>) {
        let wants = self.wants([rows.len(); 4]);
        self.plan = layout::plan(self.size.0, self.size.1, wants).map(|p| p.0);
        self.rows = rows;
    }

    /// The list folds its groups as far as it takes for all to fit. A group that is alone stays open and is scrolled: folded it
    /// would be one line over an empty list.
    fn arrange_list(&mut self, view: &Arc<View>) {
        let sort = self.sort();
        let auto = self.fold == Fold::Auto && view.groups.len() > 1;
        let build = |folded: &dyn Fn(&str) -> bool| rows::build(view, sort, &self.filter, folded);
        let open = self.selected_group(view);
        let expanded = build(&|_| false);
        let collapsed = build(&|_| true).len();
        let opened = build(&|key| Some(key) != open.as_deref()).len() - collapsed;
        // Groups folded by hand stay as they are.
        let by_hand = |key: &str, otherwise: bool| self.folds.get(key).copied().unwrap_or(otherwise);
        let rows = build(&|key| by_hand(key, self.fold == Fold::All)).len();
        let wants = Wants { auto, ..self.wants([expanded.len(), rows, collapsed, opened]) };
        let planned = layout::plan(self.size.0, self.size.1, wants);
        let room = match self.fold {
            Fold::Auto if auto => planned.map_or(Room::None, |(_, room)| room),
            Fold::All => Room::None,
            Fold::Auto | Fold::None => Room::All,
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
    }

    fn wants(&self, [expanded, rows, collapsed, opened]: [usize; 4]) -> Wants {
        let notices = self.shown.as_ref().is_some_and(|view| !view.notices.is_empty());
        let caption_lines = u16::try_from(self.caption.lines().count()).unwrap_or(2);
        let lower = match self.tab {
            Tab::Nics => self.look != Look::Off || self.heat,
            Tab::Events => false,
            // In a low window every line is a node's.
            Tab::Fleet => self.look != Look::Off && self.size.1 >= 36,
            Tab::Groups | Tab::Processes | Tab::Gpus => true,
        };
        Wants {
            expanded,
            rows,
            collapsed,
            opened,
            auto: self.fold == Fold::Auto,
            graph: lower,
            notices,
            caption_lines,
        }
    }
}
