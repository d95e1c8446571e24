//! The journal of a move: one JSON line each, only ever added to and flushed before what it speaks of is done. In come lines, out come
//! lines, from the front or from the end. A last line that a power cut tore is left out. Never: holds the whole of it in memory.

use crate::{Error, step::Mark};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// Bytes read at once from the end.
const CHUNK: u64 = 64 << 10;

/// An inode before it was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inode {
    /// Path, bytes outside of plain ASCII as `%XX`.
    pub path: String,
    /// Device and number.
    pub id: (u64, u64),
    /// Owner and group.
    pub owner: (u32, u32),
    /// Mode with its high bits.
    pub mode: u32,
    /// It is a symbolic link: it has no mode and no lists of its own.
    pub link: bool,
    /// Access list, default access list, file capabilities, as the kernel gives them.
    pub lists: [Option<Vec<u8>>; 3],
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// A step.
    Step(Mark),
    /// An inode.
    Inode(Inode),
}

/// The journal.
#[derive(Debug, Clone)]
pub struct Journal(pub PathBuf);

impl Journal {
    /// Adds lines and flushes them.
    pub fn add(&self, lines: &[Line]) -> Result<(), Error> {
        let mut bytes = Vec::new();
        // What a power cut left of a line ends here, so that it does not swallow the next.
        if self.is_torn()? {
            bytes.push(b'\n');
        }
        for line in lines {
            serde_json::to_writer(&mut bytes, line).map_err(|e| self.wrong(e))?;
            bytes.push(b'\n');
        }
        Ok(sys::file::append(&self.0, &bytes)?)
    }

    /// The marks, in order.
    pub fn marks(&self) -> Result<Vec<Mark>, Error> {
        let Some(file) = self.open()? else { return Ok(Vec::new()) };
        let mut out = Vec::new();
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|e| self.wrong(e))?;
            if let Ok(Line::Step(mark)) = serde_json::from_slice(&line) {
                out.push(mark);
            }
        }
        Ok(out)
    }

    /// Inodes from the last to the first: an inode that was recorded twice ends as it was at first.
    pub fn backwards(&self, mut each: impl FnMut(Inode) -> Result<(), Error>) -> Result<(), Error> {
        let Some(mut file) = self.open()? else { return Ok(()) };
        let mut at = file.seek(SeekFrom::End(0)).map_err(|e| self.wrong(e))?;
        let mut rest: Vec<u8> = Vec::new();
        let mut tell = |line: &[u8]| match serde_json::from_slice(line) {
            Ok(Line::Inode(inode)) => each(inode),
            _ => Ok(()),
        };
        while at > 0 {
            let size = CHUNK.min(at);
            at -= size;
            let mut chunk = vec![0; usize::try_from(size).unwrap_or(0)];
            file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut chunk)).map_err(|e| self.wrong(e))?;
            chunk.extend_from_slice(&rest);
            let first = chunk.iter().position(|b| *b == b'\n').map_or(chunk.len(), |n| n + 1);
            let from = if at == 0 { 0 } else { first };
            for line in chunk[from..].split(|b| *b == b'\n').rev().filter(|l| !l.is_empty()) {
                tell(line)?;
            }
            chunk.truncate(from);
            rest = chunk;
        }
        Ok(())
    }

    fn open(&self) -> Result<Option<File>, Error> {
        match File::open(&self.0) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.wrong(e)),
        }
    }

    fn is_torn(&self) -> Result<bool, Error> {
        let Some(mut file) = self.open()? else { return Ok(false) };
        let mut last = [b'\n'];
        let length = file.seek(SeekFrom::End(0)).map_err(|e| self.wrong(e))?;
        if length > 0 {
            file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last)).map_err(|e| self.wrong(e))?;
        }
        Ok(last != [b'\n'])
    }

    fn wrong(&self, e: impl std::fmt::Display) -> Error {
        Error::record(&self.0, e)
    }
}

/// A path as text that gives the same bytes back.
pub fn text(path: &[u8]) -> String {
    let plain = |b: &u8| (0x20..0x7f).contains(b) && *b != b'%';
    path.iter().map(|b| if plain(b) { char::from(*b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The bytes of such a text; `None` where it is none.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(more.get(..2)?).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &more[2..];
        } else {
            out.push(*first);
            rest = more;
        }
    }
    Some(out)
}

/// A directory for a move's record, private; the newest of this service where one is unfinished.
pub fn directory(state: &Path, service: &str, number: u64) -> PathBuf {
    state.join("adopt").join(format!("{number:08}-{service}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Step;

    fn inode(n: u64) -> Line {
        let path = text(&[b'/', u8::try_from(n % 256).expect("a byte")]);
        Line::Inode(Inode { path, id: (1, n), owner: (0, 0), mode: 0o644, link: false, lists: [None, Some(vec![0, 255]), None] })
    }

    #[test]
    fn lines_come_back_from_both_ends_and_a_torn_one_is_left_out() {
        let dir = tempfile::tempdir().expect("directory");
        let journal = Journal(dir.path().join("j"));
        journal.add(&[Line::Step(Mark::Begun(Step::Own))]).expect("adds");
        journal.add(&(0..2000).map(inode).collect::<Vec<_>>()).expect("adds");
        sys::file::append(&journal.0, b"{\"inode\":{\"path\":\"/to").expect("tears");
        journal.add(&[inode(2000), Line::Step(Mark::Done(Step::Own))]).expect("adds");
        assert_eq!(journal.marks().expect("reads"), [Mark::Begun(Step::Own), Mark::Done(Step::Own)]);
        let mut seen = Vec::new();
        journal
            .backwards(|i| {
                seen.push(i.id.1);
                Ok(())
            })
            .expect("reads");
        assert_eq!(seen, (0..=2000).rev().collect::<Vec<u64>>());
    }

    #[test]
    fn every_byte_of_a_name_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes(&text(&all)), Some(all));
        assert_eq!((bytes("%"), bytes("%4"), bytes("%zz")), (None, None, None));
    }
}
