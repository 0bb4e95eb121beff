//! GPUs with their NVLinks: how busy, how full, how hot, and what goes over the links.
//!
//! ```text
//!  GPU  name            busy              memory        C    W     Tx Gb/s     Rx Gb/s  links  nearest NICs
//! ▶0    NVIDIA H100     ████████▎·  83%   54/80 GiB    61  512      1201.3      1198.7  18/18  rdmap79s0 +3
//! ```
//!
//! Below it, the selected GPU link by link.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::super::format::{self, MISSING, Scale};
use super::super::rows::RowKind;
use super::super::state::State;
use super::super::theme::Token;
use super::table::{self, Cell, number, rest, text};
use crate::monitor::model::view::{GpuView, View};

/// One unit for the NVLinks of all GPUs.
pub(super) fn scale(view: &View, state: &State) -> Scale {
    let gpus = view.gpus.iter().flat_map(|all| &all.gpus);
    let top = gpus.flat_map(|gpu| [gpu.tx.bytes_per_s, gpu.rx.bytes_per_s]).flatten().fold(0.0, f64::max);
    Scale::for_top(top, state.units)
}

/// Draws the table.
pub(super) fn render(state: &State, view: &View, titles: Rect, area: Rect, buffer: &mut Buffer) {
    let Some(all) = &view.gpus else { return };
    let scale = scale(view, state);
    let names =
        all.gpus.iter().filter_map(|gpu| gpu.sample.name.as_deref()).map(UnicodeWidthStr::width).max();
    let columns = [
        text("GPU", 4, 0),
        text("name", u16::try_from(names.unwrap_or(4)).unwrap_or(22).clamp(4, 22), 6),
        text("busy", 10, 5),
        number("", 4, 0),
        number("memory", 11, 1),
        number("C", 3, 3),
        number("W", 4, 4),
        number(&format!("Tx {}", scale.label), 7, 1),
        number(&format!("Rx {}", scale.label), 7, 1),
        number("links", 5, 7),
        rest("nearest NICs", 9, 8),
    ];
    let cells = |index: usize| match state.rows[index].kind {
        RowKind::Gpu(gpu) => row(state, view, &scale, &all.gpus[gpu]),
        _ => Vec::new(),
    };
    table::render(state, &columns, [titles, area], cells, buffer);
}

fn row(state: &State, view: &View, scale: &Scale, gpu: &GpuView) -> Vec<Cell> {
    let theme = state.theme;
    let (plain, muted) = (theme.style(Token::Text), theme.style(Token::Muted));
    let sample = &gpu.sample;
    let number = |value: Option<String>| Cell::Text(value.unwrap_or_else(|| MISSING.to_owned()), plain);
    let busy = sample.busy_percent.map_or_else(
        || Cell::Text(String::new(), muted),
        |percent| Cell::Bar(f64::from(percent) / 100.0, plain),
    );
    let up = gpu.nvlinks.iter().filter(|link| link.active).count();
    let links =
        if gpu.nvlinks.is_empty() { MISSING.to_owned() } else { format!("{up}/{}", gpu.nvlinks.len()) };
    let down = up < gpu.nvlinks.len();
    vec![
        Cell::Text(sample.index.to_string(), theme.style(Token::Strong)),
        Cell::Text(sample.name.clone().unwrap_or_else(|| MISSING.to_owned()), plain),
        busy,
        number(sample.busy_percent.map(|percent| format!("{percent}%"))),
        number(memory(gpu)),
        number(sample.celsius.map(|celsius| celsius.to_string())),
        number(sample.milliwatts.map(|milliwatts| (milliwatts / 1000).to_string())),
        Cell::Text(scale.number(gpu.tx.bytes_per_s), theme.style(Token::Tx)),
        Cell::Text(scale.number(gpu.rx.bytes_per_s), theme.style(Token::Rx)),
        Cell::Text(links, theme.style(if down { Token::Warn } else { Token::Text })),
        Cell::Text(nearest(view, gpu), muted),
    ]
}

