//! Where numbers come from. A source reads and reports; it derives nothing.

pub mod gpus;
pub mod netdev;
pub mod pages;
pub mod sysfs;
mod windows;
