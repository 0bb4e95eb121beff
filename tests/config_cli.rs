//! The configuration file as a user meets it: where it is found, who wins, and what a mistake looks like.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails, fails the test")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use test_case::test_case;

/// The program in a directory of its own: no configuration, no counter pages and no devices of the machine.
fn railtop(home: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("railtop"));
    for name in ["RAILTOP_CONFIG", "XDG_CONFIG_HOME", "RAILTOP_INTERVAL", "RAILTOP_UNITS", "RAILTOP_THEME"] {
        command.env_remove(name);
    }
    command
        .env("HOME", home)
        .env("RAILTOP_PAGE_DIR", home.join("no-pages"))
        .env("RAILTOP_SYSFS_ROOT", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sys/efa-p5"))
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A configuration file below a home directory.
fn configured(text: &str) -> (tempfile::TempDir, PathBuf) {
    let home = home();
    let path = home.path().join(".config/railtop/config.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    (home, path)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The interval that a log says it has.
fn interval_of(command: &mut Command) -> u64 {
    let output = command.args(["log", "-n", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let header: Value = serde_json::from_slice(output.stdout.split(|&b| b == b'\n').next().unwrap()).unwrap();
    header["interval_ms"].as_u64().unwrap()
}

#[test]
fn flags_before_environment_before_file_before_default() {
    let (home, _) = configured("interval = \"30ms\"\n");
    let empty = self::home();
    assert_eq!(interval_of(&mut railtop(empty.path())), 1000, "default");
    assert_eq!(interval_of(&mut railtop(home.path())), 30, "file");
    assert_eq!(interval_of(railtop(home.path()).env("RAILTOP_INTERVAL", "40ms")), 40, "environment");
    let mut flag = railtop(home.path());
    flag.env("RAILTOP_INTERVAL", "40ms").args(["log", "-n", "1", "-i", "50ms"]);
    let output = flag.output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"interval_ms\":50"), "flag");
}

#[test]
fn the_file_is_where_flag_variable_and_xdg_say() {
    let (home, _) = configured("interval = \"30ms\"\n");
    let other = home.path().join("other.toml");
    fs::write(&other, "interval = \"60ms\"\n").unwrap();
    let xdg = home.path().join("xdg/railtop");
    fs::create_dir_all(&xdg).unwrap();
    fs::write(xdg.join("config.toml"), "interval = \"70ms\"\n").unwrap();

    assert_eq!(interval_of(railtop(home.path()).env("XDG_CONFIG_HOME", home.path().join("xdg"))), 70);
    assert_eq!(interval_of(railtop(home.path()).env("RAILTOP_CONFIG", &other)), 60);
    assert_eq!(
        interval_of(railtop(home.path()).env("RAILTOP_CONFIG", "gone").arg("--config").arg(&other)),
        60
    );
    assert_eq!(interval_of(railtop(home.path()).env("RAILTOP_CONFIG", "")), 1000, "none at all");
    assert_eq!(interval_of(railtop(home.path()).args(["--config", "/dev/null"])), 1000, "an empty one");
}

#[test]
fn a_named_file_must_be_there() {
    let home = home();
    for name in ["missing.toml", "missing/config.toml"] {
        let output = railtop(home.path()).args(["--config", name, "list"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(&format!("configuration file {name}: there is no such file")));
        assert!(output.stdout.is_empty());
    }
}

#[test_case("\n\nintervall = 1\n", ":3:1: unknown key \"intervall\"; did you mean interval?"; "key")]
#[test_case("units = \"bit\"\n", ":1:9: \"bit\" is none of bits, bytes; did you mean bits?"; "value")]
#[test_case("[keys]\nquit = \"w\"\npause = \"w\"\n", ":2:8: the key w is bound to quit and to pause"; "keys")]
fn mistakes_end_with_2_and_say_where(text: &str, says: &str) {
    let (home, path) = configured(text);
    for args in [&["list"][..], &["log", "-n", "1"], &["check", "--duration", "20ms"], &["--print-keys"]] {
        let output = railtop(home.path()).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = stderr(&output);
        assert!(said.contains(&path.to_string_lossy().into_owned()), "{said}");
        assert!(says.split(':').next_back().is_some_and(|end| said.contains(end.trim())), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn commands_that_need_no_settings_do_not_stumble_over_a_wrong_file() {
    let (home, _) = configured("this is no TOML");
    for args in [&["--print-config"][..], &["--help"], &["--version"], &["completions", "bash"], &["man"]] {
        let output = railtop(home.path()).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
        assert!(!output.stdout.is_empty());
    }
}

#[test]
fn what_is_no_file_neither_hangs_nor_passes() {
    let home = home();
    let fifo = home.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let large = home.path().join("large");
    fs::File::create(&large).unwrap().set_len(1 << 32).unwrap();
    let binary = home.path().join("binary");
    fs::write(&binary, b"units = \"bits\"\n\xff\xfe").unwrap();
    for (path, says) in [
        (fifo.as_path(), "it is a FIFO, not a file"),
        (home.path(), "it is a directory, not a file"),
        (Path::new("/dev/zero"), "it is a device, not a file"),
        (&large, "it is larger than 256 KiB"),
        (&binary, "binary:2:1: this is not UTF-8 text"),
    ] {
        let start = Instant::now();
        let output = railtop(home.path()).arg("--config").arg(path).arg("list").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", path.display());
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
        assert!(start.elapsed() < Duration::from_secs(120), "it waited for {}", path.display());
    }
}

#[test]
fn the_printed_default_is_a_file_that_changes_nothing() {
    let home = home();
    let printed = railtop(home.path()).arg("--print-config").output().unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    insta::assert_snapshot!("print_config", text);
    let in_effect: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
                rest.to_owned() + "\n"
            }
            _ => line.to_owned() + "\n",
        })
        .collect();
    let path = home.path().join("all.toml");
    fs::write(&path, &in_effect).unwrap();
    assert_eq!(interval_of(railtop(home.path()).arg("--config").arg(&path)), 1000);
    let keys = |command: &mut Command| command.arg("--print-keys").output().unwrap().stdout;
    let [bare, full] =
        [keys(&mut railtop(home.path())), keys(railtop(home.path()).arg("--config").arg(&path))];
    assert_eq!(String::from_utf8(bare).unwrap(), String::from_utf8(full).unwrap());
}

#[test]
fn printed_keys_are_those_in_effect() {
    let (home, _) = configured("[keys]\nquit = [\"x\", \"f10\"]\nsuspend = []\n");
    let output = railtop(home.path()).arg("--print-keys").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().any(|l| l.starts_with("quit ") && l.contains(" x f10 ")), "{text}");
    assert!(text.lines().any(|l| l.starts_with("suspend ") && l.contains("  - ")), "{text}");
}

#[test]
fn the_limit_of_the_file_is_the_limit_of_check() {
    let (home, path) = configured("[thresholds]\nmax-over-mean = 0.2\n");
    let output = railtop(home.path()).args(["check", "--duration", "20ms"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(&format!("{}:2:17: max/mean is a number", path.display())));
}

#[test]
fn help_of_every_command() {
    let home = home();
    let mut text = String::new();
    for command in ["", "top", "log", "check", "list", "completions", "man"] {
        let mut help = railtop(home.path());
        if !command.is_empty() {
            help.arg(command);
        }
        // The help shows what variables are set to.
        help.env_remove("RAILTOP_SYSFS_ROOT").env("COLUMNS", "100");
        let output = help.arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        writeln!(text, "$ railtop {command} --help\n{help}").unwrap();
    }
    insta::assert_snapshot!("help", text);
}

#[test_case("bash")]
#[test_case("zsh")]
#[test_case("fish")]
fn completions_know_commands_and_flags(shell: &str) {
    let home = home();
    let output = railtop(home.path()).args(["completions", shell]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for word in ["check", "max-over-mean", "print-config", "colour-blind", "completions"] {
        assert!(text.contains(word), "{word} is not in the completions of {shell}");
    }
    // The shell itself is the judge, where it is there.
    let script = home.path().join("script");
    fs::write(&script, &text).unwrap();
    match Command::new(shell).arg("-n").arg(&script).output() {
        Ok(checked) => assert!(checked.status.success(), "{}", stderr(&checked)),
        Err(_) => eprintln!("skipped: no {shell} to check its script with"),
    }
}

#[test]
fn man_pages_are_there_for_each_command() {
    let home = home();
    let page = |args: &[&str]| {
        let output = railtop(home.path()).arg("man").args(args).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), stderr(&output))
    };
    let (_, main, _) = page(&[]);
    assert!(main.contains(".TH railtop 1") && main.contains("RAILTOP_CONFIG"), "{main}");
    let (_, log, _) = page(&["log"]);
    assert!(log.contains(".TH railtop-log 1") && log.contains("\\-\\-count"), "{log}");
    let (code, _, said) = page(&["lgo"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("there is no command \"lgo\" of railtop; there are top, log"), "{said}");
}

#[test]
fn the_documentation_shows_what_is_printed() {
    let home = home();
    let text = include_str!("../docs/configuration.md");
    let printed =
        |flag: &str| String::from_utf8(railtop(home.path()).arg(flag).output().unwrap().stdout).unwrap();
    let config = printed("--print-config");
    let (settings, _) = config.split_once("#[keys]").unwrap();
    assert!(text.contains(settings), "put the output of `railtop --print-config` into docs/configuration.md");
    let keys = printed("--print-keys");
    assert!(text.contains(&keys), "put the output of `railtop --print-keys` into docs/configuration.md");
}
