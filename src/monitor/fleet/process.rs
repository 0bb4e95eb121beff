//! `railtop log` on a node without an exporter, through ssh or srun: a child process whose output is read as it comes.
//!
//! It must not touch the terminal: it has no standard input, a process group of its own, and ssh is told to ask nobody
//! (`BatchMode`). What it says on stderr is kept to its last line, which is the reason when it ends.

use std::cell::RefCell;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, sleep, timeout};

use super::jsonl::Collector;
use super::page::Descs;
use super::target::{Target, Via};
use crate::monitor::sample::Sample;
use crate::text::printable;

/// The longest line; one with all counters of a NIC has 3 kB.
const MAX_LINE: usize = 64 << 10;
/// After so long without another byte a tick is whole.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two tries.
const AGAIN: Duration = Duration::from_secs(5);
/// How long the children have to end when they are asked to.
const END: Duration = Duration::from_secs(2);

/// Children that were asked to end and have not been waited for.
#[derive(Debug, Clone, Default)]
pub struct Reaper(Rc<RefCell<Vec<Child>>>);

impl Reaper {
    /// Waits for all of them, and ends those that do not.
    pub async fn wait(&self) {
        let deadline = Instant::now() + END;
        while Instant::now() < deadline {
            self.0.borrow_mut().retain_mut(|child| matches!(child.try_wait(), Ok(None)));
            if self.0.borrow().is_empty() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        for mut child in self.0.take() {
            let _ended = child.kill();
            let _ended = child.wait();
        }
    }

    fn take(&self, mut child: Child) {
        if matches!(child.try_wait(), Ok(None)) {
            if let Ok(id) = i32::try_from(child.id()) {
                let _ended = kill(Pid::from_raw(id), Signal::SIGTERM);
            }
            self.0.borrow_mut().push(child);
        }
    }
}

/// A child that is asked to end when it is dropped.
struct Running {
    child: Option<Child>,
    reaper: Reaper,
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
            let options = ["ssh", "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"];
            let port = (target.port != 0).then(|| ["-p".to_owned(), target.port.to_string()]);
            let host = ["--".to_owned(), target.host.clone()];
            options
                .iter()
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
    loop {
        let why = match follow(target, interval, &reaper, &descs, &tell).await {
            Ok(why) => why,
            Err(error) => format!("cannot run {}: {error}", target.via.name()),
        };
        tell(Err(printable(&why)));
        sleep(AGAIN).await;
    }
}

/// Runs it once; returns why it has ended.
async fn follow(
    target: &Target,
    interval: Duration,
    reaper: &Reaper,
    descs: &RefCell<Descs>,
    tell: &impl Fn(Result<Sample, String>),
) -> io::Result<String> {
    let words = command(target, interval);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Signals of the terminal are for us.
    let mut child = command.process_group(0).spawn()?;
    let pipes = (child.stdout.take(), child.stderr.take());
    let running = Running { child: Some(child), reaper: reaper.clone() };
    let (Some(out), Some(err)) = pipes else { return Err(io::ErrorKind::BrokenPipe.into()) };
    let mut out = Receiver::from_owned_fd(out.into())?;
    let mut err = Receiver::from_owned_fd(err.into())?;
    let mut collector = Collector::default();
    let (mut line, mut said) = (Vec::new(), Vec::new());
    let (mut bytes, mut words) = (vec![0; 16 << 10], vec![0; 1024]);
    let mut talks = true;
    loop {
        let pause = async {
            if collector.is_empty() {
                std::future::pending::<()>().await;
            } else {
                sleep(PAUSE).await;
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
        }
    }
    while talks {
        let Ok(read) = timeout(PAUSE, err.read(&mut words)).await else { break };
        talks = keep(&mut said, &words[..read?]);
    }
    let text = String::from_utf8_lossy(&said);
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned);
    let ended = || format!("{} has ended without a word", target.via.name());
    drop(running);
    Ok(last.unwrap_or_else(ended))
}

/// Keeps the end of what was said; whether there may be more.
fn keep(said: &mut Vec<u8>, bytes: &[u8]) -> bool {
    const KEPT: usize = 2048;
    said.extend_from_slice(bytes);
    said.drain(..said.len().saturating_sub(KEPT));
    !bytes.is_empty()
}

/// Takes bytes of its output; whether there may be more.
fn lines(
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

    #[test]
    fn nobody_is_asked_for_a_password_and_no_host_is_an_option() {
        let target = super::super::target::parse("ssh://ops@gpu7:2222", &Via::Http).unwrap().remove(0);
        let words = command(&target, Duration::from_millis(1500)).join(" ");
        assert_eq!(
            words,
            "ssh -T -o BatchMode=yes -o ConnectTimeout=10 -p 2222 -- ops@gpu7 railtop log --format jsonl --interval 1500ms"
        );
        let srun = Target { via: Via::Srun(Some("77".to_owned())), ..target };
        let words = command(&srun, Duration::from_secs(1)).join(" ");
        assert!(
            words.starts_with("srun --overlap ") && words.contains(" --jobid=77 railtop log "),
            "{words}"
        );
    }
}
