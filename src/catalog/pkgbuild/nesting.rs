//! How deep the compound commands of a script nest, from its tokens alone.
//!
//! The parser recurses on nesting, and takes time exponential in the depth of some of it. This
//! counts on the safe side: whatever the parser could take as an opening is one here.

use brush_parser::Token;

use super::Reason;

/// The deepest nesting of any kind.
const MAX_DEPTH: usize = 24;
/// The deepest nesting of parentheses, which the parser tries in two ways each.
const MAX_PARENTHESES: usize = 12;
/// The deepest nesting of `case`, which the parser tries in two ways each.
const MAX_CASES: usize = 6;
/// How many operators one `[[ ]]` may have.
const MAX_IN_TEST: usize = 64;

/// What is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    Paren,
    Array,
    Brace,
    If,
    /// A loop, with the words still to come before `do` may follow one (`for name do`).
    Loop(u8),
    /// A `case`, with the words that have come: its subject, then `in`.
    Case(u8),
    /// A `case` where a pattern is expected.
    Pattern,
}

/// The state between two tokens.
#[derive(Default)]
struct Walk {
    open: Vec<Frame>,
    /// A reserved word would be taken as one here.
    command: bool,
    /// The next word is the name of a function.
    name: bool,
    /// Operators since `[[`, if it is open.
    test: Option<usize>,
    /// `!` in a row.
    negations: usize,
}

/// Refuses scripts that nest too deep, or whose brackets and reserved words do not pair up.
pub(super) fn check(tokens: &[Token]) -> Result<(), Reason> {
    let mut walk = Walk { command: true, ..Walk::default() };
    let mut skip = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let line = Some(token.location().start.line);
        let ok = match token {
            Token::Operator(operator, _) => {
                let before = at.checked_sub(1).and_then(|at| tokens.get(at));
                // The tag, the body and the tag again.
                skip = if matches!(operator.as_str(), "<<" | "<<-") { 3 } else { 0 };
                walk.operator(token, before)
            }
            Token::Word(word, _) => walk.word(word),
        };
        if ok.is_none() {
            return Err(Reason::new("brackets or reserved words do not pair up", line));
        }
        if walk.too_deep() {
            return Err(Reason::new("it nests too deep", line));
        }
    }
    if walk.open.is_empty() {
        return Ok(());
    }
    Err(Reason::new("something is left open at the end", None))
}

impl Walk {
    fn too_deep(&self) -> bool {
        let count = |what: fn(&&Frame) -> bool| self.open.iter().filter(what).count();
        self.open.len() > MAX_DEPTH
            || count(|f| matches!(f, Frame::Paren)) > MAX_PARENTHESES
            || count(|f| matches!(f, Frame::Case(_) | Frame::Pattern)) > MAX_CASES
            || self.test.is_some_and(|operators| operators > MAX_IN_TEST)
            || self.negations > MAX_IN_TEST
    }

    /// Closes what is open, if it is `frame`.
    fn close(&mut self, frame: fn(Frame) -> bool) -> Option<()> {
        self.open.pop().filter(|top| frame(*top))?;
        self.command = true;
        Some(())
    }

    fn operator(&mut self, token: &Token, before: Option<&Token>) -> Option<()> {
        let operator = token.to_str();
        if let Some(operators) = &mut self.test {
            *operators += 1;
        }
        let top = self.open.last().copied();
        if top == Some(Frame::Array) {
            return match operator {
                ")" => self.close(|f| f == Frame::Array).map(|()| self.command = false),
                "\n" => Some(()),
                _ => None,
            };
        }
        match operator {
            "(" if top == Some(Frame::Pattern) => {}
            "(" => {
                let word =
                    before.filter(|before| matches!(before, Token::Word(word, _) if word.ends_with('=')));
                // The parser does not mind a blank before the parenthesis, but bash does.
                let ends = |word: &Token| word.location().end.index;
                if word.is_some_and(|word| ends(word) != token.location().start.index) {
                    return None;
                }
                let array = word.is_some();
                if let Some(Frame::Loop(words)) = self.open.last_mut() {
                    *words = 0;
                }
                self.open.push(if array { Frame::Array } else { Frame::Paren });
                self.command = true;
            }
            ")" if top == Some(Frame::Pattern) => {
                self.open.pop();
                self.open.push(Frame::Case(2));
                self.command = true;
            }
            ")" => self.close(|f| f == Frame::Paren)?,
            ";;" | ";&" | ";;&" => {
                self.close(|f| matches!(f, Frame::Case(2)))?;
                self.open.push(Frame::Pattern);
            }
            _ => {
                if let (";" | "\n", Some(Frame::Loop(words @ 1))) = (operator, self.open.last_mut()) {
                    *words = 0;
                }
                self.command = !operator.contains(['<', '>']);
            }
        }
        Some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.negations = if word == "!" { self.negations + 1 } else { 0 };
        if self.test.is_some() {
            if word == "]]" {
                self.test = None;
                self.command = true;
            } else if word == "!" {
                // Negations recurse as well.
                self.test = self.test.map(|operators| operators + 1);
            }
            return Some(());
        }
        if std::mem::take(&mut self.name) {
            self.command = true;
            return Some(());
        }
        match self.open.last_mut() {
            Some(Frame::Pattern) if word == "esac" => return self.close(|f| f == Frame::Pattern),
            Some(Frame::Array | Frame::Pattern) => return Some(()),
            Some(top @ Frame::Case(1)) if word == "in" => {
                *top = Frame::Pattern;
                return Some(());
            }
            Some(Frame::Case(words @ 0..=1)) => {
                *words += 1;
                return (*words < 2).then_some(());
            }
            Some(Frame::Loop(words @ 1..)) => {
                *words -= 1;
                self.command = *words == 0 && word == "do";
                return Some(());
            }
            _ => {}
        }
        if !self.command {
            return Some(());
        }
        self.reserved(word)
    }

    /// A word where a reserved word would be taken as one.
    fn reserved(&mut self, word: &str) -> Option<()> {
        let top = self.open.last().copied();
        let within = |frame: fn(Frame) -> bool| top.filter(|top| frame(*top)).map(|_| ());
        match word {
            "{" => self.open.push(Frame::Brace),
            "}" => self.close(|f| f == Frame::Brace)?,
            "if" => self.open.push(Frame::If),
            "then" | "elif" | "else" => within(|f| f == Frame::If)?,
            "fi" => self.close(|f| f == Frame::If)?,
            "while" | "until" => self.open.push(Frame::Loop(0)),
            "for" | "select" => self.open.push(Frame::Loop(2)),
            "do" => within(|f| matches!(f, Frame::Loop(_)))?,
            "done" => self.close(|f| matches!(f, Frame::Loop(_)))?,
            "case" => self.open.push(Frame::Case(0)),
            "esac" => self.close(|f| matches!(f, Frame::Case(2)))?,
            "[[" => self.test = Some(0),
            "function" => self.name = true,
            "coproc" => return None,
            "!" | "time" | "-p" => {}
            _ => self.command = false,
        }
        Some(())
    }
}
