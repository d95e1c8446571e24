//! Signed bytes, trusts and public keys as they arrive: what is read is canonical, and none of it is believed by a key it does not name.
#![no_main]

use bundle::{PublicKey, SignedTrust, Trust, signed::Signatures};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok((signatures, content)) = Signatures::read(bytes) {
        assert_eq!(signatures.before(content), bytes);
        let _ = bundle::Signed::read(bytes);
    }
    if let Ok(trust) = Trust::read(bytes) {
        assert_eq!(trust.to_bytes(), bytes);
    }
    if let Ok(signed) = SignedTrust::read(bytes) {
        assert_eq!(signed.to_bytes(), bytes);
        // Its own keys would have to sign a higher number than its own.
        assert!(signed.trust().accepts(&signed).is_err());
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(key) = text.parse::<PublicKey>()
    {
        assert_eq!(key.to_string(), text);
    }
});
