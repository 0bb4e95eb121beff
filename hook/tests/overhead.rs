//! Instructions that the hook adds to an operation, counted by valgrind: what wall-clock time on a shared machine cannot hold.
//!
//! The program is `benches/overhead.rs`, optimised as tests/instructions.rs of railtop has its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "../../tests/support/callgrind.rs"]
mod callgrind;

use std::path::PathBuf;
use std::process::Command;

use callgrind::instructions;

/// Operations of the two runs whose difference is counted: what does not depend on them cancels out.
const OPERATIONS: [u64; 2] = [10_000, 30_000];

/// What may be added to each kind of operation. Seen: 94, 96 and 142, or one less, with Rust 1.95 on x86-64, in 8 to 13 ns.
const MOST: [(&str, u64); 3] = [("send", 130), ("poll", 120), ("done", 170)];

fn build() -> PathBuf {
    let arguments = ["build", "--locked", "--profile", "count", "--bench", "overhead", "-p", "railtop-hook"];
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--lib", "--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    // One JSON object a line; of the program's, the path behind "executable" is all that is needed.
    let path = text.lines().filter(|line| line.contains("\"kind\":[\"bench\"]")).find_map(|line| {
        let (_, rest) = line.split_once("\"executable\":\"")?;
        Some(PathBuf::from(rest.split('"').next()?))
    });
    path.unwrap()
}

#[test]
fn an_operation_takes_few_instructions_more() {
    if let Some(reason) = callgrind::missing() {
        return println!("skipped: {reason}");
    }
    let program = build();
    for (kind, most) in MOST {
        let each = ["bare", "hooked"].map(|way| {
            let [few, many] = OPERATIONS
                .map(|operations| instructions(&program, &["count", way, kind, &operations.to_string()]));
            (many - few) / (OPERATIONS[1] - OPERATIONS[0])
        });
        let added = each[1].saturating_sub(each[0]);
        println!("{kind}: {} instructions bare, {added} added", each[0]);
        assert!(added > 0, "{kind}: nothing was counted, so nothing was hooked");
        assert!(added <= most, "{kind}: {added} instructions added, at most {most} may be");
    }
}
