//! How a log line looks.

use std::fmt::Write;
use std::io::IsTerminal;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use tracing::Level;

use super::escape::{escape, escape_json};
use crate::config::{Environment, LogFormat};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Lines for people.
    Text {
        /// Whether ANSI colours may be used.
        colours: bool,
    },
}

impl Format {
    /// The format for standard error that the settings ask for. `NO_COLOR`, when not empty, keeps lines
    /// without colours (<https://no-color.org>).
    pub fn detect(setting: LogFormat, environment: &dyn Environment) -> Self {
        let mut variables = environment.variables().into_iter();
        let no_color = variables.any(|(name, value)| name == "NO_COLOR" && !value.is_empty());
        Self::choose(setting, std::io::stderr().is_terminal(), no_color)
    }

    fn choose(setting: LogFormat, terminal: bool, no_color: bool) -> Self {
        match setting {
            LogFormat::Json => Self::Json,
            LogFormat::Auto if !terminal => Self::Json,
            LogFormat::Auto | LogFormat::Text => Self::Text { colours: terminal && !no_color },
        }
    }
}

/// What the spans around an event say about it, and what its trace calls it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub entry: Option<String>,
    pub repo: Option<String>,
    pub pkgbase: Option<String>,
    pub step: Option<String>,
    pub trace_id: Option<String>,
    pub span_id: Option<String>,
}

impl Place {
    /// Takes from an outer span what the inner ones do not say.
    pub fn or(&mut self, outer: &Self) {
        let fill = |inner: &mut Option<String>, outer: &Option<String>| {
            if inner.is_none() {
                inner.clone_from(outer);
            }
        };
        fill(&mut self.entry, &outer.entry);
        fill(&mut self.repo, &outer.repo);
        fill(&mut self.pkgbase, &outer.pkgbase);
        fill(&mut self.step, &outer.step);
    }
}

/// One thing to be logged.
#[derive(Debug)]
pub(super) struct Line {
    pub time: Timestamp,
    pub level: Level,
    pub message: String,
    /// Where in the program it comes from; only for libraries.
    pub target: Option<String>,
    /// Whether the message is a line of a build's output.
    pub output: bool,
    /// Whether the message says in words what the fields say to programs.
    pub worded: bool,
    pub place: Place,
    pub fields: Map<String, Value>,
}

/// The names that the line itself uses.
const RESERVED: [&str; 7] = ["timestamp", "level", "message", "run_id", "trace_id", "span_id", "target"];

/// One JSON object and a line end. Fields of the event win over those of the spans around it.
pub(super) fn json(line: &Line, run_id: &str) -> String {
    let mut object = Map::new();
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            object.insert(name.to_owned(), value.into());
        }
    };
    put("timestamp", Some(&format!("{:.3}", line.time)));
    put("level", Some(&line.level.as_str().to_ascii_lowercase()));
    put("message", Some(&line.message));
    put("run_id", Some(run_id));
    put("trace_id", line.place.trace_id.as_deref());
    put("span_id", line.place.span_id.as_deref());
    put("repo", line.place.repo.as_deref());
    put("pkgbase", line.place.pkgbase.as_deref());
    if line.place.pkgbase.is_none() {
        put("entry", line.place.entry.as_deref());
    }
    put("step", line.place.step.as_deref());
    put("target", line.target.as_deref());
    for (name, value) in &line.fields {
        let name = if RESERVED.contains(&name.as_str()) { format!("{name}_") } else { name.clone() };
        object.insert(name, value.clone());
    }
    escape_json(Value::Object(object).to_string()) + "\n"
}

/// The fields that people see although the message is in words.
const NOT_IN_WORDS: [&str; 2] = ["hint", "log"];

/// A line for people: `12:34:56 INFO  message  key=value`.
pub(super) fn text(line: &Line, colours: bool, zone: &TimeZone) -> String {
    let (dim, bold, reset) = if colours { ("\x1b[2m", colour(line.level), "\x1b[0m") } else { ("", "", "") };
    let time = zone.to_datetime(line.time).strftime("%H:%M:%S").to_string();
    let mut text = format!("{dim}{time}{reset} {bold}{:<5}{reset} ", line.level.as_str());
    if line.output {
        let step = line.fields.get("step").and_then(Value::as_str).or(line.place.step.as_deref());
        let words = [line.place.pkgbase.as_deref(), step];
        // Without either it is stage 1 that prints.
        let stage = if words == [None, None] { Some("image") } else { None };
        for word in words.into_iter().chain([stage]).flatten() {
            text += &format!("{dim}{}{reset} ", escape(word));
        }
        text += &format!("{dim}|{reset} {}\n", escape(&line.message));
        return text;
    }
    text += &escape(&line.message);
    let mut pairs = String::new();
    for (name, value) in [("pkgbase", &line.place.pkgbase), ("step", &line.place.step)] {
        if let Some(value) = value
            && !line.fields.contains_key(name)
            && !line.message.contains(value.as_str())
        {
            pair(&mut pairs, name, value);
        }
    }
    for (name, value) in &line.fields {
        if line.worded && !NOT_IN_WORDS.contains(&name.as_str()) {
            continue;
        }
        match value {
            Value::String(value) if line.message.contains(value.as_str()) => {}
            Value::String(value) => pair(&mut pairs, name, value),
            Value::Null => {}
            value => pair(&mut pairs, name, &value.to_string()),
        }
    }
    if !pairs.is_empty() {
        text += &format!(" {dim}{pairs}{reset}");
    }
    text.push('\n');
    text
}

/// Adds ` name=value`, in quotes where it would not be one word.
fn pair(pairs: &mut String, name: &str, value: &str) {
    let value = escape(value);
    let one_word = !value.is_empty() && !value.contains([' ', '\t', '"', '=']);
    // Writing to a string cannot fail.
    let _ = if one_word {
        write!(pairs, " {name}={value}")
    } else {
        write!(pairs, " {name}=\"{}\"", value.replace('"', "\\\""))
    };
}

/// The ANSI colour of a level (ECMA-48 SGR).
fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[1;31m",
        Level::WARN => "\x1b[1;33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

#[cfg(test)]
mod tests;
