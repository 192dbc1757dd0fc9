//! The settings as text: the reference table of the documentation, and `vieter config`.

use std::fmt::Write as _;

use super::resolve::{self, Environment, Source};
use super::settings::{VARIABLES, Variable};
use super::{Config, ConfigError};

/// The headings of the sections, in the words of the documentation.
fn heading(section: &str) -> &'static str {
    match section {
        "Server" => "Package server and list",
        "Docker" => "Docker",
        "Image" => "Builder image",
        "Build" => "Builds and their limits",
        "Selection" => "What is built",
        "Plan" => "Looking before building",
        "Output" => "Logs, reports, locking",
        _ => "The nightly container",
    }
}

/// The reference of all settings in Markdown, as `docs/configuration.md` holds it.
pub fn reference() -> String {
    let mut text = String::new();
    let mut section = "";
    for variable in VARIABLES {
        if variable.section != section {
            section = variable.section;
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = write!(
                text,
                "{gap}### {}\n\n| variable | default | meaning |\n| --- | --- | --- |\n",
                heading(section)
            );
        }
        let default = variable.default.map_or_else(String::new, |d| format!("`{d}`"));
        let meaning: Vec<&str> = variable.meaning.iter().map(|line| line.trim()).collect();
        let _ = writeln!(text, "| `{}` | {default} | {} |", variable.name(), meaning.join(" "));
    }
    text
}

/// What is in force, a line a setting: name, value and where it came from. Secrets are masked. With it, the
/// warnings.
///
/// # Errors
/// As [`Config::load`]: a configuration with problems is not shown as if it worked.
pub fn effective(environment: &dyn Environment) -> Result<(String, Vec<String>), ConfigError> {
    let warnings = Config::load(environment)?.warnings;
    let resolved = resolve::resolve(environment);
    let rows: Vec<(String, String, String)> = VARIABLES
        .iter()
        .map(|variable| {
            let source = match resolved.sources.get(variable.field) {
                None => "not set".to_owned(),
                Some(Source::Default) => "default".to_owned(),
                Some(Source::Variable) => "environment".to_owned(),
                Some(Source::File(path)) => format!("file {path}"),
            };
            (variable.name(), shown_value(variable, resolved.values.get(variable.field)), source)
        })
        .collect();
    let width = |column: fn(&(String, String, String)) -> &String| {
        rows.iter().map(|row| column(row).chars().count()).max().unwrap_or(0)
    };
    let (names, values) = (width(|r| &r.0), width(|r| &r.1));
    let mut text = String::new();
    for (name, value, source) in &rows {
        let _ = writeln!(text, "{name:names$}  {value:values$}  {source}");
    }
    Ok((text, warnings))
}

fn shown_value(variable: &Variable, value: Option<&String>) -> String {
    match value {
        None => "-".to_owned(),
        Some(_) if variable.secret => "***".to_owned(),
        Some(value) => value.clone(),
    }
}
