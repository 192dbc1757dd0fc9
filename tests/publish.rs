//! How packages get to a Vieter server: the requests, what happens when they fail, and that nothing is sent
//! which the PKGBUILD did not promise.

mod common;

use std::time::Duration;

use common::{Kind, NEW, OLD, REPO, World};
use vieter_test_support::packages::{Package, failing_build, split, tiny, unparseable};
use vieter_test_support::vieter_server::{Failure, Recorded, Target, on};

/// A request that is not spoilt, in a row of those that are.
const NOTHING: Failure = Failure::Delay(Duration::ZERO);

#[test]
fn uploads_are_tried_again_on_the_old_server() {
    uploads_are_tried_again(OLD);
}

#[test]
fn uploads_are_tried_again_on_the_new_server() {
    uploads_are_tried_again(NEW);
}

fn uploads_are_tried_again(kind: Kind) {
    let world = World::new(kind);
    let server = world.server();
    world.packages(&[split("parts", &["part-a", "part-b", "part-c"])]);
    for failure in [
        // part-a, whose third upload gets lost:
        Failure::DropConnection,
        Failure::Status(503),
        NOTHING,
        NOTHING,
        // part-b:
        Failure::DropAnswer,
        NOTHING,
        // part-c:
        Failure::Truncate,
    ] {
        server.fail_next(on("POST", "/repo/publish"), failure, 1);
    }
    server.lose_uploads(1);
    server.fail_next(on("HEAD", "/repo/x86_64/part-c"), Failure::Status(502), 1);
    server.fail_next(on("GET", "/api/"), Failure::DropConnection, 1);
    world.build().assert_code(0);
    world.assert_published(&["part-a 1.0-1", "part-b 1.0-1", "part-c 1.0-1"]);

    let uploads = server.requests_of("POST", "/repo/publish");
    let statuses: Vec<Option<u16>> = uploads.iter().map(|upload| upload.status).collect();
    let ok = Some(200);
    assert_eq!(statuses[..7], [None, Some(503), ok, ok, None, ok, ok]);
    for upload in &uploads {
        assert_eq!(upload.header("X-Api-Key"), Some(server.api_key()));
        assert_eq!(upload.header("Expect"), None, "it would be waited for in vain");
        assert_eq!(upload.header("Transfer-Encoding"), None, "chunks are refused");
        let length: u64 = upload.header("Content-Length").and_then(|l| l.parse().ok()).expect("a length");
        // A connection that is dropped takes nothing.
        assert!(upload.body_length == length || upload.body_length == 0, "{upload:?}");
    }
    assert!(is_confirmed(&server.requests(), "part-a"), "{:?}", server.requests());

    // What is there already is no failure, also where the server minds.
    server.refuse_duplicates();
    if kind == OLD {
        world.run(world.vieter("build").env("VIETER_FORCE", "parts")).assert_code(0);
        assert!(server.requests_of("POST", "/repo/publish").iter().any(|upload| upload.status == Some(400)));
    }
}

/// Whether the server was asked for a package after the last upload that could have been its.
fn is_confirmed(requests: &[Recorded], name: &str) -> bool {
    let last = |wanted: &dyn Fn(&Recorded) -> bool| requests.iter().rposition(wanted);
    let upload = requests.iter().position(|request| request.is("POST", "/publish"));
    last(&|request| request.is("HEAD", &format!("/{name}-"))) > upload
}

#[test]
fn failing_entries_do_not_stop_the_others_on_the_old_server() {
    failing_entries_do_not_stop_the_others(OLD);
}

#[test]
fn failing_entries_do_not_stop_the_others_on_the_new_server() {
    failing_entries_do_not_stop_the_others(NEW);
}

#[test]
fn failing_entries_do_not_stop_the_others_in_a_directory() {
    failing_entries_do_not_stop_the_others(Kind::Directory);
}

