//! `vieter cron`: its zone, its status file, and the ways in which it is stopped.

mod common;

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::{Kind, World};
use jiff::Timestamp;
use rustix::process::{Pid, getpgid, kill_process, kill_process_group};
use serde_json::Value;
use vieter::nightly::{Health, Purpose};
use vieter_test_support::packages::Package;
use vieter_test_support::program::{Running, Signal, Vieter};
use vieter_test_support::vieter_server::Target;

/// How long something that needs no build may take.
const SHORT: Duration = Duration::from_secs(20);
/// How long a build may take to begin.
const PATIENCE: Duration = Duration::from_secs(120);

/// A scheduler that starts a run at once, and then not before next year.
fn cron(world: &World) -> Vieter {
    fs::create_dir_all(world.path("status")).expect("make a folder");
    world
        .vieter("cron")
        .env("VIETER_RUN_AT_START", "true")
        .env("VIETER_SCHEDULE", "0 3 1 1 *")
        .env("VIETER_STATUS_FILE", status_file(world))
        .env("VIETER_HTTP_ATTEMPTS", "1")
}

fn status_file(world: &World) -> PathBuf {
    world.path("status/status.json")
}

/// Gives the world a list whose run waits for a Git server that says nothing.
fn endless(world: &World) -> TcpListener {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listen");
    let port = silent.local_addr().expect("a bound socket has an address").port();
    world.list(&[Target::git(format!("git://127.0.0.1:{port}/silent"), "repo")]);
    silent
}

