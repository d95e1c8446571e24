//! SMB, versions 1 to 3 (MS-CIFS, MS-SMB2): messages of a NetBIOS session in, one transaction for each request with its answer, for each
//! call over a pipe, and for each file that is read or written out. Bytes of files go on as they come; of other messages the whole is held,
//! within a bound. What is encrypted is passed over.

mod bytes;
mod describe;
mod exchange;
mod logon;
mod names;
mod one;
#[cfg(test)]
mod tests;
mod two;

use crate::{
    body::Window,
    dcerpc::{Call, Calls, Pipe},
    held,
    open::{Open, many},
    transaction::{Input, Parser, Step, Toward},
};
use exchange::{Carried, Detail, Dialect, Exchange, Status};
use std::collections::BTreeMap;

/// Exchanges that wait to be looked at, as in the peer.
const OPEN: usize = 1024;
/// Largest message that is held; writes and reads, which may be larger, are not held.
const MESSAGE: usize = 1 << 20;
/// A message from this length on goes on as it comes where it carries a file.
const LONG: usize = 1024;
/// Bytes of a long message in which what it carries begins.
const FRONT: usize = 256;
/// Open files, trees and questions that are remembered.
const REMEMBERED: usize = 4096;
/// Pipes that calls go over.
const PIPES: usize = 64;
/// Bytes of NetBIOS before a message.
const SESSION: usize = 4;

/// Names an open file: the peer's `fuid`.
type Guid = [u8; 16];

/// Bytes of a file in a message that is not whole yet.
#[derive(Debug, Clone, Copy)]
struct Flowing {
    guid: Guid,
    /// Where the next of them stands in the file.
    at: u64,
    left: usize,
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    held: Vec<u8>,
    flowing: Option<Flowing>,
    /// Bytes that nobody wants.
    skip: usize,
    /// Bytes were lost: the next message is looked for.
    lost: bool,
}

/// A share that is in use.
#[derive(Debug, Clone)]
struct Tree {
    share: String,
    pipe: bool,
}

/// A map that keeps its size.
fn remember<K: Ord, V>(map: &mut BTreeMap<K, V>, most: usize, key: K, value: V) {
    if map.len() >= most && !map.contains_key(&key) {
        map.pop_first();
    }
    map.insert(key, value);
}

/// A conversation.
pub struct Smb {
    sides: [Side; 2],
    open: Open<Exchange>,
    window: Window,
    dialect: Dialect,
    clients: Vec<String>,
    trees: BTreeMap<(u64, u32), Tree>,
    files: BTreeMap<Guid, String>,
    /// What was asked to be read: file and place, by message.
    reads: BTreeMap<u64, (Guid, u64)>,
    pipes: BTreeMap<Guid, Pipe>,
}

/// What is known of the message at hand.
#[derive(Debug, Clone, Copy)]
struct Head {
    second: bool,
    command: u16,
    key: u64,
    session: u64,
    tree: u32,
    status: Option<Status>,
}

impl Head {
    /// It says that all went well, or that there is more of it.
    fn fine(&self) -> bool {
        matches!(self.status, None | Some(Status::Nt(0 | 0x8000_0005 | 0xc000_0016)) | Some(Status::Dos(0, 0)))
    }
}

/// The calls of one pipe among all exchanges.
struct OfPipe<'a> {
    open: &'a mut Open<Exchange>,
    head: Head,
    dialect: &'a Dialect,
    guid: Guid,
}

impl Calls for OfPipe<'_> {
    fn call(&mut self, number: u32, version: (u8, u8), fresh: bool) -> &mut Call {
        let mine = |e: &Exchange| e.call.as_ref().is_some_and(|(g, c)| *g == self.guid && c.waits(number));
        let at = if fresh { None } else { self.open.iter().rposition(mine) };
        let at = at.unwrap_or_else(|| {
            let (guid, head) = (self.guid, self.head);
            let dialect = self.dialect.clone();
            let make = |id| Exchange { call: Some((guid, Call::new(id, number, version))), ..fresh_exchange(id, head, dialect) };
            self.open.begin(OPEN, make);
            self.open.len() - 1
        });
        let e = &mut self.open[at];
        if self.head.status.is_some() {
            e.status = self.head.status;
        }
        &mut e.call.get_or_insert_with(|| (self.guid, Call::new(0, number, version))).1
    }

    fn malformed(&mut self) {
        if let Some(e) = self.open.back_mut()
            && e.events.is_empty()
        {
            e.events.push("smb.malformed_data");
        }
    }
}

fn fresh_exchange(id: u64, head: Head, dialect: Dialect) -> Exchange {
    Exchange {
        id,
        second: head.second,
        command: head.command,
        key: head.key,
        session: head.session,
        tree: head.tree,
        status: head.status,
        dialect,
        detail: Detail::Nothing,
        done: [false; 2],
        events: Vec::new(),
        call: None,
        file: None,
    }
}

