//! The Debian package, of the program that these tests were built with: made, installed for real, and removed without a trace.

use std::path::{Path, PathBuf};

use crate::{command, is_there, printed, root, said};

/// The package and the reason why there is none.
fn package(out: &Path) -> Result<PathBuf, String> {
    if !is_there("dpkg-shlibdeps") {
        return Err("no dpkg-dev".to_owned());
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
    }

    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: the package was made, but not installed: not root");
        return;
    }
    let installed = command("unshare")
        .args(["--mount", "tests/packages/install.sh"])
        .arg(&package)
        .arg("tests/fixtures/sys/efa-p5")
        .output();
    let installed = match installed {
        Ok(installed) => installed,
        Err(e) => return eprintln!("skipped: the package was made, but not installed: unshare: {e}"),
    };
    match installed.status.code() {
        Some(77) => eprintln!("skipped: the package was made, but not installed: {}", said(&installed)),
        _ => assert!(printed(&installed).ends_with("installed and removed\n"), "{}", said(&installed)),
    }
}
