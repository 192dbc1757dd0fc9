//! A check on the parser: assignments that the eye sees and the parser did not report.

use super::Reason;
use super::source::{Source, name_length};
use super::statements::Scan;

/// Variables whose assignments must all have been found, wherever they stand.
const CORE: [&str; 5] = ["pkgname", "pkgbase", "pkgver", "pkgrel", "epoch"];
/// Variables whose assignments must all have been found at the start of a line.
const OTHERS: [&str; 6] = ["arch", "depends", "makedepends", "checkdepends", "provides", "options"];

/// A line that starts like an assignment that matters, and was not found to be one. The parser may
/// have taken it for something else than bash would. Within a function it may be a line of a
/// here-document, if there is no doubt where the function ends.
pub(super) fn find(scan: &Scan<'_>, source: &Source<'_>) -> Option<Reason> {
    let obvious: Vec<(usize, usize)> = scan
        .functions
        .iter()
        .map(|function| function.span)
        .filter(|(start, end)| ends_obviously(source, *start, *end))
        .collect();
    for (start, line) in source.lines() {
        let function = obvious.partition_point(|(from, _)| *from <= start);
        let function = function.checked_sub(1).and_then(|at| obvious.get(at));
        if function.is_some_and(|(_, to)| start < *to) {
            continue;
        }
        let text = line.trim_start_matches([' ', '\t']);
        let indented = text.len() < line.len();
        let (name, rest) = text.split_at(name_length(text));
        let matters = CORE.contains(&name) || (!indented && starts_with_any(name, &OTHERS));
        if !matters || !(rest.starts_with(['=', '[']) || rest.starts_with("+=")) {
            continue;
        }
        let at = start + (line.len() - text.len());
        if !scan.assignments.contains(&at) {
            let message = format!("{name} is set in some way that is not plain");
            return Some(Reason::new(message, Some(source.line(at))));
        }
    }
    None
}

/// Whether a function ends with the first `}` that stands alone at the start of a line.
fn ends_obviously(source: &Source<'_>, start: usize, end: usize) -> bool {
    let text = source.slice(start, end);
    let first = text.find("\n}").map(|at| at + "\n}".len());
    first == Some(text.len()) && matches!(source.from(end).chars().next(), None | Some('\n'))
}

fn starts_with_any(name: &str, bases: &[&str]) -> bool {
    let is = |base: &&str| {
        let rest = name.strip_prefix(*base);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    bases.iter().any(is)
}
