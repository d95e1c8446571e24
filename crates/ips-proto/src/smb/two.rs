//! Messages of SMB 2 and 3 (MS-SMB2 2.2).

use super::{
    Bytes, Guid, Head, REMEMBERED, Smb, Tree,
    bytes::{Le, part, seconds, wide},
    exchange::{Detail, Dialect, Status},
    logon, names, remember,
};
use crate::transaction::Toward;

const HEADER: usize = 64;

const NEGOTIATE: u16 = 0;
const SETUP: u16 = 1;
const TREE_CONNECT: u16 = 3;
const CREATE: u16 = 5;
const CLOSE: u16 = 6;
const READ: u16 = 8;
const WRITE: u16 = 9;
const IOCTL: u16 = 11;
const GET_INFO: u16 = 16;
const SET_INFO: u16 = 17;

/// A call over a pipe and its answer in one exchange.
const TRANSCEIVE: u32 = 0x0011_c017;
/// An answer that says that another one comes.
const PENDING: u32 = 0x103;
/// The file is to be gone once it is closed.
const DELETE_ON_CLOSE: u32 = 0x1000;
/// A new name, among the kinds of what is set.
const RENAME: u8 = 10;
/// Whether the file is to be gone.
const DISPOSITION: u8 = 13;

/// The header: what it says, and where the next message of a chain begins.
fn header(toward: Toward, message: &[u8]) -> Option<(Head, usize)> {
    let mut b = Le(message.get(4..HEADER)?);
    b.take(4)?;
    let status = b.u32()?;
    let command = b.u16()?;
    b.take(2)?;
    let flags = b.u32()?;
    let next = usize::try_from(b.u32()?).ok()?;
    let key = b.u64()?;
    b.take(4)?;
    // Of an answer that comes later there is a number of its own instead.
    let tree = if flags & 2 != 0 {
        b.take(4)?;
        0
    } else {
        b.u32()?
    };
    let session = b.u64()?;
    let answer = flags & 1 != 0;
    if answer != (toward == Toward::Client) {
        return None;
    }
    Some((Head { second: true, command, key, session, tree, status: answer.then_some(Status::Nt(status)) }, next))
}

/// A message; where the next one of its chain begins, 0 where there is none. None where it is no message.
pub(super) fn message(s: &mut Smb, toward: Toward, message: &[u8]) -> Option<usize> {
    let (head, next) = header(toward, message)?;
    let message = if next > HEADER { message.get(..next)? } else { message };
    match toward {
        Toward::Server => {
            if request(s, head, message).is_none() {
                s.begin(head, Detail::Nothing).events.push("smb.malformed_data");
                s.open.back_mut()?.done[0] = true;
            }
        }
        Toward::Client if head.status == Some(Status::Nt(PENDING)) => {}
        Toward::Client => answer(s, head, message),
    }
    Some(next)
}

