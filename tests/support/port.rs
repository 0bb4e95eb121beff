//! Ports of loopback that stay a test's own, though nobody listens there yet or any more.
//!
//! A port that was chosen by binding and closing again is anybody's until it is bound anew: another test may be given it, or a
//! connection that somebody makes. A socket that stays bound without listening keeps it. Who is to listen there sets
//! `SO_REUSEADDR`, as std, tokio, Go's net and libfabric's programs do, and may bind it all the same; who connects before
//! that is refused.

#![allow(clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::sockopt::ReuseAddr;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, setsockopt, socket,
};

/// A port of 127.0.0.1 that nobody is given by chance as long as this lives.
#[derive(Debug)]
pub struct Port {
    _socket: OwnedFd,
    pub address: SocketAddr,
}

impl Port {
    pub fn reserve() -> Self {
        let socket =
            socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
        setsockopt(&socket, ReuseAddr, &true).expect("an option");
        bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).expect("a port");
        let bound: SockaddrIn = getsockname(socket.as_raw_fd()).expect("an address");
        Self { _socket: socket, address: SocketAddr::from((bound.ip(), bound.port())) }
    }

    /// One that is kept until this process ends.
    #[allow(dead_code, reason = "each program of tests uses some of it")]
    pub fn for_good() -> SocketAddr {
        let port = Self::reserve();
        let address = port.address;
        std::mem::forget(port);
        address
    }
}
