//! Where the heap of kernels lies, which all PEs must agree on, and opening each other's.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::device::{Gpu, Uuid};
use super::error::GpuError;
use super::heap::KernelHeap;
use super::launch::Greeting;
use super::memory::{DeviceMemory, OpenedMemory};
use super::rings::RingMemory;
use super::view::Visible;
use crate::transport::error::TransportError;
use crate::transport::heap::{Heap, RESERVED};

/// Which memory the heap of kernels lies in (`--heap`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum HeapKind {
    /// The GPUs', if every PE or every NIC reaches every other one's there; else the hosts'.
    #[default]
    Auto,
    /// The GPUs'.
    Device,
    /// The hosts'.
    Host,
}

/// What has to be known of a job.
pub struct Party<'a> {
    /// This PE's number.
    pub me: u32,
    /// PEs of the job.
    pub pes: u32,
    /// This PE's heap, or the part of it in the host's memory.
    pub heap: &'a Arc<Heap>,
    /// By PE: the heaps of those that loads and stores may reach.
    pub reached: &'a [Option<Arc<Heap>>],
    /// Why some PE has to be reached over NICs, if one has.
    pub by_nic: Option<String>,
    /// Why the GPUs' memory does not continue the heap that NICs reach; the same on all PEs.
    pub no_part: Option<String>,
    /// Gives every PE every PE's bytes, by rank.
    pub allgather: &'a Allgather<'a>,
}

/// Gives every PE every PE's bytes, by rank.
pub type Allgather<'a> = dyn Fn(&[u8]) -> Result<Vec<Vec<u8>>, TransportError> + 'a;

/// What all PEs agreed on.
#[derive(Debug)]
pub struct Shared {
    /// Heaps and rings as kernels see them.
    pub visible: Visible,
    /// PEs that have this PE's GPU, this one included.
    pub sharers: u32,
    /// Why it is not the GPU's memory although it might have been.
    pub why_host: Option<String>,
}

/// What a PE tells the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Card {
    kind: HeapKind,
    gpu: Uuid,
    /// Of its memory, if it has any for this.
    bytes: Option<u64>,
    /// With it others open this PE's heap.
    handle: Option<Vec<u8>>,
}

/// A word of greeting for each PE lies at the start of the heap.
const MOST_PES: u64 = RESERVED / 8;

