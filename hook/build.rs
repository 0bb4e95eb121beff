//! How the library is linked.

fn main() {
    // libfabric unloads its providers at the end of the process, when objects that use our functions may still be there.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rerun-if-changed=build.rs");
}
