//! The generation of `/api/v1` (0.4 to 0.6).

use std::io::{Seek, SeekFrom};

use serde_json::{Value, json};

use super::files::{Published, look_up, publish};
use super::list::{List, v1_page};
use super::repos02::publish_path;
use super::shared::Shared;
use crate::http::{Content, Reply, Request};

/// One build log a client has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Given by the server, from 1.
    pub id: usize,
    /// The target it belongs to.
    pub target_id: usize,
    /// Unix seconds.
    pub start_time: i64,
    /// Unix seconds.
    pub end_time: i64,
    /// The architecture that was built.
    pub arch: String,
    /// The exit code of the build.
    pub exit_code: i64,
    /// The text; empty when it came without `Content-Length`.
    pub content: String,
}

impl Log {
    fn to_json(&self) -> Value {
        json!({
            "id": self.id, "target_id": self.target_id, "start_time": self.start_time,
            "end_time": self.end_time, "arch": self.arch, "exit_code": self.exit_code,
        })
    }
}

/// Answers one request.
pub(super) fn answer(shared: &Shared, request: &mut Request) -> Reply {
    let path = request.path();
    let reply = match (request.method.as_str(), path.as_str()) {
        ("GET", "/health") => message(200, "Healthy.", json!("")),
        (_, path) if path.starts_with("/api/v1/") && !shared.allows(request) => unauthorized(),
        ("GET", "/api/v1/targets") => targets(shared, request),
        ("GET", "/api/v1/logs") => {
            let logs: Vec<Value> = shared.state().logs.iter().map(Log::to_json).collect();
            message(200, "", json!(v1_page(&logs, false, |name| request.query(name))))
        }
        ("POST", "/api/v1/logs") => add_log(shared, request).unwrap_or_else(|reply| reply),
        ("GET", path) if path.starts_with("/api/v1/logs/") => log(shared, path).unwrap_or_else(not_found),
        ("GET" | "HEAD", path) => match look_up(shared, path) {
            Some(content) => file(content, request.header("Range")),
            None => not_found(),
        },
        ("POST", path) => match publish_path(path) {
            Some(_) if !shared.allows(request) => unauthorized(),
            Some("api") => Reply::new(400, ""),
            Some(repo) => published(publish(shared, repo, request)),
            None => not_found(),
        },
        _ => not_found(),
    };
    reply.header("Server", "Vieter").header("Connection", "close")
}

fn targets(shared: &Shared, request: &Request) -> Reply {
    match &shared.state().list {
        List::Entries(entries) => {
            let filters = shared.generation.minor() >= 6;
            message(200, "", json!(v1_page(entries, filters, |name| request.query(name))))
        }
        List::Answer(body) => Reply::new(200, body.as_str()).header("Content-Type", "application/json"),
        List::ReposFile(_) => Reply::new(500, ""),
    }
}

fn published(published: Published) -> Reply {
    match published {
        Published::Added { name, version, arches } => {
            message(200, "", json!({"name": name, "version": version, "archs": arches}))
        }
        Published::Duplicate => Reply::new(400, ""),
        Published::Refused => Reply::new(500, ""),
        Published::NoLength => Reply::new(411, ""),
    }
}

/// `POST /api/v1/logs`; the error is the answer to a request that lacks something.
fn add_log(shared: &Shared, request: &mut Request) -> Result<Reply, Reply> {
    let refused = |text| message(400, text, json!(""));
    let time = |name| request.query(name).and_then(|text| text.parse().ok());
    let start_time = time("startTime").ok_or_else(|| refused("Invalid or missing start time."))?;
    let end_time = time("endTime").ok_or_else(|| refused("Invalid or missing end time."))?;
    let exit_code = request.query("exitCode").ok_or_else(|| refused("Missing exit code."))?;
    let arch = request.query("arch").ok_or_else(|| refused("Missing parameter 'arch'."))?;
    let target = request.query("target").and_then(|text| text.parse().ok());
    let target_id = target.filter(|id| is_target(shared, *id)).ok_or_else(|| refused("Unknown target."))?;
    let has_length = request.content_length().is_some();
    let content = String::from_utf8_lossy(&request.body().unwrap_or_default()).into_owned();
    let exit_code = exit_code.parse().unwrap_or(0);
    let logs = &mut shared.state().logs;
    let id = logs.len() + 1;
    logs.push(Log { id, target_id, start_time, end_time, arch, exit_code, content });
    Ok(if has_length { message(200, "", json!(id)) } else { Reply::new(411, "") })
}

fn is_target(shared: &Shared, id: usize) -> bool {
    match &shared.state().list {
        List::Entries(entries) => entries.iter().any(|entry| entry["id"] == id),
        List::Answer(_) | List::ReposFile(_) => true,
    }
}

/// `/api/v1/logs/<id>` and `/api/v1/logs/<id>/content`.
fn log(shared: &Shared, path: &str) -> Option<Reply> {
    let rest = path.strip_prefix("/api/v1/logs/")?;
    let (id, content) = match rest.strip_suffix("/content") {
        Some(id) => (id, true),
        None => (rest, false),
    };
    let state = shared.state();
    let log = state.logs.iter().find(|log| log.id.to_string() == id)?;
    Some(if content { text(200, &log.content) } else { message(200, "", log.to_json()) })
}

/// A file, or the end of it that a range asks for.
fn file(mut content: Content, range: Option<&str>) -> Reply {
    let length = content.len();
    let reply = Reply::new(200, "")
        .header("Content-Type", "application/octet-stream")
        .header("Accept-Ranges", "bytes");
    let start = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let reply = match start {
        Some(start) if start >= length => {
            return Reply { status: 416, ..reply };
        }
        Some(start) => {
            content = from(content, start);
            let range = format!("bytes {start}-{}/{length}", length - 1);
            Reply { status: 206, ..reply }.header("Content-Range", range)
        }
        None => reply,
    };
    let reply = reply.header("Content-Length", content.len().to_string());
    Reply { content, ..reply }
}

fn from(content: Content, start: u64) -> Content {
    match content {
        Content::Bytes(mut bytes) => Content::Bytes(bytes.split_off(start as usize)),
        Content::File(mut file, length) => {
            // A seek in an open regular file to a place inside it does not fail.
            let _ = file.seek(SeekFrom::Start(start));
            Content::File(file, length - start)
        }
    }
}

fn unauthorized() -> Reply {
    text(401, "401 Unauthorized")
}

fn not_found() -> Reply {
    text(404, "404 Not Found")
}

fn text(status: u16, text: &str) -> Reply {
    Reply::new(status, text)
        .header("Content-Type", "text/plain")
        .header("Content-Length", text.len().to_string())
}

fn message(status: u16, message: &str, data: Value) -> Reply {
    let body = json!({"message": message, "data": data}).to_string();
    Reply::new(status, body).header("Content-Type", "application/json")
}