/// Makes the heap of kernels: in the GPUs' memory, `own` here, if every PE reaches every other one's; else in both kinds of
/// memory, if NICs reach the GPUs'; else in the hosts'. Every PE must call it, and gets the same.
///
/// # Errors
/// When the GPUs' memory was asked for and cannot be it, the driver refuses, or PEs ask for different things.
pub fn share(
    gpu: &Gpu,
    party: &Party<'_>,
    kind: HeapKind,
    own: Result<Arc<DeviceMemory>, String>,
    rings: &RingMemory,
) -> Result<Shared, GpuError> {
    let see = |heap| Visible::new(gpu, party.me, party.pes, heap, rings);
    let host = || see(KernelHeap::host(gpu, party.heap, party.reached)?);
    let own = own.and_then(|own| match kind {
        HeapKind::Host => Err("the host's was asked for".into()),
        _ => Ok(own),
    });
    let handle = own.clone().and_then(|own| own.handle().map_err(|error| error.to_string()));
    let bytes = own.as_ref().ok().map(|own| own.len());
    let card = Card { kind, gpu: gpu.uuid()?, bytes, handle: handle.as_ref().ok().cloned() };
    let cards: Vec<Card> = party.exchange(&card)?;
    let sharers = fits(party.me, &cards)?;
    if kind == HeapKind::Host {
        return Ok(Shared { visible: host()?, sharers, why_host: None });
    }
    let (mut peers, why) = open(gpu, party, &cards);
    let why = party.by_nic.clone().or(handle.err()).or(why).or_else(|| party.too_many());
    let mut verdict = party.verdict(why.as_deref())?;
    // Whoever has none of it has said why, and nobody uses it then.
    if let Ok(own) = &own
        && (verdict.is_none() || party.no_part.is_none())
    {
        let heap = KernelHeap::Device { peers, own: Arc::clone(own) };
        let visible = see(heap)?;
        let greeted = greet(gpu, party, &visible)?;
        verdict = verdict.or_else(|| greeted.iter().flatten().next().map(|(_, why)| why.clone()));
        if verdict.is_none() {
            return Ok(Shared { visible, sharers, why_host: None });
        }
        peers = match visible.into_heap() {
            KernelHeap::Device { peers, .. } => peers,
            KernelHeap::Host { .. } | KernelHeap::Both { .. } => Vec::new(),
        };
        for (peer, missing) in peers.iter_mut().zip(&greeted) {
            if missing.iter().any(|(src, _)| *src == party.me) {
                *peer = None;
            }
        }
        own.write(0, &vec![0; 8 * party.pes as usize])?;
        party.exchange(&())?;
    }
    match (own, &party.no_part) {
        (Ok(own), None) => {
            let visible = see(KernelHeap::both(gpu, party.heap, own, peers)?)?;
            return Ok(Shared { visible, sharers, why_host: None });
        }
        (own, _) => {
            drop(peers);
            // Nobody gives back what somebody else has open: after an error on the way it stays until the process ends.
            party.exchange(&())?;
            if let Ok(own) = own {
                own.returned();
            }
        }
    }
    let why_host = [verdict, party.no_part.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ");
    if kind == HeapKind::Device {
        return Err(GpuError::NoDeviceHeap(why_host));
    }
    Ok(Shared { visible: host()?, sharers, why_host: Some(why_host) })
}

/// Holds all cards against this PE's own; returns how many PEs have its GPU.
fn fits(me: u32, cards: &[Card]) -> Result<u32, GpuError> {
    let mismatch = |text: String| GpuError::from(Box::new(TransportError::Mismatch(text)));
    let own = cards.get(me as usize).ok_or_else(|| mismatch("a PE has said nothing of its GPU".into()))?;
    for (pe, card) in cards.iter().enumerate() {
        let differ = matches!((own.bytes, card.bytes), (Some(mine), Some(theirs)) if mine != theirs);
        if differ || card.kind != own.kind {
            let bytes = |bytes: Option<u64>| bytes.map_or("no".to_owned(), |bytes| bytes.to_string());
            let (mine, theirs) = (bytes(own.bytes), bytes(card.bytes));
            return Err(mismatch(format!(
                "heap of kernels: PE {me} has {:?} of {mine} bytes, PE {pe} has {:?} of {theirs} bytes",
                own.kind, card.kind
            )));
        }
    }
    let sharers = cards.iter().filter(|card| card.gpu == own.gpu).count();
    Ok(u32::try_from(sharers).unwrap_or(u32::MAX))
}

/// Opens the heaps of PEs of this node; with the first reason why one cannot be.
fn open(gpu: &Gpu, party: &Party<'_>, cards: &[Card]) -> (Vec<Option<OpenedMemory>>, Option<String>) {
    let mut why = None;
    let open = |(pe, card): (u32, &Card)| {
        // Who has none says itself why.
        let handle = card.handle.as_ref().filter(|_| pe != party.me && party.is_near(pe))?;
        let opened = gpu.reaches(card.gpu).and_then(|()| OpenedMemory::open(gpu, handle));
        let opened =
            opened.map_err(|error| format!("PE {pe}'s memory is not reached from PE {}: {error}", party.me));
        opened.map_err(|error| why.get_or_insert(error)).ok()
    };
    ((0..).zip(cards).map(open).collect(), why)
}

/// A PE whose greeting has not come as it should, and what to say of it.
type Missing = (u32, String);

/// Every GPU adds to a word of the heap of each that it should reach: memory that is said to be reached is not always. Returns by PE
/// what has not come there.
fn greet(gpu: &Gpu, party: &Party<'_>, visible: &Visible) -> Result<Vec<Vec<Missing>>, GpuError> {
    let KernelHeap::Device { own, peers } = visible.heap() else { return Ok(Vec::new()) };
    let reached: Vec<bool> =
        (0..).zip(peers).map(|(pe, peer): (u32, _)| pe == party.me || peer.is_some()).collect();
    Greeting::load(gpu)?.launch(gpu, visible.view())?;
    let rows: Vec<Vec<bool>> = party.exchange(&reached)?;
    let mut bytes = vec![0; 8 * party.pes as usize];
    own.read(0, &mut bytes)?;
    party.exchange(&greeted(party.me, &bytes, &rows))
}

/// What is wrong with the words of greeting that have come; `rows`: which PEs each PE should reach.
fn greeted(me: u32, bytes: &[u8], rows: &[Vec<bool>]) -> Vec<Missing> {
    let (words, _) = bytes.as_chunks();
    let pes = words.len() as u64;
    let text = "what its GPU wrote did not come (an IOMMU or PCIe's access control between GPUs?)";
    let missing = |((src, word), row): ((u32, &[u8; 8]), &Vec<bool>)| {
        let want = 1 + u64::from(src) * pes + u64::from(me);
        let due = row.get(me as usize) == Some(&true) && u64::from_le_bytes(*word) != want;
        due.then(|| (src, format!("PE {me} is not reached from PE {src}: {text}")))
    };
    (0..).zip(words).zip(rows).filter_map(missing).collect()
}

impl Party<'_> {
    /// Whether loads and stores may reach a PE.
    fn is_near(&self, pe: u32) -> bool {
        self.reached.get(pe as usize).is_some_and(Option::is_some)
    }

    /// Why not all can greet each other.
    fn too_many(&self) -> Option<String> {
        let many = u64::from(self.pes) > MOST_PES;
        many.then(|| format!("{} PEs are more than the {MOST_PES} that fit", self.pes))
    }

    /// Gives every PE every PE's value.
    fn exchange<T: Serialize + for<'de> Deserialize<'de>>(&self, value: &T) -> Result<Vec<T>, GpuError> {
        let unreadable = |error: serde_json::Error| {
            Box::new(TransportError::Mismatch(format!("what a PE says of its GPU cannot be read: {error}")))
        };
        let bytes = serde_json::to_vec(value).map_err(unreadable)?;
        let parts = (self.allgather)(&bytes).map_err(Box::new)?;
        parts.iter().map(|part| serde_json::from_slice(part).map_err(|e| unreadable(e).into())).collect()
    }

    /// The first PE's reason against, if any has one: the same on all.
    fn verdict(&self, why: Option<&str>) -> Result<Option<String>, GpuError> {
        Ok(self.exchange(&why.map(str::to_owned))?.into_iter().flatten().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(kind: HeapKind, gpu: u8, bytes: u64) -> Card {
        Card { kind, gpu: [gpu; 16], bytes: Some(bytes), handle: None }
    }

    #[test]
    fn pes_that_ask_for_different_heaps_do_not_fit() {
        let auto = |gpu| card(HeapKind::Auto, gpu, 100);
        assert_eq!(fits(1, &[auto(1), auto(2), auto(2)]).unwrap(), 2);
        for other in [card(HeapKind::Host, 1, 100), card(HeapKind::Auto, 1, 101)] {
            let error = fits(0, &[auto(1), other]).unwrap_err().to_string();
            assert!(error.contains("PE 0 has Auto of 100 bytes, PE 1 has"), "{error}");
        }
        assert!(fits(2, &[auto(1)]).is_err());
    }

    #[test]
    fn a_greeting_that_has_not_come_is_found() {
        let greeted = |words: [u64; 3], rows: &[Vec<bool>]| {
            let bytes: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            super::greeted(1, &bytes, rows)
        };
        let all = [vec![true; 3], vec![true; 3], vec![true; 3]];
        assert_eq!(greeted([2, 5, 8], &all), []);
        let missing = greeted([2, 5, 0], &all);
        assert!(missing[0].0 == 2 && missing[0].1.contains("PE 1 is not reached from PE 2"), "{missing:?}");
        assert_eq!(greeted([3, 5, 8], &all).len(), 1, "what came was for another PE");
        let two_is_far = [vec![true, true, false], vec![true, true, false], vec![false, false, true]];
        assert_eq!(greeted([2, 5, 0], &two_is_far), []);
    }

    #[test]
    fn the_first_reason_is_everybodys() {
        let others =
            [None, Some("no peer access"), Some("no memory")].map(|why| serde_json::to_vec(&why).unwrap());
        let allgather = move |_: &[u8]| Ok(others.to_vec());
        let heap = Arc::new(Heap::create(RESERVED).unwrap());
        let party = Party {
            me: 0,
            pes: 3,
            heap: &heap,
            reached: &[],
            by_nic: None,
            no_part: None,
            allgather: &allgather,
        };
        assert_eq!(party.verdict(None).unwrap().as_deref(), Some("no peer access"));
        let garbage = |_: &[u8]| Ok(vec![b"?".to_vec()]);
        let party = Party { allgather: &garbage, ..party };
        assert!(party.verdict(None).unwrap_err().to_string().contains("cannot be read"));
    }
}
