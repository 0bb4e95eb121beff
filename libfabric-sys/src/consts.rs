//! Enumerations and other values (`rdma/fabric.h`, `fi_domain.h`, `fi_endpoint.h`, `fi_eq.h`).
//!
//! C enumerations are plain integers here: a value from the library that is not listed is an unknown number, not undefined
//! behaviour.

use libc::c_int;

// Sentinels.

/// No particular peer: any.
pub const FI_ADDR_UNSPEC: u64 = u64::MAX;
/// No such peer.
pub const FI_ADDR_NOTAVAIL: u64 = u64::MAX;
/// No such key: the key is longer than 64 bits.
pub const FI_KEY_NOTAVAIL: u64 = u64::MAX;

// `fi_info::addr_format`.

/// Not said.
pub const FI_FORMAT_UNSPEC: u32 = 0;
/// `struct sockaddr` of either family.
pub const FI_SOCKADDR: u32 = 1;
/// `struct sockaddr_in`.
pub const FI_SOCKADDR_IN: u32 = 2;
/// `struct sockaddr_in6`.
pub const FI_SOCKADDR_IN6: u32 = 3;
/// `struct sockaddr_ib`.
pub const FI_SOCKADDR_IB: u32 = 4;
/// Text (shm).
pub const FI_ADDR_STR: u32 = 9;
/// InfiniBand unreliable datagram (`verbs;ofi_rxd`).
pub const FI_ADDR_IB_UD: u32 = 11;
/// EFA: GID, queue pair and connection id, 32 bytes.
pub const FI_ADDR_EFA: u32 = 12;
/// Slingshot.
pub const FI_ADDR_CXI: u32 = 15;
/// `struct sockaddr_in` or `struct sockaddr_in6`; from 2.3 on.
pub const FI_SOCKADDR_IP: u32 = 17;

// `fi_ep_attr::type_`.

/// Not said.
pub const FI_EP_UNSPEC: u32 = 0;
/// Reliable, connected.
pub const FI_EP_MSG: u32 = 1;
/// Unreliable datagrams.
pub const FI_EP_DGRAM: u32 = 2;
/// Reliable datagrams: unconnected, one endpoint for all peers.
pub const FI_EP_RDM: u32 = 3;

// `fi_ep_attr::protocol`.

/// Not said.
pub const FI_PROTO_UNSPEC: u32 = 0;
/// Sockets.
pub const FI_PROTO_SOCK_TCP: u32 = 6;
/// `ofi_rxm` over a connected provider.
pub const FI_PROTO_RXM: u32 = 11;
/// Shared memory.
pub const FI_PROTO_SHM: u32 = 16;
/// EFA.
pub const FI_PROTO_EFA: u32 = 20;
/// `ofi_rxm` over tcp.
pub const FI_PROTO_RXM_TCP: u32 = 22;
/// tcp without `ofi_rxm`.
pub const FI_PROTO_XNET: u32 = 25;

// `fi_av_attr::type_`.

/// The provider's choice.
pub const FI_AV_UNSPEC: u32 = 0;
/// Addresses are opaque numbers.
pub const FI_AV_MAP: u32 = 1;
/// Addresses are 0, 1, ... in the order of insertion.
pub const FI_AV_TABLE: u32 = 2;

// `fi_domain_attr::mr_mode`.

/// Local buffers must be registered.
pub const FI_MR_LOCAL: c_int = 1 << 2;
/// Keys do not fit 64 bits.
pub const FI_MR_RAW: c_int = 1 << 3;
/// A peer addresses a region by its virtual address instead of by offset.
pub const FI_MR_VIRT_ADDR: c_int = 1 << 4;
/// Memory must be backed by pages when it is registered.
pub const FI_MR_ALLOCATED: c_int = 1 << 5;
/// The provider chooses the keys.
pub const FI_MR_PROV_KEY: c_int = 1 << 6;
/// The application tells when mappings change.
pub const FI_MR_MMU_NOTIFY: c_int = 1 << 7;
/// Regions that count arrivals are bound and enabled.
pub const FI_MR_RMA_EVENT: c_int = 1 << 8;
/// Regions are bound to an endpoint and enabled.
pub const FI_MR_ENDPOINT: c_int = 1 << 9;
/// Device memory must be registered, also locally.
pub const FI_MR_HMEM: c_int = 1 << 10;
/// Regions for collectives are registered.
pub const FI_MR_COLLECTIVE: c_int = 1 << 11;

// `fi_mr_attr::iface`.

/// Host memory.
pub const FI_HMEM_SYSTEM: u32 = 0;
/// NVIDIA CUDA.
pub const FI_HMEM_CUDA: u32 = 1;
/// AMD GPUs.
pub const FI_HMEM_ROCR: u32 = 2;
/// Intel oneAPI Level Zero.
pub const FI_HMEM_ZE: u32 = 3;
/// AWS Neuron.
pub const FI_HMEM_NEURON: u32 = 4;

