//! Tables of a machine that somebody else may have written to: archives, versions, first bytes and names of backups.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = observe::backup::form(bytes);
    let text = String::from_utf8_lossy(bytes);
    let (first, second) = text.split_once('\n').unwrap_or((&text, ""));
    let _ = observe::package::one_line("/etc/apt/sources.list", &text);
    let _ = observe::package::deb822("/etc/apt/sources.list.d/x.sources", &text);
    assert!(!(observe::package::older(first, second) && observe::package::older(second, first)));
    let _ = observe::backup::matches(first, second);
});
