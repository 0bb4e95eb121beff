//! The Debian package, of the program that these tests were built with: made, installed for real, and removed without a trace.

use std::path::{Path, PathBuf};

use crate::{command, is_there, printed, root, said};

/// The package and the reason why there is none.
fn package(out: &Path) -> Result<PathBuf, String> {
    if !is_there("dpkg-shlibdeps") {
        return Err("no dpkg-dev".to_owned());
    }
    // For the licences of what is linked in.
    if !is_there("python3") {
        return Err("no python3".to_owned());
    }
    let fetched = command("scripts/fetch-cargo-deb.sh").output().unwrap();
    if !fetched.status.success() {
        return Err(said(&fetched));
    }
    let made = command("scripts/package.sh")
        .args(["--fast", "--program", env!("CARGO_BIN_EXE_railtop"), "--hook"])
        .arg(std::env::current_exe().unwrap().with_file_name("librailtop_hook.so"))
        .arg(out)
        .output()
        .unwrap();
    Ok(root().join(printed(&made).trim()))
}

#[test]
fn a_package_installs_runs_and_leaves_nothing_behind() {
    let out = tempfile::tempdir().unwrap();
    let package = match package(out.path()) {
        Ok(package) => package,
        Err(reason) => return eprintln!("skipped: cannot make a Debian package: {reason}"),
    };
    let field =
        |name: &str| printed(&command("dpkg-deb").arg("-f").arg(&package).arg(name).output().unwrap());
    assert_eq!(field("Version").trim(), concat!(env!("CARGO_PKG_VERSION"), "-1"));
    // Linked to glibc; everything else is opened at run time, and nobody has to have it.
    assert!(field("Depends").starts_with("libc6 (>= "), "{}", field("Depends"));
    assert!(!field("Depends").contains("fabric"), "{}", field("Depends"));
    assert!(field("Suggests").contains("libfabric1"), "{}", field("Suggests"));

    if is_there("lintian") {
        // What is not uploaded to Debian closes no bug of its.
        let lintian = command("lintian")
            .args([
                "--allow-root",
                "--fail-on=error,warning",
                "--suppress-tags=initial-upload-closes-no-bugs",
            ])
            .arg(&package)
            .output()
            .unwrap();
        assert!(lintian.status.success(), "{}", String::from_utf8_lossy(&lintian.stdout));
    } else {
        eprintln!("skipped: the package unread by lintian: not installed");
    }
    if let Err(reason) = install(&package) {
        eprintln!("skipped: the package was made, but not installed: {reason}");
    }
}

/// Installs a package on a layer above this system, and removes it; or the reason why that cannot be done here.
fn install(package: &Path) -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("not root".to_owned());
    }
    // Root of a container may not.
    let allowed =
        command("unshare").args(["--mount", "true"]).output().map_err(|e| format!("unshare: {e}"))?;
    if !allowed.status.success() {
        return Err(said(&allowed));
    }
    let installed = command("unshare")
        .args(["--mount", "tests/packages/install.sh"])
        .arg(package)
        .arg("tests/fixtures/sys/efa-p5")
        .output()
        .unwrap();
    if installed.status.code() == Some(77) {
        return Err(said(&installed));
    }
    let printed = printed(&installed);
    for line in printed.lines().filter(|line| line.starts_with("skipped: ")) {
        eprintln!("{line}");
    }
    assert!(printed.ends_with("installed and removed\n"), "{printed}{}", said(&installed));
    Ok(())
}
