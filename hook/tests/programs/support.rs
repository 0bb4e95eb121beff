//! Starts programs with the hook in them, and reads the pages they leave.

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use counters::{NicSnapshot, PageDir, PageIdentity, PageReader, PageSnapshot, PageState};
use tempfile::TempDir;

/// How the hook gets into a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By `FI_HOOK`, with this value.
    Hook(&'static str),
    Preload,
}

/// The usual one.
pub const HOOK: Way = Way::Hook("railtop");

/// The hook library of this very build.
pub fn library() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let library = deps.parent().unwrap().join("librailtop_hook.so");
    assert!(library.is_file(), "{} has not been built", library.display());
    library
}

/// A page of a process that has ended.
#[derive(Debug)]
pub struct Page {
    pub identity: PageIdentity,
    pub snapshot: PageSnapshot,
}

impl Page {
    /// Its only NIC.
    pub fn nic(&self) -> &NicSnapshot {
        assert_eq!(self.snapshot.nics.len(), 1, "{:?}", self.identity.nics);
        &self.snapshot.nics[0]
    }

    /// What it has sent and what has arrived, (operations, bytes) each, when all is done.
    #[track_caller]
    pub fn totals(&self) -> [(u64, u64); 2] {
        let counts = self.nic().counts;
        assert_eq!(self.snapshot.state, PageState::Closed);
        assert_eq!(counts.tx_posted_ops, counts.tx_done_ops);
        assert_eq!(counts.tx_posted_bytes, counts.tx_done_bytes);
        assert_eq!((counts.tx_errors, counts.rx_errors), (0, 0));
        [(counts.tx_done_ops, counts.tx_done_bytes), (counts.rx_ops, counts.seen_rx_bytes)]
    }
}

/// A directory for pages and one for the library under a provider's name.
pub struct Stage {
    pages: TempDir,
    providers: TempDir,
}

impl Stage {
    pub fn new() -> Self {
        let temp = |base: &str| tempfile::Builder::new().prefix("railtop-hook-").tempdir_in(base).unwrap();
        let stage = Self { pages: temp("/dev/shm"), providers: temp("/tmp") };
        symlink(library(), stage.file()).unwrap();
        stage
    }

    pub fn file(&self) -> PathBuf {
        self.providers.path().join("librailtop_hook-fi.so")
    }

    pub fn pages_dir(&self) -> &Path {
        self.pages.path()
    }

    /// A command with the hook.
    pub fn command(&self, program: impl AsRef<OsStr>, way: Way) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-k", "5", "120"]).arg(program);
        for name in [
            "FI_PROVIDER",
            "FI_HOOK",
            "LD_PRELOAD",
            "FI_PROVIDER_PATH",
            "RANK",
            "WORLD_SIZE",
            "PMI_RANK",
            "PMIX_RANK",
            "OMPI_COMM_WORLD_RANK",
            "SLURM_PROCID",
            "RAILTOP_HOOK_OFF",
            "RAILTOP_HOOK_LAYER",
            "RAILTOP_HOOK_FAULT",
            "RAILTOP_HOOK_IDLE_MS",
        ] {
            command.env_remove(name);
        }
        command
            .env("RAILTOP_PAGE_DIR", self.pages.path())
            .env("RAILTOP_HOOK_KEEP", "1")
            .env("FI_TCP_IFACE", "lo");
        match way {
            Way::Hook(hooks) => command.env("FI_HOOK", hooks).env("FI_PROVIDER_PATH", self.providers.path()),
            Way::Preload => command.env("LD_PRELOAD", self.file()),
        };
        command
    }

    /// All pages, by process id.
    pub fn pages(&self) -> Vec<Page> {
        let entries = PageDir::open(self.pages.path()).unwrap().scan().unwrap();
        let mut pages: Vec<_> = entries
            .iter()
            .map(|entry| {
                let mut reader = PageReader::open(&entry.path).unwrap();
                Page { snapshot: reader.read().unwrap(), identity: reader.identity().clone() }
            })
            .collect();
        pages.sort_by_key(|page| page.identity.pid);
        pages
    }

    /// The page of the one process there was.
    #[track_caller]
    pub fn page(&self) -> Page {
        let mut pages = self.pages();
        assert_eq!(pages.len(), 1, "{pages:?}");
        pages.remove(0)
    }
}

/// Runs to a good end.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Compiles a program of this directory; `None`, having said why, if that is not possible here.
pub fn compile(source: &str, name: &str, arguments: &[&str]) -> Option<PathBuf> {
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let draft = binary.with_extension(format!("{}.draft", std::process::id()));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(source);
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let output =
        Command::new(compiler).args(["-O1", "-Wall", "-o"]).arg(&draft).arg(source).args(arguments).output();
    match output {
        Ok(output) if output.status.success() => {
            std::fs::rename(draft, &binary).unwrap();
            Some(binary)
        }
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let missing =
                ["No such file", "file not found", "cannot find -l"].iter().any(|word| text.contains(word));
            assert!(missing, "{name} does not compile: {text}");
            println!("skipped: {name} cannot be compiled: {}", text.lines().next().unwrap_or_default());
            None
        }
        Err(error) => {
            println!("skipped: no C compiler: {error}");
            None
        }
    }
}

/// `traffic`, linked with libfabric, or finding it at run time.
pub fn traffic(linked: bool) -> Option<PathBuf> {
    static LINKED: OnceLock<Option<PathBuf>> = OnceLock::new();
    static OPENS: OnceLock<Option<PathBuf>> = OnceLock::new();
    let binary = if linked {
        LINKED.get_or_init(|| compile("traffic.c", "traffic", &["-DLINKED", "-lfabric", "-lpthread"]))
    } else {
        OPENS.get_or_init(|| compile("traffic.c", "traffic-opens", &["-ldl", "-lpthread"]))
    };
    if binary.is_none() {
        println!("skipped: no test program");
    }
    binary.clone()
}

/// A libfabric 2.5, if it can be had.
pub fn libfabric2() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/fetch-libfabric2.sh");
    let output = Command::new(script).output().unwrap();
    if output.status.success() {
        return Some(PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()));
    }
    println!("skipped: libfabric 2.5: {}", String::from_utf8_lossy(&output.stderr).trim());
    None
}