fn failing_entries_do_not_stop_the_others(kind: Kind) {
    let world = World::new(kind);
    let other =
        |name: &str, repo: &str| Target { repo: repo.to_owned(), ..world.entry(&tiny(name, "1.0", 1)) };
    let mut entries = vec![
        Target::git(world.git.url("missing"), REPO),
        world.entry(&unparseable("unreadable")),
        world.entry(&failing_build("broken")),
        world.entry(&tiny("needy", "1.0", 1).depends(&["broken"])),
        world.entry(&tiny("lonely", "1.0", 1).depends(&["there-is-no-such-package"])),
        Target { branch: "no-such-branch".to_owned(), ..world.entry(&tiny("branchless", "1.0", 1)) },
        other("refused", "refusing"),
    ];
    match kind {
        Kind::Directory => {
            // In the place of the package is something that cannot be replaced.
            let place = "refusing/x86_64/refused-1.0-1-x86_64.pkg.tar.zst/folder";
            std::fs::create_dir_all(world.directory().join(place)).expect("make a folder");
        }
        Kind::Server(_) => {
            let server = world.server();
            server.fail_next(on("POST", "/refusing/publish"), Failure::Status(500), 100);
            let halved = split("halved", &["half-a", "half-b"]);
            entries.push(Target { repo: "halving".to_owned(), ..world.entry(&halved) });
            server.fail_next(on("POST", "/halving/publish"), NOTHING, 1);
            server.fail_next(on("POST", "/halving/publish"), Failure::Status(500), 100);
        }
    }
    entries.push(world.entry(&tiny("good", "1.0", 1)));
    world.list(&entries);
    let finished = world.build();
    finished.assert_code(1);
    world.assert_published(&["good 1.0-1"]);

    let report = world.report();
    report.assert_failed("missing", "clone", &["cannot clone", &world.git.url("missing")]);
    report.assert_failed("branchless#no-such-branch", "clone", &["no-such-branch"]);
    report.assert_failed("unreadable", "pkgbuild", &["PKGBUILD"]);
    report.assert_failed("broken", "build", &["exit code 4", "the build is broken on purpose"]);
    report.assert_failed("lonely", "dependency", &["there-is-no-such-package"]);
    assert_eq!(report.entry("needy")["result"], "blocked");
    assert_eq!(report.entry("needy")["by"][0], "broken");
    match kind {
        Kind::Directory => report.assert_failed("refused", "publish", &["refused-1.0-1-x86_64.pkg.tar.zst"]),
        Kind::Server(_) => {
            report.assert_failed("refused", "publish", &["could not be published", "500"]);
            let parts = ["half-a-1.0-1-x86_64.pkg.tar.zst is published", "half-b", "is not"];
            report.assert_failed("halved", "publish", &parts);
            assert_eq!(report.entry("halved")["published"][0]["name"], "half-a");
        }
    }
    if kind == NEW {
        look_at_logs(&world);
    }
    // Each is named in the log, with what to do; and the last line says how many.
    for name in ["missing", "branchless", "unreadable", "broken", "lonely", "needy", "refused"] {
        let of_it = |line: &&serde_json::Value| {
            line["level"] == "error" && line["message"].as_str().is_some_and(|m| m.contains(name))
        };
        assert!(finished.json_lines().iter().any(|line| of_it(&line)), "{name} is not in the log");
    }
    let last = finished.json_lines().pop().expect("there are lines");
    assert_eq!((&last["exit_status"], &last["published"]), (&1.into(), &1.into()));
}

/// The new server keeps the log of each build, under the number of its entry.
fn look_at_logs(world: &World) {
    let logs = world.server().logs();
    // Entries are numbered from 1.
    let of = |target: usize| logs.iter().find(|log| log.target_id == target).expect("there is a log of it");
    let broken = of(3);
    assert!(broken.content.contains("the build is broken on purpose"), "{}", broken.content);
    assert_ne!(broken.exit_code, 0);
    let good = of(9);
    assert!(good.content.contains("==> Finished making: good"), "{}", good.content);
    assert_eq!((good.exit_code, good.arch.as_str()), (0, common::ARCH));
    assert!(good.start_time > 1_700_000_000 && good.start_time <= good.end_time, "{good:?}");
    assert!(!logs.iter().any(|log| log.target_id == 4), "what was not built has no log");
}

