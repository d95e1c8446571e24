//! What a parser gives the engine: transactions, and in each the buffers that rules look into. Buffers are made when asked for, into the
//! asker's own memory where they do not stand in the parser's as they are.

use ips_rules::{buffer::Buffer, condition::Quantity, header::App};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Toward {
    /// From who opened the conversation.
    Server,
    /// The answers.
    Client,
}

impl Toward {
    /// Its place in pairs by direction: to the server first.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The other way.
    pub fn other(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}

/// What comes next in one direction.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Bytes in order. Over UDP: one datagram.
    Bytes(&'a [u8]),
    /// So many bytes were lost.
    Gap(u64),
    /// Nothing more comes.
    End,
}

/// A buffer, or the part of a growing one that has not been looked at yet together with what must be seen before it.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Where they begin in the whole.
    pub offset: u64,
    /// Nothing comes behind them.
    pub last: bool,
}

/// What a parser did with its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Goes on.
    Going,
    /// This is not, or no longer, the application: nothing more is fed.
    Failed,
    /// The conversation goes on as another application (STARTTLS, CONNECT, an upgrade); none: found by content. From the next byte that
    /// was not consumed on, of which there are so many at the end of the input.
    Becomes(Option<App>, usize),
    /// The rest is opaque (encrypted): no rule on this application's buffers can match what follows.
    Opaque,
}

/// How far a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// More may come.
    Open,
    /// It is whole.
    Closed,
    /// Its end was not seen, or lies beyond a limit.
    Truncated,
}

/// A file that is carried in a transaction. Its bytes are the buffer `file.data`, its name `file.name`, under the same index.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// Its name as the transaction gives it.
    pub name: &'a [u8],
    /// Bytes seen.
    pub size: u64,
    /// How far it is.
    pub state: FileState,
    /// Bytes of it were lost.
    pub gaps: bool,
    /// Its digests, once it is whole.
    pub digests: Option<&'a crate::digest::Digests>,
}

/// An interface of DCERPC that a call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// Its UUID, 16 bytes as written.
    pub uuid: [u8; 16],
    /// Its version.
    pub version: u16,
    /// The call's first fragment is the one at hand.
    pub first: bool,
}

/// One exchange: a request with its answer, a query, a handshake.
pub trait Transaction {
    /// Of which application.
    fn app(&self) -> App;
    /// Its number in the flow, from 0, rising.
    fn id(&self) -> u64;
    /// No further bytes of this direction belong to it.
    fn done(&self, toward: Toward) -> bool;
    /// A buffer can be looked at now: it is complete, or grows and has something new. A rule that needs a buffer that is not ready waits.
    fn ready(&self, buffer: Buffer, toward: Toward) -> bool;
    /// The buffer's bytes; `index` counts the instances of buffers of which there may be several, in order. None: it is not there (so that
    /// `absent` and negated contents are decided by the caller once the direction is `done` or the buffer `ready`).
    fn piece<'a>(&'a self, buffer: Buffer, toward: Toward, index: usize, scratch: &'a mut Vec<u8>) -> Option<Piece<'a>>;
    /// A field that is compared as a number; `index` as above.
    fn quantity(&self, quantity: Quantity, toward: Toward, index: usize) -> Option<u64> {
        let _ = (quantity, toward, index);
        None
    }
    /// As [`Transaction::named`], in one direction alone where it makes a difference.
    fn named_toward(&self, keyword: &str, value: &str, toward: Toward) -> Option<bool> {
        let _ = toward;
        self.named(keyword, value)
    }
    /// Something closed that has a name: keyword and value of [`ips_rules::condition::Check::Named`], versions and states of TLS.
    fn named(&self, keyword: &str, value: &str) -> Option<bool> {
        let _ = (keyword, value);
        None
    }
    /// What was unusual, by the peer's names (`http.invalid_response_chunk_len`), in the order seen.
    fn events(&self) -> &[&'static str] {
        &[]
    }
    /// A file; `index` counts those of this direction. An engine that keeps digests feeds them from the buffer `file.data`.
    fn file(&self, toward: Toward, index: usize) -> Option<File<'_>> {
        let _ = (toward, index);
        None
    }
    /// An interface a call goes to; `index` counts those of its context.
    fn interface(&self, index: usize) -> Option<Interface> {
        let _ = index;
        None
    }
    /// A time in seconds since 1970: `notbefore` and `notafter` of a side's certificate.
    fn seconds(&self, what: &str, toward: Toward) -> Option<i64> {
        let _ = (what, toward);
        None
    }
    /// All that an event of it says is known, though more belongs to it.
    fn told_early(&self) -> bool {
        false
    }
    /// The object that stands under the application's name in an event (`{"hostname":...}`), appended.
    fn describe(&self, out: &mut Vec<u8>);
    /// Members that stand beside it (`,"email":{...}`), each with a comma before it, appended.
    fn beside(&self, out: &mut Vec<u8>) {
        let _ = out;
    }
}

/// A flow that a conversation announces: what comes from or to this port of this side is `app`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Whose port it is.
    pub listener: Toward,
    /// The port.
    pub port: u16,
    /// The address named, 4 or 16 bytes; empty where it is the listener's own.
    pub address: Vec<u8>,
    /// What is spoken there.
    pub app: App,
    /// The command that brought it, and the name of what it carries; empty where there is none.
    pub command: Vec<u8>,
    /// See `command`.
    pub name: Vec<u8>,
}

/// A conversation of one application.
pub trait Parser: Send {
    /// Takes what comes next in one direction. Work and memory are bounded by the input's length and the parser's limits.
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step;
    /// Open transactions, oldest first.
    fn count(&self) -> usize;
    /// One of them.
    fn get(&self, at: usize) -> &dyn Transaction;
    /// The engine has looked at all there was: growing buffers may forget what is no longer needed in front.
    fn looked(&mut self, toward: Toward) {
        let _ = toward;
    }
    /// Forgets the oldest `count` transactions; each was done in both directions, logged and looked at.
    fn forget(&mut self, count: usize);
    /// Another application was to follow here, as the one before said.
    fn unexpected(&mut self) {}
    /// A flow announced since the last call.
    fn expected(&mut self) -> Option<Expected> {
        None
    }
}
