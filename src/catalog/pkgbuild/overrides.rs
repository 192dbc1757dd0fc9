//! What the `package()` functions override.
//!
//! makepkg does not run them to find out. It goes through the lines of bash's own rendering of the
//! function, takes those that start like `depends=(` or `arch+=(`, and evaluates each on its own,
//! with the variables of the top level. So an assignment in a condition counts as well, and so does
//! a line of a here-document. What is read here are plain assignments at the top level of the
//! function; if the text holds anything else that might look like one, the function is not read.

use std::collections::BTreeMap;

use brush_parser::ast::{
    Assignment, AssignmentName, AssignmentValue, Command, CommandPrefixOrSuffixItem, CompoundCommand,
    CompoundListItem, SeparatorOperator,
};

use super::Reason;
use super::source::{Source, name_length, skip_blanks};
use super::statements::{Function, array};
use super::value::{Scope, Variable};

/// Variables that decide something here, or that makepkg does not allow in a package function.
const WATCHED: [&str; 12] = [
    "arch",
    "depends",
    "provides",
    "options",
    "makedepends",
    "checkdepends",
    "pkgname",
    "pkgbase",
    "pkgver",
    "pkgrel",
    "epoch",
    "source",
];

/// What one package function overrides.
#[derive(Default)]
pub(super) struct Overrides {
    /// The arrays it sets, by name.
    pub(super) arrays: BTreeMap<String, Vec<String>>,
    /// Why that may not be all, about its architectures.
    pub(super) doubt_about_arch: Option<Reason>,
    /// Why that may not be all, about anything else.
    pub(super) doubt: Option<Reason>,
}

/// Reads one package function, for the package of this name.
pub(super) fn read(
    function: &Function<'_>,
    source: &Source<'_>,
    variables: &BTreeMap<String, Variable>,
    package: (&str, &str),
) -> Overrides {
    let mut overrides = Overrides::default();
    let (name, pkgbase) = package;
    let replaced = BTreeMap::from([
        ("pkgname".to_owned(), Variable::Scalar(name.to_owned())),
        ("pkgbase".to_owned(), Variable::Scalar(pkgbase.to_owned())),
    ]);
    let scope = Scope { variables, package: Some(&replaced) };
    let mut plain = Vec::new();
    if let (CompoundCommand::BraceGroup(group), None) = (&function.body.0, &function.body.1) {
        let items = &group.list.0;
        // What is in the background shares its line with what comes next.
        let lines = !items.iter().any(|item| matches!(item.1, SeparatorOperator::Async));
        for item in items.iter().filter(|_| lines) {
            let Some(assignment) = plain_assignment(item) else {
                continue;
            };
            let start = assign(assignment, source, &scope, &mut overrides);
            plain.extend(start);
        }
    }
    let (start, end) = function.span;
    for (at, name) in lookalikes(source.slice(start, end)) {
        if !plain.contains(&(start + at)) {
            let line = Some(source.line(start + at));
            overrides.doubts(name, "a package function may set it in some way", line);
        }
    }
    overrides
}

impl Overrides {
    /// Notes that what was found of a variable may not be all.
    fn doubts(&mut self, name: &str, message: &str, line: Option<usize>) {
        let reason = Reason::new(format!("{name}: {message}"), line);
        // What makepkg refuses in a package function is in doubt altogether.
        if matches!(name, "depends" | "provides" | "options") {
            self.doubt.get_or_insert(reason);
        } else {
            self.doubt_about_arch.get_or_insert(reason);
        }
    }
}

/// The assignment that a statement consists of, if it is one to a watched variable.
fn plain_assignment(item: &CompoundListItem) -> Option<&Assignment> {
    let pipeline = &item.0.first;
    let plain = item.0.additional.is_empty() && pipeline.timed.is_none() && !pipeline.bang;
    let [Command::Simple(simple)] = pipeline.seq.as_slice() else {
        return None;
    };
    let items = &simple.prefix.as_ref()?.0;
    match (items.as_slice(), plain && simple.word_or_name.is_none()) {
        ([CommandPrefixOrSuffixItem::AssignmentWord(assignment, _)], true) => Some(assignment),
        _ => None,
    }
}

/// Works out one assignment. Returns where it starts, if it was.
fn assign(
    assignment: &Assignment,
    source: &Source<'_>,
    scope: &Scope<'_>,
    overrides: &mut Overrides,
) -> Option<usize> {
    let AssignmentName::VariableName(name) = &assignment.name else {
        return None;
    };
    let base = watched(name)?;
    if !matches!(base, "arch" | "depends" | "provides" | "options") {
        return None;
    }
    let end = source.byte(assignment.loc.end.index);
    let text = skip_blanks(source.slice(source.byte(assignment.loc.start.index), end));
    let start = end - text.len();
    let sign = if assignment.append { "+=" } else { "=" };
    let raw = text.strip_prefix(name.as_str())?.strip_prefix(sign)?;
    let AssignmentValue::Array(words) = &assignment.value else {
        return None;
    };
    // A line end in the value would make several lines of it in bash's rendering.
    let (values, mut why) = array(raw, words, scope);
    if values.iter().any(|value| value.contains('\n')) || text.contains(['$', '`']) && text.contains("$(") {
        why = Some("its value is not plain".to_owned());
    }
    let mut all = Vec::new();
    if assignment.append {
        all = match overrides.arrays.get(name).or_else(|| inherited(name, scope)) {
            Some(before) => before.clone(),
            None if scope.variables.contains_key(name) => {
                why = Some("appended to what is not known".to_owned());
                Vec::new()
            }
            None => Vec::new(),
        };
    }
    all.extend(values);
    if let Some(why) = why {
        overrides.doubts(base, &why, Some(source.line(start)));
    }
    overrides.arrays.insert(name.clone(), all);
    Some(start)
}

/// The array of the top level.
fn inherited<'a>(name: &str, scope: &Scope<'a>) -> Option<&'a Vec<String>> {
    match scope.variables.get(name)? {
        Variable::Array(values) => Some(values),
        _ => None,
    }
}

/// The watched variable that a name is, with or without an architecture.
fn watched(name: &str) -> Option<&'static str> {
    let is = |watched: &&&str| {
        let rest = name.strip_prefix(**watched);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    WATCHED.iter().find(is).copied()
}

/// What might be the start of a line of bash's rendering that makepkg takes for an override: the
/// offset, and the variable.
fn lookalikes(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    // Bash prints the line ends that such quotes stand for.
    let has_escapes = text.contains("$'");
    for (equals, _) in text.match_indices('=') {
        let before = text[..equals].strip_suffix('+').unwrap_or(&text[..equals]);
        let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let length = before.bytes().rev().take_while(word).count();
        let start = before.len() - length;
        let name = &before[start..];
        if name_length(name) != name.len() {
            continue;
        }
        let Some(base) = watched(name) else {
            continue;
        };
        if has_escapes || may_start_line(&before[..start]) {
            found.push((start, base));
        }
    }
    found
}

/// Whether what follows this text may stand at the start of a line of bash's rendering.
fn may_start_line(before: &str) -> bool {
    let trimmed = before.trim_end_matches([' ', '\t']);
    let Some(last) = trimmed.chars().next_back() else {
        return true;
    };
    if "\n;{}()&|!\\".contains(last) {
        return true;
    }
    // Glued to something else, or after it: an argument, unless that is a reserved word.
    let word = trimmed.rsplit([' ', '\t', '\n', ';']).next().unwrap_or_default();
    trimmed.len() < before.len()
        && matches!(word, "then" | "do" | "else" | "elif" | "time" | "if" | "while" | "until")
}
