//! A transaction against the rules about transactions, in one direction, whenever something of it is new. A rule whose buffers become
//! ready at different times waits in the transaction's [`TxState`]; it matches once. Packet conditions count when it is first tried.

use crate::{
    check::{Around, app_bit},
    hit::{Context, Hit, Hits},
    inspect::{self, View},
    memory::{Memory, Sets},
    packet,
    seen::Seen,
    state::{DONE, FlowState, TxState, find, keep},
    tables::{DigestKind, Group, Scratch, Slot, Tables, TxCond},
    text,
};
use ips_proto::{Toward, Transaction};
use ips_rules::{buffer::Buffer, condition::Quantity, header::Direction};

/// Instances of one buffer that are looked at in one transaction.
const MAX_INSTANCES: usize = 1_024;
/// The packet's part of the rule held already.
const PACKET: u64 = 1 << 62;

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Yes,
    No,
    Wait,
}

/// Buffers that come bit by bit.
pub(crate) fn grows(buffer: Buffer) -> bool {
    matches!(buffer, Buffer::HttpRequestBody | Buffer::HttpResponseBody | Buffer::FileData | Buffer::DceStub)
}

impl Tables {
    /// Holds what is new of a transaction in the packet's direction against the rules. To be called after [`Tables::packet`] with the
    /// same packet, and once more when the direction is done.
    #[allow(clippy::too_many_arguments, reason = "all of it is looked at")]
    pub fn transaction(
        &self,
        scratch: &mut Scratch,
        seen: &Seen<'_>,
        tx: &dyn Transaction,
        state: &mut TxState,
        flow: &mut FlowState,
        memory: &mut Memory,
        hits: &mut Hits,
    ) {
        let way = seen.toward.index();
        if state.sides[way].closed || flow.passed || flow.bypassed {
            return;
        }
        let Some(table) = self.apps.get(tx.app() as usize).map(|t| &t[way]) else { return };
        let done = tx.done(seen.toward);
        let mut candidates = std::mem::take(&mut scratch.candidates);
        candidates.clear();
        scratch.used = 0;
        let words = table.engines.len().div_ceil(64);
        if state.sides[way].scanned.len() < words {
            state.sides[way].scanned.resize(words, 0);
        }
        for (at, engine) in table.engines.iter().enumerate() {
            let scanned = &state.sides[way].scanned[at / 64];
            if scanned >> (at % 64) & 1 != 0 {
                continue;
            }
            let ready = tx.ready(engine.buffer, seen.toward);
            let growing = grows(engine.buffer);
            if ready || done {
                for index in 0..MAX_INSTANCES {
                    let Some(slot) = self.slot(scratch, tx, engine.place, seen.toward, index) else { break };
                    let end = scratch.slots[slot].offset + scratch.slots[slot].bytes.len() as u64;
                    if growing && !state.sides[way].grew(at, index, end) {
                        continue;
                    }
                    let s = &mut scratch.slots[slot];
                    if !s.lowered {
                        text::lower(&s.bytes, &mut s.lower);
                        s.lowered = true;
                    }
                    engine.matcher.scan(&s.lower, &mut scratch.marks, &mut candidates);
                    if !engine.buffer.row().multi {
                        break;
                    }
                }
                if !growing || done {
                    state.sides[way].scanned[at / 64] |= 1 << (at % 64);
                }
            }
        }
        let events = tx.events();
        if !table.events.is_empty() {
            let from = state.sides[way].events.min(events.len());
            events[from..].iter().filter_map(|e| table.events.get(*e)).for_each(|rules| candidates.extend_from_slice(rules));
        }
        state.sides[way].events = events.len();
        candidates.extend_from_slice(&table.plain);
        let bit = app_bit(tx.app());
        candidates.extend(scratch.carried.iter().filter(|r| self.ready[**r as usize].apps & bit != 0));
        candidates.extend(state.sides[way].rules.iter().filter(|w| w.holds != DONE).map(|w| w.rule));
        candidates.extend(state.both.iter().filter(|w| w.holds != DONE).map(|w| w.rule));
        candidates.sort_unstable();
        candidates.dedup();
        let mut around = Around { flow: Some(flow), memory };
        for &rule in &candidates {
            self.try_tx(rule, scratch, seen, tx, done, state, &mut around, hits);
        }
        scratch.candidates = candidates;
        state.sides[way].closed = done && state.both.iter().all(|w| w.holds == DONE);
    }

