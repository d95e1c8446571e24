//! Hello messages: the body of one in, its fields out. None where it is none; what an extension says is left out where it is malformed.

/// What a client or server says first.
#[derive(Debug, Default, Clone)]
pub struct Hello {
    /// The version as written in its place.
    pub version: u16,
    /// The highest version of the extension for it, where it is there; of a server the one chosen.
    pub supported: Option<u16>,
    /// 32 bytes.
    pub random: [u8; 32],
    /// The session to be taken up again, or one's own.
    pub session: Vec<u8>,
    /// Cipher suites, in order; of a server the one chosen.
    pub ciphers: Vec<u16>,
    /// Kinds of extensions, in order.
    pub extensions: Vec<u16>,
    /// Groups, in order.
    pub groups: Vec<u16>,
    /// Point formats, in order.
    pub formats: Vec<u8>,
    /// Signature algorithms, in order.
    pub signatures: Vec<u16>,
    /// Application protocols, in order.
    pub alpn: Vec<Vec<u8>>,
    /// The server's name.
    pub name: Option<Vec<u8>>,
    /// Something unusual, by the peer's names.
    pub events: Vec<&'static str>,
}

/// Reads from the front; every step is bounded by what is there.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (a, b) = self.0.split_at_checked(n)?;
        self.0 = b;
        Some(a)
    }

    pub(crate) fn number(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |n, b| n << 8 | usize::from(*b)))
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        let b = self.take(2)?;
        Some(u16::from_be_bytes([b[0], b[1]]))
    }

    /// A length of so many bytes, and that much.
    pub(crate) fn vector(&mut self, bytes: usize) -> Option<Bytes<'a>> {
        let n = self.number(bytes)?;
        self.take(n).map(Bytes)
    }

    fn list(mut self) -> Vec<u16> {
        std::iter::from_fn(|| self.u16()).collect()
    }
}

/// Values that mean nothing and are there so that nobody stumbles over unknown ones (RFC 8701).
pub fn grease(v: u16) -> bool {
    v & 0x0f0f == 0x0a0a && v >> 8 == v & 0xff
}

/// Versions of TLS 1.3 before draft 22 have no session and no compression in the server's hello.
fn early_draft(version: u16) -> bool {
    version == 0x0304 || (0x7f01..0x7f16).contains(&version)
}

impl Hello {
    /// A client's.
    pub fn client(body: &[u8]) -> Option<Self> {
        let mut b = Bytes(body);
        let mut h = Self { version: b.u16()?, ..Self::default() };
        h.random.copy_from_slice(b.take(32)?);
        h.session = b.vector(1)?.0.to_vec();
        h.ciphers = b.vector(2)?.list();
        b.vector(1)?;
        h.read_extensions(b, true);
        Some(h)
    }

    /// A server's.
    pub fn server(body: &[u8]) -> Option<Self> {
        let mut b = Bytes(body);
        let mut h = Self { version: b.u16()?, ..Self::default() };
        h.random.copy_from_slice(b.take(32)?);
        let draft = early_draft(h.version);
        if !draft {
            h.session = b.vector(1)?.0.to_vec();
        }
        h.ciphers = vec![b.u16()?];
        if !draft {
            b.take(1)?;
        }
        h.read_extensions(b, false);
        Some(h)
    }

    fn read_extensions(&mut self, mut b: Bytes<'_>, client: bool) {
        let Some(mut list) = b.vector(2) else { return };
        while let Some(kind) = list.u16() {
            let Some(data) = list.vector(2) else {
                self.events.push("tls.handshake_invalid_length");
                return;
            };
            self.extensions.push(kind);
            if self.extension(kind, data, client).is_none() && kind == 0 {
                self.events.push("tls.invalid_sni_length");
            }
        }
    }

    fn extension(&mut self, kind: u16, mut data: Bytes<'_>, client: bool) -> Option<()> {
        match kind {
            0 if client => {
                if self.extensions.iter().filter(|k| **k == 0).count() > 1 {
                    self.events.push("tls.multiple_sni_extensions");
                    return Some(());
                }
                if data.0.is_empty() {
                    return Some(());
                }
                let mut names = data.vector(2)?;
                if names.number(1)? != 0 {
                    self.events.push("tls.invalid_sni_type");
                    return Some(());
                }
                self.name = Some(names.vector(2)?.0.to_vec());
            }
            10 => self.groups = data.vector(2)?.list(),
            11 => self.formats = data.vector(1)?.0.to_vec(),
            13 => self.signatures = data.vector(2)?.list(),
            16 => {
                let mut names = data.vector(2)?;
                while let Some(name) = names.vector(1) {
                    self.alpn.push(name.0.to_vec());
                }
            }
            43 if client => self.supported = data.vector(1)?.list().into_iter().filter(|v| !grease(*v)).max_by_key(|v| rank(*v)),
            43 => self.supported = Some(data.u16()?),
            _ => {}
        }
        Some(())
    }

    /// The version spoken, as far as this hello says: drafts of 1.3 that named it in the old place are told apart.
    pub fn spoken(&self) -> u16 {
        match (self.supported, self.version) {
            (Some(v), _) => v,
            (None, 0x0304 | 0x7f01..0x7f10) => super::EARLY,
            (None, v) => v,
        }
    }
}

/// Drafts of 1.3 stand below it and above 1.2.
fn rank(version: u16) -> u32 {
    match version {
        0x7f00..=0x7fff => 0x0303_8000 | u32::from(version & 0xff),
        v => u32::from(v) << 16,
    }
}
