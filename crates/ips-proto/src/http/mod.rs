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

/// A conversation.
pub struct Http {
    connection: Connection<State>,
    /// Bytes that wait for the other direction, and how many of them are read: to the server, to the client.
    waiting: [Vec<u8>; 2],
    ended: [bool; 2],
    failed: bool,
}

fn side(toward: Toward) -> usize {
    usize::from(toward == Toward::Client)
}

fn other(toward: Toward) -> Toward {
    if toward == Toward::Server { Toward::Client } else { Toward::Server }
}

impl Http {
    /// Begins one.
    pub fn new(config: &Config) -> Self {
        let state = State::new(Arc::clone(&config.settings));
        Self {
            connection: Connection::new(Arc::clone(&config.library), state),
            waiting: [Vec::new(), Vec::new()],
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

    /// Reads, turning to the other direction as long as each turn reads something.
    fn drive(&mut self, mut toward: Toward, bytes: &[u8]) -> Step {
        let fresh = toward;
        let mut held = std::mem::take(&mut self.waiting[side(toward)]);
        let mut rest = bytes;
        if !held.is_empty() {
            held.extend_from_slice(bytes);
            rest = &held;
        }
        loop {
            let flow = self.give(toward, rest);
            let read = match flow {
                Flow::Going => rest.len(),
                Flow::Other(n) | Flow::Stop(n) | Flow::Tunnel(n) => n,
                Flow::Failed => return Step::Failed,
            };
            let left = rest.len() - read;
            if matches!(flow, Flow::Tunnel(_)) && toward == Toward::Client {
                // The library carries on blindly after any 101.
                let number = self.connection.observer().touched(toward).1.saturating_sub(1);
                let turn = self.connection.tx(number).and_then(|tx| observe::upgraded(&tx));
                self.connection.observer_mut().turn = turn;
            }
            if let Some(Turn(app)) = self.connection.observer_mut().turn.take() {
                return Step::Becomes(app, if toward == fresh { left.min(bytes.len()) } else { 0 });
            }
            match flow {
                Flow::Stop(_) | Flow::Tunnel(_) => return Step::Opaque,
                _ if left > WAITING => return Step::Failed,
                _ => {}
            }
            self.waiting[side(toward)] = rest[read..].to_vec();
            toward = other(toward);
            if read == 0 || self.waiting[side(toward)].is_empty() {
                return Step::Going;
            }
            held = std::mem::take(&mut self.waiting[side(toward)]);
            rest = &held;
        }
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
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        if self.failed {
            return Step::Failed;
        }
        let step = match (toward, input) {
            (_, Input::Bytes([])) => Step::Going,
            (_, Input::Bytes(bytes)) => self.drive(toward, bytes),
            (_, Input::Gap(n)) => {
                self.waiting[side(toward)].clear();
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
        self.settle(other(toward), turned);
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
