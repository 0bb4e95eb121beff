//! Bringing a PE up: library, rendezvous, NICs, counter page, cards, proxy, probe.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use libfabric_sys::Libfabric;
use libfabric_sys::signals::KeepSignals;

use super::Pe;
use super::access::Staging;
use super::card::PeCard;
use super::config::PeConfig;
use crate::counters::{NicIdentity, PageDir, PageSpec, PageWriter, RxSource};
use crate::transport::bootstrap::Session;
use crate::transport::error::TransportError;
use crate::transport::fabric::{FabricError, FabricNic, Info, JobNics, NicRequest, Share, discover};
use crate::transport::fault::Fault;
use crate::transport::heap::reserved::{PROBE_BYTES, PROBE_TARGET, PROBES};
use crate::transport::heap::{Allocator, DevicePart, Heap};
use crate::transport::nic::Nic;
use crate::transport::on_node::IntraNode;
use crate::transport::proxy::{Clock, Drive, Driver, Parts, Proxy, Totals};
use crate::transport::ring::{Command, ring};
use crate::transport::signal::{Signal, SignalOp, Until};
use crate::transport::wire::{MAX_INLINE, MAX_NICS};

/// Commands that may wait for the proxy.
const RING_DEPTH: usize = 1024;

/// How long one step of the start may take at least once all PEs are there: opening NICs takes longer than most waits of a job.
const STEP_LIMIT: Duration = Duration::from_secs(30);

/// The same where GPUs are opened before it: their driver may have to wake up first.
const DEVICE_LIMIT: Duration = Duration::from_secs(180);

/// How long a step may take: as long as any wait, and never less than `least`; zero is for ever.
fn step_limit(wait_limit: Duration, least: Duration) -> Duration {
    if wait_limit.is_zero() { wait_limit } else { wait_limit.max(least) }
}

/// Gives memory of a device, told whether this PE's NICs take any of GPUs; or why not.
type Give<'a> = Box<dyn FnOnce(bool) -> Result<DevicePart, String> + 'a>;

impl Pe {
    /// Joins the job. Every PE must call it; it returns when all are ready, or with an error on every PE.
    ///
    /// # Errors
    /// When libfabric or a NIC is missing, PEs do not come together, or do not fit together.
    pub fn start(config: &PeConfig) -> Result<Self, TransportError> {
        Self::start_as(config, None)
    }

    /// The same with memory of a device as the second part of the heap ([`Self::allocate_on_device`]), if `device` gives some
    /// and all NICs of all PEs reach all of it; else the reason is kept ([`Self::no_device`]). It is asked once all PEs are
    /// there, and told whether this PE's NICs take memory of GPUs at all.
    ///
    /// # Errors
    /// As [`Self::start`], and when PEs give different amounts.
    pub fn start_with(
        config: &PeConfig,
        device: impl FnOnce(bool) -> Result<DevicePart, String>,
    ) -> Result<Self, TransportError> {
        Self::start_as(config, Some(Box::new(device)))
    }

    fn start_as(config: &PeConfig, device: Option<Give<'_>>) -> Result<Self, TransportError> {
        // First what fails the same way everywhere: without libfabric nobody needs to wait for anybody.
        let lib = Arc::new(Libfabric::load().map_err(|error| TransportError::Fabric(error.into()))?);
        let fault = Fault::default();
        let session = match &config.rendezvous {
            Some(rendezvous) => rendezvous.join(&fault)?,
            None => Session::alone(fault.clone()),
        };
        let assembled = match Self::assemble(config, &lib, &session, &fault, device) {
            Ok(assembled) => assembled,
            Err(error) => {
                session.abort(&error.to_string());
                return Err(error);
            }
        };
        let mut pe = assembled.into_pe(config, session, fault);
        match pe.probe(config) {
            Ok(()) => Ok(pe),
            Err(error) => {
                pe.abort(&error.to_string());
                Err(error)
            }
        }
    }

