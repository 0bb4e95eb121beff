//! From samples to records. What repeats from tick to tick is defined once in a part, and named by number after that.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use prost::Message;

use super::wire::{self, kind};
use super::{frame, names};
use crate::monitor::counter::{Desc, Kind};
use crate::monitor::sample::{
    DeviceChange, GpuSample, Gpus, Missing, PageNic, PageSample, PortFacts, PortSample, ProcessSample,
    Processes, Reading, Sample, Windows,
};

/// A tick as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    /// What was read.
    pub sample: Sample,
    /// Nominal interval, nanoseconds.
    pub interval_ns: u64,
    /// Ticks skipped before this one.
    pub missed: u64,
}

/// Makes records of ticks, and remembers what a part has defined.
#[derive(Debug, Default)]
pub struct Encoder {
    descs: HashMap<Arc<Desc>, u32>,
    shapes: HashMap<Vec<u32>, u32>,
    bodies: HashMap<(u32, Vec<u8>), u32>,
    /// Numbers given so far; 0 stands for nothing.
    last: u32,
    /// Bytes of all definitions.
    defined: usize,
    scratch: Vec<u8>,
}

/// Why a tick cannot be recorded: a record of it would have this many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of {0} bytes is longer than a recording holds")]
pub struct TooLong(pub usize);

impl Encoder {
    /// Forgets all definitions, since a new part begins, and adds the part's start and header.
    ///
    /// # Errors
    /// When the header is absurdly long.
    pub fn begin(&mut self, out: &mut Vec<u8>, header: &wire::Header) -> Result<(), TooLong> {
        *self = Self { scratch: std::mem::take(&mut self.scratch), ..Self::default() };
        frame::put_start(out);
        put(out, kind::HEADER, &header.encode_to_vec())
    }

    /// How many bytes this part's definitions have: what a reader and this encoder keep in memory.
    #[must_use]
    pub fn defined(&self) -> usize {
        self.defined
    }

    /// Adds the records of a tick: new definitions first, then the tick.
    ///
    /// # Errors
    /// When one of them would be too long; `out` is then not to be used.
    pub fn tick(&mut self, out: &mut Vec<u8>, tick: &Tick) -> Result<(), TooLong> {
        let Tick { sample, interval_ns, missed } = tick;
        let Sample { realtime_ns, mono_ns, ports, pages, processes, gpus, changes, notices, nothing } =
            sample;
        let now = *mono_ns;
        let mut message = wire::Tick {
            realtime_ns: i64::try_from(*realtime_ns).unwrap_or(i64::MAX),
            mono_ns: now,
            interval_ns: *interval_ns,
            missed: *missed,
            changes: changes.iter().map(change).collect(),
            ..wire::Tick::default()
        };
        for port in ports {
            message.ports.push(self.port(out, port, now)?);
        }
        for page in pages {
            message.pages.push(self.page(out, page, now)?);
        }
        if let Some(processes) = processes {
            message.processes = self.define(out, kind::PROCESSES, &processes_body(processes))?;
        }
        if let Some(Gpus { gpus, nothing }) = gpus {
            let gpus = gpus.iter().map(|gpu| self.gpu(out, gpu, now)).collect::<Result<_, _>>()?;
            message.gpus = Some(wire::Gpus { gpus, nothing: nothing.clone() });
        }
        if !notices.is_empty() || !nothing.is_empty() {
            let notice = |n: &crate::monitor::model::view::Notice| wire::Notice {
                subject: n.subject.clone(),
                text: n.text.clone(),
            };
            let body =
                wire::Remarks { notices: notices.iter().map(notice).collect(), nothing: nothing.clone() };
            message.remarks = self.define(out, kind::REMARKS, &body)?;
        }
        self.scratch.clear();
        // A vector grows as needed, so encoding into it cannot fail.
        let _grows = message.encode(&mut self.scratch);
        put(out, kind::TICK, &self.scratch)
    }

    fn port(&mut self, out: &mut Vec<u8>, port: &PortSample, now: u64) -> Result<wire::Port, TooLong> {
        let PortSample { facts, source, reading } = port;
        let facts = self.define(out, kind::PORT, &port_facts(facts))?;
        let (reading, error) = match reading {
            Ok(reading) => (Some(self.reading(out, reading, now)?), None),
            Err(error) => (None, Some(error.clone())),
        };
        Ok(wire::Port { facts, source: names::of_source(*source), reading, error })
    }

    fn reading(&mut self, out: &mut Vec<u8>, reading: &Reading, now: u64) -> Result<wire::Reading, TooLong> {
        let Reading { mono_ns, span_ns, rest_ns, incarnation, late, traffic, counters, missing } = reading;
        let mut descs = Vec::with_capacity(counters.len());
        for counter in counters {
            descs.push(self.desc(out, &counter.desc)?);
        }
        Ok(wire::Reading {
            after_ns: after(*mono_ns, now),
            span_ns: *span_ns,
            rest_ns: *rest_ns,
            incarnation: *incarnation,
            late: *late,
            tx_bytes: traffic.tx_bytes,
            rx_bytes: traffic.rx_bytes,
            tx_ops: traffic.tx_ops,
            rx_ops: traffic.rx_ops,
            shape: self.shape(out, descs)?,
            values: counters.iter().map(|counter| counter.value).collect(),
            missing: self.missing(out, missing)?,
        })
    }

