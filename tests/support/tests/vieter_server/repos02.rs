//! The generation of `/api/repos`.

use serde_json::{Value, json};
use vieter_test_support::packages::{Compression, archive};
use vieter_test_support::vieter_server::{Generation, Target, VieterServer, repo_uuid};

use crate::wire::{Answer, get, get_with_key, head, publish, publish_with_length, send};

fn start() -> VieterServer {
    VieterServer::start(Generation::Repos02)
}

fn data(server: &VieterServer) -> Value {
    get_with_key(server, "/api/repos").json()["data"].clone()
}

#[test]
fn every_answer_says_who_it_is_and_closes() {
    let server = start();
    let answers = [
        get(&server, "/health"),
        get(&server, "/api/repos"),
        get_with_key(&server, "/api/repos"),
        get(&server, "/nothing"),
        head(&server, "/nothing"),
        publish(&server, "repo", b"garbage"),
    ];
    for answer in answers {
        assert_eq!(answer.header("Server"), Some("VWeb"));
        assert_eq!(answer.header("Connection"), Some("close"));
        let length = answer.body.len().to_string();
        assert_eq!(answer.header("Content-Length"), Some(length.as_str()));
    }
}

#[test]
fn the_other_generation_is_not_found() {
    for path in ["/api/v1/targets", "/api/v1/logs", "/api/v1/anything"] {
        let answer = get_with_key(&start(), path);
        assert_eq!((answer.status, answer.text()), (404, "404 Not Found"));
        assert_eq!(answer.header("Content-Type"), Some("text/plain"));
    }
}

fn assert_unauthorized(answer: &Answer) {
    assert_eq!(answer.status, 401);
    assert_eq!(answer.text(), r#"{"message":"Unauthorized.","data":""}"#);
}

#[test]
fn a_wrong_key_is_unauthorized() {
    let server = start();
    assert_unauthorized(&get(&server, "/api/repos"));
    assert_unauthorized(&send(&server, "GET /api/repos", "X-Api-Key: wrong\r\n", b""));
    assert_unauthorized(&send(&server, "POST /repo/publish", "Content-Length: 1\r\n", b"x"));
}

#[test]
fn health_needs_no_key() {
    let answer = get(&start(), "/health");
    assert_eq!((answer.status, answer.text()), (200, r#"{"message":"Healthy.","data":""}"#));
}

#[test]
fn the_list_is_an_object_by_id() {
    let server = start();
    let none = get_with_key(&server, "/api/repos");
    assert_eq!((none.status, none.text()), (200, r#"{"message":"","data":{}}"#));
    assert_eq!(none.header("Content-Type"), Some("application/json"));
    server.set_targets(&[
        Target::git("https://git.example/a", "vieter").branch("master"),
        Target::git("https://git.example/b", "vieter").arch(&[""]),
    ]);
    let all = data(&server);
    let first = json!({
        "url": "https://git.example/a", "branch": "master", "arch": ["x86_64"],
        "repo": "vieter", "schedule": "",
    });
    assert_eq!(all[repo_uuid(0)], first);
    assert_eq!(all[repo_uuid(1)]["arch"], json!([""]));
}

#[test]
fn earlier_builds_have_no_schedule() {
    let server = start();
    server.set_targets(&[Target::git("https://git.example/a", "vieter")]);
    server.without_schedule();
    assert!(data(&server)[repo_uuid(0)].get("schedule").is_none());
}

#[test]
fn a_null_entry_of_the_file_is_an_object_of_empty_strings() {
    let server = start();
    server.set_repos_file(r#"{"some-id":null}"#);
    let empty = json!({"url": "", "branch": "", "arch": [], "repo": "", "schedule": ""});
    assert_eq!(data(&server), json!({"some-id": empty}));
}

#[test]
fn the_file_on_disk_is_the_data_itself() {
    let server = start();
    let file = r#"{"an-id":{"url":"u","branch":"b","arch":["x86_64"],"repo":"r","schedule":""}}"#;
    server.set_repos_file(file);
    let answer = get_with_key(&server, "/api/repos");
    assert_eq!(answer.text(), format!(r#"{{"message":"","data":{file}}}"#));
}

#[test]
fn a_broken_file_is_an_empty_500() {
    let server = start();
    server.set_repos_file("{\"an-id\":");
    let answer = get_with_key(&server, "/api/repos");
    assert_eq!((answer.status, answer.text()), (500, ""));
}

#[test]
fn publishing_says_what_became_of_it() {
    let server = start();
    let package = archive("tiny", "1.0-1", "x86_64", Compression::Zstd);
    let good = r#"{"message":"Package added successfully.","data":""}"#;
    for _ in 0..2 {
        let answer = publish(&server, "repo", &package);
        assert_eq!((answer.status, answer.text()), (200, good));
    }
    let refused = r#"{"message":"Failed to add package.","data":""}"#;
    for bad in [&b""[..], b"garbage", &package[..package.len() / 2]] {
        let answer = publish(&server, "repo", bad);
        assert_eq!((answer.status, answer.text()), (500, refused));
    }
    server.refuse_duplicates();
    let answer = publish(&server, "repo", &package);
    let duplicate = r#"{"message":"File already exists.","data":""}"#;
    assert_eq!((answer.status, answer.text()), (400, duplicate));
}

#[test]
fn a_body_shorter_than_its_length_is_accepted() {
    let server = start();
    let package = archive("tiny", "1.0-1", "x86_64", Compression::Zstd);
    let answer = publish_with_length(&server, "repo", &package, package.len() + 1000);
    assert_eq!(answer.status, 200);
    assert_eq!(server.packages("repo", "x86_64").len(), 1);
}

#[test]
fn a_head_says_nothing_of_the_size() {
    let server = start();
    publish(&server, "repo", &archive("tiny", "1.0-1", "x86_64", Compression::Zstd));
    for file in ["repo.db", "tiny-1.0-1", "tiny-1.0-1-x86_64.pkg.tar.zst"] {
        let answer = head(&server, &format!("/repo/x86_64/{file}"));
        assert_eq!((answer.status, answer.header("Content-Length")), (200, Some("0")));
    }
}
