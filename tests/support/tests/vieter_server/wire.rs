//! A client that hides nothing.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::Value;
use vieter_test_support::vieter_server::VieterServer;

/// An answer as it came over the wire.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// Sends `bytes`, ends the sending, and reads all that comes; `None` when nothing does.
pub fn raw(server: &VieterServer, bytes: &[u8]) -> Option<Answer> {
    let address = server.url().replace("http://", "");
    let mut stream = TcpStream::connect(address).expect("connect");
    // The server may have answered and closed before it read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received);
    let end = received.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(received[..end].to_vec()).expect("headers are text");
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Some(Answer { status, headers, body: received[end + 4..].to_vec() })
}

/// A request with some headers (each ends in `\r\n`) and a body.
pub fn send(server: &VieterServer, line: &str, headers: &str, body: &[u8]) -> Answer {
    let head = format!("{line} HTTP/1.1\r\nHost: stand-in\r\n{headers}\r\n");
    raw(server, &[head.as_bytes(), body].concat()).expect("an answer")
}

pub fn get(server: &VieterServer, path: &str) -> Answer {
    send(server, &format!("GET {path}"), "", b"")
}

pub fn head(server: &VieterServer, path: &str) -> Answer {
    send(server, &format!("HEAD {path}"), "", b"")
}

/// A GET with the key.
pub fn get_with_key(server: &VieterServer, path: &str) -> Answer {
    send(server, &format!("GET {path}"), &key(server), b"")
}

pub fn key(server: &VieterServer) -> String {
    format!("X-Api-Key: {}\r\n", server.api_key())
}

/// An upload as it should be.
pub fn publish(server: &VieterServer, repo: &str, archive: &[u8]) -> Answer {
    publish_with_length(server, repo, archive, archive.len())
}

pub fn publish_with_length(server: &VieterServer, repo: &str, archive: &[u8], length: usize) -> Answer {
    let headers = format!("{}Content-Length: {length}\r\n", key(server));
    send(server, &format!("POST /{repo}/publish"), &headers, archive)
}
