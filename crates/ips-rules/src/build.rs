//! The rule while its options are read, one after the other: which buffer is selected, which content the next modifier is
//! about. In come acts of the keyword readers, out comes a rule's parts. Never: knows how a value is written.

use crate::{
    buffer::{Buffer, Over},
    config::Tables,
    fault::{self, Fault},
    header::{App, Header, Protocol},
    limits::MAX_NAME,
    rule::{Check, Content, Effect, Group, Limit, Meta, Test, Transform, Value},
};
use std::ops::Range;

/// A rule in the making.
pub(crate) struct Build<'c> {
    pub tables: &'c Tables,
    pub header: Option<Header>,
    pub meta: Meta,
    pub checks: Vec<Check>,
    pub groups: Vec<Group>,
    pub effects: Vec<Effect>,
    pub limit: Option<Limit>,
    /// Names that `byte_extract` and `byte_math` gave, by index.
    pub variables: Vec<String>,
    /// Faults that do not stop the option they were found at.
    pub faults: Vec<Fault>,
    /// Why the rule may be left out.
    pub skip: Option<String>,
    /// Keywords that may stand once, and were seen.
    seen: Vec<&'static str>,
    /// Applications the rule can still be about; none while it has not said.
    pub apps: Option<Vec<App>>,
    /// A sticky buffer that nothing was asked of yet, its transforms, and where it stands.
    pending: Option<(Buffer, Vec<Transform>, Range<usize>)>,
    /// The group of the sticky buffer in force.
    selected: Option<usize>,
    /// The last content: group and test.
    content: Option<(usize, usize)>,
    /// The group of the last test.
    last: Option<usize>,
}

impl<'c> Build<'c> {
    pub fn new(tables: &'c Tables, header: Option<Header>) -> Self {
        let apps = header.as_ref().and_then(|h| match h.protocol {
            Protocol::App(a) => Some(may_be(a)),
            _ => None,
        });
        Self {
            tables,
            header,
            apps,
            meta: Meta { gid: 1, ..Meta::default() },
            checks: Vec::new(),
            groups: Vec::new(),
            effects: Vec::new(),
            limit: None,
            variables: Vec::new(),
            faults: Vec::new(),
            skip: None,
            seen: Vec::new(),
            pending: None,
            selected: None,
            content: None,
            last: None,
        }
    }

    /// A keyword that may stand once.
    pub fn once(&mut self, keyword: &'static str) -> Result<(), Fault> {
        if self.seen.contains(&keyword) {
            return Err(Fault::place("stands twice in this rule", "take one of them out"));
        }
        self.seen.push(keyword);
        Ok(())
    }

    pub fn saw(&self, keyword: &str) -> bool {
        self.seen.contains(&keyword)
    }

    /// The rule is about one of these applications.
    pub fn about(&mut self, apps: &[App]) -> Result<(), Fault> {
        let left = match &self.apps {
            None => apps.to_vec(),
            Some(now) => now.iter().copied().filter(|a| apps.contains(a)).collect(),
        };
        if left.is_empty() {
            let help = "make two rules of it, or name the protocol in the header that fits";
            return Err(Fault::place(
                format!("this is about {}, and the rule is about {}", list(apps), list(self.apps.as_deref().unwrap_or_default())),
                help,
            ));
        }
        self.apps = Some(left);
        Ok(())
    }

    fn over(&mut self, over: Over) -> Result<(), Fault> {
        match over {
            Over::Apps(apps) => self.about(apps),
            Over::Tcp => self.about_protocol(&[Protocol::Tcp, Protocol::TcpPackets, Protocol::TcpBytes], "TCP"),
            Over::Udp => self.about_protocol(&[Protocol::Udp], "UDP"),
            Over::Icmp => self.about_protocol(&[Protocol::Icmp, Protocol::Icmpv4, Protocol::Icmpv6], "ICMP"),
            Over::Packet => Ok(()),
        }
    }

