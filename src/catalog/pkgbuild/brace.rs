//! Brace expansion of plain words: `python-{build,installer}`.

use super::value::Why;

/// The most words that one may turn into.
const MAX_WORDS: usize = 512;

/// The words that a word with braces turns into; the word itself if it has none without quotes.
///
/// Braces within braces, sequences (`{1..3}`), quotes and expansions beside braces are refused.
pub(super) fn expand(word: &str) -> Result<Vec<String>, Why> {
    if !has_brace(word) {
        return Ok(vec![word.to_owned()]);
    }
    let refused = || "braces".to_owned();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"{},._-+@:=".contains(&b);
    if !word.bytes().all(plain) {
        return Err(refused());
    }
    let mut words = vec![String::new()];
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('{') {
        let (inner, after) = after.split_once('}').ok_or_else(refused)?;
        let choices: Vec<&str> = inner.split(',').collect();
        let sound = choices.len() > 1 && !inner.contains('{') && !before.contains('}');
        if !sound || words.len() * choices.len() > MAX_WORDS {
            return Err(refused());
        }
        let join = |word: &String| {
            let word = format!("{word}{before}");
            choices.iter().map(move |choice| format!("{word}{choice}")).collect::<Vec<_>>()
        };
        words = words.iter().flat_map(join).collect();
        rest = after;
    }
    if rest.contains('}') {
        return Err(refused());
    }
    for word in &mut words {
        word.push_str(rest);
    }
    if words.iter().any(String::is_empty) {
        return Err(refused());
    }
    Ok(words)
}

/// Whether there is a brace without quotes that is no part of `${`.
fn has_brace(word: &str) -> bool {
    let mut quote = None;
    let mut previous = '\0';
    let mut escaped = false;
    let mut parameter = false;
    for c in word.chars() {
        match quote {
            _ if escaped => escaped = false,
            Some('\'') if c == '\'' => quote = None,
            Some('\'') => {}
            _ if c == '\\' => escaped = true,
            Some(_) if c == '"' => quote = None,
            Some(_) => {}
            None => match c {
                '\'' | '"' => quote = Some(c),
                '{' if previous == '$' => parameter = true,
                '}' if parameter => parameter = false,
                '{' | '}' => return true,
                _ => {}
            },
        }
        previous = c;
    }
    false
}
