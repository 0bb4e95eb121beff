//! Where the heap of kernels lies, which all PEs must agree on, and opening each other's.

use serde::{Deserialize, Serialize};

use super::device::{Gpu, Uuid};
use super::error::GpuError;
use super::heap::KernelHeap;
use super::launch::Greeting;
use super::memory::{DeviceMemory, OpenedMemory};
use super::rings::RingMemory;
use super::view::Visible;
use crate::transport::error::TransportError;
use crate::transport::heap::RESERVED;

/// Which memory the heap of kernels lies in (`--heap`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum HeapKind {
    /// The GPUs', if every PE reaches every other one's there; else the hosts'.
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
    /// Why some PE has to be reached over NICs, if one has.
    pub by_nic: Option<String>,
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
    bytes: u64,
    /// With it others open this PE's heap.
    handle: Option<Vec<u8>>,
}

/// A word of greeting for each PE lies at the start of the heap.
const MOST_PES: u64 = RESERVED / 8;

/// Makes the heap of kernels, of at least `bytes` bytes if it is the GPU's own: every PE must call it, and gets the same kind.
/// `host` makes the one in the host's memory.
///
/// # Errors
/// When the GPUs' memory was asked for and cannot be it, the driver refuses, or PEs ask for different things.
pub fn share(
    gpu: &Gpu,
    party: &Party<'_>,
    kind: HeapKind,
    bytes: u64,
    rings: &RingMemory,
    host: impl FnOnce() -> Result<KernelHeap, GpuError>,
) -> Result<Shared, GpuError> {
    let offered = offer(gpu, party, kind, bytes);
    let (own, mut why) = match offered {
        Ok((memory, handle)) => (Some((memory, handle)), None),
        Err(why) => (None, Some(why)),
    };
    let handle = own.as_ref().map(|(_, handle)| handle.clone());
    let cards: Vec<Card> = party.exchange(&Card { kind, gpu: gpu.uuid()?, bytes, handle })?;
    let sharers = fits(party.me, &cards)?;
    if kind == HeapKind::Host {
        let visible = Visible::new(gpu, party.me, party.pes, host()?, rings)?;
        return Ok(Shared { visible, sharers, why_host: None });
    }
    let mut peers = Vec::new();
    if why.is_none() {
        match open(gpu, party.me, &cards) {
            Ok(opened) => peers = opened,
            Err(reason) => why = Some(reason),
        }
    }
    let mut verdict = party.verdict(why.as_deref())?;
    // Nobody gives back what somebody else has open: after an error on the way it stays until the process ends.
    match (own, verdict.is_none()) {
        (Some((own, _)), true) => {
            let heap = KernelHeap::Device { peers, own };
            let mut visible = Visible::new(gpu, party.me, party.pes, heap, rings)?;
            verdict = greet(gpu, party, &visible)?;
            if verdict.is_none() {
                return Ok(Shared { visible, sharers, why_host: None });
            }
            visible.close();
            party.exchange(&())?;
            visible.returned();
        }
        (own, _) => {
            drop(peers);
            party.exchange(&())?;
            if let Some((mut own, _)) = own {
                own.returned();
            }
        }
    }
    let why_host = verdict.unwrap_or_default();
    if kind == HeapKind::Device {
        return Err(GpuError::NoDeviceHeap(why_host));
    }
    let visible = Visible::new(gpu, party.me, party.pes, host()?, rings)?;
    Ok(Shared { visible, sharers, why_host: Some(why_host) })
}

/// This PE's heap in its GPU's memory, with the handle by which others open it; or why there is none.
fn offer(
    gpu: &Gpu,
    party: &Party<'_>,
    kind: HeapKind,
    bytes: u64,
) -> Result<(DeviceMemory, Vec<u8>), String> {
    if kind == HeapKind::Host {
        return Err("the host's was asked for".into());
    }
    if let Some(why) = &party.by_nic {
        return Err(why.clone());
    }
    if u64::from(party.pes) > MOST_PES {
        return Err(format!("{} PEs are more than the {MOST_PES} that fit", party.pes));
    }
    let mut memory = DeviceMemory::take(gpu, bytes).map_err(|error| error.to_string())?;
    let handle = memory.handle().map_err(|error| error.to_string())?;
    Ok((memory, handle))
}