    #[allow(clippy::too_many_arguments, reason = "all of it is looked at")]
    fn try_tx(
        &self,
        rule: u32,
        scratch: &mut Scratch,
        seen: &Seen<'_>,
        tx: &dyn Transaction,
        done: bool,
        state: &mut TxState,
        around: &mut Around<'_>,
        hits: &mut Hits,
    ) {
        let r = &self.ready[rule as usize];
        let way = seen.toward.index();
        let both = r.direction == Direction::Transaction;
        let list = if both { &state.both } else { &state.sides[way].rules };
        let known = find(list, rule).ok().map(|at| list[at].holds);
        if known == Some(DONE) {
            return;
        }
        let begun = scratch.clock.map(|c| c());
        scratch.room.known.clear();
        let mut holds = known.unwrap_or(0);
        if holds & PACKET == 0 {
            scratch.room.captured.clear();
            if !r.header_fits(seen) || !packet::part(r, self, seen, around, &state.bits, scratch).holds {
                scratch.count(rule, false, begun);
                return;
            }
            holds |= PACKET;
        }
        let mut said = Said::Yes;
        for (at, g) in r.groups.iter().enumerate() {
            if holds >> at & 1 != 0 {
                continue;
            }
            // A rule about both directions looks back at the other one's buffers too.
            let toward = if g.sides >> way & 1 != 0 { seen.toward } else { seen.toward.other() };
            let one = self.group(g, scratch, seen, toward, tx, &mut around.memory.sets);
            match one {
                Said::Yes => holds |= 1 << at,
                Said::Wait => said = Said::Wait,
                Said::No => {
                    said = Said::No;
                    break;
                }
            }
        }
        if said != Said::No {
            for (at, c) in r.tx_conds.iter().enumerate() {
                let bit = at + r.groups.len();
                if holds >> bit & 1 != 0 {
                    continue;
                }
                match self.condition(c, scratch, seen, tx, done, &around.memory.sets) {
                    Said::Yes => holds |= 1 << bit,
                    Said::Wait => said = Said::Wait,
                    // What the answer does not have, the question may have had.
                    Said::No if both && !(tx.done(Toward::Server) && tx.done(Toward::Client)) => said = Said::Wait,
                    Said::No => {
                        said = Said::No;
                        break;
                    }
                }
            }
        }
        if said == Said::Yes {
            hits.list.push(Hit { rule, action: r.action, tx: Some(tx.id()), stream: false, told: false, flow: true });
            let known = scratch.room.known.drain(..);
            hits.contexts.extend(known.map(|(set, json)| Context { rule, set, json }));
            self.matched(rule, r, seen, around, Some(&mut state.bits), scratch);
        }
        let holds = if said == Said::Wait { holds } else { DONE };
        // What comes up once, and was decided at once, is not asked again.
        if !(holds == DONE && known.is_none() && r.once) {
            keep(if both { &mut state.both } else { &mut state.sides[way].rules }, rule, holds);
        }
        scratch.count(rule, said == Said::Yes, begun);
    }

