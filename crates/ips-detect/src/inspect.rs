//! A group's tests against one buffer, as the peer does it: in order, each from where the one before ended; a content or expression that
//! something relative follows is tried at its next place where what follows fails. In come bytes, out comes yes or no. Bounded by
//! [`STEPS`] tests tried.

use crate::{
    asn1, base64, bytes,
    bytes::Written,
    memory::Sets,
    program::{Content, Num, Op},
    text,
};
use ips_rules::condition::{Arithmetic, Compare, Field, From, SetAct};
use std::net::Ipv4Addr;

/// Most tests tried on one buffer: the peer's default.
const STEPS: u32 = 3_000;
/// Largest variable that `isdataat` takes: the peer's bound.
const FARTHEST: u64 = 100_000_000;

/// A buffer's bytes and what is known of them.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub bytes: &'a [u8],
    /// Where they begin in the whole.
    pub offset: u64,
    /// Numbers in them are little-endian where a rule leaves that to DCERPC.
    pub little: bool,
    /// Who sent them, for `ftpbounce`.
    pub sender: Option<Ipv4Addr>,
}

/// Room that is used again and again.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// Variables of the rule.
    pub vars: Vec<u64>,
    /// The buffer in small letters.
    pub lower: Vec<u8>,
    decoded: Vec<u8>,
    decoded_lower: Vec<u8>,
    /// What expressions kept: with the flow or not, name, bytes.
    pub captured: Vec<(bool, u16, Vec<u8>)>,
    /// What is known of values that were found in sets.
    pub known: Vec<(u16, std::sync::Arc<str>)>,
}

/// Runs all tests of a group. `lowered`: `room.lower` holds the buffer in small letters already.
pub(crate) fn run(ops: &[Op], decoded: Option<&[Op]>, view: View<'_>, lowered: bool, room: &mut Room, sets: &mut Sets) -> bool {
    let mut run = Run { ops, decoded, view, lowered, room, sets, at: 0, steps: 0, stop: false, again: 0 };
    run.from(0)
}

struct Run<'a> {
    ops: &'a [Op],
    decoded: Option<&'a [Op]>,
    view: View<'a>,
    lowered: bool,
    room: &'a mut Room,
    sets: &'a mut Sets,
    /// Where the last match ended.
    at: usize,
    steps: u32,
    /// No other place of an earlier match can help.
    stop: bool,
    /// Where an expression goes on looking.
    again: usize,
}

impl<'a> Run<'a> {
    fn from(&mut self, next: usize) -> bool {
        let ops = self.ops;
        let Some(op) = ops.get(next) else { return true };
        self.steps += 1;
        if self.steps >= STEPS {
            self.stop = true;
            return false;
        }
        let holds = match op {
            Op::Content(c) => return self.content(c, next),
            Op::Pcre { .. } => return self.pcre(op, next),
            Op::Base64 { bytes, offset, relative } => return self.base64(*bytes, *offset, *relative),
            Op::ByteTest { field, compare, negated, value } => self.byte_test(field, *compare, *negated, *value),
            Op::ByteJump { field, multiplier, align, from, post_offset } => self.byte_jump(field, *multiplier, *align, *from, *post_offset),
            Op::ByteExtract { field, variable, multiplier, align } => self.byte_extract(field, *variable, *multiplier, *align),
            Op::ByteMath { field, operation, value, variable } => self.byte_math(field, *operation, *value, *variable),
            Op::DataAt { bytes, relative, negated } => self.data_at(*bytes, *relative) != *negated,
            Op::Size(n) => {
                let holds = n.holds(self.view.bytes.len() as u64 + self.view.offset);
                self.stop |= !holds;
                holds
            }
            Op::Dataset { set, act } => {
                let holds = self.sets.act(*set, *act, self.view.bytes);
                self.stop |= !holds;
                if holds
                    && *act == SetAct::Isset
                    && let Some(known) = self.sets.known(*set, self.view.bytes)
                {
                    self.room.known.push((*set, known.clone()));
                }
                holds
            }
            Op::Reputation { set, compare } => {
                let holds = self.sets.reputation(*set, self.view.bytes).is_some_and(|n| compare.holds(u64::from(n)));
                self.stop |= !holds;
                holds
            }
            Op::Entropy(n) => n.holds(entropy(self.view.bytes)),
            Op::Asn1(ask) => {
                let from = match (ask.absolute_offset, ask.relative_offset) {
                    (Some(n), _) => Some(usize::from(n)),
                    (_, Some(n)) => self.at.checked_add_signed(isize::from(n)),
                    _ => Some(0),
                };
                from.and_then(|f| self.view.bytes.get(f..)).is_some_and(|b| asn1::fault(b, ask))
            }
            Op::FtpBounce => self.view.sender.is_some_and(|sender| bounces(self.view.bytes, sender)),
        };
        holds && self.from(next + 1)
    }

