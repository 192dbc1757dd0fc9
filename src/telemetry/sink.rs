//! Where log lines go.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

/// Takes whole lines, each with its end, and writes each in one piece.
#[derive(Clone)]
pub struct Sink(Arc<dyn Fn(&str) + Send + Sync>);

impl Sink {
    /// Lines go to `write`, which must not let two of them mix.
    pub fn new(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Lines go to standard error.
    pub fn stderr() -> Self {
        Self::new(write_stderr)
    }

    /// Writes one line.
    pub(super) fn write(&self, line: &str) {
        (self.0)(line);
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

/// Writes a whole line to standard error while nobody else does.
pub fn write_stderr(line: &str) {
    // Nobody can be told that standard error is closed, and the run is worth more than its log.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
