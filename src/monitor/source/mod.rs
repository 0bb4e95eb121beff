//! Where numbers come from. A source reads and reports; it derives nothing.

pub mod sysfs;
