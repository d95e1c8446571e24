//! One packet of MQTT (version 5: chapters 2 and 3): bytes in, fields out. None where it is malformed.

use crate::{tls::hello::Bytes, transaction::Toward};
use ips_rules::{buffer::Buffer, keyword::MQTT_PACKETS};

pub(super) const CONNECT: u8 = 1;
pub(super) const CONNACK: u8 = 2;
pub(super) const PUBLISH: u8 = 3;
pub(super) const PUBACK: u8 = 4;
pub(super) const PUBREC: u8 = 5;
pub(super) const PUBREL: u8 = 6;
pub(super) const PUBCOMP: u8 = 7;
pub(super) const SUBSCRIBE: u8 = 8;
pub(super) const SUBACK: u8 = 9;
pub(super) const UNSUBSCRIBE: u8 = 10;
pub(super) const UNSUBACK: u8 = 11;
pub(super) const DISCONNECT: u8 = 14;
pub(super) const AUTH: u8 = 15;

/// Topics and properties of one packet that are read.
const MANY: usize = 1024;

/// A kind's name.
pub(super) fn name(kind: u8) -> &'static str {
    MQTT_PACKETS.get(usize::from(kind)).copied().unwrap_or(MQTT_PACKETS[0])
}

/// A property's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Number(u32),
    Text(Vec<u8>),
    /// A name of the user's, and what it stands for.
    Pair(Vec<u8>, Vec<u8>),
}

pub(super) type Properties = Vec<(u8, Value)>;

/// What a packet has of its own.
#[derive(Debug)]
pub(super) enum Body {
    Connect {
        protocol: Vec<u8>,
        version: u8,
        flags: u8,
        client: Vec<u8>,
        user: Option<Vec<u8>>,
        password: Option<Vec<u8>>,
        /// Topic, message, properties.
        will: Option<(Vec<u8>, Vec<u8>, Properties)>,
    },
    Connack {
        session: bool,
        code: u8,
    },
    Publish {
        topic: Vec<u8>,
        id: Option<u16>,
        message: Vec<u8>,
    },
    /// What confirms a publication.
    Confirm {
        id: u16,
        reason: Option<u8>,
    },
    Subscribe {
        id: u16,
        topics: Vec<(Vec<u8>, u8)>,
    },
    /// Of a subscription, or of its end.
    Acknowledge {
        id: u16,
        codes: Vec<u8>,
    },
    Unsubscribe {
        id: u16,
        topics: Vec<Vec<u8>>,
    },
    /// Disconnect, authentication.
    Reason(Option<u8>),
    Nothing,
}

/// A packet.
#[derive(Debug)]
pub(super) struct Packet {
    pub kind: u8,
    pub again: bool,
    pub quality: u8,
    pub retain: bool,
    pub body: Body,
    pub properties: Properties,
    /// It was too long to be read, or malformed: its length.
    pub cut: Option<usize>,
}

/// Where the body begins and its length; none where more is needed, an error where there is no packet.
pub(super) fn head(bytes: &[u8]) -> Option<Result<(usize, usize), ()>> {
    let mut length = 0usize;
    for i in 0..4 {
        let b = *bytes.get(1 + i)?;
        length |= usize::from(b & 0x7f) << (7 * i);
        if b & 0x80 == 0 {
            return Some(Ok((2 + i, length)));
        }
    }
    Some(Err(()))
}

