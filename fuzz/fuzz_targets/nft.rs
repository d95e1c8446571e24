//! `nft -j list ruleset` as anybody on the machine may have shaped it. What is understood has one canonical form.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(rules) = ruleset::nft::read(text) {
        let once = ruleset::canonical::ruleset(&rules);
        assert_eq!(ruleset::canonical::ruleset(&once), once);
    }
});
