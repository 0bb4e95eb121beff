//! The thread that asks all nodes: everybody at once, each answer as it comes, and a view when all have answered or enough
//! time has gone by. Who hangs holds up nobody.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::assemble::Assembler;
use super::client::{Client, FetchError};
use super::node::Node;
use super::page::{self, Descs};
use super::process::{self, Reaper};
use super::select::Select;
use super::target::{Target, Via};
use super::{Config, Request};
use crate::monitor::Ticker;
use crate::monitor::model::view::View;
use crate::monitor::sample::Sample;

/// How long an answer may take: the interval, but within these bounds.
const LIMITS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));

/// What has come from a node.
enum News {
    /// An exporter was asked.
    Answer(Box<Answer>),
    /// A child process has told of a tick, or why it does not.
    Told(usize, Box<Result<Sample, String>>),
}

/// What a question to an exporter led to.
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
    let reaper = Reaper::default();
    let mut children = round.listen(&answers, &reaper);
    let mut ticker = Ticker::new(std::time::Instant::now(), period(round.interval));
    // When the view is due of what has been asked.
    let mut due: Option<Instant> = None;
    loop {
        tokio::select! {
            request = requests.recv() => match request {
                None | Some(Request::Stop) => {
                    // With the tasks go the children.
                    children.shutdown().await;
                    return reaper.wait().await;
                }
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
            Some(news) = answered.recv() => {
                round.take(news);
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
    /// With a client where there is an exporter that does not owe an answer.
    nodes: Vec<(Node, Option<Client>)>,
    /// Those that child processes tell of.
    others: Vec<(usize, Arc<Target>)>,
    descs: Rc<RefCell<Descs>>,
    select: Select,
    assembler: Assembler,
    /// Number of the last question to all.
    number: u64,
    /// Who has not answered that one.
    open: usize,
}

impl Round {
    fn new(config: Config) -> Self {
        let access = Arc::new(config.access);
        let targets: Vec<Arc<Target>> = config.targets.into_iter().map(Arc::new).collect();
        let by_http = |target: &Target| target.via == Via::Http;
        let node = |target: &Arc<Target>| {
            let client = by_http(target).then(|| Client::new(Arc::clone(target), Arc::clone(&access)));
            (Node::new(Arc::clone(target), config.thresholds), client)
        };
        Self {
            interval: config.interval,
            nodes: targets.iter().map(node).collect(),
            others: targets.iter().cloned().enumerate().filter(|(_, target)| !by_http(target)).collect(),
            descs: Rc::default(),
            select: config.select,
            assembler: Assembler::new(config.thresholds.max_over_mean),
            number: 0,
            open: 0,
        }
    }

    /// Starts the child processes; dropped, what comes back ends them.
    fn listen(&self, answers: &UnboundedSender<News>, reaper: &Reaper) -> JoinSet<()> {
        let mut children = JoinSet::new();
        for (node, target) in self.others.clone() {
            let (answers, reaper, descs) = (answers.clone(), reaper.clone(), Rc::clone(&self.descs));
            let interval = self.interval;
            children.spawn_local(async move {
                let tell = |told| {
                    // Nobody listens only at the end.
                    let _ended = answers.send(News::Told(node, Box::new(told)));
                };
                process::run(&target, interval, reaper, descs, tell).await;
            });
        }
        children
    }

    /// Asks everybody who does not owe an answer.
    fn ask(&mut self, answers: &UnboundedSender<News>) {
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
                let answer = Answer { node, round, client, page, took: begun.elapsed() };
                let _ended = answers.send(News::Answer(Box::new(answer)));
            });
        }
    }

    fn take(&mut self, news: News) {
        let now = std::time::Instant::now();
        match news {
            News::Told(at, told) => {
                if let Some((node, _)) = self.nodes.get_mut(at) {
                    let mut told = *told;
                    if let Ok(sample) = &mut told {
                        self.select.apply(sample);
                    }
                    node.take(told, None, self.interval, now);
                }
            }
            News::Answer(answer) => {
                let Some((node, client)) = self.nodes.get_mut(answer.node) else { return };
                *client = Some(answer.client);
                self.open -= usize::from(answer.round == self.number && self.open > 0);
                let mut sample = answer.page.map_err(|error| error.to_string()).and_then(|page| {
                    page::parse(&page, &mut self.descs.borrow_mut()).map_err(|error| error.to_string())
                });
                if let Ok(sample) = &mut sample {
                    self.select.apply(sample);
                }
                node.take(sample, Some(answer.took), self.interval, now);
            }
        }
    }

    fn view(&mut self) -> View {
        self.assembler.view(
            self.nodes.iter_mut().map(|(node, _)| node),
            self.interval,
            std::time::Instant::now(),
        )
    }
}