    /// Fetches an instance of a buffer, transformed; none where there is none.
    fn slot(&self, scratch: &mut Scratch, tx: &dyn Transaction, place: u16, toward: Toward, index: usize) -> Option<usize> {
        let way = toward.index();
        let known = scratch.slots[..scratch.used].iter().position(|s| s.place == place && s.index == index && s.toward == way);
        if let Some(at) = known {
            return scratch.slots[at].there.then_some(at);
        }
        let p = &self.places[usize::from(place)];
        if scratch.used == scratch.slots.len() {
            scratch.slots.push(Slot::default());
        }
        let at = scratch.used;
        scratch.used += 1;
        let slot = &mut scratch.slots[at];
        (slot.place, slot.toward, slot.index, slot.lowered, slot.there) = (place, way, index, false, false);
        slot.bytes.clear();
        let piece = tx.piece(p.buffer, toward, index, &mut scratch.raw)?;
        if !piece.last && p.steps.iter().any(crate::transform::Step::needs_all) {
            return None;
        }
        slot.bytes.extend_from_slice(piece.bytes);
        (slot.offset, slot.last, slot.there) = (piece.offset, piece.last, true);
        for step in &p.steps {
            step.run(&mut slot.bytes, &mut scratch.spare);
        }
        Some(at)
    }

    fn group(&self, g: &Group, scratch: &mut Scratch, seen: &Seen<'_>, toward: Toward, tx: &dyn Transaction, sets: &mut Sets) -> Said {
        let done = tx.done(toward);
        if !done && !tx.ready(g.buffer, toward) {
            return Said::Wait;
        }
        let complete = done || !grows(g.buffer);
        let mut any = false;
        // Asked for only where a number may depend on it.
        let little = g.buffer == Buffer::DceStub && tx.named("dcerpc.byte_order", "little") == Some(true);
        for index in 0..MAX_INSTANCES {
            let Some(at) = self.slot(scratch, tx, g.place, toward, index) else { break };
            any = true;
            if g.absent == Some(false) {
                return Said::No;
            }
            let mut slot = std::mem::take(&mut scratch.slots[at]);
            std::mem::swap(&mut scratch.room.lower, &mut slot.lower);
            let sender = if let std::net::IpAddr::V4(a) = seen.packet.source { Some(a) } else { None };
            let view = View { bytes: &slot.bytes, offset: slot.offset, little, sender };
            let holds = inspect::run(&g.ops, g.decoded.as_deref(), view, slot.lowered, &mut scratch.room, sets);
            std::mem::swap(&mut scratch.room.lower, &mut slot.lower);
            scratch.slots[at] = slot;
            if holds {
                return Said::Yes;
            }
            if !g.buffer.row().multi {
                break;
            }
        }
        match (complete, any, g.absent) {
            (false, ..) => Said::Wait,
            (true, false, Some(_)) => Said::Yes,
            _ => Said::No,
        }
    }

