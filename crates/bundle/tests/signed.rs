//! Signatures and trust: what is believed, by whose signature, and that nothing else is.

mod common;

use bundle::{
    PublicKey, Signed, SignedTrust, Trust, Widens,
    key::Domain,
    signed::{MOST_SIGNATURES, Signatures, SignedError},
    trust::{Distrust, LONGEST_STEP, Role, Rule, TrustError, Trusted},
};
use common::*;
use proptest::prelude::*;
use words::Digest;

fn perhaps() -> Widens {
    Widens::Perhaps("a test".into())
}

#[test]
fn what_is_written_reads_back() {
    let s = signed(&sealed("here", 3), &[1, 2, 3]);
    assert_eq!(Signed::read(&s.to_bytes()).expect("reads"), s);
    let t = signed_trust(&trust(7, Rule::TwoToWiden, &[1, 2, 3], &[9]), &[1]);
    assert_eq!(SignedTrust::read(&t.to_bytes()).expect("reads"), t);
    assert_eq!(public(4).to_string().parse::<PublicKey>(), Ok(public(4)));
    assert_eq!(id(4).to_string().parse(), Ok(id(4)));
}

#[test]
fn one_two_and_two_to_widen() {
    let bundle = sealed("here", 3);
    let believed = |rule, by: &[u8], widens: &Widens| signed(&bundle, by).verify(&trust(1, rule, &[1, 2], &[9]), widens);
    for widens in [Widens::No, perhaps()] {
        assert_eq!(believed(Rule::One, &[1], &widens), Ok(vec![id(1)]));
        assert!(matches!(believed(Rule::Two, &[1], &widens), Err(Distrust::NotEnough { .. })));
        assert!(matches!(believed(Rule::Two, &[1, 5], &widens), Err(Distrust::NotEnough { .. })), "a stranger is no second key");
        assert!(matches!(believed(Rule::Two, &[1, 9], &widens), Err(Distrust::NotEnough { .. })), "a recovery key is no second key");
        assert_eq!(believed(Rule::Two, &[1, 2], &widens).map(|v| v.len()), Ok(2));
        assert!(matches!(believed(Rule::One, &[5], &widens), Err(Distrust::Stranger { .. })));
        assert_eq!(believed(Rule::One, &[9], &widens), Err(Distrust::RecoveryOnly));
    }
    assert_eq!(believed(Rule::TwoToWiden, &[1], &Widens::No), Ok(vec![id(1)]));
    assert!(matches!(believed(Rule::TwoToWiden, &[1], &perhaps()), Err(Distrust::NotEnough { why, .. }) if why.contains("a test")));
    assert_eq!(believed(Rule::TwoToWiden, &[1, 2], &perhaps()).map(|v| v.len()), Ok(2));
}

#[test]
fn a_signature_is_about_one_thing_alone() {
    let (bundle, t) = (sealed("here", 3), trust(1, Rule::One, &[1], &[]));
    // Of another domain, of another machine, of another number, by another key.
    let forged = [
        signature(1, Domain::Trust, &bundle.digest()),
        signature(1, Domain::Record, &bundle.digest()),
        signature(1, Domain::Bundle, &sealed("there", 3).digest()),
        signature(1, Domain::Bundle, &sealed("here", 2).digest()),
        (id(1), signature(2, Domain::Bundle, &bundle.digest()).1),
    ];
    for one in forged {
        let s = Signed::new(bundle.clone(), Signatures::new([one]).expect("one"));
        assert!(matches!(s.verify(&t, &Widens::No), Err(Distrust::BadSignature { .. })), "{one:?}");
        // Nor does a good one beside it help: somebody has meddled with these bytes.
        let two = trust(1, Rule::One, &[1, 2], &[]);
        let beside = Signed::new(bundle.clone(), Signatures::new([one, signature(2, Domain::Bundle, &bundle.digest())]).expect("two"));
        assert!(matches!(beside.verify(&two, &Widens::No), Err(Distrust::BadSignature { .. })));
    }
    for (n, a) in Domain::ALL.into_iter().enumerate() {
        for b in Domain::ALL.into_iter().skip(n + 1) {
            let digest = Digest::of(b"");
            assert!(!a.message(&digest).starts_with(&b.message(&digest)[..b.message(&digest).len() - 32]));
        }
    }
}

