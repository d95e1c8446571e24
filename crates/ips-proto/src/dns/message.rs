//! One message: bytes in, names and records out. Reading is total: what does not parse is no message, what is too long is cut and said so.
//! Work is bounded by the message's length times a constant ([`STEPS`]), whatever its compression pointers say.

/// A piece of the message's own copy of names and data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    from: u32,
    to: u32,
}

/// Bytes of a name that are kept, as in the peer; names on the wire have 255, pointers make more.
pub const NAME: usize = 1025;
/// Pointers followed in one name, as in the peer; honest messages have a handful.
const JUMPS: u32 = 255;
/// Records read of one message. The largest honest answers over TCP have a few hundred.
const RECORDS: usize = 1024;
/// Bytes of names kept of one message, as many as the longest message has.
const KEPT: usize = 64 << 10;
/// Labels and pointers followed per byte of a message, all names together.
pub const STEPS: usize = 4;

/// A question.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// Its name.
    pub name: Span,
    /// What is asked for.
    pub kind: u16,
}

/// What a record says.
#[derive(Debug, Clone, Copy)]
pub enum Data {
    /// An address of 4 or 16 bytes.
    Address(Span),
    /// Text or a name.
    Text(Span),
    /// Start of authority: two names and five numbers.
    Soa(Span, Span, [u32; 5]),
    /// Algorithm, type and fingerprint.
    Sshfp(u8, u8, Span),
    /// Priority, weight, port and name.
    Srv(u16, u16, u16, Span),
    /// Anything else, or what could not be read.
    Other,
}

/// A record.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// Whose.
    pub name: Span,
    /// What kind.
    pub kind: u16,
    /// For how many seconds it holds.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// A message.
#[derive(Debug, Default)]
pub struct Message {
    bytes: Vec<u8>,
    /// Its number on the wire.
    pub id: u16,
    /// Its flags.
    pub flags: u16,
    /// Questions.
    pub queries: Vec<Query>,
    /// Answers, authorities and what was added.
    pub records: [Vec<Record>; 3],
    /// Names that records point at.
    pub targets: Vec<Span>,
    /// Something unusual, by the peer's names.
    pub events: Vec<&'static str>,
}

/// A header's numbers of questions, answers, authorities and additions.
struct Header {
    id: u16,
    flags: u16,
    counts: [u16; 4],
}

fn header(d: &[u8]) -> Option<Header> {
    let h: &[u8; 12] = d.first_chunk()?;
    let n = |i: usize| u16::from_be_bytes([h[i], h[i + 1]]);
    Some(Header { id: n(0), flags: n(2), counts: [n(4), n(6), n(8), n(10)] })
}

/// Whether the bytes can be the beginning of a message of `length` bytes, and whether it is a query.
pub fn plausible(d: &[u8], length: usize) -> Option<bool> {
    let h = header(d)?;
    let least: usize = 12 + h.counts.iter().map(|n| 2 * usize::from(*n)).sum::<usize>();
    (least <= length).then_some(h.flags & 0x8000 == 0)
}

struct Reader<'a> {
    whole: &'a [u8],
    at: usize,
    steps: usize,
    message: Message,
}

impl Message {
    /// Reads one; none where it is none.
    pub fn read(whole: &[u8]) -> Option<Self> {
        Self::counted(whole).map(|(m, _)| m)
    }

    /// The same, with the steps that names took.
    pub(crate) fn counted(whole: &[u8]) -> Option<(Self, usize)> {
        let h = header(whole)?;
        let message = Message { id: h.id, flags: h.flags, ..Message::default() };
        let mut r = Reader { whole, at: 12, steps: 0, message };
        for _ in 0..h.counts[0] {
            if r.message.queries.len() >= RECORDS {
                r.event("dns.too_many_queries");
                break;
            }
            let name = r.name()?;
            let kind = r.u16()?;
            r.u16()?;
            r.message.queries.push(Query { name, kind });
        }
        const MANY: [&str; 3] = ["dns.too_many_answers", "dns.too_many_authorities", "dns.too_many_additionals"];
        for (section, event) in MANY.into_iter().enumerate() {
            for _ in 0..h.counts[section + 1] {
                if r.message.records.iter().map(Vec::len).sum::<usize>() >= RECORDS {
                    r.event(event);
                    break;
                }
                r.record(section)?;
            }
        }
        Some((r.message, r.steps))
    }

    /// The bytes of a piece.
    pub fn text(&self, span: Span) -> &[u8] {
        &self.bytes[span.from as usize..span.to as usize]
    }

    /// Kind of query: 0 is the usual one.
    pub fn opcode(&self) -> u8 {
        (self.flags >> 11 & 15) as u8
    }

