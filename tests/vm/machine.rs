//! The virtual machine: booted once, told what to run over a serial port, and gone with this value.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Scripts and sources of the machine.
const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vm");

/// How long the machine may take to come up; it takes four seconds when nothing else runs.
const BOOT: Duration = Duration::from_secs(600);

/// How long one script may take in the guest, which ends it then.
const SCRIPT: Duration = Duration::from_secs(600);

/// What is booted.
pub struct Parts {
    kernel: PathBuf,
    initramfs: PathBuf,
    mockrdma: PathBuf,
}

impl Parts {
    /// Makes them, or says why they cannot be had here.
    pub fn prepare() -> Result<Self, String> {
        let output = Command::new(format!("{HERE}/prepare.sh"))
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("bash does not run: {e}"))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(3) {
            return Err(errors.trim().to_owned());
        }
        assert!(output.status.success(), "prepare.sh: {}\n{errors}", output.status);
        let text = String::from_utf8(output.stdout).expect("paths are text");
        let lines: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let path = |name: &str| PathBuf::from(*lines.get(name).expect("prepare.sh names every part"));
        Ok(Self { kernel: path("kernel"), initramfs: path("initramfs"), mockrdma: path("mockrdma") })
    }
}

/// What a script said.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
}

/// Why the machine says nothing, and the ends of its logs.
#[derive(Debug)]
enum Silent {
    /// The emulator has ended.
    Ended(String),
    /// It has not spoken in time, or cannot be heard.
    Hangs(String),
}

impl std::fmt::Display for Silent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended(why) => write!(f, "the machine is gone:\n{why}"),
            Self::Hangs(why) => write!(f, "the machine does not answer: {why}"),
        }
    }
}

/// A running machine.
pub struct Machine {
    qemu: Child,
    channel: BufReader<UnixStream>,
    job: TempDir,
    scripts: u32,
}

impl Machine {
    /// Boots, and waits until commands are taken. The emulator has let a kernel die while that patched its own code, before
    /// anything of ours ran; so one that never got there is booted once more, and it is said.
    pub fn boot(parts: &Parts) -> Self {
        let mut machine = Self::power_on(parts);
        let mut first = machine.read_line();
        if let Err(Silent::Ended(why)) = &first {
            println!("booted once more: {why}");
            // There is room for one.
            drop(machine);
            machine = Self::power_on(parts);
            first = machine.read_line();
        }
        let first = first.unwrap_or_else(|silent| panic!("{silent}"));
        assert_eq!(first, "ready", "the guest says something else first");
        // Nothing caches /job: a program that ran from there would be read page by page, again and again.
        machine.ok("cp /job/railtop /usr/local/bin/");
        machine
    }

    fn power_on(parts: &Parts) -> Self {
        let job =
            TempDir::with_prefix_in("vm-", env!("CARGO_TARGET_TMPDIR")).expect("a directory for the run");
        fs::copy(&parts.mockrdma, job.path().join("mockrdma.ko")).expect("the module can be copied");
        strip(Path::new(env!("CARGO_BIN_EXE_railtop")), &job.path().join("railtop"));
        let (stream, its_end) = UnixStream::pair().expect("sockets");
        let qemu = Command::new(format!("{HERE}/boot.sh"))
            .args([&parts.kernel, &parts.initramfs])
            .arg(job.path())
            .stdin(Stdio::from(OwnedFd::from(its_end)))
            .spawn()
            .expect("bash runs");
        // A script is ended by the guest; this is for a guest that hangs.
        stream.set_read_timeout(Some(SCRIPT + BOOT)).expect("a socket takes a time-out");
        Self { qemu, channel: BufReader::new(stream), job, scripts: 0 }
    }

    /// Runs a bash script in the guest, with the functions of `guest.sh` and `rxe.sh`.
    pub fn run(&mut self, script: &str) -> Said {
        self.scripts += 1;
        let name = self.scripts.to_string();
        let text = format!("{}\n{}\n{script}\n", include_str!("rxe.sh"), include_str!("guest.sh"));
        fs::write(self.file(&format!("{name}.sh")), text).expect("the script can be written");
        let request = format!("{name} {}\n", SCRIPT.as_secs());
        self.channel.get_mut().write_all(request.as_bytes()).expect("the machine takes commands");
        let answer = self.line();
        let (answered, status) = answer.split_once(' ').expect("NUMBER STATUS");
        assert_eq!(answered, name, "an answer to something else");
        let read = |end| {
            let bytes = fs::read(self.file(&format!("{name}.{end}"))).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Said { status: status.parse().expect("a status"), out: read("out"), err: read("err") }
    }

    /// Runs a script that has to succeed, and gives what it printed.
    pub fn ok(&mut self, script: &str) -> String {
        let said = self.run(script);
        if said.status != 0 {
            let log = self.run("tail -n 5 /tmp/log | cut -c 1-400; cat /tmp/log.err");
            panic!("{script}\nended with {}: {}\n{}\nlog: {}", said.status, said.out, said.err, log.out);
        }
        said.out
    }

    /// Takes a program of the host's there; returns its path in the guest.
    pub fn program(&mut self, from: &Path) -> String {
        let name = from.file_name().expect("a program has a name").to_string_lossy().into_owned();
        strip(from, &self.file(&name));
        self.ok(&format!("cp '/job/{name}' /tmp/"));
        format!("/tmp/{name}")
    }

    /// A file that the guest sees as `/job/NAME`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.job.path().join(name)
    }

    fn line(&mut self) -> String {
        self.read_line().unwrap_or_else(|silent| panic!("{silent}"))
    }

    /// What the machine says next: `ready` first.
    fn read_line(&mut self) -> Result<String, Silent> {
        let mut line = String::new();
        match self.channel.read_line(&mut line) {
            Ok(1..) => Ok(line.trim_end().to_owned()),
            Ok(0) => Err(Silent::Ended(last_words(self.job.path()))),
            Err(e) => Err(Silent::Hangs(format!("{e}:\n{}", last_words(self.job.path())))),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // There is nothing in it to lose. The directory goes with `job`.
        let _gone = self.qemu.kill();
        let _status = self.qemu.wait();
    }
}

/// The ends of the logs that tell why a machine died.
fn last_words(job: &Path) -> String {
    let mut text = String::new();
    for name in ["qemu.log", "console"] {
        let log = fs::read(job.join(name)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        for line in &lines[lines.len().saturating_sub(15)..] {
            let _infallible = writeln!(text, "{name}: {}", line.escape_debug());
        }
    }
    text
}

/// Copies a program without its debug information, which is most of it.
fn strip(from: &Path, to: &Path) {
    let status = Command::new("strip").arg("-o").arg(to).arg(from).status().expect("binutils are there");
    assert!(status.success(), "strip: {status}");
}
