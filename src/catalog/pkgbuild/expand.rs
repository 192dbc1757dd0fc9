//! Parameter expansion, `${name...}`, for the forms that can be computed exactly.

use super::source::name_length;
use super::value::{Scope, Why};

/// The longest value that is worked out.
pub(super) const MAX_VALUE: usize = 4096;
/// The longest value that a pattern with `*` or `?` is matched against: that takes cubic time.
const MAX_MATCHED: usize = 128;

/// Where the `}` is that closes an expansion, in the text after its `{`.
pub(super) fn closing_brace(text: &str) -> Result<usize, Why> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '}' if !escaped => return Ok(at),
            '}' | '$' | '`' | '"' | '\'' | '{' | '\n' => break,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    Err("an expansion with another within".to_owned())
}

/// The value of `${inner}`.
pub(super) fn parameter(inner: &str, scope: &Scope<'_>) -> Result<String, Why> {
    let unclear = || format!("${{{inner}}}");
    if let Some(name) = inner.strip_prefix('#') {
        if name.is_empty() || name_length(name) != name.len() {
            return Err(unclear());
        }
        let value = scope.scalar(name)?;
        return if value.is_ascii() { Ok(value.len().to_string()) } else { Err(unclear()) };
    }
    let length = name_length(inner);
    if length == 0 {
        return Err(unclear());
    }
    let (name, mut rest) = inner.split_at(length);
    let mut index = 0;
    if let Some(subscript) = rest.strip_prefix('[') {
        let (digits, after) = subscript.split_once(']').ok_or_else(unclear)?;
        let plain = matches!(digits.len(), 1..=4) && digits.bytes().all(|b| b.is_ascii_digit());
        let decimal = plain && (digits == "0" || !digits.starts_with('0'));
        index = digits.parse().ok().filter(|_| decimal).ok_or_else(unclear)?;
        rest = after;
    }
    let value = scope.element(name, index)?;
    if rest.is_empty() {
        return Ok(value.to_owned());
    }
    if !value.is_ascii() || value.contains('\\') || value.len() > MAX_VALUE || !rest.is_ascii() {
        return Err(unclear());
    }
    operation(value, rest).ok_or_else(unclear)
}

/// What `${name<operation>}` makes of a value.
fn operation(value: &str, operation: &str) -> Option<String> {
    if let Some(argument) = operation.strip_prefix("%%") {
        return trim(value, argument, End::Suffix, true);
    }
    if let Some(argument) = operation.strip_prefix('%') {
        return trim(value, argument, End::Suffix, false);
    }
    if let Some(argument) = operation.strip_prefix("##") {
        return trim(value, argument, End::Prefix, true);
    }
    if let Some(argument) = operation.strip_prefix('#') {
        return trim(value, argument, End::Prefix, false);
    }
    if let Some(argument) = operation.strip_prefix("//") {
        return replace(value, argument, true);
    }
    if let Some(argument) = operation.strip_prefix('/') {
        return replace(value, argument, false);
    }
    match operation {
        "^^" => Some(value.to_ascii_uppercase()),
        ",," => Some(value.to_ascii_lowercase()),
        "^" => Some(first(value, |c| c.to_ascii_uppercase())),
        "," => Some(first(value, |c| c.to_ascii_lowercase())),
        _ => default(value, operation).or_else(|| substring(value, operation)),
    }
}

fn first(value: &str, change: fn(char) -> char) -> String {
    let mut chars = value.chars();
    let first = chars.next().map(change);
    first.into_iter().chain(chars).collect()
}

/// `${name:-default}` of a variable that has a value.
fn default(value: &str, operation: &str) -> Option<String> {
    let argument = operation.strip_prefix(":-").or_else(|| operation.strip_prefix('-'))?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
    (!value.is_empty() && argument.bytes().all(plain)).then(|| value.to_owned())
}

/// `${name:offset}` and `${name:offset:length}` with plain decimal numbers.
fn substring(value: &str, operation: &str) -> Option<String> {
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let decimal = plain && digits.len() <= 4 && (digits == "0" || !digits.starts_with('0'));
        decimal.then(|| digits.parse::<usize>().ok()).flatten()
    };
    let rest = operation.strip_prefix(':')?;
    let (offset, length) = match rest.split_once(':') {
        Some((offset, length)) => (number(offset)?, number(length)?),
        None => (number(rest)?, value.len()),
    };
    let start = offset.min(value.len());
    let end = (start + length).min(value.len());
    value.get(start..end).map(str::to_owned)
}

/// One element of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Glob {
    /// This character.
    Literal(u8),
    /// `?`, one character.
    One,
    /// `*`, any number of them.
    Many,
}