    fn value(&self, n: Num) -> u64 {
        match n {
            Num::Is(n) => n.cast_unsigned(),
            Num::Of(v) => self.room.vars.get(usize::from(v)).copied().unwrap_or(0),
        }
    }

    /// As a 32-bit number with sign, as the peer keeps places.
    fn place(&self, n: Num) -> i64 {
        match n {
            Num::Is(n) => n,
            #[allow(clippy::cast_possible_truncation, reason = "the peer keeps the lowest 32 bits")]
            Num::Of(_) => i64::from(self.value(n) as i32),
        }
    }

    /// Between which bytes a content is looked for; none where no place will do, negated or not.
    fn window(&self, c: &Content, before: i64) -> Option<(i64, i64)> {
        let length = i64::try_from(self.view.bytes.len()).unwrap_or(i64::MAX);
        let base = i64::try_from(self.view.offset).unwrap_or(i64::MAX);
        let (mut from, mut to);
        // In a later part of a stream, places counted from the stream's beginning move.
        let moved = |to: i64| {
            if to <= base {
                None
            } else if to >= base + length {
                Some(to)
            } else {
                Some(to - base)
            }
        };
        if c.relative() {
            from = before;
            to = length;
            let distance = c.distance.map_or(0, |n| self.place(n));
            from = if distance < 0 && -distance > from { 0 } else { from + distance };
            if let Some(within) = c.within {
                to = to.min(before + self.place(within) + distance);
            }
            if base != 0 && before == 0 {
                to = moved(to)?;
            }
        } else {
            from = c.offset.map_or(0, |n| self.place(n));
            to = length;
            if let Some(depth) = c.depth {
                to = self.place(depth);
                if !c.widens() {
                    to += from;
                }
                if base != 0 {
                    to = moved(to)?;
                }
            }
        }
        if c.widens() {
            to += from;
        }
        // The peer's places have no sign: what is before the beginning is far behind the end.
        if let (true, Some(most)) = (to < 0, c.deep) {
            to = before + most;
        }
        if to < 0 || to > length {
            to = length;
        }
        from = if from < 0 { i64::MAX } else { from.max(c.floor) };
        Some((from, to))
    }

    fn content(&mut self, c: &'a Content, next: usize) -> bool {
        let before = self.at;
        let relative = c.relative();
        let Some((from, to)) = self.window(c, i64::try_from(before).unwrap_or(i64::MAX)) else { return false };
        let mut resume = 0usize;
        let to = usize::try_from(to).unwrap_or(0);
        let whole = self.view.bytes;
        loop {
            let from = if resume != 0 { resume } else { usize::try_from(from).unwrap_or(usize::MAX) };
            if from > to || to == 0 {
                return c.negated && self.from(next + 1);
            }
            let found = if (c.endswith && to < whole.len()) || c.needle.len() > to - from {
                None
            } else if c.endswith && !c.negated && !c.next_relative {
                // Only the end will do.
                self.tail(c, from)
            } else {
                self.search(c, from, to)
            };
            let Some(found) = found else {
                if c.negated {
                    return self.from(next + 1);
                }
                self.stop |= !relative;
                return false;
            };
            let end = found + c.needle.len();
            if c.negated {
                if c.endswith && end != whole.len() {
                    return self.from(next + 1);
                }
                // A content that nothing depends on and that depends on nothing decides for good.
                self.stop |= !relative && !c.next_relative && c.offset.is_none() && c.depth.is_none();
                return false;
            }
            self.at = end;
            if !c.endswith || end == whole.len() {
                if self.from(next + 1) {
                    return true;
                }
                if self.stop {
                    return false;
                }
                if !c.next_relative {
                    self.stop = true;
                    return false;
                }
            }
            resume = found + 1;
            self.steps += 1;
            if self.steps >= STEPS {
                self.stop = true;
                return false;
            }
        }
    }

    fn haystack(&mut self, nocase: bool) -> &[u8] {
        if !nocase {
            return self.view.bytes;
        }
        if !self.lowered {
            text::lower(self.view.bytes, &mut self.room.lower);
            self.lowered = true;
        }
        &self.room.lower
    }

