//! The put test: NVSHMEM's `shmem_put_bw`.

use super::{Put, Traffic};
use crate::sim::scene::{MOST_BYTES, Scene, SceneError};
use crate::workload::plan::message_bytes;

/// PE 0 writes to the first PE of the next node, an iteration in as many puts as there are CTAs. So does every other pair of
/// nodes.
#[derive(Debug, Clone)]
pub struct PutTest {
    pes: u32,
    pes_per_node: u32,
    ctas: u32,
    len: u64,
}

impl PutTest {
    /// With `size` bytes an iteration.
    ///
    /// # Errors
    /// When a put has no byte, or too many.
    pub fn new(scene: &Scene, size: u64, ctas: u32) -> Result<Self, SceneError> {
        match message_bytes(size, ctas.into()) {
            0 => Err(SceneError::NoBytes { size }),
            len if len > MOST_BYTES => Err(SceneError::TooManyBytes(len)),
            len => Ok(Self { pes: scene.pes(), pes_per_node: scene.pes_per_node, ctas, len }),
        }
    }

    /// Bytes of an iteration.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.len * u64::from(self.ctas)
    }
}

impl Traffic for PutTest {
    type Stream = std::iter::RepeatN<Put>;

    fn stream(&self, pe: u32, _round: u32) -> Self::Stream {
        let pair = 2 * self.pes_per_node;
        let dst = pe + self.pes_per_node;
        let sends = pe.is_multiple_of(pair) && dst < self.pes;
        std::iter::repeat_n(Put { dst, len: self.len }, if sends { self.ctas as usize } else { 0 })
    }

    fn each(&self) -> u64 {
        self.ctas.into()
    }

    fn largest(&self) -> u64 {
        self.len
    }

    fn about(&self) -> u64 {
        u64::from(self.ctas) * u64::from(self.pes / (2 * self.pes_per_node))
    }
}
