//! The plan for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Plan, Planned};

/// Changes whenever the form of the JSON does.
const VERSION: u32 = 1;

/// The plan as one JSON document.
pub fn json(plan: &Plan) -> Value {
    let entry = |planned: &Planned| {
        json!({
            "name": planned.name,
            "repo": planned.entry.as_ref().map(|entry| entry.repo.as_str()),
            "pkgbase": planned.pkgbase,
            "version": planned.version(),
            "decision": planned.decision.as_str(),
            "reason": planned.decision.why(),
            "after": planned.needs.iter().map(|need| need.name.as_str()).collect::<Vec<_>>(),
        })
    };
    json!({
        "version": VERSION,
        "entries": plan.entries.iter().map(entry).collect::<Vec<_>>(),
        "cycles": plan.cycles,
    })
}

/// The plan as a table, in the order of the builds.
pub fn table(plan: &Plan) -> String {
    let rows: Vec<[String; 4]> = plan.entries.iter().map(row).collect();
    let header = ["PACKAGE BASE", "VERSION", "DECISION", "REASON"].map(str::to_owned);
    let width = |column: usize| {
        rows.iter().chain([&header]).map(|row| row[column].chars().count()).max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    for [name, version, decision, reason] in std::iter::once(&header).chain(&rows) {
        let line =
            format!("{name:0$}  {version:1$}  {decision:2$}  {reason}", widths[0], widths[1], widths[2]);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for cycle in &plan.cycles {
        let _ = writeln!(text, "cycle: {} need each other and are built in list order", cycle.join(", "));
    }
    let count = |name: &str| plan.entries.iter().filter(|p| p.decision.as_str() == name).count();
    let _ = writeln!(
        text,
        "{} to build, {} to look into, {} up to date, {} skipped, {} failed",
        count("build"),
        count("look_inside"),
        count("up_to_date"),
        count("skip"),
        count("failed"),
    );
    text
}

fn row(planned: &Planned) -> [String; 4] {
    let after: Vec<&str> = planned.needs.iter().map(|need| need.name.as_str()).collect();
    let mut reason = planned.decision.why();
    if !after.is_empty() && planned.decision.needs_container() {
        reason = format!("{reason}; after {}", after.join(", "));
    }
    [
        planned.title().to_owned(),
        planned.version().unwrap_or_else(|| "?".into()),
        planned.decision.as_str().replace('_', " "),
        reason,
    ]
    .map(|cell| crate::build::log::printable(&cell))
}
