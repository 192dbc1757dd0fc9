use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::outcome::{
    Ending, Failure, FailureKind, Published, RunError, RunErrorKind, Step, StepRecord, Stop, Verdict,
};

/// An entry called `name` with the verdict.
pub(super) fn entry(name: &str, verdict: Verdict) -> EntryOutcome {
    EntryOutcome {
        entry: format!("https://example.org/{name}.git"),
        repo: "extra".into(),
        pkgbase: Some(name.into()),
        version: Some("1:1.2-1".into()),
        reason: Some("new".into()),
        verdict,
        published: Vec::new(),
        steps: Vec::new(),
        duration: Duration::from_millis(84_321),
        log: None,
    }
}

pub(super) fn failed(name: &str) -> EntryOutcome {
    let failure = Failure::new(FailureKind::Build, "makepkg ended with exit code 4")
        .at(Step::Make)
        .hint("See the end of the log.")
        .exit_code(4);
    EntryOutcome {
        steps: vec![StepRecord { step: Step::Make, duration: Duration::from_secs(9), ok: false }],
        log: Some(format!("logs/02-{name}.log")),
        ..entry(name, Verdict::Failed { failure })
    }
}

/// One entry of each kind.
pub(super) fn all_kinds() -> Vec<EntryOutcome> {
    let mut published = entry("foo", Verdict::Published);
    published.published.push(Published {
        name: "foo".into(),
        version: "1:1.2-1".into(),
        arch: "x86_64".into(),
        file: "foo-1:1.2-1-x86_64.pkg.tar.zst".into(),
        bytes: 12345,
    });
    let unknown = EntryOutcome {
        pkgbase: None,
        version: None,
        reason: None,
        ..entry("gone", Verdict::Failed { failure: Failure::new(FailureKind::Docker, "no daemon") })
    };
    vec![
        published,
        entry("same", Verdict::UpToDate),
        entry("arm", Verdict::Skipped { reason: "not for x86_64".into() }),
        failed("bad"),
        entry("late", Verdict::Blocked { by: vec!["bad".into()] }),
        unknown,
        entry("never", Verdict::NotReached),
    ]
}

pub(super) fn run(ending: Ending, entries: Vec<EntryOutcome>) -> RunOutcome {
    RunOutcome {
        run_id: "run-1".into(),
        started: "2026-11-22T03:00:00Z".parse().unwrap(),
        finished: "2026-11-22T04:02:03Z".parse().unwrap(),
        ending,
        entries,
    }
}

pub(super) fn stopped(entries: Vec<EntryOutcome>) -> RunOutcome {
    run(Ending::Stopped { by: Stop::Terminated }, entries)
}

pub(super) fn broken() -> RunOutcome {
    let hint = "Is the daemon running?";
    let error = RunError::new(RunErrorKind::Docker, "Docker does not answer", hint);
    run(Ending::Failed { error }, Vec::new())
}

/// The observers over a directory, and files for the other reports.
struct Reported {
    directory: tempfile::TempDir,
    observers: Vec<Box<dyn Observer>>,
}

impl Reported {
    fn new(report_dir: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let output = config::Output {
            log_level: config::LogLevel::Info,
            log_format: config::LogFormat::Json,
            report_dir: Some(directory.path().join(report_dir)),
            lock_file: None,
        };
        let surroundings = Surroundings {
            step_summary: Some(directory.path().join("summary.md")),
            termination_log: directory.path().join("termination-log"),
        };
        fs::write(&surroundings.termination_log, "what was there before").unwrap();
        Self { observers: observers(&output, surroundings), directory }
    }

    fn emit(&self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.observers.iter().for_each(|observer| observer.observe(&event));
        }
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.directory.path().join(path))
            .unwrap_or_else(|error| panic!("{path}: {error}; there is {:?}", self.files("")))
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let folder = fs::read_dir(self.directory.path().join(folder)).unwrap();
        let name = |file: io::Result<fs::DirEntry>| file.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = folder.map(name).collect();
        names.sort();
        names
    }
}

fn started(number: usize, name: &str) -> Event {
    Event::EntryStarted { number, total: 2, name: name.into(), reason: "new".into() }
}

fn output(step: Option<Step>, line: &str) -> Event {
    Event::Output { step, line: line.into() }
}

