//! What is answered to a request.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::oneshot;

use super::Scrape;
use super::auth::{Auth, Verdict};
use super::connections::Guard;
use super::stats::Stats;
use crate::monitor::export::accept::negotiate;

const HELP: &str = "railtop exports the traffic of this machine's RDMA NICs.\n\n\
    /metrics  for Prometheus: OpenMetrics 1.0 or its text format, as the Accept header asks\n\
    /healthz  whether the server answers, whatever the counters do\n";

/// The longest `Accept` that is looked at.
const MAX_ACCEPT: usize = 4096;

/// Answers requests.
pub(super) struct Answers {
    ask: Box<dyn Fn(Scrape) + Send + Sync>,
    auth: Option<Arc<Auth>>,
    stats: Arc<Stats>,
}

type Answer = Response<Full<Bytes>>;

impl Answers {
    pub(super) fn new(ask: Box<dyn Fn(Scrape) + Send + Sync>, auth: Option<Auth>, stats: Arc<Stats>) -> Self {
        Self { ask, auth: auth.map(Arc::new), stats }
    }

    /// The answer, counted.
    pub(super) async fn to(&self, request: &Request<Incoming>, guard: &Guard) -> Answer {
        let mut answer = self.uncounted(request, guard).await;
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        self.stats.answered(answer.status().as_u16());
        answer
    }

    async fn uncounted(&self, request: &Request<Incoming>, guard: &Guard) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return answer;
        }
        let path = request.uri().path();
        // Says nothing that is worth a password, and what asks for it seldom has one.
        if path == "/healthz" {
            return plain(StatusCode::OK, "ok\n");
        }
        if let Some(auth) = &self.auth {
            let given = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
            guard.set_waits(true);
            let verdict = Auth::judge(auth, given.unwrap_or_default()).await;
            guard.set_waits(false);
            match verdict {
                Verdict::Allowed => {}
                Verdict::Denied => return unknown(),
                Verdict::Busy => return busy(),
            }
        }
        match path {
            "/" => plain(StatusCode::OK, HELP),
            "/metrics" => self.metrics(request, guard).await,
            _ => plain(StatusCode::NOT_FOUND, "there are /, /metrics and /healthz\n"),
        }
    }

    async fn metrics(&self, request: &Request<Incoming>, guard: &Guard) -> Answer {
        let fields = request.headers().get_all(ACCEPT).iter().filter_map(|v| v.to_str().ok());
        let mut accept = fields.collect::<Vec<_>>().join(",");
        accept.truncate(MAX_ACCEPT);
        let format = negotiate(&accept);
        let (answer, page) = oneshot::channel();
        guard.set_waits(true);
        (self.ask)(Scrape { format, answer });
        let page = page.await;
        guard.set_waits(false);
        match page {
            Ok(page) => with_type(Response::new(Full::new(page)), format.content_type()),
            Err(_gone) => plain(StatusCode::SERVICE_UNAVAILABLE, "the exporter is ending\n"),
        }
    }
}

fn unknown() -> Answer {
    let mut answer = last(plain(StatusCode::UNAUTHORIZED, "who are you?\n"));
    let realm = HeaderValue::from_static("Basic realm=\"railtop\", charset=\"UTF-8\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, realm);
    answer
}

fn busy() -> Answer {
    let mut answer =
        last(plain(StatusCode::SERVICE_UNAVAILABLE, "too many passwords to look at, come again\n"));
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

/// Closes the connection after it: who was not let in is not to keep one by asking again and again.
fn last(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn plain(code: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = code;
    with_type(answer, "text/plain; charset=utf-8")
}

fn with_type(mut answer: Answer, kind: &'static str) -> Answer {
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
