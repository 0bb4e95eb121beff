//! One function per parser of what comes from outside, for the targets in `fuzz/`. No bytes may make one panic, hang, or
//! take memory without bound; what each promises of its result is asserted. No part of the library's interface:
//! only tests and `cargo fuzz` (which sets `cfg(fuzzing)`) compile it.
//!
//! The tests give each of them any bytes, and bytes that are nearly right: `make test` needs no fuzzer.

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// Every target with its name, which is also its file's in `fuzz/`.
pub const TARGETS: [(&str, Target); 8] = [
    ("netlink", netlink),
    ("counter_page", counter_page),
    ("recording", recording),
    ("sysfs", sysfs),
    ("config", config),
    ("frame", frame),
    ("report", report),
    ("exporter", exporter),
];

/// A datagram of RDMA netlink: devices, ports, counters, queue pairs, the system, events.
pub fn netlink(bytes: &[u8]) {
    crate::monitor::source::netlink::fuzz::datagram(bytes);
}

/// A file in the directory of counter pages.
pub fn counter_page(bytes: &[u8]) {
    crate::counters::fuzz::page(bytes);
}

/// A recording; from the first byte depends whether the rest is its file, or what its frames hold.
pub fn recording(bytes: &[u8]) {
    crate::monitor::record::fuzz::recording(bytes);
}

/// Texts of sysfs: a driver's name in the first line, then counters as `name value`, each also taken for every other text
/// that is read there.
pub fn sysfs(bytes: &[u8]) {
    crate::monitor::source::sysfs::fuzz::texts(bytes);
}

/// A configuration file.
pub fn config(bytes: &[u8]) {
    crate::cli::config::fuzz::file(bytes);
}

/// A message from another PE.
pub fn frame(bytes: &[u8]) {
    crate::transport::wire::fuzz::frame(bytes);
}

/// Results of benchmarks, one a line.
pub fn report(bytes: &[u8]) {
    crate::report::fuzz::lines(bytes);
}

/// A page of another node's exporter, which is also taken for lines of its log and for a list of nodes.
pub fn exporter(bytes: &[u8]) {
    crate::monitor::fleet::fuzz::page(bytes);
}

#[cfg(test)]
mod tests;
