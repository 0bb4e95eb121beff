//! Which GPU is near which NIC, from the PCI tree in sysfs alone.

use std::path::Path;

use super::root::Root;
use crate::text::printable;

/// A GPU on the PCI bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// PCI address.
    pub pci: String,
    /// The bridges above it, from the root bus down, and itself.
    path: Vec<String>,
}

/// Display and 3D controllers of NVIDIA (0x10de) and AMD (0x1002), by PCI address.
pub(super) fn gpus(root: &Root) -> Vec<Gpu> {
    let mut found: Vec<Gpu> = root
        .list("bus/pci/devices")
        .unwrap_or_default()
        .into_iter()
        .filter(|pci| is_gpu(root, pci))
        .filter_map(|pci| {
            let path = pci_path(&root.resolve(format!("bus/pci/devices/{pci}")).ok()?);
            Some(Gpu { pci: printable(&pci), path })
        })
        .collect();
    found.sort_by(|a, b| a.pci.cmp(&b.pci));
    found
}

fn is_gpu(root: &Root, pci: &str) -> bool {
    let read = |name| root.text(format!("bus/pci/devices/{pci}/{name}")).unwrap_or_default();
    let class = read("class");
    match read("vendor").as_str() {
        "0x10de" => class.starts_with("0x03"),
        // AMD's accelerators are "processing accelerators" (0x12).
        "0x1002" => class.starts_with("0x03") || class.starts_with("0x12"),
        _ => false,
    }
}

/// The PCI part of a device's path: `devices/pci0000:44/0000:44:01.0/…` without `devices`.
pub(super) fn pci_path(resolved: &Path) -> Vec<String> {
    resolved
        .iter()
        .map(|c| c.to_string_lossy().into_owned())
        .skip_while(|c| !c.starts_with("pci"))
        .take_while(|c| c.starts_with("pci") || is_address(c))
        .collect()
}

/// Whether `text` is a PCI address such as `0000:4f:00.0`.
pub(super) fn is_address(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 12
        && bytes[bytes.len() - 8] == b':'
        && bytes[bytes.len() - 5] == b':'
        && bytes[bytes.len() - 2] == b'.'
        && text.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'))
}

/// The addresses of the GPUs that share the most bridges with `path`; several when they are equally near, none when
/// no GPU shares even the root bus.
pub(super) fn nearest(path: &[String], gpus: &[Gpu]) -> Vec<String> {
    let common = |gpu: &Gpu| path.iter().zip(&gpu.path).take_while(|(a, b)| a == b).count();
    let best = gpus.iter().map(common).max().unwrap_or(0);
    if best == 0 {
        return Vec::new();
    }
    gpus.iter().filter(|g| common(g) == best).map(|g| g.pci.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(path: &str) -> Gpu {
        let path: Vec<String> = path.split('/').map(str::to_owned).collect();
        Gpu { pci: path.last().unwrap().clone(), path }
    }

    #[test]
    fn the_longest_common_path_wins() {
        let gpus = [
            gpu("pci0000:44/0000:44:01.0/0000:45:00.0/0000:53:00.0"),
            gpu("pci0000:44/0000:44:02.0/0000:46:00.0/0000:64:00.0"),
        ];
        let nic =
            pci_path(Path::new("devices/pci0000:44/0000:44:01.0/0000:45:00.0/0000:4f:00.0/infiniband/x"));
        assert_eq!(nic.len(), 4);
        assert_eq!(nearest(&nic, &gpus), ["0000:53:00.0"]);
    }

    #[test]
    fn equally_near_gpus_are_all_named_and_far_ones_never() {
        let gpus =
            [gpu("pci0000:10/0000:10:1c.0"), gpu("pci0000:10/0000:10:1d.0"), gpu("pci0000:20/0000:20:1c.0")];
        let path = |text| pci_path(Path::new(text));
        assert_eq!(
            nearest(&path("devices/pci0000:10/0000:10:1b.0"), &gpus),
            ["0000:10:1c.0", "0000:10:1d.0"]
        );
        assert!(nearest(&path("devices/pci0000:90/0000:90:1b.0"), &gpus).is_empty());
        assert!(nearest(&path("devices/virtual/net/lo"), &gpus).is_empty());
    }
}
