//! The fleet once, for scripts: a line or an object per group, the worst first.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;

use crate::balance::Verdict;
use crate::cli::columns::Columns;
use crate::cli::exit::{self, ExitError};
use crate::cli::interrupt::Interrupt;
use crate::cli::source::TextOrJson;
use crate::monitor::fleet::{Config, Fleet};
use crate::monitor::model::remote::{self, Entry, RemoteState, RemoteView};
use crate::monitor::model::view::{GroupFlow, GroupView, NicView, View};
use crate::units::format_bit_rate;

/// How long is waited for nodes, beside the two intervals that rates take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often signals are looked at meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// Asks until every node has rates or is known to have none, and writes that.
pub(super) fn run(config: Config, format: TextOrJson) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::install().context("cannot listen for signals")?;
    let deadline = Instant::now() + config.interval * 2 + PATIENCE;
    let mut fleet = Fleet::start(config).context("cannot start the thread that asks the nodes")?;
    let (news, came) = mpsc::channel();
    fleet.subscribe(move || {
        // Nobody waits only at the end.
        let _ended = news.send(());
    });
    let mut view: Option<Arc<View>> = None;
    loop {
        if let Some(newest) = fleet.latest() {
            let done = is_done(&newest);
            view = Some(newest);
            if done {
                break;
            }
        }
        if Instant::now() >= deadline {
            break;
        }
        if interrupt.wait_until(Instant::now())? {
            return Ok(ExitCode::SUCCESS);
        }
        anyhow::ensure!(
            fleet.is_alive(),
            "the thread that asks the nodes has panicked (message above); please report it"
        );
        let _news = came.recv_timeout(LOOK);
    }
    let Some(view) = view else { return Err(ExitError::Nothing("no node was asked".to_owned()).into()) };
    write(&mut io::stdout().lock(), &view, format).map_err(exit::output_error)?;
    let nodes = view.fleet.as_deref().unwrap_or_default();
    if nodes.iter().all(|node| node.groups.is_empty()) {
        let none = nodes.iter().all(|node| node.state != RemoteState::Live);
        let why = if none { "none of the nodes has answered" } else { "none of the nodes has numbers" };
        return Err(ExitError::Nothing(why.to_owned()).into());
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether waiting longer would tell no more.
fn is_done(view: &View) -> bool {
    let nodes = view.fleet.as_deref().unwrap_or_default();
    let has_rate = |nic: &NicView| nic.tx.bytes_per_s.is_some() || nic.rx.bytes_per_s.is_some();
    let has_rates = |group: &GroupView| group.nics.iter().any(has_rate);
    nodes.iter().all(|node| {
        let groups = view.groups.get(node.groups.clone()).unwrap_or_default();
        // Three reads without a rate: there is none to be had. Answers do not count, since an exporter gives the same read to
        // all who ask within a second; the deadline bounds the wait for another.
        let live = groups.iter().all(has_rates) || node.reads >= 3;
        node.state.is_trouble() || (node.state == RemoteState::Live && live)
    })
}

/// A group, or a node without one. Units are in the names, and what is missing is absent.
#[derive(Debug, Serialize)]
struct Row<'a> {
    node: &'a str,
    place: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx: Option<Way>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rx: Option<Way>,
    #[serde(skip_serializing_if = "Option::is_none")]
    what: Option<String>,
    #[serde(skip)]
    active_nics: Option<usize>,
    nics: Vec<Nic<'a>>,
}

/// One direction of a group. As long as a NIC is not read there is no sum and no number of those that carry traffic: a part
/// says nothing of the whole. Balance is judged as on the screen, where enough moves for it.
#[derive(Debug, Serialize)]
struct Way {
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_over_mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_nics: Option<usize>,
    unread_nics: usize,
    nics: usize,
    verdict: Verdict,
}

impl Way {
    fn of(flow: &GroupFlow) -> Self {
        let whole = flow.bytes_per_s.filter(|_| flow.unread == 0);
        let verdict = match (remote::is_busy(flow), whole) {
            (true, _) => flow.spread.verdict,
            (false, Some(_)) => Verdict::Idle,
            (false, None) => Verdict::Unknown,
        };
        Self {
            bytes_per_s: whole,
            max_over_mean: flow.spread.max_over_mean.filter(|_| remote::is_busy(flow)),
            active_nics: whole.map(|_| flow.spread.active_nics),
            unread_nics: flow.unread,
            nics: flow.spread.nics,
            verdict,
        }
    }
}

/// One NIC of a group.
#[derive(Debug, Serialize)]
struct Nic<'a> {
    dev: &'a str,
    port: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx_bytes_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rx_bytes_per_s: Option<f64>,
}