fn request(s: &mut Smb, head: Head, m: &[u8]) -> Option<()> {
    let mut b = Le(m.get(HEADER..)?);
    match head.command {
        NEGOTIATE => {
            b.take(2)?;
            let count = usize::from(b.u16()?);
            b.take(8)?;
            let guid = b.guid()?;
            b.take(8)?;
            let clients = (0..count).map_while(|_| b.u16()).map(|d| names::dialect(d).into_owned()).collect();
            s.request(head, Detail::Negotiate { clients, client_guid: Some(guid), server_guid: None, most: None });
        }
        SETUP => {
            b.take(12)?;
            let (from, length) = (usize::from(b.u16()?), usize::from(b.u16()?));
            let logon = part(m, from, length).and_then(logon::read);
            s.request(head, Detail::Setup { logon, hosts: [None, None] });
        }
        TREE_CONNECT => {
            b.take(4)?;
            let (from, length) = (usize::from(b.u16()?), usize::from(b.u16()?));
            let share = wide(part(m, from, length)?);
            let pipe = share.to_ascii_uppercase().ends_with("IPC$");
            s.request(head, Detail::Tree { share, pipe, kind: None, services: [None, None], tree: head.tree });
        }
        CREATE => {
            b.take(36)?;
            let (disposition, options) = (b.u32()?, b.u32()?);
            let (from, length) = (usize::from(b.u16()?), usize::from(b.u16()?));
            let name = if length == 0 { String::new() } else { wide(part(m, from, length)?) };
            let delete = options & DELETE_ON_CLOSE != 0;
            s.request(head, Detail::Create { name, disposition, delete, times: [0; 4], size: 0, guid: None });
        }
        CLOSE => {
            b.take(8)?;
            let guid = b.guid()?;
            s.closed(guid);
            s.request(head, Detail::Nothing);
        }
        READ => {
            b.take(8)?;
            let (at, guid) = (b.u64()?, b.guid()?);
            remember(&mut s.reads, REMEMBERED, head.key, (guid, at));
        }
        WRITE => {
            let w = written(head, m)?;
            let data = part(m, w.from, w.bytes.min(m.len().saturating_sub(w.from)))?;
            if s.is_pipe(head, w.guid, data) {
                s.piped(Toward::Server, head, w.guid, data);
            } else {
                s.file(Toward::Server, head, w.guid, w.at, data);
            }
        }
        IOCTL => {
            b.take(4)?;
            let (function, guid) = (b.u32()?, b.guid()?);
            let (from, length) = (usize::try_from(b.u32()?).ok()?, usize::try_from(b.u32()?).ok()?);
            let data = part(m, from, length).unwrap_or_default();
            if function == TRANSCEIVE {
                s.piped(Toward::Server, head, guid, data);
                remember(&mut s.reads, REMEMBERED, head.key, (guid, 0));
            } else {
                s.request(head, Detail::Control(function));
            }
        }
        SET_INFO => {
            b.take(2)?;
            let (kind, class) = (b.u8()?, b.u8()?);
            let length = usize::try_from(b.u32()?).ok()?;
            let from = usize::from(b.u16()?);
            b.take(6)?;
            let guid = b.guid()?;
            if kind == 1 && class == RENAME {
                let mut r = Le(part(m, from, length)?);
                r.take(16)?;
                let length = usize::try_from(r.u32()?).ok()?;
                let to = wide(r.take(length)?);
                let from = s.files.get(&guid).cloned().unwrap_or_default();
                s.request(head, Detail::Rename { from, to, guid });
            } else if kind == 1 && class == DISPOSITION {
                let delete = *part(m, from, length)?.first()? != 0;
                let name = s.files.get(&guid).cloned().unwrap_or_default();
                s.request(head, Detail::Disposition { name, delete, guid });
            }
        }
        GET_INFO => {}
        _ => s.request(head, Detail::Nothing),
    }
    Some(())
}

/// Where the bytes of a write stand.
fn written(head: Head, m: &[u8]) -> Option<Bytes> {
    let mut b = Le(m.get(HEADER..)?);
    b.take(2)?;
    let from = usize::from(b.u16()?);
    let bytes = usize::try_from(b.u32()?).ok()?;
    let (at, guid) = (b.u64()?, b.guid()?);
    Some(Bytes { head, guid, at, from, bytes })
}

/// Where the bytes of an answer to a read stand.
fn got(s: &Smb, head: Head, m: &[u8]) -> Option<Bytes> {
    let mut b = Le(m.get(HEADER..)?);
    b.take(2)?;
    let from = usize::from(b.u8()?);
    b.take(1)?;
    let bytes = usize::try_from(b.u32()?).ok()?;
    let (guid, at) = *s.reads.get(&head.key)?;
    Some(Bytes { head, guid, at, from, bytes })
}

/// A file's bytes in the front of a message that is not whole.
pub(super) fn carries(s: &mut Smb, toward: Toward, front: &[u8]) -> Option<Bytes> {
    let (head, next) = header(toward, front)?;
    let found = match (head.command, toward) {
        (WRITE, Toward::Server) => written(head, front)?,
        (READ, Toward::Client) if head.fine() => got(s, head, front)?,
        _ => return None,
    };
    let data = front.get(found.from..)?;
    let good = next == 0 && found.from >= HEADER && !s.is_pipe(head, found.guid, data);
    if good && toward == Toward::Client {
        s.reads.remove(&head.key);
    }
    good.then_some(found)
}

