//! Facts as another machine reports them, and the lists of connections made from them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(facts) = serde_json::from_slice::<facts::Facts>(bytes) {
        let _ = bundle::seed::from_facts([&facts]);
        let text = serde_json::to_vec(&facts).expect("facts are JSON");
        assert_eq!(serde_json::from_slice::<facts::Facts>(&text).ok(), Some(facts));
    }
});
