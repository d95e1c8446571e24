//! A file through the programs that decrypt and unpack it. In come a path and an operator's command, out comes a stream of plain
//! bytes and, at its end, whether each program was content. The command is split at blanks and never given to a shell; nothing
//! touches a disk on the way.

use crate::Error;
use observe::backup::form;
use std::{
    fs::File,
    io::{self, Read},
    process::{Child, ChildStdout, Command, Stdio},
};

/// First bytes that are read to know a form.
const HEAD: usize = 512;
/// Deepest nesting of packings: a compressed archive in an encrypted file, and one to spare.
const DEEPEST: usize = 4;
/// Most bytes of a complaint that are kept.
const COMPLAINT: u64 = 400;

/// A stream of plain bytes, its first ones looked at.
#[derive(Debug)]
pub struct Plain {
    head: Vec<u8>,
    at: usize,
    from: Source,
    before: Vec<Child>,
    names: Vec<String>,
}

#[derive(Debug)]
enum Source {
    File(File),
    Program(ChildStdout),
    Ended,
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::File(f) => f.read(into),
            Source::Program(p) => p.read(into),
            Source::Ended => Ok(0),
        }
    }
}

impl Read for Plain {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let rest = self.head.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return self.from.read(into);
        }
        let n = rest.len().min(into.len());
        into.get_mut(..n).unwrap_or_default().copy_from_slice(rest.get(..n).unwrap_or_default());
        self.at += n;
        Ok(n)
    }
}

impl Plain {
    /// What the bytes look like.
    pub fn form(&self) -> &'static str {
        form(&self.head)
    }
    /// The first bytes.
    pub fn head(&self) -> &[u8] {
        &self.head
    }
    /// Reads what is left and asks each program whether it was content.
    pub fn end(mut self) -> Result<(), Error> {
        io::copy(&mut self.from, &mut io::sink())?;
        // A program whose output nobody reads any more ends.
        self.from = Source::Ended;
        for (child, name) in self.before.iter_mut().zip(&self.names) {
            let mut why = String::new();
            if let Some(said) = child.stderr.take() {
                let mut bytes = Vec::new();
                said.take(COMPLAINT).read_to_end(&mut bytes)?;
                why = String::from_utf8_lossy(&bytes).trim().to_owned();
            }
            let status = child.wait()?;
            if !status.success() {
                return Err(Error::Program { program: name.clone(), why: if why.is_empty() { status.to_string() } else { why } });
            }
        }
        Ok(())
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        for child in &mut self.before {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Opens a file and everything around its content. `decrypt` is asked where it is encrypted; without it `None` comes back.
pub fn open(file: File, decrypt: Option<&str>) -> Result<Option<Plain>, Error> {
    let mut plain = looked(Source::File(file), Vec::new(), Vec::new())?;
    for _ in 0..DEEPEST {
        let command: Vec<&str> = match (plain.form(), decrypt) {
            ("gzip", _) => vec!["gzip", "-dc"],
            ("zstd", _) => vec!["zstd", "-dc"],
            ("xz", _) => vec!["xz", "-dc"],
            ("age" | "gpg" | "openssl", Some(words)) => words.split_whitespace().collect(),
            ("age" | "gpg" | "openssl" | "luks", _) => return Ok(None),
            _ => return Ok(Some(plain)),
        };
        plain = through(plain, &command)?;
    }
    Err(Error::Broken(format!("packed more than {DEEPEST} times")))
}

/// The stream through one more program.
fn through(plain: Plain, command: &[&str]) -> Result<Plain, Error> {
    let [program, arguments @ ..] = command else { return Err(Error::Broken("an empty command".into())) };
    let failed = |e: io::Error| Error::Program {
        program: (*program).to_owned(),
        why: if e.kind() == io::ErrorKind::NotFound { "not installed".into() } else { e.to_string() },
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::Broken("a program without its pipes".into()));
    };
    let mut plain = plain;
    let mut before = std::mem::take(&mut plain.before);
    let mut names = std::mem::take(&mut plain.names);
    before.push(child);
    names.push((*program).to_owned());
    // The feeder ends with its source or when the program has read enough; an error of the source shows as a short stream.
    std::thread::spawn(move || {
        let _ = io::copy(&mut plain, &mut stdin);
    });
    looked(Source::Program(stdout), before, names)
}

fn looked(mut from: Source, before: Vec<Child>, names: Vec<String>) -> Result<Plain, Error> {
    let mut head = vec![0u8; HEAD];
    let mut filled = 0;
    while filled < HEAD {
        match from.read(head.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.into()),
        }
    }
    head.truncate(filled);
    Ok(Plain { head, at: 0, from, before, names })
}
