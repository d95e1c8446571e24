//! One exchange of SMB: a request with its answer, a call over a pipe, or a file that is carried by many reads or writes.

use super::{bytes::file_id, describe, logon::Logon};
use crate::{
    body::{Body, Window},
    dcerpc::Call,
    transaction::{File, FileState, Interface, Piece, Toward, Transaction},
};
use ips_rules::{buffer::Buffer, condition::Quantity, header::App};
use std::collections::BTreeMap;

/// Bytes of a file that came before those in front of them, and wait.
const AHEAD: usize = 1 << 20;

/// What an answer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Nt(u32),
    /// Class and code.
    Dos(u8, u16),
}

/// Which version is spoken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Dialect {
    #[default]
    Unknown,
    One(String),
    Two(u16),
}

/// What a kind of exchange has of its own.
#[derive(Debug, Default)]
pub(super) enum Detail {
    #[default]
    Nothing,
    Negotiate {
        clients: Vec<String>,
        client_guid: Option<[u8; 16]>,
        server_guid: Option<[u8; 16]>,
        /// Most bytes of a read and of a write.
        most: Option<(u32, u32)>,
    },
    Setup {
        logon: Option<Logon>,
        /// System and program of the client, of the server.
        hosts: [Option<(String, String)>; 2],
    },
    Tree {
        share: String,
        pipe: bool,
        kind: Option<u8>,
        services: [Option<String>; 2],
        tree: u32,
    },
    Create {
        name: String,
        disposition: u32,
        delete: bool,
        /// Created, accessed, modified, changed: seconds since 1970.
        times: [u64; 4],
        size: u64,
        guid: Option<[u8; 16]>,
    },
    Rename {
        from: String,
        to: String,
        guid: [u8; 16],
    },
    /// The file is to be gone once it is closed, or not any more.
    Disposition {
        name: String,
        delete: bool,
        guid: [u8; 16],
    },
    Control(u32),
    File {
        share: String,
        guid: [u8; 16],
    },
}

/// A file that is carried.
#[derive(Debug)]
pub(super) struct Carried {
    pub toward: Toward,
    pub guid: [u8; 16],
    pub name: Vec<u8>,
    pub body: Body,
    /// Where the next byte stands in the file.
    next: u64,
    gaps: bool,
    closed: bool,
    ahead: BTreeMap<u64, Vec<u8>>,
    waiting: usize,
}

impl Carried {
    pub(super) fn new(toward: Toward, guid: [u8; 16], name: &str, offset: u64, window: Window) -> Self {
        let body = Body::new(window);
        Self {
            toward,
            guid,
            name: name.as_bytes().to_vec(),
            body,
            next: offset,
            gaps: offset > 0,
            closed: false,
            ahead: BTreeMap::new(),
            waiting: 0,
        }
    }

    /// It takes bytes still.
    pub(super) fn open(&self) -> bool {
        !self.closed
    }

    /// Bytes that stand at this place; true where some of them were there already.
    pub(super) fn push(&mut self, at: u64, bytes: &[u8]) -> bool {
        let end = at.saturating_add(bytes.len() as u64);
        if at > self.next {
            if self.waiting + bytes.len() > AHEAD {
                self.let_go();
                self.skip_to(at);
            } else {
                self.waiting += bytes.len();
                self.ahead.insert(at, bytes.to_vec());
                return false;
            }
        }
        let overlap = at < self.next && !bytes.is_empty();
        let known = usize::try_from(self.next.saturating_sub(at)).unwrap_or(usize::MAX);
        if let Some(new) = bytes.get(known..) {
            self.body.push(new);
            self.next = self.next.max(end);
        }
        while let Some((&from, _)) = self.ahead.first_key_value() {
            if from > self.next {
                break;
            }
            let Some((from, part)) = self.ahead.pop_first() else { break };
            self.waiting -= part.len();
            let known = usize::try_from(self.next - from).unwrap_or(usize::MAX);
            if let Some(new) = part.get(known..) {
                self.body.push(new);
                self.next = self.next.max(from.saturating_add(part.len() as u64));
            }
        }
        overlap
    }

    /// What was missing does not come any more.
    fn let_go(&mut self) {
        for (from, part) in std::mem::take(&mut self.ahead) {
            self.skip_to(from);
            let known = usize::try_from(self.next - from.min(self.next)).unwrap_or(usize::MAX);
            if let Some(new) = part.get(known..) {
                self.body.push(new);
                self.next = self.next.max(from.saturating_add(part.len() as u64));
            }
        }
        self.waiting = 0;
    }

    fn skip_to(&mut self, at: u64) {
        if at > self.next {
            self.gaps = true;
            self.next = at;
        }
    }

    /// So many bytes of it were lost.
    pub(super) fn lose(&mut self, bytes: u64) {
        self.gaps = true;
        self.next = self.next.saturating_add(bytes);
    }

