//! URLs of APIs: in comes text as an operator writes it, out come scheme, host, port and path, or what is wrong with it. A URL here never
//! holds a secret: user names, passwords and queries (`?token=`) are refused, since URLs are shown, recorded and logged.

use serde::{Serialize, Serializer};
use std::{fmt, net::IpAddr, str::FromStr};

/// How an API is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// HTTP.
    Http,
    /// HTTP in TLS.
    Https,
    /// WebSocket.
    Ws,
    /// WebSocket in TLS.
    Wss,
}

impl Scheme {
    const ALL: [(&'static str, Self); 4] = [("http", Self::Http), ("https", Self::Https), ("ws", Self::Ws), ("wss", Self::Wss)];

    /// As it is written.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, s)| *s == self).map_or("http", |(w, _)| w)
    }
    /// What is sent can be read on the way by nobody.
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Wss)
    }
    /// The scheme's port (RFC 9110 section 4.2, RFC 6455 section 3).
    pub fn port(self) -> u16 {
        if self.is_tls() { 443 } else { 80 }
    }
}

/// Where an API listens: `http://10.20.20.11:1234/rpc/v1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiUrl {
    scheme: Scheme,
    host: String,
    port: u16,
    path: String,
}

/// What is wrong with a URL. Never repeats the text: it may hold the secret it is refused for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Longer than [`MAX_URL`].
    #[error("it is longer than {MAX_URL} bytes")]
    TooLong,
    /// No scheme, or another one.
    #[error("it begins with none of http://, https://, ws://, wss://")]
    Scheme,
    /// A user name or password.
    #[error("it holds a user name or password")]
    User,
    /// A query or fragment.
    #[error("it holds a query or fragment (`?`, `#`)")]
    Query,
    /// No host name and no address.
    #[error("its host is neither a name nor an address")]
    Host,
    /// No port number.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// Odd characters.
    #[error("its path holds characters other than letters, digits and / - . _ ~")]
    Path,
}

/// Longest URL in bytes: a name of 253 and a path.
pub const MAX_URL: usize = 512;
/// Longest DNS name in bytes (RFC 1035 section 2.3.4, without the final dot).
const MAX_NAME: usize = 253;

impl ApiUrl {
    /// For an address of the site's.
    pub fn of(scheme: Scheme, address: IpAddr, port: u16, path: &str) -> Result<Self, UrlError> {
        Ok(Self { scheme, host: address.to_string(), port, path: checked_path(path)? })
    }
    /// Scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
    /// Name or address, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }
    /// The host where it is an address.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
    /// Port.
    pub fn port(&self) -> u16 {
        self.port
    }
    /// Path, beginning with `/`.
    pub fn path(&self) -> &str {
        &self.path
    }
    /// The same place where the path is `/`, with this path instead.
    #[must_use]
    pub fn or_path(mut self, path: &str) -> Self {
        if let (true, Ok(path)) = (self.path == "/", checked_path(path)) {
            self.path = path;
        }
        self
    }
    /// On this machine: what is sent does not leave it.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.address().is_some_and(|a| a.is_loopback())
    }
}

fn checked_path(path: &str) -> Result<String, UrlError> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    if path.is_empty() {
        return Ok("/".to_owned());
    }
    if path.starts_with('/') && path.bytes().all(fine) { Ok(path.to_owned()) } else { Err(UrlError::Path) }
}

