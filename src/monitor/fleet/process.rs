//! `railtop log` on a node without an exporter, through ssh or srun: a child process whose output is read as it comes.
//!
//! It must not touch the terminal: it has no standard input, a process group of its own, and ssh is told to ask nobody
//! (`BatchMode`). What it says on stderr is kept to its last line, which is the reason when it ends.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::jsonl::Collector;
use super::page::Descs;
use super::target::{Target, Via};
use crate::monitor::sample::Sample;
use crate::text::printable;

/// The longest line; one with all counters of a NIC has 3 kB.
const MAX_LINE: usize = 64 << 10;
/// After so long without another byte a tick is whole, at least and at most; between them half of the interval.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// How long words on stderr are waited for when there will be no more lines.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Between two tries.
const AGAIN: Duration = Duration::from_secs(5);
/// How long the children have to end when they are asked to.
const END: Duration = Duration::from_secs(2);
/// How long no tick may come, at least; five intervals where that is longer. A login takes some seconds.
const SILENCE: Duration = Duration::from_secs(15);

/// Children that were asked to end and have not been waited for, and when they were asked.
#[derive(Debug, Clone, Default)]
pub struct Reaper(Rc<RefCell<Vec<(Child, Instant)>>>);

impl Reaper {
    /// Waits for all of them, and ends those that do not.
    pub async fn wait(&self) {
        let deadline = Instant::now() + END;
        while Instant::now() < deadline {
            self.sweep();
            if self.0.borrow().is_empty() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        for (mut child, _) in self.0.take() {
            let _ended = child.kill();
            let _ended = child.wait();
        }
    }

    /// Waits for those that have ended, and ends those that had their time.
    fn sweep(&self) {
        self.0.borrow_mut().retain_mut(|(child, asked)| {
            let runs = matches!(child.try_wait(), Ok(None));
            if runs && asked.elapsed() > END {
                let _ended = child.kill();
            }
            runs
        });
    }

    fn take(&self, mut child: Child) {
        self.sweep();
        if matches!(child.try_wait(), Ok(None)) {
            ask_to_end(&child);
            self.0.borrow_mut().push((child, Instant::now()));
        }
    }
}

fn ask_to_end(child: &Child) {
    if let Ok(id) = i32::try_from(child.id()) {
        let _ended = kill(Pid::from_raw(id), Signal::SIGTERM);
    }
}

/// A child that is asked to end when it is dropped.
struct Running {
    child: Option<Child>,
    reaper: Reaper,
}

impl Running {
    /// Waits until it has ended: for a moment by itself, then because it is asked to, then because it must.
    async fn end(mut self) {
        type Step = fn(&mut Child);
        let steps: [(Step, Duration); 3] =
            [(|_| (), LAST_WORDS), (|child| ask_to_end(child), END), (|child| drop(child.kill()), END)];
        for (step, time) in steps {
            let Some(child) = &mut self.child else { return };
            step(child);
            let deadline = Instant::now() + time;
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                sleep(Duration::from_millis(5)).await;
            }
            if !matches!(child.try_wait(), Ok(None)) {
                self.child = None;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            self.reaper.take(child);
        }
    }
}

/// How `railtop log` is run on a node.
#[must_use]
pub fn command(target: &Target, interval: Duration) -> Vec<String> {
    let mut words: Vec<String> = match &target.via {
        Via::Srun(job) => {
            let mut words = vec!["srun", "--overlap", "--nodes=1", "--ntasks=1", "--quiet", "--input=none"];
            let step =
                [format!("--nodelist={}", target.host), "--mem-per-cpu=0".to_owned(), "--gpus=0".to_owned()];
            let job = job.as_ref().map(|job| format!("--jobid={job}"));
            let all = words.drain(..).map(str::to_owned).chain(step).chain(job);
            all.collect()
        }
        Via::Http | Via::Ssh => {
            let alive = ["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=2"];
            let options = ["ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"];
            let port = (target.port != 0).then(|| ["-p".to_owned(), target.port.to_string()]);
            let host = ["--".to_owned(), target.host.clone()];
            options
                .iter()
                .chain(&alive)
                .map(|&word| word.to_owned())
                .chain(port.into_iter().flatten())
                .chain(host)
                .collect()
        }
    };
    let ms = interval.as_millis();
    words.extend(["railtop", "log", "--format", "jsonl", "--interval"].map(str::to_owned));
    words.push(format!("{ms}ms"));
    words
}

/// Runs it for ever, anew when it has ended; `tell` gets every tick, or why there is none.
pub async fn run(
    target: &Target,
    interval: Duration,
    reaper: Reaper,
    descs: Rc<RefCell<Descs>>,
    tell: impl Fn(Result<Sample, String>),
) {
    let words = command(target, interval);
    let silence = SILENCE.max(interval.saturating_mul(5));
    let pause = (interval / 2).clamp(PAUSES.0, PAUSES.1);
    loop {
        reaper.sweep();
        let why = match follow(&words, [pause, silence], &reaper, &descs, &tell).await {
            Ok(why) => why,
            Err(error) => format!("cannot run {}: {error}", target.via.name()),
        };
        tell(Err(printable(&why)));
        sleep(AGAIN).await;
    }
}

/// Runs it once, with a pause that ends a tick and a silence that ends it; returns why it has ended, when it has.
async fn follow(
    words: &[String],
    times: [Duration; 2],
    reaper: &Reaper,
    descs: &RefCell<Descs>,
    tell: &impl Fn(Result<Sample, String>),
) -> io::Result<String> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Signals of the terminal are for us.
    let mut child = command.process_group(0).spawn()?;
    let pipes = (child.stdout.take(), child.stderr.take());
    let running = Running { child: Some(child), reaper: reaper.clone() };
    let (Some(out), Some(err)) = pipes else { return Err(io::ErrorKind::BrokenPipe.into()) };
    let why = listen(out, err, times, descs, tell).await;
    running.end().await;
    Ok(why?.unwrap_or_else(|| format!("{} has ended without a word", words[0])))
}

