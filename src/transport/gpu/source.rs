//! The kernels, embedded as source.

/// What every kernel includes.
const HEADER: &str = include_str!("../../../kernels/railtop.cuh");

/// The line that includes it.
const INCLUDE: &str = "#include \"railtop.cuh\"\n";

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
    pub fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text }
    }

    /// The text with what it includes: NVRTC has no files to look into.
    #[must_use]
    pub fn whole(&self) -> String {
        self.text.replacen(INCLUDE, HEADER, 1)
    }
}

/// Posting by itself: what ring and proxy are measured and tested with.
pub const POST: Source = Source { name: "post.cu", text: include_str!("../../../kernels/post.cu") };

/// `bench put`.
pub const PUT: Source = Source { name: "put.cu", text: include_str!("../../../kernels/put.cu") };

/// `bench alltoall`.
pub const ALL_TO_ALL: Source =
    Source { name: "alltoall.cu", text: include_str!("../../../kernels/alltoall.cu") };

/// All files.
pub const ALL: [Source; 3] = [POST, PUT, ALL_TO_ALL];

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
