//! `railtop check`: is the load balanced?

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::GlobalArgs;
use super::columns::Columns;
use super::config::{Given, Settings};
use super::exit::{self, ExitError};
use super::interrupt::Interrupt;
use super::source::{Selection, TextOrJson, Told};
use crate::balance::{Direction, to_show};
use crate::monitor::check::{GroupReport, Report, Tally, Word};
use crate::monitor::failover::consequence;
use crate::monitor::{Config, Monitor, Ticker};
use crate::units::format_size;

/// How often counters are read meanwhile: often enough to see a PE that lives only shortly.
const LOOKS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

/// Tell whether the NICs of each group share the load: exit 0 if they do (or nothing moves), 1 if not
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(
    after_help = "A group is the NICs of one PE (counter pages) or nearest to one GPU, else those of the node.\n\
    Bytes count from the first look to the last; a PE that ends meanwhile counts with its final values.\n\
    A group that moves less than 1 % of the busiest of its kind and job in a direction counts as idle in it.\n\
    A NIC whose driver counts no bytes is left out, and named.\n\
    A group with a NIC that cannot be read is judged only if the others alone prove it skewed,\n\
    and a group beyond the limit only if one operation more or less would not change that.\n\
    Ctrl-C ends the look early and judges what was seen.\n\
    Exit: 0 balanced or idle, 1 skewed, 3 nothing to measure, or no group that could be judged."
)]
pub struct CheckArgs {
    /// How long to look (20ms to 1h)
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_look)]
    pub duration: Duration,

    /// The busiest NIC's bytes over the mean of its group that still count as balanced [default: 1.25]
    #[arg(long, value_name = "RATIO", value_parser = parse_ratio)]
    pub max_over_mean: Option<f64>,

    /// Which direction to judge
    #[arg(long, value_enum, default_value_t = DirectionArg::Both)]
    pub direction: DirectionArg,

    /// How the answer looks
    #[arg(long, value_enum, default_value_t)]
    pub format: TextOrJson,

    /// Which NICs, by which source.
    #[command(flatten)]
    pub selection: Selection,
}

/// `--direction` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DirectionArg {
    /// Sent bytes
    Tx,
    /// Received bytes
    Rx,
    /// Each by itself
    Both,
}

impl DirectionArg {
    fn directions(self) -> &'static [Direction] {
        match self {
            Self::Tx => &[Direction::Tx],
            Self::Rx => &[Direction::Rx],
            Self::Both => &Direction::BOTH,
        }
    }
}

/// Looks for the duration asked for, then judges.
///
/// # Errors
/// When the output cannot be written, or there is nothing to measure.
pub fn run(args: &CheckArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    let given =
        Given { selection: args.selection.clone(), max_over_mean: args.max_over_mean, ..Given::default() };
    let settings = Settings::load(global, &given)?;
    let limit = settings.thresholds.max_over_mean;
    let interrupt = Interrupt::install().context("cannot listen for signals")?;
    let every = (args.duration / 10).clamp(LOOKS.0, LOOKS.1);
    let config = Config { interval: every, ..settings.monitor() };
    let mut tally = Tally::new(config.source);
    let mut monitor = Monitor::new(config);
    monitor.set_needs(Tally::needs());
    let start = Instant::now();
    let end = start + args.duration;
    let mut ticker = Ticker::new(start, every);
    let mut why_not = None;
    let mut told = Told::default();
    loop {
        let last = ticker.deadline() >= end;
        let interrupted = interrupt.wait_until(ticker.deadline().min(end))?;
        let tick = monitor.tick();
        tally.add(&tick);
        told.tell(&tick.view);
        why_not = tick.view.nothing.or(why_not);
        if last || interrupted {
            break;
        }
        ticker.advance(Instant::now());
    }
    if tally.is_empty() {
        let reason = why_not.unwrap_or_else(|| "no NIC's bytes are known".to_owned());
        return Err(ExitError::Nothing(reason).into());
    }
    let report = tally.judge(limit, args.direction.directions()).map_err(ExitError::Nothing)?;
    for group in &report.groups {
        if let Some(reason) = &group.reason {
            exit::say(&format!(
                "railtop: {} {} is not judged: {reason}",
                group.group,
                group.direction.name()
            ));
        }
    }
    let mut out = io::stdout().lock();
    match args.format {
        TextOrJson::Json => json(&mut out, &report),
        TextOrJson::Text => text(&mut out, &report, limit),
    }
    .map_err(exit::output_error)?;
    if report.verdict == Word::Idle {
        exit::say(&format!(
            "railtop: idle: nothing worth the name moved in {:.1} s",
            start.elapsed().as_secs_f64()
        ));
    }
    Ok(ExitCode::from(if report.verdict == Word::Skewed { exit::FAILED } else { exit::OK }))
}

