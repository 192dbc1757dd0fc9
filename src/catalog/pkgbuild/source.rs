//! The text of a `PKGBUILD`, and positions in it.

/// A text with what is needed to turn the parser's positions into ours.
pub(super) struct Source<'a> {
    /// The whole text.
    pub(super) text: &'a str,
    /// Byte offset of every character, unless all are ASCII and it is the identity.
    offsets: Option<Vec<usize>>,
    /// Byte offset of the first character of every line.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let offsets = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(starts).collect();
        Self { text, offsets, lines }
    }

    /// The byte offset of the character at `index`; the end of the text if there is none.
    pub(super) fn byte(&self, index: usize) -> usize {
        match &self.offsets {
            Some(offsets) => offsets.get(index).copied().unwrap_or(self.text.len()),
            None => index.min(self.text.len()),
        }
    }

    /// The text between two byte offsets; empty if they are no part of the text.
    pub(super) fn slice(&self, start: usize, end: usize) -> &'a str {
        self.text.get(start..end).unwrap_or_default()
    }

    /// The text from a byte offset on.
    pub(super) fn from(&self, start: usize) -> &'a str {
        self.text.get(start..).unwrap_or_default()
    }

    /// The number of the line that holds a byte offset, counted from 1.
    pub(super) fn line(&self, byte: usize) -> usize {
        self.lines.partition_point(|start| *start <= byte)
    }

    /// Every line with the byte offset it starts at.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &'a str)> + '_ {
        let ends = self.lines.iter().skip(1).copied();
        let ends = ends.chain(std::iter::once(self.text.len()));
        let spans = self.lines.iter().copied().zip(ends);
        spans.map(|(start, end)| (start, self.slice(start, end)))
    }
}

/// The length of the shell name that `text` starts with; 0 if it starts with none.
pub(super) fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count()
}

/// Passes over blanks and continued lines.
pub(super) fn skip_blanks(text: &str) -> &str {
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start_matches([' ', '\t']);
        let trimmed = trimmed.strip_prefix("\\\n").unwrap_or(trimmed);
        if trimmed.len() == rest.len() {
            return rest;
        }
        rest = trimmed;
    }
}