    /// Nothing more comes; `whole`: its end was said.
    pub(super) fn end(&mut self, whole: bool) {
        if !self.closed {
            self.let_go();
            self.gaps |= !whole;
            self.closed = true;
            self.body.end();
        }
    }

    fn file(&self) -> File<'_> {
        let state = match (self.body.cut() || self.gaps, self.closed) {
            (true, _) => FileState::Truncated,
            (false, true) => FileState::Closed,
            (false, false) => FileState::Open,
        };
        File { name: &self.name, size: self.body.total(), state, gaps: self.gaps, digests: self.body.digests() }
    }
}

/// An exchange.
#[derive(Debug)]
pub(super) struct Exchange {
    pub id: u64,
    /// Of SMB 2 or 3.
    pub second: bool,
    pub command: u16,
    /// Its message's number.
    pub key: u64,
    pub session: u64,
    pub tree: u32,
    pub status: Option<Status>,
    pub dialect: Dialect,
    pub detail: Detail,
    pub done: [bool; 2],
    pub events: Vec<&'static str>,
    /// A call, and the pipe that it goes over.
    pub call: Option<([u8; 16], Call)>,
    pub file: Option<Carried>,
}

impl Exchange {
    /// Nothing more comes in a direction.
    pub(super) fn end(&mut self, toward: Toward) {
        self.done[toward.index()] = true;
        if let Some((_, call)) = &mut self.call {
            call.end(toward);
        }
        if let Some(f) = self.file.as_mut().filter(|f| f.toward == toward) {
            f.end(false);
        }
    }

    pub(super) fn fuid(&self) -> Option<String> {
        match &self.detail {
            Detail::Create { guid, .. } => guid.as_ref().map(file_id),
            Detail::Rename { guid, .. } | Detail::Disposition { guid, .. } | Detail::File { guid, .. } => Some(file_id(guid)),
            _ => None,
        }
    }
}

impl Transaction for Exchange {
    fn app(&self) -> App {
        App::Smb
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn done(&self, toward: Toward) -> bool {
        match (&self.call, &self.file) {
            (Some((_, call)), _) => call.done(toward),
            (_, Some(file)) => !file.open(),
            // What kind of share it is, the answer says.
            _ if matches!(self.detail, Detail::Tree { .. }) => self.done[1],
            _ => self.done[toward.index()],
        }
    }

    fn ready(&self, buffer: Buffer, toward: Toward) -> bool {
        match (buffer, &self.call, &self.file) {
            (Buffer::FileData, _, Some(f)) => f.toward == toward && f.body.ready(),
            (Buffer::DceStub, Some((_, call)), _) => call.ready(buffer, toward),
            (Buffer::SmbNamedPipe, ..) => self.done[1],
            _ => true,
        }
    }

    fn piece<'a>(&'a self, buffer: Buffer, toward: Toward, index: usize, scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        if let (Buffer::DceStub, Some((_, call))) = (buffer, &self.call) {
            return call.piece(buffer, toward, index, scratch);
        }
        if index > 0 {
            return None;
        }
        let whole = |bytes: &'a [u8]| Some(Piece { bytes, offset: 0, last: true });
        match (buffer, &self.detail, &self.file) {
            (Buffer::FileData, _, Some(f)) if f.toward == toward => f.body.piece(),
            (Buffer::FileName, _, Some(f)) if f.toward == toward && !f.name.is_empty() => whole(&f.name),
            (Buffer::SmbNamedPipe, Detail::Tree { share, pipe: true, .. }, _) => whole(share.as_bytes()),
            (Buffer::SmbShare, Detail::Tree { share, pipe, .. }, _) if !pipe || self.status.is_none() => whole(share.as_bytes()),
            (Buffer::SmbUser, Detail::Setup { logon: Some(l), .. }, _) => whole(l.user.as_bytes()),
            (Buffer::SmbDomain, Detail::Setup { logon: Some(l), .. }, _) => whole(l.domain.as_bytes()),
            _ => None,
        }
    }

    fn quantity(&self, quantity: Quantity, toward: Toward, index: usize) -> Option<u64> {
        match quantity {
            Quantity::FileSize => self.file(toward, index).map(|f| f.size),
            _ => self.call.as_ref()?.1.quantity(quantity, toward, index),
        }
    }

    fn named(&self, keyword: &str, value: &str) -> Option<bool> {
        match keyword {
            "smb.version" => Some(value == if self.second { "2" } else { "1" }),
            _ => self.call.as_ref()?.1.named(keyword, value),
        }
    }

    fn events(&self) -> &[&'static str] {
        &self.events
    }

    fn file(&self, toward: Toward, index: usize) -> Option<File<'_>> {
        self.file.as_ref().filter(|f| index == 0 && f.toward == toward).map(Carried::file)
    }

    fn interface(&self, index: usize) -> Option<Interface> {
        self.call.as_ref()?.1.interface(index)
    }

    fn describe(&self, out: &mut Vec<u8>) {
        describe::write(self, out);
    }
}
