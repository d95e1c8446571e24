//! A way to send a request and get the bytes that answer it, within a time. One of two: HTTP or WebSocket.

use crate::{MAX_ANSWER, Token, http::Http, wire::fault, ws::Ws};
use deadline::{Fault, Trouble};
use std::time::Instant;
use words::{ApiUrl, Scheme};

/// An open way.
pub(crate) enum Channel {
    Http(Http),
    Ws(Box<Ws>),
}

impl Channel {
    pub fn open(url: &ApiUrl, token: Option<&Token>, until: Instant) -> Result<Self, Fault> {
        match url.scheme() {
            Scheme::Http | Scheme::Https => Http::new(url, token).map(Self::Http),
            Scheme::Ws | Scheme::Wss => Ws::open(url, token, until).map(|ws| Self::Ws(Box::new(ws))),
        }
    }
    pub fn call(&mut self, request: &[u8], until: Instant) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Http(http) => http.call(request, until),
            Self::Ws(ws) => ws.call(request, until),
        }
    }
}

/// The time is over.
pub(crate) fn hangs() -> Fault {
    fault(Trouble::Hangs, "it did not answer in time")
}

/// More than is read.
pub(crate) fn too_large() -> Fault {
    fault(Trouble::Nonsense, format!("its answer is larger than {} MB", MAX_ANSWER >> 20))
}

/// What an HTTP status other than success means.
pub(crate) fn status(code: u16) -> Fault {
    match code {
        401 => fault(Trouble::Refused, "it does not take the token (401): make a new one, a read token will do"),
        403 => fault(Trouble::Refused, "it refuses (403)"),
        429 => fault(Trouble::Failed, "it says that it is asked too often (429)"),
        300..=399 => fault(Trouble::Failed, format!("it points elsewhere ({code}), which is not followed: name the place itself")),
        _ => fault(Trouble::Failed, format!("it answered with HTTP status {code}")),
    }
}
