//! The Python package: its own tests, those with the real `VizTracer`, and installed by pip.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails, fails the test")]

#[path = "support/layout.rs"]
mod layout;
mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{fixture, library, manifest_dir, output_of};

/// Where no counter pages are: what others on this machine count must not come first.
const NO_PAGES: &str = "/nonexistent/railtop-pages";

fn repository() -> PathBuf {
    manifest_dir().join("..").canonicalize().unwrap()
}

/// A Python of the version that the package asks for.
fn python() -> Option<Command> {
    let mut ask = Command::new("python3");
    ask.args(["-c", "import sys; sys.exit(sys.version_info < (3, 9))"]).stderr(Stdio::null());
    if ask.status().is_ok_and(|status| status.success()) {
        let mut command = Command::new("python3");
        // Nothing is written into the sources, and no counter pages of this machine are seen.
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("RAILTOP_PAGE_DIR", NO_PAGES);
        command.env_remove("PYTHONPATH").env_remove("RAILTOP_SYSFS_ROOT");
        return Some(command);
    }
    eprintln!("skipped: no python3 of version 3.9 or later here");
    None
}

/// Runs a module of the package's tests. A warning about something left open is an error.
fn unittest(python: &mut Command, module: &str) {
    python.args(["-W", "error::ResourceWarning", "-m", "unittest", "-v", module]);
    output_of(python.current_dir(repository().join("python")).env("RAILTOP_LIBRARY", library()));
}

#[test]
fn the_sampler_in_python() {
    let Some(mut python) = python() else { return };
    unittest(&mut python, "tests.test_sampler");
}

/// What ctypes makes of the structures, byte by byte, and the numbers that were written down once more.
#[test]
fn python_and_the_library_agree_on_every_byte() {
    let Some(mut python) = python() else { return };
    let mut expected = String::new();
    for row in layout::rows() {
        let name = row.structure.trim_start_matches("railtop_");
        writeln!(expected, "{name} {} {}", row.field.unwrap_or("-"), row.bytes).unwrap();
    }
    let mut marks = false;
    for (name, value) in layout::constants() {
        marks = (marks || name == "NEW") && name != "CLOCK_MONOTONIC";
        let wanted = marks || ["ABI_", "HAS_", "CLOCK_"].iter().any(|begin| name.starts_with(begin));
        if wanted || name == "E_TIMEOUT" {
            writeln!(expected, "{name} {value}").unwrap();
        }
    }
    let text = "import ctypes\n\
        from railtop import _library as l\n\
        for s in (l.Options, l.Status, l.Nic, l.Group, l.Sample, l.Balance):\n\
        \x20   print(s.__name__.lower(), '-', ctypes.sizeof(s))\n\
        \x20   for field in s._fields_: print(s.__name__.lower(), field[0], getattr(s, field[0]).offset)\n\
        print('ABI_MAJOR', l.ABI_MAJOR)\nprint('ABI_MINOR', l.ABI_MINOR)\nprint('E_TIMEOUT', l.E_TIMEOUT)\n\
        print('HAS_TX_BYTES', l.HAS_TX_BYTES)\nprint('HAS_RX_BYTES', l.HAS_RX_BYTES)\n\
        for bit, name in l.MARKS.items(): print(name.upper(), bit)\n\
        print('CLOCK_MONOTONIC', l.CLOCK_MONOTONIC)\nprint('CLOCK_REALTIME', l.CLOCK_REALTIME)";
    let printed = output_of(python.args(["-c", text]).current_dir(repository().join("python")));
    assert_eq!(printed, expected);
}

#[test]
fn counter_tracks_go_into_traces() {
    let Some(mut python) = python() else { return };
    unittest(&mut python, "tests.test_trace");
}

#[test]
fn slices_of_viztracer_and_counters_are_on_one_clock() {
    let Some(mut python) = python() else { return };
    let fetch = Command::new(repository().join("scripts/fetch-viztracer.sh")).output().unwrap();
    if !fetch.status.success() {
        eprintln!("skipped: VizTracer: {}", String::from_utf8_lossy(&fetch.stderr).trim());
        return;
    }
    // The command line of VizTracer starts another Python, which has to find the package too.
    let viztracer = String::from_utf8(fetch.stdout).unwrap();
    let path = format!("{}:{}", viztracer.trim(), repository().join("python").display());
    unittest(python.env("PYTHONPATH", path), "tests.test_viztracer");
}

