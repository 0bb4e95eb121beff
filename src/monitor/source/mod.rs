//! Where numbers come from. A source reads and reports; it derives nothing.

pub mod devices;
mod errand;
pub mod gpus;
pub mod netdev;
pub mod netlink;
pub mod pages;
mod pause;
pub mod processes;
pub mod sysfs;
mod windows;
