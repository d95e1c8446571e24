//! Which content is looked for first, in all traffic at once. The rule's own choice, else the buffer of the smallest rank,
//! there the longest content, among equals the one whose bytes are rarer. As the peer does it.

use crate::{
    buffer::NEVER,
    limits::STRONG_ENOUGH,
    rule::{Content, Fast, Group, Prefilter, Test},
};
use std::cmp::Reverse;

/// How rare bytes are: letters and digits little, other printable bytes more, the rest most, zero and all ones least.
fn strength(bytes: &[u8]) -> u32 {
    let one = |b: &u8| match b {
        0 | 1 | 0xff => 1,
        b if b.is_ascii_alphanumeric() || *b == b' ' => 3,
        b if b.is_ascii_graphic() => 4,
        b'\r' | b'\n' | b'\t' => 4,
        _ => 6,
    };
    let mut seen = [false; 256];
    // A byte that comes again tells less.
    bytes.iter().map(|b| if std::mem::replace(&mut seen[usize::from(*b)], true) { 1 } else { one(b) }).sum()
}

/// Chooses; none where no content will do.
pub fn choose(groups: &[Group]) -> Option<Prefilter> {
    let contents = || {
        groups.iter().enumerate().flat_map(|(g, group)| {
            group.tests.iter().enumerate().filter_map(move |(t, test)| match test {
                Test::Content(c) => Some((g, t, c)),
                _ => None,
            })
        })
    };
    // What is decoded by the rule itself cannot be looked for in all traffic.
    // Nor can what must not be there, nor what may be absent, whatever the rule asks for.
    let fits = |(g, _, c): &(usize, usize, &Content)| !c.negated && groups[*g].buffer.row().rank != NEVER && !or_else(&groups[*g]);
    let asked = contents().find(|found| found.2.fast.is_some() && fits(found));
    let chosen = asked.is_some();
    let best = || {
        let weigh = |(g, t, c): &(usize, usize, &Content)| {
            (Reverse(groups[*g].buffer.row().rank), c.bytes.len().min(STRONG_ENOUGH), strength(&c.bytes), Reverse((*g, *t)))
        };
        contents().filter(fits).max_by_key(weigh)
    };
    let (group, test, content) = asked.or_else(best)?;
    let bytes = match content.fast {
        Some(Fast::Part(from, length)) => content.bytes.get(usize::from(from)..usize::from(from) + usize::from(length))?.to_vec(),
        _ => content.bytes.clone(),
    };
    let alone = content.depth.is_none() && content.offset.is_none() && content.distance.is_none() && content.within.is_none();
    let whole = !matches!(content.fast, Some(Fast::Part(..))) && !content.startswith && !content.endswith;
    // What stands behind it may go on from where it was found.
    let last = groups[group].tests.len() == test + 1;
    Some(Prefilter {
        group,
        test,
        bytes,
        nocase: content.nocase,
        chosen,
        suffices: alone && whole && last && matches!(content.fast, Some(Fast::Only)),
    })
}

/// A buffer that may be absent is no reason to leave a rule out.
fn or_else(group: &Group) -> bool {
    group.tests.iter().any(|t| matches!(t, Test::Absent { .. }))
}
