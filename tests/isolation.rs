//! What code from a PKGBUILD can do, see and use up: a build is hostile until the opposite is shown.

mod common;

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::web::Web;
use common::{Kind, NEW, REPO, Watch, World, files_below};
use serde_json::Value;
use vieter_test_support::docker::{base_image, docker, image_history, image_inspect, output};
use vieter_test_support::otlp::Collector;
use vieter_test_support::packages::{Package, depends_on, tiny};
use vieter_test_support::program::{Finished, Signal};
use vieter_test_support::vieter_server::Target;

#[test]
fn secrets_stay_with_the_program() {
    let world = World::new(NEW);
    let look_around = "echo 'probe: looking'; env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; \
        find / -xdev -name 'docker*.sock' 2>/dev/null | sed 's/^/probe: socket /'";
    let web = Web::start();
    let with_token = format!("{}/none", web.url()).replace("http://", "http://jane:token-of-jane@");
    world.list(&[
        world.entry(&Package::new("curious").build_body(look_around)),
        Target::git(&with_token, REPO),
    ]);
    let (collector, watch) = (Collector::start(), Watch::start());
    let key = world.server().api_key().to_owned();
    fs::write(world.path("key"), format!("{key}\n")).expect("write the key");
    let finished = world.run(
        world
            .vieter("build")
            .env("VIETER_API_KEY", "")
            .env("VIETER_API_KEY_FILE", world.path("key"))
            .env("VIETER_LOG_LEVEL", "trace")
            .env("VIETER_HTTP_ATTEMPTS", "1")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
            .env("GITHUB_STEP_SUMMARY", world.path("report/summary.md"))
            .env("SECRET_OF_THE_CALLER", "a secret of the caller")
            .sample_cmdlines(),
    );
    finished.assert_code(1);
    world.assert_published(&["curious 1.0-1"]);
    assert!(!probes(&finished).iter().any(|line| line.starts_with("socket")), "a Docker socket is in reach");

    let report: String = files_below(&world.path("report"))
        .iter()
        .map(|file| fs::read_to_string(world.path("report").join(file)).expect("reports are text"))
        .collect();
    let image = watch.recorder().inspections()[0]["Image"].as_str().expect("an image").to_owned();
    let logs: String = world.server().logs().into_iter().map(|log| log.content).collect();
    let spans = collector.raw_bodies().concat();
    let places = [
        ("what it says", finished.text(), "probe: looking"),
        ("what Docker is told", watch.recorder().text(), "makepkg"),
        ("the image", image_inspect(&image) + &image_history(&image), "dev.vieter.setup"),
        ("the reports", report, "probe: looking"),
        ("the log on the server", logs, "probe: looking"),
        ("spans and metrics", String::from_utf8_lossy(&spans).into_owned(), "curious"),
    ];
    for (place, text, present) in places {
        assert!(text.contains(present), "{place} does not have what it should, so the search is void");
        for secret in [&key, "token-of-jane", "a secret of the caller"] {
            assert!(!text.contains(secret), "{secret} is in {place}");
        }
    }
    assert!(finished.cmdlines.iter().any(|line| line.starts_with("git ")), "{:?}", finished.cmdlines);
    let shown = with_token.replace("jane:token-of-jane", "***");
    assert!(finished.stderr.contains(&shown), "the address is shown without what is secret");
}

/// What a build finds out about itself, each as a line `probe: <name> <answer>`.
const PROBES: &str = r#"
probe() { echo "probe: $1 $(eval "$2" 2>&1 | tr '\n' ' ')"; }
probe uid 'id -u'
probe groups 'id -G'
probe nnp 'sed -n "s/^NoNewPrivs:\t//p" /proc/self/status'
probe effective 'sed -n "s/^CapEff:\t//p" /proc/self/status'
probe permitted 'sed -n "s/^CapPrm:\t//p" /proc/self/status'
probe ambient 'sed -n "s/^CapAmb:\t//p" /proc/self/status'
probe sudo 'sudo -n id -u </dev/null >/dev/null && echo root || echo no'
probe su 'su root -c "id -u" </dev/null >/dev/null && echo root || echo no'
probe shadow 'cat /etc/shadow >/dev/null && echo read || echo no'
probe mount 'mount -t tmpfs none /mnt && echo mounted || echo no'
for place in / /usr/bin /etc /etc/pacman.d /var/cache/pacman/pkg /var/lib/pacman /var/lib/pacman/sync; do
    probe "write-$place" "touch $place/probe && echo written || echo no"
