//! Rules of the inspection engine, and the files beside them.
#![no_main]

use ips_rules::{Set, Tables, Vars, explain};
use libfuzzer_sys::fuzz_target;
use words::SourceFile;

fuzz_target!(|text: &str| {
    let source = SourceFile::new("x", text);
    let mut tables = Tables::default();
    let _ = tables.vars.take_yaml(text);
    let _ = tables.take_classes(&source);
    let _ = tables.take_references(&source);
    let _ = ips_rules::thresholds(&source, &Vars::default());
    let set = Set::read(std::slice::from_ref(&source), &Tables::default());
    for r in set.rejected.iter().flat_map(|r| &r.reasons) {
        let _ = r.diagnostic.render(&source);
    }
    for rule in &set.rules {
        let _ = explain::lines(rule);
    }
});
