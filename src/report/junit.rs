//! `junit.xml`: each entry a test case, for CI systems that show such files. A test suite is a pacman
//! repository.

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{Tails, words};
use crate::outcome::{Ending, EntryOutcome, Failure, FailureKind, RunOutcome, Verdict};

/// The report as text.
pub(super) fn report(outcome: &RunOutcome, tails: &Tails) -> Result<String, SerializeError> {
    let mut report = Report::new("vieter");
    report.set_time(words::run_duration(outcome));
    let mut suites: Vec<TestSuite> = Vec::new();
    for entry in &outcome.entries {
        let case = test_case(entry, tails);
        match suites.iter_mut().find(|suite| suite.name.as_str() == entry.repo) {
            Some(suite) => drop(suite.add_test_case(case)),
            None => {
                let mut suite = TestSuite::new(entry.repo.as_str());
                suite.add_test_case(case);
                suites.push(suite);
            }
        }
    }
    for suite in &mut suites {
        let time = suite.test_cases.iter().filter_map(|case| case.time).sum();
        suite.set_time(time);
    }
    suites.extend(run_suite(outcome));
    report.add_test_suites(suites);
    report.to_string()
}

/// A suite for the run itself when it did not go through its list: else entries that were merely not
/// reached would look like success.
fn run_suite(outcome: &RunOutcome) -> Option<TestSuite> {
    let (kind, hint) = match &outcome.ending {
        Ending::Finished => return None,
        Ending::Stopped { .. } => ("stopped", ""),
        Ending::Failed { error } => ("failed", error.hint.as_str()),
    };
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(kind).set_message(words::run(outcome)).set_description(hint);
    let mut suite = TestSuite::new("vieter");
    suite.add_test_case(TestCase::new("run", status));
    Some(suite)
}

fn test_case(entry: &EntryOutcome, tails: &Tails) -> TestCase {
    let mut case = TestCase::new(entry.name(), status(entry));
    case.set_classname(entry.repo.as_str()).set_time(entry.duration);
    case.add_property(("result", entry.verdict.as_str()));
    case.add_property(("entry", entry.entry.as_str()));
    let known = [("version", &entry.version), ("reason", &entry.reason), ("log", &entry.log)];
    for (name, value) in known {
        if let Some(value) = value {
            case.add_property((name, value.as_str()));
        }
    }
    if let Some(tail) = tails.get(&(entry.repo.clone(), entry.entry.clone()))
        && !tail.is_empty()
    {
        case.set_system_out(tail.join("\n"));
    }
    case
}

fn status(entry: &EntryOutcome) -> TestCaseStatus {
    match &entry.verdict {
        Verdict::Published | Verdict::UpToDate => TestCaseStatus::success(),
        Verdict::Skipped { .. } | Verdict::NotReached => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(words::verdict(entry));
            status
        }
        Verdict::Blocked { .. } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type("blocked").set_message(words::verdict(entry));
            status
        }
        Verdict::Failed { failure } => {
            let mut status = TestCaseStatus::non_success(kind(failure.kind));
            status.set_type(failure.kind.as_str()).set_message(words::verdict(entry));
            status.set_description(description(failure));
            status
        }
    }
}

/// JUnit knows failures, which what was tested is to blame for, and errors, which it is not.
fn kind(kind: FailureKind) -> NonSuccessKind {
    match kind {
        FailureKind::Docker | FailureKind::Server | FailureKind::Stopped => NonSuccessKind::Error,
        _ => NonSuccessKind::Failure,
    }
}

fn description(failure: &Failure) -> String {
    let mut lines = vec![failure.message.clone()];
    lines.extend(Some(failure.hint.clone()).filter(|hint| !hint.is_empty()));
    lines.extend(failure.exit_code.map(|code| format!("exit code {code}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests;
