//! Configuration that the audit's rules read, one text in every place: no text makes a rule panic or a page carry markup.
#![no_main]

use facts::{Facts, File};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let file = |path: String| File { path: path.replace('*', "x"), text: Some(text.to_owned()), ..File::default() };
    let files = audit::wanted().into_iter().filter(|w| w.text).map(|w| file(w.path.replace('~', "/root"))).collect();
    let boot = facts::Boot { parameters: text.split_whitespace().map(str::to_owned).collect(), ..facts::Boot::default() };
    let report = audit::run(&Facts { files, boot, host: text.to_owned(), ..Facts::default() }, None);
    assert!(!report.html(&str::to_owned).contains("<script"));
});
