//! Events as log lines, worded for somebody who is woken up by them.

use crate::event::{Event, Observer};
use crate::outcome::{Ending, EntryOutcome, RunOutcome, Step, Verdict};
use crate::report::words;

/// The target of what is logged here.
pub(super) const TARGET: &str = module_path!();

/// Logs the events of a run.
#[derive(Debug)]
pub struct LogObserver {
    run_id: String,
}

impl LogObserver {
    /// An observer for the run of this id.
    pub fn new(run_id: &str) -> Self {
        Self { run_id: run_id.to_owned() }
    }
}

impl Observer for LogObserver {
    fn observe(&self, event: &Event) {
        match event {
            Event::RunStarted => {
                tracing::info!("vieter {} started run {}", env!("CARGO_PKG_VERSION"), self.run_id);
            }
            Event::Warning { message } => tracing::warn!("{message}"),
            Event::ListRead { entries, from } => {
                tracing::info!(
                    entries,
                    "the list has {} ({from})",
                    words::number(*entries, "entry", "entries")
                );
            }
            Event::Planned { to_do, up_to_date, skipped } => tracing::info!(
                to_do,
                up_to_date,
                skipped,
                "plan: {to_do} to build or look into, {up_to_date} up to date, {skipped} skipped"
            ),
            // How a download goes on is for the live line; here it would be one line a chunk.
            Event::ImageProgress { what, bytes: Some(_) } => tracing::trace!("builder image: {what}"),
            Event::ImageProgress { what, bytes: None } => tracing::debug!("builder image: {what}"),
            Event::ImageReady { image, how, duration } => tracing::info!(
                image,
                how,
                seconds = words::seconds(*duration),
                "builder image is ready: {how} {image} in {}",
                words::duration(*duration)
            ),
            Event::EntryStarted { number, total, name, reason } => {
                tracing::info!(number, total, reason, "[{number}/{total}] {name}: {reason}");
            }
            Event::StepStarted { step } => tracing::debug!(step = step.as_str(), "{step} started"),
            Event::Output { step, line } => output(*step, line),
            Event::StepFinished { step, duration, ok } => tracing::info!(
                step = step.as_str(),
                ok,
                seconds = words::seconds(*duration),
                "{step} {} {}",
                if *ok { "took" } else { "failed after" },
                words::duration(*duration)
            ),
            Event::Published { file, bytes } => {
                tracing::info!(file, bytes, "published {file} ({})", words::size(*bytes));
            }
            Event::EntryFinished { outcome } => entry_finished(outcome),
            Event::RunFinished { outcome } => run_finished(outcome),
        }
    }
}

fn output(step: Option<Step>, line: &str) {
    tracing::info!(target: super::lines::OUTPUT, step = step.map(Step::as_str), "{line}");
}

fn entry_finished(outcome: &EntryOutcome) {
    let message = words::entry(outcome);
    let result = outcome.verdict.as_str();
    let repo = outcome.repo.as_str();
    let pkgbase = outcome.pkgbase.as_deref();
    let version = outcome.version.as_deref();
    let seconds = words::seconds(outcome.duration);
    let log = outcome.log.as_deref();
    match &outcome.verdict {
        Verdict::Published => {
            tracing::info!(repo, pkgbase, version, result, seconds, log, "{message}")
        }
        // There may be a thousand of them; the plan's line has their number.
        Verdict::UpToDate if outcome.steps.is_empty() => {
            tracing::debug!(repo, pkgbase, version, result, "{message}");
        }
        Verdict::UpToDate => {
            tracing::info!(repo, pkgbase, version, result, seconds, log, "{message}")
        }
        Verdict::Skipped { .. } => tracing::info!(repo, pkgbase, result, "{message}"),
        Verdict::Blocked { by } => {
            tracing::error!(repo, pkgbase, result, blocked_by = by.join(", "), "{message}");
        }
        Verdict::NotReached => tracing::warn!(repo, pkgbase, result, "{message}"),
        Verdict::Failed { failure } => tracing::error!(
            repo,
            pkgbase,
            version,
            result,
            step = failure.step.map(Step::as_str),
            kind = failure.kind.as_str(),
            exit_code = failure.exit_code,
            hint = (!failure.hint.is_empty()).then_some(failure.hint.as_str()),
            seconds,
            log,
            "{message}"
        ),
    }
}

fn run_finished(outcome: &RunOutcome) {
    let message = words::run(outcome);
    let exit_status = outcome.exit_status().code();
    let seconds = words::seconds(words::run_duration(outcome));
    let count = |verdict| outcome.count(verdict);
    let failed = words::failed_names(outcome);
    macro_rules! log {
        ($level:ident $(, $name:ident = $value:expr)*) => {
            tracing::$level!(
                exit_status,
                seconds,
                published = count("published"),
                up_to_date = count("up_to_date"),
                skipped = count("skipped"),
                failed = count("failed"),
                blocked = count("blocked"),
                not_reached = count("not_reached"),
                failed_entries = (!failed.is_empty()).then_some(failed.as_str()),
                $($name = $value,)*
                "{message}"
            )
        };
    }
    match &outcome.ending {
        Ending::Finished if exit_status == 0 => log!(info),
        Ending::Finished => log!(error),
        Ending::Stopped { .. } => log!(warn),
        Ending::Failed { error } => {
            log!(error, hint = (!error.hint.is_empty()).then_some(error.hint.as_str()))
        }
    }
}

#[cfg(test)]
mod tests;
