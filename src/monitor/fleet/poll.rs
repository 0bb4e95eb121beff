//! The thread that asks all nodes: everybody at once, each answer as it comes, and a view when all have answered or enough
//! time has gone by. Who hangs holds up nobody.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use super::assemble::Assembler;
use super::client::{Client, FetchError};
use super::node::Node;
use super::page::{self, Descs};
use super::{Config, Request};
use crate::monitor::Ticker;
use crate::monitor::model::view::View;

/// How long an answer may take: the interval, but within these bounds.
const LIMITS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));

/// What a question led to.
struct Answer {
    node: usize,
    round: u64,
    client: Client,
    page: Result<String, FetchError>,
    took: Duration,
}

/// Asks until it is told to stop.
pub(super) async fn run(config: Config, mut requests: UnboundedReceiver<Request>, publish: impl Fn(View)) {
    let mut round = Round::new(config);
    let (answers, mut answered) = unbounded_channel();
    publish(round.view());
    let mut ticker = Ticker::new(std::time::Instant::now(), period(round.interval));
    // When the view is due of what has been asked.
    let mut due: Option<Instant> = None;
    loop {
        tokio::select! {
            request = requests.recv() => match request {
                None | Some(Request::Stop) => return,
                Some(Request::Interval(interval)) => {
                    round.interval = interval;
                    ticker.set_interval(period(interval), std::time::Instant::now());
                }
            },
            () = sleep_until(ticker.deadline().into()) => {
                ticker.advance(std::time::Instant::now());
                round.ask(&answers);
                due = Some(Instant::now() + (round.interval / 4).clamp(Duration::from_millis(50), Duration::from_millis(500)));
            }
            Some(answer) = answered.recv() => {
                round.take(answer);
                if due.is_some() && round.open == 0 {
                    due = None;
                    publish(round.view());
                }
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                due = None;
                publish(round.view());
            }
        }
    }
}

/// A little longer than the interval: an exporter gives the same page to who comes back within its own second.
fn period(interval: Duration) -> Duration {
    interval + interval / 64
}

/// All nodes, and who has been asked.
struct Round {
    interval: Duration,
    nodes: Vec<(Node, Option<Client>)>,
    descs: Descs,
    assembler: Assembler,
    /// Number of the last question to all.
    number: u64,
    /// Who has not answered that one.
    open: usize,
}

impl Round {
    fn new(config: Config) -> Self {
        let access = Arc::new(config.access);
        let node = |target| {
            let target = Arc::new(target);
            let client = Client::new(Arc::clone(&target), Arc::clone(&access));
            (Node::new(target, config.thresholds), Some(client))
        };
        Self {
            interval: config.interval,
            nodes: config.targets.into_iter().map(node).collect(),
            descs: Descs::default(),
            assembler: Assembler::new(config.thresholds.max_over_mean),
            number: 0,
            open: 0,
        }
    }

    /// Asks everybody who does not owe an answer.
    fn ask(&mut self, answers: &UnboundedSender<Answer>) {
        (self.number, self.open) = (self.number + 1, 0);
        let (round, limit) = (self.number, self.interval.clamp(LIMITS.0, LIMITS.1));
        for (node, (_, client)) in self.nodes.iter_mut().enumerate() {
            let Some(mut client) = client.take() else { continue };
            self.open += 1;
            let answers = answers.clone();
            tokio::task::spawn_local(async move {
                let begun = Instant::now();
                let page = client.fetch(limit).await;
                // Nobody listens only at the end.
                let _ended = answers.send(Answer { node, round, client, page, took: begun.elapsed() });
            });
        }
    }

    fn take(&mut self, answer: Answer) {
        let Some((node, client)) = self.nodes.get_mut(answer.node) else { return };
        *client = Some(answer.client);
        self.open -= usize::from(answer.round == self.number && self.open > 0);
        let sample = answer
            .page
            .map_err(|error| error.to_string())
            .and_then(|page| page::parse(&page, &mut self.descs).map_err(|error| error.to_string()));
        node.take(sample, answer.took, self.interval, std::time::Instant::now());
    }

    fn view(&mut self) -> View {
        self.assembler.view(
            self.nodes.iter_mut().map(|(node, _)| node),
            self.interval,
            std::time::Instant::now(),
        )
    }
}
