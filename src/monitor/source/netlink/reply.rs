//! What the kernel's RDMA subsystem answers (drivers/infiniband/core/nldev.c). Pure.

use super::wire::{Attribute, Malformed, attributes};
use crate::text::printable;

/// Numbers of `include/uapi/rdma/rdma_netlink.h` (`RDMA_NLDEV_CMD_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Command {
    /// A device, or all.
    Get = 1,
    /// A port, with its state.
    PortGet = 5,
    /// How the subsystem is set.
    SysGet = 6,
    /// Queue pairs of a device.
    QpGet = 10,
    /// A port's hardware counters.
    StatGet = 17,
    /// A device came, went or changed.
    Monitor = 28,
}

impl Command {
    /// The message type: client `RDMA_NL_NLDEV` (5) in the upper bits.
    pub(super) fn message_type(self) -> u16 {
        (5 << 10) + self as u16
    }

    /// The message type of its answers: a port's are marked as a device's (`nldev_port_get_doit`).
    pub(super) fn reply_type(self) -> u16 {
        if self == Self::PortGet { Self::Get.message_type() } else { self.message_type() }
    }
}

/// `RDMA_NLDEV_ATTR_*`.
pub(super) mod attr {
    pub(in super::super) const DEV_INDEX: u16 = 1;
    pub(super) const DEV_NAME: u16 = 2;
    pub(in super::super) const PORT_INDEX: u16 = 3;
    pub(super) const FW_VERSION: u16 = 5;
    pub(super) const PORT_STATE: u16 = 12;
    pub(super) const PORT_PHYS_STATE: u16 = 13;
    pub(super) const RES_QP: u16 = 19;
    pub(super) const RES_QP_ENTRY: u16 = 20;
    pub(super) const RES_PID: u16 = 28;
    pub(super) const RES_KERN_NAME: u16 = 29;
    pub(super) const NDEV_NAME: u16 = 51;
    pub(super) const NETNS_MODE: u16 = 66;
    pub(super) const HWCOUNTERS: u16 = 80;
    pub(super) const HWCOUNTER_ENTRY: u16 = 81;
    pub(super) const HWCOUNTER_NAME: u16 = 82;
    pub(super) const HWCOUNTER_VALUE: u16 = 83;
    pub(super) const EVENT_TYPE: u16 = 102;
    pub(super) const MONITOR_MODE: u16 = 103;
}

/// Longest name of a device in the kernel (`IB_DEVICE_NAME_MAX`), and far more than any counter's.
const MAX_NAME: usize = 64;
/// More counters than any driver has.
const MAX_COUNTERS: usize = 512;

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    /// The kernel's number for it: not used again soon, and the same after a rename.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Number of its last port; ports begin at 1.
    pub ports: u32,
    /// Firmware version; empty texts count as none.
    pub fw_ver: Option<String>,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Port {
    /// `ACTIVE`, …
    pub state: Option<&'static str>,
    /// `LinkUp`, …
    pub phys_state: Option<&'static str>,
    /// The network interface it belongs to.
    pub netdev: Option<String>,
}

/// Who holds a queue pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The process with this number, in our own PID namespace.
    Process(u32),
    /// The kernel itself.
    Kernel,
    /// A process that this PID namespace does not show, or that is ending.
    Hidden,
}

/// How the RDMA subsystem is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct System {
    /// Whether devices are seen from every network namespace (else each belongs to one).
    pub shared: Option<bool>,
    /// Whether it tells when devices come and go.
    pub tells_changes: bool,
}

/// What happened to a device (`RDMA_*_EVENT`; those about network interfaces do not matter here).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It is there.
    Registered,
    /// It is gone.
    Unregistered,
    /// It has another name.
    Renamed,
    /// Anything else.
    Other,
}

/// A message about a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The device's number.
    pub index: u32,
    /// Its name, from now on.
    pub name: String,
}

/// Reads a reply to [`Command::Get`]. `None` when it names no device.
pub(super) fn device(body: &[u8]) -> Result<Option<Device>, Malformed> {
    let (mut index, mut name) = (None, None);
    let (mut ports, mut fw_ver) = (0, None);
    for attribute in attributes(body) {
        let a = attribute?;
        match a.kind {
            attr::DEV_INDEX => index = a.u32(),
            attr::DEV_NAME => name = device_name(&a),
            // Of a device this is the number of its last port, which fits into a byte for all but virtual functions
            // without end; those beyond could not be asked for anyway.
            attr::PORT_INDEX => ports = a.u32().unwrap_or(0).min(u32::from(u8::MAX)),
            attr::FW_VERSION => fw_ver = a.text().map(printable).filter(|v| !v.is_empty()),
            _ => {}
        }
    }
    Ok(index.zip(name).map(|(index, name)| Device { index, name, ports, fw_ver }))
}

