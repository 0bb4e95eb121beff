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