    /// The rule's packets may be of one of these protocols.
    pub fn about_protocol(&self, fit: &[Protocol], name: &str) -> Result<(), Fault> {
        let open = [Protocol::Ip, Protocol::Ipv4, Protocol::Ipv6, Protocol::PacketHeader];
        match self.header.as_ref().map(|h| h.protocol) {
            None | Some(Protocol::App(_)) => Ok(()),
            Some(p) if fit.contains(&p) || open.contains(&p) => Ok(()),
            Some(_) => Err(Fault::never(format!("asks for {name}, and the header names another protocol"), "mend the header's protocol")),
        }
    }

    /// A sticky buffer: what follows is about it.
    pub fn select(&mut self, buffer: Buffer, at: &Range<usize>) -> Result<(), Fault> {
        if self.selected.is_some_and(|g| self.groups[g].buffer == Buffer::Base64) {
            return Err(Fault::place("no other buffer can be selected after base64_data", "put it before base64_decode"));
        }
        self.settle();
        self.over(buffer.row().over)?;
        self.content = None;
        self.selected = None;
        if buffer != Buffer::Payload {
            self.pending = Some((buffer, Vec::new(), at.clone()));
        }
        Ok(())
    }

    /// A selected buffer that nothing was asked of is a fault.
    pub fn settle(&mut self) {
        // After a fault nobody knows what else would have been asked.
        if let Some((buffer, _, at)) = self.pending.take().filter(|_| self.faults.iter().all(|f| f.severity != words::Severity::Error)) {
            let name = buffer.row().name;
            let help = format!("put a condition such as content behind `{name}`, or take it out");
            self.faults.push(Fault::place("nothing is asked of this buffer", help).or_at(&at, name));
        }
    }

    /// Contents of digests and serial numbers in the case their buffer has; for when all options are read.
    pub fn spell(&mut self) {
        for group in self.groups.iter_mut().filter(|g| g.transforms.is_empty()) {
            // Digests are in small letters in the buffer, serial numbers in capitals; rules write either, and the peer brings them there.
            let case = match group.buffer {
                Buffer::Ja3Hash | Buffer::Ja3sHash | Buffer::TlsCertFingerprint => <[u8]>::make_ascii_lowercase,
                Buffer::TlsCertSerial => <[u8]>::make_ascii_uppercase,
                _ => continue,
            };
            group.tests.iter_mut().for_each(|t| {
                if let Test::Content(c) = t {
                    case(&mut c.bytes)
                }
            });
        }
    }

    /// A transform of the buffer selected just before.
    pub fn transform(&mut self, transform: Transform, at: &Range<usize>) -> Result<(), Fault> {
        if let Some((_, transforms, _)) = &mut self.pending {
            transforms.push(transform);
            return Ok(());
        }
        match self.selected.map(|g| &self.groups[g]) {
            // What follows is about the same buffer, transformed; what stood before is about its plain bytes, as with the peer.
            Some(g) if g.transforms.is_empty() && g.buffer != Buffer::Base64 => {
                self.pending = Some((g.buffer, vec![transform], at.clone()))
            }
            Some(_) => {
                let help = "select the buffer again before the transforms, so that it is plain which bytes they are for";
                return Err(Fault::place("a transform behind conditions on a buffer that is transformed already", help));
            }
            None => return Err(Fault::place("a transform stands behind the sticky buffer it is for", "select a buffer before it")),
        }
        self.content = None;
        self.selected = None;
        Ok(())
    }

    /// The group that the next condition belongs to.
    fn group(&mut self) -> usize {
        if let Some((buffer, transforms, _)) = self.pending.take() {
            let known = self.groups.iter().position(|g| g.buffer == buffer && g.transforms == transforms && !buffer.row().multi);
            let group = known.unwrap_or_else(|| self.push(buffer, transforms));
            self.selected = Some(group);
            return group;
        }
        self.selected.unwrap_or_else(|| self.plain(Buffer::Payload))
    }

