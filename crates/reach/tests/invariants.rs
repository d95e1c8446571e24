//! Each invariant with a site, or rulesets, that break it: the message and its witness, exactly.
//!
//! `append.toml` is put behind `examples/small`; where the site file alone cannot break the invariant, the rulesets are
//! broken here as somebody with root on the machine would. `UPDATE_EXPECT=1` writes the expected text anew.

mod common;

use common::{Planned, sabotage::sabotage};
use reach::Prover;
use std::path::Path;

fn case(code: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invariants").join(code);
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/small/site.toml");
    let text = std::fs::read_to_string(base).expect("example") + &std::fs::read_to_string(dir.join("append.toml")).expect("case");
    let mut site = Planned::read("site.toml", &text);
    sabotage(code, &mut site.rulesets);
    let mut prover = Prover::new();
    let mut net = site.network(&mut prover);
    let found: Vec<_> = reach::check(&mut net).into_iter().filter(|v| v.code.0 == code).collect();
    assert!(!found.is_empty(), "{code} is not found");
    let text = found.iter().map(|v| v.diagnostic(&site.source).render(&site.source)).collect::<Vec<_>>().join("\n");
    let expected = dir.join("expected.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&expected, &text).expect("write");
    }
    assert_eq!(text, std::fs::read_to_string(expected).expect("expected"));
}

macro_rules! cases {
    ($($name:ident $code:literal),* $(,)?) => {$(
        #[test]
        fn $name() {
            case($code);
        }
    )*};
}

cases! {
    net001 "NET001", net002 "NET002", net003 "NET003", net004 "NET004", net005 "NET005", net006 "NET006",
    net007 "NET007", net008 "NET008", net009 "NET009", net010 "NET010", net011 "NET011", net012 "NET012",
}

#[test]
fn every_invariant_has_a_case_and_a_page() {
    for i in reach::invariant::ALL {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(root.join("tests/invariants").join(i.code.0).join("expected.txt").exists(), "{} has no case", i.code);
        let page = root.join("../../docs/invariants").join(format!("{}.md", i.code.0));
        let text = std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        assert!(text.contains(i.title), "{} does not say `{}`", page.display(), i.title);
        assert!(text.contains("## Bad") && text.contains("## Good"), "{} lacks an example", page.display());
    }
}