    /// How it went.
    pub fn rcode(&self) -> u16 {
        self.flags & 15
    }
}

impl Reader<'_> {
    fn event(&mut self, name: &'static str) {
        if !self.message.events.contains(&name) {
            self.message.events.push(name);
        }
    }

    fn u8(&mut self) -> Option<u8> {
        let b = *self.whole.get(self.at)?;
        self.at += 1;
        Some(b)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from(self.u8()?) << 8 | u16::from(self.u8()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    fn keep(&mut self, bytes: &[u8]) -> Span {
        let from = self.message.bytes.len();
        let room = KEPT.saturating_sub(from);
        self.message.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.span(from)
    }

    /// From here to the end; both are below [`KEPT`].
    fn span(&self, from: usize) -> Span {
        Span { from: u32::try_from(from).unwrap_or(0), to: u32::try_from(self.message.bytes.len()).unwrap_or(0) }
    }

    /// A name, its labels joined with dots.
    fn name(&mut self) -> Option<Span> {
        let from = self.message.bytes.len();
        let mut at = self.at;
        let mut behind = None;
        let mut jumps = 0;
        loop {
            self.steps += 1;
            let over = self.steps > STEPS * self.whole.len() + 64;
            let n = *self.whole.get(at)?;
            match n {
                0 => {
                    at += 1;
                    break;
                }
                1..=63 => {
                    let label = self.whole.get(at + 1..at + 1 + usize::from(n))?;
                    let length = self.message.bytes.len() - from;
                    let room = NAME.saturating_sub(length).min(KEPT.saturating_sub(self.message.bytes.len()));
                    let dot = usize::from(length > 0);
                    if dot + label.len() > room {
                        self.event("dns.name_too_long");
                    }
                    if length > 0 && room > 0 {
                        self.message.bytes.push(b'.');
                    }
                    self.message.bytes.extend_from_slice(&label[..label.len().min(room.saturating_sub(dot))]);
                    at += 1 + label.len();
                }
                0xc0.. => {
                    let low = *self.whole.get(at + 1)?;
                    behind.get_or_insert(at + 2);
                    jumps += 1;
                    if jumps > JUMPS || over {
                        self.event("dns.infinite_loop");
                        break;
                    }
                    at = usize::from(n & 0x3f) << 8 | usize::from(low);
                }
                _ => return None,
            }
        }
        self.at = behind.unwrap_or(at);
        Some(self.span(from))
    }

    /// A name that a record points at.
    fn target(&mut self) -> Option<Data> {
        let name = self.name()?;
        self.message.targets.push(name);
        Some(Data::Text(name))
    }

    fn record(&mut self, section: usize) -> Option<()> {
        let name = self.name()?;
        let kind = self.u16()?;
        self.u16()?;
        let ttl = self.u32()?;
        let length = usize::from(self.u16()?);
        let from = self.at;
        let end = from + length;
        let data = self.whole.get(from..end)?.to_owned();
        let push = |r: &mut Self, data| r.message.records[section].push(Record { name, kind, ttl, data });
        if kind == 16 {
            // Each string of a text is told as a record of its own, as the peer does.
            let mut rest = &data[..];
            let mut count = 0;
            while let [n, tail @ ..] = rest {
                let n = usize::from(*n).min(tail.len());
                let text = self.keep(&tail[..n]);
                push(self, Data::Text(text));
                rest = &tail[n..];
                count += 1;
                if count > RECORDS {
                    break;
                }
            }
        } else {
            let data = self.data(kind, &data).unwrap_or(Data::Other);
            push(self, data);
        }
        self.at = end;
        Some(())
    }

    /// Reads what a record of this kind says; names in it may point anywhere in the message.
    fn data(&mut self, kind: u16, data: &[u8]) -> Option<Data> {
        Some(match kind {
            1 if data.len() == 4 => Data::Address(self.keep(data)),
            28 if data.len() == 16 => Data::Address(self.keep(data)),
            2 | 5 | 12 | 39 => self.target()?,
            10 => Data::Text(self.keep(data)),
            15 => {
                self.u16()?;
                self.target()?
            }
            6 => {
                let (server, mail) = (self.name()?, self.name()?);
                let mut numbers = [0; 5];
                for n in &mut numbers {
                    *n = self.u32()?;
                }
                self.message.targets.extend([server, mail]);
                Data::Soa(server, mail, numbers)
            }
            33 => Data::Srv(self.u16()?, self.u16()?, self.u16()?, self.name()?),
            44 => match data {
                [algorithm, kind, print @ ..] => Data::Sshfp(*algorithm, *kind, self.keep(print)),
                _ => return None,
            },
            _ => return None,
        })
    }
}
