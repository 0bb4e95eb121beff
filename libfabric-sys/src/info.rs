//! What `fi_getinfo(3)` returns: one [`fi_info`] for each way to reach the network (`rdma/fabric.h`).
//!
//! All of these are allocated by the library and declared as the prefix that 1.17 has: later versions append.

use libc::{c_char, c_int, c_void, size_t};

use crate::fid::{fid, fid_domain, fid_fabric};

/// One entry of the list that `fi_getinfo(3)` returns; as hints, what is asked for.
///
/// Never made here: its attribute structures grow between versions. Use [`crate::Libfabric::allocinfo`].
#[repr(C)]
pub struct fi_info {
    /// Next entry, null for the last.
    pub next: *mut fi_info,
    /// Capabilities (`FI_MSG`, `FI_RMA`, ...), see [`crate::flags`].
    pub caps: u64,
    /// What the application must do (`FI_CONTEXT2`, ...), see [`crate::flags`].
    pub mode: u64,
    /// Format of the addresses (`FI_SOCKADDR_IN`, `FI_ADDR_EFA`, ...).
    pub addr_format: u32,
    /// Bytes at `src_addr`.
    pub src_addrlen: size_t,
    /// Bytes at `dest_addr`.
    pub dest_addrlen: size_t,
    /// Local address, or null.
    pub src_addr: *mut c_void,
    /// Peer's address, or null.
    pub dest_addr: *mut c_void,
    /// Connection request or passive endpoint this entry comes from, or null.
    pub handle: *mut fid,
    /// Transmit attributes, or null.
    pub tx_attr: *mut fi_tx_attr,
    /// Receive attributes, or null.
    pub rx_attr: *mut fi_rx_attr,
    /// Endpoint attributes, or null.
    pub ep_attr: *mut fi_ep_attr,
    /// Domain attributes, or null.
    pub domain_attr: *mut fi_domain_attr,
    /// Fabric attributes, or null.
    pub fabric_attr: *mut fi_fabric_attr,
    /// The NIC, or null where the provider does not say (tcp, shm).
    pub nic: *mut fid_nic,
}

/// How an endpoint transmits.
#[repr(C)]
pub struct fi_tx_attr {
    /// Capabilities of the transmit side.
    pub caps: u64,
    /// Mode bits of the transmit side.
    pub mode: u64,
    /// Flags that every operation gets unless it carries its own (`FI_DELIVERY_COMPLETE`, ...).
    pub op_flags: u64,
    /// Order in which messages are processed (`FI_ORDER_*`).
    pub msg_order: u64,
    /// Order of completions; deprecated in 2.x.
    pub comp_order: u64,
    /// Largest `inject`, bytes.
    pub inject_size: size_t,
    /// Operations that fit the queue.
    pub size: size_t,
    /// Most local buffers in one operation.
    pub iov_limit: size_t,
    /// Most remote buffers in one RMA operation.
    pub rma_iov_limit: size_t,
    /// Traffic class (`FI_TC_*`).
    pub tclass: u32,
}

/// How an endpoint receives.
#[repr(C)]
pub struct fi_rx_attr {
    /// Capabilities of the receive side.
    pub caps: u64,
    /// Mode bits of the receive side.
    pub mode: u64,
    /// Flags that every operation gets unless it carries its own.
    pub op_flags: u64,
    /// Order in which messages are processed (`FI_ORDER_*`).
    pub msg_order: u64,
    /// Order of completions; deprecated in 2.x.
    pub comp_order: u64,
    /// Bytes for unexpected messages; deprecated in 2.x.
    pub total_buffered_recv: size_t,
    /// Operations that fit the queue.
    pub size: size_t,
    /// Most buffers in one operation.
    pub iov_limit: size_t,
}

/// Kind and limits of an endpoint.
#[repr(C)]
pub struct fi_ep_attr {
    /// Type of endpoint (`FI_EP_RDM`, ...).
    pub type_: u32,
    /// Wire protocol (`FI_PROTO_*`).
    pub protocol: u32,
    /// Version of the wire protocol.
    pub protocol_version: u32,
    /// Largest message or RMA operation, bytes.
    pub max_msg_size: size_t,
    /// Bytes to leave before a message when the mode has `FI_MSG_PREFIX`.
    pub msg_prefix_size: size_t,
    /// Largest read-after-write kept in order, bytes.
    pub max_order_raw_size: size_t,
    /// Largest write-after-read kept in order, bytes.
    pub max_order_war_size: size_t,
    /// Largest write-after-write kept in order, bytes.
    pub max_order_waw_size: size_t,
    /// Layout of tags.
    pub mem_tag_format: u64,
    /// Transmit contexts of the endpoint.
    pub tx_ctx_cnt: size_t,
    /// Receive contexts of the endpoint.
    pub rx_ctx_cnt: size_t,
    /// Bytes at `auth_key`.
    pub auth_key_size: size_t,
    /// Authorization key, or null.
    pub auth_key: *mut u8,
}