done
probe kill 'kill -9 1 && echo killed || echo no'
probe disks 'ls /dev | grep -E "^(sd|vd|nvme|mem$|kmsg)" || echo no'
probe networks 'ls /sys/class/net'
"#;

#[test]
fn builds_run_without_any_right() {
    let world = World::new(Kind::Directory);
    let probing = Package::new("probing").build_body(PROBES.trim());
    let packages = [tiny("lib", "1.0", 1), depends_on("user", "lib"), probing];
    world.packages(&packages);
    let watch = Watch::start();
    let finished = world.run(
        world
            .vieter("build")
            // The dependency comes through the program, so no network is needed for it.
            .env("VIETER_NETWORK", "none")
            .env("VIETER_MEMORY", "1G")
            .env("VIETER_CPUS", "1.5")
            .env("VIETER_PIDS", "500")
            .env("VIETER_NOFILE", "3000"),
    );
    finished.assert_code(0);
    let answers = probes(&finished);
    let answer = |name: &str| {
        let found = answers.iter().find_map(|line| line.strip_prefix(&format!("{name} ")));
        found.unwrap_or_else(|| panic!("no answer to {name} in {answers:?}")).to_owned()
    };
    assert_ne!(answer("uid"), "0");
    assert_eq!(answer("groups"), answer("uid"));
    assert_eq!(answer("nnp"), "1");
    for set in ["effective", "permitted", "ambient"] {
        assert_eq!(answer(set), "0000000000000000", "{set}");
    }
    assert_eq!(answer("networks"), "lo");
    let denied =
        ["sudo", "su", "shadow", "mount", "kill", "disks", "write-/", "write-/usr/bin", "write-/etc"];
    let pacman = ["write-/etc/pacman.d", "write-/var/cache/pacman/pkg", "write-/var/lib/pacman"];
    for name in denied.iter().chain(&pacman).chain(&["write-/var/lib/pacman/sync"]) {
        let answer = answer(name);
        assert_eq!(answer.split_whitespace().last(), Some("no"), "{name}: {answer}");
    }

    let builds = watch.recorder().inspections().into_iter().filter(|container| {
        let labels = &container["Config"]["Labels"];
        labels["dev.vieter.run"] == finished.run_id().as_str() && labels["dev.vieter.role"] == "build"
    });
    let mut count = 0;
    for container in builds {
        count += 1;
        let host = &container["HostConfig"];
        assert_eq!(host["Memory"], 1_u64 << 30);
        assert_eq!(host["MemorySwap"], 1_u64 << 30, "no swap on top");
        assert_eq!(host["NanoCpus"], 1_500_000_000);
        assert_eq!(host["PidsLimit"], 500);
        assert_eq!(host["Ulimits"][0]["Name"], "nofile");
        assert_eq!(host["Ulimits"][0]["Hard"], 3000);
        assert_eq!((&host["Privileged"], &host["CapDrop"][0]), (&false.into(), &"ALL".into()));
        let security = host["SecurityOpt"].as_array().expect("there are security options");
        assert!(
            security.iter().any(|option| option.as_str().is_some_and(|o| o.starts_with("no-new-privileges")))
        );
        assert_eq!(host["NetworkMode"], "none");
        assert!(host["Binds"].is_null(), "nothing of this machine is in it: {host:#}");
        assert!(container["Mounts"].as_array().is_none_or(Vec::is_empty), "{:#}", container["Mounts"]);
        let environment = container["Config"]["Env"].to_string();
        assert!(!environment.contains("VIETER"), "{environment}");
    }
    assert!(count >= 3, "the containers were not looked at");
}

fn probes(finished: &Finished) -> Vec<String> {
    let lines = finished.json_lines();
    let texts = lines.iter().filter_map(|line| line["message"].as_str()?.trim_end().strip_prefix("probe: "));
    texts.map(str::to_owned).collect()
}

