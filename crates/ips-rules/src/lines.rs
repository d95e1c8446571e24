//! From a rules file to its rules' texts: comments and empty lines away, lines joined where they end in a backslash. In
//! comes a source, out come [`Logical`] lines that know where each byte stood. Never: loses a line silently.

use std::{borrow::Cow, ops::Range};
use words::Span;

/// One rule's text and its place.
#[derive(Debug, Clone)]
pub struct Logical<'s> {
    /// The text, joined.
    pub text: Cow<'s, str>,
    /// Where pieces of the text begin: byte of the text, byte of the source.
    pieces: Vec<(usize, usize)>,
}

impl Logical<'_> {
    /// The source's bytes behind bytes of the text.
    pub fn span(&self, at: &Range<usize>) -> Span {
        let place = |byte: usize| {
            let piece = self.pieces.partition_point(|(t, _)| *t <= byte).saturating_sub(1);
            self.pieces.get(piece).map_or(byte, |(t, s)| s + (byte - t.min(&byte)))
        };
        let start = place(at.start);
        let end = if at.end > at.start { place(at.end - 1) + 1 } else { start };
        Span::new(start, end)
    }
}

/// The logical lines of a rules file.
pub fn logical(text: &str) -> Vec<Logical<'_>> {
    let mut out = Vec::new();
    let mut open: Option<(String, Vec<(usize, usize)>)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let body = line.trim_end();
        let continued = body.ends_with('\\');
        let body = if continued { &body[..body.len() - 1] } else { body };
        match (open.take(), continued) {
            (None, _) if body.trim_start().is_empty() && !continued => {}
            (None, _) if body.trim_start().starts_with(['#', ';']) => {}
            (None, false) => out.push(Logical { text: Cow::Borrowed(body), pieces: vec![(0, start)] }),
            (None, true) => open = Some((body.to_owned(), vec![(0, start)])),
            (Some((mut joined, mut pieces)), more) => {
                pieces.push((joined.len(), start));
                joined.push_str(body);
                if more {
                    open = Some((joined, pieces));
                } else {
                    out.push(Logical { text: Cow::Owned(joined), pieces });
                }
            }
        }
    }
    if let Some((joined, pieces)) = open.filter(|(j, _)| !j.trim().is_empty()) {
        out.push(Logical { text: Cow::Owned(joined), pieces });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_joined_and_places_kept() {
        let text = "# no\n\nalert a \\\n  b;\nlast\\";
        let lines = logical(text);
        assert_eq!(lines.iter().map(|l| l.text.as_ref()).collect::<Vec<_>>(), ["alert a   b;", "last"]);
        let b = lines[0].text.find('b').expect("it reads");
        let span = lines[0].span(&(b..b + 1));
        assert_eq!(&text[span.start..span.end], "b");
    }

    proptest! {
        #[test]
        fn every_place_is_in_the_source(text in "([a-z; #\\\\]|\n){0,60}") {
            for line in logical(&text) {
                for n in 0..line.text.len() {
                    let span = line.span(&(n..n + 1));
                    prop_assert_eq!(&text[span.start..span.end], &line.text[n..n + 1]);
                }
            }
        }
    }
}
