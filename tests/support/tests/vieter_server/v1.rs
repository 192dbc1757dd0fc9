//! The generation of `/api/v1`.

use serde_json::{Value, json};
use vieter_test_support::packages::{Compression, archive};
use vieter_test_support::vieter_server::{Generation, Target, VieterServer};

use crate::wire::{Answer, get, get_with_key, head, key, publish, publish_with_length, send};

fn start(minor: u8) -> VieterServer {
    VieterServer::start(Generation::V1 { minor })
}

fn both(test: impl Fn(&VieterServer)) {
    [5, 6].into_iter().for_each(|minor| test(&start(minor)));
}

fn urls(server: &VieterServer, query: &str) -> Vec<String> {
    let answer = get_with_key(server, &format!("/api/v1/targets{query}"));
    let data = answer.json()["data"].as_array().expect("an array").clone();
    data.iter().map(|target| target["url"].as_str().expect("a URL").to_string()).collect()
}

#[test]
fn json_and_empty_answers_have_no_length() {
    both(|server| {
        let answers = [
            get_with_key(server, "/api/v1/targets"),
            publish(server, "repo", &archive("tiny", "1-1", "x86_64", Compression::Zstd)),
            publish(server, "repo", b"garbage"),
        ];
        for answer in answers {
            assert_eq!(answer.header("Server"), Some("Vieter"));
            assert_eq!(answer.header("Content-Length"), None);
        }
    });
}

#[test]
fn unauthorized_is_plain_text() {
    both(|server| {
        for answer in [
            get(server, "/api/v1/targets"),
            get(server, "/api/v1/logs"),
            send(server, "POST /repo/publish", "Content-Length: 1\r\n", b"x"),
        ] {
            assert_eq!((answer.status, answer.text()), (401, "401 Unauthorized"));
            assert_eq!(answer.header("Content-Type"), Some("text/plain"));
        }
    });
}

#[test]
fn the_old_lists_are_not_found() {
    both(|server| {
        for path in ["/api/repos", "/api/targets"] {
            assert_eq!(get_with_key(server, path).status, 404);
        }
    });
}

#[test]
fn a_target_has_all_its_fields() {
    both(|server| {
        server.set_targets(&[
            Target::git("https://git.example/a", "vieter"),
            Target::url("https://example.org/PKGBUILD", "other").branch("b").path("p"),
        ]);
        let answer = get_with_key(server, "/api/v1/targets");
        assert_eq!((answer.status, answer.header("Content-Type")), (200, Some("application/json")));
        let answer = answer.json();
        assert_eq!(answer["message"], "");
        let arch = json!([{"id": answer["data"][0]["arch"][0]["id"], "target_id": 1, "value": "x86_64"}]);
        let first = json!({
            "id": 1, "kind": "git", "url": "https://git.example/a", "branch": "", "repo": "vieter",
            "schedule": "", "path": "", "arch": arch,
        });
        assert_eq!(answer["data"][0], first);
        let second = &answer["data"][1];
        assert_eq!((&second["kind"], &second["path"]), (&json!("url"), &json!("p")));
    });
}

#[test]
fn targets_come_in_pages_of_25() {
    both(|server| {
        let target = |at| Target::git(format!("https://git.example/{at}"), "vieter");
        server.set_targets(&(0..60).map(target).collect::<Vec<_>>());
        assert_eq!(urls(server, "").len(), 25);
        assert_eq!(urls(server, "?limit=25&offset=25")[0], "https://git.example/25");
        assert_eq!(urls(server, "?limit=25&offset=50").len(), 10);
        assert_eq!(urls(server, "?limit=7&offset=1").len(), 7);
        assert!(urls(server, "?offset=60").is_empty());
    });
}

#[test]
fn targets_are_filtered() {
    let targets = [
        Target::git("https://git.example/a", "one"),
        Target::git("https://git.example/b", "two").arch(&["aarch64", "x86_64"]),
        Target::git("https://other.example/c", "two").arch(&["aarch64"]),
    ];
    both(|server| {
        server.set_targets(&targets);
        assert_eq!(urls(server, "?repo=two").len(), 2);
        let filters = server.generation() == Generation::V1 { minor: 6 };
        assert_eq!(urls(server, "?query=git.ex").len(), if filters { 2 } else { 3 });
        assert_eq!(urls(server, "?arch=x86_64").len(), if filters { 2 } else { 3 });
    });
}

