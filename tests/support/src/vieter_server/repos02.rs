//! The generation of `/api/repos` (0.2).

use serde_json::{Value, json};

use super::files::{Published, look_up, publish};
use super::list::{List, repos_data};
use super::shared::Shared;
use crate::http::{Content, Reply, Request};

/// Answers one request.
pub(super) fn answer(shared: &Shared, request: &mut Request) -> Reply {
    let path = request.path();
    let reply = match (request.method.as_str(), path.as_str()) {
        ("GET", "/health") => message(200, "Healthy.", json!("")),
        ("GET", "/api/repos") if !shared.allows(request) => unauthorized(),
        ("GET", "/api/repos") => repos(shared),
        ("GET" | "HEAD", path) => match look_up(shared, path) {
            Some(content) => file(content),
            None => not_found(),
        },
        ("POST", path) => match publish_path(path) {
            Some(_) if !shared.allows(request) => unauthorized(),
            Some(repo) => published(publish(shared, repo, request)),
            None => not_found(),
        },
        _ => not_found(),
    };
    close(reply, request.method == "HEAD")
}

/// The repository of `/<repo>/publish`.
pub(super) fn publish_path(path: &str) -> Option<&str> {
    let repo = path.strip_prefix('/')?.strip_suffix("/publish")?;
    (!repo.is_empty() && !repo.contains('/')).then_some(repo)
}

fn repos(shared: &Shared) -> Reply {
    let state = shared.state();
    if let List::Answer(body) = &state.list {
        return Reply::new(200, body.as_str()).header("Content-Type", "application/json");
    }
    match repos_data(&state.list, state.with_schedule) {
        Some(data) => message(200, "", data),
        None => Reply::new(500, ""),
    }
}

fn published(published: Published) -> Reply {
    match published {
        Published::Added { .. } => message(200, "Package added successfully.", json!("")),
        Published::Duplicate => message(400, "File already exists.", json!("")),
        Published::Refused => message(500, "Failed to add package.", json!("")),
        Published::NoLength => Reply::new(411, ""),
    }
}

fn file(content: Content) -> Reply {
    let reply = Reply::new(200, "").header("Content-Type", "application/octet-stream");
    Reply { content, ..reply }
}

fn unauthorized() -> Reply {
    message(401, "Unauthorized.", json!(""))
}

fn not_found() -> Reply {
    Reply::new(404, "404 Not Found").header("Content-Type", "text/plain")
}

fn message(status: u16, message: &str, data: Value) -> Reply {
    let body = json!({"message": message, "data": data}).to_string();
    Reply::new(status, body).header("Content-Type", "application/json")
}

/// The headers every answer has; a HEAD always says that there is nothing.
fn close(reply: Reply, head: bool) -> Reply {
    let length = if head { 0 } else { reply.content.len() };
    reply.header("Content-Length", length.to_string()).header("Server", "VWeb").header("Connection", "close")
}