#[test]
fn what_uses_up_too_much_is_stopped() {
    let world = World::new(Kind::Directory);
    world.packages(&[
        Package::new("greedy").build_body("head -c 600M /dev/zero | tail > /dev/null"),
        Package::new("silent").build_body("sleep 300"),
        Package::new("slow").build_body("while sleep 1; do echo working; done"),
        Package::new("loud").build_body("for n in {1..3000}; do echo \"line $n of too many\"; done"),
    ]);
    let finished = world.run(
        world
            .vieter("build")
            .env("VIETER_MEMORY", "200M")
            .env("VIETER_IDLE_TIMEOUT", "12s")
            .env("VIETER_BUILD_TIMEOUT", "40s")
            .env("VIETER_LOG_LIMIT", "20K"),
    );
    finished.assert_code(1);
    let report = world.report();
    report.assert_failed("greedy", "out_of_memory", &["memory limit", "VIETER_MEMORY"]);
    report.assert_failed("silent", "no_output", &["nothing was printed for 12s", "VIETER_IDLE_TIMEOUT"]);
    report.assert_failed("slow", "timeout", &["stopped after 40s", "VIETER_BUILD_TIMEOUT"]);
    for (name, limit) in [("silent", 12.0), ("slow", 40.0)] {
        let seconds = report.entry(name)["seconds"].as_f64().expect("a number");
        assert!((limit..limit + 28.0).contains(&seconds), "{name} took {seconds} s");
    }
    // Too much output is no failure.
    world.assert_published(&["loud 1.0-1"]);
    let lines = finished.messages("of too many").len();
    assert!((100..1000).contains(&lines), "{lines} lines were logged");
    assert_eq!(finished.messages("VIETER_LOG_LIMIT").len(), 1);
    let log = report.entry("loud")["log"].as_str().expect("a log");
    let size = fs::metadata(world.path("report").join(log)).expect("the log is there").len();
    assert!(size < 30 * 1024, "the log has {size} bytes");
}

#[test]
fn a_killed_program_leaves_nothing_for_ever() {
    let world = World::new(Kind::Directory);
    world.packages(&[Package::new("orphan").build_body("echo 'now in build'; sleep 300")]);
    let mut running = world.vieter("build").env("VIETER_BUILD_TIMEOUT", "1000s").spawn();
    let line = running.wait_for_log(|line| line["message"] == "now in build", Duration::from_secs(120));
    let run = format!("label=dev.vieter.run={}", line["run_id"].as_str().expect("a run id"));
    running.signal(Signal::KILL);
    let _ = running.wait(Duration::from_secs(5));

    let orphan = docker(&["ps", "--quiet", "--no-trunc", "--filter", &run]);
    let inspected: Value = serde_json::from_str(&docker(&["inspect", &orphan])).expect("Docker speaks JSON");
    let container = &inspected[0];
    let lifetime: u64 = container["Args"][2].as_str().and_then(|text| text.parse().ok()).expect("seconds");
    assert!((1000..1200).contains(&lifetime), "{lifetime}");
    let deadline =
        container["Config"]["Labels"]["dev.vieter.deadline"].as_str().and_then(|d| d.parse::<u64>().ok());
    let left = deadline.expect("a deadline").saturating_sub(now());
    assert!((900..1300).contains(&left), "{left} s are left");
    // What it waits for is over sooner than in a quarter of an hour.
    let end_of_waiting = "for p in /proc/[0-9]*; do grep -qs '^PPid:.1$' $p/status && \
        grep -qsx sleep $p/comm && kill ${p#/proc/}; done";
    output(&["exec", "--user", "0", &orphan, "sh", "-c", end_of_waiting]);
    docker(&["wait", &orphan]);

    // A later run removes it once its deadline has passed, and nothing else.
    let base = base_image();
    let made = |label: &str| docker(&["create", "--label", label, &base, "true"]);
    let expired = made(&format!("dev.vieter.deadline={}", now() - 5));
    let others = [made(&format!("dev.vieter.deadline={}", now() + 3600)), made("dev.vieter.deadline=soon")];
    let foreign = made("org.example.deadline=1");
    fs::remove_dir_all(world.path("tmp")).expect("what a killed process cannot remove");
    fs::create_dir(world.path("tmp")).expect("make a folder");
    world.packages(&[tiny("next", "1.0", 1)]);
    let finished = world.build();
    let exists = |id: &str| output(&["inspect", id]).status.success();
    let there = [&expired, &others[0], &others[1], &foreign, &orphan].map(|id| exists(id));
    docker(&["rm", "--force", &others[0], &others[1], &foreign, &orphan]);
    finished.assert_code(0);
    assert_eq!(there, [false, true, true, true, true]);
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs()
}
