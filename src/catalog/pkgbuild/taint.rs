//! What a part of the script that is not worked out could change.

use brush_parser::ast::{
    AndOrList, AssignmentName, BinaryPredicate, Command, CommandPrefixOrSuffixItem, CompoundCommand,
    CompoundList, ExtendedTestExpr, Pipeline, SeparatorOperator, SimpleCommand, UnaryPredicate,
};

use super::source::name_length;

/// Says why a text, read as shell words, might do more than give a value: assign to a variable,
/// end the script, or hold what the parser may see differently from bash.
///
/// Goes by the text alone, on the safe side: it also finds what stands in quotes.
pub(super) fn side_effect(text: &str) -> Option<&'static str> {
    if text.contains("$((") || text.contains("$[") {
        return Some("arithmetic, which can assign to variables");
    }
    if text.contains("<(") || text.contains(">(") {
        return Some("a process substitution");
    }
    if text.contains("$(") || text.contains('`') {
        let delicate = ["<<", "case", "esac", "#", "(("];
        if delicate.iter().any(|what| text.contains(what)) {
            return Some("an intricate command substitution");
        }
    }
    let effective = |(at, _): (usize, &str)| !harmless_parameter(&text[at + 2..]);
    if text.match_indices("${").any(effective) {
        return Some("an expansion that can assign or fail");
    }
    None
}

/// Whether `${` with this text after it neither assigns, nor fails, nor calculates.
fn harmless_parameter(text: &str) -> bool {
    let text = text.strip_prefix('#').unwrap_or(text);
    let special = text.starts_with(['@', '*', '#', '?', '-', '$']);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let length = if special { 1 } else { name_length(text).max(digits) };
    let mut rest = text.get(length..).unwrap_or_default();
    if let Some(subscript) = rest.strip_prefix('[') {
        let Some((index, after)) = subscript.split_once(']') else {
            return false;
        };
        let number = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
        if !number && index != "@" && index != "*" {
            return false;
        }
        rest = after;
    }
    if length == 0 || rest.starts_with(['=', '?']) {
        return false;
    }
    // Only the operators that transform may be followed by `@`, and `P` runs prompts.
    if rest.starts_with('@') {
        return false;
    }
    let Some(after) = rest.strip_prefix(':') else {
        return true;
    };
    if after.starts_with(['-', '+']) {
        return true;
    }
    let offset = after.split('}').next().unwrap_or_default();
    offset.bytes().all(|b| b.is_ascii_digit() || matches!(b, b':' | b' ' | b'-'))
}

/// What a list of commands could change: the variables it may assign to. `Err` says why that
/// cannot be told.
pub(super) fn list(list: &CompoundList) -> Result<Vec<String>, &'static str> {
    let mut names = Vec::new();
    for item in &list.0 {
        if matches!(item.1, SeparatorOperator::Async) {
            return Err("a command in the background");
        }
        and_or(&item.0, &mut names)?;
    }
    Ok(names)
}

/// [`list`] of commands joined by `&&` and `||`.
pub(super) fn and_or(list: &AndOrList, names: &mut Vec<String>) -> Result<(), &'static str> {
    list.iter().try_for_each(|(_, part)| pipeline(part, names))
}

fn pipeline(pipeline: &Pipeline, names: &mut Vec<String>) -> Result<(), &'static str> {
    match pipeline.seq.as_slice() {
        [one] if pipeline.timed.is_none() => command(one, names),
        _ => Err("a pipeline"),
    }
}

/// The variables one command may assign to.
pub(super) fn command(command: &Command, names: &mut Vec<String>) -> Result<(), &'static str> {
    match command {
        Command::Simple(simple) => simple_command(simple, names),
        Command::Function(_) => Err("a function that is defined in a condition"),
        Command::ExtendedTest(test, None) => expression(&test.expr),
        Command::Compound(compound, None) => compound_command(compound, names),
        Command::ExtendedTest(..) | Command::Compound(..) => Err("a redirection"),
    }
}

