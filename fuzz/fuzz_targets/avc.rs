//! The audit log's access vector denials: names in it are chosen by whoever was refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let log = learn::denial::read(text);
    let counted: u64 = log.totals.iter().map(|t| t.count).sum();
    assert!(counted + log.unread <= text.lines().count() as u64);
    for t in &log.totals {
        let _ = (t.text(), learn::remedy::of(&t.access, t.path.as_deref(), &Default::default()).text());
    }
});
