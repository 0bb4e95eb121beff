//! Links between the Markdown files of the repository lead to files and headings that exist.

#![expect(clippy::unwrap_used, reason = "every page has a folder, and the repository is there")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every Markdown file of the repository: its own folders, not what was built or fetched into it.
fn pages() -> BTreeMap<PathBuf, String> {
    fn walk(folder: &Path, pages: &mut BTreeMap<PathBuf, String>) {
        // Tests beside this one make folders and remove them.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.file_name().unwrap().to_string_lossy();
            if path.is_dir() && !path.is_symlink() && !name.starts_with('.') && name != "target" {
                walk(&path, pages);
            } else if path.extension().is_some_and(|end| end == "md") {
                let text = std::fs::read_to_string(&path);
                pages.extend(text.ok().map(|text| (path, text)));
            }
        }
    }
    let mut pages = BTreeMap::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize().unwrap(), &mut pages);
    pages
}

/// Lines outside of code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// What a heading is called in a link: as GitHub does it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|&c| c.is_alphanumeric() || " -_".contains(c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// Targets of `[text](target)`.
fn targets(text: &str) -> Vec<String> {
    let ends = prose(text).flat_map(|line| line.split("](").skip(1));
    ends.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    let pages = pages();
    let mut seen = 0;
    let mut broken = Vec::new();
    for (page, text) in &pages {
        for target in targets(text).into_iter().filter(|target| !target.contains(':')) {
            seen += 1;
            let (file, heading) = target.split_once('#').map_or((&*target, None), |(f, h)| (f, Some(h)));
            let path = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let leads = path.canonicalize().is_ok_and(|path| {
                heading.is_none_or(|heading| {
                    pages.get(&path).is_none_or(|text| anchors(text).iter().any(|known| known == heading))
                })
            });
            if !leads {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(seen > 50, "only {seen} links were found in {} pages", pages.len());
}

#[test]
fn headings_are_called_as_on_github() {
    assert_eq!(anchor(" Endpoints and the fence"), "endpoints-and-the-fence");
    assert_eq!(anchor("`bench put`: what, and why?"), "bench-put-what-and-why");
}
