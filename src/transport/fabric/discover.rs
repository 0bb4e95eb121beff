//! Finding the provider and the domain for each NIC asked for.

use std::ffi::CString;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use libfabric_sys::Libfabric;
use libfabric_sys::consts::{
    FI_EP_RDM, FI_MR_ALLOCATED, FI_MR_HMEM, FI_MR_LOCAL, FI_MR_PROV_KEY, FI_MR_VIRT_ADDR, FI_PROGRESS_MANUAL,
    FI_THREAD_DOMAIN,
};
use libfabric_sys::flags::{FI_CONTEXT, FI_CONTEXT2, FI_HMEM, FI_MSG, FI_RMA, FI_SOURCE};
use libfabric_sys::loader::set_string;

use super::info::EFA_DIRECT;
use super::{FabricError, Info};

/// Providers whose NICs reach memory by themselves, in the order they are tried for a NIC that is named.
const OVER_RDMA: [&str; 3] = ["efa", EFA_DIRECT, "verbs;ofi_rxm"];

/// Providers that run anywhere, tried after those. `shm`, within one node, has to be asked for. `tcp` has endpoints of type RDM
/// from libfabric 1.18 on; 1.17 offers them as `net` (which became that `tcp`) and as `tcp;ofi_rxm`. `net` comes first:
/// a small all-to-all takes a third of the time, large ones the same, and rxm 1.17 can crash when a peer vanishes.
const OVER_SOCKETS: [&str; 3] = ["tcp", "net", "tcp;ofi_rxm"];

/// Providers whose NICs are taken without being named: all that a node has of them is there for jobs. Of the devices of
/// `verbs;ofi_rxm` some may be its way to disks or to other networks.
const UNASKED: [&str; 2] = ["efa", EFA_DIRECT];

/// Whether a provider's NICs reach memory by themselves.
#[must_use]
pub fn is_rdma(provider: &str) -> bool {
    OVER_RDMA.contains(&provider)
}

/// A NIC by device name, by address, or both: `rdmap79s0`, `10.77.0.5`, `nic4=10.77.0.5`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NicRequest {
    /// Device or interface name.
    pub device: Option<String>,
    /// Local IP address, for providers over sockets.
    pub address: Option<String>,
}

/// A NIC name that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no NIC; give a device (rdmap79s0), an address (10.0.0.5), or both (nic4=10.0.0.5)")]
pub struct BadNic(String);

impl FromStr for NicRequest {
    type Err = BadNic;

    fn from_str(text: &str) -> Result<Self, BadNic> {
        let bad = || BadNic(crate::text::printable(text));
        let part = |part: &str| {
            let plain = !part.is_empty()
                && part.len() <= 64
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_' | '-'));
            plain.then(|| part.to_owned())
        };
        match text.split_once('=') {
            Some((device, address)) => {
                let address = part(address).filter(|address| address.parse::<std::net::IpAddr>().is_ok());
                Ok(Self {
                    device: Some(part(device).ok_or_else(bad)?),
                    address: Some(address.ok_or_else(bad)?),
                })
            }
            None if text.parse::<std::net::IpAddr>().is_ok() => {
                Ok(Self { device: None, address: part(text) })
            }
            None => Ok(Self { device: Some(part(text).ok_or_else(bad)?), address: None }),
        }
    }
}

impl fmt::Display for NicRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.device, &self.address) {
            (Some(device), Some(address)) => write!(f, "{device} ({address})"),
            (Some(name), None) | (None, Some(name)) => f.write_str(name),
            (None, None) => f.write_str("any NIC"),
        }
    }
}

/// Which of the node's NICs are this PE's, when none are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All: it is the only PE of the job.
    Alone,
    /// As many as each other PE of the node has.
    Of {
        /// Number of this PE on its node.
        local_rank: u32,
        /// PEs on the node.
        local_world: u32,
    },
    /// Nobody says how many PEs the node has.
    Unknown,
}

