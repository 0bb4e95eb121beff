//! NVML itself, loaded at run time.
//!
//! The safe wrapper does everything but NVLink's byte counters: those are field values with a *scope*, the link's
//! number, which it does not pass on. That one call is made here.

#![expect(unsafe_code, reason = "NVLink counters need a C call that the wrapper does not offer")]

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::sys_exports::field_id;
use nvml_wrapper::{Device, Nvml};
use nvml_wrapper_sys::bindings::{nvmlFieldValue_t, nvmlReturn_enum_NVML_SUCCESS};

use super::GpuLibrary;
use super::convert::{kib, number, sysfs_address};
use crate::monitor::clock;
use crate::monitor::moment::Moment;
use crate::monitor::sample::{GpuSample, NvLinkSample};
use crate::text::printable;

/// Where the library lies: by the name that the loader knows, and where container runtimes mount it.
const PLACES: [&str; 2] = ["libnvidia-ml.so.1", "/usr/local/nvidia/lib64/libnvidia-ml.so.1"];
/// Most links that are asked for: `NVML_NVLINK_MAX_LINKS` is 18, and more may come.
const MAX_LINKS: u64 = 36;

/// Which fields have a link's bytes, and what one count of them is.
#[derive(Debug, Clone, Copy)]
struct Counters {
    tx: u32,
    rx: u32,
    bytes: fn(u64) -> Option<u64>,
}

/// In the order of preference. nvml.h: the first are "Data throughput", payload, in KiB (the scope is the link); the
/// second are "Total bytes", in bytes, of NVLink 5 and later.
const COUNTERS: [Counters; 2] = [
    Counters {
        tx: field_id::NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX,
        rx: field_id::NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX,
        bytes: kib,
    },
    Counters {
        tx: field_id::NVML_FI_DEV_NVLINK_COUNT_XMIT_BYTES,
        rx: field_id::NVML_FI_DEV_NVLINK_COUNT_RCV_BYTES,
        bytes: Some,
    },
];

/// What does not change about a GPU.
#[derive(Debug)]
struct Known {
    name: Option<String>,
    pci: Option<String>,
    /// Its links' numbers and the addresses of the other ends.
    links: Vec<(u32, Option<String>)>,
    /// Those of [`COUNTERS`] that it has, once that is known.
    counters: Option<Counters>,
}

/// NVML with what is known of its GPUs.
pub(super) struct NvmlLibrary {
    nvml: Nvml,
    known: Vec<Option<Known>>,
}

/// Loads and initialises NVML.
///
/// # Errors
/// Why it cannot be had, with what to do about it.
pub(super) fn open() -> Result<NvmlLibrary, String> {
    let mut reason = String::new();
    for place in PLACES {
        match Nvml::builder().lib_path(place.as_ref()).init() {
            Ok(nvml) => return Ok(NvmlLibrary { nvml, known: Vec::new() }),
            // The first place's reason is the one to tell, unless another has a library that fails.
            Err(e) if reason.is_empty() || !matches!(e, NvmlError::LibloadingError(_)) => reason = why(&e),
            Err(_) => {}
        }
    }
    Err(reason)
}

/// Why NVML cannot be used, and what helps.
fn why(error: &NvmlError) -> String {
    match error {
        NvmlError::LibloadingError(_) => "there is no libnvidia-ml.so.1 (no NVIDIA driver is installed here; in a container, \
             start it with the NVIDIA runtime)"
            .to_owned(),
        NvmlError::FailedToLoadSymbol(_) | NvmlError::FunctionNotFound => {
            "the NVIDIA driver is too old: its libnvidia-ml.so.1 lacks a function that is needed".to_owned()
        }
        NvmlError::DriverNotLoaded => "the NVIDIA kernel driver is not loaded (try `modprobe nvidia`)".to_owned(),
        NvmlError::NoPermission => {
            "no permission to use the NVIDIA driver (see who may open /dev/nvidiactl)".to_owned()
        }
        NvmlError::LibRmVersionMismatch => {
            "libnvidia-ml.so.1 and the NVIDIA kernel driver are of different versions (reboot, or reload the driver)"
                .to_owned()
        }
        other => printable(&format!("NVML: {other}")),
    }
}

impl GpuLibrary for NvmlLibrary {
    fn read(&mut self) -> Result<Vec<GpuSample>, String> {
        let count = self.nvml.device_count().map_err(|e| why(&e))?;
        self.known.resize_with(count as usize, || None);
        Ok((0..count).zip(&mut self.known).map(|(index, known)| gpu(&self.nvml, index, known)).collect())
    }
}

