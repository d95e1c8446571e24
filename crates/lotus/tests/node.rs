//! The client against nodes that are well, that misbehave, and that lie, over HTTP and WebSocket.

mod common;

use common::{Chain, Say, now, serve};
use deadline::{Disbelief, Jobs, Reply, Settings, Trouble, Wait, outlook::NodeSaid};
use lotus::{Depth, JobKind, Node, ask, jobs};
use serde_json::{Value, json};
use std::{
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Enough for a loopback on a busy machine, and short where a node hangs.
const TIMEOUT: Duration = Duration::from_millis(1_500);
const MINER: &str = "f01234";

fn node(scheme: &str, at: SocketAddr) -> Node {
    Node { name: "n".into(), urls: Ok(vec![format!("{scheme}://{at}/rpc/v1").parse().expect("a URL")]), token: None }
}

fn asked(node: &Node) -> Reply {
    ask(node, &[MINER.to_owned()], Depth::Next, TIMEOUT)
}

fn look(replies: &[Reply]) -> deadline::Look {
    let now = u64::try_from(now()).expect("after 1970");
    deadline::look(replies, &[], &[MINER.to_owned()], now, Settings { margin: 120, wait_for_sealing: false })
}

/// One method answers oddly, everything else well; over both ways of speaking.
fn odd(method: &'static str, say: &Say) -> Vec<deadline::Fault> {
    ["http", "ws"]
        .map(|scheme| {
            let say = say.clone();
            let at = serve(move |m, p, _| if m == method { say.clone() } else { Chain::new(10, true).say(m, p) });
            let begun = Instant::now();
            let fault = asked(&node(scheme, at)).answer.expect_err("no answer");
            assert!(begun.elapsed() < TIMEOUT + Duration::from_secs(2), "{scheme}: it hung for {:?}", begun.elapsed());
            fault
        })
        .to_vec()
}

#[test]
fn a_node_that_is_well_is_heard_and_believed() {
    for scheme in ["http", "ws"] {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let at = serve(move |m, p, token| {
            assert_eq!(token, None);
            counted.fetch_add(1, Ordering::Relaxed);
            Chain::new(10, true).say(m, p)
        });
        let seen = look(&[asked(&node(scheme, at))]);
        assert!(seen.waits.is_empty() && (700..=780).contains(&seen.free()), "{scheme}: {seen:?}");
        assert_eq!((seen.miners[0].deadline, seen.whole), (20, false));
        assert_eq!(calls.load(Ordering::Relaxed), 6, "two tipsets, deadline, proofs, two deadlines' partitions");
        let all = ask(&node(scheme, at), &[MINER.to_owned()], Depth::All, TIMEOUT);
        assert!(look(&[all]).whole);
    }
}

#[test]
fn a_proof_that_has_not_landed_is_waited_for() {
    let at = serve(|m, p, _| Chain::new(10, false).say(m, p));
    assert!(matches!(&look(&[asked(&node("http", at))]).waits[..], [Wait::Proof { deadline: 20, .. }]));
}

#[test]
fn a_gateway_cannot_see_it() {
    for scheme in ["http", "ws"] {
        let at = serve(|m, p, _| Chain { gateway: true, ..Chain::new(10, true) }.say(m, p));
        let seen = look(&[asked(&node(scheme, at))]);
        assert!(matches!(&seen.waits[..], [Wait::Unseen { .. }]), "{seen:?}");
        assert!(matches!(&seen.nodes[0].said, NodeSaid::Believed { lacks, .. } if lacks == &["Filecoin.StateMinerPartitions"]));
    }
}

#[test]
fn a_node_that_is_behind_is_named() {
    let at = serve(|m, p, _| Chain { behind: 20, ..Chain::new(30, true) }.say(m, p));
    let seen = look(&[asked(&node("http", at))]);
    assert!(matches!(&seen.nodes[0].said, NodeSaid::Disbelieved { why: Disbelief::Behind { .. } }) && seen.waits == [Wait::NoneBelieved]);
}

#[test]
fn whoever_hangs_or_drips_is_cut_off_in_time() {
    for method in ["ChainHead", "StateMinerPartitions"] {
        for fault in odd(method, &Say::Hang) {
            assert_eq!(fault.trouble, Trouble::Hangs);
        }
    }
    let faults = odd("ChainHead", &Say::Drip);
    assert_eq!(faults[0].trouble, Trouble::Hangs);
    assert!(matches!(faults[1].trouble, Trouble::Hangs | Trouble::Nonsense), "{faults:?}");
}

#[test]
fn nonsense_is_named() {
    for (say, word) in [
        (Say::Huge, "larger than 16 MB"),
        (Say::WrongId(json!(1)), "another request's id"),
        (Say::Batch(json!(1)), "a list"),
        (Say::Result(json!({ "Height": "x" })), "another shape"),
        (Say::Result(json!({ "Cids": [], "Blocks": [], "Height": 5 })), "without blocks"),
        (Say::Raw(200, b"<html>".to_vec()), "not JSON"),
    ] {
        for fault in odd("ChainHead", &say) {
            assert!(fault.trouble == Trouble::Nonsense && fault.why.contains(word), "{say:?}: {fault:?}");
        }
    }
    assert!(odd("StateMinerDeadlines", &Say::Result(json!([]))).iter().all(|f| f.why.contains("0 deadlines")));
    assert!(
        odd("StateMinerPartitions", &Say::Result(json!([{ "LiveSectors": [1, 0], "FaultySectors": [0] }])))
            .iter()
            .all(|f| f.why.contains("run of length 0"))
    );
    assert!(
        odd("StateMinerProvingDeadline", &Say::Error(1, "actor not found"))
            .iter()
            .all(|f| f.trouble == Trouble::Failed && f.why.contains("actor not found"))
    );
    assert!(odd("ChainHead", &Say::Close).iter().all(|f| !f.trouble.is_silence()));
}

#[test]
fn http_statuses_have_words_and_redirects_are_not_followed() {
    for (status, trouble, word) in [
        (401, Trouble::Refused, "token"),
        (403, Trouble::Refused, "403"),
        (429, Trouble::Failed, "too often"),
        (302, Trouble::Failed, "elsewhere"),
        (502, Trouble::Failed, "502"),
    ] {
        let fault = &odd("ChainHead", &Say::Raw(status, b"x".to_vec()))[0];
        assert!(fault.trouble == trouble && fault.why.contains(word), "{status}: {fault:?}");
    }
}

#[test]
fn nobody_listening_is_unreachable_and_the_next_place_is_tried() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("address");
    for scheme in ["http", "ws"] {
        assert_eq!(asked(&node(scheme, gone)).answer.expect_err("nobody").trouble, Trouble::Unreachable);
        let at = serve(|m, p, _| Chain::new(10, true).say(m, p));
        let both =
            Node { urls: Ok([gone, at].map(|a| format!("{scheme}://{a}/rpc/v1").parse().expect("a URL")).to_vec()), ..node(scheme, at) };
        assert!(asked(&both).answer.is_ok());
    }
}

