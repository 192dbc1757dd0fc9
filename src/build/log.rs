//! The output of builds: harmless to terminals and parsers, and not without end.

/// A line with its control characters escaped, so that a build cannot move the cursor of whoever reads
/// the log, or break a line of it in two. Tabs stay.
pub fn printable(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    // A carriage return overwrites what is before it, as progress displays do: the last word counts.
    let line = line.trim_end_matches('\r');
    let line = line.rsplit('\r').next().unwrap_or(line);
    for c in line.chars() {
        match c {
            '\t' => text.push(c),
            // Bidirectional controls reorder what follows them on the screen.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => text.extend(c.escape_unicode()),
            c if c.is_control() => text.extend(c.escape_default()),
            c => text.push(c),
        }
    }
    text
}

/// Counts what was logged, and says when it is enough.
#[derive(Debug)]
pub struct Budget {
    left: Option<u64>,
    dropped: u64,
    tail: std::collections::VecDeque<String>,
}

/// How many of the last lines are kept for error messages.
const TAIL: usize = 20;

/// What to do with one more line.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// Log it.
    Log,
    /// Log that the limit is reached, and drop the line.
    Announce,
    /// Drop it.
    Drop,
}

impl Budget {
    /// A budget of so many bytes; `None`: no limit.
    pub fn new(limit: Option<u64>) -> Self {
        Self { left: limit, dropped: 0, tail: std::collections::VecDeque::with_capacity(TAIL) }
    }

    /// Takes a line into account.
    pub fn take(&mut self, line: &str) -> Fate {
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
        let length = line.len() as u64 + 1;
        match &mut self.left {
            None => Fate::Log,
            Some(left) if self.dropped == 0 && *left >= length => {
                *left -= length;
                Fate::Log
            }
            Some(_) => {
                self.dropped += 1;
                if self.dropped == 1 { Fate::Announce } else { Fate::Drop }
            }
        }
    }

    /// The last lines, logged or not.
    pub fn tail(&self) -> impl Iterator<Item = &str> {
        self.tail.iter().map(String::as_str)
    }

    /// How many lines were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_cannot_reach_a_terminal() {
        assert_eq!(printable("\u{1b}[31mred\u{7}"), "\\u{1b}[31mred\\u{7}");
        assert_eq!(printable("10%\r50%\r100%\r"), "100%");
        assert_eq!(printable("a\tb\u{202e}c"), "a\tb\\u{202e}c");
    }

    #[test]
    fn the_limit_is_announced_once_and_the_last_lines_are_kept() {
        let mut budget = Budget::new(Some(10));
        let fates: Vec<Fate> = ["12345", "1234567", "1", "2"].iter().map(|l| budget.take(l)).collect();
        assert_eq!(fates, [Fate::Log, Fate::Announce, Fate::Drop, Fate::Drop]);
        assert_eq!(budget.dropped(), 3);
        assert_eq!(budget.tail().last(), Some("2"));
    }
}
