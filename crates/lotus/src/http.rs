//! JSON-RPC over HTTP. Never: follows a redirect, uses a proxy of the environment's, reads beyond [`MAX_ANSWER`].

use crate::{
    MAX_ANSWER, Token,
    channel::{hangs, status, too_large},
    tls,
    wire::{fault, shown},
};
use deadline::{Fault, Trouble};
use std::{io::ErrorKind, time::Instant};
use words::ApiUrl;

pub(crate) struct Http {
    agent: ureq::Agent,
    url: String,
    bearer: Option<String>,
}

impl Http {
    pub fn new(url: &ApiUrl, token: Option<&Token>) -> Result<Self, Fault> {
        let mut config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).user_agent("ravelin");
        if url.scheme().is_tls() {
            config = config.tls_config(tls::for_http()?);
        }
        Ok(Self { agent: config.build().into(), url: url.to_string(), bearer: token.map(Token::bearer) })
    }

    pub fn call(&mut self, request: &[u8], until: Instant) -> Result<Vec<u8>, Fault> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(hangs());
        }
        let mut post = self.agent.post(&self.url).header("Content-Type", "application/json");
        if let Some(bearer) = &self.bearer {
            post = post.header("Authorization", bearer);
        }
        let mut response = post.config().timeout_global(Some(left)).build().send(request).map_err(|e| failed(&e))?;
        let code = response.status().as_u16();
        // lotus answers an error of the method with 500 and says what it was in the body.
        if !(200..300).contains(&code) && code != 500 {
            return Err(status(code));
        }
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(|e| failed(&e))?;
        if code == 500 && !body.starts_with(b"{") { Err(status(code)) } else { Ok(body) }
    }
}

fn failed(e: &ureq::Error) -> Fault {
    match e {
        ureq::Error::Timeout(_) => hangs(),
        ureq::Error::BodyExceedsLimit(_) => too_large(),
        ureq::Error::HostNotFound => fault(Trouble::Unreachable, "its name is not known"),
        ureq::Error::ConnectionFailed => fault(Trouble::Unreachable, "no connection"),
        ureq::Error::Io(io) => match io.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => hangs(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
                fault(Trouble::Failed, "it closed the connection in the middle")
            }
            ErrorKind::InvalidData => fault(Trouble::Nonsense, format!("it does not speak the protocol: {}", shown(&io.to_string()))),
            _ => fault(Trouble::Unreachable, shown(&io.to_string())),
        },
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => fault(Trouble::Failed, format!("TLS: {}", shown(&e.to_string()))),
        other => fault(Trouble::Nonsense, format!("it does not speak HTTP: {}", shown(&other.to_string()))),
    }
}
