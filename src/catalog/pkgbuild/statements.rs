//! The top-level statements of a `PKGBUILD`, in order.

use std::collections::{BTreeMap, BTreeSet};

use brush_parser::ast::{
    Assignment, AssignmentName, AssignmentValue, Command, CommandPrefixOrSuffixItem, CompoundListItem,
    FunctionBody, Program, SeparatorOperator, SimpleCommand, SourceLocation, Word,
};

use super::source::{Source, skip_blanks};
use super::value::{Scope, Variable, Why};
use super::{Reason, rules, taint, value};

/// The longest array that is worked out.
const MAX_ELEMENTS: usize = 4096;
/// The most bytes that all values that are assigned may come to. Arrays can double with every line.
const MAX_ASSIGNED: usize = 4 * 1024 * 1024;

/// A function that the script defines.
pub(super) struct Function<'a> {
    pub(super) name: String,
    pub(super) body: &'a FunctionBody,
    /// Byte offsets of its text.
    pub(super) span: (usize, usize),
}

/// What the top level comes to.
#[derive(Default)]
pub(super) struct Scan<'a> {
    /// The variables after the last statement.
    pub(super) variables: BTreeMap<String, Variable>,
    /// The functions, in order.
    pub(super) functions: Vec<Function<'a>>,
    /// The first thing whose effects cannot be told. The rest is a guess then.
    pub(super) problem: Option<Reason>,
    /// Byte offsets of the names of the assignments that were found.
    pub(super) assignments: BTreeSet<usize>,
}

/// Goes through the top-level statements.
pub(super) fn scan<'a>(program: &'a Program, source: &Source<'_>) -> Scan<'a> {
    let mut scanner = Scanner { scan: Scan::default(), source, fragile: None, assigned: 0 };
    for item in program.complete_commands.iter().flat_map(|list| &list.0) {
        scanner.statement(item);
    }
    if let Some(line) = scanner.fragile {
        // makepkg refuses a PKGBUILD whose last status is not 0.
        scanner.problem("the last statement may fail", Some(line));
    }
    scanner.scan
}

struct Scanner<'a, 'b> {
    scan: Scan<'a>,
    source: &'b Source<'b>,
    /// The line of the statement before, if its status may not be 0.
    fragile: Option<usize>,
    /// How many bytes have been assigned.
    assigned: usize,
}

