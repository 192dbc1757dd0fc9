use std::process::Command;

use vieter_test_support::git::GitServer;
use vieter_test_support::packages::tiny;

fn run(arguments: &[&str], dir: &std::path::Path) -> (bool, String) {
    let output = Command::new("git").args(arguments).current_dir(dir).output().expect("git");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).trim_end().to_string())
}

#[test]
fn a_repository_is_cloned_with_everything_in_it() {
    let server = GitServer::start();
    let repo = server.repo("tiny");
    repo.write("PKGBUILD", "one");
    repo.write("folder/run", "#!/bin/sh\n");
    repo.make_executable("folder/run");
    repo.symlink("link", "PKGBUILD");
    let first = repo.commit("first");
    repo.tag("v1");
    repo.switch("other");
    let second = repo.commit_files(&[("PKGBUILD", "two")], "second");
    assert_ne!(first, second);
    repo.switch("main");
    assert_eq!(repo.head(), first);

    let dir = tempfile::tempdir().expect("a folder");
    let url = server.url("tiny");
    let clone = ["clone", "--quiet", "--depth=1", "--branch=other", &url, "other"];
    assert!(run(&clone, dir.path()).0);
    assert_eq!(std::fs::read_to_string(dir.path().join("other/link")).expect("a link"), "two");
    assert!(run(&["clone", "--quiet", &url, "main"], dir.path()).0);
    assert_eq!(std::fs::read_to_string(dir.path().join("main/link")).expect("a link"), "one");
    let (_, mode) = run(&["-C", "main", "ls-files", "--stage", "folder/run"], dir.path());
    assert!(mode.starts_with("100755"), "{mode}");
    let (_, tags) = run(&["-C", "main", "tag"], dir.path());
    assert_eq!(tags, "v1");
}

#[test]
fn requests_are_counted_a_repository() {
    let server = GitServer::start();
    let head = server.package(&tiny("one", "1.0", 1)).head();
    server.package(&tiny("two", "1.0", 1));
    assert_eq!((server.requests("one"), server.requests("two")), (0, 0));
    let dir = tempfile::tempdir().expect("a folder");
    let (_, tip) = run(&["ls-remote", &server.url("one"), "HEAD"], dir.path());
    assert_eq!(tip, format!("{head}\tHEAD"));
    assert_eq!((server.requests("one"), server.requests("two")), (1, 0));
}

#[test]
fn a_server_without_the_repository_and_one_that_refuses() {
    let server = GitServer::start();
    let dir = tempfile::tempdir().expect("a folder");
    assert!(!run(&["ls-remote", &server.url("nothing")], dir.path()).0);
    server.package(&tiny("tiny", "1.0", 1));
    server.refuse(true);
    assert!(!run(&["ls-remote", &server.url("tiny")], dir.path()).0);
    server.refuse(false);
    assert!(run(&["ls-remote", &server.url("tiny")], dir.path()).0);
}
