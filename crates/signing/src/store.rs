//! The key's file: PKCS#8 in PEM, as other tools read it, mode 0600. In comes a path, out comes a key, or why not. A file that others
//! may read is not taken: whoever could read it may have signed with it.

use crate::{Passphrase, Secret};
use ed25519::pkcs8::KeypairBytes;
use pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rustix::fs::{Mode, OFlags};
use std::{
    fs::File,
    io::{Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Largest file that is read, in bytes: one with a passphrase has 350.
const MAX_BYTES: u64 = 16 << 10;

/// First line of a file without passphrase, and of one with it.
const PLAIN: &str = "-----BEGIN PRIVATE KEY-----";
const LOCKED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// Trouble with secret keys. No message holds anything of the key or the passphrase.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    #[error("{path}")]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{0} is no plain file")]
    NoFile(PathBuf),
    #[error("{path} may be read by others (mode {mode:04o})")]
    Open { path: PathBuf, mode: u32 },
    #[error("{path} belongs to account {owner}, not to you ({own})")]
    Owner { path: PathBuf, owner: u32, own: u32 },
    #[error("{0} is there already")]
    Exists(PathBuf),
    #[error("{0} is no secret key of ours: an ed25519 key as PKCS#8 in PEM")]
    Form(PathBuf),
    #[error("{0} has a passphrase, and none was given")]
    NoPassphrase(PathBuf),
    #[error("{0}: the passphrase is another one, or the file is damaged")]
    Passphrase(PathBuf),
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    #[error("no random numbers from the kernel: {0}")]
    Random(String),
    #[error("the key does not write: {0}")]
    Write(String),
    #[error("the key pair")]
    Public(#[source] bundle::key::KeyError),
}

impl Error {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Open { .. } => {
                "if nobody else can have read it: chmod 600; if somebody may have: make a new key and rotate (docs/keys.md, a stolen key)"
            }
            Self::Owner { .. } => "use your own key; two people with two keys are two signatures",
            Self::Exists(_) => "a key is never overwritten: choose another name, or move it away",
            Self::Form(_) => "name the secret key (`ravelin keys new NAME` writes NAME.key), not the public one (NAME.pub)",
            Self::NoPassphrase(_) => "run it on a terminal, or name a file that holds it: --passphrase-file FILE",
            Self::Passphrase(_) => "try again; a lost passphrase is a lost key: rotate it away with another key",
            Self::EmptyPassphrase => "leave --passphrase away for a key without one",
            Self::NoFile(_) | Self::Io { .. } => "check the path",
            Self::Random(_) | Self::Write(_) | Self::Public(_) => "this is a defect of this machine or of Ravelin",
        }
    }
}

/// The passphrase in a file, without the line's end. The file must be its owner's alone, as a key's.
pub fn passphrase_in(path: &Path) -> Result<Passphrase, Error> {
    let text = own_text(path)?;
    let passphrase = text.strip_suffix('\n').unwrap_or(&text);
    if passphrase.is_empty() { Err(Error::EmptyPassphrase) } else { Ok(Passphrase::new(passphrase.to_owned())) }
}

/// A small file that nobody else may read.
fn own_text(path: &Path) -> Result<Zeroizing<String>, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    // What is opened is what is looked at, and a pipe is not waited for.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|e| io(e.into()))?);
    let about = file.metadata().map_err(io)?;
    if !about.is_file() {
        return Err(Error::NoFile(path.to_owned()));
    }
    if about.mode() & 0o077 != 0 {
        return Err(Error::Open { path: path.to_owned(), mode: about.mode() & 0o7777 });
    }
    let own = rustix::process::geteuid();
    if about.uid() != own.as_raw() && !own.is_root() {
        return Err(Error::Owner { path: path.to_owned(), owner: about.uid(), own: own.as_raw() });
    }
    if about.len() > MAX_BYTES {
        return Err(Error::Form(path.to_owned()));
    }
    // Room from the beginning: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES as usize + 1));
    match file.take(MAX_BYTES).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => Err(Error::Form(path.to_owned())),
        Err(e) => Err(io(e)),
    }
}

impl Secret {
    /// Reads a key. `ask` gives the passphrase where the file has one; it is not called otherwise.
    pub fn read(path: &Path, ask: impl FnOnce() -> Result<Option<Passphrase>, Error>) -> Result<Self, Error> {
        let form = || Error::Form(path.to_owned());
        let text = own_text(path)?;
        let text = text.trim_start();
        let key = if text.starts_with(LOCKED) {
            let passphrase = ask()?.ok_or_else(|| Error::NoPassphrase(path.to_owned()))?;
            let read = ed25519_dalek::SigningKey::from_pkcs8_encrypted_pem(text, passphrase.as_bytes());
            read.map_err(|_| Error::Passphrase(path.to_owned()))?
        } else if text.starts_with(PLAIN) {
            ed25519_dalek::SigningKey::from_pkcs8_pem(text).map_err(|_| form())?
        } else {
            return Err(form());
        };
        Ok(Self(key))
    }

    /// Writes the key into a new file that its owner alone may read, with a passphrase where one is given. Never over a file.
    pub fn write(&self, path: &Path, passphrase: Option<&Passphrase>) -> Result<(), Error> {
        // Without the public half, which follows from it: version 1 of the form, the only one openssl reads.
        let pair = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let text = match passphrase {
            Some(p) if p.is_empty() => return Err(Error::EmptyPassphrase),
            Some(p) => pair.to_pkcs8_encrypted_pem(p.as_bytes(), LineEnding::LF),
            None => pair.to_pkcs8_pem(LineEnding::LF),
        };
        let text = text.map_err(|e| Error::Write(e.to_string()))?;
        let io = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
            _ => Error::Io { path: path.to_owned(), source },
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(|e| io(e.into()))?);
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)
    }
}
