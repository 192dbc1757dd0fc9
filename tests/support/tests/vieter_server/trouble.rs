//! The record of requests, and trouble on demand.

use std::time::{Duration, Instant};

use serde_json::json;
use vieter_test_support::packages::{Compression, archive};
use vieter_test_support::vieter_server::{Failure, Generation, VieterServer, on};

use crate::wire::{get, get_with_key, head, key, publish, raw};

fn start() -> VieterServer {
    VieterServer::start(Generation::V1 { minor: 6 })
}

fn package() -> Vec<u8> {
    archive("tiny", "1.0-1", "x86_64", Compression::Zstd)
}

#[test]
fn requests_are_recorded() {
    let server = start();
    publish(&server, "repo", &package());
    head(&server, "/repo/x86_64/tiny-1.0-1?query=1");
    let requests = server.requests();
    let first = &requests[0];
    assert_eq!((first.method.as_str(), first.target.as_str()), ("POST", "/repo/publish"));
    assert_eq!((first.body_length, first.status), (package().len() as u64, Some(200)));
    assert_eq!(first.header("x-api-key"), Some(server.api_key()));
    assert_eq!(requests[1].path(), "/repo/x86_64/tiny-1.0-1");
    assert_eq!(server.requests_of("HEAD", "/repo/").len(), 1);
    assert_eq!(server.peak_requests(), 1);
}

#[test]
fn a_status_comes_as_often_as_asked_for() {
    let server = start();
    server.fail_next(on("POST", "/publish"), Failure::Status(503), 2);
    assert_eq!(get(&server, "/health").status, 200);
    let statuses = [(); 3].map(|()| publish(&server, "repo", &package()).status);
    assert_eq!(statuses, [503, 503, 200]);
}

#[test]
fn failures_of_one_request_come_one_after_the_other() {
    let server = start();
    server.fail_next(on("GET", "/"), Failure::Status(500), 1);
    server.fail_next(on("GET", "/"), Failure::Status(502), 1);
    let statuses = [(); 3].map(|()| get(&server, "/health").status);
    assert_eq!(statuses, [500, 502, 200]);
}

#[test]
fn a_connection_is_dropped_before_or_after_the_work() {
    let server = start();
    let body = package();
    let length = body.len();
    let head = format!("POST /repo/publish HTTP/1.1\r\n{}Content-Length: {length}\r\n\r\n", key(&server));
    let upload = [head.as_bytes(), &body].concat();
    server.fail_next(on("POST", ""), Failure::DropConnection, 1);
    assert!(raw(&server, &upload).is_none());
    assert!(server.packages("repo", "x86_64").is_empty());
    server.fail_next(on("POST", ""), Failure::DropAnswer, 1);
    assert!(raw(&server, &upload).is_none());
    assert_eq!(server.packages("repo", "x86_64").len(), 1);
}

#[test]
fn an_answer_is_cut_in_half() {
    let server = start();
    server.add_package("repo", &package());
    server.fail_next(on("GET", ".pkg"), Failure::Truncate, 1);
    let answer = get(&server, "/repo/x86_64/tiny-1.0-1-x86_64.pkg.tar.zst");
    assert_eq!(answer.header("Content-Length"), Some(package().len().to_string().as_str()));
    assert_eq!(answer.body.len(), package().len() / 2);
}

#[test]
fn an_answer_is_late() {
    let server = start();
    server.fail_next(|_| true, Failure::Delay(Duration::from_millis(300)), 1);
    let started = Instant::now();
    assert_eq!(get(&server, "/health").status, 200);
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[test]
fn an_answer_never_comes() {
    let server = start();
    server.fail_next(|_| true, Failure::Hang, 1);
    // Ending the sending is what this client does instead of losing its patience.
    assert!(raw(&server, b"GET / HTTP/1.1\r\n\r\n").is_none());
}

#[test]
fn uploads_are_lost() {
    let server = start();
    server.lose_uploads(1);
    assert_eq!(publish(&server, "repo", &package()).status, 200);
    assert!(server.packages("repo", "x86_64").is_empty());
    assert_eq!(publish(&server, "repo", &package()).status, 200);
    assert_eq!(server.packages("repo", "x86_64").len(), 1);
}

#[test]
fn packages_come_and_go_by_hand() {
    let server = start();
    server.pretend_package("repo", "x86_64", "there", "1:2-3");
    assert_eq!(head(&server, "/repo/x86_64/there-1:2-3").status, 200);
    assert!(server.remove_package("repo", "x86_64", "there"));
    assert!(!server.remove_package("repo", "x86_64", "there"));
    assert_eq!(head(&server, "/repo/x86_64/there-1:2-3").status, 404);
}

#[test]
fn the_list_can_be_anything() {
    let server = start();
    server.set_raw_entries(vec![json!({"id": "no number"}), json!(null)]);
    let answer = get_with_key(&server, "/api/v1/targets");
    assert_eq!(answer.json()["data"], json!([{"id": "no number"}, null]));
    server.set_raw_list_answer("<html>");
    assert_eq!(get_with_key(&server, "/api/v1/targets").text(), "<html>");
}

#[test]
fn a_stopped_server_is_gone() {
    let server = start();
    let address = server.url().replace("http://", "");
    drop(server);
    assert!(std::net::TcpStream::connect(address).is_err());
}
