//! A flow's application: found by its first bytes, read by its parser, and its transactions with what rules keep of each. In come bytes of
//! either direction in order, out comes what is open. A conversation may go on as another application; the earlier one stays until its
//! transactions are told.

use ips_detect::{AppView, Known, TxState};
use ips_proto::{
    Expected, Input, Parser, Parsers, Step, Toward, Transaction,
    identify::{Identified, Ports, Transport},
};
use ips_rules::header::App;
use std::collections::VecDeque;

/// Bytes of a direction that wait until the other one says what is spoken: more means that it will not be known.
const PATIENCE: usize = 16 << 10;
/// How often a conversation may go on as another application.
const MAX_CHANGES: usize = 4;

/// What is kept of a transaction beside its parser's part.
#[derive(Debug, Default)]
pub struct Kept {
    /// What rules keep.
    pub rules: TxState,
    /// It was told.
    pub told: bool,
    /// Nothing more belongs to it.
    pub over: bool,
    /// Events of it that were told.
    pub events: usize,
    /// Files of each direction that were told.
    pub files: [usize; 2],
    /// Nothing is told of it.
    pub quiet: bool,
    /// Rules have looked at it since both ends were done with it, by direction.
    pub looked: [bool; 2],
}

/// One application's part of a flow.
pub struct Conversation {
    /// Which.
    pub app: App,
    /// Reads it.
    pub parser: Box<dyn Parser>,
    /// Its open transactions, oldest first, as the parser has them.
    pub kept: VecDeque<Kept>,
    /// Rules are to look at it, by direction.
    pub fresh: [bool; 2],
    reads: bool,
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation").field("app", &self.app).field("open", &self.kept.len()).finish_non_exhaustive()
    }
}

impl Conversation {
    fn new(app: App, parser: Box<dyn Parser>) -> Self {
        Self { app, parser, kept: VecDeque::new(), fresh: [true; 2], reads: true }
    }
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        let step = self.parser.feed(toward, input);
        while self.kept.len() < self.parser.count() {
            self.kept.push_back(Kept::default());
        }
        self.fresh = [true; 2];
        step
    }
    /// A transaction by its number.
    pub fn by_id(&self, id: u64) -> Option<&dyn Transaction> {
        (0..self.parser.count()).map(|i| self.parser.get(i)).find(|t| t.id() == id)
    }
}

/// A flow's application.
#[derive(Debug, Default)]
pub struct Application {
    /// What is known of it.
    pub view: AppView,
    /// Conversations, the one that goes on last.
    pub conversations: Vec<Conversation>,
    /// The rest is encrypted or of no interest.
    pub opaque: bool,
    /// Applications that were found and not counted yet, parsers that gave up.
    pub news: (Option<App>, Option<App>),
    ended: [bool; 2],
    changes: usize,
    /// Where a conversation is to become this.
    becoming: Option<App>,
}

/// What became of bytes that were offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// So many are done with; the others are offered again together with what follows.
    pub used: usize,
    /// It was just found what is spoken: what waits of the other direction comes first.
    pub found: bool,
}

impl Application {
    /// What is spoken was announced by another conversation.
    pub fn announced(&mut self, expected: &Expected, parsers: &Parsers) {
        self.view.flow = Known::Is(expected.app);
        self.view.sides = [self.view.flow; 2];
        self.view.found_now = true;
        if let Some(parser) = parsers.start_expected(expected) {
            self.conversations.push(Conversation::new(expected.app, parser));
        }
    }

    /// A flow that this one announces.
    pub fn expected(&mut self) -> Option<Expected> {
        self.conversations.last_mut().filter(|c| c.fresh != [false; 2]).and_then(|c| c.parser.expected())
    }

    /// Whether bytes of a direction are wanted.
    pub fn wants(&self, _toward: Toward) -> bool {
        !self.opaque && self.view.flow != Known::Failed
    }

    /// Takes bytes of a stream; those that are not used are offered again.
    pub fn stream(&mut self, toward: Toward, bytes: &[u8], ports: Ports, parsers: &Parsers) -> Read {
        if let Some(app) = self.becoming.take() {
            self.start(app, Transport::Tcp, parsers);
        }
        match self.view.flow {
            Known::Unknown => self.look(toward, bytes, ports, Transport::Tcp, parsers),
            Known::Failed => Read { used: bytes.len(), found: false },
            Known::Is(_) => {
                if self.view.sides[toward.index()] == Known::Unknown
                    && let Known::Is(app) = self.view.flow
                {
                    // Each end may speak something else; what was found first is what is read.
                    let other = match parsers.identify(Transport::Tcp, toward, bytes, ports) {
                        Identified::Found(other) => other,
                        _ => app,
                    };
                    self.view.sides[toward.index()] = Known::Is(other);
                }
                let used = self.feed(toward, Input::Bytes(bytes), bytes.len());
                Read { used, found: false }
            }
        }
    }

