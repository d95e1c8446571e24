//! What a chain node answers, decoded, judged and laid out: the node may be somebody else's.
#![no_main]

use deadline::{Answer, MinerAnswer, Reply, Settings, look};
use libfuzzer_sys::fuzz_target;
use lotus::{Method, wire};

/// Unix seconds in the middle of 2026.
const NOW: u64 = 1_782_000_000;

// Answers, one a line, in the order in which they are asked for.
fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|b| *b == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let head = wire::tipset(next(), 1, Method::ChainHead);
    let info = wire::info(next(), 1);
    let posted = wire::posted(next(), 1);
    let partitions = wire::partitions(next(), 1);
    let _ = (wire::worker_jobs(next(), 1), wire::cordoned(next(), 1));
    if let (Ok(head), Ok(info)) = (head, info) {
        let index = usize::try_from(info.index).unwrap_or(usize::MAX);
        let partitions = partitions.map(|p| [(info.index, p)].into()).unwrap_or_default();
        let said = MinerAnswer { info, posted: posted.ok().and_then(|all| all.into_iter().nth(index)), partitions };
        let miners = [("t01".to_owned(), said)].into();
        let answer = Ok(Answer { head: head.head, settled: head.head, miners, lacks: Vec::new() });
        let settings = Settings { margin: 120, wait_for_sealing: true };
        // Judged at the time it claims too: else almost nothing would be believed.
        for now in [NOW, head.head.timestamp.saturating_add(1)] {
            let seen = look(&[Reply { node: "n".into(), answer: answer.clone() }], &[], &["t01".into()], now, settings);
            assert!(seen.free() == 0 || seen.clock.is_some());
        }
    }
});
