//! The socket: many requests in one datagram, many answers in one system call, into buffers that are made once.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvmmsg,
    send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::error::NetlinkError;

/// Datagrams taken in one call.
const SLOTS: usize = 32;
/// Bytes of a datagram. The kernel makes replies of a page, 8 KiB at most (`NLMSG_GOODSIZE`), and cuts a dump to what
/// the reader has shown room for.
const SLOT_BYTES: usize = 8 * 1024;
/// Room asked of the kernel for answers that wait: `rmem_max` of an untouched machine, which the kernel doubles.
const RECEIVE_BUFFER: usize = 212_992;
/// `RDMA_NL_GROUP_NOTIFY` is multicast group 4, so bit 3.
pub(super) const CHANGES: u32 = 1 << 3;

/// A socket of the RDMA subsystem. Belongs to one thread.
pub(super) struct Socket {
    fd: OwnedFd,
    headers: MultiHeaders<NetlinkAddr>,
    buffer: Box<[u8]>,
    sequence: u32,
}

impl Socket {
    /// Opens it, to wait at most `patience` for an answer, and to hear from the multicast `groups`.
    pub(super) fn open(groups: u32, patience: Duration) -> Result<Self, NetlinkError> {
        let fd =
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRDMA)
                .map_err(NetlinkError::Open)?;
        let micros = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX);
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::microseconds(micros))
            .map_err(NetlinkError::Open)?;
        // Less room only means that answers may be lost, which is noticed.
        let _as_it_was = setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER);
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups)).map_err(NetlinkError::Open)?;
        Ok(Self {
            fd,
            headers: MultiHeaders::preallocate(SLOTS, None),
            buffer: vec![0; SLOTS * SLOT_BYTES].into_boxed_slice(),
            sequence: 0,
        })
    }

    /// The number of the next request. Begins anew only after 2^32 of them.
    pub(super) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Sends requests to the kernel, which works on them before this returns.
    pub(super) fn send(&self, requests: &[u8]) -> Result<(), NetlinkError> {
        loop {
            match send(self.fd.as_raw_fd(), requests, MsgFlags::empty()) {
                Ok(sent) if sent == requests.len() => return Ok(()),
                Ok(_) => return Err(NetlinkError::Io(Errno::EMSGSIZE)),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(NetlinkError::Io(e)),
            }
        }
    }

    /// Waits for at least one datagram, takes all that are there (up to [`SLOTS`]) and gives each to `each`.
    ///
    /// What others than the kernel have sent is dropped.
    pub(super) fn receive(
        &mut self,
        each: impl FnMut(&[u8]) -> Result<(), NetlinkError>,
    ) -> Result<(), NetlinkError> {
        self.take(MsgFlags::MSG_WAITFORONE, each)
    }

    /// Like [`Self::receive`], but does not wait.
    pub(super) fn receive_waiting(
        &mut self,
        each: impl FnMut(&[u8]) -> Result<(), NetlinkError>,
    ) -> Result<(), NetlinkError> {
        match self.take(MsgFlags::MSG_DONTWAIT, each) {
            Err(NetlinkError::Timeout) => Ok(()),
            other => other,
        }
    }

    fn take(
        &mut self,
        flags: MsgFlags,
        mut each: impl FnMut(&[u8]) -> Result<(), NetlinkError>,
    ) -> Result<(), NetlinkError> {
        let mut taken = [(0, false, false); SLOTS];
        let count = self.fill(flags, &mut taken)?;
        let slots = self.buffer.chunks(SLOT_BYTES).zip(taken).take(count);
        for (slot, (length, cut, from_kernel)) in slots {
            if !from_kernel {
                continue;
            }
            if cut {
                return Err(NetlinkError::Truncated(SLOT_BYTES));
            }
            each(slot.get(..length).unwrap_or_default())?;
        }
        Ok(())
    }

    /// Receives into the slots: of each its length, whether it was cut off, and whether it is the kernel's.
    fn fill(
        &mut self,
        flags: MsgFlags,
        taken: &mut [(usize, bool, bool); SLOTS],
    ) -> Result<usize, NetlinkError> {
        loop {
            let mut slots: Vec<[IoSliceMut<'_>; 1]> =
                self.buffer.chunks_mut(SLOT_BYTES).map(|slot| [IoSliceMut::new(slot)]).collect();
            match recvmmsg(self.fd.as_raw_fd(), &mut self.headers, slots.iter_mut(), flags, None) {
                Ok(received) => {
                    let mut count = 0;
                    for (entry, message) in taken.iter_mut().zip(received) {
                        let from_kernel = message.address.is_some_and(|a| a.pid() == 0);
                        *entry = (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC), from_kernel);
                        count += 1;
                    }
                    return Ok(count);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Err(NetlinkError::Timeout),
                Err(Errno::ENOBUFS) => return Err(NetlinkError::Overrun),
                Err(e) => return Err(NetlinkError::Io(e)),
            }
        }
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("fd", &self.fd)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}
