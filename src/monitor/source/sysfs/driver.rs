//! Which driver a device has.

use std::collections::HashSet;
use std::path::Path;

use super::root::Root;
use crate::monitor::table::{self, Dir};
use crate::text::printable;

/// The driver: what `device/driver` points to, what `uevent` says, what software devices say of themselves, which
/// driver has such counters, and last what the name suggests: rdma-core and people rename devices.
pub(super) fn of(root: &Root, device: &Path, port: u8, uevent: &str) -> Option<String> {
    root.link_name(device.join("device/driver"))
        .or_else(|| uevent_value(uevent, "DRIVER"))
        .map(|d| printable(&d))
        .or_else(|| software(root, device).map(str::to_owned))
        .or_else(|| from_counters(root, device, port).map(str::to_owned))
        .or_else(|| from_name(&device.file_name()?.to_string_lossy()).map(str::to_owned))
}

/// rxe and siw have no `device`; their description is the driver's own (`sw/rxe/rxe.c`, `sw/siw/siw_main.c`).
fn software(root: &Root, device: &Path) -> Option<&'static str> {
    let description = root.text(device.join("node_desc"))?;
    match description.as_str() {
        "rxe" => Some("rxe"),
        other if other.starts_with("Software iWARP stack") => Some("siw"),
        _ => None,
    }
}

fn from_counters(root: &Root, device: &Path, port: u8) -> Option<&'static str> {
    let names = |dir: Dir| -> HashSet<String> {
        root.list(device.join(format!("ports/{port}/{}", dir.name())))
            .unwrap_or_default()
            .into_iter()
            .collect()
    };
    let (hw, pma) = (names(Dir::HwCounters), names(Dir::Counters));
    table::guess(|dir, name| match dir {
        Dir::HwCounters => hw.contains(name),
        Dir::Counters => pma.contains(name),
        Dir::Device => false,
    })
}

/// What the kernel's own naming scheme says: `efa_0`, `mlx5_0`; of software devices what people call them: `siw0`. Those
/// are told by nothing else where somebody (rdma-ndd) has written another description.
pub(super) fn from_name(name: &str) -> Option<&'static str> {
    let software = ["rxe", "siw"].into_iter().find(|start| {
        name.strip_prefix(start).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    });
    if software.is_some() {
        return software;
    }
    let (start, number) = name.split_once('_')?;
    number.parse::<u16>().ok()?;
    match start {
        "efa" => Some("efa"),
        "mlx5" => Some("mlx5_core"),
        "mlx4" => Some("mlx4_core"),
        "irdma" => Some("irdma"),
        "erdma" => Some("erdma"),
        "mana" => Some("mana"),
        "ionic" => Some("ionic"),
        "hns" => Some("hns_roce"),
        "cxgb4" => Some("cxgb4"),
        "qedr" => Some("qedr"),
        "hfi1" => Some("hfi1"),
        _ => None,
    }
}

/// The value of `KEY=value` in a uevent file.
pub(super) fn uevent_value(uevent: &str, key: &str) -> Option<String> {
    uevent.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("efa_0", Some("efa"))]
    #[test_case("mlx5_12", Some("mlx5_core"))]
    #[test_case("mlx5_bond_0", None; "a bond says nothing about numbers")]
    #[test_case("siw0", Some("siw"))]
    #[test_case("rxe12", Some("rxe"))]
    #[test_case("siw", None)]
    #[test_case("rxe_eth0", None)]
    #[test_case("rdmap16s27", None)]
    #[test_case("efa", None)]
    fn a_name_is_the_last_resort(name: &str, driver: Option<&str>) {
        assert_eq!(from_name(name), driver);
    }

    #[test]
    fn a_uevent_names_the_driver() {
        assert_eq!(uevent_value("DRIVER=efa\nPCI_CLASS=20000\n", "DRIVER").as_deref(), Some("efa"));
        assert_eq!(uevent_value("DRIVERS=efa\n", "DRIVER"), None);
    }
}
