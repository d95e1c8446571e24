//! systemd unit files. A value that was redacted once is not changed by redacting again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = observe::unit::directives(text, "/etc/systemd/system/x.service");
    let _ = facts::secret::redact(text);
});
