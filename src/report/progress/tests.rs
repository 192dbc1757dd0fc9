use std::io;
use std::sync::Arc;

use indicatif::TermLike;

use super::*;
use crate::outcome::{Ending, RunOutcome, Step};

/// A terminal of 60 columns that remembers what was written to it.
#[derive(Debug, Clone, Default)]
struct Terminal(Arc<Mutex<String>>);

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        60
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, line: &str) -> io::Result<()> {
        self.write_str(&format!("{line}\n"))
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap().push_str(text);
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn it_shows_what_is_being_done() {
    let terminal = Terminal::default();
    let progress = Progress::on(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
    let observer = progress.observer().unwrap();
    let shown = progress.0.clone().unwrap().line;
    let seen = |event: Event| {
        observer.observe(&event);
        shown.message()
    };
    assert_eq!(seen(Event::RunStarted), "looking at the list");
    let list = Event::ListRead { entries: 3, from: "a file".into() };
    assert_eq!(seen(list), "planning 3 entries");
    let pull = Event::ImageProgress { what: "pulling a\nb".into(), bytes: Some((1536, 3072)) };
    assert_eq!(seen(pull), "builder image: pulling a\\nb 1.5 KiB of 3.0 KiB");
    let entry =
        Event::EntryStarted { number: 2, total: 3, name: "f\u{1b}[2Joo".into(), reason: "new".into() };
    assert_eq!(seen(entry), "[2/3] f\\u{1b}[2Joo");
    assert_eq!(seen(Event::StepStarted { step: Step::Make }), "[2/3] f\\u{1b}[2Joo: make");
    shown.force_draw();
    assert!(terminal.0.lock().unwrap().contains("[2/3]"), "{terminal:?}");
    let now = "2026-11-22T03:04:05Z".parse().unwrap();
    let outcome = RunOutcome {
        run_id: "run-1".into(),
        started: now,
        finished: now,
        ending: Ending::Finished,
        entries: Vec::new(),
    };
    observer.observe(&Event::RunFinished { outcome: Arc::new(outcome) });
    assert!(shown.is_finished());
}

#[test]
fn there_is_none_for_machines() {
    assert!(Progress::new(Format::Json).observer().is_none());
    assert!(Progress::on(ProgressDrawTarget::hidden()).observer().is_none());
}