    fn push(&mut self, buffer: Buffer, transforms: Vec<Transform>) -> usize {
        self.groups.push(Group { buffer, transforms, tests: Vec::new() });
        self.groups.len() - 1
    }

    fn plain(&mut self, buffer: Buffer) -> usize {
        let known = self.groups.iter().rposition(|g| g.buffer == buffer && g.transforms.is_empty());
        known.unwrap_or_else(|| self.push(buffer, Vec::new()))
    }

    /// A condition on bytes. A relative one without sticky buffer goes where the last one went, as with the peer.
    pub fn test(&mut self, test: Test, relative: bool) {
        let follow = self.last.filter(|_| relative && self.pending.is_none() && self.selected.is_none());
        let group = follow.unwrap_or_else(|| self.group());
        self.groups[group].tests.push(test);
        self.last = Some(group);
    }

    /// The condition is about this buffer, whatever is selected; for `pcre` with a buffer's flag.
    pub fn test_in(&mut self, buffer: Buffer, test: Test) -> Result<(), Fault> {
        let sticky = self.pending.as_ref().map(|p| p.0).or(self.selected.map(|g| self.groups[g].buffer));
        // The body of a response is one of the kinds of file.data.
        let fits = |now: Buffer| now == buffer || (now == Buffer::FileData && buffer == Buffer::HttpResponseBody);
        if let Some(now) = sticky.filter(|b| !fits(*b)) {
            let help = "write `pkt_data;` before it, or leave the flag out";
            return Err(Fault::place(format!("the flag names {}, and {} is selected", buffer.row().name, now.row().name), help));
        }
        self.over(buffer.row().over)?;
        let group = if sticky.is_some() { self.group() } else { self.plain(buffer) };
        self.groups[group].tests.push(test);
        self.last = Some(group);
        Ok(())
    }

