//! How long `ravelin audit` takes: as root, as nobody, and where there is much to judge, a firewall of a thousand hosts with two
//! hundred sockets behind it in a network namespace of its own. In comes the program, out come seconds, memory, and how many rules
//! could be decided.

use crate::{
    Error, emitted, stage,
    whole::{self, Cost},
};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

/// One place.
#[derive(Debug, Clone)]
pub struct Audit {
    /// Where, and as whom.
    pub place: String,
    /// What it cost.
    pub cost: Cost,
    /// Rules that were decided: passed, or with a finding.
    pub decided: usize,
    /// Rules a source was missing for.
    pub unknown: usize,
}

/// `nobody` of every distribution.
const NOBODY: &str = "65534";
/// Hosts of the site whose firewall is judged.
const HOSTS: usize = 1_000;
/// Sockets that listen on it.
const SOCKETS: u16 = 200;
/// The first one's port.
const FIRST: u16 = 20_000;

/// Runs the program so many times in each place this account may go to.
pub fn audits(program: &Path, times: usize) -> Result<Vec<Audit>, Error> {
    let plain = |words: &[&str]| {
        let mut command = Command::new(words.first().copied().unwrap_or_default());
        command.args(words.iter().skip(1)).arg(program).args(["audit", "--json"]);
        command
    };
    let mut out = Vec::new();
    let mut take = |place: &str, words: &[&str]| -> Result<(), Error> {
        out.push(judged(place, whole::cost(times, || plain(words))?)?);
        Ok(())
    };
    if !stage::root() {
        take("this machine, without root", &["env"])?;
        return Ok(out);
    }
    take("this machine, as root", &["env"])?;
    take("this machine, as nobody", &["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])?;
    let firewall = Firewall::up()?;
    let process = firewall.0.id().to_string();
    take(&format!("a firewall of {HOSTS} hosts, {SOCKETS} sockets, as root"), &["nsenter", "--target", &process, "--net"])?;
    Ok(out)
}

fn judged(place: &str, cost: Cost) -> Result<Audit, Error> {
    let report: serde_json::Value = serde_json::from_str(&cost.said).map_err(|e| Error::Invalid(format!("{place}: {e}")))?;
    let of = |key: &str| -> std::collections::BTreeSet<String> {
        let all = report[key].as_array().into_iter().flatten();
        all.filter_map(|f| Some(f["code"].as_str().or(f.as_str())?.to_owned())).collect()
    };
    let (unknown, mut decided) = (of("unknown"), of("passed"));
    // A rule may find something and still not have seen everything.
    decided.extend(of("findings").difference(&unknown).cloned());
    Ok(Audit { place: place.to_owned(), cost, decided: decided.len(), unknown: unknown.len() })
}

/// A process in a network namespace of its own that holds rules and sockets; gone with this value.
struct Firewall(Child);

impl Firewall {
    fn up() -> Result<Self, Error> {
        let rules = tempfile::NamedTempFile::new().map_err(Error::call("file for the ruleset"))?;
        fs::write(rules.path(), emitted::edge(HOSTS)?.script()).map_err(Error::call("writing the ruleset"))?;
        let own = std::env::current_exe().map_err(Error::call("own program"))?;
        let script = "set -e; ip link set lo up; ip link add lan0 type veth peer name far0; ip address add 10.20.20.11/24 dev lan0; \
                      ip link set lan0 up; ip link set far0 up; ip route add default via 10.20.20.1 dev lan0; nft -f \"$1\"; \
                      exec \"$0\" listen";
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", script]).arg(own).arg(rules.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(Error::call("cannot run unshare"))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(Error::call("the firewall's word"))?;
        }
        let up = Self(child);
        if line.trim() == READY { Ok(up) } else { Err(Error::Invalid("the firewall did not come up; what it said stands above".into())) }
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What [`listen`] says when it does.
pub const READY: &str = "ready";

/// Listens on every address until the other end of standard input is closed. `say` tells that it does.
pub fn listen(say: impl Fn(&str)) -> Result<(), Error> {
    let bind = |n: u16| TcpListener::bind(("0.0.0.0", FIRST + n)).map_err(Error::call("a socket"));
    let held: Vec<TcpListener> = (0..SOCKETS).map(bind).collect::<Result<_, _>>()?;
    say(READY);
    let _ = std::io::stdin().read(&mut [0]);
    drop(held);
    Ok(())
}