#[test]
fn a_run_leaves_all_reports_and_nothing_else() {
    let reported = Reported::new("reports");
    fs::create_dir_all(reported.directory.path().join("reports/logs")).unwrap();
    for (name, text) in [("07-old.log", "old"), ("mine.log", "mine"), ("3-x.log.part", "mine")] {
        fs::write(reported.directory.path().join("reports/logs").join(name), text).unwrap();
    }
    let (good, bad) = (entry("foo", Verdict::Published), failed("bad"));
    let outcome = run(Ending::Finished, vec![good.clone(), bad.clone()]);
    reported.emit([
        Event::RunStarted,
        Event::ListRead { entries: 2, from: "a file".into() },
        Event::ImageProgress { what: "updating".into(), bytes: None },
        output(None, "upgrading glibc"),
        Event::ImageReady { image: "i".into(), how: "made", duration: Duration::ZERO },
        started(1, "foo"),
        Event::StepStarted { step: Step::Make },
        output(Some(Step::Make), "gcc -c foo.c"),
        Event::EntryFinished { outcome: Arc::new(good) },
        started(2, "../bad"),
        output(Some(Step::Make), "gcc: error"),
        Event::EntryFinished { outcome: Arc::new(bad) },
        Event::RunFinished { outcome: Arc::new(outcome) },
    ]);
    assert_eq!(reported.files(""), ["reports", "summary.md", "termination-log"]);
    assert_eq!(reported.files("reports"), ["junit.xml", "logs", "report.json"]);
    let logs = ["00-image.log", "01-foo.log", "02-.._bad.log", "3-x.log.part", "mine.log"];
    assert_eq!(reported.files("reports/logs"), logs);
    assert_eq!(reported.read("reports/logs/00-image.log"), "==> updating\nupgrading glibc\n");
    let log = reported.read("reports/logs/01-foo.log");
    assert!(log.starts_with("==> step make\ngcc -c foo.c\n==> foo 1:1.2-1: published"), "{log}");
    let log = reported.read("reports/logs/02-.._bad.log");
    assert!(log.ends_with("exit code 4\n==> See the end of the log.\n"), "{log}");
    assert!(reported.read("reports/junit.xml").contains("gcc: error"));
    assert!(reported.read("summary.md").contains("gcc: error"));
    assert!(reported.read("termination-log").starts_with("exit status 1: "));
    let report: serde_json::Value = serde_json::from_str(&reported.read("reports/report.json")).unwrap();
    assert_eq!(report["counts"]["failed"], 1);
    let mode = fs::metadata(reported.directory.path().join("reports/report.json")).unwrap().mode();
    assert_ne!(mode & 0o040, 0, "others may read it unless the umask forbids: {mode:o}");
}

#[test]
fn a_run_that_is_stopped_in_the_middle_leaves_them_too() {
    let reported = Reported::new("a/b/reports");
    reported.emit([
        started(1, "foo"),
        output(Some(Step::Make), "half"),
        Event::RunFinished { outcome: Arc::new(stopped(vec![entry("foo", Verdict::NotReached)])) },
    ]);
    assert_eq!(reported.read("a/b/reports/logs/01-foo.log"), "half\n");
    assert!(reported.read("a/b/reports/report.json").contains("\"exit_status\": 143"));
}

#[test]
fn a_run_that_begins_no_list_leaves_the_logs_of_another_alone() {
    let reported = Reported::new("reports");
    fs::create_dir_all(reported.directory.path().join("reports/logs")).unwrap();
    fs::write(reported.directory.path().join("reports/logs/01-foo.log.part"), "other").unwrap();
    reported.emit([Event::RunStarted, Event::RunFinished { outcome: Arc::new(broken()) }]);
    assert_eq!(reported.read("reports/logs/01-foo.log.part"), "other");
}

#[test]
fn reports_that_cannot_be_written_are_no_more_than_a_warning() {
    let reported = Reported::new("termination-log/no/directory");
    reported.emit([
        Event::ListRead { entries: 1, from: "a file".into() },
        started(1, "foo"),
        output(None, "line"),
        Event::EntryFinished { outcome: Arc::new(entry("foo", Verdict::Published)) },
        Event::RunFinished { outcome: Arc::new(run(Ending::Finished, Vec::new())) },
    ]);
    assert!(reported.read("termination-log").starts_with("exit status 0: "));
}

#[test]
fn without_settings_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let reports = Reports {
        directory: None,
        surroundings: Surroundings {
            step_summary: None,
            termination_log: directory.path().join("termination-log"),
        },
        state: Mutex::default(),
    };
    reports.observe(&started(1, "foo"));
    reports.observe(&output(None, "line"));
    reports.observe(&Event::RunFinished { outcome: Arc::new(run(Ending::Finished, Vec::new())) });
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
