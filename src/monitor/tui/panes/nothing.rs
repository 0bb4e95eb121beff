//! Why there is nothing to show, in a sentence with what can be done about it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::super::format;
use super::super::state::State;
use super::super::tabs::Tab;
use super::super::theme::Token;
use super::cells::Slot;
use crate::monitor::model::view::View;

/// The sentence, when the tab on the screen is empty.
pub(super) fn reason(state: &State, view: &View) -> Option<String> {
    if !state.rows.is_empty() {
        return None;
    }
    let asked = "has been asked for and comes with the next sample.";
    let filtered = !state.filter.is_empty();
    let past = state.replay.is_some() || state.behind().is_some_and(|behind| !behind.is_zero());
    Some(match state.tab {
        Tab::Fleet if filtered => none(state, "node, group or NIC"),
        Tab::Fleet => "No node is watched.".to_owned(),
        Tab::Nics | Tab::Groups if filtered && !view.groups.is_empty() => {
            none(state, "NIC, node, PE, job or policy")
        }
        Tab::Nics | Tab::Groups => {
            view.nothing.clone().unwrap_or_else(|| "There is no NIC to show.".to_owned())
        }
        Tab::Processes => match &view.processes {
            None if past => "Who held queue pairs at this moment is not known: nobody had asked.".to_owned(),
            None => format!("Who holds queue pairs {asked}"),
            Some(all) if filtered && !all.processes.is_empty() => none(state, "process, user or NIC"),
            Some(all) if all.kernel_qps > 0 || all.hidden_qps > 0 || all.reason.is_some() => {
                format!("No process with queue pairs can be seen: {}.", super::processes::summary(all))
            }
            Some(_) => {
                "No process holds a queue pair: nothing uses the RDMA devices of this machine. Counter pages \
                        of software transports are under NICs."
                    .to_owned()
            }
        },
        Tab::Events if filtered && !view.events.is_empty() => none(state, "event"),
        Tab::Events => {
            let since = if state.replay.is_some() {
                "in the recording so far"
            } else {
                "since the screen began to look"
            };
            format!(
                "Nothing has happened {since}: no link went down, no counter was reset, no NIC came or went, nothing \
                 was lost, and no balance has tipped."
            )
        }
        Tab::Gpus => match &view.gpus {
            None if past => "How the GPUs were at this moment is not known: nobody had asked.".to_owned(),
            None => format!("The state of the GPUs {asked}"),
            Some(all) if filtered && !all.gpus.is_empty() => none(state, "GPU"),
            Some(all) => all.nothing.as_ref().map_or_else(
                || "NVML shows no GPU.".to_owned(),
                |why| format!("No GPU can be read: {}.", why.trim_end_matches('.')),
            ),
        },
    })
}

fn none(state: &State, what: &str) -> String {
    format!("No {what} contains {:?}. Esc drops the filter.", state.filter)
}

/// Draws the sentence, wrapped.
pub(super) fn render(state: &State, view: &View, reason: &str, area: Rect, buffer: &mut Buffer) {
    let top = u16::from(area.height > 3);
    let indent = Rect::new(area.x + 2, area.y + top, area.width - 4, area.height - top);
    let mut lines = super::notices::wrap(reason, usize::from(indent.width));
    // A recording is not looked at again.
    if !state.paused && state.replay.is_none() {
        lines.push(String::new());
        lines.push(format!("Looking again every {}.", format::duration(view.interval)));
    }
    for (line, y) in lines.iter().zip(indent.top()..indent.bottom()) {
        let slot = Slot { x: indent.x, y, width: indent.width };
        slot.left(line, state.theme.style(Token::Text), state.glyphs, buffer);
    }
}
