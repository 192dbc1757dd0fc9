//! The exit status, one by one, each with the message that goes with it.

mod common;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use common::{Kind, NEW, REPO, World};
use vieter_test_support::packages::{tiny, unparseable};
use vieter_test_support::program::{Finished, Running, Signal, Vieter};
use vieter_test_support::vieter_server::Target;

/// How long something that needs no build may take.
const SHORT: Duration = Duration::from_secs(10);

/// A world whose run goes on until it is stopped, and what keeps it.
fn endless() -> (World, TcpListener) {
    let world = World::without_image(Kind::Directory);
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listen");
    let port = silent.local_addr().expect("a bound socket has an address").port();
    world.list(&[Target::git(format!("git://127.0.0.1:{port}/silent"), REPO)]);
    (world, silent)
}

/// The run of an endless world, once it has begun its work, and the connection that it waits on.
fn begun(vieter: Vieter, silent: &TcpListener) -> (Running, TcpStream) {
    let running = vieter.spawn();
    let (connection, _) = silent.accept().expect("Git connects");
    (running, connection)
}

/// Fails unless the last line of the log, an error, has the exit status, a message with `part`, and advice.
fn assert_explained(finished: &Finished, code: i32, part: &str) {
    finished.assert_code(code);
    let last = finished.json_lines().pop().expect("there are lines");
    assert_eq!(last["level"], "error", "{last}");
    assert_eq!(last["exit_status"], code, "{last}");
    assert!(last["message"].as_str().is_some_and(|message| message.contains(part)), "no {part:?} in {last}");
    assert!(last["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "no hint in {last}");
}

#[test]
fn success_is_0() {
    let world = World::without_image(NEW);
    world.build().assert_code(0);
    assert_eq!(world.report().0["exit_status"], 0);
    // What is skipped has a reason, and is no failure.
    world.server().pretend_package(REPO, "x86_64", "present", "1.0-1");
    let foreign = Target { arch: vec!["aarch64".to_owned()], ..world.entry(&tiny("foreign", "1.0", 1)) };
    world.list(&[foreign, world.entry(&tiny("present", "1.0", 1)), world.entry(&tiny("ignored", "1.0", 1))]);
    world.run(world.vieter("build").env("VIETER_IGNORE", "ignore*")).assert_code(0);
    let report = world.report();
    assert_eq!(report.with_result("skipped"), ["foreign", "ignored"]);
    assert_eq!(report.with_result("up_to_date"), ["present"]);
    assert_eq!(report.entry("foreign")["reason"], "not for x86_64");
}

#[test]
fn a_failed_entry_is_1() {
    let world = World::without_image(Kind::Directory);
    world.list(&[Target::git(world.git.url("missing"), REPO)]);
    let finished = world.build();
    finished.assert_code(1);
    assert_eq!(finished.messages("run finished").len(), 1);
}

#[test]
fn the_first_failure_ends_a_run_that_is_to_fail_fast() {
    let world = World::new(Kind::Directory);
    world.packages(&[unparseable("unreadable"), tiny("good", "1.0", 1)]);
    let finished = world.run(world.vieter("build").env("VIETER_FAIL_FAST", "yes"));
    finished.assert_code(1);
    assert_eq!(world.report().results(), ["unreadable: failed", "good: not_reached"]);
    world.assert_published(&[]);
}

#[test]
fn bad_usage_and_configuration_are_64() {
    let world = World::without_image(Kind::Directory);
    let bare = |arguments: &[&str]| {
        arguments.iter().fold(Vieter::new(env!("CARGO_BIN_EXE_vieter")), |vieter, word| vieter.arg(*word))
    };
    for arguments in [&["no-such-command"][..], &["build", "--no-such-option"], &[]] {
        bare(arguments).run().assert_code(64);
    }
    bare(&["build"]).run().assert_code(64);
    let finished = world.vieter("build").env("VIETER_MEMORY", "much").run();
    finished.assert_code(64);
    assert!(finished.stderr.contains("VIETER_MEMORY"), "{}", finished.stderr);
    assert!(!world.path("report").exists(), "nothing is done");
}

#[test]
fn what_cannot_be_had_is_69() {
    // Docker.
    let world = World::without_image(NEW);
    world.packages(&[tiny("any", "1.0", 1)]);
    let nowhere = format!("unix://{}", world.path("no-docker.sock").display());
    let docker = || world.vieter("build").env("DOCKER_HOST", &nowhere);
    let started = Instant::now();
    let finished = world.run(docker().env("VIETER_DOCKER_WAIT", "2s"));
    assert_explained(&finished, 69, &nowhere);
    assert!((2..10).contains(&started.elapsed().as_secs()), "it waits for Docker, and not for ever");
    assert_eq!(finished.messages("waiting for it").len(), 1);
    assert_eq!(world.report().0["error"]["kind"], "docker");
    // The base image.
    let absent =
        world.vieter("build").env("VIETER_BASE_IMAGE", "no-such-image:ever").env("VIETER_PULL", "never");
    let finished = world.run(absent.env("VIETER_IMAGE_NAME", "vieter-test-absent"));
    assert_explained(&finished, 69, "no-such-image:ever");
    assert_eq!(world.report().0["error"]["kind"], "image");
    // The list.
    world.server().set_raw_list_answer("<html>");
    let finished = world.run(world.vieter("build").env("VIETER_HTTP_ATTEMPTS", "1"));
    assert_explained(&finished, 69, "the list cannot be had");
    assert_eq!(world.report().0["error"]["kind"], "list");
}

#[test]
fn an_internal_error_is_70() {
    let world = World::without_image(Kind::Directory);
    // Threads with stacks of that size cannot be had, and without threads there is no doing anything.
    for command in ["build", "plan", "doctor", "cron"] {
        let finished = world.run(world.vieter(command).env("RUST_MIN_STACK", (1_u64 << 60).to_string()));
        assert_explained(&finished, 70, "internal error");
        assert_eq!(finished.messages("this is a bug in vieter").len(), 1);
        assert!(finished.stderr.contains("report it"), "{}", finished.stderr);
    }
}

#[test]
fn a_second_run_is_75_and_touches_nothing() {
    let (world, silent) = endless();
    let (first, _connection) = begun(world.vieter("build"), &silent);
    let second = world.run(world.vieter("build").env("VIETER_REPORT_DIR", world.path("second")));
    assert_explained(&second, 75, "another run");
    first.signal(Signal::TERM);
    world.wait(first, SHORT).assert_code(143);
    // The lock is free again.
    let (next, _connection) = begun(world.vieter("build"), &silent);
    next.signal(Signal::TERM);
    world.wait(next, SHORT).assert_code(143);
}

#[test]
fn the_deadline_is_124() {
    let (world, silent) = endless();
    let (running, _connection) = begun(world.vieter("build").env("VIETER_RUN_TIMEOUT", "2s"), &silent);
    let finished = world.wait(running, SHORT);
    finished.assert_code(124);
    let last = finished.json_lines().pop().expect("there are lines");
    assert!(last["message"].as_str().is_some_and(|text| text.contains("VIETER_RUN_TIMEOUT")), "{last}");
}

#[test]
fn signals_are_130_and_143() {
    let (world, silent) = endless();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (running, _connection) = begun(world.vieter("build"), &silent);
        running.signal(signal);
        world.wait(running, SHORT).assert_code(code);
    }
    // Also while Docker is waited for.
    let nowhere = format!("unix://{}", world.path("no-docker.sock").display());
    let waiting = world.vieter("build").env("DOCKER_HOST", nowhere).env("VIETER_DOCKER_WAIT", "5m");
    let mut running = waiting.spawn();
    running.wait_for_log(|line| line["message"].as_str().is_some_and(|text| text.contains("waiting")), SHORT);
    running.signal(Signal::TERM);
    world.wait(running, SHORT).assert_code(143);
}
