//! A stand-in OpenTelemetry collector: OTLP over HTTP, protobuf.

mod decode;

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use rustix::net::{AddressFamily, SocketType};

use crate::http::{HttpServer, Outcome, Reply, Request};

/// Attributes by name, values as text.
pub type Attributes = BTreeMap<String, String>;

/// What a collector does with what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It takes it.
    Accept,
    /// It answers 500.
    Fail,
    /// It never answers.
    Hang,
    /// Nobody listens on its port.
    Refuse,
}

/// One span that was exported.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// In hexadecimal.
    pub trace_id: String,
    /// In hexadecimal.
    pub span_id: String,
    /// In hexadecimal; empty for a root.
    pub parent_id: String,
    /// What came with `tracestate`.
    pub trace_state: String,
    /// 0 unset, 1 ok, 2 error.
    pub status: i32,
    /// Why, when it failed.
    pub status_message: String,
    /// Attributes of the span.
    pub attributes: Attributes,
    /// Names and attributes of its events.
    pub events: Vec<(String, Attributes)>,
    /// Attributes of the program that made it.
    pub resource: Attributes,
    /// Unix nanoseconds.
    pub start: u64,
    /// Unix nanoseconds.
    pub end: u64,
}

/// One number of a metric that was exported.
#[derive(Debug, Clone)]
pub struct Point {
    /// The name of the metric.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// The value of a sum or gauge, the sum of a histogram.
    pub value: f64,
    /// How many values a histogram has; 1 otherwise.
    pub count: u64,
    /// Attributes of the number.
    pub attributes: Attributes,
}

#[derive(Default)]
struct Received {
    spans: Vec<Span>,
    points: Vec<Point>,
    bodies: Vec<Vec<u8>>,
    problems: Vec<String>,
}

/// A running collector; dropping it stops it.
pub struct Collector {
    port: u16,
    received: Arc<Mutex<Received>>,
    _listening: Listening,
}

/// What holds the port.
enum Listening {
    Server { _server: HttpServer },
    Nobody { _socket: OwnedFd },
}

impl Collector {
    /// One that takes everything.
    pub fn start() -> Self {
        Self::with_mode(Mode::Accept)
    }

    /// One that may be out of order.
    pub fn with_mode(mode: Mode) -> Self {
        let received = Arc::new(Mutex::new(Received::default()));
        if mode == Mode::Refuse {
            let (socket, port) = bound_socket().expect("bind a socket");
            return Self { port, received, _listening: Listening::Nobody { _socket: socket } };
        }
        let shared = received.clone();
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let server = HttpServer::start(local, 0, move |request| answer(&shared, mode, request));
        let server = server.expect("start a collector on 127.0.0.1");
        Self { port: server.port(), received, _listening: Listening::Server { _server: server } }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is set to.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The spans so far, sorted by their start.
    ///
    /// Fails when something came that is no OTLP.
    pub fn spans(&self) -> Vec<Span> {
        let received = self.received();
        assert!(received.problems.is_empty(), "no OTLP: {:?}", received.problems);
        let mut spans = received.spans.clone();
        spans.sort_by_key(|span| (span.start, span.end));
        spans
    }

    /// The spans of this name.
    pub fn spans_named(&self, name: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.name == name).collect()
    }

    /// Waits for `count` spans.
    pub fn wait_for(&self, count: usize, timeout: Duration) -> Vec<Span> {
        let end = Instant::now() + timeout;
        loop {
            let spans = self.spans();
            if spans.len() >= count {
                return spans;
            }
            assert!(Instant::now() < end, "only {} of {count} spans:\n{}", spans.len(), self.tree());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The names of the spans as an indented tree, in the order of their starts.
    pub fn tree(&self) -> String {
        self.tree_with(&[])
    }

    /// The tree with some attributes: `name key=value`, and ` !` for a failed span.
    ///
    /// A span whose parent was not exported is a root.
    pub fn tree_with(&self, attributes: &[&str]) -> String {
        let spans = self.spans();
        let known = |id: &str| spans.iter().any(|span| span.span_id == id);
        let mut text = String::new();
        for root in spans.iter().filter(|span| !known(&span.parent_id)) {
            branch(&spans, root, 0, attributes, &mut text);
        }
        text
    }

    /// The numbers of all metrics so far.
    pub fn metrics(&self) -> Vec<Point> {
        let received = self.received();
        assert!(received.problems.is_empty(), "no OTLP: {:?}", received.problems);
        received.points.clone()
    }

    /// Every body as it came (uncompressed), to be searched for secrets.
    pub fn raw_bodies(&self) -> Vec<Vec<u8>> {
        self.received().bodies.clone()
    }

    /// True when the bytes of `secret` are in something that was exported.
    pub fn contains(&self, secret: &str) -> bool {
        let secret = secret.as_bytes();
        let has = |body: &Vec<u8>| body.windows(secret.len()).any(|part| part == secret);
        self.raw_bodies().iter().any(has)
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        lock(&self.received)
    }
}

fn lock(received: &Mutex<Received>) -> MutexGuard<'_, Received> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A port of 127.0.0.1 that is taken, and where nobody listens.
fn bound_socket() -> rustix::io::Result<(OwnedFd, u16)> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    let address = SocketAddrV4::try_from(rustix::net::getsockname(&socket)?)?;
    Ok((socket, address.port()))
}

fn answer(received: &Mutex<Received>, mode: Mode, request: &mut Request) -> Outcome {
    let body = body(request).unwrap_or_default();
    let path = request.path();
    match mode {
        Mode::Hang => return Outcome::Hang,
        Mode::Fail => return Outcome::Reply(reply(500)),
        Mode::Accept | Mode::Refuse => {}
    }
    let mut received = lock(received);
    let taken = match path.as_str() {
        "/v1/traces" => ExportTraceServiceRequest::decode(&*body)
            .map(|export| received.spans.extend(decode::spans(export))),
        "/v1/metrics" => ExportMetricsServiceRequest::decode(&*body)
            .map(|export| received.points.extend(decode::points(export))),
        _ => {
            received.problems.push(format!("a request for {path}"));
            Ok(())
        }
    };
    received.bodies.push(body);
    match taken {
        Ok(()) => Outcome::Reply(reply(200)),
        Err(error) => {
            received.problems.push(format!("{path}: {error}"));
            Outcome::Reply(reply(400))
        }
    }
}

fn body(request: &mut Request) -> std::io::Result<Vec<u8>> {
    let body = request.body()?;
    if request.header("Content-Encoding") != Some("gzip") {
        return Ok(body);
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&*body).read_to_end(&mut plain)?;
    Ok(plain)
}

/// An empty message of any type has no bytes.
fn reply(status: u16) -> Reply {
    Reply::new(status, "")
        .header("Content-Type", "application/x-protobuf")
        .header("Content-Length", "0")
        .header("Connection", "close")
}

fn branch(spans: &[Span], span: &Span, depth: usize, wanted: &[&str], text: &mut String) {
    text.push_str(&"  ".repeat(depth));
    text.push_str(&span.name);
    for name in wanted {
        if let Some(value) = span.attributes.get(*name) {
            text.push_str(&format!(" {name}={value}"));
        }
    }
    text.push_str(if span.status == 2 { " !\n" } else { "\n" });
    for child in spans.iter().filter(|child| child.parent_id == span.span_id) {
        branch(spans, child, depth + 1, wanted, text);
    }
}
