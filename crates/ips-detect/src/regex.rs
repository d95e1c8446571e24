//! Regular expressions of rules. Each is compiled when it is first tried, with JIT where the machine has it and with limits on its work;
//! reading has seen already that it compiles. Never: runs without limit.

use pcre2::bytes::{CaptureLocations, Regex, RegexBuilder};
use std::sync::OnceLock;

/// Steps of one match: the peer's default.
const MATCH_LIMIT: u32 = 3_500;
/// Depth of one match: the peer's default.
const DEPTH_LIMIT: u32 = 1_500;

/// An expression with its flags, compiled when needed.
#[derive(Debug)]
pub(crate) struct Expression {
    written: String,
    flags: String,
    regex: OnceLock<Option<Regex>>,
}

impl Expression {
    pub fn new(expression: &str, flags: &str) -> Self {
        let has = |f| flags.contains(f);
        // What the builder has no switch for is written into the expression. A match from its place on only is written `\G`, and an end
        // that is the very end `\z` cannot be written for it: both are options of the library that the builder does not have.
        let mut written = format!("(*LIMIT_MATCH={MATCH_LIMIT})(*LIMIT_DEPTH={DEPTH_LIMIT})");
        if has('G') {
            written += "(?U)";
        }
        if has('A') {
            written += "\\G(?:";
            written += expression;
            written += if has('x') { "\n)" } else { ")" };
        } else {
            written += expression;
        }
        Self { written, flags: flags.to_owned(), regex: OnceLock::new() }
    }

    fn regex(&self) -> Option<&Regex> {
        let has = |f| self.flags.contains(f);
        let build = || {
            let mut b = RegexBuilder::new();
            b.caseless(has('i')).multi_line(has('m')).dotall(has('s')).extended(has('x')).jit_if_available(true);
            b.build(&self.written).ok()
        };
        self.regex.get_or_init(build).as_ref()
    }

    /// Where it matches from `at` on; an error of the library, a limit included, is [`Err`].
    pub fn find(&self, subject: &[u8], at: usize) -> Result<Option<(usize, usize)>, ()> {
        let regex = self.regex().ok_or(())?;
        let mut at = at;
        loop {
            if at > subject.len() {
                return Ok(None);
            }
            let found = regex.find_at(subject, at).map_err(|_| ())?;
            let Some(m) = found else { return Ok(None) };
            // `E`: a dollar is the very end, not before a last line end. Only a match that ends there can owe it to the dollar.
            if self.flags.contains('E') && !self.flags.contains('m') && self.ends_with_dollar() && m.end() != subject.len() {
                at = m.start() + 1;
                continue;
            }
            return Ok(Some((m.start(), m.end())));
        }
    }

    fn ends_with_dollar(&self) -> bool {
        self.written.ends_with('$') && !self.written.ends_with("\\$")
    }

    /// The first group's place.
    pub fn group(&self, subject: &[u8]) -> Option<(usize, usize)> {
        let found = self.locations(subject, 0)?;
        found.get(1)
    }

    /// All groups' places.
    pub fn locations(&self, subject: &[u8], at: usize) -> Option<CaptureLocations> {
        let regex = self.regex()?;
        let mut found = regex.capture_locations();
        regex.captures_read_at(&mut found, subject, at).ok()??;
        Some(found)
    }
}
