//! Pieces that know numbers and cells, and nothing of the monitor.

pub(super) mod bar;
pub(super) mod cells;
pub(super) mod graph;
pub(super) mod overlay;
pub(super) mod strip;
