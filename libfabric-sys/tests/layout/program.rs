//! Asks a C compiler for the values of expressions.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// A version of libfabric, (major, minor).
pub(crate) type Version = (u32, u32);

/// A name, a C expression of an integer type, and the version whose headers can first compile it.
pub(crate) type Question = (String, String, Version);

const HEAD: &str = r#"
#include <stddef.h>
#include <stdio.h>
#include <sys/uio.h>
#include <rdma/fabric.h>
#include <rdma/fi_atomic.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>
#include <rdma/fi_tagged.h>
#include <rdma/providers/fi_prov.h>
#define SINCE(major, minor) (FI_VERSION(FI_MAJOR_VERSION, FI_MINOR_VERSION) >= FI_VERSION(major, minor))
#define VALUE(name, expression) printf("%s=%llu\n", name, (unsigned long long)(expression))
int main(void) {
    VALUE("major", FI_MAJOR_VERSION);
    VALUE("minor", FI_MINOR_VERSION);
"#;

/// The version of the headers, and the answer to each question they are new enough for.
pub(crate) fn ask(questions: &[Question]) -> Result<(Version, BTreeMap<String, u64>), String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let source = directory.join("layout.c");
    let binary = directory.join("layout");
    let mut text = HEAD.to_owned();
    for (name, expression, (major, minor)) in questions {
        let _ = writeln!(text, "#if SINCE({major}, {minor})\n    VALUE(\"{name}\", {expression});\n#endif");
    }
    text.push_str("    return 0;\n}\n");
    std::fs::write(&source, text).map_err(|error| format!("{}: {error}", source.display()))?;

    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut compile = Command::new(&compiler);
    if let Some(include) = std::env::var_os("RAILTOP_LIBFABRIC_INCLUDE") {
        compile.arg("-I").arg(include);
    }
    compile.args(["-w", "-o"]).arg(&binary).arg(&source);
    let output =
        compile.output().map_err(|error| format!("no C compiler ({}): {error}", compiler.display()))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        // Only missing headers excuse a program that does not compile.
        assert!(
            message.contains("rdma/fabric.h: No such file")
                || message.contains("'rdma/fabric.h' file not found"),
            "{message}"
        );
        return Err("no libfabric headers (libfabric-dev, libfabric-devel)".to_owned());
    }
    let output = Command::new(&binary).output().map_err(|error| format!("{}: {error}", binary.display()))?;
    let mut answers = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let parsed = line
            .split_once('=')
            .and_then(|(name, value)| Some((name.to_owned(), value.parse::<u64>().ok()?)));
        answers.extend(parsed);
    }
    let mut version =
        |part| answers.remove(part).and_then(|value| u32::try_from(value).ok()).ok_or("the program failed");
    Ok(((version("major")?, version("minor")?), answers))
}