    /// Takes a datagram.
    pub fn datagram(&mut self, toward: Toward, bytes: &[u8], ports: Ports, parsers: &Parsers) {
        if self.view.flow == Known::Unknown && !bytes.is_empty() {
            match parsers.identify(Transport::Udp, toward, bytes, ports) {
                Identified::Found(app) => {
                    self.view.sides[toward.index()] = Known::Is(app);
                    self.start(app, Transport::Udp, parsers);
                }
                Identified::More => {}
                Identified::Unknown => {
                    self.view.sides[toward.index()] = Known::Failed;
                    if self.view.sides.iter().all(|s| *s == Known::Failed) {
                        self.fail();
                    }
                }
            }
        }
        if self.view.flow != Known::Unknown && self.view.flow != Known::Failed {
            self.feed(toward, Input::Bytes(bytes), bytes.len());
        }
    }

    /// So many bytes were lost.
    pub fn gap(&mut self, toward: Toward, bytes: u64) {
        match self.view.flow {
            // Without its beginning nothing is found.
            Known::Unknown => {
                self.view.sides[toward.index()] = Known::Failed;
                self.fail();
            }
            Known::Is(_) => {
                self.feed(toward, Input::Gap(bytes), 0);
            }
            Known::Failed => {}
        }
    }

    /// Nothing more comes this way.
    pub fn end(&mut self, toward: Toward) {
        if std::mem::replace(&mut self.ended[toward.index()], true) {
            return;
        }
        if let Known::Is(_) = self.view.flow {
            self.feed(toward, Input::End, 0);
        }
    }

    fn fail(&mut self) {
        self.view.flow = Known::Failed;
        self.view.found_now = true;
    }

    fn start(&mut self, app: App, transport: Transport, parsers: &Parsers) {
        if parsers.disabled(app) {
            return self.fail();
        }
        if self.view.flow != Known::Unknown || !self.conversations.is_empty() {
            self.view.original = self.view.original.or(self.conversations.last().map(|c| c.app));
        }
        self.view.flow = Known::Is(app);
        self.view.found_now = true;
        self.news.0 = Some(app);
        let expected = self.view.expected.take();
        if let Some(mut parser) = parsers.start(app, transport) {
            if expected.is_some_and(|e| e != app) {
                parser.unexpected();
            }
            self.conversations.push(Conversation::new(app, parser));
        }
    }

    fn look(&mut self, toward: Toward, bytes: &[u8], ports: Ports, transport: Transport, parsers: &Parsers) -> Read {
        let side = toward.index();
        if self.view.sides[side] == Known::Unknown {
            match parsers.identify(transport, toward, bytes, ports) {
                Identified::Found(app) => {
                    self.view.sides[side] = Known::Is(app);
                    self.start(app, transport, parsers);
                    return Read { used: 0, found: true };
                }
                Identified::Unknown => self.view.sides[side] = Known::Failed,
                Identified::More => {}
            }
        }
        let both = self.view.sides.iter().all(|s| *s == Known::Failed);
        if both || bytes.len() > PATIENCE {
            self.fail();
            return Read { used: bytes.len(), found: false };
        }
        Read { used: 0, found: false }
    }

    /// Feeds whoever reads; how many bytes are done with.
    fn feed(&mut self, toward: Toward, input: Input<'_>, length: usize) -> usize {
        let Some(last) = self.conversations.last_mut().filter(|c| c.reads) else { return length };
        match last.feed(toward, input) {
            Step::Going => length,
            Step::Failed => {
                last.reads = false;
                self.news.1 = Some(last.app);
                length
            }
            Step::Opaque => {
                self.opaque = true;
                length
            }
            Step::Becomes(app, left) => {
                last.reads = false;
                self.changes += 1;
                if self.changes > MAX_CHANGES {
                    self.opaque = true;
                    return length;
                }
                self.view.original = Some(last.app);
                self.view.expected = app;
                self.view.sides = [Known::Unknown; 2];
                self.view.flow = Known::Unknown;
                // What has a mark of its own is found by it, and may turn out to be something else.
                self.becoming = app.filter(|a| *a != App::Tls);
                length.saturating_sub(left)
            }
        }
    }

    /// Forgets conversations of which everything was told, except the last.
    pub fn tidy(&mut self) {
        while self.conversations.len() > 1 && self.conversations[0].kept.is_empty() {
            self.conversations.remove(0);
        }
        self.view.found_now = false;
    }

    /// Other rules are to look at everything that is open.
    pub(crate) fn look_again(&mut self) {
        for c in &mut self.conversations {
            // Of no use to rules that number their places otherwise.
            c.kept.iter_mut().for_each(|k| k.rules = TxState::default());
            c.fresh = [true; 2];
        }
    }

    /// Rules are to look again, in this direction.
    pub fn fresh(&self, toward: Toward) -> bool {
        self.conversations.iter().any(|c| c.fresh[toward.index()])
    }

    /// Whether both directions were looked at since something was new.
    pub fn settled(&self) -> bool {
        !self.fresh(Toward::Server) && !self.fresh(Toward::Server.other())
    }
}
