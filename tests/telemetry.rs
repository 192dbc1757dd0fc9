//! What a run tells machines: one JSON object a line on standard error, one trace, metrics. And that nobody
//! who listens badly can do it any harm.

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::{Kind, NEW, REPO, World};
use serde_json::Value;
use vieter_test_support::otlp::{Collector, Mode, Span};
use vieter_test_support::packages::{Package, depends_on, failing_build};
use vieter_test_support::vieter_server::Target;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

#[test]
fn a_run_is_one_trace_and_one_log() {
    let world = World::new(NEW);
    let evil = Package::new("good")
        .build_body("printf 'evil \\033[31mred\\a \\xff\\n'; echo '{\"run_id\":\"forged\"}'");
    world.packages(&[evil, failing_build("broken"), depends_on("user", "good")]);
    let collector = Collector::start();
    let finished = world.run(
        world
            .vieter("build")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
            .env("TRACEPARENT", format!("00-{TRACE}-{CALLER}-01"))
            .env("TRACESTATE", "vendor=value"),
    );
    finished.assert_code(1);
    assert_eq!(finished.stdout, "", "standard output is for results");

    let tree = collector.tree_with(&["vieter.verdict"]);
    let commands_left_out: Vec<&str> = tree.lines().filter(|line| !line.starts_with("      ")).collect();
    let expected = "\
BUILD vieter !
  plan
  image
  good vieter.verdict=published
    clone
    check
    make
    publish
  broken vieter.verdict=failed !
    clone
    check
    make !
  user vieter.verdict=published
    clone
    check
    make
    publish";
    assert_eq!(commands_left_out.join("\n"), expected, "{tree}");
    let spans = collector.spans();
    let commands: BTreeSet<&str> = commands_of(&spans, "user").collect();
    for command in ["pacman -T", "pacman -Sp", "pacman -S", "makepkg"] {
        assert!(commands.contains(command), "no {command} in {commands:?}");
    }
    look_at_spans(&spans, &finished.run_id());
    let broken = world.git.repo("broken");
    let entry = named(&spans, "broken");
    assert_eq!(entry.attributes["vcs.repository.url.full"], world.git.url("broken"));
    assert_eq!(entry.attributes["vcs.ref.head.revision"], broken.head());
    assert_eq!(entry.attributes["error.type"], "build");
    assert!(entry.status_message.contains("the build is broken on purpose"), "{}", entry.status_message);

    look_at_lines(&finished.json_lines(), &spans);
    for line in [r"evil \u{1b}[31mred\u{7}", r#"{"run_id":"forged"}"#] {
        assert_eq!(finished.messages(line).len(), 1, "{line}: {}", finished.stderr);
    }
    assert!(
        !finished.stderr.contains(|c: char| c.is_control() && c != '\n'),
        "control characters in the log"
    );

    // The trace goes on at the package server.
    for request in world.server().requests() {
        let parent = request.header("traceparent").unwrap_or_default();
        let parts: Vec<&str> = parent.split('-').collect();
        assert_eq!(parts.get(1), Some(&TRACE), "{parent:?} in {request:?}");
        assert!(spans.iter().any(|span| Some(&span.span_id.as_str()) == parts.get(2)), "{request:?}");
        assert_eq!(request.header("tracestate"), Some("vendor=value"));
    }

    let metrics = collector.metrics();
    let total = |name: &str, verdict: &str| -> f64 {
        let of_it = |point: &&vieter_test_support::otlp::Point| {
            point.name == name && point.attributes.get("vieter.verdict").is_none_or(|v| v == verdict)
        };
        metrics.iter().filter(of_it).map(|point| point.value).sum()
    };
    assert_eq!(total("vieter.packages.published", ""), 2.0);
    assert_eq!(total("vieter.entries", "published"), 2.0);
    assert_eq!(total("vieter.entries", "failed"), 1.0);
    let run =
        metrics.iter().find(|point| point.name == "cicd.pipeline.run.duration").expect("it is measured");
    assert_eq!((run.count, run.attributes["cicd.pipeline.result"].as_str()), (1, "failure"));
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}"))
}

/// The commands of an entry's steps.
fn commands_of<'a>(spans: &'a [Span], entry: &str) -> impl Iterator<Item = &'a str> {
    let below = |parents: &[&str]| -> Vec<&'a Span> {
        spans.iter().filter(|span| parents.contains(&span.parent_id.as_str())).collect()
    };
    let steps: Vec<&str> =
        below(&[&named(spans, entry).span_id]).iter().map(|s| s.span_id.as_str()).collect();
    below(&steps).into_iter().map(|span| span.name.as_str())
}