/// A scheduler whose run has begun its work, and the connection that this one waits on.
fn begun(vieter: Vieter, silent: &TcpListener) -> (Running, TcpStream) {
    let running = vieter.spawn();
    silent.set_nonblocking(true).expect("set an option");
    let end = Instant::now() + SHORT;
    loop {
        match silent.accept() {
            Ok((connection, _)) => return (running, connection),
            Err(error) => {
                assert!(Instant::now() < end, "Git does not connect: {error}\n{}", running.stderr())
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn says(part: &str) -> impl Fn(&Value) -> bool {
    move |line| line["message"].as_str().is_some_and(|message| message.contains(part))
}

fn pid(number: u32) -> Pid {
    i32::try_from(number).ok().and_then(Pid::from_raw).expect("a process id")
}

/// The run that a scheduler has started.
fn child_of(scheduler: &Running) -> Pid {
    let parent = scheduler.pid();
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).expect("it runs");
    let children = tasks.map(|task| fs::read_to_string(task.expect("a thread").path().join("children")));
    let children: String = children.map(Result::unwrap_or_default).collect();
    pid(children.trim().parse().expect("one child"))
}

/// Looks at the end of a scheduler that was stopped in the middle of a run.
fn assert_stopped(world: &World, running: Running, code: i32) {
    world.wait_scheduler(running, SHORT).assert_code(code);
    let report = world.report();
    assert_eq!((&report.0["ended"], &report.0["by"]), (&"stopped".into(), &"terminated".into()));
    let status = fs::read_to_string(status_file(world)).expect("there is a status file");
    let status: Value = serde_json::from_str(&status).expect("it is JSON");
    assert_eq!(status["last"]["exit_status"], 143, "{status}");
    assert_eq!(status["running_since"], Value::Null, "{status}");
}

#[test]
fn a_signal_stops_the_run_which_is_the_last_one_then() {
    let world = World::without_image(Kind::Directory);
    let silent = endless(&world);
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let (running, _connection) = begun(cron(&world), &silent);
        running.signal(signal);
        assert_stopped(&world, running, code);
    }
}

#[test]
fn a_signal_from_the_terminal_reaches_the_run_once() {
    let world = World::without_image(Kind::Directory);
    let silent = endless(&world);
    // A session of its own, as a terminal gives it: setsid executes what follows in its own place.
    let cron = cron(&world);
    let (running, _connection) = begun(cron.through("setsid"), &silent);
    let (scheduler, run) = (pid(running.pid()), child_of(&running));
    assert_eq!(getpgid(Some(scheduler)), Ok(scheduler));
    assert_ne!(getpgid(Some(run)), Ok(scheduler), "Ctrl-C signals the run as well");
    kill_process_group(scheduler, Signal::INT).expect("signal a group");
    assert_stopped(&world, running, 130);
}

#[test]
fn a_run_that_systemd_signals_too_cleans_up_in_peace() {
    let world = World::new(Kind::Directory);
    world.packages(&[Package::new("slow").build_body("echo 'now in build'; sleep 300")]);
    let mut running = cron(&world).env("INVOCATION_ID", "0123456789abcdef").spawn();
    running.wait_for_log(says("now in build"), PATIENCE);
    kill_process(child_of(&running), Signal::TERM).expect("signal the run");
    running.signal(Signal::TERM);
    // And that no container is left, the world looks at.
    assert_stopped(&world, running, 143);
}

#[test]
fn a_program_that_was_replaced_still_starts_its_runs() {
    let world = World::without_image(Kind::Directory);
    let silent = endless(&world);
    // The scheduler's own file is gone by the time it starts a run.
    let script = world.path("from-a-removed-file");
    let text = "#!/bin/sh -e\ncp \"$1\" copy\nexec 3<copy\nrm copy\nshift\nexec /proc/self/fd/3 \"$@\"\n";
    fs::write(&script, text).expect("write a script");
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("make it executable");
    let (running, _connection) = begun(cron(&world).through(script.to_str().expect("a name")), &silent);
    let line = fs::read(format!("/proc/{}/cmdline", child_of(&running).as_raw_nonzero()));
    assert_eq!(line.expect("it runs"), b"vieter\0build\0");
    running.signal(Signal::TERM);
    assert_stopped(&world, running, 143);
}

#[test]
fn only_the_first_write_of_the_status_file_is_fatal() {
    let world = World::without_image(Kind::Directory);
    let silent = endless(&world);
    let nowhere = world.path("nowhere/status.json");
    let finished = world.run(cron(&world).env("VIETER_STATUS_FILE", nowhere));
    finished.assert_code(64);
    assert_eq!(finished.messages("VIETER_STATUS_FILE").len(), 1, "{}", finished.stderr);

    let (mut running, connection) = begun(cron(&world), &silent);
    fs::rename(world.path("status"), world.path("elsewhere")).expect("move a folder");
    drop(connection);
    running.wait_for_log(says("the run has ended"), SHORT);
    let warning = running.wait_for_log(says("cannot be written"), SHORT);
    assert_eq!(warning["level"], "warn");
    running.wait_for_log(
        |line| says("the next run starts at")(line) && line.to_string().contains("-01-01T03"),
        SHORT,
    );
    running.signal(Signal::TERM);
    let finished = world.wait_scheduler(running, SHORT);
    finished.assert_code(143);
    assert_eq!(finished.messages("cannot be written").len(), 1, "it says so once");
}

#[test]
fn a_time_zone_that_cannot_be_read_is_64() {
    let world = World::without_image(Kind::Directory);
    let waiting = || cron(&world).env("VIETER_RUN_AT_START", "false");
    let finished = world.run(waiting().env("TZ", "Europe/Brussel"));
    finished.assert_code(64);
    let message = "TZ is `Europe/Brussel`, which is no time zone";
    assert_eq!(finished.messages(message).len(), 1, "{}", finished.stderr);
    for (variables, zone) in [
        (&[("TZ", "Europe/Brussels")][..], "[Europe/Brussels]"),
        (&[("TZ", "nonsense"), ("VIETER_TIMEZONE", "Asia/Tokyo")], "[Asia/Tokyo]"),
        (&[("TZ", "")], "UTC]"),
    ] {
        let cron = variables.iter().fold(waiting(), |cron, (name, value)| cron.env(name, value));
        let mut running = cron.spawn();
        let line = running.wait_for_log(says("the next run starts at"), SHORT);
        assert!(says(zone)(&line), "{zone}: {line}");
        running.signal(Signal::TERM);
        world.wait(running, SHORT).assert_code(143);
    }
}

#[test]
fn the_health_check_tells_of_a_scheduler() {
    let world = World::without_image(Kind::Directory);
    let silent = endless(&world);
    let (running, _connection) = begun(cron(&world), &silent);
    let end = Instant::now() + SHORT;
    let health = loop {
        let health = Health::judge(&status_file(&world), Purpose::Unknown, Timestamp::now());
        if health.message.contains("a run") || Instant::now() > end {
            break health;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(health.healthy && health.message.contains("a run has been going on"), "{}", health.message);
    running.signal(Signal::TERM);
    assert_stopped(&world, running, 143);
    let said = world.vieter("healthcheck").env("VIETER_STATUS_FILE", status_file(&world)).run().stdout;
    assert!(said.contains("with status 143"), "{said}");
}
