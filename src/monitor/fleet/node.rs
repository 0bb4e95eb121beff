//! One node: what it last said, how old that is, and what the model makes of it. No I/O and no clock of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::target::Target;
use crate::monitor::model::Model;
use crate::monitor::model::remote::{RemoteState, RemoteView};
use crate::monitor::model::view::{Event, GroupView, Notice};
use crate::monitor::sample::Sample;
use crate::monitor::thresholds::Thresholds;
use crate::text::printable;

/// Numbers are of now for three intervals, and at least for this long.
const FRESH: Duration = Duration::from_secs(3);
/// The slowest pace of an exporter's reads that is followed; a device's lifespan is 10 s at most.
const SLOWEST: Duration = Duration::from_secs(60);

/// What is known of a node.
#[derive(Debug)]
pub struct Node {
    target: Arc<Target>,
    thresholds: Thresholds,
    model: Model,
    last: Option<Last>,
    /// Why the last answer was none.
    error: Option<String>,
    counts: [u64; 2],
    took: Option<Duration>,
    /// What happened, until it is taken.
    events: Vec<Event>,
}

/// The newest numbers.
#[derive(Debug)]
struct Last {
    /// When they were read, on the node's clock.
    read_ns: u64,
    /// When they came.
    at: Instant,
    /// How long after those before they were read.
    pace: Option<Duration>,
    groups: Vec<GroupView>,
    notices: Vec<Notice>,
    nothing: Option<String>,
}

impl Node {
    /// One that has not been asked.
    #[must_use]
    pub fn new(target: Arc<Target>, thresholds: Thresholds) -> Self {
        let model = model(&target, thresholds);
        Self {
            target,
            thresholds,
            model,
            last: None,
            error: None,
            counts: [0, 0],
            took: None,
            events: Vec::new(),
        }
    }

    /// Takes an answer, or the reason why there is none; `took` is how long it took, where it was asked for. `interval` is how
    /// often that is.
    pub fn take(
        &mut self,
        answer: Result<Sample, String>,
        took: Option<Duration>,
        interval: Duration,
        now: Instant,
    ) {
        let sample = match answer {
            Ok(sample) => sample,
            Err(why) => {
                self.counts[1] += 1;
                self.error = Some(printable(&why));
                return;
            }
        };
        self.counts[0] += 1;
        (self.took, self.error) = (took, None);
        let mut pace = None;
        let mut since = interval;
        if let Some(last) = &self.last {
            // An exporter gives the same read to all who ask within a second or so.
            if last.read_ns == sample.mono_ns {
                return;
            }
            match sample.mono_ns.checked_sub(last.read_ns).map(Duration::from_nanos) {
                // The page's own time, so that it matters neither when it was asked nor how long the answer took. After
                // a time of which nothing is known the model finds a gap, and makes no rate over it.
                Some(time) if !self.is_old(interval, now) => (pace, since) = (Some(time), time),
                Some(_) => {}
                // The clock was set back, or it is another machine: nothing before can be compared with.
                None => self.model = model(&self.target, self.thresholds),
            }
        }
        let derived = self.model.update(&sample, since.max(Duration::from_millis(1)));
        let news = derived.view.events.iter().filter(|event| event.mono_ns == sample.mono_ns);
        let told: Vec<Event> = news.map(|event| self.told(event)).collect();
        self.events.extend(told);
        let mut groups = derived.view.groups;
        for group in &mut groups {
            self.own(group);
        }
        let notices = derived.view.notices.into_iter().map(|notice| self.notice(&notice)).collect();
        let nothing = derived.view.nothing;
        self.last = Some(Last { read_ns: sample.mono_ns, at: now, pace, groups, notices, nothing });
    }

    /// Makes keys differ from those of other nodes.
    fn own(&self, group: &mut GroupView) {
        let name = &self.target.name;
        group.key = format!("{name}|{}", group.key);
        for nic in &mut group.nics {
            nic.key = format!("{name}|{}", nic.key);
        }
        // Exporters do not tell it.
        group.pid = None;
    }

