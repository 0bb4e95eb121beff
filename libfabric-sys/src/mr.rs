//! Memory registration (`fi_mr(3)`, `rdma/fi_domain.h`).

use libc::{c_int, c_void, iovec, size_t};

use crate::fid::fid;

/// A registered region of memory.
#[repr(C)]
pub struct fid_mr {
    /// Head of the object.
    pub fid: fid,
    /// Descriptor to give with each local buffer in the region.
    pub mem_desc: *mut c_void,
    /// Key that a peer needs to write or read the region.
    pub key: u64,
}

/// Memory registration of a domain.
#[repr(C)]
pub struct fi_ops_mr {
    /// Size of the table in bytes as the library compiled it.
    pub size: size_t,
    /// `fi_mr_reg`: registers one buffer in host memory.
    pub reg: Option<
        unsafe extern "C" fn(
            fid: *mut fid,
            buf: *const c_void,
            len: size_t,
            access: u64,
            offset: u64,
            requested_key: u64,
            flags: u64,
            mr: *mut *mut fid_mr,
            context: *mut c_void,
        ) -> c_int,
    >,
    /// `fi_mr_regv`: registers several buffers as one.
    pub regv: Option<
        unsafe extern "C" fn(
            fid: *mut fid,
            iov: *const iovec,
            count: size_t,
            access: u64,
            offset: u64,
            requested_key: u64,
            flags: u64,
            mr: *mut *mut fid_mr,
            context: *mut c_void,
        ) -> c_int,
    >,
    /// `fi_mr_regattr`: registers by attributes; GPU memory needs this one.
    pub regattr: Option<
        unsafe extern "C" fn(
            fid: *mut fid,
            attr: *const fi_mr_attr,
            flags: u64,
            mr: *mut *mut fid_mr,
        ) -> c_int,
    >,
}

/// What to register, and how. Start from [`fi_mr_attr::zeroed`].
///
/// 80 bytes in 1.17, 112 since 2.0: the fields from `hmem_data` on are ignored by the versions that do not know them.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fi_mr_attr {
    /// The memory.
    pub region: fi_mr_region,
    /// Entries at `region`.
    pub iov_count: size_t,
    /// What may be done with it (`FI_REMOTE_WRITE`, ...).
    pub access: u64,
    /// Offset in an underlying region; leave 0.
    pub offset: u64,
    /// Key to use when the domain lets the application choose (no `FI_MR_PROV_KEY`).
    pub requested_key: u64,
    /// Context of the object.
    pub context: *mut c_void,
    /// Bytes at `auth_key`.
    pub auth_key_size: size_t,
    /// Authorization key, or null.
    pub auth_key: *mut u8,
    /// Whose memory it is (`FI_HMEM_SYSTEM`, `FI_HMEM_CUDA`, ...).
    pub iface: u32,
    /// Which device, for memory that is not the host's.
    pub device: fi_mr_device,
    /// The device library's own; from 1.19 on, leave null.
    pub hmem_data: *mut c_void,
    /// Page size; from 1.22 on, 0: the provider's choice.
    pub page_size: size_t,
    /// Region that this one is a part of; from 2.0 on, leave null.
    pub base_mr: *const fid_mr,
    /// Parts that this region will have; from 2.0 on, leave 0.
    pub sub_mr_cnt: size_t,
}

/// The memory of a [`fi_mr_attr`].
#[repr(C)]
#[derive(Clone, Copy)]
pub union fi_mr_region {
    /// By address.
    pub mr_iov: *const iovec,
    /// By dmabuf, with the flag `FI_MR_DMABUF`; from 1.20 on.
    pub dmabuf: *const fi_mr_dmabuf,
}

/// The device of a [`fi_mr_attr`].
#[repr(C)]
#[derive(Clone, Copy)]
pub union fi_mr_device {
    /// The whole of the union.
    pub reserved: u64,
    /// CUDA device ordinal.
    pub cuda: c_int,
    /// Neuron device.
    pub neuron: c_int,
}

/// Device memory named by a dmabuf file descriptor; from 1.20 on.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct fi_mr_dmabuf {
    /// The file descriptor.
    pub fd: c_int,
    /// Where the region starts in the dmabuf, bytes.
    pub offset: u64,
    /// Bytes of the region.
    pub len: size_t,
    /// Virtual address of the start of the dmabuf.
    pub base_addr: *mut c_void,
}
