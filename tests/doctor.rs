//! `vieter doctor`: what it finds, and that it finds nothing wrong where nothing is.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::{ARCH, Kind, NEW, OLD, REPO, World};
use serde_json::json;
use sha2::{Digest, Sha256};
use vieter_test_support::docker::docker;
use vieter_test_support::packages::tiny;
use vieter_test_support::program::{Finished, Signal, Vieter};
use vieter_test_support::vieter_server::{Failure, Target, on};

const SHORT: Duration = Duration::from_secs(10);

fn doctor(world: &World) -> Vieter {
    world.vieter("doctor").env("VIETER_HTTP_ATTEMPTS", "1")
}

/// Fails unless the doctor found this of that: `ok`, `warn` or `FAIL`, and words that contain `part`.
fn assert_found(finished: &Finished, state: &str, what: &str, part: &str) {
    let start = format!("{state:4}  {what}: ");
    let found = finished.stdout.lines().filter_map(|line| line.strip_prefix(&start));
    let found: Vec<&str> = found.collect();
    assert!(found.iter().any(|seen| seen.contains(part)), "no {start}...{part}:\n{}", finished.stdout);
}

/// A registry that has one image, for one architecture, and serves nothing but its index.
fn registry_for(go_arch: &str) -> String {
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
        "manifests": [{
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "size": 2, "digest": format!("sha256:{}", "0".repeat(64)),
            "platform": {"architecture": go_arch, "os": "linux"},
        }],
    });
    let index = index.to_string();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listen");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    thread::spawn(move || {
        // One that goes away, or speaks TLS, is its own business.
        listener.incoming().flatten().for_each(|stream| drop(serve(&stream, &index)));
    });
    format!("127.0.0.1:{port}/archlinux:latest")
}

fn serve(mut stream: &TcpStream, index: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let body = if request.contains("/manifests/") { index } else { "{}" };
    let digest = hex(body.as_bytes());
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.distribution.manifest.list.v2+json\r\n\
         Content-Length: {}\r\nDocker-Content-Digest: sha256:{digest}\r\nConnection: close\r\n\
         Docker-Distribution-Api-Version: registry/2.0\r\n\r\n",
        body.len()
    )?;
    if request.starts_with("HEAD ") { Ok(()) } else { stream.write_all(body.as_bytes()) }
}