    fn page(&mut self, out: &mut Vec<u8>, page: &PageSample, now: u64) -> Result<wire::Page, TooLong> {
        let PageSample {
            key,
            job,
            node,
            pe,
            pid,
            gpu,
            command,
            provider,
            policy,
            rx_source,
            state,
            own,
            nics,
        } = page;
        let facts = wire::PageFacts {
            key: key.clone(),
            job: job.clone(),
            node: node.clone(),
            pe: *pe,
            pid: *pid,
            gpu: gpu.clone(),
            command: command.clone(),
            provider: provider.clone(),
            policy: policy.clone(),
            rx_source: rx_source.clone(),
            nics: nics.iter().map(page_nic_facts).collect(),
        };
        let facts = self.define(out, kind::PAGE, &facts)?;
        let nics = nics.iter().map(|nic| self.page_nic(out, nic, now)).collect::<Result<_, _>>()?;
        let own = own.as_ref().map(|own| self.reading(out, own, now)).transpose()?;
        Ok(wire::Page { facts, state: names::of_page_state(*state), nics, own })
    }

    /// What changes of a page's NIC; the rest is [`page_nic_facts`].
    fn page_nic(&mut self, out: &mut Vec<u8>, nic: &PageNic, now: u64) -> Result<wire::PageNic, TooLong> {
        let (netdev, netdev_error) = match &nic.netdev_reading {
            None => (None, None),
            Some(Ok(reading)) => (Some(self.reading(out, reading, now)?), None),
            Some(Err(error)) => (None, Some(error.clone())),
        };
        Ok(wire::PageNic {
            reading: Some(self.reading(out, &nic.reading, now)?),
            in_flight_bytes: nic.in_flight_bytes,
            torn: nic.torn,
            netdev,
            netdev_error,
            rx_windows: nic.rx_windows.as_ref().map(|w| windows(w, now)),
        })
    }

    fn gpu(&mut self, out: &mut Vec<u8>, gpu: &GpuSample, now: u64) -> Result<wire::Gpu, TooLong> {
        let GpuSample {
            index,
            name,
            pci,
            mono_ns,
            span_ns,
            busy_percent,
            memory_used_bytes,
            memory_total_bytes,
            celsius,
            milliwatts,
            nvlinks,
            reason,
        } = gpu;
        let link = |l: &crate::monitor::sample::NvLinkSample| wire::NvLinkFacts {
            link: l.link,
            active: l.active,
            remote: l.remote.clone(),
        };
        let facts = wire::GpuFacts {
            index: *index,
            name: name.clone(),
            pci: pci.clone(),
            reason: reason.clone(),
            nvlinks: nvlinks.iter().map(link).collect(),
        };
        Ok(wire::Gpu {
            facts: self.define(out, kind::GPU, &facts)?,
            after_ns: after(*mono_ns, now),
            span_ns: *span_ns,
            busy_percent: *busy_percent,
            memory_used_bytes: *memory_used_bytes,
            memory_total_bytes: *memory_total_bytes,
            celsius: *celsius,
            milliwatts: *milliwatts,
            nvlinks: nvlinks
                .iter()
                .map(|l| wire::NvLink { tx_bytes: l.tx_bytes, rx_bytes: l.rx_bytes })
                .collect(),
        })
    }

    fn desc(&mut self, out: &mut Vec<u8>, desc: &Arc<Desc>) -> Result<u32, TooLong> {
        if let Some(&id) = self.descs.get(desc) {
            return Ok(id);
        }
        let id = self.write(out, kind::DESC, desc_body(desc).encode_to_vec())?;
        Ok(remember(&mut self.descs, Arc::clone(desc), id))
    }

    fn shape(&mut self, out: &mut Vec<u8>, descs: Vec<u32>) -> Result<u32, TooLong> {
        if descs.is_empty() {
            return Ok(0);
        }
        if let Some(&id) = self.shapes.get(&descs) {
            return Ok(id);
        }
        let body = wire::Shape { descs: descs.clone() }.encode_to_vec();
        let id = self.write(out, kind::SHAPE, body)?;
        Ok(remember(&mut self.shapes, descs, id))
    }

    fn missing(&mut self, out: &mut Vec<u8>, missing: &[Missing]) -> Result<u32, TooLong> {
        if missing.is_empty() {
            return Ok(0);
        }
        let one = |m: &Missing| {
            let Missing { counter, place, reason } = m;
            wire::MissingCounter { counter: counter.clone(), place: place.clone(), reason: reason.clone() }
        };
        let body = wire::Missing { counters: missing.iter().map(one).collect() };
        self.define(out, kind::MISSING, &body)
    }

