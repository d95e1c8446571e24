//! A site file by a hurried hand. Whatever it is, it gives a model or says why not, and its errors can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use words::SourceFile;

fuzz_target!(|text: &str| {
    let source = SourceFile::new("site.toml", text);
    let out = site::read(&source, "2026-11-22");
    let _ = out.render(&source);
    assert!(out.model.is_some() || out.diagnostics.iter().any(words::Diagnostic::is_error));
});
