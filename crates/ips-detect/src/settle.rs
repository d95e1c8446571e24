//! What was hit, in order of precedence: what a match changes at once, and at the packet's end limits, suppression, actions. In come hits,
//! out comes a [`Verdict`], with each hit marked whether it is told.

use crate::{
    check::{Around, BitAt},
    counter::{Counter, Said},
    hit::{Hits, Verdict},
    memory::{CountKey, Memory, Owner},
    seen::Seen,
    state::{FlowState, Tag, Unit},
    tables::{Act, Ready, Scratch, Tables},
};
use ips_rules::{
    condition::{Limit, LimitKind, Scope, Target, Track},
    header::Action,
};

/// Microseconds in a second.
const SECOND: u64 = 1_000_000;

fn change(bit: BitAt, to: Option<bool>, seconds: u32, seen: &Seen<'_>, around: &mut Around<'_>, tx: Option<&mut Vec<u16>>) {
    let (p, now) = (seen.packet, seen.packet.time);
    let owner = match bit.scope {
        Scope::Flow => {
            if let Some(f) = around.flow.as_mut() {
                match to.unwrap_or(!f.has(bit.name)) {
                    true => f.set(bit.name),
                    false => f.unset(bit.name),
                }
            }
            return;
        }
        Scope::Transaction => {
            if let Some(tx) = tx {
                let there = tx.contains(&bit.name);
                match (there, to.unwrap_or(!there)) {
                    (false, true) => tx.push(bit.name),
                    (true, false) => tx.retain(|b| *b != bit.name),
                    _ => {}
                }
            }
            return;
        }
        Scope::Source => Owner::Host(p.source),
        Scope::Destination => Owner::Host(p.destination),
        Scope::Pair => Owner::pair(p.source, p.destination),
    };
    match to.unwrap_or_else(|| !around.memory.has(owner, bit.name, now)) {
        // The peer counts whole seconds, and the last one is in.
        true => around.memory.set(owner, bit.name, now, (now / SECOND + u64::from(seconds) + 1) * SECOND),
        false => around.memory.unset(owner, bit.name),
    }
}

/// By what a limit counts a packet.
fn key(rule: u32, track: Track, seen: &Seen<'_>) -> CountKey {
    let p = seen.packet;
    match track {
        Track::Source => CountKey::Host(rule, p.source),
        Track::Destination => CountKey::Host(rule, p.destination),
        Track::Both => CountKey::Pair(rule, p.source.min(p.destination), p.source.max(p.destination)),
        Track::Rule | Track::Flow => CountKey::Rule(rule),
    }
}

/// Bit of a count's rule number that tells rate filters from limits.
const RATE: u32 = 1 << 31;

impl Tables {
    /// Does what a match does at once, so that rules tried later see it.
    pub(crate) fn matched(
        &self,
        _rule: u32,
        r: &Ready,
        seen: &Seen<'_>,
        around: &mut Around<'_>,
        mut tx: Option<&mut Vec<u16>>,
        scratch: &mut Scratch,
    ) {
        if let Some(f) = around.flow.as_mut() {
            for (_, name, bytes) in scratch.room.captured.drain(..).filter(|(flow, ..)| *flow) {
                f.captures.retain(|(n, _)| *n != name);
                f.captures.push((name, bytes));
            }
        }
        for act in &r.acts {
            match *act {
                Act::Set(bit, seconds) => change(bit, Some(true), seconds, seen, around, tx.as_deref_mut()),
                Act::Unset(bit) => change(bit, Some(false), 0, seen, around, tx.as_deref_mut()),
                Act::Toggle(bit) => change(bit, None, 0, seen, around, tx.as_deref_mut()),
                Act::FlowInt(name, operation, with) => {
                    let Some(f) = around.flow.as_mut() else { continue };
                    // What has no value counts as 0, and is made by adding to it; as the peer was seen to do.
                    let with = with.value(f).unwrap_or(0);
                    match (operation, f.int(name)) {
                        (b'=', _) | (b'+', None) => f.set_int(name, with),
                        (b'+', Some(now)) => f.set_int(name, now.wrapping_add(with)),
                        (b'-', Some(now)) => f.set_int(name, now.wrapping_sub(with)),
                        _ => {}
                    }
                }
                Act::Tag { .. } | Act::Bypass | Act::QuietTx | Act::QuietFlow => {}
            }
        }
    }

    fn limited(&self, rule: u32, limit: &Limit, seen: &Seen<'_>, flow: Option<&mut FlowState>, memory: &mut Memory) -> Said {
        let now = seen.packet.time;
        if limit.track == Track::Flow {
            let Some(f) = flow else { return Said::Nothing };
            if let Some((_, c)) = f.counts.iter_mut().find(|(r, _)| *r == rule) {
                return c.limit(limit, now, false);
            }
            let mut c = Counter::default();
            let said = c.limit(limit, now, true);
            f.counts.push((rule, c));
            return said;
        }
        // Backoff has no time of its own.
        let seconds = if matches!(limit.kind, LimitKind::Backoff(_)) { 3_600 } else { limit.seconds };
        match memory.count(key(rule, limit.track, seen), now, seconds) {
            Some((c, new)) => c.limit(limit, now, new),
            // No room to count: told, rather than missed.
            None => Said::All,
        }
    }

