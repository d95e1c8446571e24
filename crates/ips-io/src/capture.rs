//! Frames of capture files. In come paths or a stream of bytes, out come frames with time and link type, in the order of the file. Formats
//! are told by their first bytes: pcap, pcapng, either in gzip or zstd. Never: reads a file whole.

use flate2::read::MultiGzDecoder;
use ips_wire::Link;
use pcap_parser::{Block, PcapBlockOwned, PcapError, traits::PcapReaderIterator};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

/// Bytes read at once.
const BUFFER: usize = 1 << 20;
/// Largest block that is read: larger ones are faults, not frames.
const MAX_BLOCK: usize = 64 << 20;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A frame.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Microseconds since 1970.
    pub time: u64,
    /// What it begins with.
    pub link: Link,
    /// Its bytes, as far as they were captured.
    pub bytes: &'a [u8],
}

/// Why a capture could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The file system says no.
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// The bytes are no capture, or are from here on none.
    #[error("{0}: {1}")]
    Format(PathBuf, String),
}

/// What was read of one capture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Frames given.
    pub frames: u64,
    /// Frames of link types that are not looked into.
    pub foreign: u64,
    /// The file ends within a frame.
    pub cut: bool,
}

/// Captures under these paths: files as they are, directories with all files below them that may be captures, sorted.
///
/// # Errors
/// Where a directory cannot be read.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Trouble> {
    let mut out = Vec::new();
    for path in paths {
        if path.is_dir() { below(path, &mut out, 0)? } else { out.push(path.clone()) }
    }
    Ok(out)
}

/// Directories below directories that are looked into.
const MAX_DEPTH: usize = 16;

fn below(path: &Path, out: &mut Vec<PathBuf>, depth: usize) -> Result<(), Trouble> {
    let io = |e| Trouble::Io(path.to_owned(), e);
    let mut entries = std::fs::read_dir(path).map_err(io)?.collect::<Result<Vec<_>, _>>().map_err(io)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(io)?;
        if kind.is_dir() && depth < MAX_DEPTH {
            below(&entry.path(), out, depth + 1)?;
        } else if kind.is_file() && is_capture(&entry.path()) {
            out.push(entry.path());
        }
    }
    Ok(())
}

fn is_capture(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let name = name.strip_suffix(".gz").or(name.strip_suffix(".zst")).unwrap_or(&name);
    [".pcap", ".pcapng", ".cap", ".dump"].iter().any(|e| name.ends_with(e))
}

/// Reads a capture file; `-` is standard input. `each` says whether to go on.
///
/// # Errors
/// Where it cannot be opened or is no capture.
pub fn read(path: &Path, each: &mut dyn FnMut(Frame<'_>) -> bool) -> Result<Counted, Trouble> {
    if path == Path::new("-") {
        return read_from(path, io::stdin(), each);
    }
    let file = File::open(path).map_err(|e| Trouble::Io(path.to_owned(), e))?;
    read_from(path, file, each)
}

/// Reads a capture out of a stream of bytes; `path` is what it is called in messages.
///
/// # Errors
/// As [`read`].
pub fn read_from(path: &Path, source: impl Read + Send, each: &mut dyn FnMut(Frame<'_>) -> bool) -> Result<Counted, Trouble> {
    let mut source = BufReader::with_capacity(BUFFER, source);
    let first = source.fill_buf().map_err(|e| Trouble::Io(path.to_owned(), e))?;
    if first.starts_with(&GZIP) {
        frames(path, MultiGzDecoder::new(source), each)
    } else if first.starts_with(&ZSTD) {
        frames(path, Zstd::new(source), each)
    } else {
        frames(path, source, each)
    }
}

/// One frame of zstd after another.
struct Zstd<R: Read + Send> {
    decoder: Option<ruzstd::decoding::StreamingDecoder<BufReader<R>, ruzstd::decoding::FrameDecoder>>,
    source: Option<BufReader<R>>,
}

impl<R: Read + Send> Zstd<R> {
    fn new(source: BufReader<R>) -> Self {
        Self { decoder: None, source: Some(source) }
    }
}

impl<R: Read + Send> Read for Zstd<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.decoder.is_none() {
                let Some(mut source) = self.source.take() else { return Ok(0) };
                if source.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                let decoder = ruzstd::decoding::StreamingDecoder::new(source)
                    .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
                self.decoder = Some(decoder);
            }
            let Some(decoder) = &mut self.decoder else { return Ok(0) };
            let n = decoder.read(out)?;
            if n > 0 || out.is_empty() {
                return Ok(n);
            }
            self.source = self.decoder.take().map(ruzstd::decoding::StreamingDecoder::into_inner);
        }
    }
}

