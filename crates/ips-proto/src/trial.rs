//! What the tests of parsers have in common.

use crate::{Input, Parser, Step, Toward};

/// Gives a parser both sides' bytes in parts of `cut`; each of them leaves it going.
pub(crate) fn talk<'a>(parser: &mut dyn Parser, said: impl IntoIterator<Item = (Toward, &'a [u8])>, cut: usize) {
    for (toward, bytes) in said {
        for part in bytes.chunks(cut) {
            assert_eq!(parser.feed(toward, Input::Bytes(part)), Step::Going);
        }
    }
}

/// Its transactions as they are told.
pub(crate) fn events(parser: &dyn Parser) -> Vec<serde_json::Value> {
    let one = |at| {
        let mut out = Vec::new();
        parser.get(at).describe(&mut out);
        serde_json::from_slice(&out).expect("JSON")
    };
    (0..parser.count()).map(one).collect()
}