/// Loads an image for an architecture that has nothing in it. Its archive is made in a folder.
fn load_for(go_arch: &str, name: &str, folder: &Path) {
    let layer = [0; 1024];
    let config = json!({
        "architecture": go_arch, "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hex(&layer))]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    std::fs::create_dir(folder).expect("make a folder");
    std::fs::write(folder.join("layer.tar"), layer).expect("write a file");
    std::fs::write(folder.join("config.json"), config.to_string()).expect("write a file");
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).expect("write a file");
    let files = ["manifest.json", "config.json", "layer.tar"];
    let tar = Command::new("tar").current_dir(folder).args(["-cf", "image.tar"]).args(files).status();
    assert!(tar.expect("run tar").success(), "tar fails");
    docker(&["load", "--input", folder.join("image.tar").to_str().expect("a name")]);
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn all_is_well_where_it_is() {
    for kind in [Kind::Directory, NEW, OLD] {
        let world = World::without_image(kind);
        world.list(&[world.entry(&tiny("any", "1.0", 1))]);
        let finished = world.run(doctor(&world).env("VIETER_CACHE_DIR", world.path("not/there/yet")));
        finished.assert_code(0);
        assert!(!finished.stdout.contains("FAIL"), "{}", finished.stdout);
        assert_found(&finished, "ok", "reports", "is not there yet, and can be made in");
        assert_found(&finished, "ok", "cache", "is not there yet, and can be made in");
        assert_found(&finished, "ok", "list", "1 entries");
        assert_found(&finished, "ok", "architecture", &format!("1 of 1 entries are for {ARCH}"));
        assert_found(&finished, "ok", "tools", "pacman and makepkg");
        assert_found(&finished, "ok", "lock file", "can be written");
        assert_found(&finished, "ok", "open files", "16384, as VIETER_NOFILE says");
        match kind {
            Kind::Directory => assert_found(&finished, "ok", "static repository", "can be made in"),
            Kind::Server(_) => assert_found(&finished, "ok", "package server", "accepts the API key"),
        }
        let made: Vec<_> =
            ["not", "report", "public"].into_iter().filter(|name| world.path(name).exists()).collect();
        assert!(made.is_empty(), "it changes nothing, but there is {made:?}\n{}", finished.stderr);
    }
}

#[test]
fn a_package_server_is_proven_also_when_the_list_is_in_a_file() {
    for kind in [NEW, OLD] {
        let world = World::without_image(kind);
        world.list_in_file(&[world.entry(&tiny("any", "1.0", 1))]);
        let finished = world.run(doctor(&world));
        finished.assert_code(0);
        assert_found(&finished, "ok", "package server", &world.server().url());

        let finished = world.run(doctor(&world).env("VIETER_API_KEY", "another"));
        finished.assert_code(69);
        assert_found(&finished, "FAIL", "package server", "does not accept the API key");
        assert_found(&finished, "ok", "list", "1 entries");

        let finished = world.run(doctor(&world).env("VIETER_ADDRESS", "http://127.0.0.1:1"));
        finished.assert_code(69);
        assert_found(&finished, "FAIL", "package server", "127.0.0.1:1");
        assert_found(&finished, "ok", "list", "1 entries");
    }
    // The same is not told twice.
    let world = World::without_image(NEW);
    let finished = world.run(doctor(&world).env("VIETER_API_KEY", "another"));
    finished.assert_code(69);
    assert_found(&finished, "FAIL", "package server", "does not accept the API key");
    assert_eq!(finished.stdout.matches("FAIL").count(), 1, "{}", finished.stdout);
}

#[test]
fn what_is_not_looked_at_without_the_base_image_is_told() {
    let world = World::without_image(Kind::Directory);
    let with = |image: &str, pull: &str| {
        let doctor = doctor(&world).env("VIETER_BASE_IMAGE", image).env("VIETER_PULL", pull);
        let finished = world.run(doctor);
        assert_found(&finished, "warn", "container", "room for builds");
        assert!(finished.stdout.contains(&format!("docker pull {image}")), "{}", finished.stdout);
        finished
    };
    let ours = registry_for("amd64");
    let finished = with(&ours, "always");
    finished.assert_code(0);
    assert_found(&finished, "ok", "base image", "can be pulled");

    let finished = with(&ours, "never");
    finished.assert_code(69);
    assert_found(&finished, "FAIL", "base image", "VIETER_PULL=never");

    let finished = with(&registry_for("arm64"), "missing");
    finished.assert_code(69);
    assert_found(&finished, "FAIL", "base image", &format!("is there for aarch64, and not for {ARCH}"));

    let finished = with("127.0.0.1:1/archlinux:latest", "always");
    finished.assert_code(69);
    assert_found(&finished, "FAIL", "base image", "in its registry");
}

#[test]
fn what_keeps_every_run_from_starting_is_told() {
    let world = World::without_image(Kind::Directory);
    let nowhere = world.path("nowhere/file");
    let doctor = doctor(&world)
        .env("VIETER_LOCK_FILE", &nowhere)
        .env("VIETER_STATUS_FILE", &nowhere)
        .env("VIETER_NOFILE", "2000000000");
    let finished = world.run(doctor);
    finished.assert_code(69);
    assert_found(&finished, "FAIL", "lock file", "nowhere/file");
    assert_found(&finished, "FAIL", "status file", "nowhere/file");
    assert_found(&finished, "FAIL", "container", "rlimit");
    assert!(finished.stdout.contains("fix: lower VIETER_NOFILE"), "{}", finished.stdout);
}

#[test]
fn a_base_image_for_other_machines_is_told() {
    let world = World::without_image(Kind::Directory);
    // What is here is for others; the registry has it for us.
    let name = registry_for("amd64");
    load_for("arm64", &name, &world.path("image"));
    let with =
        |pull: &str| world.run(doctor(&world).env("VIETER_BASE_IMAGE", &name).env("VIETER_PULL", pull));
    let (kept, pulled) = (with("missing"), with("always"));
    docker(&["image", "rm", &name]);
    kept.assert_code(69);
    assert_found(&kept, "FAIL", "base image", &format!("is for aarch64, and not for {ARCH}"));
    assert_eq!(kept.stdout.matches("FAIL").count(), 1, "{}", kept.stdout);
    pulled.assert_code(0);
    assert_found(&pulled, "ok", "base image", "can be pulled");
}

#[test]
fn a_daemon_that_says_nothing_is_not_waited_for_longer_than_was_allowed() {
    let world = World::without_image(Kind::Directory);
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listen");
    let host = format!("tcp://{}", silent.local_addr().expect("a bound socket has an address"));
    let begin = Instant::now();
    let doctor = doctor(&world).env("DOCKER_HOST", host).env("VIETER_DOCKER_WAIT", "1s");
    let finished = world.run(doctor.env("DOCKER_TLS_VERIFY", ""));
    finished.assert_code(69);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_found(&finished, "FAIL", "Docker", "no answer within 5 s; VIETER_DOCKER_WAIT");
}

#[test]
fn ssh_does_not_hear_what_a_terminal_sends() {
    let world = World::without_image(Kind::Directory);
    // It tells of which process group it is.
    let ssh = world.path("ssh");
    std::fs::write(&ssh, "#!/bin/sh\necho \"$$ $(cut -d ' ' -f 5 /proc/$$/stat)\" >&2\n")
        .expect("write a script");
    std::fs::set_permissions(&ssh, PermissionsExt::from_mode(0o755)).expect("make it executable");
    let path = std::env::var("PATH").expect("it is set");
    let path = format!("{}:{path}", world.path("").display());
    let doctor = doctor(&world).env("DOCKER_HOST", "ssh://far").env("VIETER_DOCKER_WAIT", "0s");
    let finished = world.run(doctor.env("PATH", path));
    finished.assert_code(69);
    let said = finished.stdout.split_once("ssh: ").expect("what ssh said").1;
    let numbers: Vec<&str> = said.split_whitespace().take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{}", finished.stdout);
}

#[test]
fn a_list_for_other_machines_is_a_warning() {
    let world = World::without_image(Kind::Directory);
    let any = world.entry(&tiny("any", "1.0", 1));
    world.list(&[Target { arch: vec!["aarch64".to_owned()], ..any }]);
    let finished = world.run(doctor(&world));
    finished.assert_code(0);
    assert_found(&finished, "warn", "architecture", &format!("is for {ARCH}"));
}

#[test]
fn what_only_looks_leaves_the_logs_of_the_last_run_alone() {
    let world = World::without_image(Kind::Directory);
    let log = world.path("report/logs/01-package.log");
    std::fs::create_dir_all(world.path("report/logs")).expect("make a folder");
    std::fs::write(&log, "==> step make").expect("write a file");
    for command in ["doctor", "plan"] {
        world.run(world.vieter(command)).assert_code(0);
        assert!(log.exists(), "{command} removed it");
    }
}

#[test]
fn a_signal_ends_it() {
    let world = World::without_image(NEW);
    world.list(&[Target::git(world.git.url("any"), REPO)]);
    for (number, (signal, code)) in [(Signal::TERM, 143), (Signal::INT, 130)].into_iter().enumerate() {
        world.server().fail_next(on("GET", "/api/v1/targets"), Failure::Hang, 1);
        let running = doctor(&world).spawn();
        let end = Instant::now() + SHORT;
        while world.server().requests_of("GET", "/api/v1/targets").len() <= number {
            assert!(Instant::now() < end, "it does not ask the server");
            thread::sleep(Duration::from_millis(20));
        }
        running.signal(signal);
        world.wait(running, SHORT).assert_code(code);
    }
}
