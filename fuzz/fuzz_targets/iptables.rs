//! `iptables-save` and `ip6tables-save` text, alone and composed with nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use words::Family;

fuzz_target!(|text: &str| {
    for family in Family::ALL {
        let _ = ruleset::iptables::read(text, family);
    }
    let _ = ruleset::iptables::compose(ruleset::Ruleset::default(), Some(text), Some(text));
});
