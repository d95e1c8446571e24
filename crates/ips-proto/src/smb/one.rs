//! Messages of SMB 1 (MS-CIFS 2.2, MS-SMB 2.2).

use super::{
    Bytes, Guid, Head, REMEMBERED, Smb, Tree,
    bytes::{Le, ended, part, seconds, wide},
    exchange::{Detail, Dialect, Status},
    logon, remember,
};
use crate::transaction::Toward;

const HEADER: usize = 32;

const CLOSE: u8 = 0x04;
const WRITE: u8 = 0x0b;
const TRANS: u8 = 0x25;
const WRITE_AND_CLOSE: u8 = 0x2c;
const READ_ANDX: u8 = 0x2e;
const WRITE_ANDX: u8 = 0x2f;
const TRANS2: u8 = 0x32;
const NEGOTIATE: u8 = 0x72;
const SETUP_ANDX: u8 = 0x73;
const TREE_CONNECT_ANDX: u8 = 0x75;
const NT_CREATE_ANDX: u8 = 0xa2;
/// Nothing follows in a chain.
const NOTHING: u8 = 0xff;
/// Messages of one chain.
const MAX_CHAIN: usize = 8;

/// Messages that may be followed by another one.
fn chained(command: u8) -> bool {
    matches!(command, 0x24 | 0x2d..=0x2f | 0x73..=0x75 | 0xa2)
}

/// What the header says beside what all messages have.
#[derive(Clone, Copy)]
struct One {
    head: Head,
    wide: bool,
}

fn header(toward: Toward, m: &[u8]) -> Option<One> {
    let mut b = Le(m.get(4..HEADER)?);
    let command = b.u8()?;
    let status = b.u32()?;
    let (flags, flags2) = (b.u8()?, b.u16()?);
    let high = b.u16()?;
    b.take(10)?;
    let (tree, low, user, number) = (b.u16()?, b.u16()?, b.u16()?, b.u16()?);
    if (flags & 0x80 != 0) != (toward == Toward::Client) {
        return None;
    }
    let status = if flags2 & 0x4000 != 0 { Status::Nt(status) } else { Status::Dos((status & 0xff) as u8, (status >> 16) as u16) };
    // Without an error both forms say the same.
    let status = if matches!(status, Status::Dos(0, 0)) { Status::Nt(0) } else { status };
    let key = u64::from(high) << 32 | u64::from(low) << 16 | u64::from(number);
    let status = (toward == Toward::Client).then_some(status);
    let head = Head { second: false, command: u16::from(command), key, session: u64::from(user), tree: u32::from(tree), status };
    Some(One { head, wide: flags2 & 0x8000 != 0 })
}

/// The name of an open file.
fn named(file: u16) -> Guid {
    let mut out = Guid::default();
    out[..2].copy_from_slice(&file.to_le_bytes());
    out
}

/// Words and bytes of a message that begin at this place.
fn body(m: &[u8], at: usize) -> Option<(Le<'_>, &[u8], usize)> {
    let mut b = Le(m.get(at..)?);
    let words = usize::from(b.u8()?) * 2;
    let words = b.take(words)?;
    let count = usize::from(b.u16().unwrap_or(0));
    let from = m.len() - b.0.len();
    // Long writes say less than there is.
    let data = if b.0.len() >= count { &b.0[..count] } else { b.0 };
    Some((Le(words), data, from))
}

/// A message, and those that follow in its chain.
pub(super) fn message(s: &mut Smb, toward: Toward, m: &[u8]) -> Option<()> {
    let mut one = header(toward, m)?;
    let mut at = HEADER;
    for _ in 0..MAX_CHAIN {
        let done = match toward {
            Toward::Server => request(s, one, m, at),
            Toward::Client => answer(s, one, m, at),
        };
        if done.is_none() && toward == Toward::Server {
            s.begin(one.head, Detail::Nothing).events.push("smb.malformed_data");
            s.open.back_mut()?.done[0] = true;
        }
        let command = u8::try_from(one.head.command).ok()?;
        let (mut words, _, _) = body(m, at)?;
        if !chained(command) {
            break;
        }
        let next = words.u8()?;
        words.take(1)?;
        let from = usize::from(words.u16()?);
        if next == NOTHING || from <= at {
            break;
        }
        one.head.command = u16::from(next);
        at = from;
    }
    Some(())
}

/// A text of the message at this place of it: of UTF-16 it begins at an even one.
fn text(one: One, m: &[u8], at: usize) -> (String, usize) {
    let at = if one.wide { at + (at & 1) } else { at };
    let rest = m.get(at..).unwrap_or_default();
    let (text, behind) = ended(rest, one.wide);
    (text, at + rest.len() - behind.len())
}