impl FromStr for ApiUrl {
    type Err = UrlError;
    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.len() > MAX_URL {
            return Err(UrlError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let known = Scheme::ALL.iter().find(|(w, _)| w.eq_ignore_ascii_case(scheme));
        let scheme = known.map(|(_, s)| *s).ok_or(UrlError::Scheme)?;
        if rest.contains('@') {
            return Err(UrlError::User);
        }
        if rest.contains(['?', '#']) {
            return Err(UrlError::Query);
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => {
                let (address, after) = v6.split_once(']').ok_or(UrlError::Host)?;
                let address: std::net::Ipv6Addr = address.parse().map_err(|_| UrlError::Host)?;
                (address.to_string(), after.strip_prefix(':').or((!after.is_empty()).then_some("")))
            }
            None => {
                let (host, port) = authority.split_once(':').map_or((authority, None), |(h, p)| (h, Some(p)));
                let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
                if host.is_empty() || host.len() > MAX_NAME || !host.bytes().all(fine) || host.starts_with(['-', '.']) {
                    return Err(UrlError::Host);
                }
                (host.to_ascii_lowercase(), port)
            }
        };
        let port = match port {
            None => scheme.port(),
            // `u16::from_str` takes a sign.
            Some(p) if p.bytes().all(|b| b.is_ascii_digit()) => p.parse().ok().filter(|p| *p != 0).ok_or(UrlError::Port)?,
            Some(_) => return Err(UrlError::Port),
        };
        Ok(Self { scheme, host, port, path: checked_path(path)? })
    }
}

impl fmt::Display for ApiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, path } = self;
        let scheme = scheme.word();
        if host.contains(':') { write!(f, "{scheme}://[{host}]:{port}{path}") } else { write!(f, "{scheme}://{host}:{port}{path}") }
    }
}

impl Serialize for ApiUrl {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<String, UrlError> {
        text.parse::<ApiUrl>().map(|u| u.to_string())
    }

    #[test]
    fn what_operators_write_is_read() {
        assert_eq!(parse("http://10.20.20.11:1234/rpc/v1").as_deref(), Ok("http://10.20.20.11:1234/rpc/v1"));
        assert_eq!(parse("WSS://Node.Example/rpc/v1").as_deref(), Ok("wss://node.example:443/rpc/v1"));
        assert_eq!(parse("http://[2001:db8::11]:1234").as_deref(), Ok("http://[2001:db8::11]:1234/"));
        assert_eq!(parse("http://[::1]/rpc/v1").as_deref(), Ok("http://[::1]:80/rpc/v1"));
        let bare: ApiUrl = "ws://localhost:1234".parse().expect("a URL");
        assert!(bare.is_loopback() && bare.clone().or_path("/rpc/v1").path() == "/rpc/v1");
        assert_eq!(
            "http://a/x".parse::<ApiUrl>().map(|u| u.or_path("/rpc/v1").path().to_owned()).as_deref(),
            Ok("/x"),
            "a path that is given stays"
        );
    }

    #[test]
    fn secrets_and_nonsense_are_refused_by_name() {
        for (text, wrong) in [
            ("10.20.20.11:1234", UrlError::Scheme),
            ("ftp://a/", UrlError::Scheme),
            ("http://user:eyJhbGciOi@a:1234/", UrlError::User),
            ("http://a:1234/rpc/v1?token=eyJhbGciOi", UrlError::Query),
            ("http://", UrlError::Host),
            ("http://[::1", UrlError::Host),
            ("http://a b/", UrlError::Host),
            ("http://a:0/", UrlError::Port),
            ("http://a:+80/", UrlError::Port),
            ("http://[::1]x", UrlError::Port),
            ("http://a/\r\nX: y", UrlError::Path),
        ] {
            assert_eq!(parse(text), Err(wrong), "{text}");
            assert!(!wrong.to_string().contains("eyJ"));
        }
        assert_eq!(parse(&format!("http://a/{}", "x".repeat(MAX_URL))), Err(UrlError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again_as_the_same(text in "(http|wss)://([a-z]{1,9}|10\\.0\\.0\\.1|\\[2001:db8::7\\])(:[1-9][0-9]{0,3})?(/[a-z0-9]{0,5}){0,2}") {
            let url: ApiUrl = text.parse().expect("a URL");
            prop_assert_eq!(url.to_string().parse::<ApiUrl>(), Ok(url));
        }
        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,80}") {
            let _ = text.parse::<ApiUrl>();
        }
    }
}
