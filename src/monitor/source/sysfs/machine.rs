//! What all devices of a machine share: its GPUs, its type, and the line rates that somebody set.

use super::root::Root;
use super::topology::{self, Gpu};
use crate::monitor::glob::Glob;
use crate::monitor::table::known_link_rate;

/// Where the firmware tells the machine's type, in a cloud the instance type.
const PRODUCT: &str = "class/dmi/id/product_name";
/// What an EFA driver that does not know its device's rate says.
const EFA_SAYS: u64 = 100_000_000_000;

/// The machine that a sysfs tree shows.
#[derive(Debug)]
pub struct Machine {
    /// Its GPUs.
    pub(super) gpus: Vec<Gpu>,
    product: Option<String>,
    line_rates: Vec<(Glob, u64)>,
}

impl Machine {
    /// Finds out; `line_rates` are explicit line rates in bits per second, of which the first that matches counts.
    #[must_use]
    pub fn of(root: &Root, line_rates: Vec<(Glob, u64)>) -> Self {
        Self { gpus: topology::gpus(root), product: root.text(PRODUCT), line_rates }
    }

    /// The line rate of a device in bits per second, and whether it is another than the kernel's.
    pub(super) fn link_rate(
        &self,
        device: &str,
        driver: Option<&str>,
        kernel: Option<u64>,
    ) -> (Option<u64>, bool) {
        let set = self.line_rates.iter().find(|(glob, _)| glob.matches(device)).map(|&(_, rate)| rate);
        let of_type = || {
            // A driver that knows better than its default is right.
            let known = kernel.is_none_or(|rate| rate == EFA_SAYS);
            self.product.as_deref().filter(|_| known).and_then(|product| known_link_rate(driver, product))
        };
        let rate = set.or_else(of_type);
        (rate.or(kernel), rate.is_some() && rate != kernel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: u64 = 1_000_000_000;

    fn machine(product: &str, line_rates: &[(&str, u64)]) -> Machine {
        let line_rates = line_rates.iter().map(|&(glob, rate)| (glob.parse().unwrap(), rate)).collect();
        Machine { gpus: Vec::new(), product: Some(product.to_owned()), line_rates }
    }

    #[test]
    fn an_old_efa_driver_is_not_believed_and_others_are() {
        let p5en = machine("p5en.48xlarge", &[]);
        assert_eq!(p5en.link_rate("rdmap1s0", Some("efa"), Some(100 * G)), (Some(200 * G), true));
        assert_eq!(p5en.link_rate("rdmap1s0", Some("efa"), Some(200 * G)), (Some(200 * G), false));
        assert_eq!(p5en.link_rate("rdmap1s0", Some("efa"), None), (Some(200 * G), true));
        assert_eq!(p5en.link_rate("mlx5_0", Some("mlx5_core"), Some(100 * G)), (Some(100 * G), false));
        assert_eq!(
            machine("p5.48xlarge", &[]).link_rate("x", Some("efa"), Some(100 * G)),
            (Some(100 * G), false)
        );
    }

    #[test]
    fn what_is_set_goes_before_all() {
        let set = machine("p5en.48xlarge", &[("rdmap1*", 300 * G), ("rdmap*", 400 * G)]);
        assert_eq!(set.link_rate("rdmap12s0", Some("efa"), Some(100 * G)), (Some(300 * G), true));
        assert_eq!(set.link_rate("rdmap2s0", None, None), (Some(400 * G), true));
        assert_eq!(set.link_rate("rdmap2s0", None, Some(400 * G)), (Some(400 * G), false));
        assert_eq!(set.link_rate("mlx5_0", None, None), (None, false));
    }
}
