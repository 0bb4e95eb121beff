//! `railtop list`: what there is to monitor.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::GlobalArgs;
use super::columns::{Columns, optional};
use super::config::{Given, Settings};
use super::exit::{self, ExitError};
use super::hook;
use super::source::{Selection, TextOrJson};
use crate::monitor::failover::consequence;
use crate::monitor::list::{GpuEntry, HolderList, Inventory, Moved, NicEntry};
use crate::monitor::natural;
use crate::monitor::sample::Needs;
use crate::monitor::sample::{PortSample, Sample};
use crate::monitor::table::self_check;
use crate::monitor::{Config, Monitor};
use crate::units::{format_bit_rate, format_size};

/// The nominal interval of the one look, which allows devices a second to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// List NICs with driver, link rate, PCI address, NUMA node and nearest GPU, and say why a counter is missing
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ListArgs {
    /// How the list looks
    #[arg(long, value_enum, default_value_t)]
    pub format: TextOrJson,

    /// Also who holds queue pairs on which device: as the screen's tab of processes, in JSON under "holders"
    #[arg(long)]
    pub processes: bool,

    /// Instead: whether other programs' libfabric traffic can be counted here (`railtop run`), and with what
    #[arg(long, conflicts_with = "processes")]
    pub hook: bool,

    /// Which NICs, by which source.
    #[command(flatten)]
    pub selection: Selection,
}

/// Between two reads that shall not be one answer of the kernel's, which it repeats for 10 to 12 ms (`lifespan`).
const BETWEEN_READS: Duration = Duration::from_millis(30);

/// Lists devices and counter pages.
///
/// # Errors
/// When the output cannot be written, or there is neither a device nor a page.
pub fn run(args: &ListArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    if args.hook {
        return hook::list(args.format).map(|()| ExitCode::SUCCESS);
    }
    let given = Given { selection: args.selection.clone(), ..Given::default() };
    let config = Config { interval: PATIENCE, ..Settings::load(global, &given)?.monitor() };
    let host = config.host.clone();
    let mut monitor = Monitor::new(config);
    monitor.set_gpu_patience(PATIENCE);
    monitor.set_needs(Needs { processes: args.processes, ..Needs::everything() });
    let sample = monitor.sample();
    let mut inventory = Inventory::of(&sample, &host);
    let end = nothing(&inventory, &sample).map_or(Ok(ExitCode::SUCCESS), |nothing| Err(nothing.into()));
    if end.is_err() && inventory.gpus.is_empty() {
        return end;
    }
    if has_sums(&sample) {
        std::thread::sleep(BETWEEN_READS);
        inventory.check_sums(&sample, &monitor.sample());
    }
    let mut out = io::stdout().lock();
    match args.format {
        TextOrJson::Json => json(&mut out, &inventory),
        TextOrJson::Text => text(&mut out, &inventory),
    }
    .map_err(exit::output_error)?;
    end
}

/// That there is neither a NIC nor a PE. GPUs alone are worth a list, but nothing that could be measured.
fn nothing(inventory: &Inventory, sample: &Sample) -> Option<ExitError> {
    (inventory.nics.is_empty() && inventory.pes.is_empty())
        .then(|| ExitError::Nothing(sample.nothing.join("; ")))
}

/// Whether some device's counters can be held against each other.
fn has_sums(sample: &Sample) -> bool {
    let same = |port: &PortSample| {
        let reading = port.reading.as_ref().ok()?;
        self_check(port.facts.driver.as_deref(), reading, reading)
    };
    sample.ports.iter().any(|port| same(port).is_some())
}

fn json(out: &mut impl Write, inventory: &Inventory) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, inventory)?;
    writeln!(out)?;
    out.flush()
}

