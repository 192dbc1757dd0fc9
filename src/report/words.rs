//! What became of entries and runs, in words for people: the same ones in logs and reports.

use std::time::Duration;

use crate::outcome::{Ending, EntryOutcome, RunOutcome, Verdict};

/// `1 entry`, `2 entries`.
pub fn number(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A length of time: `850ms`, `12s`, `1h 2m 3s`.
pub fn duration(duration: Duration) -> String {
    let rounded = if duration < Duration::from_secs(1) {
        Duration::from_millis(duration.as_millis() as u64)
    } else {
        Duration::from_secs(duration.as_secs())
    };
    humantime::format_duration(rounded).to_string()
}

/// A length of time in seconds, to the millisecond.
pub fn seconds(duration: Duration) -> f64 {
    duration.as_millis() as f64 / 1000.0
}

/// A number of bytes: `1.5 MiB`.
pub fn size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}

/// How long a run took. Zero where the clock was turned back.
pub fn run_duration(outcome: &RunOutcome) -> Duration {
    outcome.finished.duration_since(outcome.started).try_into().unwrap_or_default()
}

/// The numbers of entries by what became of them, those that are not zero:
/// `3 published, 10 up to date, 1 failed`.
pub fn counts(outcome: &RunOutcome) -> String {
    let names = [
        ("published", "published"),
        ("up_to_date", "up to date"),
        ("skipped", "skipped"),
        ("failed", "failed"),
        ("blocked", "blocked"),
        ("not_reached", "not reached"),
    ];
    let counts = names.iter().filter_map(|(verdict, words)| match outcome.count(verdict) {
        0 => None,
        count => Some(format!("{count} {words}")),
    });
    let counts = counts.collect::<Vec<_>>().join(", ");
    if counts.is_empty() { "no entries".into() } else { counts }
}

/// The entries that failed, by name.
pub fn failed_names(outcome: &RunOutcome) -> String {
    let failed = |entry: &&EntryOutcome| matches!(entry.verdict, Verdict::Failed { .. });
    outcome.entries.iter().filter(failed).map(EntryOutcome::name).collect::<Vec<_>>().join(", ")
}

/// An entry's name and, where known, its version.
pub fn name_and_version(outcome: &EntryOutcome) -> String {
    match &outcome.version {
        Some(version) => format!("{} {version}", outcome.name()),
        None => outcome.name().to_owned(),
    }
}

/// What became of an entry, without its name.
pub fn verdict(outcome: &EntryOutcome) -> String {
    match &outcome.verdict {
        Verdict::Published => {
            let packages = number(outcome.published.len(), "package", "packages");
            format!("published {packages} in {}", duration(outcome.duration))
        }
        Verdict::UpToDate => "up to date".into(),
        Verdict::Skipped { reason } => format!("skipped: {reason}"),
        Verdict::Blocked { by } => format!("not built, because {} failed", by.join(", ")),
        Verdict::NotReached => "not reached before the run ended".into(),
        Verdict::Failed { failure } => {
            let step = failure.step.map(|step| format!(" in step {step}")).unwrap_or_default();
            let published = match outcome.published.as_slice() {
                [] => String::new(),
                some => {
                    let files = some.iter().map(|package| package.file.as_str());
                    format!(" (published all the same: {})", files.collect::<Vec<_>>().join(", "))
                }
            };
            format!("failed{step}: {}{published}", failure.message)
        }
    }
}

/// What to do about an entry that failed, where the message does not say it all.
pub fn hint(outcome: &EntryOutcome) -> Option<&str> {
    match &outcome.verdict {
        Verdict::Failed { failure } if !failure.hint.is_empty() => Some(&failure.hint),
        _ => None,
    }
}

/// What became of an entry.
pub fn entry(outcome: &EntryOutcome) -> String {
    format!("{}: {}", name_and_version(outcome), verdict(outcome))
}

/// How a run ended.
pub fn run(outcome: &RunOutcome) -> String {
    let took = duration(run_duration(outcome));
    match &outcome.ending {
        Ending::Finished => format!("run finished in {took}: {}", counts(outcome)),
        Ending::Stopped { by } => format!("run stopped after {took}, {by}: {}", counts(outcome)),
        Ending::Failed { error } if outcome.entries.is_empty() => {
            format!("the run could not go on: {}", error.message)
        }
        Ending::Failed { error } => {
            format!("the run could not go on after {took}: {}; {}", error.message, counts(outcome))
        }
    }
}

#[cfg(test)]
mod tests;
