//! Trouble made on purpose, and the record of what was asked.

use std::time::{Duration, SystemTime};

use crate::http::{Outcome, Reply, Request};

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The request is read and answered with this status and nothing else.
    Status(u16),
    /// The connection is closed as soon as the headers are read.
    DropConnection,
    /// The request is carried out, but the connection is closed instead of an answer.
    DropAnswer,
    /// The request is carried out, but only half of the answer's content is sent.
    Truncate,
    /// The request is carried out, but only after this time.
    Delay(Duration),
    /// Nothing is ever answered.
    Hang,
}

/// One request as the server saw it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// When its headers had been read.
    pub at: SystemTime,
    /// `GET`, `HEAD`, `POST`.
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    /// Every header in its order, names as they were sent.
    pub headers: Vec<(String, String)>,
    /// How many bytes of the body were read.
    pub body_length: u64,
    /// The status of the answer; `None` when there was none.
    pub status: Option<u16>,
}

impl Recorded {
    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// The target without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// True for this method and a path that contains `part`; see [`on`].
    pub fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.path().contains(part)
    }
}

/// Matches requests of a method whose path contains `part`:
/// `server.fail_next(on("POST", "/publish"), Failure::Status(503), 2)`.
pub fn on(method: &str, part: &str) -> impl Fn(&Recorded) -> bool + Send + 'static {
    let (method, part) = (method.to_string(), part.to_string());
    move |request| request.is(&method, &part)
}

/// Failures that wait for their requests.
#[derive(Default)]
pub(super) struct Faults {
    waiting: Vec<Fault>,
}

struct Fault {
    matches: Box<dyn Fn(&Recorded) -> bool + Send>,
    failure: Failure,
    times: usize,
}

impl Faults {
    pub fn add<M>(&mut self, matches: M, failure: Failure, times: usize)
    where
        M: Fn(&Recorded) -> bool + Send + 'static,
    {
        self.waiting.push(Fault { matches: Box::new(matches), failure, times });
    }

    /// The failure for this request, used up once.
    pub fn take(&mut self, request: &Recorded) -> Option<Failure> {
        let mut waiting = self.waiting.iter_mut();
        let fault = waiting.find(|fault| fault.times > 0 && (fault.matches)(request))?;
        fault.times -= 1;
        Some(fault.failure)
    }

    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}

/// Answers a request with `answer`, spoilt by `failure`.
pub(super) fn spoil<A>(failure: Option<Failure>, request: &mut Request, answer: A) -> Outcome
where
    A: Fn(&mut Request) -> Reply,
{
    match failure {
        None => Outcome::Reply(answer(request)),
        Some(Failure::Status(status)) => {
            let _ = request.copy_body(&mut std::io::sink());
            Outcome::Reply(Reply::new(status, "").header("Content-Length", "0"))
        }
        Some(Failure::DropConnection) => Outcome::Drop,
        Some(Failure::DropAnswer) => {
            answer(request);
            Outcome::Drop
        }
        Some(Failure::Truncate) => {
            let mut reply = answer(request);
            reply.cut_after = Some(reply.content.len() / 2);
            Outcome::Reply(reply)
        }
        Some(Failure::Delay(time)) => {
            std::thread::sleep(time);
            Outcome::Reply(answer(request))
        }
        Some(Failure::Hang) => Outcome::Hang,
    }
}
