//! The kernels, embedded as source.

/// What kernels include: the line that does, and what it stands for.
const HEADERS: [(&str, &str); 2] = [
    ("#include \"railtop.cuh\"\n", include_str!("../../../kernels/railtop.cuh")),
    ("#include \"pattern.cuh\"\n", include_str!("../../../kernels/pattern.cuh")),
];

/// A file of kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Its name in `kernels/`.
    pub name: &'static str,
    text: &'static str,
}

impl Source {
    /// A file of kernels of somebody else's.
    #[must_use]
    pub const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text }
    }

    /// The text with what it includes: NVRTC has no files to look into.
    #[must_use]
    pub fn whole(&self) -> String {
        let insert = |text: String, (line, header): (&str, &str)| text.replacen(line, header, 1);
        HEADERS.into_iter().fold(self.text.to_owned(), insert)
    }
}

/// Posting by itself: what ring and proxy are measured and tested with.
pub const POST: Source = Source { name: "post.cu", text: include_str!("../../../kernels/post.cu") };

/// `bench put`.
pub const PUT: Source = Source { name: "put.cu", text: include_str!("../../../kernels/put.cu") };

/// `bench alltoall`.
pub const ALL_TO_ALL: Source =
    Source { name: "alltoall.cu", text: include_str!("../../../kernels/alltoall.cu") };

/// `bench moe`.
pub const MOE: Source = Source { name: "moe.cu", text: include_str!("../../../kernels/moe.cu") };

/// Filling and checking data.
pub const VERIFY: Source = Source { name: "verify.cu", text: include_str!("../../../kernels/verify.cu") };

/// All files.
pub const ALL: [Source; 5] = [POST, PUT, ALL_TO_ALL, MOE, VERIFY];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_includes_the_header_once() {
        for source in ALL {
            let text = source.whole();
            assert_eq!(text.matches("struct rt_pe").count(), 1, "{}", source.name);
            assert!(!text.contains("#include"), "{}", source.name);
        }
    }
}
