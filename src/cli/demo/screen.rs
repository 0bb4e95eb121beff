//! The demo on the screen: the monitor as anybody would see it, with a caption that follows the policy.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::cluster::Cluster;
use super::{DemoArgs, SCENE, story};
use crate::cli::GlobalArgs;
use crate::cli::config::{Given, Settings};
use crate::lab::{Lab, LabMode};
use crate::monitor::model::view::{GroupKind, View};
use crate::monitor::record::Status;
use crate::monitor::sample::Needs;
use crate::monitor::tui::{self, CaptionHandle, Ended, StopFlag, TuiOptions, ViewSource, Waker};
use crate::monitor::{Config, Sampler};
use crate::transport::select::PolicyKind;

/// How often the policies are repeated when no time was given: for years.
const ROUNDS: usize = 1_000_000;

/// Runs the demo on the screen.
pub(super) fn run(args: &DemoArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    tui::watch_panics();
    let given = Given { screen: args.screen.clone(), ..Given::default() };
    let mut settings = Settings::load(global, &given)?;
    // What a person filters on their own machine would hide the story.
    settings.preferences.filter.clear();
    let rounds = if args.duration.is_some() { 1 } else { ROUNDS };
    let cluster = Cluster::start(args, args.scene(SCENE), rounds, Box::new(|_| {}))?;
    let caption = CaptionHandle::new();
    caption.set("Starting the cluster …");
    let stop = StopFlag::new();
    let sampler = Sampler::start(Config { device: None, source: None, ..settings.monitor() })?;
    let mode = cluster.mode;
    let mut source = Narrated {
        sampler,
        caption: caption.clone(),
        job: Lab::job(),
        last_words: cluster.last_words(),
        nics: args.nics_per_pe,
        mode,
        told: None,
    };
    let options = TuiOptions { caption: Some(caption), stop: Some(stop.clone()), ..settings.screen() };
    let (ended, cluster) = std::thread::scope(|scope| -> anyhow::Result<_> {
        let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let left = Arc::clone(&over);
        // When the cluster has ended, so does the screen.
        let watch = std::thread::Builder::new().name("watch".to_owned());
        let watch = watch.spawn_scoped(scope, move || {
            while !cluster.is_over() && !left.load(std::sync::atomic::Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(50));
            }
            stop.stop();
            cluster
        });
        let watch = watch.context("cannot start a thread")?;
        let ended = tui::run(&mut source, &options);
        over.store(true, std::sync::atomic::Ordering::Release);
        Ok((ended, watch.join()))
    })?;
    // The terminal is restored by now, so that errors are seen.
    let cluster = cluster.map_err(|_| anyhow::anyhow!("a thread of the demo panicked"))?;
    let outcome = cluster.end();
    let ended = ended?;
    outcome?;
    Ok(match ended {
        Ended::Quit | Ended::Stopped => ExitCode::SUCCESS,
        Ended::Signal(number) => ExitCode::from(u8::try_from(128 + number).unwrap_or(1)),
    })
}

/// A sampler whose views set the caption.
struct Narrated {
    sampler: Sampler,
    caption: CaptionHandle,
    /// Name of the demo's own job.
    job: String,
    /// What the cluster said last on its stderr.
    last_words: Box<dyn Fn() -> Option<String>>,
    nics: u16,
    mode: LabMode,
    told: Option<PolicyKind>,
}

impl Narrated {
    fn tell(&mut self, view: &View) {
        let mut policies = view
            .groups
            .iter()
            .filter(|group| group.kind == GroupKind::Pe)
            .filter_map(|group| group.policy.as_deref());
        let Some(policy) = policies.find_map(|name| name.parse().ok()) else { return };
        if self.told.replace(policy) == Some(policy) {
            return;
        }
        let note = if self.mode == LabMode::Loopback { story::LOOPBACK } else { "" };
        self.caption.set(&format!("{note}{}", story::caption(policy, self.nics)));
    }
}

impl ViewSource for Narrated {
    fn subscribe(&mut self, waker: Waker) {
        self.sampler.subscribe(move || waker.wake());
    }

    fn latest(&mut self) -> Option<Arc<View>> {
        let mut view = self.sampler.latest()?;
        // Other jobs and the machine's own NICs are not part of the story.
        let shown = Arc::make_mut(&mut view);
        shown.groups.retain(|group| group.job.as_deref() == Some(&self.job));
        shown.notices.clear();
        if shown.groups.is_empty() {
            let last = (self.last_words)().map_or_else(String::new, |words| format!("; it says: {words}"));
            shown.nothing = Some(format!("no counter page of the demo's cluster yet{last}"));
        }
        self.tell(&view);
        Some(view)
    }

    fn set_interval(&mut self, interval: Duration) {
        self.sampler.set_interval(interval);
    }

    fn start_recording(&mut self, path: &Path) -> Result<(), String> {
        self.sampler.start_recording(path).map_err(|e| e.to_string())
    }

    fn stop_recording(&mut self) -> Option<Status> {
        self.sampler.stop_recording()
    }

    fn recording(&self) -> Option<Status> {
        self.sampler.recording()
    }

    fn set_needs(&mut self, needs: Needs) {
        self.sampler.set_needs(needs);
    }
}