// `fi_domain_attr::control_progress` and `data_progress`.

/// Not said.
pub const FI_PROGRESS_UNSPEC: u32 = 0;
/// The provider makes progress by itself.
pub const FI_PROGRESS_AUTO: u32 = 1;
/// The application makes progress by reading completion queues.
pub const FI_PROGRESS_MANUAL: u32 = 2;

// `fi_domain_attr::threading`.

/// Not said.
pub const FI_THREAD_UNSPEC: u32 = 0;
/// Any thread, any object.
pub const FI_THREAD_SAFE: u32 = 1;
/// One thread at a time for each object (deprecated in 2.x).
pub const FI_THREAD_FID: u32 = 2;
/// One thread at a time for each domain and all it holds.
pub const FI_THREAD_DOMAIN: u32 = 3;
/// One thread at a time for each completion queue and the endpoints bound to it.
pub const FI_THREAD_COMPLETION: u32 = 4;
/// One thread at a time for each endpoint (deprecated in 2.x).
pub const FI_THREAD_ENDPOINT: u32 = 5;

// `fi_domain_attr::resource_mgmt`.

/// Not said.
pub const FI_RM_UNSPEC: u32 = 0;
/// The application keeps queues from overrunning.
pub const FI_RM_DISABLED: u32 = 1;
/// The provider does.
pub const FI_RM_ENABLED: u32 = 2;

// `fi_cq_attr`.

/// The provider's choice.
pub const FI_CQ_FORMAT_UNSPEC: u32 = 0;
/// Context only.
pub const FI_CQ_FORMAT_CONTEXT: u32 = 1;
/// And flags and length.
pub const FI_CQ_FORMAT_MSG: u32 = 2;
/// And the immediate: [`crate::cq::fi_cq_data_entry`].
pub const FI_CQ_FORMAT_DATA: u32 = 3;
/// And the tag.
pub const FI_CQ_FORMAT_TAGGED: u32 = 4;
/// `fi_cq_sread` wakes at any completion.
pub const FI_CQ_COND_NONE: u32 = 0;
/// `fi_cq_sread` wakes after so many.
pub const FI_CQ_COND_THRESHOLD: u32 = 1;

// `fid::fclass`.

/// An endpoint.
pub const FI_CLASS_EP: usize = 3;
/// A completion queue.
pub const FI_CLASS_CQ: usize = 14;
/// A counter of completions.
pub const FI_CLASS_CNTR: usize = 15;

// Wait objects.

/// Cannot be waited on.
pub const FI_WAIT_NONE: u32 = 0;
/// The provider's choice: `fi_cq_sread` works, no descriptor.
pub const FI_WAIT_UNSPEC: u32 = 1;
/// A file descriptor for poll(2).
pub const FI_WAIT_FD: u32 = 3;
/// Blocking calls yield.
pub const FI_WAIT_YIELD: u32 = 5;
/// Several file descriptors.
pub const FI_WAIT_POLLFD: u32 = 6;

// Commands of `fi_control`.

/// Gives the wait object: a `c_int` for `FI_WAIT_FD`.
pub const FI_GETWAIT: c_int = 5;
/// Makes an endpoint or memory region active.
pub const FI_ENABLE: c_int = 6;

// Options of `fi_setopt`.

/// Level: the endpoint.
pub const FI_OPT_ENDPOINT: c_int = 0;
/// Least room before a multi-receive buffer is given back (`size_t`).
pub const FI_OPT_MIN_MULTI_RECV: c_int = 0;
/// Use of peer-to-peer device transfers (`c_int`, `FI_HMEM_P2P_*`).
pub const FI_OPT_FI_HMEM_P2P: c_int = 8;
/// Whether the provider may call CUDA (`bool`); from 1.18 on.
pub const FI_OPT_CUDA_API_PERMITTED: c_int = 10;
/// Whether peers on the node may be reached through shared memory (`bool`); from 1.21 on.
pub const FI_OPT_SHARED_MEMORY_PERMITTED: c_int = 11;
/// The provider decides.
pub const FI_HMEM_P2P_ENABLED: c_int = 0;
/// Fail without.
pub const FI_HMEM_P2P_REQUIRED: c_int = 1;
/// Use it where there is.
pub const FI_HMEM_P2P_PREFERRED: c_int = 2;
/// Do not use it.
pub const FI_HMEM_P2P_DISABLED: c_int = 3;

// `fid_nic`.

/// Not known what bus.
pub const FI_BUS_UNKNOWN: u32 = 0;
/// PCI.
pub const FI_BUS_PCI: u32 = 1;
/// Not known whether the link is up.
pub const FI_LINK_UNKNOWN: u32 = 0;
/// The link is down.
pub const FI_LINK_DOWN: u32 = 1;
/// The link is up.
pub const FI_LINK_UP: u32 = 2;

// `fi_tostr`.

/// The data is a [`crate::info::fi_info`].
pub const FI_TYPE_INFO: u32 = 0;
