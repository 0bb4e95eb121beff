//! The 64-bit flag words: capabilities, operation flags, completion flags, mode bits, ordering (`rdma/fabric.h`).
//!
//! One bit may mean different things in different words, as in C.

// Capabilities, operations and completions.

/// Messages (`fi_msg(3)`).
pub const FI_MSG: u64 = 1 << 1;
/// Remote memory access (`fi_rma(3)`).
pub const FI_RMA: u64 = 1 << 2;
/// Tagged messages.
pub const FI_TAGGED: u64 = 1 << 3;
/// Atomic operations.
pub const FI_ATOMIC: u64 = 1 << 4;
/// Reads (capability, access of a memory region, completion).
pub const FI_READ: u64 = 1 << 8;
/// Writes (capability, access of a memory region, completion).
pub const FI_WRITE: u64 = 1 << 9;
/// Receives; binds a completion queue for them.
pub const FI_RECV: u64 = 1 << 10;
/// Sends.
pub const FI_SEND: u64 = 1 << 11;
/// Binds a completion queue for everything transmitted. The same bit as [`FI_SEND`].
pub const FI_TRANSMIT: u64 = FI_SEND;
/// Peers may read the region; or: a peer's read completed.
pub const FI_REMOTE_READ: u64 = 1 << 12;
/// Peers may write the region; or: a peer's write arrived.
pub const FI_REMOTE_WRITE: u64 = 1 << 13;
/// One posted buffer takes many messages.
pub const FI_MULTI_RECV: u64 = 1 << 16;
/// The operation carries an immediate; or: the completion's `data` is one.
pub const FI_REMOTE_CQ_DATA: u64 = 1 << 17;
/// Receive: only looks whether there is a message.
pub const FI_PEEK: u64 = 1 << 19;
/// More operations follow at once: the provider may ring the doorbell later.
pub const FI_MORE: u64 = 1 << 18;
/// Wait for earlier operations to the same peer first. EFA does not have it.
pub const FI_FENCE: u64 = 1 << 21;
/// Report a completion, on a queue bound with [`FI_SELECTIVE_COMPLETION`].
pub const FI_COMPLETION: u64 = 1 << 24;
/// The buffer may be reused when the call returns.
pub const FI_INJECT: u64 = 1 << 25;
/// Complete when the buffer may be reused.
pub const FI_INJECT_COMPLETE: u64 = 1 << 26;
/// Complete when the operation is safe from local failure.
pub const FI_TRANSMIT_COMPLETE: u64 = 1 << 27;
/// Complete when the data is in the peer's memory.
pub const FI_DELIVERY_COMPLETE: u64 = 1 << 28;
/// `signaling_vector` of a completion queue is set.
pub const FI_AFFINITY: u64 = 1 << 29;
/// Complete when the peer has taken the message.
pub const FI_MATCH_COMPLETE: u64 = 1 << 31;
/// The object is shared with another provider.
pub const FI_PEER: u64 = 1 << 43;
/// Memory of devices (GPUs).
pub const FI_HMEM: u64 = 1 << 47;
/// Peers on the same node.
pub const FI_LOCAL_COMM: u64 = 1 << 51;
/// Peers on other nodes.
pub const FI_REMOTE_COMM: u64 = 1 << 52;
/// To `fi_getinfo`: the host is an address, do not ask a resolver.
pub const FI_NUMERICHOST: u64 = 1 << 55;
/// Count arrivals at a memory region.
pub const FI_RMA_EVENT: u64 = 1 << 56;
/// To `fi_getinfo`: host and port are the local ones; as capability: completions tell who sent.
pub const FI_SOURCE: u64 = 1 << 57;
/// Receive from one named peer.
pub const FI_DIRECTED_RECV: u64 = 1 << 59;
/// To `fi_ep_bind` with a completion queue: complete only operations that have [`FI_COMPLETION`].
pub const FI_SELECTIVE_COMPLETION: u64 = 1 << 59;

// Memory registration.

/// The region is given as a dmabuf ([`crate::mr::fi_mr_dmabuf`]); from 1.20 on.
pub const FI_MR_DMABUF: u64 = 1 << 40;
/// The memory is reachable from the device only.
pub const FI_HMEM_DEVICE_ONLY: u64 = 1 << 46;

// Mode bits: what the application must do.

/// Give a `fi_context` (32 bytes) with each operation.
pub const FI_CONTEXT: u64 = 1 << 59;
/// Leave room before each message.
pub const FI_MSG_PREFIX: u64 = 1 << 58;
/// Post a receive for each immediate.
pub const FI_RX_CQ_DATA: u64 = 1 << 56;
/// Give a [`crate::fid::fi_context2`] (64 bytes) with each operation.
pub const FI_CONTEXT2: u64 = 1 << 52;

// Order of operations to one peer.

/// Reads after reads.
pub const FI_ORDER_RAR: u64 = 1 << 0;
/// Reads after writes.
pub const FI_ORDER_RAW: u64 = 1 << 1;
/// Writes after reads.
pub const FI_ORDER_WAR: u64 = 1 << 3;
/// Writes after writes.
pub const FI_ORDER_WAW: u64 = 1 << 4;
/// Writes after sends.
pub const FI_ORDER_WAS: u64 = 1 << 5;
/// Sends after writes.
pub const FI_ORDER_SAW: u64 = 1 << 7;
/// Sends after sends.
pub const FI_ORDER_SAS: u64 = 1 << 8;
/// RMA writes after RMA writes.
pub const FI_ORDER_RMA_WAW: u64 = 1 << 35;
