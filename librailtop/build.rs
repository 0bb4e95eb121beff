//! How the shared library is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The number is that of `RAILTOP_ABI_MAJOR` in include/railtop.h; a test compares them.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,librailtop.so.0");
    // Threads run in it, so that it must not be unmapped by a dlclose.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
