//! Variables, and the value of a word exactly as bash computes it (`bash(1)`, EXPANSION).
//!
//! A value is worked out only from literals and from variables that are known. Everything else is
//! unknown, with the reason.

use std::collections::BTreeMap;

use super::{Reason, brace, expand, source};

/// Why a value is not known: a short sentence.
pub(super) type Why = String;

/// A variable that has been assigned.
#[derive(Clone, Debug)]
pub(super) enum Variable {
    /// A string.
    Scalar(String),
    /// An indexed array without gaps.
    Array(Vec<String>),
    /// Assigned, but the value is not known. The elements that are known serve as hints.
    Unknown {
        /// Why, and where.
        reason: Reason,
        /// What is known of it.
        known: Vec<String>,
        /// Whether it is certain to be a string and no array.
        scalar: bool,
    },
}

/// The variables that a word may refer to.
pub(super) struct Scope<'a> {
    /// All that have been assigned so far.
    pub(super) variables: &'a BTreeMap<String, Variable>,
    /// In a package function, what takes the place of some of them. Others may not be referred
    /// to, except those whose names start with an underscore.
    pub(super) package: Option<&'a BTreeMap<String, Variable>>,
}

/// Variables that a package function may refer to, because makepkg leaves them alone.
const STABLE: [&str; 5] = ["pkgver", "pkgrel", "epoch", "depends", "provides"];

impl<'a> Scope<'a> {
    fn variable(&self, name: &str) -> Result<&'a Variable, Why> {
        let replaced = self.package.and_then(|package| package.get(name));
        if self.package.is_some() && replaced.is_none() {
            let private = name.starts_with('_') || STABLE.contains(&name);
            if !private {
                return Err(format!("${name} in a package function"));
            }
        }
        let found = replaced.or_else(|| self.variables.get(name));
        found.ok_or_else(|| format!("${name} is not set before this"))
    }

    /// The value of `$name`: of an array, its first element.
    pub(super) fn scalar(&self, name: &str) -> Result<&'a str, Why> {
        self.element(name, 0)
    }

    /// The value of `${name[index]}`.
    pub(super) fn element(&self, name: &str, index: usize) -> Result<&'a str, Why> {
        match self.variable(name)? {
            Variable::Scalar(value) if index == 0 => Ok(value),
            Variable::Array(values) if index < values.len() => Ok(&values[index]),
            Variable::Unknown { reason, .. } => Err(format!("${name}: {}", reason.message)),
            _ => Err(format!("${name} has no element {index}")),
        }
    }

    /// The values of `${name[@]}`.
    fn array(&self, name: &str) -> Result<&'a [String], Why> {
        match self.variable(name)? {
            Variable::Scalar(value) => Ok(std::slice::from_ref(value)),
            Variable::Array(values) => Ok(values),
            Variable::Unknown { reason, .. } => Err(format!("${name}: {}", reason.message)),
        }
    }
}

/// Where a word stands, which decides what bash does with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The value of a string: no word splitting, no file names, no braces.
    Scalar,
    /// An element of an array: all of them.
    Element,
}

/// The value of a word that a string is set to.
pub(super) fn scalar(word: &str, scope: &Scope<'_>) -> Result<String, Why> {
    Word::new(word, scope, Place::Scalar).value()
}

/// The values of a word that stands in an array: braces and arrays make several of one.
pub(super) fn elements(word: &str, scope: &Scope<'_>) -> Result<Vec<String>, Why> {
    if let Some((name, quoted)) = whole_array(word) {
        let values = scope.array(name)?;
        if quoted || values.iter().all(|value| splits_into_itself(value)) {
            return Ok(values.to_vec());
        }
        return Err(format!("${{{name}[@]}} without quotes"));
    }
    let words = brace::expand(word)?;
    let value = |word: &String| Word::new(word, scope, Place::Element).value();
    words.iter().map(value).collect()
}