fn text(out: &mut impl Write, inventory: &Inventory) -> io::Result<()> {
    // A PE's NICs stand in its own line.
    let devices: Vec<&NicEntry> = inventory.nics.iter().filter(|nic| nic.pe.is_none()).collect();
    if !devices.is_empty() {
        nics(out, &devices)?;
    }
    if !inventory.pes.is_empty() {
        if !devices.is_empty() {
            writeln!(out)?;
        }
        pes(out, inventory)?;
    }
    gpus(out, inventory)?;
    if let Some(list) = &inventory.holders {
        holders(out, list)?;
    }
    for notice in &inventory.notices {
        writeln!(out, "{}: {}", notice.subject, notice.text)?;
    }
    out.flush()
}

fn nics(out: &mut impl Write, devices: &[&NicEntry]) -> io::Result<()> {
    let mut columns = Columns::new(&[
        "device",
        "port",
        "driver",
        "state",
        "rate",
        "layer",
        "netdev",
        "pci",
        "numa",
        "nearest gpu",
        "firmware",
        "link",
        "rate set",
        "self-check",
    ]);
    for nic in devices {
        columns.row(vec![
            nic.dev.clone(),
            nic.port.to_string(),
            optional(nic.driver.clone()),
            optional(nic.state.clone()),
            nic.rate_bps.map(|r| format_bit_rate(r as f64)).unwrap_or_default(),
            optional(nic.link_layer.clone()),
            optional(nic.netdev.clone()),
            optional(nic.pci.clone()),
            optional(nic.numa),
            nic.gpu.join(","),
            optional(nic.fw_ver.clone()),
            optional(nic.phys_state.clone()),
            if nic.rate_overridden { "yes" } else { "" }.to_owned(),
            optional(nic.self_check.clone()),
        ]);
    }
    columns.write(out)?;
    let mut missing = Columns::default();
    for nic in devices {
        for m in &nic.missing {
            missing.row(vec![
                format!("{}/{}", nic.dev, nic.port),
                format!("no {}", m.counter),
                optional(m.file.clone()),
                m.reason.clone(),
            ]);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    missing.write(out)
}

/// The GPUs that the driver shows; where it shows none, they stand with the NICs.
fn gpus(out: &mut impl Write, inventory: &Inventory) -> io::Result<()> {
    let shown: Vec<&GpuEntry> = inventory.gpus.iter().filter(|gpu| gpu.index.is_some()).collect();
    if shown.is_empty() {
        return Ok(());
    }
    if !(inventory.nics.is_empty() && inventory.pes.is_empty()) {
        writeln!(out)?;
    }
    let mut columns =
        Columns::new(&["gpu", "name", "pci", "memory used", "memory", "nvlinks up", "nearest nics"]);
    for gpu in shown {
        columns.row(vec![
            optional(gpu.index),
            optional(gpu.name.clone()),
            optional(gpu.pci.clone()),
            gpu.memory_used_bytes.map(format_size).unwrap_or_default(),
            gpu.memory_total_bytes.map(format_size).unwrap_or_default(),
            optional(gpu.nvlinks),
            gpu.nics.join(","),
        ]);
    }
    columns.write(out)
}

/// Who holds queue pairs, and whose they are where that cannot be seen.
fn holders(out: &mut impl Write, list: &HolderList) -> io::Result<()> {
    writeln!(out)?;
    if list.processes.is_empty() {
        writeln!(out, "no process is known to hold queue pairs")?;
    } else {
        let mut columns =
            Columns::new(&["pid", "user", "qps", "tx", "rx", "memory", "threads", "qps on", "command"]);
        for process in &list.processes {
            let moved = |of: fn(&Moved) -> Option<u64>| {
                let mut known = process.moved.values().filter_map(of).peekable();
                known.peek().is_some().then(|| format_size(known.fold(0, u64::saturating_add)))
            };
            columns.row(vec![
                process.pid.to_string(),
                process.user.clone().or(process.uid.map(|uid| uid.to_string())).unwrap_or_default(),
                process.queue_pairs().to_string(),
                optional(moved(|m| m.tx_bytes)),
                optional(moved(|m| m.rx_bytes)),
                process.resident_bytes.map(format_size).unwrap_or_default(),
                optional(process.threads),
                by_device(&process.qps),
                process.command.clone(),
            ]);
        }
        columns.write(out)?;
    }
    for (whose, qps) in [
        ("the kernel itself", &list.kernel_qps),
        ("processes that cannot be seen from here", &list.hidden_qps),
    ] {
        if !qps.is_empty() {
            writeln!(out, "queue pairs of {whose}: {}", by_device(qps))?;
        }
    }
    match &list.reason {
        Some(reason) => writeln!(out, "processes: {reason}"),
        None => Ok(()),
    }
}

/// `mlx5_0 4, mlx5_1 2`.
fn by_device(qps: &BTreeMap<String, u32>) -> String {
    let mut all: Vec<_> = qps.iter().collect();
    all.sort_by(|(a, _), (b, _)| natural::compare(a, b));
    all.iter().map(|(device, count)| format!("{device} {count}")).collect::<Vec<_>>().join(", ")
}

fn pes(out: &mut impl Write, inventory: &Inventory) -> io::Result<()> {
    let mut columns = Columns::new(&[
        "job",
        "node",
        "pe",
        "pid",
        "state",
        "provider",
        "policy",
        "rx source",
        "nics",
        "command",
    ]);
    for pe in &inventory.pes {
        columns.row(vec![
            pe.job.clone(),
            pe.node.clone(),
            pe.pe.to_string(),
            pe.pid.to_string(),
            pe.state.to_owned(),
            pe.provider.clone(),
            optional(pe.policy.clone()),
            optional(pe.rx_source.clone()),
            pe.nics.join(","),
            pe.command.clone(),
        ]);
    }
    columns.write(out)?;
    for pe in inventory.pes.iter().filter(|pe| !pe.down.is_empty()) {
        let consequence = consequence(pe.nics.len().saturating_sub(pe.down.len()));
        for nic in &pe.down {
            writeln!(out, "{nic} of PE {} of job {} is down, {consequence}", pe.pe, pe.job)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::list::HolderEntry;

    #[test]
    fn gpus_alone_are_listed_and_are_nothing_to_measure() {
        let sample = Sample { nothing: vec!["no RDMA device".to_owned()], ..Sample::default() };
        let mut inventory = Inventory::of(&sample, "h");
        inventory.gpus.push(GpuEntry {
            index: Some(0),
            name: Some("H100".to_owned()),
            ..GpuEntry::default()
        });
        let end = nothing(&inventory, &sample).unwrap();
        assert_eq!((end.code(), end.to_string().contains("no RDMA device")), (exit::NOTHING, true));
        let mut out = Vec::new();
        text(&mut out, &inventory).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("H100"));

        inventory.nics.push(NicEntry::default());
        assert!(nothing(&inventory, &sample).is_none());
    }

    #[test]
    fn who_holds_queue_pairs_is_said_in_a_table_and_what_is_hidden_in_a_line() {
        let counts = |of: &[(&str, u32)]| of.iter().map(|&(device, n)| (device.to_owned(), n)).collect();
        let process = HolderEntry {
            pid: 48_211,
            uid: Some(1000),
            command: "python train.py".to_owned(),
            resident_bytes: Some(3 << 30),
            qps: counts(&[("mlx5_10", 2), ("mlx5_2", 4)]),
            moved: [("mlx5_2".to_owned(), Moved { tx_bytes: Some(1 << 20), rx_bytes: None })].into(),
            ..HolderEntry::default()
        };
        let list = HolderList {
            processes: vec![process],
            kernel_qps: counts(&[("mlx5_2", 1)]),
            hidden_qps: counts(&[("mlx5_2", 8)]),
            reason: Some("some are of another PID namespace".to_owned()),
        };
        let mut out = Vec::new();
        holders(&mut out, &list).unwrap();
        let text = String::from_utf8(out).unwrap();
        insta::assert_snapshot!(text);
        let mut out = Vec::new();
        holders(&mut out, &HolderList::default()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "\nno process is known to hold queue pairs\n");
    }
}
