//! From records back to samples. The records are somebody's file: numbers that name nothing are errors, and texts lose
//! what could reach a terminal as a command.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use prost::Message;

use super::encode::Tick;
use super::names;
use super::wire::{self, kind};
use crate::monitor::counter::Desc;
use crate::monitor::model::view::Notice;
use crate::monitor::sample::{
    DeviceChange, GpuSample, Gpus, Missing, NvLinkSample, PageNic, PageSample, PortFacts, PortSample,
    ProcessSample, Processes, RawCounter, Reading, Sample, Traffic, Windows,
};
use crate::text::without_controls as text;

/// Why a record with a good checksum makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Nonsense {
    /// It is no message of its kind.
    #[error("it cannot be decoded: {0}")]
    Message(#[from] prost::DecodeError),
    /// It names a definition that the part does not have.
    #[error("it refers to a {0} that is not defined")]
    Undefined(&'static str),
    /// Two lists that belong together have different lengths.
    #[error("it has {0} of one kind and {1} of what belongs to them")]
    Lengths(usize, usize),
    /// An enumeration has no such number.
    #[error("it has a {0} that this version does not know")]
    Unknown(&'static str),
    /// A number is beyond what its field can hold.
    #[error("its {0} is out of range")]
    Range(&'static str),
    /// It is far larger than anything that railtop writes.
    #[error("it unfolds to more than {} MiB", MAX_UNFOLDED >> 20)]
    TooMuch,
}

/// The most that a part's definitions, or what one tick refers to, may add up to. A definition can be named many times
/// in few bytes, so the length of a record alone bounds nothing.
const MAX_UNFOLDED: usize = 64 << 20;

/// A definition and its length.
type Sized<T> = HashMap<u32, (usize, T)>;

/// What a part has defined so far.
#[derive(Debug, Default)]
pub struct Dictionary {
    descs: HashMap<u32, Arc<Desc>>,
    shapes: HashMap<u32, Vec<Arc<Desc>>>,
    ports: HashMap<u32, Arc<PortFacts>>,
    pages: Sized<wire::PageFacts>,
    processes: HashMap<u32, wire::Processes>,
    gpus: Sized<wire::GpuFacts>,
    missing: Sized<Vec<Missing>>,
    remarks: HashMap<u32, wire::Remarks>,
    /// Bytes of all definitions.
    defined: usize,
    /// Bytes of the definitions that the tick under way refers to, each as often as it does.
    unfolded: Cell<usize>,
}

impl Dictionary {
    /// Takes a definition; those of an unknown kind are skipped.
    ///
    /// # Errors
    /// When it makes no sense.
    pub fn define(&mut self, record: u32, payload: &[u8]) -> Result<(), Nonsense> {
        let wire::Define { id, body } = wire::Define::decode(payload)?;
        let body = body.as_slice();
        self.defined = self.defined.saturating_add(body.len());
        if self.defined > MAX_UNFOLDED {
            return Err(Nonsense::TooMuch);
        }
        let length = body.len();
        match record {
            kind::DESC => drop(self.descs.insert(id, Arc::new(desc(&wire::Desc::decode(body)?)))),
            kind::SHAPE => {
                let shape = wire::Shape::decode(body)?;
                let descs = shape
                    .descs
                    .iter()
                    .map(|id| find(&self.descs, *id, "counter").cloned())
                    .collect::<Result<_, _>>();
                self.shapes.insert(id, descs?);
            }
            kind::PORT => drop(self.ports.insert(id, Arc::new(port_facts(wire::PortFacts::decode(body)?)?))),
            kind::PAGE => drop(self.pages.insert(id, (length, wire::PageFacts::decode(body)?))),
            kind::PROCESSES => drop(self.processes.insert(id, wire::Processes::decode(body)?)),
            kind::GPU => drop(self.gpus.insert(id, (length, wire::GpuFacts::decode(body)?))),
            kind::MISSING => {
                let missing = wire::Missing::decode(body)?.counters.into_iter().map(|m| Missing {
                    counter: text(&m.counter),
                    place: some(m.place),
                    reason: text(&m.reason),
                });
                self.missing.insert(id, (length, missing.collect()));
            }
            kind::REMARKS => drop(self.remarks.insert(id, wire::Remarks::decode(body)?)),
            _ => {}
        }
        Ok(())
    }

    /// Reads a tick.
    ///
    /// # Errors
    /// When it makes no sense.
    pub fn tick(&self, payload: &[u8]) -> Result<Tick, Nonsense> {
        let tick = wire::Tick::decode(payload)?;
        let now = tick.mono_ns;
        self.unfolded.set(0);
        let remarks = match tick.remarks {
            0 => wire::Remarks::default(),
            id => find(&self.remarks, id, "list of remarks")?.clone(),
        };
        let processes = match tick.processes {
            0 => None,
            id => Some(processes(find(&self.processes, id, "list of processes")?)),
        };
        let gpus = tick.gpus.map(|g| {
            let gpus = g.gpus.iter().map(|gpu| self.gpu(gpu, now)).collect::<Result<_, _>>()?;
            Ok::<_, Nonsense>(Gpus { gpus, nothing: some(g.nothing) })
        });
        let sample = Sample {
            realtime_ns: tick.realtime_ns.into(),
            mono_ns: now,
            ports: tick.ports.into_iter().map(|port| self.port(port, now)).collect::<Result<_, _>>()?,
            pages: tick.pages.into_iter().map(|page| self.page(page, now)).collect::<Result<_, _>>()?,
            processes,
            gpus: gpus.transpose()?,
            changes: tick.changes.into_iter().filter_map(change).collect(),
            notices: remarks
                .notices
                .iter()
                .map(|n| Notice { subject: text(&n.subject), text: text(&n.text) })
                .collect(),
            nothing: remarks.nothing.iter().map(|t| text(t)).collect(),
        };
        Ok(Tick { sample, interval_ns: tick.interval_ns, missed: tick.missed })
    }

    /// A definition whose content is copied into the tick.
    fn unfold<'a, T>(&self, map: &'a Sized<T>, id: u32, what: &'static str) -> Result<&'a T, Nonsense> {
        let (length, value) = find(map, id, what)?;
        self.unfolded.set(self.unfolded.get().saturating_add(*length));
        if self.unfolded.get() > MAX_UNFOLDED { Err(Nonsense::TooMuch) } else { Ok(value) }
    }

    fn port(&self, port: wire::Port, now: u64) -> Result<PortSample, Nonsense> {
        let reading = match (port.reading, port.error) {
            (Some(reading), _) => Ok(self.reading(reading, now)?),
            (None, error) => Err(text(&error.unwrap_or_default())),
        };
        Ok(PortSample {
            facts: Arc::clone(find(&self.ports, port.facts, "port")?),
            source: names::source(port.source).ok_or(Nonsense::Unknown("source"))?,
            reading,
        })
    }

    fn reading(&self, reading: wire::Reading, now: u64) -> Result<Reading, Nonsense> {
        let descs = match reading.shape {
            0 => &Vec::new(),
            id => find(&self.shapes, id, "list of counters")?,
        };
        if descs.len() != reading.values.len() {
            return Err(Nonsense::Lengths(descs.len(), reading.values.len()));
        }
        let counter = |(desc, value): (&Arc<Desc>, u64)| RawCounter { desc: Arc::clone(desc), value };
        Ok(Reading {
            mono_ns: at(reading.after_ns, now),
            span_ns: reading.span_ns,
            rest_ns: reading.rest_ns,
            incarnation: reading.incarnation,
            late: reading.late,
            traffic: Traffic {
                tx_bytes: reading.tx_bytes,
                rx_bytes: reading.rx_bytes,
                tx_ops: reading.tx_ops,
                rx_ops: reading.rx_ops,
            },
            counters: descs.iter().zip(reading.values).map(counter).collect(),
            missing: match reading.missing {
                0 => Vec::new(),
                id => self.unfold(&self.missing, id, "list of what is missing")?.clone(),
            },
        })
    }

    fn page(&self, page: wire::Page, now: u64) -> Result<PageSample, Nonsense> {
        let facts = self.unfold(&self.pages, page.facts, "counter page")?;
        if facts.nics.len() != page.nics.len() {
            return Err(Nonsense::Lengths(facts.nics.len(), page.nics.len()));
        }
        let nics = facts.nics.iter().zip(page.nics).map(|(facts, nic)| self.page_nic(facts, nic, now));
        Ok(PageSample {
            key: text(&facts.key),
            job: text(&facts.job),
            node: text(&facts.node),
            pe: facts.pe,
            pid: facts.pid,
            gpu: some(facts.gpu.clone()),
            command: text(&facts.command),
            provider: text(&facts.provider),
            policy: some(facts.policy.clone()),
            rx_source: some(facts.rx_source.clone()),
            state: names::page_state(page.state).ok_or(Nonsense::Unknown("state of a page"))?,
            own: page.own.map(|own| self.reading(own, now)).transpose()?,
            nics: nics.collect::<Result<_, _>>()?,
        })
    }

    fn page_nic(
        &self,
        facts: &wire::PageNicFacts,
        nic: wire::PageNic,
        now: u64,
    ) -> Result<PageNic, Nonsense> {
        let netdev_reading = match (nic.netdev, nic.netdev_error) {
            (Some(reading), _) => Some(Ok(self.reading(reading, now)?)),
            (None, Some(error)) => Some(Err(text(&error))),
            (None, None) => None,
        };
        Ok(PageNic {
            index: usize::try_from(facts.index).map_err(|_| Nonsense::Range("rail"))?,
            device: text(&facts.device),
            port: u8::try_from(facts.port).map_err(|_| Nonsense::Range("port"))?,
            pci: some(facts.pci.clone()),
            numa: numa(facts.numa)?,
            netdev: some(facts.netdev.clone()),
            link_bits_per_s: facts.link_bits_per_s,
            reading: self.reading(nic.reading.unwrap_or_default(), now)?,
            in_flight_bytes: nic.in_flight_bytes,
            torn: nic.torn,
            netdev_reading,
            rx_windows: nic.rx_windows.map(|w| windows(w, now)),
        })
    }

    fn gpu(&self, gpu: &wire::Gpu, now: u64) -> Result<GpuSample, Nonsense> {
        let facts = self.unfold(&self.gpus, gpu.facts, "GPU")?;
        if facts.nvlinks.len() != gpu.nvlinks.len() {
            return Err(Nonsense::Lengths(facts.nvlinks.len(), gpu.nvlinks.len()));
        }
        let link = |(facts, link): (&wire::NvLinkFacts, &wire::NvLink)| NvLinkSample {
            link: facts.link,
            active: facts.active,
            tx_bytes: link.tx_bytes,
            rx_bytes: link.rx_bytes,
            remote: some(facts.remote.clone()),
        };
        Ok(GpuSample {
            index: facts.index,
            name: some(facts.name.clone()),
            pci: some(facts.pci.clone()),
            mono_ns: at(gpu.after_ns, now),
            span_ns: gpu.span_ns,
            busy_percent: gpu.busy_percent,
            memory_used_bytes: gpu.memory_used_bytes,
            memory_total_bytes: gpu.memory_total_bytes,
            celsius: gpu.celsius,
            milliwatts: gpu.milliwatts,
            nvlinks: facts.nvlinks.iter().zip(&gpu.nvlinks).map(link).collect(),
            reason: some(facts.reason.clone()),
        })
    }
}

fn find<'a, T>(map: &'a HashMap<u32, T>, id: u32, what: &'static str) -> Result<&'a T, Nonsense> {
    map.get(&id).ok_or(Nonsense::Undefined(what))
}

fn some(value: Option<String>) -> Option<String> {
    value.map(|value| text(&value))
}

fn at(after_ns: i64, now: u64) -> u64 {
    now.wrapping_add(after_ns.cast_unsigned())
}

fn numa(node: Option<u32>) -> Result<Option<u16>, Nonsense> {
    node.map(u16::try_from).transpose().map_err(|_| Nonsense::Range("NUMA node"))
}

fn desc(desc: &wire::Desc) -> Desc {
    Desc {
        name: text(&desc.name).into(),
        kind: names::kind(desc.kind, desc.bits),
        class: names::class(desc.class),
        unit: names::unit(desc.unit),
        feeds: names::health(desc.feeds),
        help: text(&desc.help).into(),
    }
}

fn port_facts(facts: wire::PortFacts) -> Result<PortFacts, Nonsense> {
    Ok(PortFacts {
        device: text(&facts.device),
        port: u8::try_from(facts.port).map_err(|_| Nonsense::Range("port"))?,
        driver: some(facts.driver),
        netdev: some(facts.netdev),
        pci: some(facts.pci),
        numa: numa(facts.numa)?,
        link_bits_per_s: facts.link_bits_per_s,
        link_overridden: facts.link_overridden,
        link_layer: some(facts.link_layer),
        state: some(facts.state),
        phys_state: some(facts.phys_state),
        fw_ver: some(facts.fw_ver),
        gpus: facts.gpus.iter().map(|gpu| text(gpu)).collect(),
        gpus_in_all: usize::try_from(facts.gpus_in_all).map_err(|_| Nonsense::Range("number of GPUs"))?,
    })
}

fn windows(windows: wire::Windows, now: u64) -> Windows {
    let mut bytes: Vec<Option<u64>> = windows.bytes.into_iter().map(Some).collect();
    for position in windows.unseen {
        if let Some(window) = usize::try_from(position).ok().and_then(|at| bytes.get_mut(at)) {
            *window = None;
        }
    }
    Windows { window_ns: windows.window_ns, end_mono_ns: at(windows.end_after_ns, now), bytes }
}

fn processes(all: &wire::Processes) -> Processes {
    let qps = |all: &[wire::Qps]| -> BTreeMap<String, u32> {
        all.iter().map(|q| (text(&q.device), q.count)).collect()
    };
    let process = |p: &wire::Process| ProcessSample {
        pid: p.pid,
        user: some(p.user.clone()),
        uid: p.uid,
        command: text(&p.command),
        resident_bytes: p.resident_bytes,
        threads: p.threads,
        qps: qps(&p.qps),
    };
    Processes {
        mono_ns: all.mono_ns,
        processes: all.list.iter().map(process).collect(),
        kernel_qps: qps(&all.kernel_qps),
        hidden_qps: qps(&all.hidden_qps),
        pages: all.pages.iter().map(|writer| (text(&writer.page), writer.pid)).collect(),
        reason: some(all.reason.clone()),
    }
}

fn change(change: wire::Change) -> Option<DeviceChange> {
    match (some(change.from), some(change.to)) {
        (None, Some(to)) => Some(DeviceChange::Added(to)),
        (Some(from), None) => Some(DeviceChange::Removed(from)),
        (Some(from), Some(to)) => Some(DeviceChange::Renamed { from, to }),
        (None, None) => None,
    }
}