#[test]
fn the_same_key_twice_counts_once() {
    let bundle = sealed("here", 3);
    let one = signature(1, Domain::Bundle, &bundle.digest());
    let twice = Signed::new(bundle.clone(), Signatures::new([one, one]).expect("one is left"));
    assert!(matches!(twice.verify(&trust(1, Rule::Two, &[1, 2], &[]), &perhaps()), Err(Distrust::NotEnough { .. })));
    // And in bytes it does not read.
    let text = String::from_utf8(signed(&bundle, &[1]).to_bytes()).expect("text");
    let line = text.lines().nth(1).expect("a signature").to_owned();
    let doubled = text.replacen(&line, &format!("{line}\n{line}"), 1);
    assert!(matches!(Signed::read(doubled.as_bytes()), Err(SignedError::Lines)));
    // Nor can one key stand in the trust under two names.
    let again = PublicKey::new(secret(1).verifying_key().as_bytes(), words::KeyName::new("other").expect("a name")).expect("a key");
    let both = [public(1), again].map(|key| Trusted { key, role: Role::Apply });
    assert_eq!(Trust::new("lab", 1, Rule::Two, both), Err(TrustError::Twice(id(1))));
}

#[test]
fn more_signatures_than_are_checked_are_refused() {
    let bundle = sealed("here", 3);
    let many = |n: u8| Signatures::new((1..=n).map(|k| signature(k, Domain::Bundle, &bundle.digest())));
    assert!(many(MOST_SIGNATURES as u8).is_ok());
    assert!(matches!(many(MOST_SIGNATURES as u8 + 1), Err(SignedError::Count(9))));
    assert!(matches!(Signatures::new([]), Err(SignedError::Count(0))));
    assert!(matches!(Signed::read(b"ravelin-signed 1\n\nravelin-bundle"), Err(SignedError::Count(0))));
}

#[test]
fn a_key_that_everybody_can_sign_for_is_none() {
    // The points of small order in their usual spellings.
    for small in [[0u8; 32], std::array::from_fn(|i| u8::from(i == 0))] {
        assert!(PublicKey::new(&small, words::KeyName::new("x").expect("a name")).is_err());
    }
}

#[test]
fn a_trust_follows_by_its_own_keys() {
    let old = trust(4, Rule::One, &[1, 2], &[9]);
    let next = trust(5, Rule::One, &[2, 3], &[9]);
    assert_eq!(old.accepts(&signed_trust(&next, &[1])), Ok(vec![id(1)]));
    assert!(matches!(old.accepts(&signed_trust(&next, &[3])), Err(Distrust::Stranger { .. })), "a new key does not let itself in");
    // The key that went signs nothing any more.
    let bundle = sealed("here", 3);
    assert!(signed(&bundle, &[1]).verify(&old, &Widens::No).is_ok());
    assert!(matches!(signed(&bundle, &[1]).verify(&next, &Widens::No), Err(Distrust::Stranger { .. })));
    assert!(signed(&bundle, &[1, 3]).verify(&next, &Widens::No).is_ok(), "signed by old and new it passes before and after");
    assert!(matches!(next.accepts(&signed_trust(&trust(6, Rule::One, &[1], &[9]), &[1])), Err(Distrust::Stranger { .. })));
    // Numbers only go up, and not by leaps.
    for epoch in [1, 4] {
        assert!(matches!(old.accepts(&signed_trust(&trust(epoch, Rule::One, &[1], &[9]), &[1])), Err(Distrust::Epoch { .. })));
    }
    let leap = |by| old.accepts(&signed_trust(&trust(4 + by, Rule::One, &[1], &[9]), &[1]));
    assert!(leap(LONGEST_STEP).is_ok());
    assert!(matches!(leap(LONGEST_STEP + 1), Err(Distrust::Leap { .. })));
    assert!(matches!(leap(u64::MAX - 4), Err(Distrust::Leap { .. })));
}