    fn search(&mut self, c: &Content, from: usize, to: usize) -> Option<usize> {
        let hay = self.haystack(c.needle.nocase);
        c.needle.find(hay.get(from..to)?).map(|i| i + from)
    }

    fn tail(&mut self, c: &Content, from: usize) -> Option<usize> {
        let at = self.view.bytes.len().checked_sub(c.needle.len()).filter(|at| *at >= from)?;
        let hay = &self.view.bytes[at..];
        let same = if c.needle.nocase { hay.eq_ignore_ascii_case(c.needle.bytes()) } else { hay == c.needle.bytes() };
        same.then_some(at)
    }

    fn pcre(&mut self, op: &'a Op, next: usize) -> bool {
        let Op::Pcre { expression, negated, relative, next_relative, captures } = op else { return false };
        let before = self.at;
        self.again = 0;
        loop {
            let base = if *relative { self.at } else { 0 };
            let Some(subject) = self.view.bytes.get(base..) else { return false };
            let start = self.again.saturating_sub(base);
            let found = expression.find(subject, start);
            let Ok(found) = found else { return false };
            match found {
                None => return *negated && self.from(next + 1),
                Some(_) if *negated => return false,
                Some((from, to)) => {
                    if !captures.is_empty() {
                        self.capture(expression, subject, start, captures);
                    }
                    self.at = base + to;
                    self.again = base + from + 1;
                }
            }
            let resume = self.again;
            if self.from(next + 1) {
                return true;
            }
            if self.stop || !next_relative {
                return false;
            }
            self.at = before;
            self.again = resume;
            self.steps += 1;
            if self.steps >= STEPS {
                self.stop = true;
                return false;
            }
        }
    }

    fn capture(&mut self, expression: &crate::regex::Expression, subject: &[u8], start: usize, names: &[(bool, u16)]) {
        let Some(found) = expression.locations(subject, start) else { return };
        for (i, (flow, name)) in names.iter().enumerate() {
            if let Some(bytes) = found.get(i + 1).and_then(|(a, b)| subject.get(a..b)) {
                self.room.captured.push((*flow, *name, bytes.to_vec()));
            }
        }
    }

    /// The front of a field: from where its offset leads on.
    fn front(&self, field: &Field) -> Option<(usize, &'a [u8])> {
        let length = i64::try_from(self.view.bytes.len()).ok()?;
        let at = i64::try_from(self.at).ok()?;
        let offset = self.place((&field.offset).into());
        let from = if field.relative { at + offset } else { offset };
        if field.relative && from > length {
            return None;
        }
        let from = usize::try_from(from).ok()?;
        Some((from, self.view.bytes.get(from..)?))
    }

    /// The number, where it began, and how many bytes it took.
    fn number(&self, field: &Field) -> Option<(u64, usize, usize)> {
        let (from, bytes) = self.front(field)?;
        let length = usize::try_from(self.value((&field.bytes).into())).ok()?;
        let written = Written::of(field.encoding, self.view.little);
        // Text without a length is as long as its digits.
        let length = if length == 0 && matches!(written, Written::Text(_)) { bytes.len().min(23) } else { length };
        let (value, took) = bytes::number(bytes, length, written)?;
        Some((value, from, took))
    }

    fn byte_test(&mut self, field: &Field, compare: Compare, negated: bool, value: Num) -> bool {
        let Some((n, _, _)) = self.number(field) else { return false };
        let n = bytes::masked(n, field.bitmask);
        let with = self.value(value);
        let holds = match compare {
            Compare::Less => n < with,
            Compare::Greater => n > with,
            Compare::Equal => n == with,
            Compare::AtMost => n <= with,
            Compare::AtLeast => n >= with,
            Compare::And => n & with != 0,
            Compare::Or => n ^ with != 0,
        };
        holds != negated
    }

    fn byte_jump(&mut self, field: &Field, multiplier: u64, align: bool, from: From, post_offset: Num) -> bool {
        let Some((n, at, took)) = self.number(field) else { return false };
        let mut n = bytes::masked(n, field.bitmask).wrapping_mul(multiplier);
        if align {
            n = bytes::rounded(n, 4);
        }
        let by = i128::from(n) + i128::from(self.place(post_offset));
        let length = self.view.bytes.len() as i128;
        let to = match from {
            From::Here => (at + took) as i128 + by,
            From::Beginning => by,
            From::End => length + by,
        };
        if to > length {
            return false;
        }
        self.at = usize::try_from(to.max(0)).unwrap_or(0);
        true
    }

