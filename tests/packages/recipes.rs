//! The image and the workflows name what is there.

use std::fs;

use crate::root;

fn text(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

#[test]
fn the_image_starts_what_the_daemonset_starts_and_as_nobody() {
    let recipe = text("deploy/container/Containerfile");
    let daemonset = text("deploy/kubernetes/daemonset.yaml");
    assert!(daemonset.contains("command: [\"/usr/local/bin/railtop\"]"));
    assert!(recipe.contains("ENTRYPOINT [\"/usr/local/bin/railtop\"]\n"));
    assert!(recipe.contains("/out/usr/local/bin/railtop ") && recipe.contains("COPY --from=build /out/ /\n"));
    for number in ["runAsUser: 65534", "runAsGroup: 65534"] {
        assert!(daemonset.contains(number), "{number}");
    }
    assert!(recipe.contains("\nUSER 65534:65534\n"));
}

#[test]
fn what_an_image_is_built_from_is_not_left_out() {
    let ignored = text(".dockerignore");
    let kept: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
    let members =
        manifest["workspace"]["members"].as_array().unwrap().iter().map(|member| member.as_str().unwrap());
    for needed in
        members.chain(["Cargo.toml", "Cargo.lock", "src", "kernels", "benches", "scripts/third-party.py"])
    {
        assert!(kept.contains(&needed), ".dockerignore keeps {needed} from the image's build");
    }
}

#[test]
fn workflows_run_what_is_there() {
    let mut named = 0;
    for workflow in fs::read_dir(root().join(".github/workflows")).unwrap() {
        let workflow = workflow.unwrap().path();
        let text = fs::read_to_string(&workflow).unwrap();
        let words = text.split(|c: char| c.is_whitespace() || "\"'`()=;".contains(c));
        // `$/` is this repository, at the commit that the workflow is of.
        let words = words.map(|word| word.strip_prefix("$/").unwrap_or(word));
        for word in words.filter(|word| {
            [".ci/", "scripts/", "deploy/", ".github/"].iter().any(|room| word.starts_with(room))
        }) {
            // A pattern for several files, by the directory that they are in.
            let word = if word.contains('*') { word.rsplit_once('/').unwrap().0 } else { word };
            assert!(root().join(word).exists(), "{}: {word} is not there", workflow.display());
            named += 1;
        }
    }
    assert!(named >= 8, "{named} files named");
}

#[test]
fn everything_is_built_with_one_rust() {
    let version = |name: &str| {
        let text = text(name);
        let versions: Vec<_> = text.lines().filter_map(|line| line.trim().strip_prefix("RUST: ")).collect();
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
        versions[0].to_owned()
    };
    let rust = version(".github/workflows/ci.yml");
    assert_eq!(version(".github/workflows/release.yml"), rust);
    let recipe = text("deploy/container/Containerfile");
    let image = recipe.split("library/rust:").nth(1).unwrap().split('-').next().unwrap();
    // The image's tag may leave the patch level to the registry.
    assert!(rust == image || rust.starts_with(&format!("{image}.")), "an image of {image}, and {rust}");

    let numbers = |version: &str| version.split('.').map(|n| n.parse::<u32>().unwrap()).collect::<Vec<_>>();
    let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
    let oldest = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    assert!(numbers(&rust) >= numbers(oldest), "{rust} is older than what Cargo.toml wants, {oldest}");
}
