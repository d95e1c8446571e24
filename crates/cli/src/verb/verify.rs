//! `ravelin verify`: real connections from where this machine stands, held against the site file. For firewalls that are not
//! ours, and as a second opinion on ours: run it on a machine outside and on one in each zone. Sends TCP handshakes to the
//! site's own addresses and nothing else.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input::{self, SiteArgument},
    paint::{BAD, DIM, GOOD, WARN, paint, table},
    progress, sarif,
    trouble::Trouble,
};
use clap::Args;
use serde::Serialize;
use site::vantage::{Attempt, attempts, zone_of};
use std::{
    collections::BTreeSet,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

/// How long to wait for an answer: three times a slow round trip, and longer than the first retransmission of a SYN (1 s).
const PATIENCE_SECONDS: f64 = 1.5;

/// Handshakes under way at once: below the SYN rate that a cautious firewall takes for a scan, and done in seconds.
const AT_ONCE: usize = 64;

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    /// Address this machine is seen with, where it is translated on the way [default: this machine's own addresses]
    #[arg(long = "as", value_name = "ADDRESS")]
    seen_as: Vec<IpAddr>,
    /// Seconds to wait for each answer
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE_SECONDS)]
    patience: f64,
    /// Show every attempt, not only those that differ
    #[arg(long)]
    all: bool,
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Seen {
    /// The handshake was answered.
    Open,
    /// A reset came back: from the machine, or from a firewall that rejects instead of dropping.
    Refused,
    /// Nothing came back.
    Silent,
    /// No route, or an ICMP error came back.
    Unreachable,
}

/// What it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// As the site file says.
    Right,
    /// Open, and nothing allows it.
    TooWide,
    /// Allowed, and nothing came through.
    TooNarrow,
    /// A reset where nothing is allowed: a firewall that rejects, or a machine that was reached. Look at it from the other side.
    Unclear,
    /// The machine answered nothing at all, allowed or not: it may be down.
    Unproven,
}

#[derive(Serialize)]
struct Result {
    #[serde(flatten)]
    attempt: Attempt,
    seen: Seen,
    verdict: Verdict,
}

#[derive(Serialize)]
struct Report {
    from: BTreeSet<IpAddr>,
    zones: BTreeSet<String>,
    results: Vec<Result>,
    #[serde(skip)]
    all: bool,
}

impl Report {
    fn count(&self, verdict: Verdict) -> usize {
        self.results.iter().filter(|r| r.verdict == verdict).count()
    }
    fn exit(&self) -> Exit {
        match (self.count(Verdict::TooWide) + self.count(Verdict::TooNarrow), self.count(Verdict::Unproven) + self.count(Verdict::Unclear))
        {
            (0, 0) => Exit::Ok,
            (0, _) => Exit::Unproven,
            _ => Exit::Found,
        }
    }
}

impl Result {
    fn words(&self) -> String {
        let said = self.attempt.flow.as_ref().map_or("nothing allows it".to_owned(), |f| format!("allowed by {f}"));
        match self.verdict {
            Verdict::Right => paint(GOOD, format!("as the site file says ({said})")),
            Verdict::TooWide => paint(BAD, "open, and nothing allows it"),
            Verdict::TooNarrow => paint(BAD, format!("{said}, and nothing came through")),
            Verdict::Unclear => paint(WARN, "a reset came back and nothing is allowed: a firewall that rejects, or the machine itself"),
            Verdict::Unproven => paint(DIM, format!("{said}; the machine answered nothing at all")),
        }
    }
}