    fn told(&self, event: &Event) -> Event {
        let name = &self.target.name;
        let subject = if event.subject.starts_with(name.as_str()) {
            event.subject.clone()
        } else {
            format!("{name} {}", event.subject)
        };
        Event { subject, ..event.clone() }
    }

    fn notice(&self, notice: &Notice) -> Notice {
        Notice { subject: format!("{} {}", self.target.name, notice.subject), text: notice.text.clone() }
    }

    /// Whether the newest numbers are too old to be of now.
    fn is_old(&self, interval: Duration, now: Instant) -> bool {
        let Some(last) = &self.last else { return true };
        let pace = last.pace.unwrap_or(SLOWEST).min(SLOWEST);
        now.saturating_duration_since(last.at) > (interval * 3).max(FRESH).max(pace * 5 / 2)
    }

    /// How it is, with the groups it has as long as their numbers are of now, and what else there is to say.
    pub fn view(&self, interval: Duration, now: Instant) -> (RemoteView, &[GroupView], Vec<Notice>) {
        let old = self.is_old(interval, now);
        let state = match (&self.last, &self.error) {
            (None, None) => RemoteState::Asked,
            (None, Some(_)) => RemoteState::Never,
            (Some(_), _) if !old => RemoteState::Live,
            (Some(_), None) => RemoteState::Old,
            (Some(_), Some(_)) => RemoteState::Lost,
        };
        let live = self.last.as_ref().filter(|_| state == RemoteState::Live);
        let nothing = live.and_then(|last| last.nothing.clone());
        let reason = match (&self.error, state) {
            (Some(error), _) => Some(error.clone()),
            (None, RemoteState::Old) => Some("it answers, but has not read its counters since".to_owned()),
            (None, _) => nothing,
        };
        let mut notices = live.map_or_else(Vec::new, |last| last.notices.clone());
        if state.is_trouble() {
            let text = reason.clone().unwrap_or_default();
            notices.push(Notice {
                subject: self.target.name.clone(),
                text: format!("{}: {text}", state.word()),
            });
        }
        let view = RemoteView {
            name: self.target.name.clone(),
            place: self.target.to_string(),
            state,
            reason,
            age: self.last.as_ref().map(|last| now.saturating_duration_since(last.at)),
            took: self.took,
            counts: self.counts,
            groups: 0..0,
        };
        (view, live.map_or(&[], |last| &last.groups), notices)
    }

    /// What has happened since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

fn model(target: &Target, thresholds: Thresholds) -> Model {
    let mut model = Model::new(target.name.clone());
    model.set_thresholds(thresholds);
    model
}

#[cfg(test)]
mod tests {
    use super::super::page::{Descs, parse};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A page of two NICs at a second, with what they have sent by then.
    fn page(second: u64, sent: [u64; 2]) -> Sample {
        let mut text = format!("railtop_last_read_timestamp_seconds {second}\n");
        for (n, bytes) in sent.iter().enumerate() {
            let labels = format!("device=\"m{n}\",port=\"1\"");
            text.extend([
                format!("rdma_device_info{{{labels},driver=\"mlx5_core\",source=\"sysfs\"}} 1\n"),
                format!("rdma_port_transmit_bytes_total{{{labels}}} {bytes}\n"),
                format!("rdma_port_receive_bytes_total{{{labels}}} 0\n"),
            ]);
        }
        parse(&text, &mut Descs::default()).unwrap()
    }

    fn node() -> Node {
        let target = super::super::target::parse("n1", &super::super::target::Via::Http).unwrap().remove(0);
        Node::new(Arc::new(target), Thresholds::default())
    }

    fn rates(node: &Node, now: Instant) -> Vec<Option<f64>> {
        let (_, groups, _) = node.view(SECOND, now);
        groups.iter().flat_map(|group| &group.nics).map(|nic| nic.tx.bytes_per_s).collect()
    }

