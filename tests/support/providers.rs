//! Which libfabric providers the tests go through.

/// Providers of the loaded libfabric that can run on loopback; empty (and said) without libfabric.
pub fn providers() -> Vec<String> {
    if let Ok(list) = std::env::var("RAILTOP_TEST_PROVIDERS") {
        return list.split(',').map(ToOwned::to_owned).collect();
    }
    match libfabric_sys::Libfabric::load() {
        Ok(lib) if lib.version() >= (1, 18) => vec!["tcp".into()],
        Ok(_) => vec!["tcp;ofi_rxm".into(), "net".into()],
        Err(error) => {
            eprintln!("skipped: {error}");
            Vec::new()
        }
    }
}

/// A NIC of PE `rank` for a provider: addresses on loopback, the one device that `shm` has, or for verbs the device that
/// `RAILTOP_TEST_RDMA` names (soft-RoCE devices reach themselves without any set-up).
pub fn nic(provider: &str, net: u8, rank: u32, nic: u8) -> railtop::transport::fabric::NicRequest {
    let name = match provider {
        "shm" => "shm".to_owned(),
        "efa" | "efa-direct" | "verbs;ofi_rxm" => {
            std::env::var("RAILTOP_TEST_RDMA").unwrap_or_else(|_| "rxe0".into())
        }
        _ => format!("127.{net}.{}.{nic}", rank + 1),
    };
    name.parse().unwrap()
}
