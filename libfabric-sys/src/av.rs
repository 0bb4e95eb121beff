//! Address vectors: the peers that an endpoint can name (`fi_av(3)`, `rdma/fi_domain.h`).
#![expect(non_camel_case_types, reason = "the names of libfabric's headers")]

use libc::{c_char, c_int, c_void, size_t};

use crate::fid::{UnusedOp, fid};

/// A peer as an address vector numbers it.
pub type fi_addr_t = u64;

/// An address vector.
#[repr(C)]
pub struct fid_av {
    /// Head of the object.
    pub fid: fid,
    /// Operations of the vector.
    pub ops: *mut fi_ops_av,
}

/// Operations of an address vector.
#[repr(C)]
pub struct fi_ops_av {
    /// Size of the table in bytes as the library compiled it.
    pub size: size_t,
    /// `fi_av_insert`: adds `count` addresses, writes their numbers; returns how many it took.
    pub insert: Option<
        unsafe extern "C" fn(
            av: *mut fid_av,
            addr: *const c_void,
            count: size_t,
            fi_addr: *mut fi_addr_t,
            flags: u64,
            context: *mut c_void,
        ) -> c_int,
    >,
    /// Adds by host name and port; not called here.
    pub insertsvc: UnusedOp,
    /// Adds a range of host names; not called here.
    pub insertsym: UnusedOp,
    /// `fi_av_remove`: drops addresses.
    pub remove: Option<
        unsafe extern "C" fn(av: *mut fid_av, fi_addr: *mut fi_addr_t, count: size_t, flags: u64) -> c_int,
    >,
    /// Gives back an address; not called here.
    pub lookup: UnusedOp,
    /// `fi_av_straddr`: an address as text.
    pub straddr: Option<
        unsafe extern "C" fn(
            av: *mut fid_av,
            addr: *const c_void,
            buf: *mut c_char,
            len: *mut size_t,
        ) -> *const c_char,
    >,
    /// Opens a set of addresses for collectives; not called here.
    pub av_set: UnusedOp,
}

/// What to open an address vector with. Start from [`fi_av_attr::zeroed`].
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_av_attr {
    /// Type (`FI_AV_TABLE`: numbered 0, 1, ... in the order of insertion).
    pub type_: u32,
    /// Bits of an address that name a receive context.
    pub rx_ctx_bits: c_int,
    /// Addresses expected; 0: not known.
    pub count: size_t,
    /// Endpoints per node expected; 0: not known.
    pub ep_per_node: size_t,
    /// Name to share it between processes, or null.
    pub name: *const c_char,
    /// Where a shared one is mapped.
    pub map_addr: *mut c_void,
    /// Flags.
    pub flags: u64,
}
