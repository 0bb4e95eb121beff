//! A layer's numbers, and how many bytes pplx-kernels' benchmark counts for it.

use crate::workload::WorkloadError;

/// Values that share a scale.
pub const VALUES_PER_SCALE: u32 = 128;

/// Bytes of a slot are a multiple of this, as in pplx-kernels.
const SLOT_UNIT: u64 = 16;

/// Most tokens of a PE: 16 bits of a signal count them.
pub const MOST_TOKENS: u32 = 4096;

/// Most experts of a token, so that 20 bits of a signal count all rows of a PE.
pub const MOST_TOPK: u32 = 64;

/// Experts of a layer, how many of them each token goes to, and how long a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Experts, over all PEs.
    pub experts: u32,
    /// Experts that each token goes to.
    pub topk: u32,
    /// Values of a token.
    pub dim: u32,
}

impl Shape {
    /// The first of pplx-kernels' two.
    pub const E64: Self = Self { experts: 64, topk: 6, dim: 2048 };
    /// The second.
    pub const E256: Self = Self { experts: 256, topk: 8, dim: 7168 };

    /// Whether there can be such a layer.
    ///
    /// # Errors
    /// When not, with what is wrong.
    pub fn check(self) -> Result<(), WorkloadError> {
        let Self { experts, topk, dim } = self;
        let wrong = if experts == 0 || experts > 65_536 {
            "--experts: 1 to 65536".to_owned()
        } else if topk == 0 || topk > experts.min(MOST_TOPK) {
            format!("--topk {topk}: 1 to {} of {experts} experts", experts.min(MOST_TOPK))
        } else if dim == 0 || !dim.is_multiple_of(16) || dim > 1 << 20 {
            format!("--dim {dim}: a multiple of 16, up to 1048576")
        } else {
            return Ok(());
        };
        Err(WorkloadError::Usage(wrong))
    }

    /// Why a job of `world` PEs cannot run it, if it cannot: each PE has the same number of experts, and at least one.
    #[must_use]
    pub fn unfit(self, world: u32) -> Option<String> {
        let experts = self.experts;
        if world > experts {
            Some(format!("{experts} experts are too few for {world} PEs"))
        } else if !experts.is_multiple_of(world.max(1)) {
            Some(format!("{experts} experts cannot be shared out evenly among {world} PEs"))
        } else {
            None
        }
    }

    /// Experts of each PE.
    #[must_use]
    pub fn local(self, world: u32) -> u32 {
        self.experts / world.max(1)
    }

    /// The most experts of one PE that a token can go to.
    #[must_use]
    pub fn most_of_one(self, world: u32) -> u32 {
        self.topk.min(self.local(world))
    }

    /// Scales of a token.
    #[must_use]
    pub fn scales(self) -> u32 {
        self.dim.div_ceil(VALUES_PER_SCALE)
    }

    /// Bytes of a token on its way to an expert: values of one byte, and scales of four.
    #[must_use]
    pub fn row_bytes(self) -> u64 {
        u64::from(self.dim) + 4 * u64::from(self.scales())
    }

    /// Bytes of a row with the number of its token behind it, rounded up: what one put moves.
    #[must_use]
    pub fn slot_bytes(self) -> u64 {
        (self.row_bytes() + 4).next_multiple_of(SLOT_UNIT)
    }

    /// Bytes of a row in a batch: behind it the token's number and two bytes for each expert of the target that wants it.
    #[must_use]
    pub fn record_bytes(self, world: u32) -> u64 {
        (self.row_bytes() + 4 + 2 * u64::from(self.most_of_one(world))).next_multiple_of(SLOT_UNIT)
    }

    /// Bytes in front of the rows of a batch: a word for each expert of the target.
    #[must_use]
    pub fn header_bytes(self, world: u32) -> u64 {
        (8 * u64::from(self.local(world))).next_multiple_of(SLOT_UNIT)
    }

    /// Bytes of a token on its way back: values of two bytes.
    #[must_use]
    pub fn expert_row_bytes(self) -> u64 {
        2 * u64::from(self.dim)
    }

    /// Bytes that a PE dispatches, as pplx-kernels' benchmark counts them (`bench_all_to_all.py`): rows without padding, to
    /// its own experts, too.
    #[must_use]
    pub fn dispatch_bytes(self, tokens: u32) -> u64 {
        u64::from(tokens) * u64::from(self.topk) * self.row_bytes()
    }

    /// The same of what comes back.
    #[must_use]
    pub fn combine_bytes(self, tokens: u32) -> u64 {
        u64::from(tokens) * u64::from(self.topk) * self.expert_row_bytes()
    }

    /// The same of the plain all-to-all: a place for every token at every expert.
    #[must_use]
    pub fn alltoall_bytes(self, tokens: u32) -> u64 {
        u64::from(self.experts) * u64::from(tokens) * self.row_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pplx_s_figures() {
        // With 128 tokens, as its benchmark prints them.
        let bytes =
            |shape: Shape| [shape.dispatch_bytes(128), shape.combine_bytes(128), shape.alltoall_bytes(128)];
        assert_eq!(bytes(Shape::E64), [1_622_016, 3_145_728, 17_301_504]);
        assert_eq!(bytes(Shape::E256), [7_569_408, 14_680_064, 242_221_056]);
        assert_eq!([Shape::E64, Shape::E256].map(Shape::row_bytes), [2112, 7392]);
        assert_eq!([Shape::E64, Shape::E256].map(Shape::slot_bytes), [2128, 7408]);
        assert_eq!([Shape::E64, Shape::E256].map(|shape| shape.record_bytes(4)), [2128, 7424]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for shape in [Shape::E64, Shape::E256, Shape { experts: 1, topk: 1, dim: 16 }] {
            shape.check().unwrap();
        }
        let refused = |shape: Shape, why: &str| {
            let error = shape.check().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        refused(Shape { experts: 0, ..Shape::E64 }, "--experts");
        refused(Shape { topk: 0, ..Shape::E64 }, "--topk 0");
        refused(Shape { topk: 5, experts: 4, ..Shape::E64 }, "1 to 4 of 4 experts");
        refused(Shape { topk: 65, ..Shape::E256 }, "1 to 64");
        refused(Shape { dim: 100, ..Shape::E64 }, "a multiple of 16");
    }

    #[test]
    fn experts_are_shared_out_evenly_or_not_at_all() {
        assert_eq!(Shape::E64.unfit(64), None);
        assert!(Shape::E64.unfit(65).unwrap().contains("too few"));
        assert!(Shape::E64.unfit(6).unwrap().contains("evenly"));
        assert_eq!((Shape::E64.local(4), Shape::E64.most_of_one(4), Shape::E64.most_of_one(32)), (16, 6, 2));
    }
}
