//! SIGTERM, SIGINT and the run's deadline, in every stage and step: the run ends within ten seconds, says so,
//! writes its report, and leaves nothing behind ([`World`] looks).

mod common;

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use common::{Kind, NEW, World};
use serde_json::Value;
use vieter_test_support::otlp::{Collector, Mode};
use vieter_test_support::packages::{Package, git_version, split, tiny};
use vieter_test_support::program::{Running, Signal, Vieter};
use vieter_test_support::vieter_server::{Failure, Target, on};

/// How long a run may take to end once it was told to.
const PROMISED: Duration = Duration::from_secs(10);
/// How long it may take to get where it is to be stopped.
const PATIENCE: Duration = Duration::from_secs(120);

fn start(world: &World) -> Vieter {
    world.vieter("build").env("VIETER_LOG_LEVEL", "debug")
}

/// A line of a build's output that contains `part`.
fn says(part: &str) -> impl Fn(&Value) -> bool {
    move |line| line["message"].as_str().is_some_and(|message| message.contains(part))
}

/// Sends a signal and looks at the end of it.
fn stop(world: &World, running: Running, signal: Signal) {
    let (code, by) = if signal == Signal::INT { (130, "interrupted") } else { (143, "terminated") };
    running.signal(signal);
    let finished = world.wait(running, PROMISED);
    finished.assert_code(code);
    let report = world.report();
    assert_eq!((&report.0["ended"], &report.0["by"]), (&"stopped".into(), &by.into()));
    assert_eq!(report.0["exit_status"], code);
    let last = finished.json_lines().pop().expect("there are lines");
    assert!(last["message"].as_str().is_some_and(|text| text.contains("run stopped")), "{last}");
    assert_eq!(last["exit_status"], code);
}

#[test]
fn while_branches_are_looked_at() {
    let world = World::new(Kind::Directory);
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listen");
    let port = silent.local_addr().expect("a bound socket has an address").port();
    world.list(&[Target::git(format!("git://127.0.0.1:{port}/silent"), "repo")]);
    for (command, signal) in [("build", Signal::TERM), ("build", Signal::INT), ("plan", Signal::TERM)] {
        let running = world.vieter(command).spawn();
        let (mut git, _) = silent.accept().expect("Git connects");
        git.set_read_timeout(Some(PROMISED)).expect("set a time-out");
        match command {
            "build" => stop(&world, running, signal),
            _ => {
                running.signal(signal);
                world.wait(running, PROMISED).assert_code(143);
            }
        }
        let mut asked = Vec::new();
        git.read_to_end(&mut asked).expect("Git is gone as well");
    }
}

#[test]
fn while_the_builder_image_is_made() {
    let world = World::without_image(Kind::Directory);
    world.packages(&[tiny("never", "1.0", 1)]);
    let name = format!("vieter-test-stopped-{}", vieter_test_support::unique());
    let mut running = start(&world).env("VIETER_IMAGE_NAME", &name).spawn();
    running.wait_for_log(says("bringing the system up to date"), PATIENCE);
    stop(&world, running, Signal::INT);
    let images = vieter_test_support::docker::docker(&["images", "--quiet", &name]);
    assert_eq!(images, "", "half an image");
    assert_eq!(world.report().results(), ["never: not_reached"]);
}

#[test]
fn in_the_first_three_steps() {
    let world = World::new(Kind::Directory);
    world.git.repo("upstream").commit_files(&[("readme", "Upstream")], "Start");
    let upstream = world.git.url_from_container("upstream");
    let slow = git_version("slow", &upstream).pkgver_body("echo 'now in pkgver' >&2; sleep 300; echo 1");
    world.packages(&[slow]);
    let mut running = start(&world).spawn();
    running.wait_for_log(says("clone started"), PATIENCE);
    stop(&world, running, Signal::TERM);

    let mut running = start(&world).spawn();
    running.wait_for_log(says("now in pkgver"), PATIENCE);
    stop(&world, running, Signal::TERM);
    assert_eq!(world.report().results(), ["slow: failed"]);

    let mut running = start(&world).spawn();
    running.wait_for_log(says("now in pkgver"), PATIENCE);
    stop(&world, running, Signal::INT);
}

#[test]
fn while_something_is_made() {
    let world = World::new(Kind::Directory);
    let stubborn = "trap '' TERM INT HUP; echo 'now in build'; sleep 300 & wait; sleep 300";
    world.packages(&[
        tiny("quick", "1.0", 1),
        Package::new("stubborn").build_body(stubborn),
        tiny("late", "1.0", 1),
    ]);
    let mut running = start(&world).spawn();
    running.wait_for_log(says("now in build"), PATIENCE);
    stop(&world, running, Signal::TERM);
    let report = world.report();
    assert_eq!(report.results(), ["quick: published", "stubborn: failed", "late: not_reached"]);
    report.assert_failed("stubborn", "stopped", &["the run was stopped"]);
    world.assert_published(&["quick 1.0-1"]);

    let finished =
        world.run(world.vieter("build").env("VIETER_ONLY", "stubborn").env("VIETER_RUN_TIMEOUT", "15s"));
    finished.assert_code(124);
    let report = world.report();
    assert_eq!((&report.0["ended"], &report.0["by"]), (&"stopped".into(), &"deadline".into()));
    let seconds = report.0["seconds"].as_f64().expect("a number");
    assert!((15.0..25.0).contains(&seconds), "{seconds} s");
}

#[test]
fn while_a_package_is_sent() {
    let world = World::new(NEW);
    let server = world.server();
    world.packages(&[split("parts", &["first", "second"])]);
    // The upload of the second package.
    server.fail_next(on("POST", "/repo/publish"), Failure::Delay(Duration::ZERO), 1);
    server.fail_next(on("POST", "/repo/publish"), Failure::Hang, 1);
    let running = start(&world).spawn();
    let end = Instant::now() + PATIENCE;
    while server.requests_of("POST", "/repo/publish").len() < 2 {
        assert!(Instant::now() < end, "no second upload");
        std::thread::sleep(Duration::from_millis(20));
    }
    stop(&world, running, Signal::TERM);
    world.assert_published(&["first 1.0-1"]);
    // What is published of an entry is told though the rest of it is not.
    let report = world.report();
    report.assert_failed("parts", "stopped", &["the run was stopped"]);
    let published = report.entry("parts")["published"].as_array().expect("a list of packages");
    assert_eq!(published.iter().map(|package| &package["name"]).collect::<Vec<_>>(), ["first"]);
    world.build().assert_code(0);
    world.assert_published(&["first 1.0-1", "second 1.0-1"]);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let world = World::new(Kind::Directory);
    world.packages(&[Package::new("slow").build_body("echo 'now in build'; sleep 300")]);
    // What holds up the exit is a collector that takes nothing.
    let collector = Collector::with_mode(Mode::Hang);
    let mut running = start(&world).env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()).spawn();
    running.wait_for_log(says("now in build"), PATIENCE);
    running.signal(Signal::TERM);
    running.wait_for_log(says("run stopped"), PROMISED);
    std::thread::sleep(Duration::from_millis(500));
    assert!(!running.has_ended(), "nothing holds up the exit, so there is nothing to test");
    running.signal(Signal::TERM);
    world.wait(running, Duration::from_secs(1)).assert_code(143);
}
