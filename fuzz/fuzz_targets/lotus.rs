//! A backup of lotus' metadata, and an archive, that somebody else may have written.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = backup::lotus::read(bytes, "/miner-address");
    let _ = backup::archive::tar(bytes);
});
