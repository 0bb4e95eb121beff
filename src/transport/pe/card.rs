//! What each PE tells all others at the start.

use std::fs::File;

use serde::{Deserialize, Serialize};

use super::config::PeConfig;
use crate::transport::error::TransportError;
use crate::transport::fabric::{FabricError, NicCard};
use crate::transport::heap::{Heap, reserved};

/// A PE's description of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PeCard {
    pub(super) node: String,
    pub(super) provider: String,
    pub(super) nics: Vec<NicCard>,
    pub(super) heap_bytes: u64,
    /// Of a device's memory, which all of its NICs reach; or why there is none.
    pub(super) device: Result<u64, String>,
    pid: u32,
    heap_fd: i32,
    heap_tag: u64,
}

impl PeCard {
    /// This PE's card; marks `heap` with a random tag.
    pub(super) fn new(
        config: &PeConfig,
        provider: String,
        nics: Vec<NicCard>,
        heap: &Heap,
        device: Result<u64, String>,
    ) -> Result<Self, TransportError> {
        let mut tag = [0; 8];
        getrandom::fill(&mut tag)
            .map_err(|error| TransportError::Failed(format!("no randomness: {error}")))?;
        let heap_tag = u64::from_le_bytes(tag);
        heap.word(reserved::TAG)?.store(heap_tag, std::sync::atomic::Ordering::Release);
        Ok(Self {
            node: config.node.clone(),
            provider,
            nics,
            heap_bytes: heap.len(),
            device,
            pid: std::process::id(),
            heap_fd: heap.fd(),
            heap_tag,
        })
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, TransportError> {
        serde_json::to_vec(self).map_err(|error| TransportError::Failed(error.to_string()))
    }

    /// Reads all cards, by rank; PEs have said before that they have `widths` NICs, and by that all have opened theirs.
    pub(super) fn decode_all(parts: &[Vec<u8>], widths: &[u16]) -> Result<Vec<Self>, TransportError> {
        (0..)
            .zip(parts.iter().zip(widths))
            .map(|(pe, (bytes, &width))| {
                let bad = |why: String| TransportError::Fabric(FabricError::Card { pe, why });
                let card: Self = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
                let described = card.nics.len();
                if described != usize::from(width) {
                    return Err(bad(format!(
                        "it describes {described} NICs and has said that it has {width}"
                    )));
                }
                if card.device.is_ok() && card.nics.iter().any(|nic| nic.device.is_none()) {
                    return Err(bad("a GPU's memory that not all of its NICs reach".into()));
                }
                Ok(card)
            })
            .collect()
    }

    /// Holds this PE's card against another's.
    pub(super) fn fits(&self, me: u32, other: &Self, pe: u32) -> Result<(), TransportError> {
        let differ = |what: &str, mine: String, theirs: String| {
            Err(TransportError::Mismatch(format!("{what}: PE {me} has {mine}, PE {pe} has {theirs}")))
        };
        if self.heap_bytes != other.heap_bytes {
            return differ(
                "bytes of symmetric heap",
                self.heap_bytes.to_string(),
                other.heap_bytes.to_string(),
            );
        }
        if self.provider != other.provider {
            return differ("libfabric provider", self.provider.clone(), other.provider.clone());
        }
        if let (Ok(mine), Ok(theirs)) = (&self.device, &other.device)
            && mine != theirs
        {
            return differ("bytes of heap in the GPU's memory", mine.to_string(), theirs.to_string());
        }
        Ok(())
    }

    /// Whether every PE has memory of a device that NICs reach, or whose reason it is that nobody uses any.
    pub(super) fn device_of_all(cards: &[Self]) -> Result<(), String> {
        let why =
            (0..).zip(cards).find_map(|(pe, card): (u32, &Self)| Some((pe, card.device.as_ref().err()?)));
        why.map_or(Ok(()), |(pe, why)| Err(format!("PE {pe}: {}", crate::text::printable(why))))
    }

    /// Maps the heap of a PE of the same node. `None` when that is not possible (another PID namespace, say):
    /// its data then go over the NICs.
    pub(super) fn map_heap(&self) -> Option<Heap> {
        let path = format!("/proc/{}/fd/{}", self.pid, self.heap_fd);
        let file = File::options().read(true).write(true).open(path).ok()?;
        let heap = Heap::open(file, self.heap_bytes).ok()?;
        let tag = heap.word(reserved::TAG).ok()?.load(std::sync::atomic::Ordering::Acquire);
        (tag == self.heap_tag).then_some(heap)
    }
}