    /// The number of a body, which is written unless the part has it already.
    fn define(&mut self, out: &mut Vec<u8>, kind: u32, body: &impl Message) -> Result<u32, TooLong> {
        let key = (kind, body.encode_to_vec());
        if let Some(&id) = self.bodies.get(&key) {
            return Ok(id);
        }
        let id = self.write(out, kind, key.1.clone())?;
        Ok(remember(&mut self.bodies, key, id))
    }

    fn write(&mut self, out: &mut Vec<u8>, kind: u32, body: Vec<u8>) -> Result<u32, TooLong> {
        self.last += 1;
        let before = out.len();
        put(out, kind, &wire::Define { id: self.last, body }.encode_to_vec())?;
        self.defined += out.len() - before;
        Ok(self.last)
    }
}

fn remember<K: Hash + Eq>(map: &mut HashMap<K, u32>, key: K, id: u32) -> u32 {
    map.insert(key, id);
    id
}

fn put(out: &mut Vec<u8>, kind: u32, payload: &[u8]) -> Result<(), TooLong> {
    frame::put_frame(out, kind, payload).map_err(TooLong)
}

/// A moment relative to the tick. Wraps, and wraps back when it is read.
fn after(mono_ns: u64, now: u64) -> i64 {
    mono_ns.wrapping_sub(now).cast_signed()
}

fn desc_body(desc: &Desc) -> wire::Desc {
    let Desc { name, kind, class, unit, feeds, help } = desc;
    let bits = if let Kind::Saturating(bits) = kind { (*bits).into() } else { 0 };
    wire::Desc {
        name: name.to_string(),
        kind: names::of_kind(*kind),
        bits,
        class: names::of_class(*class),
        unit: names::of_unit(*unit),
        feeds: feeds.map_or(0, names::of_health),
        help: help.to_string(),
    }
}

fn port_facts(facts: &PortFacts) -> wire::PortFacts {
    let PortFacts {
        device,
        port,
        driver,
        netdev,
        pci,
        numa,
        link_bits_per_s,
        link_overridden,
        link_layer,
        state,
        phys_state,
        fw_ver,
        gpus,
        gpus_in_all,
    } = facts;
    wire::PortFacts {
        device: device.clone(),
        port: (*port).into(),
        driver: driver.clone(),
        netdev: netdev.clone(),
        pci: pci.clone(),
        numa: numa.map(Into::into),
        link_bits_per_s: *link_bits_per_s,
        link_overridden: *link_overridden,
        link_layer: link_layer.clone(),
        state: state.clone(),
        phys_state: phys_state.clone(),
        fw_ver: fw_ver.clone(),
        gpus: gpus.clone(),
        gpus_in_all: *gpus_in_all as u64,
    }
}

fn page_nic_facts(nic: &PageNic) -> wire::PageNicFacts {
    let PageNic {
        index,
        device,
        port,
        pci,
        numa,
        netdev,
        link_bits_per_s,
        // These are `page_nic`'s.
        reading: _,
        in_flight_bytes: _,
        torn: _,
        netdev_reading: _,
        rx_windows: _,
    } = nic;
    wire::PageNicFacts {
        index: *index as u64,
        device: device.clone(),
        port: (*port).into(),
        pci: pci.clone(),
        numa: numa.map(Into::into),
        netdev: netdev.clone(),
        link_bits_per_s: *link_bits_per_s,
    }
}

fn windows(windows: &Windows, now: u64) -> wire::Windows {
    let Windows { window_ns, end_mono_ns, bytes } = windows;
    let unseen = (0..).zip(bytes).filter(|(_, bytes)| bytes.is_none());
    wire::Windows {
        window_ns: *window_ns,
        end_after_ns: after(*end_mono_ns, now),
        bytes: bytes.iter().map(|bytes| bytes.unwrap_or(0)).collect(),
        unseen: unseen.map(|(position, _)| position).collect(),
    }
}

fn processes_body(processes: &Processes) -> wire::Processes {
    let Processes { mono_ns, processes, kernel_qps, hidden_qps, pages, reason } = processes;
    let qps = |all: &std::collections::BTreeMap<String, u32>| {
        all.iter().map(|(device, &count)| wire::Qps { device: device.clone(), count }).collect()
    };
    let process = |p: &ProcessSample| {
        let ProcessSample { pid, user, uid, command, resident_bytes, threads, qps: own } = p;
        wire::Process {
            pid: *pid,
            user: user.clone(),
            uid: *uid,
            command: command.clone(),
            resident_bytes: *resident_bytes,
            threads: *threads,
            qps: qps(own),
        }
    };
    wire::Processes {
        mono_ns: *mono_ns,
        list: processes.iter().map(process).collect(),
        kernel_qps: qps(kernel_qps),
        hidden_qps: qps(hidden_qps),
        pages: pages.iter().map(|(page, &pid)| wire::PageWriter { page: page.clone(), pid }).collect(),
        reason: reason.clone(),
    }
}

fn change(change: &DeviceChange) -> wire::Change {
    let (from, to) = match change {
        DeviceChange::Added(to) => (None, Some(to.clone())),
        DeviceChange::Removed(from) => (Some(from.clone()), None),
        DeviceChange::Renamed { from, to } => (Some(from.clone()), Some(to.clone())),
    };
    wire::Change { from, to }
}