    fn keep(&mut self, variable: u16, value: u64) {
        if let Some(slot) = self.room.vars.get_mut(usize::from(variable)) {
            *slot = value;
        }
    }

    fn byte_extract(&mut self, field: &Field, variable: u16, multiplier: u64, align: Option<u8>) -> bool {
        let Some((n, at, took)) = self.number(field) else { return false };
        let mut n = bytes::masked(n, field.bitmask).wrapping_mul(multiplier);
        if let Some(to) = align {
            n = bytes::rounded(n, u64::from(to.max(1)));
        }
        self.at = at + took;
        self.keep(variable, n);
        true
    }

    fn byte_math(&mut self, field: &Field, operation: Arithmetic, value: Num, variable: u16) -> bool {
        let Some((n, at, took)) = self.number(field) else { return false };
        let with = self.value(value);
        let bits = u32::try_from(with).unwrap_or(u32::MAX);
        let n = match operation {
            Arithmetic::Add => n.wrapping_add(with),
            Arithmetic::Subtract => n.wrapping_sub(with),
            Arithmetic::Multiply => n.wrapping_mul(with),
            Arithmetic::Divide if with == 0 => return false,
            Arithmetic::Divide => n / with,
            Arithmetic::ShiftLeft => n.checked_shl(bits).unwrap_or(0),
            // The peer shifts as the processor does: by the lowest six bits.
            Arithmetic::ShiftRight => n.wrapping_shr(bits & 63),
        };
        self.at = at + took;
        self.keep(variable, bytes::masked(n, field.bitmask));
        true
    }

    fn data_at(&self, bytes: Num, relative: bool) -> bool {
        let n = self.value(bytes);
        if matches!(bytes, Num::Of(_)) && n >= FARTHEST {
            return false;
        }
        let length = self.view.bytes.len() as u64;
        if relative { (self.at as u64).saturating_add(n) <= length } else { n < length }
    }

    /// Ends the group: what was decoded decides, as with the peer.
    fn base64(&mut self, bytes: Option<usize>, offset: usize, relative: bool) -> bool {
        let Some(ops) = self.decoded else { return false };
        let from = offset + if relative { self.at } else { 0 };
        let Some(encoded) = self.view.bytes.get(from..) else { return false };
        let encoded = &encoded[..bytes.unwrap_or(encoded.len()).min(encoded.len())];
        let mut decoded = std::mem::take(&mut self.room.decoded);
        decoded.clear();
        base64::decode(encoded, false, &mut decoded);
        let mut holds = false;
        if !decoded.is_empty() {
            let kept = std::mem::take(&mut self.room.lower);
            self.room.lower = std::mem::take(&mut self.room.decoded_lower);
            let view = View { bytes: &decoded, offset: 0, ..self.view };
            holds = run(ops, None, view, false, self.room, self.sets);
            self.room.decoded_lower = std::mem::replace(&mut self.room.lower, kept);
        }
        self.room.decoded = decoded;
        holds
    }
}

/// Whether a command of FTP sends data to an address other than the sender's (RFC 2577).
fn bounces(bytes: &[u8], sender: Ipv4Addr) -> bool {
    let Some((command, rest)) = bytes.split_at_checked(5) else { return false };
    if !command.eq_ignore_ascii_case(b"PORT ") {
        return false;
    }
    let parts = rest.split(|b| *b == b',').take(4).map(|p| std::str::from_utf8(p).ok().and_then(|t| t.trim().parse::<u8>().ok()));
    let octets: Option<Vec<u8>> = parts.collect();
    matches!(octets.as_deref(), Some([a, b, c, d]) if Ipv4Addr::new(*a, *b, *c, *d) != sender)
}

/// Shannon entropy in thousandths of a bit per byte.
fn entropy(bytes: &[u8]) -> u64 {
    if bytes.is_empty() {
        return 0;
    }
    let mut counts = [0u32; 256];
    bytes.iter().for_each(|b| counts[usize::from(*b)] += 1);
    let all = bytes.len() as f64;
    let one = |n: &u32| {
        let p = f64::from(*n) / all;
        if *n == 0 { 0.0 } else { -p * p.log2() }
    };
    let bits: f64 = counts.iter().map(one).sum();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8,000")]
    let thousandths = (bits * 1000.0) as u64;
    thousandths
}
