//! Closing what libfabric leaves behind of a sockets endpoint: connections accepted, but without their first message.
//!
//! `net` (1.17) and `tcp` (2.x, still in 2.6) keep such a connection with a pointer to the listening endpoint and do not
//! take it along when that is closed; when its first message comes, or its end, they follow the pointer into freed memory
//! (the TODO in `xnet_pep_close`, `xnet_pep.c`). Nothing in libfabric's interface reaches them. But they are sockets of
//! this process whose local address is the closed listener's, and once they are closed, epoll forgets them, so that
//! nobody follows anything. The 64 bytes of the provider's record are lost.

use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use libc::{AF_INET, AF_INET6, sockaddr_storage, socklen_t};

/// Closes this process' sockets whose local address is `name`, the address of a sockets endpoint that has just been
/// closed by this thread. Any other name, EFA's say, closes nothing. Returns how many there were.
pub(super) fn close(name: &[u8]) -> usize {
    let Some(wanted) = significant(name) else { return 0 };
    let Ok(list) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    let fds = list.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
    // The list itself is open while it is read.
    let fds: Vec<_> = fds.collect();
    let mut closed = 0;
    for fd in fds {
        if local_address(fd).is_some_and(|address| significant(&address).as_deref() == Some(&*wanted)) {
            // SAFETY: its local address has been the endpoint's own, port included, since it was accepted there; the
            // provider has closed every other such socket, and forgotten that it has this one.
            unsafe { libc::close(fd) };
            closed += 1;
        }
    }
    closed
}

/// Family, port and address of a `sockaddr_in` or `sockaddr_in6`.
fn significant(name: &[u8]) -> Option<Vec<u8>> {
    let family = i32::from(u16::from_ne_bytes(*name.first_chunk()?));
    match (family, name.len()) {
        (AF_INET, 16) => Some(name.get(..8)?.to_vec()),
        (AF_INET6, 28) => Some([name.get(..4)?, name.get(8..24)?].concat()),
        _ => None,
    }
}

/// The address that a descriptor is bound to, if it is a socket.
fn local_address(fd: RawFd) -> Option<Vec<u8>> {
    let mut storage = MaybeUninit::<sockaddr_storage>::zeroed();
    let size = size_of::<sockaddr_storage>();
    let mut len = socklen_t::try_from(size).ok()?;
    // SAFETY: the buffer is as long as said; a descriptor that is no socket, or none at all, is an error.
    let code = unsafe { libc::getsockname(fd, storage.as_mut_ptr().cast(), &raw mut len) };
    let len = usize::try_from(len).ok().filter(|&len| code == 0 && len <= size)?;
    // SAFETY: zeroed from the start, so every byte is initialised.
    let bytes = unsafe { std::slice::from_raw_parts(storage.as_ptr().cast::<u8>(), len) };
    Some(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::IntoRawFd;

    use super::*;

    #[test]
    fn only_sockets_at_that_very_address_are_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let (here, there) = (listener.local_addr().unwrap(), other.local_addr().unwrap());
        let mut client = TcpStream::connect(here).unwrap();
        let accepted = listener.accept().unwrap().0.into_raw_fd();
        let name = local_address(accepted).unwrap();
        assert_eq!(close(&[name[0], name[1]]), 0, "too short for an address");
        assert_eq!(close(&name[..15]), 0);
        drop(listener);
        assert_eq!(close(&name), 1);
        assert_eq!(local_address(accepted), None, "it is closed");
        assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)), "its peer is told");
        assert_eq!(close(&name), 0);
        assert!(TcpStream::connect(there).is_ok(), "the other listener is untouched");
        assert_eq!(TcpStream::connect(here).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}
