//! JSON-RPC 2.0 on the wire. In come bytes that somebody else chose, out comes what was asked for, or what is wrong with it. Total: every
//! text gives one or the other; sizes are bounded by the reader that brought the bytes.

use crate::method::Method;
use deadline::{Bits, Fault, Head, Info, Job, Partition, Trouble, chain::DEADLINES};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Longest text of a node that is shown, in characters.
const SHOWN: usize = 200;
/// JSON-RPC's code for a method that is not there (section 5.1 of its specification).
const NO_METHOD: i64 = -32_601;
/// Most blocks of a tipset that are looked at: five are expected, and odds of a hundred are nil.
const MAX_BLOCKS: usize = 100;
/// Longest content id in bytes; the usual ones have 62.
const MAX_CID: usize = 128;

/// A tipset: its key, height and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TipSet {
    /// For asking about it again.
    pub key: Vec<Cid>,
    /// Height and time.
    pub head: Head,
}

/// A content id, as nodes write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cid {
    #[serde(rename = "/")]
    link: String,
}

/// What came back instead of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The node does not have the method.
    Lacks,
    /// Anything else.
    Fault(Fault),
}

impl From<Fault> for Said {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Said {
    /// As a fault of the node.
    pub fn fault(self, method: Method) -> Fault {
        match self {
            Self::Fault(fault) => fault,
            Self::Lacks => Fault { trouble: Trouble::Failed, why: format!("it does not have {}", method.name()) },
        }
    }
}

/// A fault with words of ours.
pub(crate) fn fault(trouble: Trouble, why: impl Into<String>) -> Fault {
    Fault { trouble, why: why.into() }
}

fn nonsense(why: impl Into<String>) -> Said {
    Said::Fault(fault(Trouble::Nonsense, why))
}

/// Somebody else's words, fit for a terminal: no secrets, no control characters, short.
pub fn shown(text: &str) -> String {
    let (clean, _) = facts::secret::redact(text);
    let mut out: String = clean.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    if clean.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    out
}

/// A request.
pub fn request(id: u64, method: Method, params: &Value) -> Vec<u8> {
    json!({ "jsonrpc": "2.0", "id": id, "method": method.name(), "params": params }).to_string().into_bytes()
}

/// The result of request `id`. A missing one is `null`: Go leaves it out.
pub fn result<T: DeserializeOwned>(bytes: &[u8], id: u64, method: Method) -> Result<T, Said> {
    let name = method.name();
    let value: Value =
        serde_json::from_slice(bytes).map_err(|e| nonsense(format!("{name}: its answer is not JSON: {}", shown(&e.to_string()))))?;
    let Value::Object(mut answer) = value else {
        let what = if value.is_array() { "a list" } else { "no object" };
        return Err(nonsense(format!("{name}: it answered with {what}")));
    };
    if answer.get("id") != Some(&json!(id)) {
        return Err(nonsense(format!("{name}: its answer carries another request's id")));
    }
    if let Some(error) = answer.get("error").filter(|e| !e.is_null()) {
        return Err(refused(error, name));
    }
    let result = answer.remove("result").unwrap_or(Value::Null);
    serde_json::from_value(result).map_err(|e| nonsense(format!("{name}: its answer is of another shape: {}", shown(&e.to_string()))))
}

fn refused(error: &Value, name: &str) -> Said {
    let code = error.get("code").and_then(Value::as_i64);
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    if code == Some(NO_METHOD) {
        return Said::Lacks;
    }
    let said = shown(message);
    // go-jsonrpc has no code of its own for it (`auth/auth.go`).
    let trouble = if message.contains("missing permission") { Trouble::Refused } else { Trouble::Failed };
    Said::Fault(fault(trouble, format!("{name}: it says: {said}")))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireTipSet {
    cids: Vec<Cid>,
    blocks: Vec<WireBlock>,
    height: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireBlock {
    timestamp: u64,
    height: i64,
}

/// A tipset.
pub fn tipset(bytes: &[u8], id: u64, method: Method) -> Result<TipSet, Said> {
    let wire: WireTipSet = result(bytes, id, method)?;
    let (name, blocks) = (method.name(), &wire.blocks);
    let first = blocks.first().ok_or_else(|| nonsense(format!("{name}: a tipset without blocks")))?;
    if blocks.len() > MAX_BLOCKS || wire.cids.len() != blocks.len() || wire.cids.iter().any(|c| c.link.len() > MAX_CID) {
        return Err(nonsense(format!("{name}: a tipset that is none: its blocks and their ids do not fit")));
    }
    if blocks.iter().any(|b| b.height != wire.height || b.timestamp != first.timestamp) {
        return Err(nonsense(format!("{name}: a tipset whose blocks have several heights or times")));
    }
    Ok(TipSet { head: Head { height: wire.height, timestamp: first.timestamp }, key: wire.cids })
}

/// The open deadline.
pub fn info(bytes: &[u8], id: u64) -> Result<Info, Said> {
    result(bytes, id, Method::StateMinerProvingDeadline)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireDeadline {
    post_submissions: Bits,
}

/// Partitions whose proofs have landed, by deadline.
pub fn posted(bytes: &[u8], id: u64) -> Result<Vec<Bits>, Said> {
    let all: Vec<WireDeadline> = result(bytes, id, Method::StateMinerDeadlines)?;
    if all.len() as u64 != DEADLINES {
        return Err(nonsense(format!("{}: {} deadlines, a period has {DEADLINES}", Method::StateMinerDeadlines.name(), all.len())));
    }
    Ok(all.into_iter().map(|d| d.post_submissions).collect())
}

/// Partitions of a deadline; lotus writes `null` where there are none.
pub fn partitions(bytes: &[u8], id: u64) -> Result<Vec<Partition>, Said> {
    Ok(result::<Option<Vec<Partition>>>(bytes, id, Method::StateMinerPartitions)?.unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireJob {
    task: String,
    run_wait: i64,
}

/// Jobs of all workers. `RunWait` 0 runs, above waits for its turn on the worker, below has ended there (lotus `storiface/worker.go`).
pub fn worker_jobs(bytes: &[u8], id: u64) -> Result<Vec<Job>, Said> {
    let all: Option<BTreeMap<String, Option<Vec<WireJob>>>> = result(bytes, id, Method::WorkerJobs)?;
    let jobs = all.unwrap_or_default().into_values().flatten().flatten();
    Ok(jobs.map(|j| Job { task: shown(&j.task), running: j.run_wait >= 0 }).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireInfo {
    unschedulable: bool,
}

/// Whether a Curio node is cordoned.
pub fn cordoned(bytes: &[u8], id: u64) -> Result<bool, Said> {
    result::<WireInfo>(bytes, id, Method::Info).map(|i| i.unschedulable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(result: &Value) -> Vec<u8> {
        json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string().into_bytes()
    }

    #[test]
    fn documented_shapes_are_read() {
        let said = partitions(
            &answer(
                &json!([{ "AllSectors": [5, 1], "FaultySectors": [5, 1], "RecoveringSectors": [0], "LiveSectors": [5, 1], "ActiveSectors": [0] }]),
            ),
            1,
        );
        assert!(!said.expect("partitions")[0].wants_proof());
        assert_eq!(partitions(&answer(&Value::Null), 1), Ok(vec![]), "lotus writes null for a deadline without partitions");
        assert_eq!(partitions(br#"{"jsonrpc":"2.0","id":1}"#, 1), Ok(vec![]), "a missing result is null");
        let jobs = json!({ "ef8d99a2": [{ "ID": { "Sector": { "Miner": 1000, "Number": 100 }, "ID": "76081ba0" }, "Sector": { "Miner": 1000, "Number": 100 },
            "Task": "seal/v0/precommit/2", "RunWait": 0, "Start": "2020-11-12T09:22:07Z", "Hostname": "host" }], "0": null });
        assert_eq!(worker_jobs(&answer(&jobs), 1), Ok(vec![Job { task: "seal/v0/precommit/2".into(), running: true }]));
        assert_eq!(cordoned(&answer(&json!({ "ID": 123, "Unschedulable": true, "Tasks": "x" })), 1), Ok(true));
    }

    #[test]
    fn errors_are_told_apart_and_their_words_made_harmless() {
        let error = |code: i64, message: &str| {
            let bytes = json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": code, "message": message } }).to_string();
            cordoned(bytes.as_bytes(), 1).expect_err("an error")
        };
        assert_eq!(error(-32_601, "method 'Filecoin.Info' not found"), Said::Lacks);
        assert!(
            matches!(error(1, "missing permission to invoke 'WorkerJobs' (need 'admin')"), Said::Fault(f) if f.trouble == Trouble::Refused)
        );
        let Said::Fault(f) =
            error(1, &format!("\u{1b}[2Jbad token=eyJhbGciOiJIUzI1NiJ9.eyJBbGxvdyI6W119.c2lnbmF0dXJl {}", "x".repeat(999)))
        else {
            panic!()
        };
        assert!(
            f.trouble == Trouble::Failed && !f.why.contains('\u{1b}') && !f.why.contains("eyJ") && f.why.chars().count() < 260,
            "{}",
            f.why
        );
        for bad in [
            "",
            "[]",
            "3",
            "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}]",
            "{\"id\":2,\"result\":{}}",
            "{\"id\":1,\"result\":7}",
            "<html>",
        ] {
            assert!(matches!(cordoned(bad.as_bytes(), 1), Err(Said::Fault(f)) if f.trouble == Trouble::Nonsense), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_a_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..400) {
            let good = json!({ "Cids": [{ "/": "bafy2" }], "Blocks": [{ "Timestamp": 5, "Height": 7 }], "Height": 7 });
            let mut text = answer(&good);
            text.truncate(cut);
            text.extend(bytes);
            let _ = (tipset(&text, 1, Method::ChainHead), info(&text, 1), posted(&text, 1), partitions(&text, 1), worker_jobs(&text, 1), cordoned(&text, 1));
        }
    }
}
