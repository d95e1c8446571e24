//! A chain node for tests: a listener that answers JSON-RPC over HTTP and WebSocket with documented shapes, or misbehaves as told. Bound to
//! loopback; ends with its test.

#![allow(dead_code, reason = "each test uses its part")]

use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Mainnet's genesis in Unix seconds.
const GENESIS: i64 = 1_598_306_400;

/// What is said to a request.
#[derive(Debug, Clone)]
pub enum Say {
    /// A result.
    Result(Value),
    /// A JSON-RPC error.
    Error(i64, &'static str),
    /// These bytes with this HTTP status.
    Raw(u16, Vec<u8>),
    /// Nothing, for longer than any test waits.
    Hang,
    /// A byte at a time, for ever.
    Drip,
    /// An answer that does not end.
    Huge,
    /// A right answer to another request.
    WrongId(Value),
    /// A right answer in a list.
    Batch(Value),
    /// The connection ends.
    Close,
}

/// What a node is asked: method without its namespace, parameters, and the `Authorization` header.
pub type Handler = dyn Fn(&str, &Value, Option<&str>) -> Say + Send + Sync;

/// Starts a node; out comes where it listens.
pub fn serve(handler: impl Fn(&str, &Value, Option<&str>) -> Say + Send + Sync + 'static) -> SocketAddr {
    serve_on(TcpListener::bind("127.0.0.1:0").expect("a port"), handler)
}

pub fn serve_on(listener: TcpListener, handler: impl Fn(&str, &Value, Option<&str>) -> Say + Send + Sync + 'static) -> SocketAddr {
    let at = listener.local_addr().expect("its address");
    let handler: Arc<Handler> = Arc::new(handler);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handler = handler.clone();
            thread::spawn(move || connection(stream, &handler));
        }
    });
    at
}

fn connection(stream: TcpStream, handler: &Arc<Handler>) {
    let _ = stream.set_nodelay(true);
    let mut first = [0; 4096];
    let Ok(n) = stream.peek(&mut first) else { return };
    if String::from_utf8_lossy(&first[..n]).to_lowercase().contains("upgrade: websocket") {
        ws(stream, handler)
    } else {
        http(stream, handler)
    }
}

fn answer(request: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": request["id"], "result": result })
}

fn error(request: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": request["id"], "error": { "code": code, "message": message } })
}

fn asked(request: &Value) -> (&str, &Value) {
    let method = request["method"].as_str().expect("a method");
    (method.strip_prefix("Filecoin.").expect("the namespace"), &request["params"])
}

fn http(mut stream: TcpStream, handler: &Arc<Handler>) {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            let mut more = [0; 4096];
            match stream.read(&mut more) {
                Ok(n) if n > 0 => bytes.extend(&more[..n]),
                _ => return,
            }
        };
        let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
        assert!(text.starts_with("POST "), "{text}");
        let header = |name: &str| {
            text.lines().find_map(|l| l.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned()))
        };
        let length: usize = header("content-length").expect("a length").parse().expect("a number");
        while bytes.len() < head + length {
            let mut more = [0; 4096];
            match stream.read(&mut more) {
                Ok(n) if n > 0 => bytes.extend(&more[..n]),
                _ => return,
            }
        }
        let request: Value = serde_json::from_slice(&bytes[head..head + length]).expect("JSON");
        bytes.drain(..head + length);
        let (method, params) = asked(&request);
        let mut send = |status: u16, body: &[u8]| {
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        };
        match handler(method, params, header("authorization").as_deref()) {
            Say::Result(v) => send(200, answer(&request, &v).to_string().as_bytes()),
            // lotus answers a method's error with 500, a missing method with 500 as well.
            Say::Error(code, message) => send(500, error(&request, code, message).to_string().as_bytes()),
            Say::Raw(status, body) => send(status, &body),
            Say::WrongId(v) => send(200, json!({ "jsonrpc": "2.0", "id": 4711, "result": v }).to_string().as_bytes()),
            Say::Batch(v) => send(200, json!([answer(&request, &v)]).to_string().as_bytes()),
            Say::Close => return,
            Say::Hang => thread::sleep(Duration::from_secs(60)),
            Say::Drip => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
                while stream.write_all(b" ").is_ok() {
                    thread::sleep(Duration::from_millis(50));
                }
                return;
            }
            Say::Huge => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n");
                while stream.write_all(&[b' '; 65_536]).is_ok() {}
                return;
            }
        }
    }
}

