//! A summary in Markdown for the page of a GitHub Actions run
//! (<https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary>).

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use super::{Tails, words};
use crate::outcome::{Ending, EntryOutcome, RunOutcome, Verdict};
use crate::telemetry::{escape, shorten};

/// How long a summary may get, in bytes. GitHub refuses one of more than 1 MiB, with what other commands of
/// the same step have written.
const LIMIT: usize = 768 * 1024;
/// How much of that the table may take.
const TABLE_LIMIT: usize = LIMIT / 2;
/// The longest text in a cell, in bytes.
const MAX_CELL: usize = 400;

/// Adds to the summary. It is not written anew: other commands of the same step may have added to it.
pub(super) fn append(path: &Path, summary: &str) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path)?.write_all(summary.as_bytes())
}

/// The summary in Markdown.
pub(super) fn summary(outcome: &RunOutcome, tails: &Tails) -> String {
    let mut text = format!("## Packages: {}\n\n{}\n\n", counts(outcome), plain(&words::run(outcome)));
    if let Ending::Failed { error } = &outcome.ending
        && !error.hint.is_empty()
    {
        text += &format!("> {}\n\n", plain(&error.hint));
    }
    let changed: Vec<_> = outcome.entries.iter().filter(|entry| entry.verdict != Verdict::UpToDate).collect();
    if !changed.is_empty() {
        text += "| | Package | Version | Repository | Result |\n| --- | --- | --- | --- | --- |\n";
        let shown = extend(&mut text, changed.iter().map(|entry| row(entry)), TABLE_LIMIT);
        if changed.len() > shown {
            text += &format!("\n… and {} more\n", changed.len() - shown);
        }
        text.push('\n');
    }
    let logs = changed.iter().filter_map(|entry| {
        let tail = tails.get(&(entry.repo.clone(), entry.entry.clone()))?;
        (!tail.is_empty()).then(|| log(entry, tail))
    });
    extend(&mut text, logs, LIMIT);
    text
}

/// Adds pieces while the text stays shorter than `limit`; returns how many there was room for.
fn extend(text: &mut String, pieces: impl Iterator<Item = String>, limit: usize) -> usize {
    let mut count = 0;
    for piece in pieces {
        if text.len() + piece.len() > limit {
            break;
        }
        text.push_str(&piece);
        count += 1;
    }
    count
}

fn counts(outcome: &RunOutcome) -> String {
    format!("{}{}", mark(outcome.exit_status().code() == 0), words::counts(outcome))
}

fn mark(success: bool) -> &'static str {
    if success { "✅ " } else { "❌ " }
}

fn row(entry: &EntryOutcome) -> String {
    let mark = match &entry.verdict {
        Verdict::Published | Verdict::UpToDate => "✅",
        Verdict::Skipped { .. } => "⏭️",
        Verdict::Blocked { .. } => "⛔",
        Verdict::Failed { .. } => "❌",
        Verdict::NotReached => "⏸️",
    };
    let hint = words::hint(entry).map(|hint| format!("; {hint}")).unwrap_or_default();
    let version = entry.version.as_deref().unwrap_or_default();
    let result = words::verdict(entry) + &hint;
    let cells = [entry.name(), version, &entry.repo, &result].map(plain).join(" | ");
    format!("| {mark} | {cells} |\n")
}

fn log(entry: &EntryOutcome, tail: &[String]) -> String {
    // An empty line would end the HTML block, and what follows would be Markdown.
    let line = |line: &String| match line.trim() {
        "" => "&#8203;".to_owned(),
        _ => html(&escape(line)),
    };
    let lines = tail.iter().map(line).collect::<Vec<_>>().join("\n");
    let name = html(&escape(&words::name_and_version(entry)));
    format!(
        "<details><summary>The end of the log of {name}</summary>\n<pre>\n{lines}\n</pre>\n</details>\n\n"
    )
}

/// Text that means itself in a cell of a Markdown table.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in html(&escape(&shorten(text, MAX_CELL))).chars() {
        if "\\`*_{}[]()#+-.!|~@:".contains(c) {
            plain.push('\\');
        }
        plain.push(c);
    }
    plain
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
