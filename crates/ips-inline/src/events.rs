//! Lines of events on their way to a file, off the packet path. In come lines, out go chunks through a bounded queue to a thread that writes.
//! What finds no room is lost and counted: events wait for nobody, and nobody waits for events.

use crate::{Error, count::Counts};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::JoinHandle,
};

/// Bytes after which a chunk goes on its way.
const CHUNK: usize = 64 << 10;
/// Chunks on their way: 16 MiB, seconds of events at full speed.
const WAITING: usize = 256;
/// Events name who attacked whom, with what.
const MODE: u32 = 0o600;

/// Where lines go.
#[derive(Debug, Clone)]
pub enum To {
    /// Nowhere.
    Nowhere,
    /// Standard output.
    Stdout,
    /// The end of this file; opened again by [`Reopen`], so that it can be moved away.
    File(PathBuf),
}

/// The packet path's end.
#[derive(Debug)]
pub struct Lines {
    chunk: Vec<u8>,
    to: Option<SyncSender<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
    counts: Arc<Counts>,
}

impl Lines {
    /// Sends what is there on its way.
    pub fn go(&mut self) {
        if self.chunk.is_empty() {
            return;
        }
        let next = self.empty.try_recv().unwrap_or_default();
        let chunk = std::mem::replace(&mut self.chunk, next);
        let lines = lines(&chunk);
        let Some(to) = &self.to else { return };
        if to.try_send(chunk).is_err() {
            self.counts.lines_lost.fetch_add(lines, Relaxed);
        }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK {
            self.go();
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.go();
        Ok(())
    }
}

fn lines(chunk: &[u8]) -> u64 {
    chunk.iter().filter(|b| **b == b'\n').count() as u64
}

/// The writing thread.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<()>,
    again: Reopen,
}

/// Whoever tells it that the file was moved away.
#[derive(Debug, Clone, Default)]
pub struct Reopen(Arc<AtomicBool>);

impl Reopen {
    /// The file is opened again before the next chunk.
    pub fn now(&self) {
        self.0.store(true, Relaxed);
    }
}

impl Writer {
    /// Whom to tell that the file was moved away.
    pub fn reopen(&self) -> Reopen {
        self.again.clone()
    }
    /// Waits until everything is written; the other end must be gone.
    pub fn end(self) {
        let _ = self.thread.join();
    }
}

fn open(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(MODE).open(path)
}

/// Begins to write.
///
/// # Errors
/// Where the file cannot be opened, or no thread is to be had.
pub fn begin(to: To, counts: &Arc<Counts>) -> Result<(Lines, Writer), Error> {
    let (chunks, taken) = sync_channel::<Vec<u8>>(WAITING);
    let (back, empty) = channel();
    let again = Reopen::default();
    let file = match &to {
        To::File(path) => Some(open(path).map_err(Error::io(format!("open {}", path.display())))?),
        _ => None,
    };
    let (for_thread, counted) = (again.clone(), counts.clone());
    let nowhere = matches!(to, To::Nowhere);
    let work = move || write(&to, file, &taken, &back, &for_thread, &counted);
    let thread = std::thread::Builder::new().name("events".into()).spawn(work).map_err(Error::io("start a thread"))?;
    let lines = Lines { chunk: Vec::with_capacity(CHUNK), to: (!nowhere).then_some(chunks), empty, counts: counts.clone() };
    Ok((lines, Writer { thread, again }))
}

fn write(to: &To, mut file: Option<File>, taken: &Receiver<Vec<u8>>, back: &Sender<Vec<u8>>, again: &Reopen, counts: &Counts) {
    while let Ok(mut chunk) = taken.recv() {
        if again.0.swap(false, Relaxed)
            && let To::File(path) = to
            && let Ok(new) = open(path)
        {
            file = Some(new);
        }
        let written = match (&mut file, to) {
            (Some(f), _) => f.write_all(&chunk),
            (None, To::Stdout) => io::stdout().lock().write_all(&chunk),
            (None, _) => Ok(()),
        };
        let n = lines(&chunk);
        if written.is_ok() {
            counts.lines.fetch_add(n, Relaxed)
        } else {
            counts.lines_lost.fetch_add(n, Relaxed)
        };
        chunk.clear();
        let _ = back.send(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_and_a_moved_file_is_begun_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("eve.json");
        let counts = Arc::new(Counts::default());
        let (mut lines, writer) = begin(To::File(path.clone()), &counts).expect("begun");
        lines.write_all(b"one\ntwo\n").expect("taken");
        lines.go();
        while counts.lines.load(Relaxed) < 2 {
            std::thread::yield_now();
        }
        let moved = dir.path().join("eve.1");
        std::fs::rename(&path, &moved).expect("moved");
        writer.reopen().now();
        lines.write_all(b"three\n").expect("taken");
        lines.go();
        drop(lines);
        writer.end();
        assert_eq!(std::fs::read_to_string(&moved).expect("there"), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "three\n");
        assert_eq!((counts.read().lines, counts.read().lines_lost), (3, 0));
    }

    #[test]
    fn what_finds_no_room_is_counted_and_nobody_waits() {
        let counts = Arc::new(Counts::default());
        let (chunks, taken) = sync_channel(1);
        let (_back, empty) = channel();
        let mut lines = Lines { chunk: Vec::new(), to: Some(chunks), empty, counts: counts.clone() };
        for _ in 0..5 {
            lines.write_all(b"a\nb\n").expect("taken");
            lines.go();
        }
        assert_eq!((counts.read().lines_lost, taken.try_iter().count()), (8, 1));
    }
}
