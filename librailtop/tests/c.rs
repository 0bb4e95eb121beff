//! The header and the library as a program in C has them.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails, fails the test")]

#[path = "c/pages.rs"]
mod pages;
#[path = "support/program.rs"]
mod program;
mod support;

use std::fs;
use std::io::Write as _;
use std::mem::offset_of;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
    macro_rules! rows {
        ($($c:literal $rust:ty { $($field:ident)* })*) => {
            vec![$(
                (format!("sizeof({})", $c), size_of::<$rust>()),
                $((format!("offsetof({}, {})", $c, stringify!($field)), offset_of!($rust, $field)),)*
            )*]
        };
    }
    let mut rows = rows! {
        "railtop_options" abi::Options { size sysfs_root devices source interval_ns capacity }
        "railtop_status" abi::Status {
            size interval_ns ticks missed_ticks samples lost_samples lost_balances nics groups running reserved
        }
        "railtop_nic" abi::Nic { size key device driver source pci netdev link_bits_per_s numa port group reserved }
        "railtop_group" abi::Group { size key name kind node gpu numa pe }
        "railtop_sample" abi::Sample {
            nic flags mono_ns wall_minus_mono_ns dt_ns tx_bytes rx_bytes tx_bytes_per_s rx_bytes_per_s
        }
        "railtop_balance" abi::Balance {
            group nics mono_ns wall_minus_mono_ns tx_bytes_per_s rx_bytes_per_s tx_max_over_mean rx_max_over_mean
        }
    };
    let constants = [
        ("RAILTOP_ABI_MAJOR", abi::ABI_MAJOR as usize),
        ("RAILTOP_ABI_MINOR", abi::ABI_MINOR as usize),
        ("RAILTOP_HAS_TX_BYTES", abi::HAS_TX_BYTES as usize),
        ("RAILTOP_HAS_RX_BYTES", abi::HAS_RX_BYTES as usize),
        ("RAILTOP_NEW", abi::FIRST_MARK as usize),
        ("RAILTOP_CLOCK_MONOTONIC", 1),
        ("RAILTOP_CLOCK_REALTIME", 2),
    ];
    rows.extend(constants.map(|(name, value)| (name.to_owned(), value)));
    let lines: Vec<String> =
        rows.iter().map(|(what, _)| format!("printf(\"%zu\\n\", (size_t)({what}));")).collect();
    let text = format!(
        "#include <stdio.h>\n#include \"railtop.h\"\nint main(void) {{\n{}\nreturn 0; }}\n",
        lines.join("\n")
    );
    let Some(program) = Program::of_text("layout", &text) else { return };
    let printed = output_of(&mut program.command());
    let theirs: Vec<usize> = printed.lines().map(|line| line.parse().unwrap()).collect();
    for ((what, ours), theirs) in rows.iter().zip(theirs.iter().chain(std::iter::repeat(&usize::MAX))) {
        assert_eq!(ours, theirs, "{what}: library, header");
    }
    let soname = format!("librailtop.so.{}", abi::ABI_MAJOR);
    assert!(
        fs::read_to_string(manifest_dir().join("build.rs")).unwrap().contains(&soname),
        "{soname} in build.rs"
    );
}

#[test]
fn a_program_has_the_exact_values_of_a_tree() {
    let Some(program) = Program::of_file("values") else { return };
    let printed = output_of(program.command().env("RAILTOP_SYSFS_ROOT", fixture("mlx5-roce")));
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

#[test]
fn the_static_library_does_the_same() {
    let Some(program) = Program::with_static_library("values") else { return };
    let printed = output_of(program.command().env("RAILTOP_SYSFS_ROOT", fixture("mlx5-roce")));
    assert!(printed.contains("\nsample nic 0 tx 8000000000 rx 4000000000 idle\n"), "{printed}");
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
    output_of(Command::new(script).arg(&prefix).env("RAILTOP_BUILT", library().with_file_name("")));
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
    assert_eq!(files, ["librailtop.a", "librailtop.so", "librailtop.so.0", "pkgconfig"]);
}

#[test]
fn the_program_in_the_docs_does_what_they_say() {
    let text = support::examples("c").pop().unwrap();
    let Some(program) = Program::of_text("docs", &text) else { return };
    let printed = output_of(program.command().env("RAILTOP_SYSFS_ROOT", fixture("mlx5-roce")));
    assert!(printed.starts_with("mlx5_0 port 1: 0.000 Gbit/s sent\n"), "{printed}");
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
    let masks = wait_for(|| {
        let tasks = fs::read_dir(format!("/proc/{}/task", child.0.id())).unwrap();
        let texts =
            tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default());
        let texts: Vec<String> = texts.collect();
        let ours = texts.iter().any(|text| text.starts_with("Name:\trailtop\n"));
        (ours && texts.len() > 2).then(|| texts.iter().map(|text| blocked(text)).collect::<Vec<u64>>())
    });
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
    let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap_or("0");
    u64::from_str_radix(mask.trim(), 16).unwrap()
}

/// The mask with everything blocked that can be: not SIGKILL (9), SIGSTOP (19), nor glibc's 32 and 33, and musl's 34.
fn everything(mask: u64) -> u64 {
    const NEVER: u64 = 1 << 8 | 1 << 18 | 1 << 31 | 1 << 32 | 1 << 33;
    mask | !NEVER
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not happen within a minute");
        std::thread::sleep(Duration::from_millis(10));
    }
}