#[test]
fn the_other_family_works_too() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
    let at = common::serve_on(listener, |m, p, _| Chain::new(10, true).say(m, p));
    for scheme in ["http", "ws"] {
        assert!(asked(&node(scheme, at)).answer.is_ok());
    }
}

#[test]
fn the_token_is_sent_and_nowhere_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("token");
    std::fs::write(&file, "eyJhbGciOi.eyJBbGxvdyI.c2ln\n").expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("mode");
    let admin = |m: &str, p: &Value, token: Option<&str>| match token {
        Some("Bearer eyJhbGciOi.eyJBbGxvdyI.c2ln") if m == "WorkerJobs" => {
            Say::Result(json!({ "w": [{ "Task": "seal/v0/precommit/1", "RunWait": 0 }, { "Task": "post/v0/windowproof", "RunWait": -1 }] }))
        }
        Some("Bearer eyJhbGciOi.eyJBbGxvdyI.c2ln") | None => Chain::new(10, true).say(m, p),
        Some(_) => Say::Raw(401, Vec::new()),
    };
    let at = serve(admin);
    for scheme in ["http", "ws"] {
        let with = Node { token: Some(file.clone()), ..node(scheme, at) };
        let seen = jobs(&with, JobKind::Miner, TIMEOUT);
        assert_eq!(seen.text(), "1 seal/v0/precommit/1 under way");
        assert!(!format!("{with:?}{seen:?}").contains("eyJ"));
        let without = jobs(&node(scheme, at), JobKind::Miner, TIMEOUT);
        assert!(
            matches!(&without, Jobs::Unknown { fault, .. } if fault.trouble == Trouble::Refused && fault.why.contains("need 'admin'")),
            "{without:?}"
        );
        assert_eq!(jobs(&node(scheme, at), JobKind::Curio, TIMEOUT), Jobs::Cluster { source: "n".into(), cordoned: true });
    }
    let missing = Node { token: Some(PathBuf::from("/nonexistent/token")), ..node("http", at) };
    assert_eq!(asked(&missing).answer.expect_err("not asked").trouble, Trouble::NotAsked);
}