/// The name in a word that is nothing but `"${name[@]}"`, and whether it has the quotes.
fn whole_array(word: &str) -> Option<(&str, bool)> {
    let inner = word.strip_prefix('"').and_then(|w| w.strip_suffix('"'));
    let name = inner.unwrap_or(word).strip_prefix("${")?;
    let name = name.strip_suffix("[@]}")?;
    let whole = !name.is_empty() && source::name_length(name) == name.len();
    whole.then_some((name, inner.is_some()))
}

/// Whether an expansion without quotes to this value stays one word, the same one.
fn splits_into_itself(value: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'*' | b'?' | b'[' | b'\\');
    !value.is_empty() && value.bytes().all(plain)
}

/// A word being worked out.
struct Word<'a> {
    text: &'a str,
    at: usize,
    scope: &'a Scope<'a>,
    place: Place,
    value: String,
}

impl<'a> Word<'a> {
    fn new(text: &'a str, scope: &'a Scope<'a>, place: Place) -> Self {
        Self { text, at: 0, scope, place, value: String::new() }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.text.get(self.at..)?.chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn value(mut self) -> Result<String, Why> {
        while let Some(c) = self.next() {
            match c {
                '\'' => self.single_quoted()?,
                '"' => self.double_quoted()?,
                '\\' => match self.next() {
                    Some('\n') | None => return Err("a continued line within a word".to_owned()),
                    Some(escaped) => self.value.push(escaped),
                },
                '$' => {
                    let value = self.expansion()?;
                    if self.place == Place::Element && !splits_into_itself(&value) {
                        return Err("an expansion without quotes".to_owned());
                    }
                    self.value.push_str(&value);
                }
                _ => self.plain(c)?,
            }
            if self.value.len() > expand::MAX_VALUE {
                return Err("a very long value".to_owned());
            }
        }
        Ok(self.value)
    }

    /// A character without quotes, with no meaning or with one that is not worked out.
    fn plain(&mut self, c: char) -> Result<(), Why> {
        let start = self.at - c.len_utf8();
        let before = self.text.as_bytes().get(start.wrapping_sub(1)).copied();
        let literal = match c {
            '*' | '?' | '[' | '{' | '}' => self.place == Place::Scalar && c != '{' && c != '}',
            '~' => before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'.'),
            '#' => start > 0,
            _ if c.is_ascii_graphic() => !"`;&|()<>".contains(c),
            _ => c.is_alphanumeric(),
        };
        if !literal {
            return Err(match c {
                '`' => "a command substitution".to_owned(),
                '*' | '?' | '[' => "a file name pattern".to_owned(),
                _ => format!("`{}` without quotes", c.escape_default()),
            });
        }
        self.value.push(c);
        Ok(())
    }

    fn single_quoted(&mut self) -> Result<(), Why> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.find('\'').ok_or("a quote is not closed")?;
        self.value.push_str(&rest[..end]);
        self.at += end + 1;
        Ok(())
    }

    fn double_quoted(&mut self) -> Result<(), Why> {
        while let Some(c) = self.next() {
            match c {
                '"' => return Ok(()),
                '\\' => match self.next() {
                    Some(escaped @ ('$' | '`' | '"' | '\\')) => self.value.push(escaped),
                    Some('\n') | None => return Err("a continued line within quotes".to_owned()),
                    Some(other) => self.value.extend(['\\', other]),
                },
                '$' => {
                    let value = self.expansion()?;
                    self.value.push_str(&value);
                }
                '`' => return Err("a command substitution".to_owned()),
                _ => self.value.push(c),
            }
        }
        Err("a quote is not closed".to_owned())
    }

    /// What follows a `$`.
    fn expansion(&mut self) -> Result<String, Why> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if let Some(inner) = rest.strip_prefix('{') {
            let end = expand::closing_brace(inner)?;
            self.at += 1 + end + 1;
            return expand::parameter(&inner[..end], self.scope);
        }
        let length = source::name_length(rest);
        if length == 0 {
            return Err(match rest.chars().next() {
                Some('(' | '[') => "a command or arithmetic substitution".to_owned(),
                Some('\'' | '"') => "a quoted string that starts with `$`".to_owned(),
                _ => "a special parameter".to_owned(),
            });
        }
        self.at += length;
        Ok(self.scope.scalar(&rest[..length])?.to_owned())
    }
}
