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
    for workflow in ["ci", "release"] {
        let text = text(&format!(".github/workflows/{workflow}.yml"));
        let words = text.split(|c: char| c.is_whitespace() || "\"'`()=;".contains(c));
        for word in
            words.filter(|word| [".ci/", "scripts/", "deploy/"].iter().any(|room| word.starts_with(room)))
        {
            assert!(root().join(word).exists(), "{workflow}.yml: {word} is not there");
            named += 1;
        }
    }
    assert!(named >= 3, "{named} files named");
}