/// Neither `torch` nor a training is here, so that the examples are read and what they take from us is looked up.
#[test]
fn the_examples_in_the_docs_are_python_and_name_what_is_there() {
    let Some(mut python) = python() else { return };
    let check = "import ast, sys, railtop\n\
        tree = ast.parse(sys.stdin.read())\n\
        of = {'railtop': railtop, 'nics': railtop.Sampler}\n\
        names = [(n.value.id, n.attr) for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)]\n\
        ours = [(of[name], attribute) for name, attribute in names if name in of and attribute != 'viztracer']\n\
        assert all(hasattr(*pair) for pair in ours), ours\n\
        print(len(ours))";
    let code = support::examples("python");
    assert!(code.len() >= 4, "{code:?}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("examples.py");
    fs::write(&file, code.concat()).unwrap();
    python.args(["-c", check]).current_dir(repository().join("python")).stdin(fs::File::open(file).unwrap());
    let output = python.output().unwrap();
    let used = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(used.trim().parse::<usize>().unwrap() >= 5, "{used}");
}

/// `pip install ./python`, but with the library that is built already: a release takes minutes.
#[test]
fn pip_installs_it_with_the_library_inside() {
    let Some(mut python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let made = python.args(["-m", "venv"]).arg(dir.path().join("venv")).output().unwrap();
    if !made.status.success() {
        eprintln!(
            "skipped: python3 makes no virtual environment: {}",
            String::from_utf8_lossy(&made.stdout).trim()
        );
        return;
    }
    let program = |name: &str| {
        let mut command = Command::new(dir.path().join("venv/bin").join(name));
        command
            .env_remove("PYTHONPATH")
            .env_remove("RAILTOP_LIBRARY")
            .env("RAILTOP_PAGE_DIR", NO_PAGES)
            .current_dir(dir.path())
            .stdin(Stdio::null());
        command.env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
        command
    };
    let setuptools = program("pip").args(["install", "--quiet", "setuptools>=70.1"]).output().unwrap();
    if !setuptools.status.success() {
        eprintln!(
            "skipped: pip cannot have setuptools: {}",
            String::from_utf8_lossy(&setuptools.stderr).trim()
        );
        return;
    }
    let copy = dir.path().join("python");
    copy_package(&repository().join("python"), &copy);
    fs::copy(repository().join("LICENSE-MIT"), dir.path().join("LICENSE-MIT")).unwrap();
    let mut install = program("pip");
    install.args(["install", "--quiet", "--no-build-isolation", "--no-index"]).arg(&copy);
    output_of(install.env("RAILTOP_LIBRARY", library()));
    // Once is enough where every thread has its turn within half a second.
    let text = "import railtop, sys\n\
        for _ in range(20):\n\
        \x20   with railtop.Sampler(0.01, sysfs_root=sys.argv[1]) as nics: nics.wait(2)\n\
        \x20   if nics.samples()[0].tx_bytes is not None: break\n\
        print(nics.samples()[0].tx_bytes, railtop.library_version() == railtop.__version__)\n\
        print(railtop._library.library()._name)\n\
        from pathlib import Path; print(Path(railtop.__file__).with_name('LICENSE-MIT').is_file())";
    let printed = output_of(program("python").args(["-c", text]).arg(fixture("mlx5-roce")));
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "8000000000 True");
    assert!(lines[1].ends_with("/site-packages/railtop/librailtop.so"), "{}", lines[1]);
    assert_eq!(lines[2], "True", "licences come along");
    let help = output_of(program("railtop-trace").arg("--help"));
    assert!(help.contains("--clock"), "{help}");
}

/// Without the library, the package says what to do.
#[test]
fn without_the_library_it_is_said_what_to_do() {
    let Some(mut python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    copy_package(&repository().join("python"), &dir.path().join("python"));
    python.current_dir(dir.path().join("python"));
    let text = "import railtop\ntry: railtop.Sampler().start()\nexcept railtop.LibraryNotFound as error: print(error)";
    for named in ["/nonexistent/librailtop.so", "libc.so.6"] {
        let printed = output_of(python.args(["-c", text]).env("RAILTOP_LIBRARY", named));
        assert!(printed.contains(named), "{printed}");
        assert!(printed.contains("RAILTOP_LIBRARY") || printed.contains("another library"), "{printed}");
    }
}

/// The sources of the package alone, so that nothing is built into the repository.
fn copy_package(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("railtop")).unwrap();
    for name in ["pyproject.toml", "setup.py", "README.md"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
    for file in fs::read_dir(from.join("railtop")).unwrap().map(Result::unwrap) {
        let name = file.file_name();
        if file.file_type().unwrap().is_file() && name != "librailtop.so" {
            fs::copy(file.path(), to.join("railtop").join(name)).unwrap();
        }
    }
}