impl<'a> Scanner<'a, '_> {
    fn problem(&mut self, message: &str, line: Option<usize>) {
        let reason = Reason::new(message, line);
        self.scan.problem.get_or_insert(reason);
    }

    fn statement(&mut self, item: &'a CompoundListItem) {
        let line = item.location().map(|span| span.start.line);
        self.fragile = None;
        if matches!(item.1, SeparatorOperator::Async) {
            return self.problem("a command in the background", line);
        }
        let pipeline = &item.0.first;
        let plain = item.0.additional.is_empty() && pipeline.timed.is_none() && !pipeline.bang;
        match pipeline.seq.as_slice() {
            [Command::Simple(simple)] if plain && simple.word_or_name.is_none() => {
                self.assignments(simple, line);
            }
            [Command::Function(function)] if plain => {
                let name = &function.fname.value;
                let Some(span) = function.location() else {
                    return self.problem("a function without a place", line);
                };
                let (start, end) = (span.start.index, span.end.index);
                if !rules::function_is_harmless(name) {
                    self.problem("a function that makepkg or bash may have a use for", line);
                }
                self.scan.functions.push(Function {
                    name: name.clone(),
                    body: &function.body,
                    span: (self.source.byte(start), self.source.byte(end)),
                });
            }
            _ => self.condition(item, line),
        }
    }

    /// A statement that is not worked out: what it may assign to is not known from here on.
    fn condition(&mut self, item: &CompoundListItem, line: Option<usize>) {
        let mut names = Vec::new();
        if let Err(message) = taint::and_or(&item.0, &mut names) {
            return self.problem(message, line);
        }
        for name in names {
            if !rules::variable_is_harmless(&name) {
                self.problem("an assignment to a variable that bash or makepkg use", line);
            }
            let message = format!("{name} is set in a condition or a loop");
            let unknown =
                Variable::Unknown { reason: Reason::new(message, line), known: Vec::new(), scalar: false };
            self.scan.variables.insert(name, unknown);
        }
        self.fragile = Some(line.unwrap_or(0));
    }

    fn assignments(&mut self, simple: &SimpleCommand, line: Option<usize>) {
        for item in simple.prefix.iter().flat_map(|prefix| &prefix.0) {
            match item {
                CommandPrefixOrSuffixItem::AssignmentWord(assignment, _) => {
                    self.assignment(assignment);
                }
                _ => self.problem("a redirection", line),
            }
        }
    }

    fn assignment(&mut self, assignment: &Assignment) {
        let start = self.source.byte(assignment.loc.start.index);
        let end = self.source.byte(assignment.loc.end.index);
        let text = skip_blanks(self.source.slice(start, end));
        let start = end - text.len();
        let line = Some(self.source.line(start));
        let (name, indexed) = match &assignment.name {
            AssignmentName::VariableName(name) => (name, false),
            AssignmentName::ArrayElementName(name, _) => (name, true),
        };
        if !rules::variable_is_harmless(name) {
            self.problem("an assignment to a variable that bash or makepkg use", line);
        }
        if let Some(message) = taint::side_effect(text) {
            self.problem(message, line);
        }
        if indexed {
            if assignment.to_string().contains(['$', '`']) || !plain_subscript(text) {
                self.problem("an assignment to an element", line);
            }
            return self.unknown(name, "one element of it is set", Vec::new(), line);
        }
        let sign = if assignment.append { "+=" } else { "=" };
        let raw = text.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix(sign));
        let Some(raw) = raw.filter(|_| self.ends_word(end)) else {
            return self.problem("an assignment that is spelled unusually", line);
        };
        self.scan.assignments.insert(start);
        if raw.contains("$(") || raw.contains('`') {
            self.fragile = line;
        }
        match &assignment.value {
            AssignmentValue::Scalar(word) => self.set_scalar(name, assignment, raw, word, line),
            AssignmentValue::Array(words) => self.set_array(name, assignment, raw, words, line),
        }
    }

    /// Whether a word can end at a byte offset.
    fn ends_word(&self, end: usize) -> bool {
        let next = self.source.from(end).chars().next();
        next.is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | ';' | '\\'))
    }

    fn set_scalar(
        &mut self,
        name: &str,
        assignment: &Assignment,
        raw: &str,
        word: &Word,
        line: Option<usize>,
    ) {
        let scope = Scope { variables: &self.scan.variables, package: None };
        let value = if raw == word.value {
            value::scalar(raw, &scope)
        } else {
            Err("a value that is spelled unusually".to_owned())
        };
        let before = self.scan.variables.get(name);
        let was_scalar = match before {
            None | Some(Variable::Scalar(_)) => true,
            Some(Variable::Array(_)) => false,
            Some(Variable::Unknown { scalar, .. }) => *scalar,
        };
        if !was_scalar {
            return self.unknown(name, "a string assigned to an array", vec![], line);
        }
        let value = match (value, assignment.append, before) {
            (Ok(value), false, _) => Ok(value),
            (Ok(value), true, Some(Variable::Scalar(before))) => Ok(format!("{before}{value}")),
            (Ok(value), true, None) if rules::is_unset_by_makepkg(name) => Ok(value),
            (Ok(_), true, _) => Err("appended to what is not known".to_owned()),
            (Err(why), _, _) => Err(why),
        };
        match value {
            Ok(value) => {
                self.insert(name, Variable::Scalar(value), line);
            }
            Err(why) => {
                let reason = Reason::new(format!("{name} is not plain: {why}"), line);
                let known = Vec::new();
                self.insert(name, Variable::Unknown { reason, known, scalar: true }, line);
            }
        }
    }

    fn set_array(
        &mut self,
        name: &str,
        assignment: &Assignment,
        raw: &str,
        words: &[(Option<Word>, Word)],
        line: Option<usize>,
    ) {
        let scope = Scope { variables: &self.scan.variables, package: None };
        let (mut known, mut why) = array(raw, words, &scope);
        if assignment.append {
            let (before, lost) = match self.scan.variables.get(name) {
                Some(Variable::Array(before)) => (before.clone(), None),
                Some(Variable::Unknown { known, .. }) => {
                    (known.clone(), Some("appended to what is not known"))
                }
                None if rules::is_unset_by_makepkg(name) => (Vec::new(), None),
                None | Some(Variable::Scalar(_)) => (Vec::new(), Some("appended to what is no array")),
            };
            known.splice(..0, before);
            why = lost.map(str::to_owned).or(why);
        }
        match why {
            Some(why) => self.unknown(name, &why, known, line),
            None => self.insert(name, Variable::Array(known), line),
        }
    }

    fn unknown(&mut self, name: &str, why: &str, known: Vec<String>, line: Option<usize>) {
        let reason = Reason::new(format!("{name} is not plain: {why}"), line);
        self.insert(name, Variable::Unknown { reason, known, scalar: false }, line);
    }

    /// Assigns, as long as it does not come to too much.
    fn insert(&mut self, name: &str, value: Variable, line: Option<usize>) {
        let size = match &value {
            Variable::Scalar(value) => value.len(),
            Variable::Array(values) | Variable::Unknown { known: values, .. } => {
                values.iter().map(|value| value.len() + size_of::<String>()).sum()
            }
        };
        self.assigned += name.len() + size;
        if self.assigned > MAX_ASSIGNED {
            self.scan.variables.remove(name);
            return self.problem("its values come to too much", line);
        }
        self.scan.variables.insert(name.to_owned(), value);
    }
}