    /// Opens NICs and heap, exchanges cards, connects, and starts the proxy.
    fn assemble(
        config: &PeConfig,
        lib: &Arc<Libfabric>,
        session: &Session,
        fault: &Fault,
        device: Option<Give<'_>>,
    ) -> Result<Assembled, TransportError> {
        let _signals = KeepSignals::new();
        let heap = Arc::new(Heap::create(config.heap_bytes + Staging::bytes(config.heap_bytes))?);
        let share = match (config.ranks.world, config.ranks.local_rank, config.ranks.local_world) {
            (1, ..) => Share::Alone,
            (_, Some(local_rank), Some(local_world)) => Share::Of { local_rank, local_world },
            _ => Share::Unknown,
        };
        let infos = discover(lib, config.provider.as_deref(), &config.nics, share, device.is_some())?;
        let step = step_limit(config.wait_limit, STEP_LIMIT);
        let opening = if device.is_some() { step_limit(config.wait_limit, DEVICE_LIMIT) } else { step };
        let takes = infos.iter().all(Info::takes_devices);
        let device = device.map_or_else(|| Err("none was given".into()), |give| give(takes));
        let device = device.and_then(|part| {
            if heap.takes(&part) { Ok(part) } else { Err(format!("it cannot continue the heap: {part:?}")) }
        });
        let widths = widths_of_job(session, infos.len(), opening)?;
        let job = JobNics::of(&widths, session.rank());
        let mut nics = Vec::with_capacity(infos.len());
        for (index, info) in infos.into_iter().enumerate() {
            let name = nic_name(config.nics.get(index), &info);
            nics.push(FabricNic::open(lib, info, &name, &heap, device.as_ref().ok(), &job)?);
        }
        let provider = nics.first().map(|nic| nic.info().provider()).unwrap_or_default();
        let wide_immediate = nics.iter().all(FabricNic::wide_immediate);
        let cards: Vec<_> = nics.iter().map(|nic| nic.card().clone()).collect();
        let refused = nics.iter().find_map(|nic| nic.no_device().map(ToOwned::to_owned));
        let device = device.and_then(|part| refused.map_or(Ok(part), Err));
        let bytes = device.as_ref().map(DevicePart::len).map_err(Clone::clone);
        let card = PeCard::new(config, provider.clone(), cards, &heap, bytes)?;
        let cards = PeCard::decode_all(&session.allgather(&card.encode()?, step)?, &widths)?;
        for (pe, other) in (0..).zip(&cards) {
            card.fits(session.rank(), other, pe)?;
        }
        let device = PeCard::device_of_all(&cards).and(device);
        let attached =
            device.and_then(|part| heap.attach(part).map_err(|part| format!("a second one: {part:?}")));
        if attached.is_err() {
            nics.iter_mut().for_each(FabricNic::let_go_of_device);
        }
        let names: Vec<_> = cards.iter().map(|card| card.nics.clone()).collect();
        for nic in &mut nics {
            nic.connect(&names)?;
        }
        let node = (config.intra_node == IntraNode::Direct).then_some(&*card.node);
        let locals = map_locals(session.rank(), node, &cards, &heap);
        // All heaps are mapped before anyone can leave and take its heap along.
        session.allgather(b"connected", step)?;
        let page = open_page(config, lib, session, &nics, &provider);
        let identities = nics.iter().zip(0..).map(|(nic, rail)| identity(config, nic, rail)).collect();
        let (producer, consumer) = ring(RING_DEPTH);
        let (proxy, shared) = Proxy::new(Parts {
            me: session.rank(),
            widths: widths.clone(),
            nics,
            wide_immediate,
            heap: Arc::clone(&heap),
            inline_max: MAX_INLINE as u64,
            policy: config.policy,
            commands: consumer,
            fault: fault.clone(),
            page,
            clock: Clock::System,
            nic_timeout: config.nic_timeout,
            progress: config.progress,
        });
        let driver = Arc::new(Driver::new(proxy));
        let running = Arc::clone(&driver);
        let thread = std::thread::Builder::new()
            .name("proxy".into())
            .spawn(move || running.run())
            .map_err(|source| TransportError::System { what: "cannot start the proxy thread", source })?;
        let nodes = cards.into_iter().map(|card| card.node).collect();
        Ok(Assembled {
            no_device: attached.err(),
            heap,
            locals,
            nodes,
            widths,
            identities,
            producer,
            shared,
            driver,
            thread,
            provider,
            wide_immediate,
        })
    }