/// Reads one GPU. What it does not support is missing, and the reason of one that is lost is told.
fn gpu(nvml: &Nvml, index: u32, known: &mut Option<Known>) -> GpuSample {
    let before = clock::mono_ns();
    let device = match nvml.device_by_index(index) {
        Ok(device) => device,
        Err(e) => {
            *known = None;
            return GpuSample { index, mono_ns: before, reason: Some(why(&e)), ..GpuSample::default() };
        }
    };
    let known = known.get_or_insert_with(|| Known::of(&device));
    let mut reasons: Vec<String> = Vec::new();
    let mut noted = |what: &str, error: &NvmlError| {
        reasons.push(format!("{what}: {}", printable(&error.to_string())));
    };
    let busy = device.utilization_rates().inspect_err(|e| noted("utilisation", e)).ok();
    let memory = device.memory_info().inspect_err(|e| noted("memory", e)).ok();
    let celsius = device.temperature(TemperatureSensor::Gpu).inspect_err(|e| noted("temperature", e)).ok();
    let milliwatts = device.power_usage().inspect_err(|e| noted("power", e)).ok();
    let links_from = clock::mono_ns();
    let nvlinks = links(&device, known);
    let read = if nvlinks.is_empty() { Moment::between(before, before) } else { Moment::since(links_from) };
    GpuSample {
        index,
        name: known.name.clone(),
        pci: known.pci.clone(),
        mono_ns: read.at_ns,
        span_ns: read.span_ns,
        busy_percent: busy.map(|b| b.gpu),
        memory_used_bytes: memory.as_ref().map(|m| m.used),
        memory_total_bytes: memory.as_ref().map(|m| m.total),
        celsius,
        milliwatts,
        nvlinks,
        reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
    }
}

impl Known {
    fn of(device: &Device<'_>) -> Self {
        let count = fields(device, &[(field_id::NVML_FI_DEV_NVLINK_LINK_COUNT, 0)]);
        let count = count.first().copied().flatten().unwrap_or(0).min(MAX_LINKS);
        let remote = |link| {
            let other = device.link_wrapper_for(link).remote_pci_info().ok()?;
            sysfs_address(&other.bus_id)
        };
        Self {
            name: device.name().ok().map(|name| printable(&name)),
            pci: device.pci_info().ok().and_then(|pci| sysfs_address(&pci.bus_id)),
            links: (0..u32::try_from(count).unwrap_or(0)).map(|link| (link, remote(link))).collect(),
            counters: None,
        }
    }
}

/// All links of a GPU, their counters in one call.
fn links(device: &Device<'_>, known: &mut Known) -> Vec<NvLinkSample> {
    if known.links.is_empty() {
        return Vec::new();
    }
    let candidates = known.counters.map_or_else(|| COUNTERS.to_vec(), |one| vec![one]);
    let mut bytes: Vec<[Option<u64>; 2]> = Vec::new();
    for counters in candidates {
        let ids: Vec<(u32, u32)> =
            known.links.iter().flat_map(|&(link, _)| [(counters.tx, link), (counters.rx, link)]).collect();
        let values: Vec<Option<u64>> =
            fields(device, &ids).into_iter().map(|value| value.and_then(counters.bytes)).collect();
        let any = values.iter().any(Option::is_some);
        bytes = values.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
        if any {
            known.counters = Some(counters);
            break;
        }
    }
    known
        .links
        .iter()
        .enumerate()
        .map(|(i, (link, remote))| {
            let [tx_bytes, rx_bytes] = bytes.get(i).copied().unwrap_or_default();
            NvLinkSample {
                link: *link,
                active: device.link_wrapper_for(*link).is_active().unwrap_or(false),
                tx_bytes,
                rx_bytes,
                remote: remote.clone(),
            }
        })
        .collect()
}

/// The values of fields (id, scope), in their order; `None` for those that the GPU or the driver does not have.
fn fields(device: &Device<'_>, ids: &[(u32, u32)]) -> Vec<Option<u64>> {
    let Ok(call) = &device.nvml().lib().nvmlDeviceGetFieldValues else { return vec![None; ids.len()] };
    let Ok(count) = i32::try_from(ids.len()) else { return vec![None; ids.len()] };
    let mut values: Vec<nvmlFieldValue_t> = ids
        .iter()
        .map(|&(field, scope)| {
            // SAFETY: the structure is plain numbers and a union of numbers, for all of which zero is a value.
            let mut value: nvmlFieldValue_t = unsafe { std::mem::zeroed() };
            (value.fieldId, value.scopeId) = (field, scope);
            value
        })
        .collect();
    // SAFETY: the handle is of a device of this library, which outlives the call; `values` are `count` structures that
    // the library fills and does not keep.
    let result = unsafe { call(device.handle(), count, values.as_mut_ptr()) };
    if result != nvmlReturn_enum_NVML_SUCCESS {
        return vec![None; ids.len()];
    }
    values
        .iter()
        .map(|value| {
            // SAFETY: all eight bytes of the union were zeroed above, so they are initialised whichever member the
            // library has written.
            let raw = unsafe { value.value.ullVal };
            (value.nvmlReturn == nvmlReturn_enum_NVML_SUCCESS).then(|| number(value.valueType, raw)).flatten()
        })
        .collect()
}
