//! When rows travel together, and how many of them.

/// Whether rows to one PE may share puts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Batch {
    /// A put for each token and expert, as in pplx-kernels.
    #[default]
    Off,
    /// Few large puts where that is faster.
    Auto,
}

impl Batch {
    /// The name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Auto => "auto",
        }
    }

    /// Whether rows travel together to a PE that a NIC leads to, when the longer ones (those that come back) have `row_bytes`
    /// and there are about `rows` of them. Both ends must come to the same, so it rests on what both know.
    #[must_use]
    pub fn together(self, row_bytes: u64, rows: u64) -> bool {
        self == Self::Auto && rows >= LEAST_ROWS && row_bytes <= MOST_ROW
    }
}

/// With fewer rows there is nothing to save.
const LEAST_ROWS: u64 = 2;

/// Longer rows take longer to be gathered than their messages would: combine by batches was 2.1, 1.2, 0.8 and 1.7 times as
/// fast with rows of 2, 8, 14 and 32 KiB, and 0.7 times with 128 KiB (docs/performance.md).
const MOST_ROW: u64 = 32 << 10;

/// Bytes of a put from which on its bytes and not its messages are what takes time.
const LEAST_CHUNK: u64 = 32 << 10;

/// Larger ones save nothing more, and the receiver would wait longer for the first.
const MOST_CHUNK: u64 = 256 << 10;

/// How many rows of `row_bytes` one put takes, when there are `rows` for one PE and `nics` NICs: as many puts as give each NIC
/// the same, unless they became too small.
#[must_use]
pub fn rows_of_chunk(row_bytes: u64, rows: u64, nics: u64) -> u64 {
    let (bytes, nics) = (row_bytes.saturating_mul(rows), nics.max(1));
    let worth = bytes / LEAST_CHUNK;
    let puts = if worth < nics { worth.max(1) } else { bytes.div_ceil(MOST_CHUNK).next_multiple_of(nics) };
    rows.div_ceil(puts).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nics_share_what_is_worth_sharing() {
        let puts = |rows: u64, chunk: u64| rows.div_ceil(chunk);
        let chunk = rows_of_chunk(14_336, 515, 4);
        assert_eq!((chunk, puts(515, chunk)), (17, 31), "of 7.4 MB eight for each NIC, seven for one");
        let chunk = rows_of_chunk(4096, 384, 4);
        assert_eq!((chunk, puts(384, chunk)), (48, 8), "six would keep two NICs busy longer than the others");
        assert_eq!(rows_of_chunk(7424, 64, 4), 16);
        assert_eq!(rows_of_chunk(7424, 8, 4), 8, "less than 32 KiB for each of two");
        assert_eq!(rows_of_chunk(7424, 16, 4), 6, "three NICs");
        assert_eq!(rows_of_chunk(1 << 20, 8, 4), 1);
        assert_eq!(rows_of_chunk(0, 0, 0), 1, "and no row is no put's worth");
    }

    #[test]
    fn few_and_large_rows_travel_alone() {
        assert!(Batch::Auto.together(14_336, 2) && !Batch::Auto.together(14_336, 1));
        assert!(Batch::Auto.together(32 << 10, 2) && !Batch::Auto.together((32 << 10) + 1, 100));
        assert!(!Batch::Off.together(14_336, 100));
    }
}
