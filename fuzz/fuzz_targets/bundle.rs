//! A bundle as it arrives: what is accepted is canonical, so that its digest names exactly these bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = bundle::Bundle::read(bytes) {
        assert_eq!(bundle.to_bytes(), bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = bundle::own::only_own_table(text);
    }
    // The digest stops nearly everything: what is behind it is tried with one that fits.
    if let Ok(draft) = serde_json::from_slice::<bundle::Draft>(bytes)
        && let Ok(sealed) = bundle::Bundle::seal(draft)
    {
        let again = bundle::Bundle::read(&sealed.to_bytes()).expect("what was sealed is read");
        assert_eq!(again.digest(), sealed.digest());
    }
});
