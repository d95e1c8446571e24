//! The characters of one logical line, cut as sudo's lexer cuts them. In comes a line, out come words, paths, arguments.
//! Never: reads past the end, takes what sudo would refuse.

/// A position in a line.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    rest: &'a str,
}

/// Why a line does not read.
pub type Stop = String;

impl<'a> Cursor<'a> {
    /// At the beginning.
    pub fn new(line: &'a str) -> Self {
        Self { rest: line }
    }
    /// What is left.
    pub fn rest(&self) -> &'a str {
        self.rest
    }
    /// Skips blanks.
    pub fn blanks(&mut self) -> &mut Self {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        self
    }
    /// The next character after blanks.
    pub fn peek(&mut self) -> Option<char> {
        self.blanks().rest.chars().next()
    }
    /// Takes this text after blanks, if it stands there.
    pub fn take(&mut self, text: &str) -> bool {
        self.blanks();
        self.rest.strip_prefix(text).map(|r| self.rest = r).is_some()
    }
    /// Nothing but blanks is left.
    pub fn at_end(&mut self) -> bool {
        self.blanks().rest.is_empty()
    }
    /// A run of `!`: whether it negates. sudo takes one run; a second one after blanks does not read.
    pub fn sign(&mut self) -> bool {
        self.blanks();
        let after = self.rest.trim_start_matches('!');
        let odd = (self.rest.len() - after.len()) % 2 == 1;
        self.rest = after;
        odd
    }
    /// Characters while `keep` holds; a backslash takes the next character with it, unescaped.
    fn escaped(&mut self, keep: impl Fn(char) -> bool) -> Result<String, Stop> {
        let mut out = String::new();
        let mut chars = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            if c == '\\' {
                match chars.next() {
                    // `\x20` is a character by its number.
                    Some((x, 'x')) => {
                        let digits = self.rest.get(x + 1..x + 3).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                        match digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
                            Some(byte) if byte.is_ascii() && byte != 0 => {
                                out.push(char::from(byte));
                                chars.nth(1);
                            }
                            Some(_) => return Err("an escaped byte that is no ASCII character".into()),
                            None => out.push('x'),
                        }
                    }
                    Some((_, next)) => out.push(next),
                    None => return Err("a backslash at the end".into()),
                }
            } else if keep(c) {
                out.push(c);
            } else {
                end = at;
                break;
            }
        }
        self.rest = &self.rest[end..];
        Ok(out)
    }
    /// A word: names of users, groups and hosts.
    pub fn word(&mut self) -> Result<String, Stop> {
        self.blanks();
        let word = self.escaped(|c| !"#>!=:,() \t\\\"".contains(c))?;
        if word.is_empty() { Err(format!("a name was expected before `{}`", shown(self.rest))) } else { Ok(word) }
    }
    /// A value of a setting.
    pub fn value(&mut self) -> Result<String, Stop> {
        if self.peek() == Some('"') {
            return self.quoted();
        }
        let value = self.escaped(|c| !"#=, \t\\\"".contains(c))?;
        if value.is_empty() { Err("a value was expected".into()) } else { Ok(value) }
    }
    /// A text in double quotes; the cursor stands on the first one. `\"` is a quote, other backslashes stay.
    pub fn quoted(&mut self) -> Result<String, Stop> {
        self.blanks();
        let body = self.rest.strip_prefix('"').ok_or("a quote was expected")?;
        let mut out = String::new();
        let mut chars = body.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' if out.is_empty() => return Err("an empty string".into()),
                '"' => {
                    self.rest = &body[at + 1..];
                    return Ok(out);
                }
                '\\' if chars.peek().is_some_and(|(_, n)| *n == '"') => {
                    chars.next();
                    out.push('"');
                }
                _ => out.push(c),
            }
        }
        Err("a string without its end".into())
    }
    /// Letters, digits and `_`: keywords, settings, aliases.
    pub fn plain(&mut self) -> &'a str {
        self.blanks();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }
    /// Decimal digits as a number; a minus sign makes an id nobody has.
    pub fn number(&mut self) -> Result<Option<u32>, Stop> {
        let body = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let end = body.find(|c: char| !c.is_ascii_digit()).unwrap_or(body.len());
        let (digits, rest) = body.split_at(end);
        let minus = body.len() != self.rest.len();
        if digits.is_empty() {
            return Err("a number was expected".into());
        }
        self.rest = rest;
        Ok(digits.parse().ok().filter(|_| !minus))
    }
    /// Digits of a digest.
    pub fn digest(&mut self) -> Result<(), Stop> {
        self.blanks();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c)).unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
        if end < 28 { Err("a digest was expected".into()) } else { Ok(()) }
    }
    /// A path or pattern.
    pub fn path(&mut self) -> Result<String, Stop> {
        self.blanks();
        let mut out = String::new();
        let mut chars = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, next)) if ",:= \t#".contains(next) => out.push(next),
                    _ => return Err("a backslash in a path".into()),
                },
                ',' | ':' | '=' | ' ' | '\t' | '#' => {
                    end = at;
                    break;
                }
                _ => out.push(c),
            }
        }
        self.rest = &self.rest[end..];
        Ok(out)
    }
    /// `^...$`, from the caret on.
    pub fn regex(&mut self) -> Result<(), Stop> {
        self.blanks();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => drop(chars.next()),
                '$' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(());
                }
                '#' => break,
                _ => {}
            }
        }
        Err("a regular expression without its end".into())
    }
    /// Arguments up to what ends a command, blanks folded, quoted pattern characters kept quoted.
    pub fn arguments(&mut self) -> Result<String, Stop> {
        let mut out = String::new();
        let mut word = String::new();
        loop {
            self.blanks();
            word.clear();
            let mut end = self.rest.len();
            let mut chars = self.rest.char_indices();
            while let Some((at, c)) = chars.next() {
                match c {
                    '\\' => match chars.next() {
                        Some((_, next)) if "*?[]!^".contains(next) => word.extend(['\\', next]),
                        Some((_, next)) if ":\\,= \t#".contains(next) => word.push(next),
                        _ => return Err("a backslash in an argument".into()),
                    },
                    // A lone sign ends the command, one inside a word does not.
                    '=' if !word.is_empty() || self.rest[at + 1..].starts_with(|n: char| !" \t,:#\\".contains(n)) => word.push(c),
                    ',' | ':' | '=' | '#' | ' ' | '\t' => {
                        end = at;
                        break;
                    }
                    _ => word.push(c),
                }
            }
            self.rest = &self.rest[end..];
            if word.is_empty() {
                return Ok(out);
            }
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&word);
        }
    }
}

/// The beginning of a text, for messages.
pub fn shown(text: &str) -> String {
    const MOST: usize = 20;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}