impl Smb {
    /// Begins one; `window`: how its files are looked at.
    pub fn new(window: Window) -> Self {
        Self {
            sides: Default::default(),
            open: Open::default(),
            window,
            dialect: Dialect::Unknown,
            clients: Vec::new(),
            trees: BTreeMap::new(),
            files: BTreeMap::new(),
            reads: BTreeMap::new(),
            pipes: BTreeMap::new(),
        }
    }

    fn begin(&mut self, head: Head, detail: Detail) -> &mut Exchange {
        let dialect = self.dialect.clone();
        self.open.begin(OPEN, |id| Exchange { detail, ..fresh_exchange(id, head, dialect) })
    }

    /// A request that is answered by what has the same number.
    fn request(&mut self, head: Head, detail: Detail) {
        self.begin(head, detail).done[0] = true;
    }

    /// The exchange that an answer belongs to.
    fn answered(&mut self, head: Head) -> Option<&mut Exchange> {
        let mine = |e: &Exchange| {
            e.key == head.key && e.second == head.second && e.command == head.command && !e.done[1] && e.call.is_none() && e.file.is_none()
        };
        let at = self.open.iter().position(mine)?;
        let e = &mut self.open[at];
        e.done = [true; 2];
        e.status = head.status;
        Some(e)
    }

    /// An answer without a question that was seen.
    fn unasked(&mut self, head: Head) -> &mut Exchange {
        let e = self.begin(head, Detail::Nothing);
        e.done = [true; 2];
        e
    }

    /// Which version is spoken: from now on, and of what is open.
    fn speaks(&mut self, dialect: Dialect) {
        for e in self.open.iter_mut() {
            e.dialect.clone_from(&dialect);
        }
        self.dialect = dialect;
    }

    /// Bytes for a pipe or from one.
    fn piped(&mut self, toward: Toward, head: Head, guid: Guid, data: &[u8]) {
        if self.pipes.len() >= PIPES && !self.pipes.contains_key(&guid) {
            self.pipes.pop_first();
        }
        let pipe = self.pipes.entry(guid).or_default();
        let mut calls = OfPipe { open: &mut self.open, head, dialect: &self.dialect, guid };
        if !pipe.read(toward, data, &mut calls) {
            self.pipes.remove(&guid);
        }
    }

    /// Whether an open file is a pipe that calls go over: its tree says so, or where that is not known its bytes.
    fn is_pipe(&self, head: Head, guid: Guid, data: &[u8]) -> bool {
        match self.trees.get(&(head.session, head.tree)) {
            Some(tree) => tree.pipe,
            None => self.pipes.contains_key(&guid) || matches!(data, [5, 0..=1, 0..=19, _, 0x10 | 0, 0, 0, 0, ..]),
        }
    }

    /// Bytes of a file.
    fn file(&mut self, toward: Toward, head: Head, guid: Guid, at: u64, data: &[u8]) {
        let mine = |e: &Exchange| e.file.as_ref().is_some_and(|f| f.guid == guid && f.toward == toward && f.open());
        let found = self.open.iter().rposition(mine);
        let place = match found {
            Some(place) => place,
            None => {
                let name = self.files.get(&guid).cloned().unwrap_or_default();
                let share = self.trees.get(&(head.session, head.tree)).map(|t| t.share.clone()).unwrap_or_default();
                let window = self.window;
                let e = self.begin(head, Detail::File { share, guid });
                e.file = Some(Carried::new(toward, guid, &name, at, window));
                self.open.len() - 1
            }
        };
        let e = &mut self.open[place];
        e.status = head.status.or(e.status).or(Some(Status::Nt(0)));
        if let Some(f) = &mut e.file
            && f.push(at, data)
            && !e.events.contains(&"smb.file_overlap")
        {
            e.events.push("smb.file_overlap");
        }
    }

    /// A file is closed.
    fn closed(&mut self, guid: Guid) {
        for e in self.open.iter_mut() {
            if let Some(f) = e.file.as_mut().filter(|f| f.guid == guid) {
                f.end(true);
                e.done = [true; 2];
            }
        }
        self.files.remove(&guid);
    }

    /// A whole message.
    fn message(&mut self, toward: Toward, message: &[u8]) {
        match message {
            [0xff, b'S', b'M', b'B', ..] => {
                one::message(self, toward, message);
            }
            [0xfe, b'S', b'M', b'B', ..] => {
                let mut rest = message;
                while let Some(next) = two::message(self, toward, rest) {
                    // A chain goes on behind its first, so that it ends.
                    match rest.get(next..) {
                        Some(behind) if next > 0 && behind.starts_with(b"\xfeSMB") => rest = behind,
                        _ => break,
                    }
                }
            }
            // Encrypted, compressed.
            _ => {}
        }
    }