/// Kind and limits of a domain, that is of a NIC.
///
/// Fields that 1.18 and later appended (`max_ep_auth_key`, ...) are left out: they may be read only where the library has them.
#[repr(C)]
pub struct fi_domain_attr {
    /// An already opened domain, or null.
    pub domain: *mut fid_domain,
    /// Name: the device for EFA (`rdmap79s0-rdm`), the interface for tcp (`eth0`).
    pub name: *mut c_char,
    /// How threads may use the domain (`FI_THREAD_*`).
    pub threading: u32,
    /// Who drives control operations (`FI_PROGRESS_*`).
    pub control_progress: u32,
    /// Who drives data transfers (`FI_PROGRESS_*`); 2.x also calls it `progress`.
    pub data_progress: u32,
    /// Whether the provider guards its queues against overrun (`FI_RM_*`).
    pub resource_mgmt: u32,
    /// Type of address vector (`FI_AV_*`).
    pub av_type: u32,
    /// What memory registration needs (`FI_MR_*`). As a hint: what we can do; returned: what we must do.
    pub mr_mode: c_int,
    /// Bytes of a memory key.
    pub mr_key_size: size_t,
    /// Bytes of remote completion data (the immediate): 4 on EFA, 8 on tcp.
    pub cq_data_size: size_t,
    /// Completion queues that can be opened.
    pub cq_cnt: size_t,
    /// Endpoints that can be opened.
    pub ep_cnt: size_t,
    /// Transmit contexts that can be opened.
    pub tx_ctx_cnt: size_t,
    /// Receive contexts that can be opened.
    pub rx_ctx_cnt: size_t,
    /// Transmit contexts of one endpoint.
    pub max_ep_tx_ctx: size_t,
    /// Receive contexts of one endpoint.
    pub max_ep_rx_ctx: size_t,
    /// Endpoints on one shared transmit context.
    pub max_ep_stx_ctx: size_t,
    /// Endpoints on one shared receive context.
    pub max_ep_srx_ctx: size_t,
    /// Counters that can be opened.
    pub cntr_cnt: size_t,
    /// Buffers in one memory registration.
    pub mr_iov_limit: size_t,
    /// Capabilities of the domain (`FI_LOCAL_COMM`, ...).
    pub caps: u64,
    /// Mode bits of the domain.
    pub mode: u64,
    /// Authorization key, or null.
    pub auth_key: *mut u8,
    /// Bytes at `auth_key`.
    pub auth_key_size: size_t,
    /// Largest `err_data` of a failed operation, bytes.
    pub max_err_data: size_t,
    /// Memory regions that can be registered; 0 where the provider does not say.
    pub mr_cnt: size_t,
    /// Traffic class (`FI_TC_*`).
    pub tclass: u32,
}

/// Name of a fabric and of the provider that drives it.
#[repr(C)]
pub struct fi_fabric_attr {
    /// An already opened fabric, or null.
    pub fabric: *mut fid_fabric,
    /// Name: `efa`, for tcp the subnet (`127.0.0.0/8`).
    pub name: *mut c_char,
    /// Provider: `efa`, `tcp`, `tcp;ofi_rxm`, `shm`, ...
    pub prov_name: *mut c_char,
    /// Version of the provider.
    pub prov_version: u32,
    /// API version in use.
    pub api_version: u32,
}

/// A NIC as `fi_nic(3)` describes it.
#[repr(C)]
pub struct fid_nic {
    /// Head of the object.
    pub fid: fid,
    /// Make and driver, or null.
    pub device_attr: *mut fi_device_attr,
    /// Where it is plugged in, or null.
    pub bus_attr: *mut fi_bus_attr,
    /// Its link, or null.
    pub link_attr: *mut fi_link_attr,
    /// The provider's own.
    pub prov_attr: *mut c_void,
}

/// Make and driver of a NIC. Each string may be null.
#[repr(C)]
pub struct fi_device_attr {
    /// Name as the operating system has it (`rdmap79s0`).
    pub name: *mut c_char,
    /// Device id of its vendor.
    pub device_id: *mut c_char,
    /// Version of the hardware.
    pub device_version: *mut c_char,
    /// Vendor id.
    pub vendor_id: *mut c_char,
    /// Kernel driver.
    pub driver: *mut c_char,
    /// Version of the firmware.
    pub firmware: *mut c_char,
}

/// Where a NIC is plugged in.
#[repr(C)]
pub struct fi_bus_attr {
    /// Kind of bus; `attr` means something for `FI_BUS_PCI` only.
    pub bus_type: u32,
    /// The address on that bus.
    pub attr: fi_bus_addr,
}

/// Address on a bus: the anonymous union in `struct fi_bus_attr`.
#[repr(C)]
#[derive(Clone, Copy)]
pub union fi_bus_addr {
    /// On PCI.
    pub pci: fi_pci_attr,
}

/// PCI address: `domain:bus:device.function`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct fi_pci_attr {
    /// Domain (segment).
    pub domain_id: u16,
    /// Bus.
    pub bus_id: u8,
    /// Device.
    pub device_id: u8,
    /// Function.
    pub function_id: u8,
}

/// The link of a NIC.
#[repr(C)]
pub struct fi_link_attr {
    /// Address of the NIC on the link, or null.
    pub address: *mut c_char,
    /// Largest transfer unit, bytes.
    pub mtu: size_t,
    /// Speed in bits per second.
    pub speed: size_t,
    /// Up or down (`FI_LINK_*`).
    pub state: u32,
    /// Kind of network (`Ethernet`, ...), or null.
    pub network_type: *mut c_char,
}

/// An environment variable as `fi_getparams` describes it. Each string may be null.
#[repr(C)]
pub struct fi_param {
    /// The variable's name.
    pub name: *const c_char,
    /// Type (`FI_PARAM_*`).
    pub type_: u32,
    /// What it does.
    pub help_string: *const c_char,
    /// What it is set to, or null.
    pub value: *const c_char,
}