/// A number of one to four bytes.
fn variable(b: &mut Bytes<'_>) -> Option<usize> {
    let mut n = 0;
    for i in 0..4 {
        let byte = b.number(1)?;
        n |= (byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

fn text(b: &mut Bytes<'_>) -> Option<Vec<u8>> {
    b.vector(2).map(|t| t.0.to_vec())
}

fn byte(b: &mut Bytes<'_>) -> Option<u8> {
    b.take(1).map(|b| b[0])
}

fn properties(b: &mut Bytes<'_>) -> Option<Properties> {
    let length = variable(b)?;
    let mut p = Bytes(b.take(length)?);
    let mut out = Vec::new();
    while !p.0.is_empty() && out.len() < MANY {
        let kind = byte(&mut p)?;
        let number = |n: usize| Value::Number(u32::try_from(n).unwrap_or(u32::MAX));
        let value = match kind {
            1 | 23 | 25 | 36 | 37 | 40 | 41 | 42 => number(p.number(1)?),
            19 | 33 | 34 | 35 => number(p.number(2)?),
            2 | 17 | 24 | 39 => number(p.number(4)?),
            11 => number(variable(&mut p)?),
            3 | 8 | 9 | 18 | 21 | 22 | 26 | 28 | 31 => Value::Text(text(&mut p)?),
            38 => Value::Pair(text(&mut p)?, text(&mut p)?),
            _ => return None,
        };
        out.push((kind, value));
    }
    Some(out)
}

/// A whole packet: its first byte and its body. `version`: what the client said.
pub(super) fn read(_toward: Toward, first: u8, body: &[u8], version: u8) -> Option<Packet> {
    let mut b = Bytes(body);
    let five = version >= 5;
    let (kind, quality) = (first >> 4, first >> 1 & 3);
    let mut own = Properties::new();
    let mut also = |b: &mut Bytes<'_>, there: bool| -> Option<()> {
        if there && !b.0.is_empty() {
            own = properties(b)?;
        }
        Some(())
    };
    let body = match kind {
        CONNECT => {
            let (protocol, version, flags) = (text(&mut b)?, byte(&mut b)?, byte(&mut b)?);
            b.take(2)?;
            also(&mut b, version >= 5)?;
            let client = text(&mut b)?;
            let will = if flags & 4 != 0 {
                let of_will = if version >= 5 { properties(&mut b)? } else { Vec::new() };
                Some((text(&mut b)?, text(&mut b)?, of_will))
            } else {
                None
            };
            let user = if flags & 0x80 != 0 { Some(text(&mut b)?) } else { None };
            let password = if flags & 0x40 != 0 { Some(text(&mut b)?) } else { None };
            Body::Connect { protocol, version, flags, client, user, password, will }
        }
        CONNACK => {
            let (session, code) = (byte(&mut b)? & 1 != 0, byte(&mut b)?);
            also(&mut b, five)?;
            Body::Connack { session, code }
        }
        PUBLISH => {
            let topic = text(&mut b)?;
            let id = if quality > 0 { Some(b.u16()?) } else { None };
            also(&mut b, five)?;
            Body::Publish { topic, id, message: b.0.to_vec() }
        }
        PUBACK | PUBREC | PUBREL | PUBCOMP => {
            let id = b.u16()?;
            let reason = if five { Some(byte(&mut b).unwrap_or(0)) } else { None };
            also(&mut b, five)?;
            Body::Confirm { id, reason }
        }
        SUBSCRIBE => {
            let id = b.u16()?;
            also(&mut b, five)?;
            let mut topics = Vec::new();
            while !b.0.is_empty() && topics.len() < MANY {
                topics.push((text(&mut b)?, byte(&mut b)?));
            }
            Body::Subscribe { id, topics }
        }
        SUBACK | UNSUBACK => {
            let id = b.u16()?;
            also(&mut b, five)?;
            Body::Acknowledge { id, codes: b.0[..b.0.len().min(MANY)].to_vec() }
        }
        UNSUBSCRIBE => {
            let id = b.u16()?;
            also(&mut b, five)?;
            let mut topics = Vec::new();
            while !b.0.is_empty() && topics.len() < MANY {
                topics.push(text(&mut b)?);
            }
            Body::Unsubscribe { id, topics }
        }
        DISCONNECT | AUTH => {
            // The peer reads a reason only where properties stand behind it.
            let reason = if five { Some(byte(&mut b).filter(|_| body.len() > 1).unwrap_or(0)) } else { None };
            also(&mut b, five)?;
            Body::Reason(reason)
        }
        _ => Body::Nothing,
    };
    Some(Packet { kind, again: first & 8 != 0, quality, retain: first & 1 != 0, body, properties: own, cut: None })
}

impl Packet {
    /// One that is not read, of so many bytes.
    pub(super) fn cut(_toward: Toward, first: u8, length: usize) -> Self {
        let (kind, quality) = (first >> 4, first >> 1 & 3);
        Self {
            kind,
            again: first & 8 != 0,
            quality,
            retain: first & 1 != 0,
            body: Body::Nothing,
            properties: Vec::new(),
            cut: Some(length),
        }
    }

    pub(super) fn id(&self) -> Option<u16> {
        match &self.body {
            Body::Publish { id, .. } => *id,
            Body::Confirm { id, .. } | Body::Subscribe { id, .. } | Body::Acknowledge { id, .. } | Body::Unsubscribe { id, .. } => {
                Some(*id)
            }
            _ => None,
        }
    }

    pub(super) fn version(&self) -> Option<u8> {
        if let Body::Connect { version, .. } = &self.body { Some(*version) } else { None }
    }

    /// Codes that it answers with.
    pub(super) fn reasons(&self) -> Vec<u8> {
        match &self.body {
            Body::Connack { code, .. } => vec![*code],
            Body::Confirm { reason, .. } | Body::Reason(reason) => reason.iter().copied().collect(),
            Body::Acknowledge { codes, .. } => codes.clone(),
            _ => Vec::new(),
        }
    }

    /// A flag of a connection by its name.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        let Body::Connect { flags, .. } = &self.body else { return None };
        let bit = match name {
            "username" => 0x80,
            "password" => 0x40,
            "will_retain" => 0x20,
            "will" => 4,
            "clean_session" => 2,
            _ => return None,
        };
        Some(flags & bit != 0)
    }

    /// What rules may look into.
    pub(super) fn texts(&self, buffer: Buffer) -> Vec<&[u8]> {
        match (&self.body, buffer) {
            (Body::Connect { client, .. }, Buffer::MqttClientId) => vec![client],
            (Body::Connect { protocol, .. }, Buffer::MqttProtocol) => vec![protocol],
            (Body::Connect { user: Some(u), .. }, Buffer::MqttUser) => vec![u],
            (Body::Connect { password: Some(p), .. }, Buffer::MqttPassword) => vec![p],
            (Body::Connect { will: Some((topic, ..)), .. }, Buffer::MqttWillTopic) => vec![topic],
            (Body::Connect { will: Some((_, message, _)), .. }, Buffer::MqttWillMessage) => vec![message],
            (Body::Publish { topic, .. }, Buffer::MqttPublishTopic) => vec![topic],
            (Body::Publish { message, .. }, Buffer::MqttPublishMessage) => vec![message],
            (Body::Subscribe { topics, .. }, Buffer::MqttSubscribeTopic) => topics.iter().map(|(t, _)| &t[..]).collect(),
            (Body::Unsubscribe { topics, .. }, Buffer::MqttUnsubscribeTopic) => topics.iter().map(|t| &t[..]).collect(),
            _ => Vec::new(),
        }
    }
}