    /// The front of a message that is not whole yet; true where it carries a file, whose bytes go on.
    fn front(&mut self, toward: Toward, front: &[u8], length: usize) -> bool {
        let found = match front {
            [0xff, b'S', b'M', b'B', ..] => one::carries(self, toward, front),
            [0xfe, b'S', b'M', b'B', ..] => two::carries(self, toward, front),
            _ => None,
        };
        let Some(c) = found else { return false };
        let end = c.from.saturating_add(c.bytes).min(length);
        let Some(there) = front.get(c.from.min(end)..end.min(front.len())) else { return false };
        self.file(toward, c.head, c.guid, c.at, there);
        let side = &mut self.sides[toward.index()];
        let at = c.at.saturating_add(there.len() as u64);
        side.flowing = Some(Flowing { guid: c.guid, at, left: end.saturating_sub(front.len().max(c.from)) }).filter(|f| f.left > 0);
        side.skip = length - end.max(front.len()).min(length);
        true
    }

    fn read(&mut self, toward: Toward, bytes: &[u8]) -> bool {
        let s = toward.index();
        let mut bytes = bytes;
        if let Some(mut f) = self.sides[s].flowing.take() {
            let (now, behind) = bytes.split_at(f.left.min(bytes.len()));
            let head = Head { second: true, command: 0, key: 0, session: 0, tree: 0, status: None };
            self.file(toward, head, f.guid, f.at, now);
            f.left -= now.len();
            f.at = f.at.saturating_add(now.len() as u64);
            self.sides[s].flowing = Some(f).filter(|f| f.left > 0);
            bytes = behind;
        }
        let skip = self.sides[s].skip.min(bytes.len());
        self.sides[s].skip -= skip;
        bytes = &bytes[skip..];
        let waits = std::mem::take(&mut self.sides[s].held);
        let (waits, good) = held::read(waits, bytes, |rest| self.messages(toward, rest));
        self.sides[s].held = waits;
        good
    }

    /// Takes whole messages off the front.
    fn messages(&mut self, toward: Toward, rest: &mut &[u8]) -> bool {
        let s = toward.index();
        if self.sides[s].lost {
            let marks = [&b"\xffSMB"[..], b"\xfeSMB"];
            let found = marks.iter().filter_map(|m| memchr::memmem::find(rest, m)).min();
            let Some(at) = found.and_then(|at| at.checked_sub(SESSION)).filter(|at| rest[*at] == 0) else {
                // What may be the front of a mark stays.
                *rest = &rest[rest.len().saturating_sub(7)..];
                return true;
            };
            *rest = &rest[at..];
            self.sides[s].lost = false;
        }
        while let [kind, a, b, c, body @ ..] = *rest {
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            match kind {
                0 => {}
                // Session request, answers, retarget, keep-alive.
                0x81..=0x85 => {
                    let Some(behind) = body.get(length..) else { return length <= LONG };
                    *rest = behind;
                    continue;
                }
                _ => return false,
            }
            match body.split_at_checked(length) {
                Some((message, behind)) => {
                    self.message(toward, message);
                    *rest = behind;
                }
                None if length >= LONG && body.len() >= FRONT && self.front(toward, body, length) => {
                    *rest = &[];
                    return true;
                }
                None if length > MESSAGE => {
                    self.sides[s].skip = length - body.len();
                    *rest = &[];
                    return true;
                }
                None => return true,
            }
        }
        true
    }
}

/// A file's bytes within a message.
struct Bytes {
    head: Head,
    guid: Guid,
    at: u64,
    /// Where they begin in the message.
    from: usize,
    bytes: usize,
}

impl Parser for Smb {
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        let s = toward.index();
        let good = match input {
            Input::Bytes(bytes) => self.read(toward, bytes),
            Input::Gap(lost) => {
                let mut left = usize::try_from(lost).unwrap_or(usize::MAX);
                if let Some(mut f) = self.sides[s].flowing.take() {
                    let here = f.left.min(left);
                    let mine = |e: &&mut Exchange| e.file.as_ref().is_some_and(|c| c.guid == f.guid && c.toward == toward && c.open());
                    if let Some(c) = self.open.iter_mut().rev().find(mine).and_then(|e| e.file.as_mut()) {
                        c.lose(here as u64);
                    }
                    f.left -= here;
                    f.at = f.at.saturating_add(here as u64);
                    left -= here;
                    self.sides[s].flowing = Some(f).filter(|f| f.left > 0);
                }
                let skip = self.sides[s].skip.min(left);
                self.sides[s].skip -= skip;
                if left > skip {
                    self.sides[s].held.clear();
                    self.sides[s].lost = true;
                }
                true
            }
            Input::End => {
                self.open.iter_mut().for_each(|e| e.end(toward));
                true
            }
        };
        if good {
            return Step::Going;
        }
        for e in self.open.iter_mut() {
            e.end(Toward::Server);
            e.end(Toward::Client);
        }
        Step::Failed
    }

    many!(open);

    fn looked(&mut self, toward: Toward) {
        for f in self.open.iter_mut().filter_map(|e| e.file.as_mut()).filter(|f| f.toward == toward) {
            f.body.looked();
        }
    }
}