/// An interface of pcapng.
#[derive(Clone, Copy)]
struct Interface {
    link: Option<Link>,
    /// Ticks in a second, and seconds added.
    ticks: u64,
    offset: i64,
}

impl Interface {
    fn micros(self, stamp: u64) -> u64 {
        let ticks = self.ticks.max(1);
        let (seconds, rest) = (stamp / ticks, stamp % ticks);
        let micros = u64::try_from(u128::from(rest) * 1_000_000 / u128::from(ticks)).unwrap_or(0);
        seconds.saturating_add_signed(self.offset).saturating_mul(1_000_000).saturating_add(micros)
    }
}

fn frames(path: &Path, source: impl Read + Send, each: &mut dyn FnMut(Frame<'_>) -> bool) -> Result<Counted, Trouble> {
    let format = |text: String| Trouble::Format(path.to_owned(), text);
    let mut out = Counted::default();
    let mut reader = match pcap_parser::create_reader(BUFFER, source) {
        Ok(reader) => reader,
        Err(PcapError::Eof) => return Err(format("is empty".to_owned())),
        Err(PcapError::HeaderNotRecognized) => return Err(format("is no pcap or pcapng".to_owned())),
        Err(e) => return Err(format(said(&e))),
    };
    let (mut legacy, mut nanos) = (None, false);
    let mut interfaces: Vec<Interface> = Vec::new();
    loop {
        let used = match reader.next() {
            Ok((used, block)) => {
                let frame = match block {
                    PcapBlockOwned::LegacyHeader(h) => {
                        legacy = Link::of(u32::try_from(h.network.0).unwrap_or(u32::MAX) & 0x0fff_ffff);
                        nanos = h.is_nanosecond_precision();
                        None
                    }
                    PcapBlockOwned::Legacy(b) => {
                        let micros = u64::from(b.ts_usec) / if nanos { 1000 } else { 1 };
                        Some((u64::from(b.ts_sec) * 1_000_000 + micros, legacy, b.data, b.caplen))
                    }
                    PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                        interfaces.clear();
                        None
                    }
                    PcapBlockOwned::NG(Block::InterfaceDescription(i)) => {
                        let ticks = i.ts_resolution().unwrap_or(1_000_000);
                        let link = u32::try_from(i.linktype.0).ok().and_then(Link::of);
                        interfaces.push(Interface { link, ticks, offset: i.ts_offset() });
                        None
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(p)) => {
                        let i = interfaces.get(p.if_id as usize).copied();
                        let i = i.unwrap_or(Interface { link: None, ticks: 1_000_000, offset: 0 });
                        Some((i.micros(u64::from(p.ts_high) << 32 | u64::from(p.ts_low)), i.link, p.data, p.caplen))
                    }
                    PcapBlockOwned::NG(Block::SimplePacket(p)) => Some((0, interfaces.first().and_then(|i| i.link), p.data, p.origlen)),
                    PcapBlockOwned::NG(_) => None,
                };
                match frame {
                    Some((time, Some(link), data, length)) => {
                        out.frames += 1;
                        // Behind the frame there may be padding.
                        let bytes = &data[..data.len().min(length as usize)];
                        if !each(Frame { time, link, bytes }) {
                            return Ok(out);
                        }
                    }
                    Some((_, None, ..)) => out.foreign += 1,
                    None => {}
                }
                used
            }
            Err(PcapError::Eof) => return Ok(out),
            Err(PcapError::UnexpectedEof) => {
                out.cut = true;
                return Ok(out);
            }
            Err(PcapError::Incomplete(_) | PcapError::BufferTooSmall) => {
                more(&mut *reader, path)?;
                continue;
            }
            Err(e) => return Err(format(said(&e))),
        };
        reader.consume(used);
    }
}

fn said<I: std::fmt::Debug>(e: &PcapError<I>) -> String {
    match e {
        PcapError::ReadError => "cannot be read further".to_owned(),
        PcapError::NomError(..) | PcapError::OwnedNomError(..) => "is damaged".to_owned(),
        e => format!("is damaged: {e:?}"),
    }
}

