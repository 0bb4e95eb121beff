//! What NICs and groups are called, in texts that C may hold on to: made once, never changed, never moved.

use std::ffi::{CStr, CString, c_char};
use std::ptr::null;

use railtop::monitor::model::view::{GroupKind, GroupView, NicView};

use crate::abi;
use crate::guard::to_c;

/// What is known of a NIC when it is first seen.
#[derive(Debug, Clone)]
pub(crate) struct NicName {
    pub(crate) key: CString,
    pub(crate) device: CString,
    driver: Option<CString>,
    source: CString,
    pci: Option<CString>,
    netdev: Option<CString>,
    link_bits_per_s: Option<u64>,
    numa: Option<u16>,
    pub(crate) port: u8,
    pub(crate) group: u32,
}

impl NicName {
    pub(crate) fn of(nic: &NicView, group: u32) -> Self {
        Self {
            key: to_c(&nic.key),
            device: to_c(&nic.device),
            // How rows show one that is not known.
            driver: Some(nic.driver.as_str())
                .filter(|driver| !["unknown", "-", ""].contains(driver))
                .map(to_c),
            source: to_c(nic.source.name()),
            pci: nic.pci.as_deref().map(to_c),
            netdev: nic.netdev.as_deref().map(to_c),
            link_bits_per_s: nic.link_bits_per_s,
            numa: nic.numa,
            port: nic.port,
            group,
        }
    }

    /// For C.
    pub(crate) fn abi(&self) -> abi::Nic {
        abi::Nic {
            size: size_of::<abi::Nic>(),
            key: self.key.as_ptr(),
            device: self.device.as_ptr(),
            driver: pointer(self.driver.as_deref()),
            source: self.source.as_ptr(),
            pci: pointer(self.pci.as_deref()),
            netdev: pointer(self.netdev.as_deref()),
            link_bits_per_s: self.link_bits_per_s.map_or(f64::NAN, |bits| bits as f64),
            numa: self.numa.map_or(-1, i32::from),
            port: self.port.into(),
            group: self.group,
            reserved: 0,
        }
    }

    /// The device, with its port where that is not the usual one.
    pub(crate) fn label(&self) -> String {
        let device = self.device.to_string_lossy();
        if self.port > 1 { format!("{device} port {}", self.port) } else { device.into_owned() }
    }
}

/// What is known of a group when it is first seen.
#[derive(Debug, Clone)]
pub(crate) struct GroupName {
    pub(crate) key: CString,
    pub(crate) name: CString,
    kind: &'static CStr,
    node: CString,
    gpu: Option<CString>,
    numa: Option<u16>,
    pe: Option<u32>,
    pub(crate) job: Option<String>,
    pub(crate) pid: Option<u32>,
}

impl GroupName {
    pub(crate) fn of(group: &GroupView) -> Self {
        Self {
            key: to_c(&group.key),
            name: to_c(&name_of(group)),
            kind: match group.kind {
                GroupKind::Pe => c"pe",
                GroupKind::Gpu => c"gpu",
                GroupKind::Numa => c"numa",
                GroupKind::Node => c"node",
            },
            node: to_c(&group.node),
            gpu: group.gpu.as_deref().map(to_c),
            numa: group.numa,
            pe: group.pe,
            // How rows show one without a name.
            job: group.job.clone().filter(|job| job != "-"),
            pid: group.pid,
        }
    }

    /// For C.
    pub(crate) fn abi(&self) -> abi::Group {
        abi::Group {
            size: size_of::<abi::Group>(),
            key: self.key.as_ptr(),
            name: self.name.as_ptr(),
            kind: self.kind.as_ptr(),
            node: self.node.as_ptr(),
            gpu: pointer(self.gpu.as_deref()),
            numa: self.numa.map_or(-1, i32::from),
            pe: self.pe.and_then(|pe| i32::try_from(pe).ok()).unwrap_or(-1),
        }
    }
}

/// The groups of a host are told apart.
fn name_of(group: &GroupView) -> String {
    match group.numa {
        Some(node) if group.kind == GroupKind::Numa => format!("{} NUMA {node}", group.name()),
        _ => group.name(),
    }
}

fn pointer(text: Option<&CStr>) -> *const c_char {
    text.map_or(null(), CStr::as_ptr)
}