    #[test]
    fn rates_are_of_the_pages_own_time() {
        let (mut node, begin) = (node(), Instant::now());
        assert_eq!(node.view(SECOND, begin).0.state, RemoteState::Asked);
        node.take(Ok(page(100, [0, 0])), None, SECOND, begin);
        assert_eq!(rates(&node, begin), [None, None], "missing is not zero");
        // Asked after one second, but read two seconds after.
        node.take(Ok(page(102, [4000, 1000])), None, SECOND, begin + SECOND);
        assert_eq!(rates(&node, begin + SECOND), [Some(2000.0), Some(500.0)]);
        // The same page once more says nothing new, and takes nothing away.
        node.take(Ok(page(102, [4000, 1000])), None, SECOND, begin + 2 * SECOND);
        assert_eq!(rates(&node, begin + 2 * SECOND), [Some(2000.0), Some(500.0)]);
        // A counter that began again has no rate; the other has one.
        node.take(Ok(page(103, [10, 2000])), None, SECOND, begin + 3 * SECOND);
        assert_eq!(rates(&node, begin + 3 * SECOND), [None, Some(1000.0)]);
        // The clock was set back: no rate, and then rates again.
        node.take(Ok(page(50, [20, 3000])), None, SECOND, begin + 4 * SECOND);
        assert_eq!(rates(&node, begin + 4 * SECOND), [None, None]);
        node.take(Ok(page(51, [30, 3000])), None, SECOND, begin + 5 * SECOND);
        assert_eq!(rates(&node, begin + 5 * SECOND), [Some(10.0), Some(0.0)], "zero is a number");
    }

    #[test]
    fn a_node_that_does_not_answer_is_lost_and_has_no_numbers() {
        let (mut node, begin) = (node(), Instant::now());
        let fails =
            |node: &mut Node, at| node.take(Err("connection\u{1b} refused".to_owned()), None, SECOND, at);
        fails(&mut node, begin);
        let (view, groups, notices) = node.view(SECOND, begin);
        assert_eq!((view.state, groups.len()), (RemoteState::Never, 0));
        assert_eq!(view.reason.as_deref(), Some("connection\u{fffd} refused"));
        assert_eq!(notices.len(), 1);
        for second in 0..3 {
            node.take(
                Ok(page(100 + second, [second * 100, 0])),
                None,
                SECOND,
                begin + SECOND * u32::try_from(second).unwrap(),
            );
        }
        let last = begin + 2 * SECOND;
        fails(&mut node, last + SECOND);
        assert_eq!(node.view(SECOND, last + SECOND).0.state, RemoteState::Live, "one answer may be lost");
        let after = last + 4 * SECOND;
        let (view, groups, _) = node.view(SECOND, after);
        assert_eq!((view.state, groups.len(), view.age), (RemoteState::Lost, 0, Some(4 * SECOND)));
        // It is back: no rate over the time of which nothing is known.
        node.take(Ok(page(110, [9000, 0])), None, SECOND, last + 8 * SECOND);
        assert_eq!(rates(&node, last + 8 * SECOND), [None, None]);
        assert_eq!(node.view(SECOND, last + 8 * SECOND).0.counts, [4, 2]);
    }

    #[test]
    fn numbers_that_do_not_change_grow_old_though_it_answers() {
        let (mut node, begin) = (node(), Instant::now());
        for second in 0..10 {
            node.take(
                Ok(page(100 + second.min(1), [0, 0])),
                None,
                SECOND,
                begin + SECOND * u32::try_from(second).unwrap(),
            );
        }
        let (view, groups, _) = node.view(SECOND, begin + 9 * SECOND);
        assert_eq!((view.state, groups.len()), (RemoteState::Old, 0));
        assert!(view.reason.unwrap().contains("has not read its counters"));
    }
}
