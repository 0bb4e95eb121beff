//! GPUs and their NVLinks, through NVIDIA's management library (NVML).
//!
//! NVML may hang (a GPU that fell off the bus, a driver that is being reloaded), so a thread of its own calls it, once
//! a tick at most. The tick asks, reads the NICs, and takes what has been answered by then: it never waits for a GPU.
//! Where there is no NVML, it is looked for again once a minute at most.

mod convert;
mod nvml;

use std::fmt;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use crate::monitor::sample::{GpuSample, Gpus};

/// How long a library that could not be opened is left alone.
const RETRY: Duration = Duration::from_secs(60);
/// GPUs are not asked more often than this, however short the interval is.
const EVERY: Duration = Duration::from_millis(100);
/// An answer older than this is not shown any more.
const TOO_OLD: Duration = Duration::from_secs(5);

/// A GPU library that has been opened.
pub trait GpuLibrary {
    /// Reads all GPUs, by index.
    ///
    /// # Errors
    /// When the library itself does not work any more: why. It is then closed.
    fn read(&mut self) -> Result<Vec<GpuSample>, String>;
}

/// Opens the library, or says why it cannot be had. Runs on the GPUs' thread.
pub type OpenGpuLibrary = Box<dyn FnMut() -> Result<Box<dyn GpuLibrary>, String> + Send>;

/// The GPU source: the thread's other end.
pub struct GpuSource {
    /// Without a thread the reason.
    requests: Result<Sender<()>, &'static str>,
    answers: Receiver<Gpus>,
    /// When the request that is still open was made.
    asked: Option<Instant>,
    /// The last answer, and when it came.
    last: Option<(Gpus, Instant)>,
    /// When GPUs were last asked.
    before: Option<Instant>,
}

impl GpuSource {
    /// Through NVML. Nothing is loaded before GPUs are asked for the first time.
    #[must_use]
    pub fn nvml() -> Self {
        Self::new(Box::new(|| nvml::open().map(|library| Box::new(library) as Box<dyn GpuLibrary>)))
    }

    /// Through the library that `open` opens.
    #[must_use]
    pub fn new(mut open: OpenGpuLibrary) -> Self {
        let (requests, asked) = mpsc::channel::<()>();
        let (answer, answers) = mpsc::channel();
        let thread = thread::Builder::new().name("gpus".to_owned()).spawn(move || {
            let mut library = Opened::Never;
            while asked.recv().is_ok() && answer.send(library.read(&mut open, Instant::now())).is_ok() {}
        });
        // Then there is nobody to ask, which `take` says.
        let requests = thread.map(|_| requests).map_err(|_| "cannot start a thread to read GPUs");
        Self { requests, answers, asked: None, last: None, before: None }
    }

    /// Asks for new numbers, unless the last question is still open or only just asked.
    pub fn ask(&mut self, now: Instant) {
        self.collect(now);
        let just = self.before.is_some_and(|before| now.saturating_duration_since(before) < EVERY);
        if self.asked.is_some() || just {
            return;
        }
        if let Ok(requests) = &self.requests
            && requests.send(()).is_ok()
        {
            self.asked = Some(now);
            self.before = Some(now);
        }
    }

    /// The newest numbers there are, or why there are none. Waits at most `patience` for an answer that is due.
    pub fn take(&mut self, now: Instant, patience: Duration) -> Gpus {
        if self.asked.is_some()
            && !patience.is_zero()
            && let Ok(gpus) = self.answers.recv_timeout(patience)
        {
            self.answered(gpus, now);
        }
        self.collect(now);
        let waited = self.asked.map_or(Duration::ZERO, |asked| now.saturating_duration_since(asked));
        if let Err(reason) = self.requests {
            return nothing(reason.to_owned());
        }
        match &self.last {
            Some((gpus, at)) if now.saturating_duration_since(*at) <= TOO_OLD => gpus.clone(),
            None if waited <= TOO_OLD => nothing("the GPUs are being looked for".to_owned()),
            _ => nothing(format!("the GPU library has not answered for {:.1} s", waited.as_secs_f64())),
        }
    }

    fn collect(&mut self, now: Instant) {
        loop {
            match self.answers.try_recv() {
                Ok(gpus) => self.answered(gpus, now),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    // Not where there never was a thread.
                    if self.requests.is_ok() {
                        self.requests = Err("the thread that reads GPUs ended by a bug");
                    }
                    return;
                }
            }
        }
    }

    fn answered(&mut self, gpus: Gpus, now: Instant) {
        self.asked = None;
        self.last = Some((gpus, now));
    }
}

impl fmt::Debug for GpuSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuSource")
            .field("asked", &self.asked)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

fn nothing(reason: String) -> Gpus {
    Gpus { gpus: Vec::new(), nothing: Some(reason) }
}

/// The library, on the GPUs' thread.
enum Opened {
    Never,
    Yes(Box<dyn GpuLibrary>),
    /// It failed then, with this reason.
    Failed(Instant, String),
}