/// Finds an offer for each NIC, all from the same provider. Without requests, this PE's share of the node's EFA NICs, or of those of
/// `provider`. With `devices` they take memory of GPUs, too, where they can ([`Info::takes_devices`]).
///
/// # Errors
/// When no provider offers all of them, or the NICs cannot be shared out evenly.
pub fn discover(
    lib: &Arc<Libfabric>,
    provider: Option<&str>,
    requests: &[NicRequest],
    share: Share,
    devices: bool,
) -> Result<Vec<Info>, FabricError> {
    let found = find(lib, provider, requests, share, false)?;
    if !devices {
        return Ok(found);
    }
    // The same NICs of the same provider, or nothing of it.
    let domains = |infos: &[Info]| infos.iter().map(Info::domain).collect::<Vec<_>>();
    let provider = found.first().map(Info::provider);
    let taking = find(lib, provider.as_deref(), requests, share, true).ok();
    let taking =
        taking.filter(|taking| taking.iter().all(Info::takes_devices) && domains(taking) == domains(&found));
    Ok(taking.unwrap_or(found))
}

/// The same with one kind of offers.
fn find(
    lib: &Arc<Libfabric>,
    provider: Option<&str>,
    requests: &[NicRequest],
    share: Share,
    devices: bool,
) -> Result<Vec<Info>, FabricError> {
    let candidates: Vec<&str> = match provider {
        Some(provider) => vec![provider],
        None if requests.is_empty() => UNASKED.to_vec(),
        None => [OVER_RDMA, OVER_SOCKETS].concat(),
    };
    let mut tried = Vec::new();
    'providers: for provider in candidates {
        if requests.is_empty() {
            match offers(lib, provider, &NicRequest { device: None, address: None }, devices) {
                Ok(found) if !found.is_empty() => return share_out(found, share),
                Ok(_) => tried.push(format!("{provider}: no NIC")),
                Err(why) => tried.push(format!("{provider}: {why}")),
            }
            continue;
        }
        let mut found = Vec::with_capacity(requests.len());
        for request in requests {
            match offers(lib, provider, request, devices) {
                Ok(mut offers) if !offers.is_empty() => found.push(offers.swap_remove(0)),
                Ok(_) => {
                    tried.push(format!("{provider}: no {request}"));
                    continue 'providers;
                }
                Err(why) => {
                    tried.push(format!("{provider}: {why}"));
                    continue 'providers;
                }
            }
        }
        return Ok(found);
    }
    let (major, minor) = lib.version();
    Err(FabricError::NoProvider {
        version: format!("{major}.{minor}"),
        library: lib.path().display().to_string(),
        wanted: match requests {
            [] if provider.is_none() => "any EFA NIC (name others with --nics or RAILTOP_NICS)".to_owned(),
            [] => "any NIC".to_owned(),
            _ => requests.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        },
        tried: tried.join("; "),
    })
}

/// The NICs of one PE out of those of its node: as many for each, neighbours on the PCI bus together. On instances whose
/// GPUs and NICs lie in the same order that is the NICs next to the PE's GPU; elsewhere name them.
fn share_out(mut found: Vec<Info>, share: Share) -> Result<Vec<Info>, FabricError> {
    found.sort_by_key(|info| (info.facts().pci, info.domain()));
    let Share::Of { local_rank, local_world } = share else {
        return match share {
            Share::Alone => Ok(found),
            _ => Err(FabricError::UnknownShare { nics: found.len() }),
        };
    };
    let Some(range) = slice(found.len(), local_rank, local_world) else {
        return Err(FabricError::Ambiguous { nics: found.len(), pes: local_world });
    };
    Ok(found.drain(range).collect())
}

/// Which of `nics` are those of PE `rank` of `world`; `None` when they cannot be shared out evenly.
fn slice(nics: usize, rank: u32, world: u32) -> Option<std::ops::Range<usize>> {
    let (rank, world) = (usize::try_from(rank).ok()?, usize::try_from(world).ok()?);
    let each = nics.checked_div(world)?;
    (each > 0 && each * world == nics && rank < world).then(|| rank * each..(rank + 1) * each)
}

