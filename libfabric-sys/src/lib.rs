//! The part of libfabric's C interface that railtop uses, loaded at run time.
//!
//! libfabric (<https://ofiwg.github.io/libfabric/>) exports only a handful of functions; everything else is a
//! `static inline` of its headers that calls through a table of function pointers kept in the object itself. This crate
//! therefore needs no libfabric to build:
//!
//! * [`Libfabric`] opens the shared library and holds its exported functions ([`loader`]);
//! * [`info`], [`fid`], [`ep`], [`tagged`], [`atomic`], [`cq`], [`av`], [`mr`], [`provider`] declare the C structures, [`flags`], [`consts`] and [`errno`] the
//!   constants;
//! * [`inline`] has one function for each inline of the headers that we use.
//!
//! # One binary, several libraries
//!
//! libfabric keeps its ABI by appending fields. The declarations here follow from that, for 1.17 (the oldest version
//! accepted, see [`MIN_VERSION`]) up to 2.x:
//!
//! * Structures that **the library allocates and we read** ([`info::fi_info`] and what hangs off it, every `fid_*`, every
//!   table of operations) are declared as they were in 1.17: the prefix that is always there. They can be neither copied nor
//!   created here; a [`info::fi_info`] comes from [`Libfabric::allocinfo`] or `fi_getinfo` only.
//! * Structures that **we allocate and the library reads or fills** ([`mr::fi_mr_attr`], [`cq::fi_cq_attr`],
//!   [`cq::fi_cq_err_entry`], ...) are declared at their newest size and created with `zeroed()`, so that a newer library
//!   finds zeroes where an older one did not look.
//!
//! `tests/layout.rs` holds every size, offset and constant to what a C compiler says of the installed headers.
//!
//! The names are the C names, so that libfabric's man pages are the reference for everything here.

pub mod atomic;
pub mod av;
pub mod consts;
pub mod cq;
pub mod ep;
pub mod errno;
pub mod fid;
pub mod flags;
pub mod info;
pub mod inline;
pub mod loader;
pub mod mr;
pub mod provider;
pub mod signals;
pub mod tagged;
mod zeroed;

pub use loader::{API_VERSION, Libfabric, LoadError, MIN_VERSION, PATH_VARIABLE, Param};

/// `FI_VERSION(major, minor)` of `rdma/fabric.h`: a version as libfabric passes it around.
#[must_use]
#[expect(non_snake_case, reason = "named as the C macro is")]
pub const fn FI_VERSION(major: u32, minor: u32) -> u32 {
    (major << 16) | minor
}

/// `FI_MAJOR(version)` of `rdma/fabric.h`.
#[must_use]
#[expect(non_snake_case, reason = "named as the C macro is")]
pub const fn FI_MAJOR(version: u32) -> u32 {
    version >> 16
}

/// `FI_MINOR(version)` of `rdma/fabric.h`.
#[must_use]
#[expect(non_snake_case, reason = "named as the C macro is")]
pub const fn FI_MINOR(version: u32) -> u32 {
    version & 0xffff
}
