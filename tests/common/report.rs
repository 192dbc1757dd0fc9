//! The report of a run, as a test reads it.

use std::path::Path;

use serde_json::Value;

/// `report.json`.
pub struct Report(pub Value);

impl Report {
    /// Reads it, after a look whether it has the form that is documented.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("there is a report");
        let report: Value = serde_json::from_str(&text).expect("the report is JSON");
        let schema = include_str!("../../docs/report.schema.json");
        let schema: Value = serde_json::from_str(schema).expect("the schema is JSON");
        let validator = jsonschema::validator_for(&schema).expect("the schema is one");
        let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {text}");
        Self(report)
    }

    /// The entry of this package base, or whose address ends so.
    pub fn entry(&self, name: &str) -> &Value {
        let entries = self.0["entries"].as_array().expect("the report has entries");
        let is_it = |entry: &&Value| {
            let address = entry["entry"].as_str().unwrap_or_default();
            entry["pkgbase"] == name || address.ends_with(&format!("/{name}"))
        };
        let mut found = entries.iter().filter(is_it);
        match (found.next(), found.next()) {
            (Some(entry), None) => entry,
            _ => panic!("not one entry {name} in {:#}", self.0),
        }
    }

    /// What became of each entry, `name: result`, in the order of the report.
    pub fn results(&self) -> Vec<String> {
        let entries = self.0["entries"].as_array().expect("the report has entries");
        let name = |entry: &Value| {
            let name = entry["pkgbase"].as_str().or(entry["entry"].as_str()).unwrap_or_default();
            name.rsplit('/').next().unwrap_or_default().to_owned()
        };
        let result = |entry: &Value| entry["result"].as_str().unwrap_or_default().to_owned();
        entries.iter().map(|entry| format!("{}: {}", name(entry), result(entry))).collect()
    }

    /// The package bases of the entries with this result, sorted.
    pub fn with_result(&self, result: &str) -> Vec<String> {
        let end = format!(": {result}");
        let results = self.results().into_iter();
        let mut names: Vec<String> =
            results.filter_map(|line| line.strip_suffix(&end).map(str::to_owned)).collect();
        names.sort();
        names
    }

    /// The names of the steps that ran for an entry.
    pub fn steps(&self, name: &str) -> Vec<&str> {
        let steps = self.entry(name)["steps"].as_array().expect("an entry has steps");
        steps.iter().filter_map(|step| step["step"].as_str()).collect()
    }

    /// Why an entry failed: the kind of failure, and the message with the hint.
    pub fn failure(&self, name: &str) -> (&str, String) {
        let failure = &self.entry(name)["failure"];
        let text = |key: &str| failure[key].as_str().unwrap_or_default();
        (text("kind"), format!("{}; {}", text("message"), text("hint")))
    }

    /// Fails unless an entry failed with this kind and a message with these parts.
    pub fn assert_failed(&self, name: &str, kind: &str, parts: &[&str]) {
        let (actual, message) = self.failure(name);
        assert_eq!(actual, kind, "{message}");
        for part in parts {
            assert!(message.contains(part), "no {part:?} in {message:?}");
        }
    }
}
