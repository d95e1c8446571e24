//! An Ansible inventory of somebody else.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = site::ansible::import(text);
});