    fn suppressed(&self, r: &Ready, seen: &Seen<'_>) -> bool {
        let within = |a: &ips_rules::group::Addresses, ip| match ip {
            std::net::IpAddr::V4(ip) => a.v4.has(ip.to_bits()),
            std::net::IpAddr::V6(ip) => a.v6.has(ip.to_bits()),
        };
        r.suppress.iter().flatten().any(|(track, a)| match track {
            Track::Source => within(a, seen.packet.source),
            Track::Destination => within(a, seen.packet.destination),
            _ => within(a, seen.packet.source) || within(a, seen.packet.destination),
        })
    }

    /// Decides what becomes of the packet. Hits are sorted by precedence and marked; those that a limit took away altogether, and those
    /// behind a `pass`, are taken out.
    pub fn settle(&self, seen: &Seen<'_>, mut flow: Option<&mut FlowState>, memory: &mut Memory, hits: &mut Hits) -> Verdict {
        let mut verdict = Verdict::default();
        hits.list.sort_by_key(|h| (h.rule, h.tx));
        let mut kept = 0usize;
        let mut told = 0usize;
        for at in 0..hits.list.len() {
            let mut hit = hits.list[at];
            let r = &self.ready[hit.rule as usize];
            let mut said = if self.suppressed(r, seen) { Said::Quiet } else { Said::All };
            if let (Said::All, Some(limit)) = (said, &r.limit) {
                said = self.limited(hit.rule, limit, seen, flow.as_deref_mut(), memory);
            }
            if said == Said::Nothing {
                continue;
            }
            let mut by_rate = false;
            for (i, rate) in r.rates.iter().enumerate() {
                let rule = hit.rule | RATE | u32::try_from(i & 7).unwrap_or(0) << 28;
                let limit = memory.count(key(rule, rate.track, seen), seen.packet.time, rate.seconds.max(rate.timeout));
                if limit.is_some_and(|(c, new)| c.rate(rate.count, rate.seconds, rate.timeout, seen.packet.time, new)) {
                    by_rate = hit.action != rate.action;
                    hit.action = rate.action;
                }
            }
            self.act(r, seen, flow.as_deref_mut(), memory, &mut verdict);
            match hit.action {
                // What is dropped already cannot pass.
                Action::Pass if !verdict.drop => {
                    verdict.pass = true;
                    verdict.pass_flow |= hit.flow;
                }
                Action::Pass | Action::Alert | Action::Config => {}
                Action::Drop | Action::RejectSource | Action::RejectDestination | Action::RejectBoth => {
                    verdict.dropped_by_rate |= by_rate && !verdict.drop;
                    verdict.drop = true;
                    verdict.drop_flow |= hit.flow;
                    verdict.dropped_by.get_or_insert(hit.rule);
                    verdict.reject_source |= matches!(hit.action, Action::RejectSource | Action::RejectBoth);
                    verdict.reject_destination |= matches!(hit.action, Action::RejectDestination | Action::RejectBoth);
                }
            }
            let tells = !matches!(hit.action, Action::Pass | Action::Config)
                || self.rules[hit.rule as usize].effects.iter().any(|e| matches!(e, ips_rules::condition::Effect::Alert));
            hit.told = said == Said::All && !r.noalert && tells;
            if hit.told {
                told += 1;
                if told > self.most_told {
                    hit.told = false;
                    hits.discarded += 1;
                }
            }
            hits.list[kept] = hit;
            kept += 1;
            if hit.action == Action::Pass {
                break;
            }
        }
        hits.list.truncate(kept);
        if let Some(f) = flow.as_deref_mut() {
            f.passed |= verdict.pass_flow;
            f.dropped |= verdict.drop_flow;
            f.bypassed |= verdict.bypass;
        }
        verdict.tagged = tagged(seen, flow, memory);
        verdict
    }

    fn act(&self, r: &Ready, seen: &Seen<'_>, mut flow: Option<&mut FlowState>, memory: &mut Memory, verdict: &mut Verdict) {
        for act in &r.acts {
            match *act {
                Act::Tag { host, count, unit } => {
                    verdict.tags = true;
                    let tag = Tag { left: count, unit, since: seen.packet.time };
                    match (host, flow.as_deref_mut()) {
                        (Some(Target::Source), _) => memory.tag(seen.packet.source, tag),
                        (Some(Target::Destination), _) => memory.tag(seen.packet.destination, tag),
                        (None, Some(f)) => f.tag = Some(tag),
                        (None, None) => {}
                    }
                }
                Act::Bypass => verdict.bypass = true,
                Act::QuietTx => verdict.quiet_tx = true,
                Act::QuietFlow => verdict.quiet_flow = true,
                _ => {}
            }
        }
    }
}

/// Whether a tag still holds; it is used up by this packet.
fn tagged(seen: &Seen<'_>, flow: Option<&mut FlowState>, memory: &mut Memory) -> bool {
    let now = seen.packet.time;
    let bytes = u32::try_from(seen.packet.payload.len()).unwrap_or(u32::MAX);
    let use_up = |t: &mut Tag| match t.unit {
        Unit::Seconds => now <= t.since.saturating_add(u64::from(t.left) * SECOND),
        _ if t.since == now => true,
        Unit::Packets => {
            let holds = t.left > 0;
            t.left = t.left.saturating_sub(1);
            holds
        }
        Unit::Bytes => {
            let holds = t.left > 0;
            t.left = t.left.saturating_sub(bytes);
            holds
        }
    };
    let mut any = false;
    if let Some(f) = flow
        && let Some(tag) = &mut f.tag
    {
        any = use_up(tag);
        if !any {
            f.tag = None;
        }
    }
    any | memory.tagged(seen.packet.source, use_up) | memory.tagged(seen.packet.destination, use_up)
}
