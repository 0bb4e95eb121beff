//! JSON lines: a header object, then one object per record. Numbers are numbers, up to 2^64.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{Header, Record, timestamp};
use crate::monitor::model::view::{Event, ProcessView, View};

/// Version of this format; raised when a key changes its meaning. New keys may come at any time.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct HeaderLine<'a> {
    r#type: &'static str,
    schema: u32,
    tool: &'static str,
    version: &'a str,
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot_id: Option<&'a str>,
    interval_ms: u64,
    started: String,
}

pub(super) fn begin(out: &mut impl Write, header: &Header) -> io::Result<()> {
    let line = HeaderLine {
        r#type: "header",
        schema: SCHEMA,
        tool: "railtop",
        version: &header.version,
        host: &header.host,
        boot_id: header.boot_id.as_deref(),
        interval_ms: header.interval_ms,
        started: timestamp(header.started_ns),
    };
    line_of(out, &line)
}

pub(super) fn record(out: &mut impl Write, record: &Record<'_>) -> io::Result<()> {
    line_of(out, record)
}

/// Something that happened. Only where events are asked for.
#[derive(Serialize)]
struct EventLine<'a> {
    r#type: &'static str,
    ts: String,
    mono_ns: u64,
    kind: &'static str,
    severity: &'static str,
    subject: &'a str,
    text: &'a str,
}

pub(super) fn event(out: &mut impl Write, event: &Event) -> io::Result<()> {
    let line = EventLine {
        r#type: "event",
        ts: timestamp(event.realtime_ns),
        mono_ns: event.mono_ns,
        kind: event.kind.name(),
        severity: event.severity.name(),
        subject: &event.subject,
        text: &event.text,
    };
    line_of(out, &line)
}

/// A process that holds queue pairs.
#[derive(Serialize)]
struct ProcessLine<'a> {
    r#type: &'static str,
    ts: String,
    host: &'a str,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    command: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resident_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<u32>,
    qps: &'a BTreeMap<String, u32>,
}

pub(super) fn process(out: &mut impl Write, view: &View, process: &ProcessView) -> io::Result<()> {
    let sample = &process.sample;
    let line = ProcessLine {
        r#type: "process",
        ts: timestamp(view.realtime_ns),
        host: &view.host,
        pid: sample.pid,
        user: sample.user.as_deref(),
        uid: sample.uid,
        command: &sample.command,
        resident_bytes: sample.resident_bytes,
        threads: sample.threads,
        qps: &sample.qps,
    };
    line_of(out, &line)
}

/// One line. An I/O error stays one, so that a closed pipe is recognised.
fn line_of(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
