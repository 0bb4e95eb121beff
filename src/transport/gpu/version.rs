//! Versions of CUDA: the driver's and the compiler's.

use std::fmt;

/// A version of CUDA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// As the 13 in 13.0.
    pub major: i32,
    /// As the 0 in 13.0.
    pub minor: i32,
}

impl Version {
    /// Whether a driver of this version takes the PTX that a compiler of another makes. Each version of NVRTC writes the
    /// newest PTX that it knows, and a driver knows none that is newer than itself.
    #[must_use]
    pub fn takes_from(self, compiler: Self) -> bool {
        compiler <= self
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn a_driver_takes_nothing_newer_than_itself() {
        let version = |major, minor| Version { major, minor };
        let driver = version(13, 0);
        for (compiler, taken) in [((12, 9), true), ((13, 0), true), ((13, 1), false), ((14, 0), false)] {
            assert_eq!(driver.takes_from(version(compiler.0, compiler.1)), taken, "{compiler:?}");
        }
        assert_eq!(version(12, 8).to_string(), "12.8");
    }
}
