//! What the library tells, kept by exchange.

use super::{
    events,
    exchange::{Exchange, Taken},
    multipart::{self, Multipart},
    upgrade,
};
use crate::{settings, transaction::Toward};
use ips_htp::{Code, Method, Observer, Part, Tx};
use ips_rules::header::App;
use std::{collections::VecDeque, ops::Range, sync::Arc};

/// Different events kept of one exchange; there are not many more names.
const EVENTS: usize = 64;
/// Notes taken of one conversation, as in the peer; one that brings more is not HTTP anyway.
const NOTES: usize = 512;

/// What the conversation becomes; none: found by content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn(pub(super) Option<App>);

/// Open exchanges.
pub struct State {
    pub(super) open: VecDeque<Exchange>,
    settings: Arc<settings::Http>,
    next: u64,
    /// Numbers of the exchanges whose requests, and whose answers, were read since the last look.
    requests: Range<usize>,
    responses: Range<usize>,
    /// Completed since the last look.
    complete: Vec<usize>,
    notes: usize,
    pub(super) turn: Option<Turn>,
    /// Another application was to follow here.
    pub(super) unexpected: bool,
}

impl State {
    pub(super) fn new(settings: Arc<settings::Http>) -> Self {
        Self {
            open: VecDeque::new(),
            settings,
            next: 0,
            requests: 0..0,
            responses: 0..0,
            complete: Vec::new(),
            notes: 0,
            turn: None,
            unexpected: false,
        }
    }

    fn position(&self, number: usize) -> Option<usize> {
        let at = number.checked_sub(self.open.front()?.number)?;
        (at < self.open.len()).then_some(at)
    }

    pub(super) fn at(&self, number: usize) -> Option<&Exchange> {
        self.position(number).map(|i| &self.open[i])
    }

    fn at_mut(&mut self, number: usize) -> Option<&mut Exchange> {
        self.position(number).map(|i| &mut self.open[i])
    }

    /// The exchange, made where it is the next one.
    fn exchange(&mut self, number: usize) -> Option<&mut Exchange> {
        let next = self.open.back().map_or(number, |e| e.number + 1);
        if number == next {
            self.open.push_back(Exchange::new(self.next, number, &self.settings));
            self.next += 1;
            if std::mem::take(&mut self.unexpected)
                && let Some(e) = self.open.back_mut()
            {
                e.event("http.failed_protocol_change");
            }
        }
        self.at_mut(number)
    }

    /// Numbers of exchanges that may have gone on: from, and before which.
    pub(super) fn touched(&self, toward: Toward) -> (usize, usize) {
        let r = if toward == Toward::Server { &self.requests } else { &self.responses };
        (r.start, r.end)
    }

    pub(super) fn take(&mut self, number: usize, taken: Taken) {
        let Some(e) = self.at_mut(number) else { return };
        e.take(taken);
        if e.complete() && !e.released {
            e.released = true;
            self.complete.push(number);
        }
    }

    /// All that was touched was taken. The last one may go on; those before it do not.
    pub(super) fn settled(&mut self, toward: Toward) {
        let r = if toward == Toward::Server { &mut self.requests } else { &mut self.responses };
        r.start = r.end.saturating_sub(1);
    }