#[test]
fn publishing_says_what_was_published() {
    both(|server| {
        let package = archive("tiny", "1.0-1", "x86_64", Compression::Zstd);
        for _ in 0..2 {
            let answer = publish(server, "repo", &package);
            let good = r#"{"message":"","data":{"name":"tiny","version":"1.0-1","archs":["x86_64"]}}"#;
            assert_eq!((answer.status, answer.text()), (200, good));
        }
        for bad in [&b""[..], b"garbage", &package[..package.len() / 2]] {
            let answer = publish(server, "repo", bad);
            assert_eq!((answer.status, answer.text()), (500, ""));
        }
        assert_eq!(publish(server, "api", &package).status, 400);
    });
}

#[test]
fn a_body_shorter_than_its_length() {
    for (minor, status, stored) in [(5, 200, 1), (6, 500, 0)] {
        let server = start(minor);
        let package = archive("tiny", "1.0-1", "x86_64", Compression::Zstd);
        let answer = publish_with_length(&server, "repo", &package, package.len() + 1000);
        assert_eq!(answer.status, status);
        assert_eq!(server.packages("repo", "x86_64").len(), stored);
    }
}

#[test]
fn a_head_has_the_real_size() {
    both(|server| {
        let package = archive("tiny", "1.0-1", "x86_64", Compression::Zstd);
        publish(server, "repo", &package);
        let path = "/repo/x86_64/tiny-1.0-1-x86_64.pkg.tar.zst";
        let answer = head(server, path);
        assert_eq!(answer.header("Content-Length"), Some(package.len().to_string().as_str()));
        assert_eq!(answer.header("Accept-Ranges"), Some("bytes"));
        let rest = send(server, &format!("GET {path}"), "Range: bytes=10-\r\n", b"");
        assert_eq!((rest.status, rest.body.as_slice()), (206, &package[10..]));
    });
}

fn post_log(server: &VieterServer, query: &str) -> Answer {
    let headers = format!("{}Content-Length: 5\r\n", key(server));
    send(server, &format!("POST /api/v1/logs{query}"), &headers, b"a log")
}

#[test]
fn a_log_is_kept_and_read_again() {
    both(|server| {
        server.set_targets(&[Target::git("https://git.example/a", "vieter")]);
        let query = "?startTime=10&endTime=20&exitCode=3&arch=x86_64&target=1";
        let answer = post_log(server, query);
        assert_eq!((answer.status, &answer.json()["data"]), (200, &json!(1)));
        let row = json!({
            "id": 1, "target_id": 1, "start_time": 10, "end_time": 20, "arch": "x86_64",
            "exit_code": 3,
        });
        let read = |path| get_with_key(server, path);
        assert_eq!(read("/api/v1/logs").json()["data"], json!([row]));
        assert_eq!(read("/api/v1/logs/1").json()["data"], row);
        assert_eq!(read("/api/v1/logs/1/content").text(), "a log");
        assert_eq!(read("/api/v1/logs/2").status, 404);
        assert_eq!(server.logs()[0].content, "a log");
    });
}

#[test]
fn what_a_log_lacks_is_said_in_order() {
    both(|server| {
        server.set_targets(&[Target::git("https://git.example/a", "vieter")]);
        let refused = [
            ("", "Invalid or missing start time."),
            ("?startTime=soon", "Invalid or missing start time."),
            ("?startTime=1", "Invalid or missing end time."),
            ("?startTime=1&endTime=2", "Missing exit code."),
            ("?startTime=1&endTime=2&exitCode=0", "Missing parameter 'arch'."),
            ("?startTime=1&endTime=2&exitCode=0&arch=x", "Unknown target."),
            ("?startTime=1&endTime=2&exitCode=0&arch=x&target=9", "Unknown target."),
        ];
        for (query, message) in refused {
            let answer = post_log(server, query);
            assert_eq!((answer.status, &answer.json()["message"]), (400, &Value::from(message)));
        }
        assert!(server.logs().is_empty());
    });
}

#[test]
fn a_log_without_length_leaves_its_row() {
    both(|server| {
        server.set_targets(&[Target::git("https://git.example/a", "vieter")]);
        let line = "POST /api/v1/logs?startTime=1&endTime=2&exitCode=0&arch=x86_64&target=1";
        assert_eq!(send(server, line, &key(server), b"").status, 411);
        assert_eq!(server.logs().len(), 1);
    });
}