/// Tells of its ticks until it says no more; returns its last word, or what is wrong with it.
async fn listen(
    out: ChildStdout,
    err: ChildStderr,
    [pause, silence]: [Duration; 2],
    descs: &RefCell<Descs>,
    tell: &impl Fn(Result<Sample, String>),
) -> io::Result<Option<String>> {
    let mut out = Receiver::from_owned_fd(out.into())?;
    let mut err = Receiver::from_owned_fd(err.into())?;
    let mut collector = Collector::default();
    let (mut line, mut said) = (Vec::new(), Vec::new());
    let (mut bytes, mut words) = (vec![0; 16 << 10], vec![0; 1024]);
    let mut talks = true;
    // Since when no tick has come: one that sends something else, or less than a line, is no better.
    let heard = Cell::new(Instant::now());
    let tell = &|told| {
        heard.set(Instant::now());
        tell(told);
    };
    loop {
        let pause = async {
            if collector.is_empty() {
                std::future::pending::<()>().await;
            } else {
                sleep(pause).await;
            }
        };
        tokio::select! {
            read = out.read(&mut bytes) => {
                if !lines(&bytes[..read?], &mut line, &mut collector, descs, tell)? {
                    break;
                }
            }
            read = err.read(&mut words), if talks => talks = keep(&mut said, &words[..read?]),
            () = pause => if let Some(sample) = collector.finish() {
                tell(Ok(sample));
            },
            () = sleep_until(heard.get() + silence) => {
                let seconds = silence.as_secs_f64();
                let said = last_line(&said).map(|line| format!(": {line}")).unwrap_or_default();
                return Ok(Some(format!("no line for {seconds:.0} s{said}")));
            }
        }
    }
    while talks {
        let Ok(read) = timeout(LAST_WORDS, err.read(&mut words)).await else { break };
        talks = keep(&mut said, &words[..read?]);
    }
    Ok(last_line(&said))
}

fn last_line(said: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(said);
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
}

/// Keeps the end of what was said; whether there may be more.
fn keep(said: &mut Vec<u8>, bytes: &[u8]) -> bool {
    const KEPT: usize = 2048;
    said.extend_from_slice(bytes);
    said.drain(..said.len().saturating_sub(KEPT));
    !bytes.is_empty()
}

