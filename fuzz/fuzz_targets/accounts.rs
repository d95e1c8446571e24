//! passwd, shadow, group and sudoers of a machine that somebody else may have written to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use observe::account;

fuzz_target!(|text: &str| {
    let (first, second) = text.split_once("\0").unwrap_or((text, text));
    let _ = account::read_accounts(first, Some(second));
    let _ = account::read_groups(text);
    let _ = account::read_sudoers("/etc/sudoers", text);
});
