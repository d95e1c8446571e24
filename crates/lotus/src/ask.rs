//! A node's conversation: head, a settled tipset, and for each miner deadline, landed proofs and partitions, all at those two tipsets, so
//! that a chain that grows meanwhile mixes nothing. In come a node and miners, out comes a [`Reply`] within the time given.

use crate::{
    Method, Token,
    channel::{Channel, hangs},
    wire::{self, Said, TipSet, fault},
};
use deadline::{
    Answer, Fault, Jobs, MinerAnswer, Reply, Trouble,
    chain::{DEADLINES, SETTLED_EPOCHS},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use words::ApiUrl;

/// A node that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// As the site file calls it.
    pub name: String,
    /// Its places, tried in order until one connects; empty with the reason where there is none.
    pub urls: Result<Vec<ApiUrl>, String>,
    /// File with its token.
    pub token: Option<PathBuf>,
}

/// How many deadlines are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Until the next one that wants a proof: what a short interruption needs.
    Next,
    /// All of the period: what tells the longest window.
    All,
}

/// What is asked about jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// lotus-miner.
    Miner,
    /// Curio.
    Curio,
}

struct Client {
    channel: Channel,
    id: u64,
    until: Instant,
}

impl Client {
    fn call<T>(&mut self, method: Method, params: &Value, read: impl FnOnce(&[u8], u64) -> Result<T, Said>) -> Result<T, Said> {
        self.id += 1;
        let bytes = self.channel.call(&wire::request(self.id, method, params), self.until)?;
        read(&bytes, self.id)
    }
}

/// Asks a node about miners.
pub fn ask(node: &Node, miners: &[String], depth: Depth, timeout: Duration) -> Reply {
    let miners = miners.to_vec();
    Reply { node: node.name.clone(), answer: within(node, timeout, move |client| answer(client, &miners, depth)) }
}

/// Asks a miner or a Curio node what is under way.
pub fn jobs(node: &Node, kind: JobKind, timeout: Duration) -> Jobs {
    let source = node.name.clone();
    let asked = within(node, timeout, move |client| match kind {
        JobKind::Miner => client.call(Method::WorkerJobs, &json!([]), wire::worker_jobs).map(Ok).map_err(|s| s.fault(Method::WorkerJobs)),
        JobKind::Curio => client.call(Method::Info, &json!([]), wire::cordoned).map(Err).map_err(|s| s.fault(Method::Info)),
    });
    match asked {
        Ok(Ok(jobs)) => Jobs::Workers { source, jobs },
        Ok(Err(cordoned)) => Jobs::Cluster { source, cordoned },
        Err(fault) => Jobs::Unknown { source, fault },
    }
}

/// Does it in a thread of its own: name resolution knows no time limit, and a node that hangs in any way must not hang us.
fn within<T: Send + 'static>(
    node: &Node,
    timeout: Duration,
    work: impl FnOnce(&mut Client) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let urls = node.urls.clone().map_err(|why| fault(Trouble::NotAsked, why))?;
    let token = node.token.as_deref().map(Token::read).transpose()?;
    let until = Instant::now() + timeout;
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let _ = done.send(open(&urls, token.as_ref(), until).and_then(|mut client| work(&mut client)));
    });
    // The channel's own time comes first; a little more is for its words to arrive.
    wait.recv_timeout(timeout + Duration::from_millis(200)).unwrap_or_else(|_| Err(hangs()))
}

/// The first place that connects. HTTP connects with its first request: the head is asked for nothing but that.
fn open(urls: &[ApiUrl], token: Option<&Token>, until: Instant) -> Result<Client, Fault> {
    let mut last = fault(Trouble::NotAsked, "it has no address");
    for (n, url) in urls.iter().enumerate() {
        // Each further place keeps its share of the time.
        let others = u32::try_from(urls.len() - n).unwrap_or(1);
        let share = Instant::now() + until.saturating_duration_since(Instant::now()) / others;
        let opened = Channel::open(url, token, share).map(|channel| Client { channel, id: 0, until: share });
        let tried = opened.and_then(|mut client| {
            if others > 1 {
                // Any word at all says that somebody is there; what it means is asked afterwards.
                if let Err(Said::Fault(f)) = client.call(Method::ChainHead, &json!([]), |_, _| Ok(()))
                    && f.trouble.is_silence()
                {
                    return Err(f);
                }
            }
            client.until = until;
            Ok(client)
        });
        match tried {
            Err(f) if f.trouble.is_silence() => last = f,
            other => return other,
        }
    }
    Err(last)
}

fn answer(client: &mut Client, miners: &[String], depth: Depth) -> Result<Answer, Fault> {
    let head = tipset(client, Method::ChainHead, &json!([]))?;
    let height = head.head.height.saturating_sub(SETTLED_EPOCHS).max(0);
    let settled = tipset(client, Method::ChainGetTipSetByHeight, &json!([height, head.key]))?;
    let mut out = Answer { head: head.head, settled: settled.head, miners: BTreeMap::new(), lacks: Vec::new() };
    for miner in miners {
        let said = of_miner(client, miner, &head, &settled, depth, &mut out.lacks)?;
        out.miners.insert(miner.clone(), said);
    }
    out.lacks.sort();
    out.lacks.dedup();
    Ok(out)
}

fn tipset(client: &mut Client, method: Method, params: &Value) -> Result<TipSet, Fault> {
    client.call(method, params, |bytes, id| wire::tipset(bytes, id, method)).map_err(|s| s.fault(method))
}

fn of_miner(
    client: &mut Client,
    miner: &str,
    head: &TipSet,
    settled: &TipSet,
    depth: Depth,
    lacks: &mut Vec<String>,
) -> Result<MinerAnswer, Fault> {
    let method = Method::StateMinerProvingDeadline;
    let info = client.call(method, &json!([miner, head.key]), wire::info).map_err(|s| s.fault(method))?;
    let mut out = MinerAnswer { info, posted: None, partitions: BTreeMap::new() };
    let Some(index) = usize::try_from(info.index).ok().filter(|_| info.index < DEADLINES) else { return Ok(out) };
    match client.call(Method::StateMinerDeadlines, &json!([miner, settled.key]), wire::posted) {
        Ok(all) => out.posted = all.into_iter().nth(index),
        Err(Said::Lacks) => lacks.push(Method::StateMinerDeadlines.name().to_owned()),
        Err(Said::Fault(f)) => return Err(f),
    }
    for ahead in 0..DEADLINES {
        let deadline = (info.index + ahead) % DEADLINES;
        match client.call(Method::StateMinerPartitions, &json!([miner, deadline, head.key]), wire::partitions) {
            Ok(partitions) => {
                let wants = partitions.iter().any(deadline::Partition::wants_proof);
                out.partitions.insert(deadline, partitions);
                if wants && ahead > 0 && depth == Depth::Next {
                    break;
                }
            }
            Err(Said::Lacks) => {
                lacks.push(Method::StateMinerPartitions.name().to_owned());
                break;
            }
            Err(Said::Fault(f)) => return Err(f),
        }
    }
    Ok(out)
}
