//! HTTP/1: bytes of both directions in, exchanges out. What the bytes mean is decided by the library behind `ips-htp`, so that it is what the
//! peer decides; here stand the buffers, files, events and the change to another protocol. Nothing here reads the wire itself, but for
//! the parts of a multipart body.

mod describe;
mod events;
mod exchange;
mod multipart;
mod observe;
#[cfg(test)]
mod tests;

use crate::{
    settings,
    transaction::{Input, Parser, Step, Toward, Transaction},
};
pub(crate) use exchange::{Exchange, Known, Text};
use ips_htp::{Connection, Flow};
use ips_rules::header::App;
pub(crate) use multipart::parameter;
use observe::{State, Turn};
use std::sync::Arc;

/// Settings with what the library needs of them, made once.
#[derive(Clone)]
pub struct Config {
    library: Arc<ips_htp::Config<State>>,
    settings: Arc<settings::Http>,
}

impl Config {
    /// Makes them.
    pub fn new(settings: &settings::Http) -> Self {
        Self { library: Arc::new(ips_htp::Config::new(&settings.reading)), settings: Arc::new(settings.clone()) }
    }
}

/// Bytes of one direction that wait for the other at most. More does not occur but where somebody tries what happens.
const WAITING: usize = 256 << 10;

/// Bytes that wait, and how many in front of them were read.
#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    read: usize,
}

impl Waiting {
    fn left(&self) -> usize {
        self.bytes.len() - self.read
    }

    /// Moves what is left to the front once it is the smaller part.
    fn settle(&mut self) {
        if self.read > self.bytes.len() / 2 {
            self.bytes.drain(..self.read);
            self.read = 0;
        }
    }
}

/// A conversation.
pub struct Http {
    connection: Connection<State>,
    /// What waits for the other direction: to the server, to the client.
    waiting: [Waiting; 2],
    ended: [bool; 2],
    failed: bool,
}

impl Http {
    /// Begins one.
    pub fn new(config: &Config) -> Self {
        let state = State::new(Arc::clone(&config.settings));
        Self {
            connection: Connection::new(Arc::clone(&config.library), state),
            waiting: Default::default(),
            ended: [false; 2],
            failed: false,
        }
    }

    fn give(&mut self, toward: Toward, bytes: &[u8]) -> Flow {
        match toward {
            Toward::Server => self.connection.request(bytes),
            Toward::Client => self.connection.response(bytes),
        }
    }

    /// What a turn of a direction came to: bytes read, or why it ends.
    fn step(&mut self, toward: Toward, bytes: &[u8]) -> Result<usize, Step> {
        let flow = self.give(toward, bytes);
        let read = match flow {
            Flow::Going => bytes.len(),
            Flow::Other(n) | Flow::Stop(n) | Flow::Tunnel(n) => n,
            Flow::Failed => return Err(Step::Failed),
        };
        if matches!(flow, Flow::Tunnel(_)) && toward == Toward::Client {
            // The library carries on blindly after any 101.
            let number = self.connection.observer().touched(toward).1.saturating_sub(1);
            let turn = self.connection.tx(number).and_then(|tx| observe::upgraded(&tx));
            self.connection.observer_mut().turn = turn;
        }
        if let Some(Turn(app)) = self.connection.observer_mut().turn.take() {
            return Err(Step::Becomes(app, bytes.len() - read));
        }
        match flow {
            Flow::Stop(_) | Flow::Tunnel(_) => Err(Step::Opaque),
            _ => Ok(read),
        }
    }

