//! Where to listen, as it is written on the command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs as _};

use anyhow::Context as _;

use crate::cli::exit::ExitError;

/// The addresses that the text names.
fn resolve(text: &str) -> Result<Vec<SocketAddr>, ExitError> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)]);
    }
    let wrong = |why: String| {
        ExitError::Usage(format!(
            "--listen {text}: {why}; ADDR is HOST:PORT, such as 127.0.0.1:9812 or [::1]:9812"
        ))
    };
    if text.starts_with(':') {
        return Err(wrong("all addresses are 0.0.0.0 or [::]".to_owned()));
    }
    let found: Vec<_> = text.to_socket_addrs().map_err(|e| wrong(e.to_string()))?.collect();
    if found.is_empty() { Err(wrong("no such host".to_owned())) } else { Ok(found) }
}

/// Listens there.
///
/// # Errors
/// When it is no address, or one that is not this machine's or is in use.
pub(super) fn bind(text: &str) -> anyhow::Result<TcpListener> {
    let addresses = resolve(text)?;
    TcpListener::bind(&addresses[..]).with_context(|| {
        format!("cannot listen at {text}; is another exporter running there? --listen names another port")
    })
}

/// Whether only this machine can get there.
pub(super) fn is_local(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_written() {
        let first = |text| resolve(text).map(|all| all[0].to_string()).unwrap_or_default();
        assert_eq!(first("9812"), "127.0.0.1:9812");
        assert_eq!(first("0.0.0.0:9812"), "0.0.0.0:9812");
        assert_eq!(first("[::1]:0"), "[::1]:0");
        for wrong in ["", ":9812", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "a b:1"] {
            let told = resolve(wrong).unwrap_err().to_string();
            assert!(told.contains("HOST:PORT"), "{told}");
        }
        assert!(is_local("127.8.0.1".parse().unwrap()) && is_local("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!is_local("0.0.0.0".parse().unwrap()) && !is_local("::".parse().unwrap()));
    }
}