fn answer(s: &mut Smb, head: Head, m: &[u8]) {
    match head.command {
        READ | IOCTL => {
            // The place of what is read is known from the question alone.
            if let Some(b) = if head.command == READ { got(s, head, m) } else { transceived(s, head, m) } {
                s.reads.remove(&head.key);
                let data = part(m, b.from, b.bytes.min(m.len().saturating_sub(b.from))).unwrap_or_default();
                if head.fine() {
                    if head.command == IOCTL || s.is_pipe(head, b.guid, data) {
                        s.piped(Toward::Client, head, b.guid, data);
                    } else if !data.is_empty() {
                        s.file(Toward::Client, head, b.guid, b.at, data);
                    }
                }
                if head.command == READ {
                    return;
                }
            }
            let _ = s.answered(head);
        }
        WRITE | GET_INFO => {}
        SET_INFO => {
            let _ = s.answered(head);
        }
        _ => {
            let _ = details(s, head, m);
        }
    }
}

fn transceived(s: &Smb, head: Head, m: &[u8]) -> Option<Bytes> {
    let mut b = Le(m.get(HEADER..)?);
    b.take(4)?;
    let (function, guid) = (b.u32()?, b.guid()?);
    b.take(8)?;
    let (from, bytes) = (usize::try_from(b.u32()?).ok()?, usize::try_from(b.u32()?).ok()?);
    (function == TRANSCEIVE).then(|| Bytes { head, guid: s.reads.get(&head.key).map_or(guid, |r| r.0), at: 0, from, bytes })
}

/// What an answer adds to its exchange.
fn details(s: &mut Smb, head: Head, m: &[u8]) -> Option<()> {
    let mut b = Le(m.get(HEADER..).unwrap_or_default());
    if head.command == NEGOTIATE {
        // One of version 1 may be answered by version 2.
        b.take(4)?;
        let dialect = b.u16()?;
        b.take(2)?;
        let guid = b.guid()?;
        b.take(8)?;
        let sizes = (b.u32()?, b.u32()?);
        let at = s.open.iter().position(|e| matches!(e.detail, Detail::Negotiate { .. }) && !e.done[1]);
        let e = match at {
            Some(at) => &mut s.open[at],
            None => s.unasked(head),
        };
        e.done = [true; 2];
        e.status = head.status;
        let second = e.second;
        if let Detail::Negotiate { server_guid, most, .. } = &mut e.detail {
            *server_guid = Some(guid);
            *most = second.then_some(sizes);
        }
        s.speaks(Dialect::Two(dialect));
        return Some(());
    }
    let fine = head.status == Some(Status::Nt(0));
    let e = match s.answered(head) {
        Some(e) => e,
        // The peer tells of an answer whose question it has not seen.
        None => s.unasked(head),
    };
    match &mut e.detail {
        Detail::Tree { pipe, kind, share, tree, .. } if fine => {
            b.take(2)?;
            let what = b.u8()?;
            *kind = Some(what);
            *pipe = what == 2;
            *tree = head.tree;
            e.tree = head.tree;
            let known = Tree { share: share.clone(), pipe: *pipe };
            remember(&mut s.trees, REMEMBERED, (head.session, head.tree), known);
        }
        Detail::Create { name, times, size, guid, .. } if fine => {
            b.take(8)?;
            let [created, accessed, modified, changed] = [b.u64()?, b.u64()?, b.u64()?, b.u64()?];
            *times = [created, accessed, modified, changed].map(seconds);
            b.take(8)?;
            *size = b.u64()?;
            b.take(8)?;
            let id: Guid = b.guid()?;
            *guid = Some(id);
            let name = name.clone();
            remember(&mut s.files, REMEMBERED, id, name);
        }
        Detail::Setup { .. } => e.session = head.session,
        _ => {}
    }
    Some(())
}
