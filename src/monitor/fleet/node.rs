//! One node: what it last said, how old that is, and what the model makes of it. No I/O and no clock of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::target::{Target, Via};
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
    /// Answers that were newer than the one before.
    reads: u64,
    /// When the last answer came that was one.
    answered: Option<Instant>,
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
            reads: 0,
            answered: None,
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
        // Before it is known to answer: that it did not lately is a time of which nothing is known.
        let is_old = self.is_old(interval, now);
        self.counts[0] += 1;
        (self.took, self.error, self.answered) = (took, None, Some(now));
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
                Some(time) if !is_old => (pace, since) = (Some(time), time),
                Some(_) => {}
                // The clock was set back, or it is another machine: nothing before can be compared with.
                None => self.model = model(&self.target, self.thresholds),
            }
        }
        self.reads += 1;
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
        let rest = event.subject.strip_prefix(name.as_str());
        let subject = if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '/'])) {
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
    ///
    /// An exporter may read at a slow pace of its own, and does so as long as it answers: one that does not is old at once.
    fn is_old(&self, interval: Duration, now: Instant) -> bool {
        let Some(last) = &self.last else { return true };
        let unknown = if self.target.via == Via::Http { SLOWEST } else { Duration::ZERO };
        let pace = last.pace.unwrap_or(unknown).min(SLOWEST);
        let fresh = interval.saturating_mul(3).max(FRESH);
        now.saturating_duration_since(last.at) > fresh.max(pace * 5 / 2) || !self.answers(interval, now)
    }

    fn has_no_group(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.groups.is_empty())
    }

    /// Whether it has answered of late, be it with numbers that it had given before.
    fn answers(&self, interval: Duration, now: Instant) -> bool {
        let fresh = interval.saturating_mul(3).max(FRESH);
        self.answered.is_some_and(|answered| now.saturating_duration_since(answered) <= fresh)
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
            (None, RemoteState::Old) => Some(match &self.target.via {
                Via::Http if self.answers(interval, now) => {
                    "it answers, but has not read its counters since".to_owned()
                }
                Via::Http => "it has not answered since".to_owned(),
                via => format!("{} has brought no line since", via.name()),
            }),
            (None, RemoteState::Live) if self.has_no_group() => {
                nothing.filter(|why| !why.is_empty()).or_else(|| Some("it sees no NIC".to_owned()))
            }
            (None, _) => nothing,
        };
        let mut notices = live.map_or_else(Vec::new, |last| last.notices.clone());
        let sees_nothing = live.is_some_and(|last| last.groups.is_empty());
        if state.is_trouble() || sees_nothing {
            let text = reason.clone().unwrap_or_default();
            notices.push(Notice {
                subject: self.target.name.clone(),
                text: if sees_nothing { text } else { format!("{}: {text}", state.word()) },
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
            reads: self.reads,
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
    fn one_page_and_then_none_is_lost_soon_and_no_rate_is_made_over_it() {
        let (mut node, begin) = (node(), Instant::now());
        node.take(Ok(page(100, [0, 0])), None, SECOND, begin);
        for second in 1..=4 {
            let at = begin + SECOND * second;
            node.take(Err("connection refused".to_owned()), None, SECOND, at);
            let expected = if second <= 3 { RemoteState::Live } else { RemoteState::Lost };
            assert_eq!(node.view(SECOND, at).0.state, expected, "after {second} s");
        }
        node.take(Ok(page(105, [5000, 0])), None, SECOND, begin + 5 * SECOND);
        assert_eq!(rates(&node, begin + 5 * SECOND), [None, None]);
        // One that gives the same numbers again answers, and may be slow.
        let mut slow = self::node();
        let take = |slow: &mut Node, read, at: u32| {
            slow.take(Ok(page(read, [read * 100, 0])), None, SECOND, begin + SECOND * at);
        };
        for second in 0..15 {
            take(&mut slow, 100, second);
            assert_eq!(slow.view(SECOND, begin + SECOND * second).0.state, RemoteState::Live);
        }
        take(&mut slow, 115, 15);
        assert_eq!(rates(&slow, begin + 15 * SECOND), [Some(100.0), Some(0.0)]);
        assert_eq!(slow.view(SECOND, begin + 15 * SECOND).0.reads, 2);
    }

    #[test]
    fn a_node_that_sees_no_nic_says_so() {
        let (mut node, begin) = (node(), Instant::now());
        let empty = parse("railtop_last_read_timestamp_seconds 140\n", &mut Descs::default()).unwrap();
        node.take(Ok(empty), None, SECOND, begin);
        let (view, groups, notices) = node.view(SECOND, begin);
        assert_eq!((view.state, groups.len()), (RemoteState::Live, 0));
        assert!(view.reason.unwrap().contains("sees no RDMA device"));
        assert!(notices[0].text.contains("sees no RDMA device"), "{notices:?}");
    }

    /// A page decides what time it is, so that what is gone from it need never grow old.
    #[test]
    fn names_that_rotate_do_not_pile_up() {
        use std::fmt::Write as _;
        let (mut node, begin) = (node(), Instant::now());
        for round in 0..40 {
            let mut text = format!("railtop_last_read_timestamp_seconds 100.{round:03}\n");
            for n in 0..20 {
                let labels = format!("device=\"r{round}_{n}\",port=\"1\"");
                writeln!(text, "rdma_device_info{{{labels},source=\"sysfs\"}} 1").unwrap();
                writeln!(text, "rdma_port_transmit_bytes_total{{{labels}}} 1").unwrap();
            }
            node.take(Ok(parse(&text, &mut Descs::default()).unwrap()), None, SECOND, begin);
        }
        let (_, groups, _) = node.view(SECOND, begin);
        let names: Vec<&str> =
            groups.iter().flat_map(|group| &group.nics).map(|nic| nic.device.as_str()).collect();
        assert!((200..=276).contains(&names.len()), "{} rows of 800 names", names.len());
        assert!(
            names.contains(&"r39_0") && names.contains(&"r38_0") && !names.contains(&"r0_0"),
            "the latest"
        );
    }

    #[test]
    fn a_silent_child_is_not_said_to_answer() {
        let target = super::super::target::parse("ssh://n1", &Via::Http).unwrap().remove(0);
        let (mut node, begin) = (Node::new(Arc::new(target), Thresholds::default()), Instant::now());
        node.take(Ok(page(100, [0, 0])), None, SECOND, begin);
        let (view, groups, _) = node.view(SECOND, begin + 4 * SECOND);
        assert_eq!((view.state, groups.len()), (RemoteState::Old, 0));
        assert_eq!(view.reason.as_deref(), Some("ssh has brought no line since"));
    }

    #[test]
    fn a_node_whose_name_begins_another_is_named_with_its_events() {
        let node = node();
        let subject = |subject: &str| {
            let event = Event {
                realtime_ns: 0,
                mono_ns: 0,
                kind: crate::monitor::model::view::EventKind::Silent,
                severity: crate::monitor::model::view::Severity::Info,
                subject: subject.to_owned(),
                text: String::new(),
            };
            node.told(&event).subject
        };
        assert_eq!([subject("n10_0"), subject("n1 PE 3")], ["n1 n10_0", "n1 PE 3"]);
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
