//! What was found, and how it is told.

use std::fmt::Write as _;

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Good,
    /// A run works, but not as well as it could; or it is not known whether it does.
    Poor,
    /// No run can work.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub state: State,
    pub what: &'static str,
    pub seen: String,
    pub fix: String,
}

impl Finding {
    pub fn good(what: &'static str, seen: impl Into<String>) -> Self {
        Self { state: State::Good, what, seen: seen.into(), fix: String::new() }
    }

    pub fn poor(what: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state: State::Poor, what, seen: seen.into(), fix: fix.into() }
    }

    pub fn bad(what: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state: State::Bad, what, seen: seen.into(), fix: fix.into() }
    }
}

/// All that was looked at.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub(super) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.0.extend(findings);
    }

    /// Whether a run could work.
    pub fn all_well(&self) -> bool {
        self.0.iter().all(|finding| finding.state != State::Bad)
    }

    /// A line for each thing, with its fix below it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Finding { state, what, seen, fix } in &self.0 {
            let mark = match state {
                State::Good => "ok  ",
                State::Poor => "warn",
                State::Bad => "FAIL",
            };
            let _ = writeln!(text, "{mark}  {what}: {seen}");
            if !fix.is_empty() {
                let _ = writeln!(text, "      fix: {fix}");
            }
        }
        text
    }
}
