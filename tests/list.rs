//! The list of repository entries: from each generation of servers and from files, whole or half broken.
//! What becomes of it is seen in the plan, which needs no container.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::web::Web;
use common::{ARCH, Kind, NEW, OLD, REPO, World};
use serde_json::{Value, json};
use vieter_test_support::packages::tiny;
use vieter_test_support::program::Finished;
use vieter_test_support::vieter_server::{Failure, Target, on};

/// What is to be done with each entry of a plan, by name: the decision, and the reason.
fn decisions(plan: &Value) -> BTreeMap<String, (String, String)> {
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
    let entries = plan["entries"].as_array().expect("the plan has entries");
    let pair = |entry: &Value| (text(entry, "name"), (text(entry, "decision"), text(entry, "reason")));
    let decisions: BTreeMap<_, _> = entries.iter().map(pair).collect();
    assert_eq!(decisions.len(), entries.len(), "names that are there twice: {plan:#}");
    decisions
}

/// Fails unless the run could not go on, with an explanation and advice.
fn assert_no_list(finished: &Finished, parts: &[&str]) {
    finished.assert_code(69);
    let last = finished.json_lines().pop().expect("there are lines");
    let text = format!("{} {}", last["message"], last["hint"]);
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn long_lists_of_the_new_server_come_page_by_page() {
    let world = World::without_image(NEW);
    let many = world.git.repo("many");
    let names: Vec<String> = (1..=60).map(|number| format!("package-{number:02}")).collect();
    let files: Vec<_> = names.iter().flat_map(|name| tiny(name, "1.0", 1).files_in(name)).collect();
    many.commit_files(&files, "All of them");
    let url = world.git.url("many");
    let entries: Vec<Target> = names.iter().map(|name| Target::git(&url, REPO).path(name)).collect();
    world.list(&entries);
    for name in &names[..50] {
        world.server().pretend_package(REPO, ARCH, name, "1.0-1");
    }
    world.server().pretend_package(REPO, ARCH, &names[50], "0.9-1");
    let plan = decisions(&world.plan());
    assert_eq!(plan.len(), 60);
    let count =
        |decision: &str, reason: &str| plan.values().filter(|(d, r)| d == decision && r == reason).count();
    assert_eq!(count("up_to_date", ""), 50);
    assert_eq!(count("build", "outdated, the server has 0.9-1"), 1);
    assert_eq!(count("build", "new"), 9);

    let pages = world.server().requests_of("GET", "/api/v1/targets");
    let offsets: Vec<&str> = pages.iter().filter_map(|page| page.target.split("offset=").nth(1)).collect();
    assert_eq!(offsets, ["0", "25", "50"]);
    assert_eq!(world.server().requests_of("GET", "/api/repos").len(), 0);
    // Many questions, but never many at once.
    assert!(world.server().requests_of("HEAD", REPO).len() >= 60);
    assert!(world.server().peak_requests() <= 8, "{}", world.server().peak_requests());
    assert_eq!(world.git.requests("many"), 1, "one repository is asked once");
    // Whole pages only: an empty one ends the list.
    world.list(&entries[..50]);
    assert_eq!(decisions(&world.plan()).len(), 50);
}

#[test]
fn the_old_server_has_all_in_one() {
    let world = World::without_image(OLD);
    let mut entries: Vec<Target> = (1..=40)
        .map(|number| Target::git(format!("https://example.org/{number}"), REPO).arch(&["aarch64"]))
        .collect();
    // No architecture is every architecture.
    entries.push(Target { arch: vec![String::new()], ..world.entry(&tiny("unbound", "1.0", 1)) });
    world.list(&entries);
    for with_schedule in [true, false] {
        if !with_schedule {
            world.server().without_schedule();
        }
        let plan = decisions(&world.plan());
        assert_eq!(plan.len(), 41);
        assert_eq!(plan[&world.git.url("unbound")], ("build".to_owned(), "new".to_owned()));
        assert_eq!(plan["https://example.org/7"], ("skip".to_owned(), "not for x86_64".to_owned()));
    }
    world.list(&[]);
    assert_eq!(decisions(&world.plan()).len(), 0);
}

#[test]
fn a_file_has_one_of_three_forms() {
    let world = World::without_image(Kind::Directory);
    world.git.package(&tiny("one", "1.0", 1));
    let branched = world.git.package(&tiny("two", "1.0", 1));
    branched.switch("stable");
    let (one, two) = (world.git.url("one"), world.git.url("two"));
    let first = json!({"url": one, "branch": "", "repo": REPO, "arch": ["x86_64", "aarch64"]});
    let second =
        json!({"url": two, "branch": "stable", "repo": REPO, "arch": [{"value": "any"}], "schedule": "0 3"});
    let object = json!({"id-1": first, "id-2": second});
    for list in [json!([first, second]), object.clone(), json!({"message": "", "data": object})] {
        world.write_list(&list.to_string());
        let plan = decisions(&world.plan());
        let new = ("build".to_owned(), "new".to_owned());
        assert_eq!(
            plan,
            BTreeMap::from([(one.clone(), new.clone()), (format!("{two}#stable"), new)]),
            "{list}"
        );
    }
    for (text, why) in [("[{", "is not valid JSON"), ("7", "neither a JSON array nor a JSON object")] {
        world.write_list(text);
        assert_no_list(&world.build(), &["list.json", why, "VIETER_REPOS_FILE"]);
    }
    std::fs::remove_file(world.path("list.json")).expect("remove the list");
    let without = world.vieter("build").env("VIETER_REPOS_FILE", world.path("list.json"));
    assert_no_list(&world.run(without), &["list.json", "cannot be read"]);
}

#[test]
fn a_file_comes_before_the_servers_own_list() {
    let world = World::without_image(NEW);
    world.list(&[Target::git("https://example.org/not-this-one", REPO)]);
    world.list_in_file(&[world.entry(&tiny("this-one", "1.0", 1))]);
    assert_eq!(decisions(&world.plan()).into_keys().collect::<Vec<_>>(), [world.git.url("this-one")]);
    assert_eq!(world.server().requests_of("GET", "/api").len(), 0);
}

/// The architecture is the Docker daemon's, which need not be that of this machine.
#[test]
fn entries_are_chosen_by_the_architecture_of_the_daemon() {
    let world = World::without_image(Kind::Directory);
    let entry = |name: &str, arch: &str| world.entry(&tiny(name, "1.0", 1).arch(arch)).arch(&[arch]);
    world.list(&[entry("ours", "aarch64"), entry("theirs", "x86_64"), entry("everyones", "any")]);
    let daemon = Web::start();
    let version = json!({
        "Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "arm64",
    });
    for path in ["version", "v1.41/version"] {
        daemon.serve(path, &version.to_string());
    }
    let elsewhere = daemon.url().replace("http://", "tcp://");
    let finished = world.run(world.vieter("plan").env("DOCKER_HOST", elsewhere));
    finished.assert_code(0);
    let plan = decisions(&serde_json::from_str(&finished.stdout).expect("the plan is JSON"));
    let decision = |name: &str| plan[&world.git.url(name)].clone();
    assert_eq!(decision("ours").0, "build");
    assert_eq!(decision("theirs"), ("skip".to_owned(), "not for aarch64".to_owned()));
    assert_eq!(decision("everyones").0, "build");
}

/// Entries that cannot be used, and what is said of each.
fn malformed() -> Vec<(Value, &'static str)> {
    let with = |key: &str, value: Value| {
        let mut entry = json!({"url": "https://example.org/x", "repo": REPO, "arch": ["x86_64"]});
        entry[key] = value;
        entry
    };
    vec![
        (Value::Null, "not a JSON object"),
        (json!("https://example.org/x"), "not a JSON object"),
        (with("url", json!("")), "has no url"),
        (with("url", json!(7)), "its url is not a string"),
        (with("url", json!("--upload-pack=touch /tmp/x")), "its url contains blanks"),
        (with("url", json!("ext::sh -c id")), "its url contains blanks"),
        (with("url", json!("ext::id")), "remote helper"),
        (with("url", json!("ftp://example.org/x")), "unsupported scheme"),
        (with("repo", json!("")), "names no pacman repository"),
        (with("repo", json!("../elsewhere")), "no name of a pacman repository"),
        (with("path", json!("../..")), "not a folder inside"),
        (with("branch", json!("--upload-pack=x")), "no branch name"),
        (with("arch", json!(7)), "its arch is not a list"),
        (with("kind", json!("svn")), "neither `git` nor `url`"),
    ]
}

#[test]
fn malformed_entries_are_failures_of_their_own() {
    let malformed = malformed();
    let raw = || malformed.iter().map(|(entry, _)| entry.clone());
    for kind in [Kind::Directory, NEW] {
        let world = World::without_image(kind);
        world.git.package(&tiny("good", "1.0", 1));
        let good = json!({"kind": "git", "url": world.git.url("good"), "repo": REPO, "arch": []});
        let entries: Vec<Value> = raw().chain([good]).collect();
        match kind {
            Kind::Directory => world.write_list(&json!(entries).to_string()),
            Kind::Server(_) => world.server().set_raw_entries(entries),
        }
        let plan = world.plan();
        let entries = plan["entries"].as_array().expect("the plan has entries");
        assert_eq!(entries.len(), malformed.len() + 1);
        let reasons: Vec<&str> = entries.iter().filter_map(|entry| entry["reason"].as_str()).collect();
        for (entry, why) in &malformed {
            assert!(reasons.iter().any(|reason| reason.contains(why)), "{entry}: no {why:?} in {reasons:#?}");
        }
        let count = |decision: &str| entries.iter().filter(|entry| entry["decision"] == decision).count();
        assert_eq!((count("failed"), count("build")), (malformed.len(), 1));
    }
    // They fail the run, and say what to do.
    let world = World::without_image(Kind::Directory);
    world.write_list(&json!(raw().collect::<Vec<_>>()).to_string());
    let finished = world.build();
    finished.assert_code(1);
    assert_eq!(world.report().0["counts"]["failed"], malformed.len());
    for entry in world.report().0["entries"].as_array().expect("there are entries") {
        assert_eq!(entry["failure"]["kind"], "bad_entry");
        assert_eq!(entry["failure"]["hint"], "correct the list of repository entries");
    }
}

#[test]
fn a_wrong_key_is_said_and_not_tried_again() {
    for (kind, path) in [(OLD, "/api/repos"), (NEW, "/api/v1/targets")] {
        let world = World::without_image(kind);
        let finished = world.run(world.vieter("build").env("VIETER_API_KEY", "a-wrong-key"));
        assert_no_list(&finished, &["does not accept the API key", "401", "VIETER_API_KEY"]);
        assert!(!finished.text().contains("a-wrong-key"));
        assert_eq!(world.server().requests_of("GET", path).len(), 1);
    }
}

#[test]
fn a_broken_list_is_not_an_empty_one() {
    let old = World::without_image(OLD);
    old.server().set_repos_file("{ this is no JSON");
    let hasty = |world: &World| world.vieter("build").env("VIETER_HTTP_ATTEMPTS", "2");
    assert_no_list(&old.run(hasty(&old)), &["the list cannot be had", "500", "the package server's log"]);
    assert_eq!(old.server().requests_of("GET", "/api/repos").len(), 2, "tried again");
    let new = World::without_image(NEW);
    for (answer, why) in
        [("<html>", "is not JSON"), ("{}", "has no array `data`"), ("{\"data\":{}}", "array")]
    {
        new.server().set_raw_list_answer(answer);
        assert_no_list(&new.run(hasty(&new)), &["the list cannot be had", why]);
    }
    // Something else listens there.
    let web = Web::start();
    let elsewhere = web.url();
    let finished = new.run(hasty(&new).env("VIETER_ADDRESS", elsewhere));
    assert_no_list(&finished, &["404", "is this the address of a Vieter server?"]);
    // Nothing does.
    drop(web);
    let finished = new.run(hasty(&new).env("VIETER_ADDRESS", "http://127.0.0.1:1"));
    assert_no_list(&finished, &["http://127.0.0.1:1", "refused", "can be reached"]);
}

#[test]
fn a_bad_moment_of_the_server_is_waited_out() {
    for kind in [OLD, NEW] {
        let world = World::without_image(kind);
        world.list(&[world.entry(&tiny("one", "1.0", 1))]);
        let server = world.server();
        for failure in [Failure::DropConnection, Failure::Status(503), Failure::Truncate] {
            server.fail_next(on("GET", "/api/"), failure, 1);
        }
        server.fail_next(on("HEAD", REPO), Failure::DropConnection, 1);
        server.fail_next(on("HEAD", REPO), Failure::Hang, 1);
        server.fail_next(on("GET", &format!("{REPO}.db")), Failure::Truncate, 1);
        let patient = world.vieter("plan").env("VIETER_HTTP_TIMEOUT", "2s");
        let finished = world.wait(patient.spawn(), Duration::from_secs(60));
        finished.assert_code(0);
        let plan = serde_json::from_str(&finished.stdout).expect("the plan is JSON");
        let new = ("build".to_owned(), "new".to_owned());
        assert_eq!(decisions(&plan), BTreeMap::from([(world.git.url("one"), new)]));
    }
}
