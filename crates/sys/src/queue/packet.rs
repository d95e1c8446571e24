//! A packet that waits, taken out of its message. In come bytes of the kernel's, out come fields and the packet from its network layer on.
//! Total: what is missing has its default, and only a message without a packet's number is none.

use super::COPY_RANGE;
use crate::wire::{attribute, attributes, be32, be64, u16_at};

const HEADER: u16 = 1;
const MARK: u16 = 3;
const TIME: u16 = 4;
const DEVICE_IN: u16 = 5;
const DEVICE_OUT: u16 = 6;
const PAYLOAD: u16 = 10;
const CONNECTION: u16 = 11;
const CONNECTION_STATE: u16 = 12;
const WHOLE: u16 = 13;
const ABOUT: u16 = 14;
/// `CTA_MARK` inside of the connection.
const CONNECTION_MARK: u16 = 8;

const SUM_NOT_READY: u32 = 1;
const SEGMENTS: u32 = 1 << 1;
const SUM_NOT_VERIFIED: u32 = 1 << 2;
const MICROSECONDS: u64 = 1_000_000;

/// A packet that waits for its verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Packet<'a> {
    /// In which queue.
    pub queue: u16,
    /// Its number there.
    pub id: u32,
    /// Type of Ethernet: `0x0800`, `0x86dd`.
    pub ether: u16,
    /// Netfilter's hook: 2 forward, 1 input, 3 output.
    pub hook: u8,
    /// Packet mark.
    pub mark: u32,
    /// From the network layer on.
    pub bytes: &'a [u8],
    /// Bytes of it in all; more than there are where it was too long to be copied.
    pub length: u32,
    /// When it came, microseconds since 1970, where the kernel noted it.
    pub time: Option<u64>,
    /// Index of the device it came by.
    pub device_in: u32,
    /// Index of the device it leaves by.
    pub device_out: u32,
    /// Its checksum is to be filled in by the card: what stands there means nothing.
    pub sum_not_ready: bool,
    /// It is several segments in one.
    pub segments: bool,
    /// Nobody has looked at its checksum yet.
    pub sum_not_verified: bool,
    /// State of its connection (`enum ip_conntrack_info`), where the kernel tells.
    pub connection_state: Option<u32>,
    /// Mark of its connection, where the kernel tells.
    pub connection_mark: Option<u32>,
}

impl<'a> Packet<'a> {
    /// Reads a message's payload. `None` without a packet's number: nothing can be decided about it.
    pub fn read(payload: &'a [u8]) -> Option<Self> {
        let mut out = Self { queue: u16::from_be(u16_at(payload, 2)?), ..Self::default() };
        let mut numbered = false;
        let mut length = None;
        for (kind, value) in attributes(payload.get(4..)?) {
            match kind {
                HEADER => {
                    out.id = be32(value.get(..4)?)?;
                    numbered = true;
                    out.ether = value.get(4..6).and_then(crate::wire::be16).unwrap_or(0);
                    out.hook = value.get(6).copied().unwrap_or(0);
                }
                MARK => out.mark = be32(value).unwrap_or(0),
                TIME => out.time = time(value),
                DEVICE_IN => out.device_in = be32(value).unwrap_or(0),
                DEVICE_OUT => out.device_out = be32(value).unwrap_or(0),
                PAYLOAD => out.bytes = value,
                WHOLE => length = be32(value),
                ABOUT => {
                    let bits = be32(value).unwrap_or(0);
                    out.sum_not_ready = bits & SUM_NOT_READY != 0;
                    out.segments = bits & SEGMENTS != 0;
                    out.sum_not_verified = bits & SUM_NOT_VERIFIED != 0;
                }
                CONNECTION => out.connection_mark = attribute(value, CONNECTION_MARK).and_then(be32),
                CONNECTION_STATE => out.connection_state = be32(value),
                _ => {}
            }
        }
        out.length = length.unwrap_or_else(|| u32::try_from(out.bytes.len()).unwrap_or(COPY_RANGE));
        numbered.then_some(out)
    }

    /// Whether all of it is here.
    pub fn is_whole(&self) -> bool {
        usize::try_from(self.length).is_ok_and(|l| l <= self.bytes.len())
    }
}

/// Seconds and microseconds.
fn time(value: &[u8]) -> Option<u64> {
    be64(value.get(..8)?)?.checked_mul(MICROSECONDS)?.checked_add(be64(value.get(8..16)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{HEADER as HEAD, Nest, Request, messages};
    use proptest::prelude::*;

    fn message(parts: &[(u16, &[u8])]) -> Vec<u8> {
        let request = parts.iter().fold(Request::new(super::super::PACKET, 0, &[2, 0, 0x12, 0x34]), |r, (k, v)| r.with(*k, v));
        request.finish(0)
    }

    #[test]
    fn every_field_is_read() {
        let time = [9u64.to_be_bytes(), 8u64.to_be_bytes()].concat();
        let connection = Nest::default().with(CONNECTION_MARK, &0x77u32.to_be_bytes());
        let bytes = message(&[
            (HEADER, &[0, 0, 1, 2, 0x86, 0xdd, 2]),
            (MARK, &[1, 2, 3, 4]),
            (TIME, &time),
            (DEVICE_IN, &3u32.to_be_bytes()),
            (DEVICE_OUT, &4u32.to_be_bytes()),
            (PAYLOAD, b"packet"),
            (WHOLE, &70_000u32.to_be_bytes()),
            (ABOUT, &3u32.to_be_bytes()),
            (CONNECTION, connection.bytes()),
            (CONNECTION_STATE, &2u32.to_be_bytes()),
            (99, b"later kernels"),
        ]);
        let m = messages(&bytes).next().expect("one").expect("whole");
        let p = Packet::read(m.payload).expect("a packet");
        let expected = Packet {
            queue: 0x1234,
            id: 0x102,
            ether: 0x86dd,
            hook: 2,
            mark: 0x0102_0304,
            bytes: b"packet",
            length: 70_000,
            time: Some(9_000_008),
            device_in: 3,
            device_out: 4,
            sum_not_ready: true,
            segments: true,
            sum_not_verified: false,
            connection_state: Some(2),
            connection_mark: Some(0x77),
        };
        assert_eq!(p, expected);
        assert!(!p.is_whole());
    }

    #[test]
    fn without_a_number_there_is_nothing_to_decide() {
        let bytes = message(&[(PAYLOAD, b"packet")]);
        assert_eq!(Packet::read(&bytes[HEAD..]), None);
        let whole = message(&[(HEADER, &[0; 7]), (PAYLOAD, b"packet")]);
        assert!(Packet::read(&whole[HEAD..]).expect("a packet").is_whole());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Packet::read(&bytes);
        }

        #[test]
        fn cut_and_changed_messages_do_not_either(cut in 0usize..120, at in 0usize..120, byte: u8) {
            let mut bytes = message(&[(HEADER, &[0, 0, 1, 2, 8, 0, 2]), (MARK, &[1, 2, 3, 4]), (TIME, &[0xff; 16]), (PAYLOAD, &[7; 40])]);
            if let Some(b) = bytes.get_mut(at) { *b = byte; }
            bytes.truncate(bytes.len().min(cut));
            for m in messages(&bytes).map_while(Result::ok) {
                let _ = Packet::read(m.payload).map(|p| p.is_whole());
            }
        }
    }
}