fn json(out: &mut impl Write, report: &Report) -> io::Result<()> {
    serde_json::to_writer(&mut *out, report)?;
    writeln!(out)?;
    out.flush()
}

fn text(out: &mut impl Write, report: &Report, limit: f64) -> io::Result<()> {
    let mut columns = Columns::new(&["group", "direction", "bytes", "max/mean", "active", "verdict"]);
    for g in &report.groups {
        columns.row(vec![
            g.state.map_or_else(|| g.group.clone(), |state| format!("{} ({state})", g.group)),
            g.direction.name().to_owned(),
            format_size(g.bytes),
            g.max_over_mean.map(|r| format!("{:.2}", to_show(r, limit))).unwrap_or_default(),
            match g.unread_nics {
                0 => format!("{}/{}", g.active_nics, g.nics),
                n => format!("{}/{} ({n} unread)", g.active_nics, g.nics),
            },
            g.verdict.map_or("not judged", word).to_owned(),
        ]);
    }
    columns.write(out)?;
    for g in report.groups.iter().filter(|g| g.verdict == Some(Word::Skewed)) {
        writeln!(out, "{}", sentence(g, limit))?;
    }
    let mut last = None;
    for g in &report.groups {
        // Said once for both directions.
        if last.replace(&g.group) != Some(&g.group) {
            without(out, g)?;
        }
    }
    for g in &report.groups {
        if let Some(slow) = &g.slow {
            let done = g.direction.verb();
            writeln!(out, "{}: {slow} {done} far less than the others, which are even", g.group)?;
        }
    }
    writeln!(out, "{}", word(report.verdict))?;
    out.flush()
}

/// The NICs that the group does without, or did for a while, and those that say nothing.
fn without(out: &mut impl Write, g: &GroupReport) -> io::Result<()> {
    let one =
        |names: &[String], one: &'static str, many: &'static str| if names.len() == 1 { one } else { many };
    if !g.down.is_empty() {
        let (is, its) = (one(&g.down, "is", "are"), consequence(g.nics.saturating_sub(g.down.len())));
        let its = if g.down.len() > 1 { its.replacen("its work", "their work", 1) } else { its.to_owned() };
        writeln!(out, "{}: {} {is} down, {its}", g.group, g.down.join(", "))?;
    }
    if !g.was_down.is_empty() {
        let was = one(&g.was_down, "was", "were");
        writeln!(out, "{}: {} {was} down for a part of the time", g.group, g.was_down.join(", "))?;
    }
    if !g.left_out.is_empty() {
        let is = one(&g.left_out, "is", "are");
        let counts = one(&g.left_out, "its driver counts", "their drivers count");
        writeln!(out, "{}: {} {is} left out: {counts} no bytes", g.group, g.left_out.join(", "))?;
    }
    Ok(())
}

fn word(word: Word) -> &'static str {
    match word {
        Word::Balanced => "balanced",
        Word::Skewed => "skewed",
        Word::Idle => "idle",
    }
}

fn sentence(group: &GroupReport, limit: f64) -> String {
    let done = group.direction.verb();
    let ratio = to_show(group.max_over_mean.unwrap_or_default(), limit);
    let who = group.busiest.join(", ");
    if group.active_nics == 1 {
        format!("{}: all is {done} by {who}, one NIC of {}", group.group, group.nics)
    } else {
        format!(
            "{}: {who} {done} up to {ratio:.2} times the mean of {} NICs (limit {limit})",
            group.group, group.nics
        )
    }
}

fn parse_look(text: &str) -> Result<Duration, String> {
    let look = crate::units::parse_duration(text).map_err(|e| e.to_string())?;
    if look < LOOKS.0 || look > Duration::from_secs(3600) {
        return Err("a look takes at least 20ms and at most 1h".to_owned());
    }
    Ok(look)
}

fn parse_ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(ratio) if ratio.is_finite() && ratio >= 1.0 => Ok(ratio),
        _ => Err("max/mean is a number from 1 (exactly even) to the number of NICs".to_owned()),
    }
}