#[test]
fn what_was_not_promised_is_not_published() {
    let world = World::new(NEW);
    let cases = [
        ("extra", r#"touch "$PKGDEST/glibc-99-1-x86_64.pkg.tar.zst""#, "nobody promised"),
        ("folder", r#"mkdir "$PKGDEST/folder""#, "folder is no regular file"),
        (
            "linked",
            r#"ln -s /build/elsewhere "$PKGDEST/linked-1.0-1-x86_64.pkg.tar.zst""#,
            "is no regular file",
        ),
    ];
    let mut packages: Vec<Package> =
        cases.iter().map(|(name, body, _)| tiny(name, "1.0", 1).package_body(body)).collect();
    let overriding = [
        (
            "renamed",
            "eval \"own_$(declare -f write_pkginfo)\"\n\
             write_pkginfo() { own_write_pkginfo \"$@\" | sed 's/^pkgname = .*/pkgname = glibc/'; }",
            "says that it is glibc-1.0-1-x86_64",
        ),
        (
            "newer",
            "eval \"own_$(declare -f write_pkginfo)\"\n\
             write_pkginfo() { own_write_pkginfo \"$@\" | sed 's/^pkgver = .*/pkgver = 9:1.0-1/'; }",
            "says that it is newer-9:1.0-1-x86_64",
        ),
        ("absent", "create_package() { :; }", "did not leave absent-1.0-1-x86_64"),
        (
            "garbage",
            "create_package() { echo garbage > \"$PKGDEST/garbage-1.0-1-x86_64.pkg.tar.zst\"; }",
            "garbage-1.0-1-x86_64.pkg.tar.zst",
        ),
    ];
    packages.extend(overriding.iter().map(|(name, lines, _)| tiny(name, "1.0", 1).line(lines)));
    // What a build leaves running does not keep its step from ending.
    packages.push(tiny("quiet", "1.0", 1).build_body("sleep 1000 &"));
    packages.push(tiny("noisy", "1.0", 1).build_body("while sleep 0.5; do echo more; done &"));
    world.packages(&packages);
    world.run(world.vieter("build").env("VIETER_BUILD_TIMEOUT", "60s")).assert_code(1);
    let report = world.report();
    let messages = cases.iter().chain(&overriding).map(|(name, _, message)| (name, message));
    for (name, message) in messages {
        report.assert_failed(name, "refused", &["nothing was published", message]);
    }
    world.assert_published(&["noisy 1.0-1", "quiet 1.0-1"]);
    assert_eq!(world.server().requests_of("POST", "/publish").len(), 2);
}

#[test]
fn a_large_package_passes_through_in_little_memory() {
    let world = World::new(NEW);
    let large = Package::new("large").options(&["!strip", "!debug"]).line("PKGEXT='.pkg.tar'").package_body(
        "mkdir -p \"$pkgdir/usr/share\"; head -c 256M /dev/urandom > \"$pkgdir/usr/share/large\"",
    );
    world.packages(&[large]);
    let mut running = world.vieter("build").spawn();
    let (mut memory, mut disk) = (0, 0);
    while !running.has_ended() {
        memory = memory.max(peak_memory(running.pid()));
        disk = disk.max(common::size_of(&world.path("tmp")));
        std::thread::sleep(Duration::from_millis(20));
    }
    world.wait(running, Duration::from_secs(5)).assert_code(0);
    let upload = &world.server().requests_of("POST", "/repo/publish")[0];
    assert!(upload.body_length > 256 << 20, "{upload:?}");
    assert!(memory > 0 && memory < 128 << 20, "{memory} bytes of memory");
    assert!(disk < 8 << 20, "{disk} bytes in the directory for temporary files");
}

/// The most memory a process has had, in bytes; 0 when it is gone.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
