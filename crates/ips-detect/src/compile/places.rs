//! Where rules are looked for: in packets by protocol, direction and port; in transactions by application, direction and buffer.

use super::{Looked, classes};
use crate::{
    check::Cond,
    matcher,
    ports::ByPort,
    tables::{APPS, AppTable, Engine, Kind, PROTOCOLS, PacketGroup, PacketTable, Ready, Tables},
};
use ips_rules::{Rule, buffer::Buffer, header::Direction, ranges::Ranges};
use rustc_hash::FxHashMap;
use std::{collections::BTreeMap, sync::Arc};

/// Ports a rule is about, at the end that is the server in a direction: a rule about either way is about both.
fn ports(r: &Ready, side: usize) -> Ranges<u16> {
    let (near, far) = if side == 0 { (&r.destination_ports, &r.source_ports) } else { (&r.source_ports, &r.destination_ports) };
    if r.direction == Direction::To { (**near).clone() } else { Ranges::of(near.parts().iter().chain(far.parts()).copied().collect()) }
}

/// Rules with their ports.
type Listed = Vec<(u32, Ranges<u16>)>;

pub(super) fn packets(out: &mut Tables, rules: &[Rule], looked: &[Looked]) {
    out.addresses = (0..PROTOCOLS).map(|_| Default::default()).collect();
    let mut lists: Vec<[Listed; 2]> = (0..PROTOCOLS).map(|_| Default::default()).collect();
    for (i, r) in out.ready.iter().enumerate() {
        let index = u32::try_from(i).unwrap_or(u32::MAX);
        if r.kind == Kind::Transaction && looked[i].payload.is_none() {
            continue;
        }
        let event = |c: &Cond| match c {
            Cond::DecodeEvent(n) => Some((0, n.clone())),
            Cond::StreamEvent(n) => Some((1, n.clone())),
            Cond::AppEvent(n) => Some((2, n.clone())),
            _ => None,
        };
        if let (None, Some((which, name))) = (&looked[i].payload, r.conds.iter().find_map(event)) {
            let table = match which {
                0 => &mut out.decode_events,
                1 => &mut out.stream_events,
                _ => &mut out.app_events,
            };
            table.entry(name).or_default().push(index);
            continue;
        }
        for class in classes(rules[i].header.protocol) {
            for side in (0..2).filter(|s| r.sides & (1 << s) != 0) {
                match r.kind {
                    Kind::Addresses => out.addresses[*class][side].push(index),
                    _ => lists[*class][side].push((index, ports(r, side))),
                }
            }
        }
    }
    let empty = Arc::new(matcher::Matcher::default());
    for (class, pair) in lists.into_iter().enumerate() {
        let mut tables: [PacketTable; 2] = Default::default();
        for (side, list) in pair.into_iter().enumerate() {
            let by_port = if class < 2 {
                ByPort::of(&list)
            } else {
                ByPort::of(&list.into_iter().map(|(r, _)| (r, Ranges::all())).collect::<Vec<_>>())
            };
            for group in &by_port.groups {
                let (mut packet, mut stream) = (matcher::Builder::default(), matcher::Builder::default());
                let mut plain = Vec::new();
                for rule in group {
                    let (r, l) = (&out.ready[*rule as usize], &looked[*rule as usize]);
                    let Some(bytes) = &l.payload else {
                        plain.push(*rule);
                        continue;
                    };
                    // Only TCP has a stream.
                    if class == 0 && r.in_stream {
                        stream.add(bytes, *rule);
                    }
                    if class != 0 || r.in_packet {
                        packet.add(bytes, *rule);
                    }
                }
                let of = |b: matcher::Builder| if b.is_empty() { Arc::clone(&empty) } else { Arc::new(b.build()) };
                tables[side].groups.push(PacketGroup { packet: of(packet), stream: of(stream), plain });
            }
            tables[side].ports = by_port;
        }
        out.packets.push(tables);
    }
}

pub(super) fn transactions(out: &mut Tables, looked: &[Looked]) {
    out.apps = (0..APPS).map(|_| Default::default()).collect();
    // Applications that are read alike have the same rules, and share their matchers.
    let mut built: FxHashMap<(u16, Vec<u32>), Arc<matcher::Matcher>> = FxHashMap::default();
    for app in 0..APPS {
        for side in 0..2 {
            let mut wanted: BTreeMap<u16, (Buffer, Vec<u32>)> = BTreeMap::new();
            let mut table = AppTable::default();
            for (i, r) in out.ready.iter().enumerate() {
                let index = u32::try_from(i).unwrap_or(u32::MAX);
                if r.kind != Kind::Transaction || r.apps >> app & 1 == 0 || r.sides & (1 << side) == 0 {
                    continue;
                }
                let l = &looked[i];
                match (&l.place, &l.payload, &l.event) {
                    (Some((place, _)), _, _) => {
                        let Some(group) = r.groups.iter().find(|g| g.place == *place) else { continue };
                        if group.sides & (1 << side) != 0 {
                            wanted.entry(*place).or_insert_with(|| (group.buffer, Vec::new())).1.push(index);
                        }
                    }
                    // Found in the packet, and carried over.
                    (None, Some(_), _) => {}
                    (None, None, Some(event)) => table.events.entry(event.clone()).or_default().push(index),
                    (None, None, None) => table.plain.push(index),
                }
            }
            for (place, (buffer, rules)) in wanted {
                let matcher = built.entry((place, rules)).or_insert_with_key(|(_, rules)| {
                    let mut b = matcher::Builder::default();
                    for rule in rules {
                        if let Some((_, bytes)) = &looked[*rule as usize].place {
                            b.add(bytes, *rule);
                        }
                    }
                    Arc::new(b.build())
                });
                table.engines.push(Engine { place, buffer, matcher: Arc::clone(matcher) });
            }
            out.apps[app][side] = table;
        }
    }
}
