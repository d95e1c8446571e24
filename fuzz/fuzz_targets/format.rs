//! `ravelin fmt`: formatting twice changes nothing more, and never what the file means.
#![no_main]

use libfuzzer_sys::fuzz_target;
use words::SourceFile;

fuzz_target!(|text: &str| {
    if let Ok(once) = site::fmt::format(&SourceFile::new("site.toml", text)) {
        assert_eq!(site::fmt::format(&SourceFile::new("site.toml", once.clone())).ok(), Some(once));
    }
});
