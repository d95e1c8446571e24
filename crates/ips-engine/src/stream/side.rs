//! One end of a connection as the sender of its bytes.

use super::{buffer::Buffer, paws::Clock, seq};

/// Widest scale of windows (RFC 7323, 2.3), taken where the handshake was not seen.
pub(super) const MAX_SCALE: u8 = 14;

/// One end.
#[derive(Debug, Default)]
pub struct Side {
    /// Its first sequence number.
    pub isn: u32,
    /// The number of its next byte, as far as was seen.
    pub next_seq: u32,
    /// Where `next_seq` stands in the stream.
    next_offset: u64,
    /// The other end has everything before.
    pub last_ack: u32,
    /// It may send up to here.
    pub next_win: u32,
    /// Room the other end says it has, scaled.
    pub window: u32,
    /// Its windows are shifted by this.
    pub scale: u8,
    /// It offered to scale.
    pub scales: bool,
    /// It takes selective acknowledgements.
    pub sack: bool,
    /// Flags it has sent.
    pub flags: u8,
    /// Its timestamps.
    pub(super) clock: Clock,
    /// The number behind its last byte, where it has said so.
    pub fin: Option<u32>,
    /// Its bytes.
    pub buffer: Buffer,
    /// Rules on the stream are to look at what is there, not wait for more.
    pub push_raw: bool,
    /// Bytes that are waited for before rules on the stream look.
    pub chunk: u64,
    /// Nothing of it is looked at any more: encrypted, or let through.
    pub silent: bool,
}

impl Side {
    /// As new, memory kept.
    pub fn clear(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        *self = Self { buffer, ..Self::default() };
    }
    /// Begins with this number; the first byte is the next.
    pub(super) fn start(&mut self, isn: u32) {
        self.isn = isn;
        self.next_seq = isn.wrapping_add(1);
        self.next_offset = 0;
        self.last_ack = self.next_seq;
    }
    /// Where a number stands in the stream; negative before its beginning.
    pub fn offset(&self, number: u32) -> i64 {
        i64::try_from(self.next_offset).unwrap_or(i64::MAX).saturating_add(i64::from(seq::distance(number, self.next_seq)))
    }
    /// Everything before this place was acknowledged. A FIN counts as a number, not as a byte.
    pub fn acked(&self) -> u64 {
        let last = self.fin.map_or(self.last_ack, |f| if seq::before(f, self.last_ack) { f } else { self.last_ack });
        u64::try_from(self.offset(last)).unwrap_or(0)
    }
    /// A byte that was sent stands in no stream: what follows moves up. Segments from before it that come again are one place off, as the
    /// receiver's own buffer is.
    pub(super) fn without_one(&mut self) {
        self.next_offset = self.next_offset.saturating_sub(1);
    }
    /// It has sent up to this number.
    pub(super) fn sent(&mut self, upto: u32) {
        if seq::before(self.next_seq, upto) {
            self.next_offset += u64::from(upto.wrapping_sub(self.next_seq));
            self.next_seq = upto;
        }
    }
    /// The other end acknowledged up to here and has so much room.
    pub(super) fn acknowledged(&mut self, ack: u32, window: u32) {
        if seq::before(self.last_ack, ack) {
            self.last_ack = ack;
        }
        self.sent(ack);
        self.window = window;
        self.next_win = seq::later(self.next_win, self.last_ack.wrapping_add(window));
    }
}