fn look_at_spans(spans: &[Span], run_id: &str) {
    let root = named(spans, "BUILD vieter");
    assert_eq!(root.parent_id, CALLER);
    assert_eq!(root.attributes["cicd.pipeline.run.id"], run_id);
    assert_eq!(root.attributes["cicd.pipeline.result"], "failure");
    for span in spans {
        assert_eq!((span.trace_id.as_str(), span.trace_state.as_str()), (TRACE, "vendor=value"));
        assert_eq!(span.resource["service.name"], "vieter");
        assert!(span.start <= span.end, "{span:?}");
        assert!(root.start <= span.start && span.end <= root.end, "{span:?} is not within {root:?}");
        if span.status == 2 {
            assert!(span.attributes.contains_key("error.type"), "{span:?}");
            assert!(!span.status_message.is_empty(), "{span:?}");
        }
        if span.name == "makepkg" {
            assert_eq!(span.attributes["process.exit.code"] == "0", span.status != 2, "{span:?}");
        }
    }
}

fn look_at_lines(lines: &[Value], spans: &[Span]) {
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.span_id.as_str()).collect();
    let mut last = String::new();
    for line in lines {
        let text = |key: &str| line[key].as_str().unwrap_or_default();
        assert!(["error", "warn", "info"].contains(&text("level")), "{line}");
        assert!(
            text("timestamp").parse::<jiff::Timestamp>().is_ok() && text("timestamp").ends_with('Z'),
            "{line}"
        );
        assert!(last.as_str() <= text("timestamp"), "{line} comes after {last}");
        last = text("timestamp").to_owned();
        assert_eq!(text("trace_id"), TRACE, "{line}");
        assert!(ids.contains(text("span_id")), "{line}");
    }
    let building = |line: &&Value| line["message"] == "==> Starting build()...";
    let built: Vec<&Value> = lines.iter().filter(building).collect();
    let places: Vec<[&str; 3]> = built
        .iter()
        .map(|line| ["pkgbase", "step", "repo"].map(|key| line[key].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(places, ["good", "broken", "user"].map(|name| [name, "make", REPO]));
}

#[test]
fn a_collector_out_of_order_does_no_harm() {
    let world = World::without_image(Kind::Directory);
    for mode in [Mode::Fail, Mode::Hang, Mode::Refuse] {
        for (code, entries) in [(0, vec![]), (1, vec![Target::git(world.git.url("missing"), REPO)])] {
            world.list(&entries);
            let collector = Collector::with_mode(mode);
            let started = Instant::now();
            let exported = world.vieter("build").env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
            let finished = world.run(exported);
            let whole = started.elapsed();
            finished.assert_code(code);
            // What is not the exit's delay is the run itself.
            let run = world.report().0["seconds"].as_f64().map(Duration::from_secs_f64).expect("a number");
            assert!(whole - run < Duration::from_secs(6), "{mode:?} held up the exit: {whole:?}");
            let complaints: Vec<Value> =
                finished.json_lines().into_iter().filter(|line| line["level"] == "warn").collect();
            assert_eq!(complaints.len(), 1, "{mode:?}: {complaints:?}");
        }
    }
}

#[test]
fn nothing_is_exported_unless_it_is_wanted() {
    let world = World::without_image(Kind::Directory);
    let collector = Collector::start();
    let exported = || world.vieter("build").env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
    let quiet = [
        world.vieter("build"),
        exported().env("OTEL_SDK_DISABLED", "true"),
        exported().env("OTEL_TRACES_EXPORTER", "none").env("OTEL_METRICS_EXPORTER", "none"),
    ];
    for vieter in quiet {
        let finished = world.run(vieter);
        finished.assert_code(0);
        assert!(finished.json_lines().iter().all(|line| line["trace_id"].is_null()), "{}", finished.stderr);
    }
    assert_eq!(collector.raw_bodies(), [] as [Vec<u8>; 0]);
    world
        .run(exported().env("OTEL_TRACES_EXPORTER", "none").env("OTEL_SERVICE_NAME", "nightly"))
        .assert_code(0);
    assert!(collector.spans().is_empty() && !collector.metrics().is_empty());
    world
        .run(exported().env("OTEL_METRICS_EXPORTER", "none").env("OTEL_SERVICE_NAME", "nightly"))
        .assert_code(0);
    assert_eq!(collector.tree(), "BUILD vieter\n  plan\n");
    assert_eq!(collector.spans()[0].resource["service.name"], "nightly");
}

#[test]
fn lines_for_people_have_no_colours_where_there_is_no_terminal() {
    let world = World::without_image(Kind::Directory);
    world.list(&[Target::git(world.git.url("missing"), REPO)]);
    let finished = world.vieter("build").env("VIETER_LOG_FORMAT", "text").run();
    finished.assert_code(1);
    assert!(!finished.stderr.contains(['\u{1b}', '{']), "{}", finished.stderr);
    assert!(finished.stderr.lines().any(|line| line.contains("ERROR") && line.contains("missing")));
    let finished = world.run(world.vieter("build").env("VIETER_LOG_LEVEL", "error"));
    assert!(finished.json_lines().iter().all(|line| line["level"] == "error"), "{}", finished.stderr);
}
