//! A process, a GPU, an event: what their tabs have no room for.

use ratatui::text::Line;

use super::super::super::format::{self, MISSING, Scale};
use super::super::super::rows::RowKey;
use super::super::super::state::State;
use super::super::super::theme::Token;
use super::super::{events, gpus, processes};
use super::facts::Facts;
use crate::monitor::model::remote::RemoteView;
use crate::monitor::model::view::{GpuView, ProcessView, View};
use crate::text::plural;

/// Title and text; `None` when it is not there any more.
pub(super) fn lines(state: &State, key: &RowKey, width: usize) -> Option<(String, Vec<Line<'static>>)> {
    let view = state.shown.as_ref()?;
    match key {
        RowKey::Process(pid) => {
            let all = &view.processes.as_ref()?.processes;
            let found = all.iter().find(|process| process.sample.pid == *pid)?;
            Some((format!("process {pid}"), process(state, view, found, width)))
        }
        RowKey::Gpu(index) => {
            let found = view.gpus.as_ref()?.gpus.iter().find(|gpu| gpu.sample.index == *index)?;
            Some((format!("GPU {index}"), gpu(state, view, found, width)))
        }
        RowKey::Event(mono_ns, text) => {
            let same = |event: &&crate::monitor::model::view::Event| {
                event.mono_ns == *mono_ns && *text == format!("{}\n{}", event.subject, event.text)
            };
            let event = view.events.iter().find(same)?;
            let mut lines = Facts::new(state, width);
            let (glyph, token) = events::severity(event.severity, state.glyphs);
            lines.add_as("what", &format!("{glyph} {}", events::word(event.kind)), token);
            lines.add("subject", &event.subject);
            lines.add("when", &format::time_of_day(event.realtime_ns));
            let ago = view.mono_ns.saturating_sub(event.mono_ns);
            lines.add("", &format!("{} ago", format::duration(std::time::Duration::from_nanos(ago))));
            lines.gap();
            lines.add("text", &event.text);
            Some(("event".to_owned(), lines.lines))
        }
        RowKey::Remote(name) => {
            let found = view.fleet.as_ref()?.iter().find(|node| node.name == *name)?;
            Some((format!("node {name}"), remote(state, found, width)))
        }
        _ => None,
    }
}

/// A node that is watched from afar.
fn remote(state: &State, node: &RemoteView, width: usize) -> Vec<Line<'static>> {
    let mut lines = Facts::new(state, width);
    let token = if node.is_trouble() { Token::Bad } else { Token::Text };
    lines.add("asked at", &node.place);
    lines.add_as("state", node.state.word(), token);
    if let Some(reason) = &node.reason {
        lines.add_as("why", reason, token);
    }
    let ago = |age| format!("{} ago", format::duration(age));
    lines.add("numbers", &node.age.map_or_else(|| "never".to_owned(), ago));
    let [answers, failures] = node.counts;
    lines.add(
        "so far",
        &format!("{}, {} without one", plural(answers, "answer"), plural(failures, "question")),
    );
    lines.lines
}

fn process(state: &State, view: &View, process: &ProcessView, width: usize) -> Vec<Line<'static>> {
    let sample = &process.sample;
    let mut lines = Facts::new(state, width);
    lines.add("command", &sample.command);
    let or = |text: Option<String>| text.unwrap_or_else(|| MISSING.to_owned());
    let uid = sample.uid.map(|uid| uid.to_string());
    lines.add("user", &format!("{}, number {}", or(sample.user.clone()), or(uid)));
    let memory = sample.resident_bytes.map(crate::units::format_size);
    lines.add(
        "uses",
        &format!("{} of memory, {} threads", or(memory), or(sample.threads.map(|n| n.to_string()))),
    );
    lines.add("queue pairs", &processes::nics(process));
    if process.traffic.is_empty() {
        lines.add_as(
            "bytes",
            "not known: the kernel counts bytes per NIC, not per process; only a process with a counter page tells",
            Token::Muted,
        );
    }
    lines.gap();
    let scale = Scale::of(view, state.units);
    lines.head(&format!("NIC, queue pairs, {} and bytes since its counters began", scale.label));
    for line in processes::per_nic(process, &scale) {
        lines.plain(&line);
    }
    lines.lines
}

fn gpu(state: &State, view: &View, gpu: &GpuView, width: usize) -> Vec<Line<'static>> {
    let sample = &gpu.sample;
    let mut lines = Facts::new(state, width);
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| MISSING.to_owned());
    lines.add("name", &or(&sample.name));
    lines.add("PCI", &or(&sample.pci));
    lines.add("state", &gpus::health(gpu));
    let near = gpus::nearest_nics(view, gpu);
    lines.add("NICs", &if near.is_empty() { "none known to be near".to_owned() } else { near.join(", ") });
    if let Some(reason) = &sample.reason {
        lines.add_as("missing", reason, Token::Warn);
    }
    lines.gap();
    let scale = gpus::link_scale(gpu, state);
    lines.head(&format!("NVLinks, {}", scale.label));
    let nvlinks = gpus::links(gpu, &scale);
    if nvlinks.is_empty() {
        lines.plain(&gpus::no_links(gpu));
    }
    for link in nvlinks {
        lines.plain(&link);
    }
    lines.lines
}