/// Reads on; grows the buffer where a block does not fit.
fn more(reader: &mut dyn PcapReaderIterator, path: &Path) -> Result<(), Trouble> {
    let before = reader.data().len();
    let full = match reader.refill() {
        Ok(()) => false,
        Err(PcapError::BufferTooSmall) => true,
        Err(e) => return Err(Trouble::Format(path.to_owned(), said(&e))),
    };
    if full || reader.data().len() == before && !reader.reader_exhausted() {
        if before >= MAX_BLOCK {
            return Err(Trouble::Format(path.to_owned(), "has a block that is too large".to_owned()));
        }
        if !reader.grow(before.max(BUFFER) * 2) {
            return Err(Trouble::Format(path.to_owned(), "has a block that does not fit".to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn pcap(frames: &[(u32, u32, &[u8])], nanos: bool) -> Vec<u8> {
        let magic: u32 = if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut out = [magic, 0x0004_0002, 0, 0, 65535, 101].map(u32::to_le_bytes).concat();
        for (s, u, data) in frames {
            out.extend([*s, *u, data.len() as u32, data.len() as u32].map(u32::to_le_bytes).concat());
            out.extend(*data);
        }
        out
    }

    /// Times and bytes of frames.
    type Frames = Vec<(u64, Vec<u8>)>;

    fn all(bytes: &[u8]) -> Result<(Frames, Counted), Trouble> {
        let mut out = Vec::new();
        let read = read_from(Path::new("x"), bytes, &mut |f| {
            out.push((f.time, f.bytes.to_vec()));
            true
        })?;
        Ok((out, read))
    }

    fn ng() -> Vec<u8> {
        let block = |kind: u32, body: &[u8]| {
            let length = (body.len() as u32 + 12).to_le_bytes();
            [&kind.to_le_bytes()[..], &length, body, &length].concat()
        };
        let section = block(0x0a0d_0d0a, &[&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat());
        // Nanoseconds (9) as resolution, then the end of options.
        let interface = block(1, &[&[101u8, 0, 0, 0, 0, 0, 4, 0][..], &[9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]].concat());
        let stamp: u64 = 5_000_001_000;
        let numbers = [0u32, (stamp >> 32) as u32, stamp as u32, 3, 3].map(u32::to_le_bytes).concat();
        let packet = block(6, &[&numbers[..], b"abc\0"].concat());
        [section, interface, packet].concat()
    }

    #[test]
    fn formats_are_told_by_their_bytes() {
        let plain = pcap(&[(1, 2, b"one"), (3, 4, b"")], false);
        let wanted = vec![(1_000_002, b"one".to_vec()), (3_000_004, Vec::new())];
        assert_eq!(all(&plain).expect("it reads").0, wanted);
        assert_eq!(all(&pcap(&[(1, 2000, b"one"), (3, 4999, b"")], true)).expect("it reads").0, wanted);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).expect("it is written");
        assert_eq!(all(&gzip.finish().expect("it is written")).expect("it reads").0, wanted);
        let zstd = ruzstd::encoding::compress_to_vec(&plain[..], ruzstd::encoding::CompressionLevel::Fastest);
        assert_eq!(all(&zstd).expect("it reads").0, wanted);
        // Two frames of zstd, one after the other.
        let halves = [&plain[..30], &plain[30..]]
            .map(|h| ruzstd::encoding::compress_to_vec(h, ruzstd::encoding::CompressionLevel::Fastest))
            .concat();
        assert_eq!(all(&halves).expect("it reads").0, wanted);
        assert_eq!(all(&ng()).expect("it reads").0, vec![(5_000_001, b"abc".to_vec())]);
    }

    #[test]
    fn what_is_no_capture_is_named() {
        let said = |bytes: &[u8]| all(bytes).expect_err("it is none").to_string();
        assert_eq!(said(b""), "x: is empty");
        assert_eq!(said(b"%PDF-1.7 and so on and on"), "x: is no pcap or pcapng");
        // Cut within a frame: what is whole counts.
        let whole = pcap(&[(1, 2, b"one"), (3, 4, b"two")], false);
        let (frames, read) = all(&whole[..whole.len() - 2]).expect("it reads");
        assert_eq!((frames.len(), read.cut), (1, true));
        assert!(read_from(Path::new("x"), &whole[..], &mut |_| false).expect("it reads").frames == 1, "stops when told");
    }

    #[test]
    fn directories_give_their_captures_sorted() {
        let dir = tempfile::tempdir().expect("there is room");
        for name in ["b.pcap", "a.pcapng.gz", "readme.txt", "c.zst"] {
            std::fs::write(dir.path().join(name), b"").expect("it is written");
        }
        let names = files(&[dir.path().to_owned(), PathBuf::from("x.bin")]).expect("it reads");
        let names: Vec<_> = names.iter().map(|p| p.file_name().expect("it has one").to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["a.pcapng.gz", "b.pcap", "x.bin"]);
    }
}
