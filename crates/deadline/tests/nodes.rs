//! Which nodes are believed, what they say together, and what is done about it.

mod common;

use common::{head, info, miner, partition, reply, time};
use deadline::{
    Act, Bits, Disbelief, Fault, Landed, Look, MinerAnswer, Policy, Reply, Settings, Trouble, Unreachable, Wait, chain::MAINNET_GENESIS,
    gate::act, look as look_at, outlook::NodeSaid,
};

/// Ten epochs into a deadline of a miner whose period began 1,210 epochs ago.
const NOW: i64 = 5_000_010;
const OFFSET: i64 = (NOW - 1_210) % 2_880;
const SETTINGS: Settings = Settings { margin: 120, wait_for_sealing: false };
const POLICY: Policy = Policy { unreachable: Unreachable::Refuse, max_wait: 3_600 };

fn look(replies: &[Reply]) -> Look {
    look_at(replies, &[], &["f01".to_owned()], time(NOW), SETTINGS)
}
fn full(landed: bool) -> MinerAnswer {
    miner(NOW, OFFSET, |_| true, landed)
}
fn well(node: &str, landed: bool) -> Reply {
    reply(node, NOW, &[("f01", full(landed))])
}
fn with(change: impl FnOnce(&mut deadline::Answer)) -> Reply {
    let mut out = well("bad", true);
    change(out.answer.as_mut().expect("an answer"));
    out
}
fn disbelief(reply: Reply) -> Disbelief {
    let seen = look(&[reply, well("good", true)]);
    assert!(seen.waits.is_empty() && seen.free() > 0, "the good node counts alone: {:?}", seen.waits);
    match seen.nodes[0].said.clone() {
        NodeSaid::Disbelieved { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn after_the_proof_until_the_next_challenge() {
    // 10 epochs in, 50 to the next opening, less 20 of lookback and 4 of margin; 7 seconds are over.
    let seen = look(&[well("a", true)]);
    assert_eq!((seen.waits.len(), seen.free(), seen.miners[0].deadline), (0, 26 * 30 - 7, 20));
    assert_eq!(act(&seen, 700, 0, POLICY), Act::Go { ends: time(NOW) - 7 + 26 * 30 });
    assert_eq!(act(&seen, 900, 0, POLICY), Act::Wait { again: 30 });
    let Act::Refuse { why } = act(&seen, 1_200, 0, POLICY) else { panic!("no window is that long") };
    assert!(why.contains("930 s"), "{why}");
    let not_yet = look(&[well("a", false)]);
    assert!(matches!(&not_yet.waits[..], [Wait::Proof { deadline: 20, disputed: false, .. }]));
    assert_eq!((not_yet.free(), not_yet.hoped.map(|w| w.seconds())), (0, Some(26 * 30 - 7)));
    let Act::Refuse { why } = act(&not_yet, 600, 3_600, POLICY) else { panic!("the wait is over") };
    assert!(why.contains("deadline 20 of f01 has not landed"), "{why}");
}

#[test]
fn a_partition_without_a_proof_is_enough_to_wait_and_one_without_sectors_wants_none() {
    let mut said = full(true);
    said.partitions.insert(20, vec![partition(true), partition(false), partition(true)]);
    said.posted = Some(Bits::from_runs(&[0, 1]).expect("runs"));
    let seen = look(&[reply("a", NOW, &[("f01", said.clone())])]);
    assert!(matches!(&seen.waits[..], [Wait::Proof { .. }]));
    said.posted = Some(Bits::from_runs(&[0, 1, 1, 1]).expect("runs"));
    assert!(look(&[reply("a", NOW, &[("f01", said)])]).waits.is_empty());
    let mut faulty = partition(true);
    faulty.faulty_sectors = faulty.live_sectors.clone();
    assert!(!faulty.wants_proof());
    faulty.recovering_sectors = Bits::from_runs(&[1, 1]).expect("runs");
    assert!(faulty.wants_proof());
}

#[test]
fn who_cannot_see_the_proof_waits_until_the_close() {
    let mut gateway = full(true);
    gateway.partitions.clear();
    let gateway = reply("gateway", NOW, &[("f01", gateway)]);
    let seen = look(std::slice::from_ref(&gateway));
    assert!(matches!(&seen.waits[..], [Wait::Unseen { .. }]) && !seen.whole && seen.free() == 0);
    let both = look(&[gateway, well("a", true)]);
    assert!(both.waits.is_empty(), "who cannot see does not speak against it: {:?}", both.waits);
    assert_eq!(both.miners[0].blind, ["gateway"]);
}

#[test]
fn nodes_that_disagree_are_waited_for() {
    let seen = look(&[well("a", true), well("b", false)]);
    assert!(matches!(&seen.waits[..], [Wait::Proof { disputed: true, .. }]));
    assert_eq!((&seen.miners[0].seen_by[..], &seen.miners[0].denied_by[..]), (&["a".to_owned()][..], &["b".to_owned()][..]));
    let elsewhere = reply("b", NOW, &[("f01", miner(NOW, OFFSET + 60, |_| true, true))]);
    let seen = look(&[well("a", true), elsewhere]);
    assert!(matches!(&seen.waits[..], [Wait::Disagreement(_)]) && seen.free() == 0);
    assert!(matches!(act(&seen, 60, 0, POLICY), Act::Wait { .. }));
    assert!(matches!(act(&seen, 60, 3_600, POLICY), Act::Refuse { .. }));
}

#[test]
fn a_head_from_before_the_opening_says_nothing_of_the_deadline() {
    // The clock is 2 epochs into deadline 21, null rounds keep the head in deadline 20, whose proof had landed.
    let now = NOW + 52;
    let seen =
        look_at(&[reply("a", NOW + 49, &[("f01", miner(NOW + 49, OFFSET, |_| true, true))])], &[], &["f01".into()], time(now), SETTINGS);
    assert_eq!((seen.miners[0].deadline, seen.miners[0].landed), (21, Landed::Unseen));
    assert!(matches!(&seen.waits[..], [Wait::Unseen { deadline: 21, .. }]));
}

#[test]
fn the_period_wraps() {
    // In the last deadline of the period; only deadline 1 wants a proof.
    let now = NOW - 1_210 + 2_880 - 5;
    let sparse = reply("a", now, &[("f01", miner(now, OFFSET, |d| d == 1, false))]);
    let seen = look_at(&[sparse], &[], &["f01".into()], time(now), SETTINGS);
    assert_eq!((seen.miners[0].deadline, seen.free()), (47, (5 + 60 - 24) * 30 - 7));
}

#[test]
fn liars_and_stragglers_are_named() {
    assert!(matches!(disbelief(with(|a| a.head = head(NOW - 6))), Disbelief::Behind { seconds: 187 }));
    assert!(matches!(disbelief(with(|a| a.head = head(NOW + 3))), Disbelief::Future { .. }));
    assert!(matches!(disbelief(with(|a| a.head.height += 40)), Disbelief::OtherChain { .. }));
    assert!(matches!(disbelief(with(|a| a.head.height = i64::MAX)), Disbelief::NoChain { .. }));
    assert!(matches!(disbelief(with(|a| a.head.height = -9)), Disbelief::NoChain { .. }));
    assert!(matches!(disbelief(with(|a| a.settled = head(NOW + 1))), Disbelief::Settled { .. }));
    assert!(matches!(disbelief(with(|a| a.settled.timestamp += 30)), Disbelief::Settled { .. }));
    let info = |change: fn(&mut deadline::Info)| disbelief(with(|a| change(&mut a.miners.get_mut("f01").expect("it").info)));
    assert!(matches!(info(|i| i.index = 48), Disbelief::Index { index: 48, .. }));
    assert!(matches!(info(|i| i.period_start = NOW + 1), Disbelief::PeriodAhead { .. }));
    assert!(matches!(info(|i| i.period_start = i64::MIN), Disbelief::Inconsistent { .. }));
    assert!(matches!(info(|i| i.current_epoch -= 1), Disbelief::OtherEpoch { .. }));
    assert!(matches!(info(|i| i.open += 1), Disbelief::Inconsistent { what: "the opening", .. }));
    assert!(matches!(info(|i| i.close += 1), Disbelief::Inconsistent { what: "the close", .. }));
    assert!(matches!(info(|i| i.challenge += 1), Disbelief::Inconsistent { what: "the challenge", .. }));
    assert!(matches!(info(|i| i.window = 120), Disbelief::Parameters { .. }));
    assert!(matches!(
        info(|i| {
            i.period_start -= 2880;
            i.open -= 2880;
            i.close -= 2880;
            i.challenge -= 2880;
            i.fault_cutoff -= 2880;
        }),
        Disbelief::NotOpen { .. }
    ));
    assert!(matches!(disbelief(with(|a| a.miners.clear())), Disbelief::Silent { .. }));
    assert_eq!(info(|i| i.index = 48).to_string(), "f01: it names deadline 48; a period has 48, counted from 0");
    assert_eq!(look(&[well("a", true)]).clock.map(|c| c.genesis), Some(MAINNET_GENESIS));
}

#[test]
fn null_rounds_are_no_lie() {
    let said = MinerAnswer { info: info(NOW - 4, OFFSET), ..full(true) };
    let seen = look(&[reply("a", NOW - 4, &[("f01", said)])]);
    assert!(seen.waits.is_empty() && matches!(seen.nodes[0].said, NodeSaid::Believed { age: 127, .. }), "{:?}", seen.nodes);
}

#[test]
fn silence_is_the_sites_policy_and_lies_are_not_silence() {
    let silent = |trouble| Reply { node: "a".into(), answer: Err(Fault { trouble, why: "no".into() }) };
    let seen = look(&[silent(Trouble::Unreachable), silent(Trouble::Hangs)]);
    assert_eq!(seen.waits, [Wait::Silence]);
    let by = |unreachable, seen: &Look, waited| act(seen, 60, waited, Policy { unreachable, max_wait: 90 });
    assert!(matches!(by(Unreachable::Refuse, &seen, 0), Act::Refuse { .. }));
    assert!(matches!(by(Unreachable::Proceed, &seen, 0), Act::Proceed { .. }));
    assert_eq!(by(Unreachable::Wait, &seen, 75), Act::Wait { again: 15 });
    assert!(matches!(by(Unreachable::Wait, &seen, 90), Act::Refuse { .. }));
    let liar = look(&[with(|a| a.head = head(NOW + 9)), silent(Trouble::Hangs)]);
    assert_eq!(liar.waits, [Wait::NoneBelieved]);
    assert!(matches!(by(Unreachable::Proceed, &liar, 0), Act::Wait { .. }), "a liar is no reason to go on blindly");
    assert_eq!(look(&[]).waits, [Wait::Silence]);
}

#[test]
fn two_miners_are_free_together_only() {
    let both = [("f01", full(true)), ("f02", miner(NOW, OFFSET + 30, |_| true, true))];
    let seen = look_at(&[reply("a", NOW, &both)], &[], &["f01".into(), "f02".into()], time(NOW), SETTINGS);
    // The second one's next deadline opens in 20 epochs: its challenge is being drawn.
    assert!(matches!(&seen.waits[..], [Wait::Challenge { miner, .. }] if miner == "f02"), "{:?}", seen.waits);
}