    fn condition(&self, c: &TxCond, scratch: &mut Scratch, seen: &Seen<'_>, tx: &dyn Transaction, done: bool, sets: &Sets) -> Said {
        let later = if done { Said::No } else { Said::Wait };
        let yes = |b: bool| if b { Said::Yes } else { Said::No };
        let toward = seen.toward;
        match c {
            TxCond::Quantity(q, n) => {
                let mut all = (0..MAX_INSTANCES).map_while(|i| tx.quantity(*q, toward, i));
                if all.any(|v| n.holds(v)) { Said::Yes } else { later }
            }
            TxCond::Named(keyword, value, negated) => match tx.named_toward(keyword, value, toward) {
                Some(is) if is != *negated => Said::Yes,
                // What has one value only can be of another one no more.
                Some(_) | None => later,
            },
            TxCond::NamedSet(keyword, any, none) => {
                if none.iter().any(|v| tx.named(keyword, v) == Some(true)) {
                    return later;
                }
                let known = |v: &String| tx.named(keyword, v);
                if any.is_empty() {
                    return if none.iter().all(|v| known(v).is_some()) { Said::Yes } else { later };
                }
                if any.iter().any(|v| known(v) == Some(true)) { Said::Yes } else { later }
            }
            TxCond::Event(name) => {
                if tx.events().iter().any(|e| e == name) {
                    Said::Yes
                } else {
                    later
                }
            }
            TxCond::Date(which, n) => match tx.seconds(which, toward) {
                // What is before 1970 is as early as can be written.
                Some(at) => yes(n.holds(u64::try_from(at).unwrap_or(0))),
                None => later,
            },
            TxCond::InForce(valid) => {
                let now = i64::try_from(seen.packet.time / 1_000_000).unwrap_or(i64::MAX);
                match (tx.seconds("notbefore", toward), tx.seconds("notafter", toward)) {
                    (Some(from), Some(to)) if *valid => yes(from <= now && now <= to),
                    (_, Some(to)) if !*valid => yes(now > to),
                    _ => later,
                }
            }
            TxCond::Operations(ranges) => {
                let mut all = (0..MAX_INSTANCES).map_while(|i| tx.quantity(Quantity::DceOpnum, toward, i));
                let within = |v: u64| ranges.iter().any(|(a, b)| (u64::from(*a)..=u64::from(*b)).contains(&v));
                if all.any(within) { Said::Yes } else { later }
            }
            TxCond::Interface { uuid, version, any_fragment } => {
                let mut all = (0..MAX_INSTANCES).map_while(|i| tx.interface(i));
                let is = |i: ips_proto::Interface| {
                    i.uuid == *uuid && version.is_none_or(|v| v.holds(u64::from(i.version))) && (*any_fragment || i.first)
                };
                if all.any(is) { Said::Yes } else { later }
            }
            TxCond::FileName { negated, text, extension } => self.file(tx, Buffer::FileName, toward, scratch, later, |name| {
                let tail = || name.len().checked_sub(text.len()).map(|at| &name[at..]);
                let is = if *extension { tail().is_some_and(|t| t.eq_ignore_ascii_case(text)) } else { contains(name, text) };
                is != *negated
            }),
            TxCond::FileMagic { negated, text } => {
                self.file(tx, Buffer::FileMagic, toward, scratch, later, |magic| contains(magic, text) != *negated)
            }
            TxCond::FileDigest { kind, set, negated } => {
                let digest = |i| {
                    let digests = tx.file(toward, i).map(|f| f.digests)?;
                    Some(digests.and_then(|d| match kind {
                        DigestKind::Md5 => d.md5.as_ref().map(<[u8; 16]>::as_slice),
                        DigestKind::Sha1 => d.sha1.as_ref().map(<[u8; 20]>::as_slice),
                        DigestKind::Sha256 => d.sha256.as_ref().map(<[u8; 32]>::as_slice),
                    }))
                };
                let mut all = (0..MAX_INSTANCES).map_while(digest).flatten();
                if all.any(|d| sets.holds(*set, d) != *negated) { Said::Yes } else { later }
            }
        }
    }

    /// Whether something holds for one of the files.
    fn file(
        &self,
        tx: &dyn Transaction,
        buffer: Buffer,
        toward: Toward,
        scratch: &mut Scratch,
        later: Said,
        holds: impl Fn(&[u8]) -> bool,
    ) -> Said {
        for index in 0..MAX_INSTANCES {
            let Some(piece) = tx.piece(buffer, toward, index, &mut scratch.raw) else { break };
            if holds(piece.bytes) {
                return Said::Yes;
            }
        }
        later
    }
}

/// Whether bytes hold others, which are in small letters, whatever the case.
fn contains(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|w| w.eq_ignore_ascii_case(text))
}

impl crate::state::SideState {
    /// Whether there is more of a growing buffer than at the last look; kept.
    fn grew(&mut self, engine: usize, index: usize, end: u64) -> bool {
        let key = u16::try_from(engine << 10 | index).unwrap_or(u16::MAX);
        match self.grown.iter_mut().find(|(k, _)| *k == key) {
            Some((_, before)) => std::mem::replace(before, end) < end,
            None => {
                self.grown.push((key, end));
                true
            }
        }
    }
}
