//! Everything that happens in a run, as values. Logs, metrics, the progress display and the reports are
//! observers of this one stream.

use std::sync::Arc;
use std::time::Duration;

use crate::outcome::{EntryOutcome, RunOutcome, Step};

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The run began.
    RunStarted,
    /// Something looks wrong but does not keep the run from going on.
    Warning {
        /// What, and what to do.
        message: String,
    },
    /// The list was read.
    ListRead {
        /// How many entries it has.
        entries: usize,
        /// Where it came from.
        from: String,
    },
    /// It is decided what to do.
    Planned {
        /// How many entries are to be built or looked into.
        to_do: usize,
        /// How many need nothing.
        up_to_date: usize,
        /// How many are skipped.
        skipped: usize,
    },
    /// Stage 1 goes on: what it does now, such as pulling a layer.
    ImageProgress {
        /// What is being done.
        what: String,
        /// Bytes so far and in all, for a download.
        bytes: Option<(u64, u64)>,
    },
    /// Stage 1 ended: the builder image is there.
    ImageReady {
        /// Its name or id.
        image: String,
        /// `used`, `updated` or `made`.
        how: &'static str,
        /// How long stage 1 took.
        duration: Duration,
    },
    /// An entry's turn has come.
    EntryStarted {
        /// Its place, from 1.
        number: usize,
        /// How many there are to do.
        total: usize,
        /// Its name: the package base where it is known.
        name: String,
        /// Why it is looked into or built.
        reason: String,
    },
    /// A step began.
    StepStarted {
        /// Which.
        step: Step,
    },
    /// A command inside a container printed a line (control characters already escaped).
    Output {
        /// The step; none in stage 1.
        step: Option<Step>,
        /// The line without its end.
        line: String,
    },
    /// A step ended.
    StepFinished {
        /// Which.
        step: Step,
        /// How long it took.
        duration: Duration,
        /// Whether it succeeded.
        ok: bool,
    },
    /// A package is on the server.
    Published {
        /// The archive's file name.
        file: String,
        /// Its size.
        bytes: u64,
    },
    /// An entry is done with.
    EntryFinished {
        /// What became of it.
        outcome: Arc<EntryOutcome>,
    },
    /// The run ended.
    RunFinished {
        /// What became of it.
        outcome: Arc<RunOutcome>,
    },
}

/// Somebody who wants to know what happens. Called in order, in the span in which it happened; must not
/// block for long.
pub trait Observer: Send + Sync {
    /// Takes notice of an event.
    fn observe(&self, event: &Event);
}

/// Hands each event to all observers.
#[derive(Clone)]
pub struct Events(Arc<[Box<dyn Observer>]>);

impl Events {
    /// A stream with these observers.
    pub fn new(observers: Vec<Box<dyn Observer>>) -> Self {
        Self(observers.into())
    }

    /// Tells all observers of an event.
    pub fn emit(&self, event: Event) {
        for observer in self.0.iter() {
            observer.observe(&event);
        }
    }

    /// Tells all observers that something looks wrong.
    pub fn warn(&self, message: impl Into<String>) {
        self.emit(Event::Warning { message: message.into() });
    }
}