#[expect(clippy::result_large_err, reason = "tungstenite's own signature")]
fn ws(stream: TcpStream, handler: &Arc<Handler>) {
    use tungstenite::{Message, handshake::server};
    let bearer = Mutex::new(None);
    let look = |request: &server::Request, response: server::Response| -> Result<server::Response, server::ErrorResponse> {
        *bearer.lock().expect("lock") = request.headers().get("authorization").map(|v| v.to_str().expect("text").to_owned());
        Ok(response)
    };
    let Ok(mut socket) = tungstenite::accept_hdr(stream, look) else { return };
    let bearer = bearer.lock().expect("lock").clone();
    while let Ok(message) = socket.read() {
        let Message::Text(text) = message else { continue };
        let request: Value = serde_json::from_str(text.as_str()).expect("JSON");
        let (method, params) = asked(&request);
        // A subscription's notification may stand before an answer.
        let _ = socket.send(Message::text(json!({ "jsonrpc": "2.0", "method": "xrpc.ch.val", "params": [1, []] }).to_string()));
        let said = match handler(method, params, bearer.as_deref()) {
            Say::Result(v) => answer(&request, &v).to_string(),
            Say::Error(code, message) => error(&request, code, message).to_string(),
            Say::Raw(_, body) => String::from_utf8_lossy(&body).into_owned(),
            Say::WrongId(v) => json!({ "jsonrpc": "2.0", "id": 4711, "result": v }).to_string(),
            Say::Batch(v) => json!([answer(&request, &v)]).to_string(),
            Say::Huge => " ".repeat(17 << 20),
            Say::Close => return,
            Say::Hang => {
                thread::sleep(Duration::from_secs(60));
                continue;
            }
            Say::Drip => {
                while socket.send(Message::Ping(Vec::new().into())).is_ok() {
                    thread::sleep(Duration::from_millis(1));
                }
                return;
            }
        };
        if socket.send(Message::text(said)).is_err() {
            return;
        }
    }
}

/// Unix seconds.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs().try_into().expect("small")
}

/// A chain and one miner on it, whose open deadline is so many epochs old.
#[derive(Debug, Clone, Copy)]
pub struct Chain {
    /// Epochs since the open deadline opened.
    pub into: i64,
    /// Its proof has landed.
    pub landed: bool,
    /// Epochs the head lies behind the clock.
    pub behind: i64,
    /// The node is a gateway: it has no partitions.
    pub gateway: bool,
}

impl Chain {
    pub fn new(into: i64, landed: bool) -> Self {
        Self { into, landed, behind: 0, gateway: false }
    }
    fn tipset(height: i64) -> Value {
        let block = json!({ "Miner": "f01000", "ElectionProof": { "WinCount": 1, "VRFProof": "" }, "Parents": [{ "/": "bafy2bzaceparent" }], "Height": height, "Timestamp": GENESIS + height * 30 });
        json!({ "Cids": [{ "/": format!("bafy2bzace{height}") }], "Blocks": [block], "Height": height })
    }
    /// What a node on this chain says.
    pub fn say(self, method: &str, params: &Value) -> Say {
        let clock = (now() - GENESIS) / 30;
        let height = clock - self.behind;
        let open = clock - self.into;
        let (index, period) = (20, open - 20 * 60);
        match method {
            "ChainHead" => Say::Result(Self::tipset(height)),
            "ChainGetTipSetByHeight" => Say::Result(Self::tipset(params[0].as_i64().expect("a height"))),
            "StateMinerProvingDeadline" => {
                let at = params[1][0]["/"].as_str().and_then(|c| c.strip_prefix("bafy2bzace")).expect("a tipset it gave");
                let at: i64 = at.parse().expect("a height");
                let elapsed = (at - period).div_euclid(60);
                let open = period + elapsed * 60;
                Say::Result(
                    json!({ "CurrentEpoch": at, "PeriodStart": period, "Index": elapsed, "Open": open, "Close": open + 60, "Challenge": open - 20,
                    "FaultCutoff": open - 70, "WPoStPeriodDeadlines": 48, "WPoStProvingPeriod": 2880, "WPoStChallengeWindow": 60,
                    "WPoStChallengeLookback": 20, "FaultDeclarationCutoff": 70 }),
                )
            }
            "StateMinerDeadlines" => {
                let bits = |d: i64| if d == index && self.landed { json!([0, 1]) } else { json!([0]) };
                Say::Result((0..48).map(|d| json!({ "PostSubmissions": bits(d), "DisputableProofCount": 1 })).collect())
            }
            "StateMinerPartitions" if self.gateway => Say::Error(-32_601, "method 'Filecoin.StateMinerPartitions' not found"),
            "StateMinerPartitions" => Say::Result(
                json!([{ "AllSectors": [0, 9], "FaultySectors": [0], "RecoveringSectors": [0], "LiveSectors": [0, 9], "ActiveSectors": [0, 9] }]),
            ),
            "WorkerJobs" => Say::Error(1, "missing permission to invoke 'WorkerJobs' (need 'admin')"),
            "Info" => Say::Result(
                json!({ "ID": 1, "CPU": 64, "RAM": 9, "GPU": 1, "HostPort": "10.0.0.1:12300", "Unschedulable": true, "Name": "c1" }),
            ),
            other => panic!("the client asked for {other}"),
        }
    }
}
