//! What a row's number is: a rate, bytes since the screen began to look, or bytes since the counter began.

use super::super::format::{self, MISSING, Scale};
use super::super::state::{Amount, State};
use super::super::summary::Direction;
use crate::monitor::model::view::{GroupView, NicView, View};

/// Bytes that a NIC moved in one direction, since whatever is asked for.
pub(super) fn of_nic(
    state: &State,
    view: &View,
    group: &GroupView,
    nic: &NicView,
    direction: Direction,
) -> Option<u64> {
    if state.amount == Amount::SinceStart {
        let both = state.history.since_start(view, &group.key, nic);
        return both[direction as usize];
    }
    direction.flow(nic).bytes
}

/// The same of several groups: the sum over what is known.
pub(super) fn of_groups<'g>(
    state: &State,
    view: &View,
    groups: impl Iterator<Item = &'g GroupView>,
    direction: Direction,
) -> Option<u64> {
    groups
        .flat_map(|group| group.nics.iter().filter_map(move |nic| of_nic(state, view, group, nic, direction)))
        .fold(None, |sum: Option<u64>, bytes| Some(sum.unwrap_or(0).saturating_add(bytes)))
}

/// The text of a number column: the rate, or the bytes that `bytes` finds.
pub(super) fn text(
    state: &State,
    scale: &Scale,
    rate: Option<f64>,
    bytes: impl Fn() -> Option<u64>,
) -> String {
    match state.amount {
        Amount::Rate => scale.number(rate),
        Amount::SinceStart | Amount::SinceCounter => total(bytes()),
    }
}

/// Bytes in the width of a rate: `1.23T`.
pub(super) fn total(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| MISSING.to_owned(), |bytes| format::bytes(bytes).replace([' ', 'B'], ""))
}

/// The title of the column.
pub(super) fn title(state: &State, scale: &Scale) -> &'static str {
    match state.amount {
        Amount::Rate => scale.label,
        Amount::SinceStart => "B here",
        Amount::SinceCounter => "bytes",
    }
}
