//! Line rates that the kernel tells wrong.
//!
//! EFA's driver says `100 Gb/sec` whatever the device is, before amzn-drivers r2.13 and mainline 6.13 or so. Only
//! instance types whose rate is well known are here: aws-ofi-nccl's src/platform-aws.cpp and the AWS instance pages.

const EFA: &[(&str, u64)] = &[("p5en.48xlarge", 200_000_000_000), ("p6-b200.48xlarge", 400_000_000_000)];

/// The line rate of each of `driver`'s devices in a machine of this type (`/sys/class/dmi/id/product_name`), bits/s.
#[must_use]
pub fn known_link_rate(driver: Option<&str>, product: &str) -> Option<u64> {
    (driver == Some("efa")).then_some(())?;
    EFA.iter().find(|(name, _)| *name == product).map(|&(_, rate)| rate)
}