fn compound_command(command: &CompoundCommand, names: &mut Vec<String>) -> Result<(), &'static str> {
    match command {
        CompoundCommand::BraceGroup(group) => names.extend(list(&group.list)?),
        CompoundCommand::IfClause(clause) => {
            names.extend(list(&clause.condition)?);
            names.extend(list(&clause.then)?);
            for other in clause.elses.iter().flatten() {
                if let Some(condition) = &other.condition {
                    names.extend(list(condition)?);
                }
                names.extend(list(&other.body)?);
            }
        }
        CompoundCommand::CaseClause(clause) => {
            word(&clause.value.value)?;
            for case in &clause.cases {
                case.patterns.iter().try_for_each(|pattern| word(&pattern.value))?;
                if let Some(body) = &case.cmd {
                    names.extend(list(body)?);
                }
            }
        }
        CompoundCommand::ForClause(clause) => {
            names.push(clause.variable_name.clone());
            let mut values = clause.values.iter().flatten();
            values.try_for_each(|value| word(&value.value))?;
            names.extend(list(&clause.body.list)?);
        }
        _ => return Err("a loop, a subshell or arithmetic at the top level"),
    }
    Ok(())
}

fn word(text: &str) -> Result<(), &'static str> {
    side_effect(text).map_or(Ok(()), Err)
}

fn simple_command(command: &SimpleCommand, names: &mut Vec<String>) -> Result<(), &'static str> {
    let prefix = command.prefix.iter().flat_map(|prefix| prefix.0.iter());
    let suffix = command.suffix.iter().flat_map(|suffix| suffix.0.iter());
    if let Some(name) = &command.word_or_name {
        let harmless = matches!(name.value.as_str(), "[" | "test" | "true" | "false" | ":");
        if !harmless || command.prefix.is_some() {
            return Err("a command at the top level");
        }
        for item in suffix {
            match item {
                CommandPrefixOrSuffixItem::Word(part) if part.value != "-v" => word(&part.value)?,
                CommandPrefixOrSuffixItem::AssignmentWord(_, part) => word(&part.value)?,
                _ => return Err("a command at the top level"),
            }
        }
        return Ok(());
    }
    for item in prefix {
        let CommandPrefixOrSuffixItem::AssignmentWord(assignment, whole) = item else {
            return Err("a redirection");
        };
        let AssignmentName::VariableName(name) = &assignment.name else {
            return Err("an assignment to an element");
        };
        word(&whole.value)?;
        names.push(name.clone());
    }
    Ok(())
}

/// Refuses tests that could assign: arithmetic comparisons, and subscripts that are evaluated.
fn expression(test: &ExtendedTestExpr) -> Result<(), &'static str> {
    match test {
        ExtendedTestExpr::And(left, right) | ExtendedTestExpr::Or(left, right) => {
            expression(left)?;
            expression(right)
        }
        ExtendedTestExpr::Not(inner) | ExtendedTestExpr::Parenthesized(inner) => expression(inner),
        ExtendedTestExpr::UnaryTest(
            UnaryPredicate::ShellVariableIsSetAndAssigned | UnaryPredicate::ShellVariableIsSetAndNameRef,
            _,
        ) => Err("a test that evaluates a subscript"),
        ExtendedTestExpr::UnaryTest(_, operand) => word(&operand.value),
        ExtendedTestExpr::BinaryTest(
            BinaryPredicate::StringExactlyMatchesPattern
            | BinaryPredicate::StringDoesNotExactlyMatchPattern
            | BinaryPredicate::StringMatchesRegex
            | BinaryPredicate::StringContainsSubstring,
            left,
            right,
        ) => {
            word(&left.value)?;
            word(&right.value)
        }
        ExtendedTestExpr::BinaryTest(..) => Err("a test that calculates"),
    }
}
