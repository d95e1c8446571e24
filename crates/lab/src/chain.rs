//! A chain node of the lab: it answers what is asked about a miner's proving deadlines, over HTTP, from a chain whose clock is this
//! machine's. In comes a listener, out goes JSON-RPC in lotus' shapes; whether the proof of the open deadline has landed is set from
//! outside. Never: more than the four methods a look at deadlines needs.

use crate::error::LabError;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Main network's genesis in Unix seconds, and seconds of an epoch (`filecoin` chain parameters): miners `f0…` are held against these.
const GENESIS: i64 = 1_598_306_400;
const EPOCH: i64 = 30;
/// Epochs of a deadline, and deadlines of a proving period.
const WINDOW: i64 = 60;
const DEADLINES: i64 = 48;
/// The deadline that is open.
const OPEN: i64 = 20;
/// Epochs since it opened when the node starts: its proof may have landed, and some ten minutes are left.
const INTO: i64 = 10;
/// Longest request that is read, in bytes.
const LONGEST: u64 = 64 << 10;
/// How long a client may be silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a tipset's name begins with; its height follows.
const TIPSET: &str = "bafy2bzace";

/// A node that answers until the program ends.
pub struct ChainNode {
    /// Where it listens.
    pub at: SocketAddr,
    landed: Arc<AtomicBool>,
}

impl ChainNode {
    /// Starts answering.
    pub fn serve(listener: TcpListener) -> Result<Self, LabError> {
        let at = listener.local_addr().map_err(LabError::io("address of the chain node"))?;
        let landed = Arc::new(AtomicBool::new(false));
        let chain = Arc::new(Chain { opened: height() - INTO, landed: landed.clone() });
        let accept = move || {
            for stream in listener.incoming().flatten() {
                let chain = chain.clone();
                thread::spawn(move || conversation(&stream, &chain));
            }
        };
        thread::Builder::new().name("lab-chain".into()).spawn(accept).map_err(LabError::io("start the chain node"))?;
        Ok(Self { at, landed })
    }

    /// The proof of the open deadline lands.
    pub fn land(&self) {
        self.landed.store(true, Ordering::SeqCst);
    }
}

struct Chain {
    opened: i64,
    landed: Arc<AtomicBool>,
}

/// Height by this machine's clock.
fn height() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    (i64::try_from(now).unwrap_or(i64::MAX) - GENESIS) / EPOCH
}

fn tipset(height: i64) -> Value {
    let block = json!({
        "Miner": "f01000", "ElectionProof": { "WinCount": 1, "VRFProof": "" }, "Parents": [{ "/": format!("{TIPSET}parent") }],
        "Height": height, "Timestamp": GENESIS + height * EPOCH
    });
    json!({ "Cids": [{ "/": format!("{TIPSET}{height}") }], "Blocks": [block], "Height": height })
}

impl Chain {
    /// What is answered; `None` for a method it does not have.
    fn say(&self, method: &str, params: &Value) -> Option<Value> {
        let period = self.opened - OPEN * WINDOW;
        Some(match method {
            "Filecoin.ChainHead" => tipset(height()),
            "Filecoin.ChainGetTipSetByHeight" => tipset(params.get(0)?.as_i64()?),
            "Filecoin.StateMinerProvingDeadline" => {
                let at: i64 = params.pointer("/1/0/~1")?.as_str()?.strip_prefix(TIPSET)?.parse().ok()?;
                let index = (at - period).div_euclid(WINDOW);
                let open = period + index * WINDOW;
                json!({
                    "CurrentEpoch": at, "PeriodStart": period, "Index": index, "Open": open, "Close": open + WINDOW, "Challenge": open - 20,
                    "FaultCutoff": open - 70, "WPoStPeriodDeadlines": DEADLINES, "WPoStProvingPeriod": DEADLINES * WINDOW,
                    "WPoStChallengeWindow": WINDOW, "WPoStChallengeLookback": 20, "FaultDeclarationCutoff": 70
                })
            }
            "Filecoin.StateMinerDeadlines" => {
                let proved = |d: i64| d == OPEN && self.landed.load(Ordering::SeqCst);
                let one =
                    |d: i64| json!({ "PostSubmissions": if proved(d) { json!([0, 1]) } else { json!([0]) }, "DisputableProofCount": 1 });
                (0..DEADLINES).map(one).collect()
            }
            "Filecoin.StateMinerPartitions" => {
                let sectors = json!([0, 9]);
                json!([{ "AllSectors": sectors, "FaultySectors": [0], "RecoveringSectors": [0], "LiveSectors": sectors, "ActiveSectors": sectors }])
            }
            _ => return None,
        })
    }
}

/// Requests of one connection, one after the other; anything else ends it.
fn conversation(stream: &TcpStream, chain: &Chain) {
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let mut reader = BufReader::new(stream);
    while let Some(body) = request(&mut reader) {
        let asked: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (id, method) = (&asked["id"], asked["method"].as_str().unwrap_or_default());
        let (status, said) = match chain.say(method, &asked["params"]) {
            Some(result) => (200, json!({ "jsonrpc": "2.0", "id": id, "result": result })),
            None => (
                500,
                json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32_601, "message": format!("method '{method}' not found") } }),
            ),
        };
        let said = said.to_string();
        let head = format!("HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", said.len());
        let mut writer = stream;
        if writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(said.as_bytes())).is_err() {
            return;
        }
    }
}

/// A request's body; `None` at the end, and where it is none.
fn request(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut bounded = reader.take(LONGEST);
    let mut length = None;
    loop {
        let mut line = String::new();
        bounded.read_line(&mut line).ok().filter(|n| *n > 0)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse::<usize>().ok(),
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length.filter(|l| *l <= LONGEST as usize)?];
    bounded.read_exact(&mut body).ok()?;
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use deadline::Policy;
    use lotus::{Asker, Depth, Node, Passed};

    #[test]
    fn a_window_opens_when_the_proof_lands() {
        let node = ChainNode::serve(TcpListener::bind("127.0.0.1:0").expect("a port")).expect("a node");
        let url = format!("http://{}/rpc/v1", node.at).parse().expect("a URL");
        let asker = Asker {
            nodes: vec![Node { name: "lab".into(), urls: Ok(vec![url]), token: None }],
            jobs: Vec::new(),
            miners: vec!["f01234".into()],
            settings: deadline::Settings { margin: 120, wait_for_sealing: false },
            timeout: Duration::from_secs(20),
        };
        let before = asker.look(Depth::All);
        assert_eq!(before.free(), 0, "{before:?}");
        let impatient = Policy { max_wait: 0, unreachable: deadline::Unreachable::Refuse };
        assert!(matches!(asker.wait(300, impatient, &mut |_| {}), Passed::Refused(..)));
        node.land();
        assert!(asker.look(Depth::Next).free() > 300);
        assert!(matches!(asker.wait(300, impatient, &mut |_| {}), Passed::Fits(..)));
    }
}
