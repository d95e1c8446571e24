//! Netlink bytes. In comes what the kernel sent, out come messages and attributes; what is cut short ends the iteration
//! and is reported, never read past. Layout: `include/uapi/linux/netlink.h`, all integers of the header in host order.

/// Bytes of a message's head.
pub const HEADER: usize = 16;
/// An error or acknowledgement.
pub const ERROR: u16 = 2;
/// The end of a dump.
pub const DONE: u16 = 3;
/// A request.
pub const REQUEST: u16 = 0x001;
/// An acknowledgement is wanted.
pub const ACK: u16 = 0x004;
/// All entries are wanted.
pub const DUMP: u16 = 0x300;
/// Changed while it was listed.
pub const DUMP_INTERRUPTED: u16 = 0x010;
/// Replaces what is there (same bit as in a dump's `ROOT`).
pub const REPLACE: u16 = 0x100;
/// Fails where something is there.
pub const EXCLUSIVE: u16 = 0x200;
/// Creates where nothing is there.
pub const CREATE: u16 = 0x400;
/// Flag of an attribute that holds attributes.
const NESTED: u16 = 0x8000;
/// Bits of an attribute's type that are no flags.
const TYPE_MASK: u16 = 0x3fff;

fn align(n: usize) -> usize {
    n.saturating_add(3) & !3
}

/// One message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Type.
    pub kind: u16,
    /// Flags.
    pub flags: u16,
    /// Number of the request it answers.
    pub sequence: u32,
    /// What follows the head.
    pub payload: &'a [u8],
}

/// The messages of a datagram. The last item is an error where bytes are left that form no message.
pub fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Result<Message<'_>, Truncated>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let whole = (|| {
            let length = u32_at(bytes, 0)? as usize;
            (length >= HEADER).then_some(())?;
            let payload = bytes.get(HEADER..length)?;
            let (kind, flags) = (u16_at(bytes, 4)?, u16_at(bytes, 6)?);
            Some((Message { kind, flags, sequence: u32_at(bytes, 8)?, payload }, length))
        })();
        match whole {
            Some((message, length)) => {
                bytes = bytes.get(align(length)..).unwrap_or(&[]);
                Some(Ok(message))
            }
            None => {
                bytes = &[];
                Some(Err(Truncated))
            }
        }
    })
}

/// Bytes that end in the middle of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cut short")]
pub struct Truncated;

/// The attributes in a payload, flags taken off their types. Stops where bytes are left that form none.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(align(length)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

/// The first attribute of this type.
pub fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|&(k, _)| k == kind).map(|(_, value)| value)
}

/// Host order, at a byte offset.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// Host order, at a byte offset.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Network order, whole.
pub fn be16(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

/// Network order, whole.
pub fn be32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// Network order, whole.
pub fn be64(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// A request being written.
#[derive(Debug, Clone)]
pub struct Request(Vec<u8>);

impl Request {
    /// Begins with the head; length and sequence are filled in later.
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | REQUEST).to_ne_bytes());
        bytes.extend_from_slice(fixed);
        Self(bytes)
    }
    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        put(&mut self.0, kind, value);
        self
    }
    /// Adds an attribute that holds attributes.
    #[must_use]
    pub fn with_nested(self, kind: u16, inner: &Nest) -> Self {
        self.with(kind | NESTED, &inner.0)
    }
    /// The bytes, with length and sequence.
    pub fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[0..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

/// Attributes inside an attribute.
#[derive(Debug, Clone, Default)]
pub struct Nest(Vec<u8>);

impl Nest {
    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        put(&mut self.0, kind, value);
        self
    }
    /// Adds an attribute that holds attributes.
    #[must_use]
    pub fn with_nested(self, kind: u16, inner: &Nest) -> Self {
        self.with(kind | NESTED, &inner.0)
    }
    /// The attributes' bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn put(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    // Attributes of ours are tens of bytes: far below the 64 KiB that the length field holds.
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(align(bytes.len()), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_reads_back() {
        let nest = Nest::default().with(1, &[7]).with(2, &[1, 2, 3, 4, 5]);
        let bytes = Request::new(20, DUMP, &[9, 9, 9, 9]).with_nested(3, &nest).with(4, &5u32.to_be_bytes()).finish(11);
        let all: Vec<_> = messages(&bytes).collect();
        let [Ok(message)] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((message.kind, message.flags, message.sequence), (20, DUMP | REQUEST, 11));
        let inner = attribute(&message.payload[4..], 3).expect("nested");
        assert_eq!(attributes(inner).collect::<Vec<_>>(), [(1, &[7u8][..]), (2, &[1, 2, 3, 4, 5][..])]);
        assert_eq!(attribute(&message.payload[4..], 4).and_then(be32), Some(5));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_run_for_ever(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(messages(&bytes).count() <= bytes.len() / HEADER + 1);
            prop_assert!(attributes(&bytes).count() <= bytes.len() / 4 + 1);
        }

        #[test]
        fn a_cut_message_is_reported(cut in 1usize..40) { // 40 is the whole message
            let bytes = Request::new(1, 0, &[0; 24]).finish(1);
            let read: Vec<_> = messages(&bytes[..cut]).collect();
            prop_assert_eq!(read, vec![Err(Truncated)]);
        }
    }
}