fn write(out: &mut impl Write, view: &View, format: TextOrJson) -> io::Result<()> {
    let nodes = view.fleet.as_deref().unwrap_or_default();
    let mut entries: Vec<_> = remote::entries(view).collect();
    entries.sort_by_key(|(badness, _)| *badness);
    let rows: Vec<Row<'_>> = entries
        .iter()
        .map(|(_, entry)| match *entry {
            Entry::Node(node) => of_node(&nodes[node]),
            Entry::Group(node, group) => of_group(&nodes[node], &view.groups[group]),
        })
        .collect();
    match format {
        TextOrJson::Json => {
            serde_json::to_writer_pretty(&mut *out, &serde_json::json!({ "rows": rows }))?;
            out.write_all(b"\n")
        }
        TextOrJson::Text => text(out, &rows),
    }
}

fn of_node(node: &RemoteView) -> Row<'_> {
    let asked = node.state == RemoteState::Asked;
    Row {
        node: &node.name,
        place: &node.place,
        state: node.state.word(),
        age_s: node.age.map(|age| age.as_secs_f64()),
        reason: node.reason.as_deref().or_else(|| asked.then_some("it has not answered so far")),
        group: None,
        job: None,
        tx: None,
        rx: None,
        what: None,
        active_nics: None,
        nics: Vec::new(),
    }
}

fn of_group<'a>(node: &'a RemoteView, group: &'a GroupView) -> Row<'a> {
    let nic = |nic: &'a NicView| Nic {
        dev: &nic.device,
        port: nic.port,
        state: nic.state.as_deref(),
        tx_bytes_per_s: nic.tx.bytes_per_s,
        rx_bytes_per_s: nic.rx.bytes_per_s,
    };
    Row {
        group: Some(remote::group_name(node, group)),
        job: group.job.as_deref(),
        tx: Some(Way::of(&group.tx)),
        rx: Some(Way::of(&group.rx)),
        what: Some(remote::words(group)),
        active_nics: remote::active_nics(group),
        nics: group.nics.iter().map(nic).collect(),
        ..of_node(node)
    }
}

fn text(out: &mut impl Write, rows: &[Row<'_>]) -> io::Result<()> {
    let mut columns = Columns::new(&["NODE", "GROUP", "NICS", "TX", "TX M/M", "RX", "RX M/M", "WHAT"]);
    for row in rows {
        let rate = |way: &Option<Way>| {
            way.as_ref()
                .and_then(|way| way.bytes_per_s)
                .map(|rate| format_bit_rate(rate * 8.0))
                .unwrap_or_default()
        };
        let ratio = |way: &Option<Way>| {
            way.as_ref()
                .and_then(|way| way.max_over_mean)
                .map(|ratio| format!("{ratio:.2}"))
                .unwrap_or_default()
        };
        let active = row.active_nics.map_or_else(|| "-".to_owned(), |active| active.to_string());
        let nics = if row.nics.is_empty() { String::new() } else { format!("{active}/{}", row.nics.len()) };
        let what = match (&row.what, row.reason) {
            (Some(what), _) => what.clone(),
            (None, Some(reason)) if row.state == RemoteState::Live.word() => reason.to_owned(),
            (None, Some(reason)) => format!("{}: {reason}", row.state),
            (None, None) => row.state.to_owned(),
        };
        let group = row.group.clone().unwrap_or_default();
        columns.row(vec![
            row.node.to_owned(),
            group,
            nics,
            rate(&row.tx),
            ratio(&row.tx),
            rate(&row.rx),
            ratio(&row.rx),
            what,
        ]);
    }
    columns.write(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Spread;

    #[test]
    fn missing_is_not_zero_and_a_part_is_no_sum() {
        let flow = |known: &[f64], unread| GroupFlow {
            bytes_per_s: (!known.is_empty()).then(|| known.iter().sum()),
            unread,
            spread: Spread::of_known(known, unread, 1.25),
            distribution: None,
            window_max_over_mean: None,
        };
        let json = |flow: &GroupFlow| serde_json::to_value(Way::of(flow)).unwrap();
        let none = serde_json::json!({ "unread_nics": 2, "nics": 2, "verdict": "unknown" });
        assert_eq!(json(&flow(&[], 2)), none);
        let part = serde_json::json!({ "unread_nics": 1, "nics": 2, "verdict": "unknown" });
        assert_eq!(json(&flow(&[4e9], 1)), part);
        let whisper = serde_json::json!({
            "bytes_per_s": 9000.0, "active_nics": 1, "unread_nics": 0, "nics": 2, "verdict": "idle"
        });
        assert_eq!(json(&flow(&[9000.0, 0.0], 0)), whisper);
        let single = serde_json::json!({
            "bytes_per_s": 4e9, "max_over_mean": 2.0, "active_nics": 1, "unread_nics": 0, "nics": 2,
            "verdict": "single-nic"
        });
        assert_eq!(json(&flow(&[4e9, 0.0], 0)), single);
    }
}
