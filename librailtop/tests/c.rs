//! The header and the library as a program in C has them.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a helper of a test that fails, fails the test")]

#[path = "support/layout.rs"]
mod layout;
#[path = "c/pages.rs"]
mod pages;
#[path = "support/program.rs"]
mod program;
mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use program::{Program, has};
use railtop_c::abi;
use support::{fixture, library, manifest_dir, output_of};
use test_case::test_case;

#[test_case("cc", "c99", "c"; "C99")]
#[test_case("cc", "c17", "c"; "C17")]
#[test_case("c++", "c++11", "cpp"; "Cpp11")]
#[test_case("c++", "c++17", "cpp"; "Cpp17")]
fn the_header_compiles_without_a_warning(compiler: &str, standard: &str, ending: &str) {
    if !has(compiler) {
        eprintln!("skipped: no {compiler} here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join(format!("use.{ending}"));
    // Twice: its guard. The initialiser is part of it.
    let text =
        "#include \"railtop.h\"\n#include \"railtop.h\"\nrailtop_options options = RAILTOP_OPTIONS_INIT;\n";
    fs::write(&source, text).unwrap();
    let mut command = Command::new(compiler);
    command
        .args(["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"])
        .arg(format!("-std={standard}"));
    output_of(command.arg("-I").arg(manifest_dir().join("include")).arg(source));
}

/// Every size, offset and constant, as a C compiler has it.
#[test]
fn the_header_and_the_library_agree_on_every_byte() {
    let mut rows: Vec<(String, i64)> = layout::rows()
        .iter()
        .map(|row| {
            let what = match row.field {
                None => format!("sizeof({})", row.structure),
                Some(field) => format!("offsetof({}, {field})", row.structure),
            };
            (what, i64::try_from(row.bytes).unwrap())
        })
        .collect();
    rows.extend(layout::constants().into_iter().map(|(name, value)| (format!("RAILTOP_{name}"), value)));
    let lines: Vec<String> =
        rows.iter().map(|(what, _)| format!("printf(\"%lld\\n\", (long long)({what}));")).collect();
    let text = format!(
        "#include <stdio.h>\n#include \"railtop.h\"\nint main(void) {{\n{}\nreturn 0; }}\n",
        lines.join("\n")
    );
    let Some(program) = Program::of_text("layout", &text) else { return };
    let printed = output_of(&mut program.command());
    let theirs: Vec<i64> = printed.lines().map(|line| line.parse().unwrap()).collect();
    for ((what, ours), theirs) in rows.iter().zip(theirs.iter().chain(std::iter::repeat(&-1))) {
        assert_eq!(ours, theirs, "{what}: library, header");
    }
    let soname = format!("librailtop.so.{}", abi::ABI_MAJOR);
    assert!(
        fs::read_to_string(manifest_dir().join("build.rs")).unwrap().contains(&soname),
        "{soname} in build.rs"
    );
}

/// None of the header's numbers is left out of the comparison above.
#[test]
fn the_library_has_every_constant_of_the_header() {
    let header = fs::read_to_string(manifest_dir().join("include/railtop.h")).unwrap();
    let defined = header.lines().filter_map(|line| line.strip_prefix("#define RAILTOP_"));
    let mut theirs: Vec<&str> = defined.filter_map(|rest| rest.split_whitespace().next()).collect();
    theirs.retain(|name| !["H", "OPTIONS_INIT"].contains(name));
    let mut ours: Vec<&str> = layout::constants().into_iter().map(|(name, _)| name).collect();
    theirs.sort_unstable();
    ours.sort_unstable();
    assert_eq!(theirs, ours);
}

/// What a program prints of a tree whose devices can all be read, once each of these has a rate.
///
/// The library waits half a second for the threads that read devices, and makes no rate of a read that took long. Where the machine
/// gives one of them no turn in that time its numbers, or rates, come with a later round: then the program is run again. What it says
/// has to be right each time: `look` asserts that, and tells whether the rates are there.
fn printed_of_a_good_tree(program: &Program, look: impl Fn(&str) -> bool) -> String {
    let run = || output_of(program.command().env("RAILTOP_SYSFS_ROOT", fixture("mlx5-roce")));
    let mut last = String::new();
    for _ in 0..20 {
        last = run();
        if look(&last) {
            return last;
        }
    }
    panic!("a device without a rate in each of 20 runs, the last of which said:\n{last}");
}

#[test]
fn a_program_has_the_exact_values_of_a_tree() {
    let Some(program) = Program::of_file("values") else { return };
    // By NIC, with any of the endings: no bytes are told of one that was not read, and those that are told are these.
    let bytes = ["tx 8000000000 rx 4000000000", "tx 4000000000 rx 2000000000", "tx 0 rx 0"];
    let printed = printed_of_a_good_tree(&program, |printed| {
        let mut rated = [false; 3];
        for line in printed.lines().filter_map(|line| line.strip_prefix("sample nic ")) {
            let (nic, rest) = line.split_once(' ').unwrap();
            let nic: usize = nic.parse().unwrap();
            let how = rest.strip_prefix(bytes[nic]).or_else(|| rest.strip_prefix("tx !0 rx !0"));
            let how = how.unwrap_or_else(|| panic!("{line:?} of a tree whose bytes are {bytes:?}"));
            match how {
                " idle" => rated[nic] = !rest.contains('!'),
                " new no rate" | " no rate" => {}
                _ => panic!("{line:?}: nothing moves in this tree"),
            }
        }
        rated == [true; 3]
    });
    let lines: Vec<&str> = printed.lines().collect();
    let has = |line: &str| assert!(lines.contains(&line), "no line {line:?} in:\n{printed}");
    has("running 0 lost 0 every 10000000 ns, at least 3 ticks: yes");
    // The files count words of four bytes.
    let pci = "driver mlx5_core source sysfs pci";
    has(&format!(
        "nic 0 mlx5_0 port 1 {pci} 0000:18:00.0 netdev ens0f0np0 numa 0 group 0 line rate 400000000000"
    ));
    has("sample nic 0 tx 8000000000 rx 4000000000 new no rate");
    has("sample nic 0 tx 8000000000 rx 4000000000 idle");
    has("sample nic 1 tx 4000000000 rx 2000000000 idle");
    has("sample nic 2 tx 0 rx 0 idle");
    has("then 0");
    has("trace begins well");
    has("no sampler: 1 sampler is NULL");
    has("no size: 1 status: size is 0; set it to sizeof of the structure");
    has("no such NIC: 1 there is no NIC 99: 3 are known so far");
    has("no such clock: 1 clock: 7 is neither 1 (monotonic) nor 2 (realtime)");
    has("too often: 1 interval_ns: 1 is not between 10 ms (10000000) and 1 h (3600000000000)");
    has("no UTF-8: 1 devices is no text in UTF-8");
    assert!(printed.contains("never: 5 the sampler has ended after"), "{printed}");
    assert_eq!(lines.last(), Some(&"fine: 0 "), "a good call has no message");
    // A machine with much to do may be too slow for every 10 ms, and says so.
    let notes = lines.iter().find_map(|line| line.strip_prefix("notes: ")).unwrap();
    assert!(notes.is_empty() || notes.contains("rounds of reads were left out"), "{notes}");
}

/// The environment of a program is changed by its threads, with no regard to ours.
#[test]
fn no_thread_of_the_library_reads_the_environment() {
    let Some(program) = Program::of_file("environment") else { return };
    let printed = output_of(program.command().env("RAILTOP_SYSFS_ROOT", fixture("mlx5-roce")));
    assert_eq!(printed, "asked by the caller: yes, by others: 0\n");
}

#[test]
fn what_is_installed_is_found_by_pkg_config() {
    if !(has("cc") && has("pkg-config")) {
        eprintln!("skipped: no cc or no pkg-config here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let prefix = dir.path().join("prefix");
    let script = manifest_dir().join("../scripts/install-librailtop.sh");
    // Both as somebody in that directory names them.
    let built = dir.path().join("built");
    std::os::unix::fs::symlink(library().parent().unwrap(), &built).unwrap();
    let mut install = Command::new(script);
    output_of(install.current_dir(dir.path()).arg("prefix").env("RAILTOP_BUILT", "built"));
    let notices = fs::read_to_string(prefix.join("share/doc/librailtop/third-party-licenses.txt")).unwrap();
    assert!(notices.contains("serde_json"), "{notices:.500}");
    assert!(prefix.join("share/doc/librailtop/LICENSE-MIT").is_file());
    let mut ask = Command::new("pkg-config");
    ask.args(["--cflags", "--libs", "railtop"]).env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    let flags = output_of(&mut ask);
    let program = dir.path().join("program");
    let source = manifest_dir().join("tests/c/fork.c");
    output_of(Command::new("cc").arg(source).args(flags.split_whitespace()).arg("-o").arg(&program));
    let mut command = Command::new(&program);
    command.env("LD_LIBRARY_PATH", prefix.join("lib")).env("RAILTOP_SYSFS_ROOT", fixture("mlx5-roce"));
    assert_eq!(output_of(&mut command), "fine\n");
    let entries = fs::read_dir(prefix.join("lib"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = entries.collect();
    files.sort_unstable();
    assert_eq!(files, ["librailtop.so", "librailtop.so.0", "pkgconfig"]);
}

#[test]
fn the_program_in_the_docs_does_what_they_say() {
    let text = support::examples("c").pop().unwrap();
    let Some(program) = Program::of_text("docs", &text) else { return };
    let expected =
        ["mlx5_0", "mlx5_2", "mlx5_10"].map(|device| format!("{device} port 1: 0.000 Gbit/s sent"));
    printed_of_a_good_tree(&program, |printed| {
        let lines: Vec<&str> = printed.lines().collect();
        for line in &lines {
            assert!(expected.iter().any(|right| right == line), "{line:?} in:\n{printed}");
        }
        expected.iter().all(|right| lines.contains(&right.as_str()))
    });
}

#[test]
fn what_is_missing_is_not_zero() {
    let Some(program) = Program::of_file("values") else { return };
    let printed = output_of(program.command().env("RAILTOP_SYSFS_ROOT", fixture("damage")));
    assert!(printed.contains(" tx !0"), "no bytes without the flag that says they are missing:\n{printed}");
    let printed = output_of(program.command().env("RAILTOP_SYSFS_ROOT", fixture("no-module")));
    assert!(!printed.contains("\nnic "), "{printed}");
    let notes = printed.lines().find(|line| line.starts_with("notes: ")).unwrap();
    assert!(notes.len() > 30, "why there is nothing: {notes}");
}

#[test]
fn a_child_of_fork_is_told_and_never_hangs() {
    let Some(program) = Program::of_file("fork") else { return };
    assert_eq!(output_of(program.command().env("RAILTOP_SYSFS_ROOT", fixture("mlx5-roce"))), "fine\n");
}

#[test]
fn the_library_stays_when_it_is_closed_and_no_signal_runs_on_its_threads() {
    let Some(program) = Program::of_file("unload") else { return };
    let mut command = program.command();
    command.arg(library()).env("RAILTOP_SYSFS_ROOT", fixture("mlx5-roce"));
    let mut child = Reaped(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    // Its five rounds are over: every thread is there, and none is just being started.
    let mut line = String::new();
    BufReader::new(child.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "fine\n");
    let tasks = fs::read_dir(format!("/proc/{}/task", child.0.id())).unwrap();
    // One that has ended since it was listed has nothing to say any more.
    let texts = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
    let texts: Vec<String> = texts.collect();
    assert!(texts.len() > 2 && texts.iter().any(|text| text.starts_with("Name:\trailtop\n")), "{texts:?}");
    let masks: Vec<u64> = texts.iter().map(|text| blocked(text)).collect();
    // One thread, the program's, takes signals; in all others each is blocked, but for the two that glibc keeps for itself.
    let open = masks.iter().filter(|&&mask| mask != everything(mask)).count();
    assert_eq!(open, 1, "{masks:x?}");
    drop(child.0.stdin.take().map(|mut stdin| stdin.flush()));
    let status = child.0.wait().unwrap();
    assert!(status.success(), "{status}");
}

/// Only what the header declares can be seen from outside.
#[test]
fn nothing_but_the_interface_is_exported() {
    if !has("nm") {
        eprintln!("skipped: no nm here");
        return;
    }
    let symbols = output_of(Command::new("nm").args(["--dynamic", "--defined-only"]).arg(library()));
    let names: Vec<&str> = symbols.lines().filter_map(|line| line.split_whitespace().last()).collect();
    let header = fs::read_to_string(manifest_dir().join("include/railtop.h")).unwrap();
    let mut declared: Vec<&str> = header
        .split("/*")
        .filter_map(|piece| piece.split_once("*/").map(|(_, code)| code))
        .flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '('))
        .filter_map(|word| word.split_once('(').map(|(name, _)| name))
        .filter(|name| name.starts_with("railtop_"))
        .collect();
    let mut names: Vec<&str> = names;
    names.sort_unstable();
    declared.sort_unstable();
    assert_eq!(names, declared);
    assert!(names.len() > 10, "{names:?}");
}

/// A process that ends with the test.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The mask of blocked signals in a `/proc/PID/task/TID/status`.
fn blocked(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap()
}

/// The mask with everything blocked that can be: not SIGKILL (9), SIGSTOP (19), nor glibc's 32 and 33, and musl's 34.
fn everything(mask: u64) -> u64 {
    const NEVER: u64 = 1 << 8 | 1 << 18 | 1 << 31 | 1 << 32 | 1 << 33;
    mask | !NEVER
}
