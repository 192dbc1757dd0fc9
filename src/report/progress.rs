//! A live line at the bottom of a terminal: what is being done, and for how long.

use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::words;
use crate::event::{Event, Observer};
use crate::telemetry::{Format, Sink, escape, write_stderr};

/// The live line, or nothing where there is no terminal to show it on.
#[derive(Debug, Clone)]
pub struct Progress(Option<Shown>);

#[derive(Debug, Clone)]
struct Shown {
    screen: MultiProgress,
    line: ProgressBar,
}

impl Progress {
    /// A live line on standard error, when that is a terminal and log lines are for people.
    pub fn new(format: Format) -> Self {
        match format {
            Format::Text { .. } => Self::on(ProgressDrawTarget::stderr()),
            Format::Json => Self(None),
        }
    }

    fn on(target: ProgressDrawTarget) -> Self {
        if target.is_hidden() {
            return Self(None);
        }
        let screen = MultiProgress::with_draw_target(target);
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        // A mistake in the template, which is a constant, would only cost its looks.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed_precise}") {
            line.set_style(style);
        }
        Self(Some(Shown { screen, line }))
    }

    /// Where log lines go so that they appear above the live line.
    pub fn sink(&self) -> Sink {
        match self.0.clone() {
            None => Sink::stderr(),
            Some(Shown { screen, .. }) => Sink::new(move |line| screen.suspend(|| write_stderr(line))),
        }
    }

    /// The observer that keeps the line up to date.
    pub fn observer(&self) -> Option<Box<dyn Observer>> {
        let shown = self.0.clone()?;
        Some(Box::new(ProgressObserver { shown, entry: Mutex::default(), begin: Once::new() }))
    }
}

/// Shows the events of a run.
struct ProgressObserver {
    shown: Shown,
    /// The entry whose turn it is: its place and name.
    entry: Mutex<String>,
    /// Nothing is shown before the first event.
    begin: Once,
}

impl ProgressObserver {
    /// Shows what is being done from now on.
    fn show(&self, message: String) {
        let Shown { screen, line } = &self.shown;
        self.begin.call_once(|| {
            screen.add(line.clone());
            line.enable_steady_tick(Duration::from_millis(120));
        });
        line.set_message(message);
    }

    fn entry(&self) -> MutexGuard<'_, String> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for ProgressObserver {
    fn observe(&self, event: &Event) {
        match event {
            Event::RunStarted => self.show("looking at the list".into()),
            Event::ListRead { entries, .. } => {
                self.show(format!("planning {}", words::number(*entries, "entry", "entries")));
            }
            Event::ImageProgress { what, bytes } => {
                let bytes =
                    bytes.map(|(done, all)| format!(" {} of {}", words::size(done), words::size(all)));
                let bytes = bytes.unwrap_or_default();
                self.show(format!("builder image: {}{bytes}", escape(what)));
            }
            Event::EntryStarted { number, total, name, .. } => {
                let entry = format!("[{number}/{total}] {}", escape(name));
                self.entry().clone_from(&entry);
                self.shown.line.reset_elapsed();
                self.show(entry);
            }
            Event::StepStarted { step } => {
                let message = format!("{}: {step}", self.entry());
                self.show(message);
            }
            Event::RunFinished { .. } => {
                self.shown.line.finish_and_clear();
                self.shown.screen.remove(&self.shown.line);
            }
            Event::Warning { .. }
            | Event::Planned { .. }
            | Event::ImageReady { .. }
            | Event::Output { .. }
            | Event::StepFinished { .. }
            | Event::Published { .. }
            | Event::EntryFinished { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests;