fn request(s: &mut Smb, one: One, m: &[u8], at: usize) -> Option<()> {
    let head = one.head;
    let (mut w, data, from) = body(m, at)?;
    match u8::try_from(head.command).ok()? {
        NEGOTIATE => {
            let clients: Vec<String> = data
                .split(|b| *b == 0)
                .filter(|t| !t.is_empty())
                .map(|t| String::from_utf8_lossy(t.strip_prefix(b"\x02").unwrap_or(t)).into_owned())
                .collect();
            s.clients.clone_from(&clients);
            s.request(head, Detail::Negotiate { clients, client_guid: None, server_guid: None, most: None });
        }
        SETUP_ANDX => {
            let extended = w.0.len() == 24;
            w.take(14)?;
            let (first, second) = (usize::from(w.u16()?), if extended { 0 } else { usize::from(w.u16()?) });
            let logon = part(data, 0, first).and_then(logon::read);
            let mut behind = from + first + second;
            if !extended {
                // Account and domain.
                (_, behind) = text(one, m, behind);
                (_, behind) = text(one, m, behind);
            }
            let (system, behind) = text(one, m, behind);
            let (program, _) = text(one, m, behind);
            s.request(head, Detail::Setup { logon, hosts: [Some((system, program)), None] });
        }
        TREE_CONNECT_ANDX => {
            w.take(6)?;
            let password = usize::from(w.u16()?);
            let (share, behind) = text(one, m, from + password);
            let (service, _) = ended(m.get(behind..).unwrap_or_default(), false);
            let pipe = service == "IPC" || share.to_ascii_uppercase().ends_with("IPC$");
            s.request(head, Detail::Tree { share, pipe, kind: None, services: [Some(service), None], tree: head.tree });
        }
        NT_CREATE_ANDX => {
            w.take(5)?;
            let length = usize::from(w.u16()?);
            w.take(28)?;
            let (disposition, options) = (w.u32()?, w.u32()?);
            let name = if one.wide {
                wide(part(m, from + (from & 1), length)?)
            } else {
                String::from_utf8_lossy(part(m, from, length)?).trim_end_matches('\0').to_owned()
            };
            s.request(head, Detail::Create { name, disposition, delete: options & 0x1000 != 0, times: [0; 4], size: 0, guid: None });
        }
        CLOSE => {
            let guid = named(w.u16()?);
            s.closed(guid);
            s.request(head, Detail::Nothing);
        }
        WRITE_ANDX => {
            let b = written(head, w)?;
            let data = part(m, b.from, b.bytes.min(m.len().saturating_sub(b.from)))?;
            carried(s, Toward::Server, head, b.guid, b.at, data);
        }
        WRITE => {
            let (guid, count) = (named(w.u16()?), usize::from(w.u16()?));
            let place = u64::from(w.u32()?);
            carried(s, Toward::Server, head, guid, place, part(data, 3, count.min(data.len().saturating_sub(3)))?);
        }
        WRITE_AND_CLOSE => {
            let (guid, count) = (named(w.u16()?), usize::from(w.u16()?));
            let place = u64::from(w.u32()?);
            carried(s, Toward::Server, head, guid, place, part(data, 1, count.min(data.len().saturating_sub(1)))?);
            s.closed(guid);
        }
        READ_ANDX => {
            w.take(4)?;
            let guid = named(w.u16()?);
            let low = u64::from(w.u32()?);
            w.take(10)?;
            let high = u64::from(w.u32().unwrap_or(0));
            remember(&mut s.reads, REMEMBERED, head.key, (guid, high << 32 | low));
        }
        TRANS => {
            w.take(22)?;
            let (count, place) = (usize::from(w.u16()?), usize::from(w.u16()?));
            let setup = w.u8()?;
            w.take(1)?;
            if setup >= 2 {
                w.take(2)?;
                let guid = named(w.u16()?);
                s.piped(Toward::Server, head, guid, part(m, place, count)?);
                remember(&mut s.reads, REMEMBERED, head.key, (guid, 0));
            }
        }
        TRANS2 => {}
        _ => s.request(head, Detail::Nothing),
    }
    Some(())
}

/// Bytes of a pipe or of a file.
fn carried(s: &mut Smb, toward: Toward, head: Head, guid: Guid, at: u64, data: &[u8]) {
    if s.is_pipe(head, guid, data) {
        s.piped(toward, head, guid, data);
    } else {
        s.file(toward, head, guid, at, data);
    }
}

