//! What `cargo publish` would upload: what it takes to build, and nothing stray.

use std::path::Path;

use crate::{command, printed};

/// The files of a package, as cargo lists them.
fn files(package: &str) -> Vec<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let list = command(&cargo)
        .args(["package", "--list", "--allow-dirty", "--offline", "-p", package])
        .output()
        .unwrap();
    printed(&list).lines().map(ToOwned::to_owned).collect()
}

#[test]
fn crates_hold_what_it_takes_and_nothing_else() {
    for (package, wanted) in [
        (
            "railtop",
            &[
                "src/main.rs",
                "src/cli/config/default.toml",
                "kernels/post.cu",
                "kernels/railtop.cuh",
                "CHANGELOG.md",
            ][..],
        ),
        ("railtop-libfabric-sys", &["src/lib.rs"]),
        ("railtop-counters", &["src/lib.rs"]),
    ] {
        let files = files(package);
        for name in ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"].iter().chain(wanted) {
            assert!(files.iter().any(|file| file == name), "{package} lacks {name}: {files:?}");
        }
        let rooms = ["src/", "kernels/", "docs/", "deploy/systemd/"];
        let at_top =
            ["Cargo.", "README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE-", ".cargo_vcs_info.json"];
        for file in &files {
            let known = rooms.iter().any(|room| file.starts_with(room))
                || (!file.contains('/') && at_top.iter().any(|start| file.starts_with(start)));
            assert!(
                known && Path::new(file).extension().is_none_or(|extension| extension != "snap"),
                "{package} has {file}"
            );
        }
    }
}

#[test]
fn every_file_that_the_program_includes_is_in_its_crate() {
    let files = files("railtop");
    let mut included = 0;
    for file in files.iter().filter(|file| file.starts_with("src/")) {
        let text = std::fs::read_to_string(crate::root().join(file)).unwrap();
        // Tests stand at a file's end, or in files of their own.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        if file.contains("/tests") {
            continue;
        }
        for part in text.split("include_str!(\"").skip(1) {
            let name = part.split('"').next().unwrap().rsplit('/').next().unwrap();
            assert!(
                files.iter().any(|other| other.rsplit('/').next() == Some(name)),
                "{file} includes {name}"
            );
            included += 1;
        }
    }
    assert!(included >= 8, "only {included} files are included");
}