/// What `provider` offers for one NIC, best first, one entry per domain.
fn offers(
    lib: &Arc<Libfabric>,
    provider: &str,
    request: &NicRequest,
    devices: bool,
) -> Result<Vec<Info>, String> {
    let hints = Info::hints(lib).ok_or("out of memory")?;
    // `efa-direct` is a fabric of the provider `efa`.
    let name = if provider == EFA_DIRECT { "efa" } else { provider };
    let name = CString::new(name).map_err(|_| "a provider name with a NUL in it")?;
    let node = request
        .address
        .as_deref()
        .map(CString::new)
        .transpose()
        .map_err(|_| "an address with a NUL in it")?;
    let raw = hints.raw();
    // SAFETY: hints() has made sure that every attribute structure is there; strings are copied by set_string.
    let set = unsafe {
        (*raw).caps = FI_MSG | FI_RMA | if devices { FI_HMEM } else { 0 };
        (*raw).mode = FI_CONTEXT | FI_CONTEXT2;
        (*(*raw).ep_attr).type_ = FI_EP_RDM;
        let domain = (*raw).domain_attr;
        (*domain).mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
        if devices {
            (*domain).mr_mode |= FI_MR_HMEM;
        }
        (*domain).threading = FI_THREAD_DOMAIN;
        // Manual: the proxy polls anyway, and a progress thread per NIC would fight it for the cores.
        (*domain).data_progress = FI_PROGRESS_MANUAL;
        (*domain).control_progress = FI_PROGRESS_MANUAL;
        set_string(&raw mut (*(*raw).fabric_attr).prov_name, &name)
    };
    if set < 0 {
        return Err("out of memory".into());
    }
    let flags = if node.is_some() { FI_SOURCE } else { 0 };
    let mut list = std::ptr::null_mut();
    // SAFETY: hints come from allocinfo; the list is freed below.
    let code = unsafe { lib.getinfo(node.as_deref(), None, flags, raw, &mut list) };
    if code < 0 {
        return Err(lib.strerror(code));
    }
    let mut found: Vec<Info> = Vec::new();
    let mut entry = list;
    // A list from outside is followed for a bounded number of entries.
    for _ in 0..4096 {
        if entry.is_null() {
            break;
        }
        // SAFETY: an entry of the list just made.
        let info = unsafe { Info::copy(lib, entry) };
        if let Some(info) = info.filter(|info| fits(info, provider, request)) {
            // rxm lists each candidate several times.
            if request.device.is_some() || !found.iter().any(|other| other.domain() == info.domain()) {
                found.push(info);
            }
        }
        // SAFETY: as above.
        entry = unsafe { (*entry).next };
    }
    // SAFETY: the head of the list getinfo made, freed once.
    unsafe { lib.freeinfo(list) };
    Ok(found)
}

/// Whether an offer is what was asked for. Old providers ignore hints, so the answer is checked, not trusted.
fn fits(info: &Info, provider: &str, request: &NicRequest) -> bool {
    // `tcp` also matches layered offers such as `tcp;ofi_rxm`, which is a provider of its own in the list.
    if info.provider() != provider {
        return false;
    }
    match (&request.device, &request.address) {
        // An address decides by itself: the domain of an address that lies on no interface is called "tcp".
        (_, Some(_)) => true,
        // Unasked, never the loopback interface.
        (None, None) => info.domain() != "lo",
        (Some(device), None) => {
            let domain = info.domain();
            domain == *device
                || domain == format!("{device}-rdm")
                || info.facts().device.as_deref() == Some(device)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nics_are_shared_out_evenly_or_not_at_all() {
        assert_eq!(slice(32, 0, 8), Some(0..4));
        assert_eq!(slice(32, 7, 8), Some(28..32));
        assert_eq!(slice(8, 3, 8), Some(3..4));
        for (nics, rank, world) in [(4, 0, 8), (9, 0, 8), (8, 8, 8), (0, 0, 1), (8, 0, 0)] {
            assert_eq!(slice(nics, rank, world), None, "{nics} NICs, PE {rank} of {world}");
        }
    }

    #[test]
    fn what_is_taken_unasked_is_rdma_and_sockets_are_not() {
        assert!(UNASKED.into_iter().chain(OVER_RDMA).all(is_rdma));
        assert!(!OVER_SOCKETS.into_iter().chain(["shm"]).any(is_rdma));
    }

    #[test]
    fn nics_are_read() {
        let nic: NicRequest = "nic4=10.77.0.5".parse().unwrap();
        assert_eq!((nic.device.as_deref(), nic.address.as_deref()), (Some("nic4"), Some("10.77.0.5")));
        assert_eq!("127.0.0.2".parse::<NicRequest>().unwrap().device, None);
        assert_eq!("rdmap79s0".parse::<NicRequest>().unwrap().address, None);
        for bad in ["", "=", "a=b", "nic0=", "a b", "\u{1b}[2J", &"x".repeat(100)] {
            assert!(bad.parse::<NicRequest>().is_err(), "{bad:?}");
        }
    }
}
