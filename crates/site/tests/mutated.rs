//! No damage to a site file makes the reader panic, and whatever it accepts holds what a model promises.

use proptest::prelude::*;
use words::SourceFile;

const EXAMPLES: [&str; 3] = [
    include_str!("../../../examples/small/site.toml"),
    include_str!("../../../examples/single-host/site.toml"),
    include_str!("../../../examples/curio-cluster/site.toml"),
];

/// Pieces a hurried hand might leave behind.
const PIECES: [&str; 22] = [
    "",
    "\"",
    "[",
    "]",
    "{",
    "}",
    "=",
    "\n",
    "0",
    "-1",
    "99999999999999999999",
    "[[never]]\n",
    "lotus",
    "internet",
    "all",
    "sync",
    "0.0.0.0/0",
    "::/0",
    "[1-3]",
    "é",
    "\u{0}",
    "runs = [\"curio\"]\n",
];

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

fn check(text: String) -> Result<(), TestCaseError> {
    let source = SourceFile::new("site.toml", text);
    let out = site::read(&source, "2026-11-22");
    let _ = out.render(&source);
    prop_assert!(out.model.is_some() || out.diagnostics.iter().any(words::Diagnostic::is_error));
    if let Some(m) = out.model {
        for f in &m.flows {
            prop_assert!(!f.legs.is_empty() && !f.origins.is_empty());
            prop_assert!(f.legs.iter().all(|l| !l.src.is_empty() && !l.dst.is_empty()));
            for party in [&f.from, &f.to] {
                match party {
                    site::Party::Host(h) => prop_assert!(m.hosts.contains_key(h)),
                    site::Party::Zone(z) => prop_assert!(m.zones.contains_key(z)),
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn replaced_pieces(which in 0usize..3, cuts in proptest::collection::vec((0usize..6000, 0usize..12, 0usize..22), 1..4)) {
        let mut text = EXAMPLES[which].to_owned();
        for (at, len, piece) in cuts {
            let start = floor(&text, at % (text.len() + 1));
            let end = floor(&text, start + len).max(start);
            text.replace_range(start..end, PIECES[piece]);
        }
        check(text)?;
    }

    #[test]
    fn words_taken_from_elsewhere_in_the_file(which in 0usize..3, swaps in proptest::collection::vec((0usize..400, 0usize..400), 1..5)) {
        let text = EXAMPLES[which];
        let words: Vec<&str> = text.split('"').collect();
        let mut out: Vec<&str> = words.clone();
        for (a, b) in swaps {
            // Odd places are what stands in quotes.
            let (a, b) = ((a * 2 + 1) % words.len(), (b * 2 + 1) % words.len());
            out[a] = words[b];
        }
        check(out.join("\""))?;
    }

    #[test]
    fn lines_lost(which in 0usize..3, lost in proptest::collection::vec(0usize..120, 1..6)) {
        let kept: Vec<&str> = EXAMPLES[which].lines().enumerate().filter(|(i, _)| !lost.contains(i)).map(|(_, l)| l).collect();
        check(kept.join("\n"))?;
    }
}