    /// Exchanges the library may forget.
    pub(super) fn finished(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.complete)
    }

    /// Notes of the library belong to the exchange being read.
    pub(super) fn note(&mut self, toward: Toward, codes: Vec<Code>) {
        let current = if toward == Toward::Server { &self.requests } else { &self.responses };
        let number = current.end.saturating_sub(1);
        for code in codes {
            self.notes += 1;
            let event = match self.notes {
                n if n < NOTES => events::name(code),
                NOTES => Some("http.too_many_warnings"),
                _ => None,
            };
            let at = self.position(number).or_else(|| self.open.len().checked_sub(1));
            if let (Some(event), Some(at)) = (event, at) {
                add(&mut self.open[at].events, event);
            }
        }
    }

    pub(super) fn end(&mut self, toward: Toward) {
        for e in &mut self.open {
            match toward {
                Toward::Server => e.request.over(),
                // Where the server has ended nothing of the client's is answered any more.
                Toward::Client => {
                    e.response.over();
                    e.request.over();
                }
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<usize> {
        let e = self.open.pop_front()?;
        (!e.released).then_some(e.number)
    }
}

fn add(events: &mut Vec<&'static str>, event: &'static str) {
    if events.len() < EVENTS && !events.contains(&event) {
        events.push(event);
    }
}

fn header<'a>(mut headers: impl Iterator<Item = (&'a [u8], &'a [u8])>, name: &str) -> Option<&'a [u8]> {
    headers.find(|(n, _)| super::exchange::same(n, name)).map(|(_, v)| v)
}

impl Observer for State {
    fn request_start(&mut self, tx: &Tx<'_>) {
        let number = tx.index();
        self.exchange(number);
        self.requests.end = number + 1;
    }

    fn request_line(&mut self, tx: &Tx<'_>) {
        if let Some(e) = self.at_mut(tx.index()) {
            events::flagged(tx, |n| add(&mut e.events, n));
        }
    }

    fn request_raw(&mut self, tx: &Tx<'_>, bytes: &[u8]) {
        if let Some(e) = self.at_mut(tx.index()) {
            e.request.raw(bytes);
        }
    }

    fn request_body(&mut self, tx: &Tx<'_>, part: Part<'_>) {
        let window = self.settings.request;
        let Some(e) = self.at_mut(tx.index()) else { return };
        let bytes = match part {
            Part::Bytes(b) => b,
            Part::Gap(n) => {
                e.request.lose(n);
                return;
            }
            Part::End => return,
        };
        if !std::mem::replace(&mut e.request.begun, true) {
            let boundary = match tx.method_number() {
                Method::POST => header(tx.request_headers(), "Content-Type").and_then(multipart::boundary),
                _ => None,
            };
            match boundary {
                Some(b) => e.request.parts = Some(Box::new(Multipart::new(b, window))),
                None if matches!(tx.method_number(), Method::POST | Method::PUT) => {
                    if let Some(path) = tx.path() {
                        e.request.open(path);
                    }
                }
                None => {}
            }
        }
        let events = &mut e.events;
        e.request.push(bytes, events);
    }

    fn request_complete(&mut self, tx: &Tx<'_>) {
        if let Some(e) = self.at_mut(tx.index()) {
            e.request.end();
            events::flagged(tx, |n| add(&mut e.events, n));
        }
    }

    fn response_start(&mut self, tx: &Tx<'_>) {
        let number = tx.index();
        self.exchange(number);
        self.responses.end = number + 1;
    }

    fn response_raw(&mut self, tx: &Tx<'_>, bytes: &[u8]) {
        if let Some(e) = self.at_mut(tx.index()) {
            e.response.raw(bytes);
        }
    }

    fn response_body(&mut self, tx: &Tx<'_>, part: Part<'_>) {
        let Some(e) = self.at_mut(tx.index()) else { return };
        if matches!(part, Part::Bytes(_) | Part::Gap(_)) && !std::mem::replace(&mut e.response.begun, true) {
            let named = header(tx.response_headers(), "Content-Disposition").and_then(|v| multipart::parameter(v, "filename"));
            if let Some(name) = named.or_else(|| tx.path()) {
                e.response.open(name);
            }
        }
        match part {
            Part::Bytes(bytes) => {
                let events = &mut e.events;
                e.response.push(bytes, events);
            }
            Part::Gap(n) => e.response.lose(n),
            Part::End => {}
        }
    }

    fn response_complete(&mut self, tx: &Tx<'_>) -> bool {
        let status = tx.status_number().unwrap_or(0);
        if let Some(e) = self.at_mut(tx.index()) {
            e.response.end();
        }
        // Any answer of success to CONNECT makes a tunnel (RFC 9110, 9.3.6); later ones do not, as in the peer.
        if tx.method_number() == Method::CONNECT && (200..300).contains(&status) && tx.index() == 0 {
            self.turn = Some(Turn(None));
        }
        self.turn.is_none()
    }
}

/// What an answer of 101 goes on with.
pub(super) fn upgraded(tx: &Tx<'_>) -> Option<Turn> {
    let value = (tx.status_number() == Some(101)).then(|| header(tx.response_headers(), "Upgrade")).flatten()?;
    upgrade(value).map(|app| Turn(Some(app)))
}
