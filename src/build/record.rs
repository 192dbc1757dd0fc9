//! What is known of an entry while it is being built. It outlives a run that is stopped in the middle.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::{CurrentStep, StepResult};
use crate::catalog::pkgbuild::Facts;
use crate::outcome::{EntryOutcome, Failure, FailureKind, Published, StepRecord, Verdict};

/// What is known of an entry so far.
#[derive(Default)]
pub(super) struct Record {
    pub pkgbase: Option<String>,
    pub version: Option<String>,
    pub published: Vec<Published>,
    pub steps: Vec<StepRecord>,
    pub current_step: CurrentStep,
    /// What it makes, as long as that is certain.
    pub facts: Option<Arc<Facts>>,
    /// The failed entries that make what pacman did not find.
    pub blocked_by: Vec<String>,
}

/// A record that is written while others may look at it.
pub(super) type SharedRecord = Arc<Mutex<Record>>;

impl Record {
    /// Completes an outcome.
    pub(super) fn conclude(self, begun: EntryOutcome, result: StepResult<Verdict>) -> EntryOutcome {
        let verdict = match result {
            Ok(verdict) => verdict,
            Err(_) if !self.blocked_by.is_empty() => Verdict::Blocked { by: self.blocked_by },
            Err(failure) => {
                let failure = match self.current_step {
                    Some(step) => failure.at(step),
                    None => failure,
                };
                Verdict::Failed { failure }
            }
        };
        EntryOutcome {
            pkgbase: self.pkgbase.or(begun.pkgbase),
            version: self.version,
            verdict,
            published: self.published,
            steps: self.steps,
            ..begun
        }
    }
}

/// The entry that is being built.
#[derive(Clone, Default)]
pub struct Begun(Arc<Mutex<Option<State>>>);

enum State {
    /// It is going on since then.
    GoesOn(Box<EntryOutcome>, SharedRecord, Instant),
    /// It has ended, and the run has not taken note yet.
    HasEnded(Box<EntryOutcome>),
}

impl Begun {
    fn replace(&self, state: Option<State>) -> Option<State> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), state)
    }

    pub(super) fn goes_on(&self, outcome: EntryOutcome, record: SharedRecord) {
        self.replace(Some(State::GoesOn(Box::new(outcome), record, Instant::now())));
    }

    pub(super) fn has_ended(&self, outcome: EntryOutcome) {
        self.replace(Some(State::HasEnded(Box::new(outcome))));
    }

    /// Takes note of what has become of it. One that was going on was stopped; nobody has announced that.
    pub fn take(&self) -> Option<(EntryOutcome, bool)> {
        match self.replace(None)? {
            State::HasEnded(outcome) => Some((*outcome, false)),
            State::GoesOn(begun, record, since) => {
                let record = std::mem::take(&mut *record.lock().unwrap_or_else(PoisonError::into_inner));
                let failure = Failure::new(FailureKind::Stopped, "the run was stopped in the middle of it")
                    .hint("the next run tries again");
                let outcome = record.conclude(*begun, Err(failure));
                Some((EntryOutcome { duration: since.elapsed(), ..outcome }, true))
            }
        }
    }
}