#[test]
fn two_keys_or_a_recovery_key_change_a_trust_of_two() {
    for rule in [Rule::Two, Rule::TwoToWiden] {
        let (old, next) = (trust(1, rule, &[1, 2, 3], &[9]), trust(2, rule, &[1, 3], &[9]));
        assert!(matches!(old.accepts(&signed_trust(&next, &[1])), Err(Distrust::NotEnough { .. })));
        assert!(old.accepts(&signed_trust(&next, &[1, 2])).is_ok());
        assert_eq!(old.accepts(&signed_trust(&next, &[9])), Ok(vec![id(9)]));
        // One key does not make the rule weaker for itself.
        let weaker = trust(2, Rule::One, &[1, 2, 3], &[9]);
        assert!(matches!(old.accepts(&signed_trust(&weaker, &[1])), Err(Distrust::NotEnough { .. })));
    }
}

#[test]
fn apply_keys_do_not_touch_recovery_keys() {
    let old = trust(1, Rule::One, &[1, 2], &[9]);
    for recovery in [&[][..], &[8], &[8, 9]] {
        let next = trust(2, Rule::One, &[1, 2], recovery);
        assert_eq!(old.accepts(&signed_trust(&next, &[1, 2])), Err(Distrust::Recovery));
        assert!(old.accepts(&signed_trust(&next, &[9])).is_ok());
    }
    let promoted = trust(2, Rule::One, &[1, 2, 9], &[]);
    assert_eq!(old.accepts(&signed_trust(&promoted, &[1])), Err(Distrust::Recovery));
    let none = trust(1, Rule::One, &[1], &[]);
    assert!(none.accepts(&signed_trust(&trust(2, Rule::One, &[1], &[9]), &[1])).is_ok(), "the first one comes from an apply key");
}

#[test]
fn a_trust_of_another_site_is_refused() {
    let keys = || [Trusted { key: public(1), role: Role::Apply }];
    let other = Trust::new("other", 2, Rule::One, keys()).expect("a trust");
    assert!(matches!(trust(1, Rule::One, &[1], &[]).accepts(&signed_trust(&other, &[1])), Err(Distrust::OtherSite { .. })));
    for bad in ["", " lab", "a\nb", &"x".repeat(200)] {
        assert_eq!(Trust::new(bad, 1, Rule::One, keys()), Err(TrustError::Site));
    }
    assert!(matches!(Trust::new("lab", 1, Rule::Two, keys()), Err(TrustError::TooFew { .. })));
    assert_eq!(Trust::new("lab", 0, Rule::One, keys()), Err(TrustError::Epoch));
}

#[test]
fn a_trust_has_one_spelling() {
    let text = String::from_utf8(trust(12, Rule::One, &[1, 2], &[9]).to_bytes()).expect("text");
    assert!(Trust::read(text.as_bytes()).is_ok());
    let mut lines: Vec<&str> = text.lines().collect();
    lines.swap(4, 5);
    let spelled =
        [text.replace("epoch 12", "epoch 012"), text.replace("epoch 12", "epoch +12"), text.replace('\n', "\r\n"), text.trim_end().into()];
    for other in spelled.into_iter().chain([lines.join("\n") + "\n"]) {
        assert!(Trust::read(other.as_bytes()).is_err(), "{other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn one_changed_byte_is_noticed(at in 0usize..10_000, flip in 1u8..=255) {
        let t = trust(1, Rule::One, &[1], &[]);
        let good = signed(&sealed("here", 3), &[1]);
        let mut bytes = good.to_bytes();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(read) = Signed::read(&bytes) {
            // The digest in the bundle's head may be written in either case; then nothing was changed.
            prop_assert!(read.verify(&t, &Widens::No).is_err() || read == good);
        }
        let next = signed_trust(&trust(2, Rule::One, &[1, 2], &[]), &[1]);
        let mut bytes = next.to_bytes();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(read) = SignedTrust::read(&bytes) {
            prop_assert!(t.accepts(&read).is_err());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..400) {
        for head in ["", "ravelin-signed 1\n", "ravelin-trust 1\nsite x\nepoch 1\nrule one\n", "ravelin-key ed25519 "] {
            let all = [head.as_bytes(), &bytes].concat();
            let _ = Signed::read(&all);
            let _ = SignedTrust::read(&all);
            let _ = Trust::read(&all);
            let _ = String::from_utf8_lossy(&all).parse::<PublicKey>();
        }
        let good = signed_trust(&trust(2, Rule::One, &[1, 2], &[9]), &[1]).to_bytes();
        let _ = SignedTrust::read(&good[..cut % good.len()]);
    }
}