/// Whether an assignment to an element has a number for a subscript.
fn plain_subscript(text: &str) -> bool {
    let subscript = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    subscript.is_some_and(|(index, _)| !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()))
}

/// The elements of an array that are known, and why the others are not.
///
/// `raw` is the text from the opening parenthesis to the closing one. It must be made of exactly
/// the parser's words, blanks and comments: that the two agree is checked here.
pub(super) fn array(
    raw: &str,
    words: &[(Option<Word>, Word)],
    scope: &Scope<'_>,
) -> (Vec<String>, Option<Why>) {
    let mut known = Vec::new();
    let mut why = None;
    let unusual = || Some("an array that is spelled unusually".to_owned());
    let Some(mut rest) = raw.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else {
        return (known, unusual());
    };
    for (subscript, word) in words {
        rest = skip_to_word(rest);
        let after = rest.strip_prefix(word.value.as_str()).filter(|after| ends_element(after));
        let Some(after) = after.filter(|_| subscript.is_none()) else {
            return (known, unusual());
        };
        rest = after;
        if known.len() > MAX_ELEMENTS {
            return (Vec::new(), Some("a very long array".to_owned()));
        }
        match value::elements(&word.value, scope) {
            Ok(values) => known.extend(values),
            Err(message) => why = why.or(Some(message)),
        }
    }
    if !skip_to_word(rest).is_empty() {
        why = why.or_else(unusual);
    }
    (known, why)
}

fn ends_element(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([' ', '\t', '\n']) || rest.starts_with("\\\n")
}

/// Passes over blanks, line ends and comments.
fn skip_to_word(text: &str) -> &str {
    let mut rest = text;
    loop {
        rest = skip_blanks(rest).trim_start_matches('\n');
        if rest.starts_with('#') {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if !rest.starts_with([' ', '\t']) && !rest.starts_with("\\\n") {
            return rest;
        }
    }
}