/// A pattern, if it is made of plain characters, `*` and `?`. `\` makes the next one plain.
fn pattern(text: &str) -> Option<Vec<Glob>> {
    let mut globs = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let glob = match byte {
            b'*' => Glob::Many,
            b'?' => Glob::One,
            b'\\' => match bytes.next()? {
                escaped @ (b'.' | b'/' | b'+' | b'-' | b'~' | b':' | b'*' | b'?' | b'@') => {
                    Glob::Literal(escaped)
                }
                _ => return None,
            },
            b' ' | b'.' | b'_' | b'-' | b'+' | b':' | b'=' | b'@' | b',' | b'/' => Glob::Literal(byte),
            _ if byte.is_ascii_alphanumeric() => Glob::Literal(byte),
            _ => return None,
        };
        globs.push(glob);
    }
    (!globs.is_empty()).then_some(globs)
}

/// Whether a pattern matches the whole of a text. The classic loop with one step back.
fn matches(globs: &[Glob], text: &[u8]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match globs.get(g) {
            Some(Glob::Many) => {
                back = Some((g, t));
                g += 1;
            }
            Some(Glob::One) => (g, t) = (g + 1, t + 1),
            Some(Glob::Literal(byte)) if *byte == text[t] => (g, t) = (g + 1, t + 1),
            _ => {
                let Some((many, from)) = back else {
                    return false;
                };
                back = Some((many, from + 1));
                (g, t) = (many + 1, from + 1);
            }
        }
    }
    globs[g..].iter().all(|glob| *glob == Glob::Many)
}

/// Whether matching `globs` against `value` is cheap enough.
fn affordable(globs: &[Glob], value: &str) -> bool {
    let literal = globs.iter().all(|glob| matches!(glob, Glob::Literal(_)));
    (literal || value.len() <= MAX_MATCHED) && globs.len() <= MAX_MATCHED
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Prefix,
    Suffix,
}

/// `${name#pattern}` and its kin.
fn trim(value: &str, argument: &str, end: End, longest: bool) -> Option<String> {
    let globs = pattern(argument)?;
    if !affordable(&globs, value) {
        return None;
    }
    let bytes = value.as_bytes();
    let fits = |cut: &usize| match end {
        End::Prefix => matches(&globs, &bytes[..*cut]),
        End::Suffix => matches(&globs, &bytes[*cut..]),
    };
    let mut cuts = 0..=value.len();
    // A long prefix is a late cut, a long suffix an early one.
    let cut = if (end == End::Prefix) == longest { cuts.rev().find(fits) } else { cuts.find(fits) };
    let kept = match (cut, end) {
        (Some(cut), End::Prefix) => value.get(cut..)?,
        (Some(cut), End::Suffix) => value.get(..cut)?,
        (None, _) => value,
    };
    Some(kept.to_owned())
}

/// `${name/pattern/replacement}`, and with two slashes for all matches.
fn replace(value: &str, argument: &str, all: bool) -> Option<String> {
    let (search, replacement) = split_search(argument)?;
    // `#` and `%` would tie the match to an end of the value; `&` would stand for the match.
    let globs = pattern(search).filter(|globs| globs.iter().any(|g| *g != Glob::Many))?;
    let plain = |b: u8| b == b' ' || (b.is_ascii_graphic() && !b"&\\~*?[]()<>|;!^".contains(&b));
    if !affordable(&globs, value) || !replacement.bytes().all(plain) {
        return None;
    }
    let bytes = value.as_bytes();
    let mut result = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let most = if globs.contains(&Glob::Many) { bytes.len() } else { at + globs.len() };
        let least = globs.iter().filter(|glob| **glob != Glob::Many).count();
        let mut ends = (at + least..=most.min(bytes.len())).rev();
        if let Some(end) = ends.find(|end| matches(&globs, &bytes[at..*end])) {
            result.push_str(replacement);
            at = end;
            if !all {
                break;
            }
        } else {
            result.push(char::from(bytes[at]));
            at += 1;
        }
        if result.len() > MAX_VALUE {
            return None;
        }
    }
    result.push_str(value.get(at..)?);
    Some(result)
}

/// Splits the argument of a replacement at the first slash without a backslash before it. An
/// argument that starts with a slash is refused.
fn split_search(argument: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, byte) in argument.bytes().enumerate() {
        if byte == b'/' && !escaped {
            return (at > 0).then(|| (&argument[..at], &argument[at + 1..]));
        }
        escaped = byte == b'\\' && !escaped;
    }
    Some((argument, ""))
}