/// Reads a reply to [`Command::PortGet`].
pub(super) fn port(body: &[u8]) -> Result<Port, Malformed> {
    let mut port = Port::default();
    for attribute in attributes(body) {
        let a = attribute?;
        match a.kind {
            attr::PORT_STATE => port.state = a.u8().and_then(state_word),
            attr::PORT_PHYS_STATE => port.phys_state = a.u8().and_then(phys_state_word),
            attr::NDEV_NAME => port.netdev = a.text().map(printable),
            _ => {}
        }
    }
    Ok(port)
}

/// Reads a reply to [`Command::StatGet`] into `out`: names and values, in the driver's order.
pub(super) fn counters(body: &[u8], mut out: impl FnMut(&str, u64)) -> Result<(), Malformed> {
    let mut read = 0;
    for table in attributes(body) {
        let table = table?;
        if table.kind != attr::HWCOUNTERS {
            continue;
        }
        for entry in attributes(table.value) {
            let entry = entry?;
            let (mut name, mut value) = (None, None);
            for attribute in attributes(entry.value) {
                let a = attribute?;
                match a.kind {
                    attr::HWCOUNTER_NAME => name = a.text().filter(|n| is_plain(n)),
                    attr::HWCOUNTER_VALUE => value = a.u64(),
                    _ => {}
                }
            }
            if let Some((name, value)) = name.zip(value)
                && entry.kind == attr::HWCOUNTER_ENTRY
                && read < MAX_COUNTERS
            {
                read += 1;
                out(name, value);
            }
        }
    }
    Ok(())
}

/// Reads a part of the answer to [`Command::QpGet`].
pub(super) fn owners(body: &[u8], mut out: impl FnMut(Owner)) -> Result<(), Malformed> {
    for table in attributes(body) {
        let table = table?;
        if table.kind != attr::RES_QP {
            continue;
        }
        for entry in attributes(table.value) {
            let entry = entry?;
            if entry.kind != attr::RES_QP_ENTRY {
                continue;
            }
            let mut owner = Owner::Hidden;
            for attribute in attributes(entry.value) {
                let a = attribute?;
                match a.kind {
                    attr::RES_PID => owner = a.u32().filter(|&p| p > 0).map_or(owner, Owner::Process),
                    attr::RES_KERN_NAME => owner = Owner::Kernel,
                    _ => {}
                }
            }
            out(owner);
        }
    }
    Ok(())
}

/// Reads the reply to [`Command::SysGet`].
pub(super) fn system(body: &[u8]) -> Result<System, Malformed> {
    let mut system = System::default();
    for attribute in attributes(body) {
        let a = attribute?;
        match a.kind {
            attr::NETNS_MODE => system.shared = a.u8().map(|mode| mode != 0),
            attr::MONITOR_MODE => system.tells_changes = a.u8() == Some(1),
            _ => {}
        }
    }
    Ok(system)
}

/// Reads a [`Command::Monitor`] message. `None` when it names no device.
pub(super) fn event(body: &[u8]) -> Result<Option<Event>, Malformed> {
    let (mut kind, mut index, mut name) = (EventKind::Other, None, None);
    for attribute in attributes(body) {
        let a = attribute?;
        match a.kind {
            attr::DEV_INDEX => index = a.u32(),
            attr::DEV_NAME => name = device_name(&a),
            attr::EVENT_TYPE => {
                kind = match a.u8() {
                    Some(0) => EventKind::Registered,
                    Some(1) => EventKind::Unregistered,
                    Some(4) => EventKind::Renamed,
                    _ => EventKind::Other,
                }
            }
            _ => {}
        }
    }
    Ok(index.zip(name).map(|(index, name)| Event { kind, index, name }))
}

/// A device's name: one that could also be a directory in sysfs.
fn device_name(attribute: &Attribute<'_>) -> Option<String> {
    let name = attribute.text()?;
    (is_plain(name) && !name.contains('/') && !name.starts_with('.')).then(|| name.to_owned())
}

/// Whether a name is one: short, and of visible characters.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(|b| b.is_ascii_graphic())
}

/// `enum ib_port_state`, in sysfs's words.
fn state_word(state: u8) -> Option<&'static str> {
    Some(match state {
        0 => "NOP",
        1 => "DOWN",
        2 => "INIT",
        3 => "ARMED",
        4 => "ACTIVE",
        5 => "ACTIVE_DEFER",
        _ => return None,
    })
}

/// `enum ib_port_phys_state`, in sysfs's words.
fn phys_state_word(state: u8) -> Option<&'static str> {
    Some(match state {
        1 => "Sleep",
        2 => "Polling",
        3 => "Disabled",
        4 => "PortConfigurationTraining",
        5 => "LinkUp",
        6 => "LinkErrorRecovery",
        7 => "Phy Test",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