impl Opened {
    fn read(&mut self, open: &mut OpenGpuLibrary, now: Instant) -> Gpus {
        if let Self::Failed(at, reason) = self
            && now.saturating_duration_since(*at) < RETRY
        {
            return nothing(reason.clone());
        }
        let result = match self {
            Self::Yes(library) => library.read(),
            Self::Never | Self::Failed(..) => open().and_then(|mut library| {
                let gpus = library.read();
                *self = Self::Yes(library);
                gpus
            }),
        };
        match result {
            Ok(gpus) if gpus.is_empty() => nothing("the NVIDIA driver shows no GPU".to_owned()),
            Ok(gpus) => Gpus { gpus, nothing: None },
            Err(reason) => {
                *self = Self::Failed(now, reason.clone());
                nothing(reason)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    const LONG: Duration = Duration::from_secs(60);

    /// Answers, the next one last.
    type Script = Arc<Mutex<Vec<Result<Vec<GpuSample>, String>>>>;

    /// A library that answers what the script says, one line a read.
    struct Scripted(Script);

    impl GpuLibrary for Scripted {
        fn read(&mut self) -> Result<Vec<GpuSample>, String> {
            self.0.lock().unwrap().pop().unwrap_or_else(|| Err("the script is over".to_owned()))
        }
    }

    fn gpu(index: u32) -> GpuSample {
        GpuSample { index, ..GpuSample::default() }
    }

    /// How often a library is opened whose opening fails, over a time of asking once a second.
    fn openings(seconds: u64) -> usize {
        let count = Arc::new(Mutex::new(0));
        let theirs = Arc::clone(&count);
        let mut open: OpenGpuLibrary = Box::new(move || {
            *theirs.lock().unwrap() += 1;
            Err("there is no libnvidia-ml.so.1".to_owned())
        });
        let start = Instant::now();
        let mut opened = Opened::Never;
        for second in 0..seconds {
            let gpus = opened.read(&mut open, start + Duration::from_secs(second));
            assert_eq!(gpus, nothing("there is no libnvidia-ml.so.1".to_owned()));
        }
        *count.lock().unwrap()
    }

    #[test]
    fn what_is_not_there_is_looked_for_seldom() {
        assert_eq!(openings(59), 1);
        assert_eq!(openings(600), 10);
    }

    #[test]
    fn a_library_that_fails_is_closed_and_opened_again_later() {
        let script = Arc::new(Mutex::new(vec![
            Ok(vec![gpu(0), gpu(1)]),
            Err("the driver was unloaded".to_owned()),
            Ok(vec![gpu(0)]),
        ]));
        let theirs = Arc::clone(&script);
        let mut open: OpenGpuLibrary = Box::new(move || Ok(Box::new(Scripted(Arc::clone(&theirs)))));
        let start = Instant::now();
        let mut opened = Opened::Never;
        let mut at = |seconds| opened.read(&mut open, start + Duration::from_secs(seconds));
        assert_eq!(at(0).gpus, [gpu(0)]);
        assert_eq!(at(1), nothing("the driver was unloaded".to_owned()));
        assert_eq!(at(30), nothing("the driver was unloaded".to_owned()), "and is not asked");
        assert_eq!(at(62).gpus, [gpu(0), gpu(1)]);
    }

    #[test]
    fn a_tick_never_waits_for_a_library_that_hangs() {
        let (_keep, hang) = mpsc::channel::<()>();
        let hang = Mutex::new(hang);
        let mut source = GpuSource::new(Box::new(move || {
            let _never = hang.lock().unwrap().recv();
            Err("over".to_owned())
        }));
        let start = Instant::now();
        source.ask(start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(source.take(at(0), Duration::ZERO), nothing("the GPUs are being looked for".to_owned()));
        source.ask(at(1));
        assert_eq!(
            source.take(at(9), Duration::ZERO),
            nothing("the GPU library has not answered for 9.0 s".to_owned())
        );
    }

    /// A library that answers once.
    struct Buggy(bool);

    impl GpuLibrary for Buggy {
        fn read(&mut self) -> Result<Vec<GpuSample>, String> {
            assert!(!std::mem::replace(&mut self.0, true), "a bug");
            Ok(vec![gpu(0)])
        }
    }

    #[test]
    fn after_a_panic_nothing_old_is_shown() {
        let mut source = GpuSource::new(Box::new(|| Ok(Box::new(Buggy(false)))));
        let start = Instant::now();
        source.ask(start);
        assert_eq!(source.take(start, LONG).gpus, [gpu(0)]);
        for soon in [1, 2] {
            let now = start + Duration::from_secs(soon);
            source.ask(now);
            let ended = nothing("the thread that reads GPUs ended by a bug".to_owned());
            assert_eq!(source.take(now, LONG), ended);
        }
    }

    #[test]
    fn without_a_thread_that_is_the_reason() {
        let (_, answers) = mpsc::channel();
        let mut source =
            GpuSource { requests: Err("no thread"), answers, asked: None, last: None, before: None };
        let now = Instant::now();
        source.ask(now);
        assert_eq!(source.take(now, LONG), nothing("no thread".to_owned()));
    }

    #[test]
    fn an_answer_is_kept_for_a_while_and_then_no_more() {
        let script = Arc::new(Mutex::new(vec![Ok(vec![gpu(0)])]));
        let mut source = GpuSource::new(Box::new(move || Ok(Box::new(Scripted(Arc::clone(&script))))));
        let start = Instant::now();
        source.ask(start);
        assert_eq!(source.take(start, LONG).gpus, [gpu(0)]);
        assert_eq!(source.take(start + Duration::from_secs(4), Duration::ZERO).gpus, [gpu(0)]);
        assert!(source.take(start + Duration::from_secs(6), Duration::ZERO).gpus.is_empty());
    }
}