impl Face for Report {
    fn text(&self) -> String {
        let shown = |r: &&Result| self.all || !matches!(r.verdict, Verdict::Right | Verdict::Unproven);
        let rows: Vec<Vec<String>> = self
            .results
            .iter()
            .filter(shown)
            .map(|r| {
                let a = &r.attempt;
                vec![
                    a.host.to_string(),
                    a.to.to_string(),
                    a.endpoint.clone().unwrap_or_default(),
                    format!("{:?}", r.seen).to_lowercase(),
                    r.words(),
                ]
            })
            .collect();
        let from: Vec<String> = self.from.iter().map(ToString::to_string).collect();
        let zones: Vec<&str> = self.zones.iter().map(String::as_str).collect();
        format!(
            "{}from {} ({}): {} connections tried, {} as the site file says, {} too wide, {} too narrow, {} unclear, {} unproven\n",
            table(&rows),
            from.join(", "),
            zones.join(", "),
            self.results.len(),
            self.count(Verdict::Right),
            self.count(Verdict::TooWide),
            self.count(Verdict::TooNarrow),
            self.count(Verdict::Unclear),
            self.count(Verdict::Unproven),
        )
    }
    fn sarif(&self) -> Option<serde_json::Value> {
        let finding = |r: &Result| {
            let (code, level) = match r.verdict {
                Verdict::TooWide => ("VERIFY-WIDE", "error"),
                Verdict::TooNarrow => ("VERIFY-NARROW", "error"),
                Verdict::Unclear => ("VERIFY-UNCLEAR", "warning"),
                Verdict::Right | Verdict::Unproven => return None,
            };
            let words = anstream::adapter::strip_str(&r.words()).to_string();
            Some(sarif::Finding { code: code.into(), level, message: format!("{} {}: {words}", r.attempt.host, r.attempt.to), place: None })
        };
        Some(sarif::log(&self.results.iter().filter_map(finding).collect::<Vec<_>>()))
    }
}

/// Tries every connection and compares.
pub fn run(arguments: &Arguments, global: &Global) -> std::result::Result<Exit, Trouble> {
    let (model, _) = input::model(&arguments.site.site, global)?;
    let patience = Duration::try_from_secs_f64(arguments.patience)
        .ok()
        .filter(|p| !p.is_zero())
        .ok_or_else(|| Trouble::usage("--patience takes seconds above zero", "e.g. --patience 1.5"))?;
    let list = attempts(&model, |target| {
        let own = source_towards(target);
        own.and_then(|own| arguments.seen_as.iter().copied().find(|a| a.is_ipv4() == own.is_ipv4()).or(Some(own)))
    });
    if list.is_empty() {
        return Err(Trouble::usage("the site has no address to try from here", "say how this machine is seen: --as ADDRESS"));
    }
    let seen = progress::during("trying connections", || try_all(&list, patience));
    let alive: BTreeSet<IpAddr> =
        list.iter().zip(&seen).filter(|(_, s)| matches!(s, Seen::Open | Seen::Refused)).map(|(a, _)| a.to.ip()).collect();
    let results: Vec<Result> = list
        .into_iter()
        .zip(seen)
        .map(|(attempt, seen)| {
            let verdict = judge(&attempt, seen, alive.contains(&attempt.to.ip()));
            Result { attempt, seen, verdict }
        })
        .collect();
    let from: BTreeSet<IpAddr> = results.iter().map(|r| r.attempt.from).collect();
    let zones = from.iter().map(|&a| zone_of(&model, a).map_or("internet".to_owned(), ToString::to_string)).collect();
    let report = Report { results, zones, from, all: arguments.all };
    show(global, &report)?;
    Ok(report.exit())
}

fn judge(attempt: &Attempt, seen: Seen, alive: bool) -> Verdict {
    match (attempt.flow.is_some(), seen) {
        (true, Seen::Open | Seen::Refused) => Verdict::Right,
        (true, _) if alive => Verdict::TooNarrow,
        (false, Seen::Open) => Verdict::TooWide,
        (false, Seen::Refused) => Verdict::Unclear,
        (false, _) if alive => Verdict::Right,
        (_, Seen::Silent | Seen::Unreachable) => Verdict::Unproven,
    }
}

/// The address the kernel would send from; asking sends nothing.
fn source_towards(target: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((target, 9)).ok()?;
    socket.local_addr().ok().map(|a| a.ip())
}

fn try_all(list: &[Attempt], patience: Duration) -> Vec<Seen> {
    let next = AtomicUsize::new(0);
    let workers = AT_ONCE.min(list.len());
    let mut found: Vec<(usize, Seen)> = thread::scope(|scope| {
        let work = || {
            let mut own = Vec::new();
            while let Some((i, a)) = {
                let i = next.fetch_add(1, Ordering::Relaxed);
                list.get(i).map(|a| (i, a))
            } {
                own.push((i, connect(a.to, patience)));
            }
            own
        };
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        handles.into_iter().flat_map(|h| h.join().unwrap_or_default()).collect()
    });
    found.sort_by_key(|(i, _)| *i);
    found.into_iter().map(|(_, s)| s).collect()
}

fn connect(to: SocketAddr, patience: Duration) -> Seen {
    match TcpStream::connect_timeout(&to, patience) {
        Ok(_) => Seen::Open,
        Err(e) => match e.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => Seen::Refused,
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Seen::Silent,
            _ => Seen::Unreachable,
        },
    }
}
