//! One view of all nodes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::node::Node;
use crate::monitor::clock;
use crate::monitor::model::view::{Event, View};

/// Most events that are kept.
const MAX_EVENTS: usize = 512;

/// Puts the nodes' views together.
#[derive(Debug)]
pub struct Assembler {
    max_over_mean: f64,
    events: VecDeque<Event>,
    told: Arc<[Event]>,
}

impl Assembler {
    /// For groups that are judged under this limit.
    #[must_use]
    pub fn new(max_over_mean: f64) -> Self {
        Self { max_over_mean, events: VecDeque::new(), told: Arc::new([]) }
    }

    /// Everything known now.
    pub fn view<'a>(
        &mut self,
        nodes: impl Iterator<Item = &'a mut Node>,
        interval: Duration,
        now: Instant,
    ) -> View {
        let (mono_ns, realtime_ns) = (clock::mono_ns(), clock::realtime_ns());
        let (mut groups, mut notices, mut fleet) = (Vec::new(), Vec::new(), Vec::new());
        let before = self.events.len();
        let mut news = false;
        for node in nodes {
            // Nodes' clocks differ: an event is of the moment at which it became known here.
            let events = node.take_events().into_iter().map(|event| Event { realtime_ns, mono_ns, ..event });
            self.events.extend(events);
            news |= self.events.len() != before;
            let (mut remote, of_node, said) = node.view(interval, now);
            remote.groups = groups.len()..groups.len() + of_node.len();
            groups.extend(of_node.iter().cloned());
            notices.extend(said);
            fleet.push(remote);
        }
        if news {
            self.events.drain(..self.events.len().saturating_sub(MAX_EVENTS));
            self.told = self.events.iter().cloned().collect();
        }
        let nothing = groups
            .is_empty()
            .then(|| "No node has numbers of now: see the first tab for the reasons.".to_owned());
        View {
            realtime_ns,
            mono_ns,
            host: "fleet".to_owned(),
            interval,
            max_over_mean: self.max_over_mean,
            groups,
            notices,
            nothing,
            processes: None,
            gpus: None,
            events: Arc::clone(&self.told),
            fleet: Some(fleet.into()),
        }
    }
}
