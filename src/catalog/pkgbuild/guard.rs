//! What is refused before and just after tokenizing, so that no input can exhaust the stack or the
//! clock, and the call of the shell parser.

use brush_parser::{ParserOptions, Token, ast, parse_tokens, uncached_tokenize_str};

use super::{Reason, nesting};

/// The largest `PKGBUILD` that is read. The largest real ones, with thousands of checksums, have
/// about half of it.
const MAX_BYTES: usize = 256 * 1024;
/// The largest one with here-documents: the tokenizer takes time quadratic in the length of the
/// line on which one starts.
const MAX_BYTES_WITH_HERE_DOCUMENTS: usize = 64 * 1024;
/// The longest line on which a here-document starts.
const MAX_HERE_DOCUMENT_LINE: usize = 2000;
/// How many expansions that may nest (`$(`, `${x:-`, `$[`) a text may have in all. The tokenizer
/// recurses on them, so that this bounds its depth.
const MAX_EXPANSIONS: usize = 1500;
/// How many characters that may nest a word may have that looks like `name[index]`.
const MAX_IN_SUBSCRIPT: usize = 24;

/// Refuses what is no text that bash and the parser would see in the same way.
pub(super) fn check_text(bytes: &[u8]) -> Result<&str, Reason> {
    let refuse = |message: &str| Err(Reason::new(message, None));
    if bytes.len() > MAX_BYTES {
        return refuse("it is larger than 256 KiB");
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return refuse("it is not UTF-8");
    };
    if text.starts_with('\u{feff}') {
        return refuse("it starts with a byte order mark");
    }
    let strange = |c: &char| c.is_control() && !matches!(c, '\n' | '\t');
    if let Some((line, _)) = (1..).zip(text.split('\n')).find(|(_, text)| text.chars().any(|c| strange(&c))) {
        let message = "there is a control character, such as a carriage return";
        return Err(Reason::new(message, Some(line)));
    }
    check_sizes(text)?;
    Ok(text)
}

/// Refuses what would make the tokenizer recurse deeply or take long.
fn check_sizes(text: &str) -> Result<(), Reason> {
    if nesting_expansions(text) > MAX_EXPANSIONS {
        return Err(Reason::new("it has too many expansions", None));
    }
    let mut here_documents = false;
    for (number, line) in (1..).zip(text.split('\n')) {
        if !line.contains("<<") {
            continue;
        }
        here_documents = true;
        let odd = |mark: u8| line.bytes().filter(|b| *b == mark).count() % 2 == 1;
        let unclosed = odd(b'"') || odd(b'\'') || odd(b'`') || line.ends_with('\\');
        if line.len() > MAX_HERE_DOCUMENT_LINE || unclosed {
            let message = "a here-document starts on a line that is too intricate";
            return Err(Reason::new(message, Some(number)));
        }
    }
    if here_documents && text.len() > MAX_BYTES_WITH_HERE_DOCUMENTS {
        return Err(Reason::new("it is large and has here-documents", None));
    }
    Ok(())
}

/// How many expansions there are that another one could stand in. `${name}` holds nothing.
fn nesting_expansions(text: &str) -> usize {
    let opens = |(at, _): (usize, &str)| {
        let rest = text.get(at + 1..).unwrap_or_default();
        match rest.as_bytes().first() {
            Some(b'(' | b'[') => true,
            Some(b'{') => {
                let inner = rest.get(1..).unwrap_or_default();
                let name = super::source::name_length(inner);
                name == 0 || inner.as_bytes().get(name) != Some(&b'}')
            }
            _ => false,
        }
    };
    text.match_indices('$').filter(|found| opens(*found)).count()
}

/// Parses a text that [`check_text`] let through.
pub(super) fn parse(text: &str) -> Result<ast::Program, Reason> {
    // makepkg sources a PKGBUILD with `extglob` off.
    let options = ParserOptions { enable_extended_globbing: false, ..ParserOptions::default() };
    let tokens = uncached_tokenize_str(text, &options.tokenizer_options())
        .map_err(|error| Reason::new(format!("it is no complete shell script: {error}"), None))?;
    check_words(&tokens)?;
    nesting::check(&tokens)?;
    parse_tokens(&tokens, &options).map_err(|error| Reason::new(format!("it does not parse: {error}"), None))
}

/// Refuses words on which the parser takes exponential time or panics.
fn check_words(tokens: &[Token]) -> Result<(), Reason> {
    for (at, token) in tokens.iter().enumerate() {
        let Token::Word(word, span) = token else {
            continue;
        };
        let line = Some(span.start.line);
        let name = super::source::name_length(word);
        if name > 0 && word.as_bytes().get(name) == Some(&b'[') {
            let nests = |b: &u8| matches!(b, b'(' | b'{' | b'[' | b'"' | b'`' | b'$');
            if word.bytes().filter(nests).count() > MAX_IN_SUBSCRIPT {
                return Err(Reason::new("a subscript is too intricate", line));
            }
        }
        let number = word.len() > 9 && word.bytes().all(|b| b.is_ascii_digit());
        let next = tokens.get(at + 1).map(Token::to_str).unwrap_or_default();
        if number && next.starts_with(['<', '>']) {
            return Err(Reason::new("a file descriptor is out of range", line));
        }
    }
    Ok(())
}
