//! Text from package sources, servers and libraries must not break a log line, move the cursor or make a
//! line read as something that it is not.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character is a control character, ends a line for some readers, or turns the direction of text
/// (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>).
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One line of printable text: everything [unsafe](is_unsafe) but the tabulator becomes visible, such as
/// `\n` or `\u{1b}`.
pub fn escape(text: &str) -> Cow<'_, str> {
    let bad = |c: char| c != '\t' && is_unsafe(c);
    if !text.contains(bad) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if bad(c) { escaped.extend(c.escape_default()) } else { escaped.push(c) }
    }
    Cow::Owned(escaped)
}

/// JSON text in which the characters that JSON allows unescaped, but which are unsafe all the same, are
/// escaped too. They can only be inside strings, so the meaning stays.
pub(super) fn escape_json(json: String) -> String {
    if !json.contains(is_unsafe) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_unsafe(c) {
            // All of them are below U+FFFF, so one `\u` is enough. Writing to a string cannot fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// The beginning of a text, at most `limit` bytes, with an ellipsis where something is missing.
pub fn shorten(text: &str, limit: usize) -> Cow<'_, str> {
    const ELLIPSIS: &str = "…";
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(limit.saturating_sub(ELLIPSIS.len()));
    Cow::Owned(format!("{}{ELLIPSIS}", &text[..end]))
}

#[cfg(test)]
mod tests;