    /// Finds out how received bytes can be known, then starts counting from zero on every PE at once.
    fn probe(&mut self, config: &PeConfig) -> Result<(), TransportError> {
        let world = self.world();
        let seen = if world > 1 { self.exchange_probes()? } else { (0, 0) };
        let wide = self.wide_immediate;
        let source = config.rx_source.unwrap_or(match seen {
            (landed, right) if landed > 0 && landed == right => RxSource::CqeLen,
            _ if wide => RxSource::ImmLen,
            _ => RxSource::Ledger,
        });
        if source == RxSource::ImmLen && !wide {
            return Err(TransportError::Mismatch(
                "IMM_LEN was asked for, but immediates have 4 bytes here".into(),
            ));
        }
        let (landed, right) = seen;
        if source == RxSource::CqeLen && right < landed {
            // Counting what is known to be wrong would show idle NICs under full load.
            return Err(TransportError::Failed(format!(
                "CQE_LEN was asked for, but only {right} of {landed} completions of {} told the right length here; \
                 leave --rx-source out, or say ledger",
                self.provider
            )));
        }
        let needs_ledger = [u8::from(source == RxSource::Ledger)];
        let ledger = self.allgather(&needs_ledger)?.iter().any(|part| part == &[1]);
        self.rx_source = source;
        self.push(Command::SetRxSource { source, ledger })?;
        self.totals()?;
        self.allgather(b"counting")?;
        Ok(())
    }

    /// Every PE writes a few bytes through each of its NICs to the next PE; returns how many landed here and how many
    /// of their completions had the right length.
    fn exchange_probes(&mut self) -> Result<(u64, u64), TransportError> {
        let (me, world) = (self.rank(), self.world());
        let (to, from) = ((me + 1) % world, (me + world - 1) % world);
        let signal = Signal { offset: PROBES, op: SignalOp::Add, value: 1 };
        for nic in 0..u16::try_from(self.identities.len()).unwrap_or(u16::MAX) {
            let remote = PROBE_TARGET + u64::from(nic) * PROBE_BYTES;
            self.push(Command::Probe { dst: to, nic, remote, signal })?;
        }
        let expected = self.widths.get(from as usize).copied().unwrap_or(0);
        self.wait_until(PROBES, Until::AtLeast(u64::from(expected)))?;
        // Nothing of the probing may complete when the counters have begun.
        self.quiet()?;
        let Totals { probes, .. } = self.totals()?;
        Ok(probes)
    }
}

/// A PE whose proxy runs but whose counters do not yet.
struct Assembled {
    heap: Arc<Heap>,
    no_device: Option<String>,
    locals: Vec<Option<Arc<Heap>>>,
    nodes: Vec<String>,
    widths: Vec<u16>,
    identities: Vec<NicIdentity>,
    producer: crate::transport::ring::Producer,
    shared: Arc<crate::transport::proxy::Shared>,
    driver: Arc<dyn Drive>,
    thread: std::thread::JoinHandle<()>,
    provider: String,
    wide_immediate: bool,
}

impl Assembled {
    fn into_pe(self, config: &PeConfig, session: Session, fault: Fault) -> Pe {
        let staging = Staging::bytes(config.heap_bytes);
        let end = self.heap.len();
        Pe {
            allocator: Allocator::new(end - staging),
            on_device: self.heap.device().map(|part| Allocator::of(end..end + part.len())),
            no_device: self.no_device,
            staging: Staging::at_end_of(&self.heap, staging),
            heap: self.heap,
            locals: self.locals,
            nodes: self.nodes,
            widths: self.widths,
            identities: self.identities,
            producer: self.producer,
            shared: self.shared,
            driver: self.driver,
            progress: config.progress,
            streak: AtomicBool::new(false),
            thread: Some(self.thread),
            session,
            fault,
            provider: self.provider,
            wide_immediate: self.wide_immediate,
            rx_source: RxSource::None,
            policy: config.policy,
            wait_limit: config.wait_limit,
            intra_node: config.intra_node,
            tickets: 0,
            epoch: 0,
            broadcasts: 0,
        }
    }
}