fn written(head: Head, mut w: Le<'_>) -> Option<Bytes> {
    w.take(4)?;
    let guid = named(w.u16()?);
    let low = u64::from(w.u32()?);
    w.take(8)?;
    let (more, count, from) = (usize::from(w.u16()?), usize::from(w.u16()?), usize::from(w.u16()?));
    let high = u64::from(w.u32().unwrap_or(0));
    Some(Bytes { head, guid, at: high << 32 | low, from, bytes: more << 16 | count })
}

fn got(s: &Smb, head: Head, mut w: Le<'_>) -> Option<Bytes> {
    w.take(10)?;
    let (count, from, more) = (usize::from(w.u16()?), usize::from(w.u16()?), usize::from(w.u16()?));
    let (guid, at) = *s.reads.get(&head.key)?;
    Some(Bytes { head, guid, at, from, bytes: more << 16 | count })
}

/// A file's bytes in the front of a message that is not whole.
pub(super) fn carries(s: &mut Smb, toward: Toward, front: &[u8]) -> Option<Bytes> {
    let one = header(toward, front)?;
    let mut w = Le(front.get(HEADER..)?);
    let count = usize::from(w.u8()?) * 2;
    let words = Le(w.take(count)?);
    let found = match (u8::try_from(one.head.command).ok()?, toward) {
        // What follows in a chain would not be seen.
        (WRITE_ANDX, Toward::Server) if words.0.first() == Some(&NOTHING) => written(one.head, words)?,
        (READ_ANDX, Toward::Client) if one.head.fine() => got(s, one.head, words)?,
        _ => return None,
    };
    let data = front.get(found.from..)?;
    let good = found.from >= HEADER && !s.is_pipe(one.head, found.guid, data);
    if good && toward == Toward::Client {
        s.reads.remove(&one.head.key);
    }
    good.then_some(found)
}

fn answer(s: &mut Smb, one: One, m: &[u8], at: usize) -> Option<()> {
    let head = one.head;
    let (mut w, _, from) = body(m, at).unwrap_or((Le(&[]), &[], m.len()));
    let command = u8::try_from(head.command).ok()?;
    match command {
        READ_ANDX => {
            if let Some(b) = got(s, head, w).filter(|_| head.fine()) {
                s.reads.remove(&head.key);
                let data = part(m, b.from, b.bytes.min(m.len().saturating_sub(b.from)))?;
                if !data.is_empty() {
                    carried(s, Toward::Client, head, b.guid, b.at, data);
                }
            }
            return Some(());
        }
        TRANS => {
            w.take(12)?;
            let (count, place) = (usize::from(w.u16()?), usize::from(w.u16()?));
            if let Some((guid, _)) = s.reads.remove(&head.key) {
                s.piped(Toward::Client, head, guid, part(m, place, count)?);
            }
            return Some(());
        }
        WRITE_ANDX | TRANS2 => return Some(()),
        _ => {}
    }
    let extended = w.0.len() == 8;
    let e = s.answered(head)?;
    match &mut e.detail {
        Detail::Negotiate { clients, server_guid, .. } => {
            let index = usize::from(w.u16()?);
            let name = clients.get(index).cloned();
            *server_guid = part(m, from, 16).and_then(|g| g.first_chunk().copied());
            if let Some(name) = name {
                s.speaks(Dialect::One(name));
            }
        }
        Detail::Setup { hosts, .. } => {
            e.session = head.session;
            let blob = if extended {
                w.take(6)?;
                usize::from(w.u16()?)
            } else {
                0
            };
            let (system, behind) = text(one, m, from + blob);
            let (program, _) = text(one, m, behind);
            hosts[1] = Some((system, program));
        }
        Detail::Tree { share, pipe, services, tree, .. } if head.status == Some(Status::Nt(0)) => {
            let (service, _) = ended(m.get(from..).unwrap_or_default(), false);
            *pipe = service == "IPC";
            services[1] = Some(service);
            *tree = head.tree;
            e.tree = head.tree;
            let known = Tree { share: share.clone(), pipe: *pipe };
            remember(&mut s.trees, REMEMBERED, (head.session, head.tree), known);
        }
        Detail::Create { name, times, size, guid, .. } if head.status == Some(Status::Nt(0)) => {
            w.take(5)?;
            let file = named(w.u16()?);
            w.take(4)?;
            let [created, accessed, modified, changed] = [w.u64()?, w.u64()?, w.u64()?, w.u64()?];
            *times = [created, accessed, modified, changed].map(seconds);
            w.take(12)?;
            *size = w.u64()?;
            *guid = Some(file);
            let name = name.clone();
            remember(&mut s.files, REMEMBERED, file, name);
        }
        _ => {}
    }
    Some(())
}
