//! A small blocking HTTP/1.1 server for the stand-ins: one thread a connection, one request a
//! connection, and every header on the wire is one that the handler asked for.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long an answered client may go on sending before its connection is closed.
const LINGER: Duration = Duration::from_secs(5);

/// A request whose body has not been read yet.
pub(crate) struct Request {
    pub method: String,
    /// Path and query as they were sent.
    pub target: String,
    pub headers: Vec<(String, String)>,
    /// Bytes of the body that were read so far.
    pub body_read: u64,
    reader: BufReader<TcpStream>,
}

impl Request {
    /// Reads the request line and the headers; `None` when they are not HTTP.
    fn read(stream: TcpStream) -> io::Result<Option<Self>> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let (Some(method), Some(target), Some(_)) = (words.next(), words.next(), words.next()) else {
            return Ok(None);
        };
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            match header.trim_end().split_once(':') {
                Some((name, value)) => headers.push((name.to_string(), value.trim().to_string())),
                None if header.trim_end().is_empty() => break,
                None => return Ok(None),
            }
        }
        let (method, target) = (method.to_string(), target.to_string());
        Ok(Some(Self { method, target, headers, body_read: 0, reader }))
    }

    /// The path, percent-decoded, without the query.
    pub fn path(&self) -> String {
        percent_decode(self.target.split('?').next().unwrap_or_default())
    }

    /// The value of a query parameter.
    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (_, value) = pairs.find(|(key, _)| percent_decode(key) == name)?;
        Some(percent_decode(&value.replace('+', " ")))
    }

    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// `Content-Length`; `None` when it is absent, no number, or the body is chunked.
    pub fn content_length(&self) -> Option<u64> {
        if self.header("Transfer-Encoding").is_some() {
            return None;
        }
        self.header("Content-Length")?.parse().ok()
    }

    /// Copies the body to `sink`, until `Content-Length` or until the client sends no more.
    pub fn copy_body(&mut self, sink: &mut impl Write) -> io::Result<u64> {
        let left = self.content_length().unwrap_or(0).saturating_sub(self.body_read);
        let copied = io::copy(&mut (&mut self.reader).take(left), sink)?;
        self.body_read += copied;
        Ok(copied)
    }

    /// The whole body.
    pub fn body(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.copy_body(&mut bytes)?;
        Ok(bytes)
    }
}

/// `%41` to `A`; what is no valid escape stays as it is.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// What follows the headers of a reply.
pub(crate) enum Content {
    Bytes(Vec<u8>),
    /// So many bytes of a file from its current position on.
    File(File, u64),
}

impl Content {
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, length) => *length,
        }
    }
}

/// An answer, exactly as it goes out; the content is left out when the request was a HEAD.
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub content: Content,
    /// Send only so many bytes of the content, then close.
    pub cut_after: Option<u64>,
}

impl Reply {
    pub fn new(status: u16, content: impl Into<Vec<u8>>) -> Self {
        let content = Content::Bytes(content.into());
        Self { status, headers: Vec::new(), content, cut_after: None }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn send(self, stream: &mut TcpStream, head_only: bool) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        if head_only {
            return Ok(());
        }
        let length = self.cut_after.unwrap_or(u64::MAX).min(self.content.len());
        match self.content {
            Content::Bytes(bytes) => stream.write_all(&bytes[..length as usize]),
            Content::File(file, _) => io::copy(&mut file.take(length), stream).map(drop),
        }
    }
}

/// What to do with a connection once its request has been looked at.
pub(crate) enum Outcome {
    Reply(Reply),
    /// Close it without a word.
    Drop,
    /// Say nothing until the client goes away or the server is stopped.
    Hang,
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        411 => "Length Required",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}

/// Counts the requests a server is busy with at one moment, and the most it ever was.
#[derive(Default)]
struct Load {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Load {
    fn enter(&self) -> Busy<'_> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
        Busy(self)
    }
}

/// One request that is being answered.
struct Busy<'a>(&'a Load);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A running server; dropping it closes the port.
pub(crate) struct HttpServer {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    load: Arc<Load>,
    acceptor: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Listens on `ip` (port 0: any free one) and hands every request to `handler`.
    pub fn start<H>(ip: IpAddr, port: u16, handler: H) -> io::Result<Self>
    where
        H: Fn(&mut Request) -> Outcome + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((ip, port))?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let load = Arc::new(Load::default());
        let handler = Arc::new(handler);
        let (stop, counter) = (stopping.clone(), load.clone());
        let acceptor = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, stop, load) = (handler.clone(), stop.clone(), counter.clone());
                thread::spawn(move || {
                    // A client that goes away in the middle is its own business.
                    let _ = converse(stream, &*handler, &stop, &load);
                });
            }
        });
        Ok(Self { address, stopping, load, acceptor: Some(acceptor) })
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The most requests that were being worked on at the same time, uploads included; an answer
    /// on its way does not count.
    pub fn peak_requests(&self) -> usize {
        self.load.peak.load(Ordering::SeqCst)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor up, so that it sees the flag.
        let _ = TcpStream::connect(("127.0.0.1", self.address.port()));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn converse<H>(stream: TcpStream, handler: &H, stop: &AtomicBool, load: &Load) -> io::Result<()>
where
    H: Fn(&mut Request) -> Outcome,
{
    let mut output = stream.try_clone()?;
    let Some(mut request) = Request::read(stream)? else {
        return Ok(());
    };
    let busy = load.enter();
    match handler(&mut request) {
        Outcome::Reply(reply) => {
            // Before the client has the answer, after which it may well ask again.
            drop(busy);
            reply.send(&mut output, request.method == "HEAD")?;
            output.shutdown(Shutdown::Write)?;
            linger(&mut request.reader)
        }
        Outcome::Drop => Ok(()),
        Outcome::Hang => hang(&mut request.reader, stop),
    }
}

/// Reads what the client still sends, so that closing does not destroy the answer on its way.
fn linger(reader: &mut BufReader<TcpStream>) -> io::Result<()> {
    reader.get_ref().set_read_timeout(Some(LINGER))?;
    let end = Instant::now() + LINGER;
    let mut buffer = [0; 16 * 1024];
    while Instant::now() < end && reader.read(&mut buffer)? > 0 {}
    Ok(())
}

fn hang(reader: &mut BufReader<TcpStream>, stop: &AtomicBool) -> io::Result<()> {
    reader.get_ref().set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut buffer = [0; 16 * 1024];
    while !stop.load(Ordering::SeqCst) {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