/// Holds all cards against this PE's own; returns how many PEs have its GPU.
fn fits(me: u32, cards: &[Card]) -> Result<u32, GpuError> {
    let mismatch = |text: String| GpuError::from(Box::new(TransportError::Mismatch(text)));
    let own = cards.get(me as usize).ok_or_else(|| mismatch("a PE has said nothing of its GPU".into()))?;
    for (pe, card) in cards.iter().enumerate() {
        if (card.kind, card.bytes) != (own.kind, own.bytes) {
            return Err(mismatch(format!(
                "heap of kernels: PE {me} has {:?} of {} bytes, PE {pe} has {:?} of {} bytes",
                own.kind, own.bytes, card.kind, card.bytes
            )));
        }
    }
    let sharers = cards.iter().filter(|card| card.gpu == own.gpu).count();
    Ok(u32::try_from(sharers).unwrap_or(u32::MAX))
}

/// Opens the others' heaps, or says why one cannot be.
fn open(gpu: &Gpu, me: u32, cards: &[Card]) -> Result<Vec<Option<OpenedMemory>>, String> {
    let open = |(pe, card): (u32, &Card)| {
        if pe == me {
            return Ok(None);
        }
        // Who has none says itself why.
        let Some(handle) = &card.handle else { return Ok(None) };
        let opened = gpu.reaches(card.gpu).and_then(|()| OpenedMemory::open(gpu, handle));
        opened.map(Some).map_err(|why| format!("PE {pe}'s memory is not reached from PE {me}: {why}"))
    };
    (0..).zip(cards).map(open).collect()
}

/// Every GPU adds to a word of every other one's heap: memory that is said to be reached is not always.
fn greet(gpu: &Gpu, party: &Party<'_>, visible: &Visible) -> Result<Option<String>, GpuError> {
    Greeting::load(gpu)?.launch(gpu, visible.view())?;
    party.exchange(&())?;
    let KernelHeap::Device { own, .. } = visible.heap() else { return Ok(None) };
    let mut bytes = vec![0; 8 * party.pes as usize];
    own.read(0, &mut bytes)?;
    party.verdict(greeted(party.me, &bytes).as_deref())
}

/// What is wrong with the words of greeting that have come.
fn greeted(me: u32, bytes: &[u8]) -> Option<String> {
    let (words, _) = bytes.as_chunks();
    let pes = words.len() as u64;
    (0..pes).zip(words).find_map(|(src, &word)| {
        let (got, want) = (u64::from_le_bytes(word), 1 + src * pes + u64::from(me));
        let text = "what its GPU wrote did not come (an IOMMU or PCIe's access control between GPUs?)";
        (got != want).then(|| format!("PE {me} is not reached from PE {src}: {text}"))
    })
}

impl Party<'_> {
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
        Card { kind, gpu: [gpu; 16], bytes, handle: None }
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
        let bytes = |words: [u64; 3]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        assert_eq!(greeted(1, &bytes([2, 5, 8])), None);
        let why = greeted(1, &bytes([2, 5, 0])).unwrap();
        assert!(why.contains("PE 1 is not reached from PE 2"), "{why}");
        assert!(greeted(1, &bytes([3, 5, 8])).is_some(), "what came was for another PE");
    }

    #[test]
    fn the_first_reason_is_everybodys() {
        let others =
            [None, Some("no peer access"), Some("no memory")].map(|why| serde_json::to_vec(&why).unwrap());
        let allgather = move |_: &[u8]| Ok(others.to_vec());
        let party = Party { me: 0, pes: 3, by_nic: None, allgather: &allgather };
        assert_eq!(party.verdict(None).unwrap().as_deref(), Some("no peer access"));
        let garbage = |_: &[u8]| Ok(vec![b"?".to_vec()]);
        let party = Party { allgather: &garbage, ..party };
        assert!(party.verdict(None).unwrap_err().to_string().contains("cannot be read"));
    }
}
