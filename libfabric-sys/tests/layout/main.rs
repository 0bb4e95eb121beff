//! Holds every structure, field and constant of this crate to what a C compiler says of libfabric's headers.
//!
//! The headers are the installed ones, or those in `$RAILTOP_LIBFABRIC_INCLUDE` (the directory that has `rdma/` in it).
//! What is younger than the headers is skipped, and said to be.

mod constants;
mod program;
mod structures;

use std::collections::BTreeMap;

use program::Version;
use structures::{Origin, Structure};

/// The newest released headers that the declarations have been held to.
const NEWEST_SEEN: Version = (2, 6);

/// A value of our side, and the C expression it must be equal to.
struct Check {
    name: String,
    expression: String,
    since: Version,
    ours: u64,
}

fn checks(structures: &[Structure]) -> Vec<Check> {
    let mut checks = Vec::new();
    for structure in structures {
        let c = &structure.c_type;
        for field in &structure.fields {
            let mut add = |what: &str, expression: String, ours: usize| {
                checks.push(Check {
                    name: format!("{what} of {}.{}", structure.name, field.name),
                    expression,
                    since: field.since,
                    ours: ours as u64,
                });
            };
            add("offset", format!("offsetof({c}, {})", field.c_name), field.offset);
            add("size", format!("sizeof((({c} *)0)->{})", field.c_name), field.size);
        }
    }
    checks.extend(constants::all().into_iter().map(|constant| Check {
        name: constant.name.to_owned(),
        expression: format!("({})", constant.name),
        since: constant.since,
        ours: constant.value,
    }));
    checks
}

/// What is wrong with the size of a structure, given the C compiler's.
fn size_fault(structure: &Structure, theirs: u64, headers: Version) -> Option<String> {
    let ours = structure.size as u64;
    let (fits, must) = match structure.origin {
        Origin::Library if headers == structures::OLDEST => (ours == theirs, "be"),
        Origin::Library => (ours <= theirs, "be at most"),
        Origin::Ours if headers >= structure.complete_since() && headers <= NEWEST_SEEN => {
            (ours == theirs, "be")
        }
        Origin::Ours => (ours >= theirs, "be at least"),
    };
    (!fits).then(|| format!("{} has {ours} bytes and must {must} {theirs}", structure.name))
}

#[test]
fn the_declarations_agree_with_the_headers() {
    let structures = structures::all();
    let checks = checks(&structures);
    let mut questions: Vec<program::Question> =
        checks.iter().map(|check| (check.name.clone(), check.expression.clone(), check.since)).collect();
    questions.extend(structures.iter().map(|structure| {
        (format!("size of {}", structure.name), format!("sizeof({})", structure.c_type), structure.since())
    }));
    let (headers, answers): (Version, BTreeMap<String, u64>) = match program::ask(&questions) {
        Ok(answers) => answers,
        Err(reason) => return eprintln!("skipped: {reason}"),
    };
    if headers < structures::OLDEST {
        return eprintln!("skipped: the headers are {headers:?}, older than {:?}", structures::OLDEST);
    }

    let (mut faults, mut skipped) = (Vec::new(), Vec::new());
    for check in &checks {
        match answers.get(&check.name) {
            Some(&theirs) if theirs == check.ours => {}
            Some(&theirs) => faults.push(format!("{}: {} here, {theirs} in C", check.name, check.ours)),
            None if headers < check.since => skipped.push(check.name.as_str()),
            None => faults.push(format!("{}: no answer from C", check.name)),
        }
    }
    for structure in &structures {
        if let Some(&theirs) = answers.get(&format!("size of {}", structure.name)) {
            faults.extend(size_fault(structure, theirs, headers));
        }
    }
    if !skipped.is_empty() {
        eprintln!("not checked, newer than the headers {headers:?}: {}", skipped.join(", "));
    }
    eprintln!("{} values held to the headers of {headers:?}", answers.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The lists of this test against the sources: nothing declared goes unchecked.
#[test]
fn every_declaration_is_listed() {
    const FILES: [&str; 9] = [
        include_str!("../../src/av.rs"),
        include_str!("../../src/consts.rs"),
        include_str!("../../src/cq.rs"),
        include_str!("../../src/ep.rs"),
        include_str!("../../src/errno.rs"),
        include_str!("../../src/fid.rs"),
        include_str!("../../src/flags.rs"),
        include_str!("../../src/info.rs"),
        include_str!("../../src/mr.rs"),
    ];
    let structures = structures::all();
    let constants = constants::all();
    let mut missing = Vec::new();
    let mut inside = "";
    for line in FILES.iter().flat_map(|file| file.lines()) {
        let name =
            |prefix: &str, end: &[char]| line.strip_prefix(prefix).and_then(|rest| rest.split(end).next());
        if let Some(constant) = name("pub const ", &[':']) {
            if !constants.iter().any(|listed| listed.name == constant) {
                missing.push(constant.to_owned());
            }
        } else if let Some(structure) = name("pub struct ", &[' ']).or_else(|| name("pub union ", &[' '])) {
            inside = structure;
            // The anonymous union in `struct fi_mr_attr` has no name in C; the field after it tells its size.
            let nameless = inside == "fi_mr_region";
            if !nameless && !structures.iter().any(|listed| listed.name == inside) {
                missing.push(inside.to_owned());
            }
        } else if let Some(field) = name("    pub ", &[':'])
            && let Some(structure) = structures.iter().find(|listed| listed.name == inside)
            && !structure.fields.iter().any(|listed| listed.name == field)
        {
            missing.push(format!("{inside}.{field}"));
        }
    }
    assert!(missing.is_empty(), "not in the lists of tests/layout: {missing:?}");
}