/// Takes bytes of its output; whether there may be more.
pub(super) fn lines(
    bytes: &[u8],
    line: &mut Vec<u8>,
    collector: &mut Collector,
    descs: &RefCell<Descs>,
    tell: &impl Fn(Result<Sample, String>),
) -> io::Result<bool> {
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        line.extend_from_slice(&rest[..end]);
        rest = &rest[end + 1..];
        let sample =
            std::str::from_utf8(line).ok().and_then(|text| collector.take(text, &mut descs.borrow_mut()));
        line.clear();
        if let Some(sample) = sample {
            tell(Ok(sample));
        }
    }
    line.extend_from_slice(rest);
    if line.len() > MAX_LINE {
        return Err(io::Error::other("it sends lines without an end"));
    }
    Ok(!bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of a shell's output, and why it ended; nothing of it is left to wait for.
    fn follow_shell(script: &str, times: [Duration; 2]) -> (usize, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (ticks, reaper) = (Cell::new(0), Reaper::default());
        let words = ["sh", "-c", script].map(str::to_owned);
        let tell = |told: Result<Sample, String>| ticks.set(ticks.get() + usize::from(told.is_ok()));
        let why = runtime.block_on(follow(&words, times, &reaper, &RefCell::default(), &tell)).unwrap();
        assert!(reaper.0.borrow().is_empty(), "all of them are waited for");
        (ticks.get(), why)
    }

    /// Whether a process is there, dead and waiting for its parent included.
    fn is_there(id: &str) -> bool {
        std::path::Path::new("/proc").join(id).exists()
    }

    const MOMENT: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(20)];

    #[test]
    fn one_that_ends_after_its_output_is_waited_for() {
        for script in [
            "echo $$ >&2; exec >&- 2>&-; sleep 0.05",
            // This one has to be asked to.
            "echo $$ >&2; exec >&- 2>&-; exec sleep 1000",
        ] {
            let (_, id) = follow_shell(script, MOMENT);
            assert!(id.parse::<u32>().is_ok() && !is_there(&id), "{id} is left behind");
        }
    }

    #[test]
    fn the_reaper_forgets_who_has_ended_when_the_next_one_comes() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let reaper = Reaper::default();
            let start = || Command::new("sleep").arg("1000").spawn().unwrap();
            for _ in 0..3 {
                let child = start();
                let id = child.id();
                reaper.take(child);
                // Asked to end, it is dead before long, and waits to be waited for.
                let line = || std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
                let end = Instant::now() + Duration::from_secs(60);
                while !line().rsplit(')').next().unwrap().trim_start().starts_with('Z') {
                    assert!(Instant::now() < end, "{id} has not ended within a minute: {}", line());
                    sleep(Duration::from_millis(10)).await;
                }
            }
            assert_eq!(reaper.0.borrow().len(), 1, "those before have ended");
            reaper.wait().await;
            assert!(reaper.0.borrow().is_empty());
        });
    }

    #[test]
    fn one_that_says_no_more_is_ended_and_said_to_be_silent() {
        const LINE: &str = r#"{"ts":"2026-01-01T00:00:01.000Z","mono_ns":5,"dev":"m0","port":1,"source":"sysfs","driver":"efa"}"#;
        let short = [Duration::from_millis(20), Duration::from_secs(1)];
        let (ticks, why) = follow_shell("exec sleep 1000", short);
        assert_eq!((ticks, why.as_str()), (0, "no line for 1 s"));
        // Long enough for the line to be written on a busy machine.
        let longer = [short[0], Duration::from_secs(6)];
        let script = format!("echo '{LINE}'; echo 'a link that died' >&2; exec sleep 1000");
        assert_eq!(follow_shell(&script, longer), (1, "no line for 6 s: a link that died".to_owned()));
        // What never is a line is silence as well.
        let (ticks, why) = follow_shell("while :; do printf x; sleep 0.1; done", short);
        assert_eq!((ticks, why.as_str()), (0, "no line for 1 s"));
    }

    #[test]
    fn nobody_is_asked_for_a_password_and_no_host_is_an_option() {
        let target = super::super::target::parse("ssh://ops@gpu7:2222", &Via::Http).unwrap().remove(0);
        let words = command(&target, Duration::from_millis(1500)).join(" ");
        assert_eq!(
            words,
            "ssh -T -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=2 -p 2222 -- ops@gpu7 railtop log --format jsonl --interval 1500ms"
        );
        let srun = Target { via: Via::Srun(Some("77".to_owned())), ..target };
        let words = command(&srun, Duration::from_secs(1)).join(" ");
        assert!(
            words.starts_with("srun --overlap ") && words.contains(" --jobid=77 railtop log "),
            "{words}"
        );
    }
}