/// `54.1/80 GiB`.
pub(super) fn memory(gpu: &GpuView) -> Option<String> {
    const GIB: f64 = (1_u64 << 30) as f64;
    let (used, total) = (gpu.sample.memory_used_bytes?, gpu.sample.memory_total_bytes?);
    Some(format!("{:.1}/{:.0} GiB", used as f64 / GIB, total as f64 / GIB))
}

/// The NICs that are nearest to a GPU.
pub(super) fn nearest_nics<'v>(view: &'v View, gpu: &GpuView) -> Vec<&'v str> {
    let pci = gpu.sample.pci.as_deref();
    let nics = view.groups.iter().flat_map(|group| &group.nics);
    let near = nics.filter(|nic| nic.gpus.iter().any(|near| Some(near.as_str()) == pci));
    let mut names: Vec<&str> = near.map(|nic| nic.device.as_str()).collect();
    names.dedup();
    names
}

fn nearest(view: &View, gpu: &GpuView) -> String {
    let names = nearest_nics(view, gpu);
    match names.as_slice() {
        [] => MISSING.to_owned(),
        [one] => (*one).to_owned(),
        [first, others @ ..] => format!("{first} +{}", others.len()),
    }
}

/// Draws the selected GPU link by link.
pub(super) fn lower(state: &State, view: &View, area: Rect, buffer: &mut Buffer) {
    let Some(all) = view.gpus.as_ref().filter(|_| area.height > 1) else { return };
    let row = state.rows.get(state.selected()).map(|row| &row.kind);
    let Some(RowKind::Gpu(index)) = row else { return };
    let gpu = &all.gpus[*index];
    let scale = link_scale(gpu, state);
    let title = if gpu.nvlinks.is_empty() {
        format!("GPU {}: {}", gpu.sample.index, no_links(gpu))
    } else {
        format!("GPU {} NVLinks, {}", gpu.sample.index, scale.label)
    };
    table::packed(state, &title, &links(gpu, &scale), area, buffer);
}

/// One unit for the links of a GPU.
pub(super) fn link_scale(gpu: &GpuView, state: &State) -> Scale {
    let rates = gpu.nvlinks.iter().flat_map(|link| [link.tx.bytes_per_s, link.rx.bytes_per_s]);
    Scale::for_top(rates.flatten().fold(0.0, f64::max), state.units)
}

/// Why there are no links to show.
pub(super) fn no_links(gpu: &GpuView) -> String {
    gpu.sample.reason.clone().unwrap_or_else(|| "no NVLinks".to_owned())
}

/// A line per link.
pub(super) fn links(gpu: &GpuView, scale: &Scale) -> Vec<String> {
    let line = |link: &crate::monitor::model::view::NvLinkView| {
        let sample = gpu.sample.nvlinks.iter().find(|sample| sample.link == link.link);
        let remote = sample
            .and_then(|sample| sample.remote.as_deref())
            .map_or(String::new(), |to| format!(" to {to}"));
        let state = if link.active { "up  " } else { "DOWN" };
        let (tx, rx) = (scale.number(link.tx.bytes_per_s), scale.number(link.rx.bytes_per_s));
        format!("link {:<2} {state} Tx {tx:>6} Rx {rx:>6}{remote}", link.link)
    };
    gpu.nvlinks.iter().map(line).collect()
}

/// Temperature and power in words, for the details.
pub(super) fn health(gpu: &GpuView) -> String {
    let sample = &gpu.sample;
    let or = |value: Option<String>| value.unwrap_or_else(|| MISSING.to_owned());
    format!(
        "busy {}, memory {}, {} C, {} W",
        format::percent(sample.busy_percent.map(|percent| f64::from(percent) / 100.0)),
        or(memory(gpu)),
        or(sample.celsius.map(|celsius| celsius.to_string())),
        or(sample.milliwatts.map(|milliwatts| format!("{:.0}", f64::from(milliwatts) / 1000.0))),
    )
}