    /// Reads, turning to the other direction as long as each turn reads something. What waits is neither read again nor moved before the
    /// other direction has gone on, so that a byte costs the same however many wait.
    fn drive(&mut self, toward: Toward, bytes: &[u8]) -> Step {
        let mine = &mut self.waiting[toward.index()];
        if mine.left() + bytes.len() > WAITING && mine.left() > 0 {
            return Step::Failed;
        }
        if mine.left() > 0 {
            mine.bytes.extend_from_slice(bytes);
            return Step::Going;
        }
        let read = match self.step(toward, bytes) {
            Ok(read) if bytes.len() - read > WAITING => return Step::Failed,
            Ok(read) => read,
            Err(end) => return end,
        };
        self.waiting[toward.index()].bytes.extend_from_slice(&bytes[read..]);
        let mut turn = toward.other();
        let mut moved = read > 0;
        while moved && self.waiting[turn.index()].left() > 0 {
            let held = std::mem::take(&mut self.waiting[turn.index()]);
            let step = self.step(turn, &held.bytes[held.read..]);
            let read = match step {
                Ok(read) => read,
                // What is left of the input at hand; bytes of the other direction cannot be given back.
                Err(Step::Becomes(app, left)) => return Step::Becomes(app, if turn == toward { left.min(bytes.len()) } else { 0 }),
                Err(end) => return end,
            };
            self.waiting[turn.index()] = Waiting { read: held.read + read, bytes: held.bytes };
            moved = read > 0;
            turn = turn.other();
        }
        self.waiting.iter_mut().for_each(Waiting::settle);
        Step::Going
    }

    /// Takes over what was read; `all` where nothing more will be.
    fn settle(&mut self, toward: Toward, all: bool) {
        let notes: Vec<_> = self.connection.notes().collect();
        let (from, to) = self.connection.observer().touched(toward);
        for number in from..to {
            // Two objects of one: the exchange is read through the shared borrow, and written once that has ended.
            let taken = self.connection.tx(number).map(|tx| exchange::Taken::of(&tx, self.connection.observer().at(number), all));
            if let Some(taken) = taken {
                self.connection.observer_mut().take(number, taken);
            }
        }
        self.connection.observer_mut().settled(toward);
        self.connection.observer_mut().note(toward, notes);
        for number in self.connection.observer_mut().finished() {
            self.connection.forget(number);
        }
    }
}

impl Parser for Http {
    fn unexpected(&mut self) {
        self.connection.observer_mut().unexpected = true;
    }

    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        if self.failed {
            return Step::Failed;
        }
        let step = match (toward, input) {
            (_, Input::Bytes([])) => Step::Going,
            (_, Input::Bytes(bytes)) => self.drive(toward, bytes),
            (_, Input::Gap(n)) => {
                self.waiting[toward.index()] = Waiting::default();
                let n = usize::try_from(n).unwrap_or(usize::MAX);
                let flow = if toward == Toward::Server { self.connection.request_gap(n) } else { self.connection.response_gap(n) };
                if flow == Flow::Failed { Step::Failed } else { Step::Going }
            }
            (Toward::Server, Input::End) => {
                if !std::mem::replace(&mut self.ended[0], true) {
                    self.connection.request_end();
                }
                Step::Going
            }
            (Toward::Client, Input::End) => {
                if !std::mem::replace(&mut self.ended[1], true) {
                    self.connection.end();
                }
                Step::Going
            }
        };
        let turned = matches!(step, Step::Becomes(..));
        self.settle(toward, turned);
        self.settle(toward.other(), turned);
        if matches!(input, Input::End) {
            self.connection.observer_mut().end(toward);
        }
        if step == Step::Failed {
            self.failed = true;
            self.connection.observer_mut().end(Toward::Server);
            self.connection.observer_mut().end(Toward::Client);
        }
        step
    }

    fn count(&self) -> usize {
        self.connection.observer().open.len()
    }

    fn get(&self, at: usize) -> &dyn Transaction {
        &self.connection.observer().open[at]
    }

    fn looked(&mut self, toward: Toward) {
        for exchange in &mut self.connection.observer_mut().open {
            exchange.looked(toward);
        }
    }

    fn forget(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(number) = self.connection.observer_mut().pop() {
                self.connection.forget(number);
            }
        }
    }
}

/// Whether an answer's header names a protocol this engine goes on with.
fn upgrade(value: &[u8]) -> Option<App> {
    if value == b"h2c" {
        Some(App::Http2)
    } else if value.eq_ignore_ascii_case(b"websocket") {
        Some(App::Websocket)
    } else {
        None
    }
}