/// NICs of each PE, 1 to [`MAX_NICS`], by PE.
fn widths_of_job(session: &Session, own: usize, limit: Duration) -> Result<Vec<u16>, TransportError> {
    let counts = session.allgather(&[u8::try_from(own).unwrap_or(u8::MAX)], limit)?;
    let widths = (0..).zip(&counts).map(|(pe, count)| match count[..] {
        [count] if (1..=MAX_NICS).contains(&usize::from(count)) => Ok(u16::from(count)),
        _ => Err(FabricError::Card { pe, why: format!("it must have 1 to {MAX_NICS} NICs") }),
    });
    Ok(widths.collect::<Result<_, _>>()?)
}

/// What people call a NIC.
fn nic_name(request: Option<&NicRequest>, info: &Info) -> String {
    request
        .and_then(|request| request.device.clone().or_else(|| request.address.clone()))
        .or_else(|| info.facts().device)
        .unwrap_or_else(|| info.domain())
}

/// The heaps that can be reached by loads and stores: this PE's own and those of its node, if so wanted.
fn map_locals(me: u32, node: Option<&str>, cards: &[PeCard], own: &Arc<Heap>) -> Vec<Option<Arc<Heap>>> {
    let map = |(pe, card): (u32, &PeCard)| {
        if pe == me {
            return Some(Arc::clone(own));
        }
        let node = node.filter(|node| card.node == *node)?;
        let mapped = card.map_heap();
        if mapped.is_none() {
            eprintln!(
                "railtop: PE {me} cannot map the heap of PE {pe} on the same node ({node}); its data go over the NICs"
            );
        }
        mapped.map(Arc::new)
    };
    (0..).zip(cards).map(map).collect()
}

/// How a NIC appears in the counter page.
fn identity(config: &PeConfig, nic: &FabricNic, rail: u16) -> NicIdentity {
    let facts = nic.facts();
    let request = config.nics.get(usize::from(rail));
    let netdev = match request.and_then(|request| request.device.clone()) {
        Some(device) if facts.device.is_none() => device,
        _ => String::new(),
    };
    NicIdentity {
        domain: nic.info().domain(),
        device: facts.device.unwrap_or_else(|| nic.name().to_owned()),
        netdev,
        pci: facts.pci.unwrap_or_default(),
        numa: None,
        port: 1,
        link_bits_per_s: facts.link_bits_per_s.or(config.nic_bits_per_s),
        rail,
    }
}

/// The counter page. Without one the transport works all the same, so a failure is only said.
fn open_page(
    config: &PeConfig,
    lib: &Libfabric,
    session: &Session,
    nics: &[FabricNic],
    provider: &str,
) -> Option<PageWriter> {
    let path = config.page_dir.as_ref()?;
    let (major, minor) = lib.version();
    let spec = PageSpec {
        host: config.host.clone(),
        node: config.node.clone(),
        job: config.job.clone(),
        command: config.command.clone(),
        provider: provider.to_owned(),
        library_version: format!("{major}.{minor}"),
        rank: session.rank(),
        world: session.world(),
        local_rank: config.ranks.local_rank.unwrap_or(0),
        policy: config.policy.name().to_owned(),
        rx_source: RxSource::None,
        gpu: config.gpu.clone().unwrap_or_default(),
        nics: (0..).zip(nics).map(|(rail, nic)| identity(config, nic, rail)).collect(),
        threads: 1,
        // For programs that use libfabric in other ways.
        uncounted: vec!["read_posted_ops", "read_done_ops", "read_done_bytes", "atomic_ops", "seen_rx_bytes"],
        onlooker: false,
    };
    let page = PageDir::create(path).and_then(|dir| PageWriter::create(&dir, &spec));
    page.inspect_err(|error| {
        eprintln!(
            "railtop: PE {}: no counter page, the monitor will not see this PE: {error}",
            session.rank()
        );
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_start_may_take_as_long_as_a_wait() {
        let seconds = Duration::from_secs;
        assert_eq!(step_limit(seconds(5), STEP_LIMIT), STEP_LIMIT);
        assert_eq!(step_limit(seconds(600), STEP_LIMIT), seconds(600));
        assert_eq!(step_limit(seconds(0), DEVICE_LIMIT), seconds(0), "for ever");
    }
}
