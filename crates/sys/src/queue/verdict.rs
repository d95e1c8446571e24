//! Verdicts on their way to the kernel. In come packets' numbers with what becomes of them, in the order the packets came; out come as few
//! messages as say it. A message about a number decides all packets of its queue up to that number (`NFQNL_MSG_VERDICT_BATCH`), so a packet
//! must not be left out: what came before it would be decided with it.

use super::{SUBSYSTEM, general};
use crate::wire::{Nest, Request};

const BATCH: u16 = SUBSYSTEM | 3;
const VERDICT: u16 = SUBSYSTEM | 1;
const HEADER: u16 = 2;
const MARK: u16 = 3;
const CONNECTION: u16 = 11;
const CONNECTION_MARK: u16 = 8;

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is gone.
    Drop,
    /// It goes on, behind the rule that queued it.
    Accept,
}

impl Verdict {
    /// The kernel's number.
    fn number(self) -> u32 {
        match self {
            Self::Drop => 0,
            Self::Accept => 1,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    queue: u16,
    last: u32,
    verdict: Verdict,
    mark: u32,
    connection: Option<u32>,
}

/// Verdicts that wait to be sent.
#[derive(Debug, Default)]
pub struct Verdicts {
    runs: Vec<Run>,
    bytes: Vec<u8>,
    packets: usize,
}

impl Verdicts {
    /// Adds one, with the packet mark it goes on with.
    pub fn add(&mut self, queue: u16, id: u32, verdict: Verdict, mark: u32) {
        self.packets += 1;
        let last = self.runs.iter_mut().rev().find(|r| r.queue == queue);
        match last {
            Some(run) if (run.verdict, run.mark, run.connection) == (verdict, mark, None) => run.last = id,
            _ => self.runs.push(Run { queue, last: id, verdict, mark, connection: None }),
        }
    }

    /// Adds one that also writes the connection's mark: only where the kernel grants connections.
    pub fn add_with_connection(&mut self, queue: u16, id: u32, verdict: Verdict, mark: u32, connection: u32) {
        self.packets += 1;
        self.runs.push(Run { queue, last: id, verdict, mark, connection: Some(connection) });
    }

    /// Packets that wait to be decided.
    pub fn len(&self) -> usize {
        self.packets
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// Messages it takes to say them.
    pub fn messages(&self) -> usize {
        self.runs.len()
    }

    pub(super) fn bytes(&mut self) -> &[u8] {
        self.bytes.clear();
        for run in &self.runs {
            let head = [run.verdict.number().to_be_bytes(), run.last.to_be_bytes()].concat();
            // A message about a connection is about one packet: what came before has been decided by the messages before it.
            let kind = if run.connection.is_some() { VERDICT } else { BATCH };
            let mut request = Request::new(kind, 0, &general(run.queue)).with(HEADER, &head).with(MARK, &run.mark.to_be_bytes());
            if let Some(mark) = run.connection {
                request = request.with_nested(CONNECTION, &Nest::default().with(CONNECTION_MARK, &mark.to_be_bytes()));
            }
            self.bytes.extend_from_slice(&request.finish(0));
        }
        &self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.packets = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{attribute, be32, messages, u16_at};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// What the kernel does with these messages while these packets wait.
    fn kernel(bytes: &[u8], waiting: &mut Vec<(u16, u32)>) -> BTreeMap<(u16, u32), (u32, u32)> {
        let mut out = BTreeMap::new();
        for m in messages(bytes).map(|m| m.expect("whole")) {
            let queue = u16::from_be(u16_at(m.payload, 2).expect("head"));
            let head = attribute(&m.payload[4..], HEADER).expect("verdict");
            let (verdict, last) = (be32(&head[..4]).expect("4"), be32(&head[4..]).expect("4"));
            let mark = attribute(&m.payload[4..], MARK).and_then(be32).expect("mark");
            let whole_batch = m.kind == BATCH;
            waiting.retain(|&(q, id)| {
                let meant = q == queue && if whole_batch { id <= last } else { id == last };
                if meant {
                    out.insert((q, id), (verdict, mark));
                }
                !meant
            });
        }
        out
    }

    proptest! {
        /// Every packet gets the verdict it was given, whatever was merged.
        #[test]
        fn each_packet_gets_its_own(given in proptest::collection::vec((0u16..3, any::<bool>(), 0u32..3, any::<bool>()), 0..40)) {
            let mut verdicts = Verdicts::default();
            let (mut waiting, mut expected, mut numbers) = (Vec::new(), BTreeMap::new(), [0u32; 3]);
            for (queue, accept, mark, connection) in given {
                let id = &mut numbers[usize::from(queue)];
                *id += 1;
                let verdict = if accept { Verdict::Accept } else { Verdict::Drop };
                waiting.push((queue, *id));
                expected.insert((queue, *id), (u32::from(accept), mark));
                if connection { verdicts.add_with_connection(queue, *id, verdict, mark, 5) } else { verdicts.add(queue, *id, verdict, mark) }
            }
            prop_assert_eq!(verdicts.len(), expected.len());
            let got = kernel(verdicts.bytes(), &mut waiting);
            prop_assert_eq!(got, expected);
            prop_assert!(waiting.is_empty());
        }
    }

    #[test]
    fn what_is_alike_is_one_message() {
        let mut v = Verdicts::default();
        (1..=64).for_each(|id| v.add(0, id, Verdict::Accept, 7));
        assert_eq!((v.len(), v.messages()), (64, 1));
        v.add(0, 65, Verdict::Drop, 7);
        assert_eq!(v.messages(), 2);
    }
}
