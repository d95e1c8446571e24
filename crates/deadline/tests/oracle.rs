//! Windows against a slow oracle that walks the schedule epoch by epoch.

mod common;

use common::{miner, reply, time};
use deadline::{
    Epoch, Settings, Span,
    chain::EPOCH_SECONDS,
    look,
    span::{HORIZON_EPOCHS, Hope, schedule},
};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Case {
    offset: Epoch,
    wants: Vec<bool>,
    landed: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let wants = prop_oneof![
        Just(vec![true; 48]),
        Just(vec![false; 48]),
        proptest::collection::vec(any::<bool>(), 48),
        (0usize..48).prop_map(|only| (0..48).map(|d| d == only).collect()),
    ];
    (0..2880i64, wants, any::<bool>()).prop_map(|(offset, wants, landed)| Case { offset, wants, landed })
}

/// May anything be under way in this epoch, seen from `now`? By the words of the protocol, deadline by deadline.
fn allowed(case: &Case, now: Epoch, epoch: Epoch, margin: Epoch, hope: Hope) -> bool {
    for period in -2..6 {
        let start = now - now % 2880 + case.offset + period * 2880;
        for index in 0..48i64 {
            if !case.wants[index as usize] {
                continue;
            }
            let (open, close) = (start + index * 60, start + index * 60 + 60);
            let is_open_now = open <= now && now < close;
            let ends = match (is_open_now, hope) {
                (true, _) if case.landed => now,
                (true, Hope::Best) => now,
                (_, Hope::Worst) => close,
                (false, Hope::Best) => open + 5,
            };
            if close > now && epoch >= open - 20 - margin && epoch < ends {
                return false;
            }
        }
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn free_time_is_what_the_oracle_allows(
        now in 5_000_000i64..5_010_000, margin in 0i64..30, cases in proptest::collection::vec(case(), 1..4), best in any::<bool>(),
    ) {
        let names: Vec<String> = (0..cases.len()).map(|n| format!("f0{n}")).collect();
        let said: Vec<_> = names.iter().zip(&cases).map(|(n, c)| (n.as_str(), miner(now, c.offset, |d| c.wants[d as usize], c.landed))).collect();
        let settings = Settings { margin: margin as u64 * EPOCH_SECONDS, wait_for_sealing: false };
        let look = look(&[reply("a", now, &said)], &[], &names, time(now), settings);
        prop_assert!(look.clock.is_some());
        let hope = if best { Hope::Best } else { Hope::Worst };
        let free = schedule(&look.miners, now, margin, hope);
        prop_assert!(free.windows(2).all(|w| w[0].until < w[1].from));
        for epoch in now..now + HORIZON_EPOCHS {
            let walked = cases.iter().all(|c| allowed(c, now, epoch, margin, hope));
            prop_assert_eq!(free.iter().any(|s: &Span| s.from <= epoch && epoch < s.until), walked, "epoch {} of {}", epoch, now);
        }
        // What is said to be open is what may be used now, and nothing is waited for exactly then.
        let walked = (now..).take_while(|e| e - now < HORIZON_EPOCHS && cases.iter().all(|c| allowed(c, now, *e, margin, Hope::Worst))).count() as u64;
        prop_assert_eq!(look.free(), (walked * EPOCH_SECONDS).saturating_sub(7));
        prop_assert_eq!(look.waits.is_empty(), walked > 0);
    }
}