    /// Whether a sticky buffer is in force of which nothing was asked yet.
    pub fn fresh(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether the payload is what is asked about, for the first time.
    pub fn first(&self) -> bool {
        self.pending.is_none()
            && match self.selected {
                Some(_) => false,
                None => !self.groups.iter().any(|g| g.buffer == Buffer::Payload && g.transforms.is_empty() && !g.tests.is_empty()),
            }
    }

    /// A content.
    pub fn content(&mut self, content: Content) {
        let group = self.group();
        self.groups[group].tests.push(Test::Content(content));
        self.last = Some(group);
        self.content = Some((group, self.groups[group].tests.len() - 1));
    }

    /// The content that a modifier is about.
    pub fn modified(&mut self) -> Result<&mut Content, Fault> {
        let (group, test) = self.content.ok_or_else(no_content)?;
        match self.groups.get_mut(group).and_then(|g| g.tests.get_mut(test)) {
            Some(Test::Content(c)) => Ok(c),
            _ => Err(no_content()),
        }
    }

    /// The content or expression before the one that a modifier is about, in the same group.
    pub fn before_modified(&self) -> Option<&Test> {
        let (group, test) = self.content?;
        self.groups[group].tests[..test].iter().rev().find(|t| matches!(t, Test::Content(_) | Test::Pcre(_)))
    }

    /// An older modifier: the last content is about this buffer.
    pub fn moved(&mut self, buffer: Buffer) -> Result<(), Fault> {
        if self.selected.is_some() || self.pending.is_some() {
            let help = format!("write `pkt_data;` before the content, or select `{}` before it and leave this out", buffer.row().name);
            return Err(Fault::place("stands while a sticky buffer is selected", help));
        }
        let (from, test) = self.content.ok_or_else(no_content)?;
        if self.groups[from].buffer != Buffer::Payload {
            return Err(Fault::place("the content before it has a buffer already", "leave one of the two out"));
        }
        self.over(buffer.row().over)?;
        if matches!(&self.groups[from].tests[test], Test::Content(c) if c.rawbytes) {
            return Err(Fault::place("rawbytes and a buffer speak against each other", "leave rawbytes out"));
        }
        let content = self.groups[from].tests.remove(test);
        let group = self.plain(buffer);
        self.groups[group].tests.push(content);
        self.content = Some((group, self.groups[group].tests.len() - 1));
        self.last = Some(group);
        Ok(())
    }

    /// Selects what `base64_decode` yields.
    pub fn base64(&mut self, at: &Range<usize>) -> Result<(), Fault> {
        if !self.groups.iter().flat_map(|g| &g.tests).any(|t| matches!(t, Test::Base64 { .. })) {
            return Err(Fault::place("no base64_decode before it", "write `base64_decode;` before it"));
        }
        self.settle();
        self.content = None;
        self.selected = None;
        self.pending = Some((Buffer::Base64, Vec::new(), at.clone()));
        Ok(())
    }

    /// A number, or a variable defined before.
    pub fn value(&self, text: &str) -> Result<Value, Fault> {
        if let Some(n) = crate::num::signed(text) {
            let digits = text.trim_start_matches('-');
            if digits.len() > 1 && digits.bytes().all(|b| b.is_ascii_digit()) && digits.starts_with('0') {
                let text = format!("`{text}`: the peer reads a number with a leading zero as octal");
                return Err(Fault::new(fault::VALUE, text, "write it without the zero, or in hexadecimal after 0x"));
            }
            if !digits.bytes().all(|b| b.is_ascii_hexdigit() || b == b'x' || b == b'X') {
                return Err(Fault::new(fault::VALUE, format!("`{text}` has a unit, and none is taken here"), "write the number of bytes"));
            }
            return Ok(Value::Number(n));
        }
        match self.variables.iter().position(|v| v == text) {
            Some(i) => Ok(Value::Variable { variable: u16::try_from(i).unwrap_or(u16::MAX) }),
            None => Err(Fault::new(
                fault::VALUE,
                format!("`{text}` is neither a number nor a variable defined before"),
                "define it with byte_extract or byte_math earlier in the rule",
            )),
        }
    }

    /// A new variable.
    pub fn define(&mut self, name: &str) -> Result<u16, Fault> {
        check_name(name)?;
        if let Some(i) = self.variables.iter().position(|v| v == name) {
            return Ok(u16::try_from(i).unwrap_or(u16::MAX));
        }
        self.variables.push(name.to_owned());
        Ok(u16::try_from(self.variables.len() - 1).unwrap_or(u16::MAX))
    }
}

fn no_content() -> Fault {
    Fault::place("no content before it", "put it behind the content it is about; a sticky buffer between them parts the two")
}

/// A name of a bit, variable or set.
pub(crate) fn check_name(name: &str) -> Result<(), Fault> {
    let plain = !name.is_empty() && name.len() <= MAX_NAME && !name.contains(|c: char| c.is_control() || c == ' ' || c == '"');
    if plain {
        Ok(())
    } else {
        Err(Fault::new(fault::VALUE, format!("`{name}` is no name"), "a name has no blanks and no quotes, at most 255 bytes"))
    }
}

/// What a header's application may turn out to be.
fn may_be(app: App) -> Vec<App> {
    match app {
        App::Http => vec![App::Http, App::Http1, App::Http2],
        App::Http1 => vec![App::Http, App::Http1],
        App::Http2 => vec![App::Http, App::Http2],
        App::Dns => vec![App::Dns, App::Doh2],
        App::Doh2 => vec![App::Doh2, App::Dns, App::Http2, App::Http],
        other => vec![other],
    }
}

fn list(apps: &[App]) -> String {
    let name = |a: &App| crate::header::APPS.iter().find(|(_, b)| a == b).map_or("?", |(n, _)| *n);
    apps.iter().map(name).collect::<Vec<_>>().join(", ")
}
