//! What every libfabric object starts with, and the fabric and domain objects (`rdma/fabric.h`, `rdma/fi_domain.h`).

use libc::{c_char, c_int, c_void, size_t};

use crate::av::{fi_av_attr, fid_av};
use crate::cq::{fi_cq_attr, fid_cq};
use crate::ep::fid_ep;
use crate::info::fi_info;
use crate::mr::fi_ops_mr;

/// A function pointer of an operations table that railtop does not call: only its place matters.
pub type UnusedOp = Option<unsafe extern "C" fn()>;

/// The head of every libfabric object.
#[repr(C)]
pub struct fid {
    /// Class of the object (`FI_CLASS_*`).
    pub fclass: size_t,
    /// The context given when the object was opened.
    pub context: *mut c_void,
    /// The operations that all objects share.
    pub ops: *mut fi_ops,
}

/// Operations that all objects share.
#[repr(C)]
pub struct fi_ops {
    /// Size of the table in bytes as the library compiled it.
    pub size: size_t,
    /// `fi_close(3)`: frees the object; `-FI_EBUSY` while another object still needs it.
    pub close: Option<unsafe extern "C" fn(fid: *mut fid) -> c_int>,
    /// `fi_bind`: attaches a completion queue, address vector, ... to the object.
    pub bind: Option<unsafe extern "C" fn(fid: *mut fid, bfid: *mut fid, flags: u64) -> c_int>,
    /// `fi_control(3)`: a command (`FI_ENABLE`, `FI_GETWAIT`, ...) and its argument.
    pub control: Option<unsafe extern "C" fn(fid: *mut fid, command: c_int, arg: *mut c_void) -> c_int>,
    /// `fi_open_ops`: opens a provider's extra operations by name.
    pub ops_open: Option<
        unsafe extern "C" fn(
            fid: *mut fid,
            name: *const c_char,
            flags: u64,
            ops: *mut *mut c_void,
            context: *mut c_void,
        ) -> c_int,
    >,
    /// Describes the object; not called here.
    pub tostr: UnusedOp,
    /// Overrides operations; not called here.
    pub ops_set: UnusedOp,
}

/// A fabric: the network that one or more NICs are attached to.
#[repr(C)]
pub struct fid_fabric {
    /// Head of the object.
    pub fid: fid,
    /// Operations of the fabric.
    pub ops: *mut fi_ops_fabric,
    /// API version asked for in `fi_getinfo`.
    pub api_version: u32,
}

/// Operations of a fabric.
#[repr(C)]
pub struct fi_ops_fabric {
    /// Size of the table in bytes as the library compiled it.
    pub size: size_t,
    /// `fi_domain(3)`: opens a NIC.
    pub domain: Option<
        unsafe extern "C" fn(
            fabric: *mut fid_fabric,
            info: *mut fi_info,
            dom: *mut *mut fid_domain,
            context: *mut c_void,
        ) -> c_int,
    >,
    /// Opens a passive endpoint (connected endpoints only); not called here.
    pub passive_ep: UnusedOp,
    /// Opens an event queue; not called here.
    pub eq_open: UnusedOp,
    /// Opens a wait set (deprecated in 2.x); not called here.
    pub wait_open: UnusedOp,
    /// `fi_trywait(3)`: whether it is safe to block on the descriptors of these objects.
    pub trywait:
        Option<unsafe extern "C" fn(fabric: *mut fid_fabric, fids: *mut *mut fid, count: c_int) -> c_int>,
    /// `fi_domain2`: as `domain`, with flags.
    pub domain2: Option<
        unsafe extern "C" fn(
            fabric: *mut fid_fabric,
            info: *mut fi_info,
            dom: *mut *mut fid_domain,
            flags: u64,
            context: *mut c_void,
        ) -> c_int,
    >,
}

/// A domain: one NIC (or one virtual one), opened.
#[repr(C)]
pub struct fid_domain {
    /// Head of the object.
    pub fid: fid,
    /// Operations of the domain.
    pub ops: *mut fi_ops_domain,
    /// Memory registration.
    pub mr: *mut fi_ops_mr,
}

/// Operations of a domain.
#[repr(C)]
pub struct fi_ops_domain {
    /// Size of the table in bytes as the library compiled it.
    pub size: size_t,
    /// `fi_av_open(3)`: opens an address vector.
    pub av_open: Option<
        unsafe extern "C" fn(
            domain: *mut fid_domain,
            attr: *mut fi_av_attr,
            av: *mut *mut fid_av,
            context: *mut c_void,
        ) -> c_int,
    >,
    /// `fi_cq_open(3)`: opens a completion queue.
    pub cq_open: Option<
        unsafe extern "C" fn(
            domain: *mut fid_domain,
            attr: *mut fi_cq_attr,
            cq: *mut *mut fid_cq,
            context: *mut c_void,
        ) -> c_int,
    >,
    /// `fi_endpoint(3)`: opens an endpoint.
    pub endpoint: Option<
        unsafe extern "C" fn(
            domain: *mut fid_domain,
            info: *mut fi_info,
            ep: *mut *mut fid_ep,
            context: *mut c_void,
        ) -> c_int,
    >,
    /// `fi_scalable_ep(3)`: opens an endpoint with several transmit and receive contexts.
    pub scalable_ep: Option<
        unsafe extern "C" fn(
            domain: *mut fid_domain,
            info: *mut fi_info,
            sep: *mut *mut fid_ep,
            context: *mut c_void,
        ) -> c_int,
    >,
    /// Opens a counter; not called here.
    pub cntr_open: UnusedOp,
    /// Opens a poll set (deprecated in 2.x); not called here.
    pub poll_open: UnusedOp,
    /// Opens a shared transmit context; not called here.
    pub stx_ctx: UnusedOp,
    /// Opens a shared receive context; not called here.
    pub srx_ctx: UnusedOp,
    /// Asks for the atomics on offer; not called here.
    pub query_atomic: UnusedOp,
    /// Asks for the collectives on offer; not called here.
    pub query_collective: UnusedOp,
    /// `fi_endpoint2`: as `endpoint`, with flags.
    pub endpoint2: Option<
        unsafe extern "C" fn(
            domain: *mut fid_domain,
            info: *mut fi_info,
            ep: *mut *mut fid_ep,
            flags: u64,
            context: *mut c_void,
        ) -> c_int,
    >,
}

/// Room that a provider uses for an operation in flight when it asks for `FI_CONTEXT2` in its mode bits.
///
/// Give the address of one as the context of each operation, and leave it alone until the completion.
#[repr(C)]
#[derive(Debug)]
pub struct fi_context2 {
    /// The provider's own.
    pub internal: [*mut c_void; 8],
}
