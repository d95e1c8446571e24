//! JSON-RPC over WebSocket. One time limit over everything: each read and write gets what is left of it, so that a node that sends a byte
//! a second is told from one that answers. Never: reads a message beyond [`MAX_ANSWER`].

use crate::{
    MAX_ANSWER, Token,
    channel::{hangs, status, too_large},
    tls,
    wire::{fault, shown},
};
use deadline::{Fault, Trouble};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tungstenite::{
    HandshakeError, Message, WebSocket,
    client::IntoClientRequest,
    http::{HeaderValue, header::AUTHORIZATION},
    protocol::WebSocketConfig,
};
use words::ApiUrl;

/// Messages that are no answer (pings, notifications) and are passed over before a node counts as talking nonsense.
const MAX_OTHERS: usize = 64;

/// A stream with a moment at which it ends.
struct Timed {
    stream: TcpStream,
    until: Arc<Mutex<Instant>>,
}

impl Timed {
    fn left(&self) -> io::Result<Duration> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(buffer)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Both kinds of stream.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

pub(crate) struct Ws {
    socket: WebSocket<Box<dyn Stream>>,
    until: Arc<Mutex<Instant>>,
}

impl Ws {
    pub fn open(url: &ApiUrl, token: Option<&Token>, until: Instant) -> Result<Self, Fault> {
        let until = Arc::new(Mutex::new(until));
        let stream = Timed { stream: connect(url, &until)?, until: until.clone() };
        let stream: Box<dyn Stream> = if url.scheme().is_tls() {
            let name =
                ServerName::try_from(url.host().to_owned()).map_err(|_| fault(Trouble::NotAsked, "its name cannot be in a certificate"))?;
            let session = ClientConnection::new(tls::for_ws()?, name).map_err(|e| fault(Trouble::NotAsked, format!("TLS: {e}")))?;
            Box::new(StreamOwned::new(session, stream))
        } else {
            Box::new(stream)
        };
        let odd = |e: &dyn std::fmt::Display| fault(Trouble::NotAsked, format!("its URL: {}", shown(&e.to_string())));
        let mut request = url.to_string().into_client_request().map_err(|e| odd(&e))?;
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&token.bearer()).map_err(|e| odd(&e))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let limit = usize::try_from(MAX_ANSWER).ok();
        let config = WebSocketConfig::default().max_message_size(limit).max_frame_size(limit);
        match tungstenite::client::client_with_config(request, stream, Some(config)) {
            Ok((socket, _)) => Ok(Self { socket, until }),
            Err(HandshakeError::Failure(e)) => Err(failed(e)),
            Err(HandshakeError::Interrupted(_)) => Err(hangs()),
        }
    }

    pub fn call(&mut self, request: &[u8], until: Instant) -> Result<Vec<u8>, Fault> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        let text = String::from_utf8(request.to_vec()).map_err(|_| fault(Trouble::NotAsked, "a request that is no text"))?;
        self.socket.send(Message::text(text)).map_err(failed)?;
        for _ in 0..MAX_OTHERS {
            let bytes = match self.socket.read().map_err(failed)? {
                Message::Text(text) => text.as_bytes().to_vec(),
                Message::Binary(bytes) => bytes.to_vec(),
                Message::Close(_) => return Err(fault(Trouble::Failed, "it closed the connection")),
                _ => continue,
            };
            // A notification of a subscription (`xrpc.ch.val`) carries a method; we have none, and pass it over.
            let notifies = serde_json::from_slice::<serde_json::Value>(&bytes).is_ok_and(|v| v.get("method").is_some());
            if !notifies {
                return Ok(bytes);
            }
        }
        Err(fault(Trouble::Nonsense, "it sends everything but an answer"))
    }
}

fn connect(url: &ApiUrl, until: &Mutex<Instant>) -> Result<TcpStream, Fault> {
    let places = (url.host(), url.port()).to_socket_addrs().map_err(|_| fault(Trouble::Unreachable, "its name is not known"))?;
    let mut last = fault(Trouble::Unreachable, "its name has no address");
    for place in places {
        let left = until.lock().unwrap_or_else(PoisonError::into_inner).saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(hangs());
        }
        match TcpStream::connect_timeout(&place, left) {
            Ok(stream) => {
                // Small questions, one after the other: none is to wait for the acknowledgement of the last.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(e) if e.kind() == ErrorKind::TimedOut => last = hangs(),
            Err(e) => last = fault(Trouble::Unreachable, shown(&e.to_string())),
        }
    }
    Err(last)
}

fn failed(e: tungstenite::Error) -> Fault {
    match e {
        tungstenite::Error::Io(io) if matches!(io.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => hangs(),
        // rustls says so where a certificate is not trusted.
        tungstenite::Error::Io(io) if io.kind() == ErrorKind::InvalidData => {
            fault(Trouble::Failed, format!("TLS: {}", shown(&io.to_string())))
        }
        tungstenite::Error::Io(_) | tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
            fault(Trouble::Failed, "it closed the connection in the middle")
        }
        tungstenite::Error::Capacity(_) => too_large(),
        tungstenite::Error::Http(response) => status(response.status().as_u16()),
        other => fault(Trouble::Nonsense, format!("it does not speak WebSocket: {}", shown(&other.to_string()))),
    }
}
