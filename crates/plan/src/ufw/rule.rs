//! One rule as UFW knows it, and the form its iptables rules have once they are read back. Nothing comes in but its own fields.
//! Never: a rule without a reason (its id).

use crate::build::{is, one_of};
use crate::grant::{interval, proto};
use ipnet::IpNet;
use ruleset::{Key, Rule, Statement, Value, Verdict, ufw::prefix};
use serde::Serialize;
use words::{Family, Proto};

/// What a host holds through UFW.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct UfwPlan {
    /// Ravelin's rules, in order.
    pub rules: Vec<UfwRule>,
    /// Application profiles, sorted by name.
    pub profiles: Vec<Profile>,
    /// Flows of protocols UFW has no word for.
    pub unsaid: Vec<(String, Proto)>,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the machine.
    In,
    /// From the machine.
    Out,
}

impl Direction {
    /// UFW's word.
    pub fn word(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }
    /// What its chain's name ends with.
    pub fn chain(self) -> &'static str {
        match self {
            Direction::In => "input",
            Direction::Out => "output",
        }
    }
}

/// A rule of UFW's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UfwRule {
    /// Family: UFW keeps a file for each.
    pub family: Family,
    /// Which way.
    pub direction: Direction,
    /// Lets pass; denies and logs otherwise.
    pub allow: bool,
    /// Protocol; `None` is any.
    pub proto: Option<Proto>,
    /// From.
    pub src: IpNet,
    /// From this port.
    pub sport: Option<u16>,
    /// To.
    pub dst: IpNet,
    /// To these ports, first and last; none is any. At most [`MOST_PORTS`] as iptables counts.
    pub dport: Vec<(u16, u16)>,
    /// Application profile the ports come from.
    pub app: Option<String>,
    /// Id of the flow, or of what the rule is there for.
    pub id: String,
    /// A word on it, for `ufw status`.
    pub word: String,
}

/// An application profile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Profile {
    /// Name, e.g. `ravelin-lotus-libp2p`.
    pub name: String,
    /// One line.
    pub title: String,
    /// Ports as UFW writes them in a profile: `24001/tcp|24001/udp`.
    pub ports: String,
}

/// Ports in one rule, a range counted as two: iptables' `multiport` (XT_MULTI_PORTS).
pub const MOST_PORTS: usize = 15;

/// Packets a minute that UFW logs of a rule, and at once: its own numbers.
const LOG_PER_MINUTE: u64 = 3;
const LOG_BURST: u64 = 10;
/// UFW's log prefix of what it refuses.
const LOG_PREFIX: &str = "[UFW BLOCK] ";

impl UfwRule {
    /// The chain of people's rules it stands in.
    pub fn chain(&self) -> String {
        format!("{}-user-{}", prefix(self.family), self.direction.chain())
    }
    /// The chain its log line stands in.
    pub fn logging(&self) -> String {
        format!("{}-user-logging-{}", prefix(self.family), self.direction.chain())
    }

    /// The rules it is in the kernel, by chain.
    pub fn form(&self) -> Vec<(String, Rule)> {
        let rule = |tail: Vec<Statement>| Rule {
            id: Some(self.id.clone()),
            statements: self.matches().into_iter().chain(tail).collect(),
            ..Rule::default()
        };
        let verdict = |v| rule(vec![Statement::Verdict(v)]);
        if self.allow {
            return vec![(self.chain(), verdict(Verdict::Accept))];
        }
        let limit = Statement::Limit { rate: LOG_PER_MINUTE, per: "minute".into(), burst: LOG_BURST, over: false, bytes: false };
        let log = Statement::Log { prefix: Some(LOG_PREFIX.into()), group: None, snaplen: None };
        vec![
            (self.logging(), rule(vec![one_of(Key::CtState, &[8]), limit, log])),
            (self.logging(), verdict(Verdict::Return)),
            (self.chain(), verdict(Verdict::Jump(self.logging()))),
            (self.chain(), verdict(Verdict::Drop)),
        ]
    }

    fn matches(&self) -> Vec<Statement> {
        let (src, dst) = crate::build::addresses(self.family);
        let mut out = Vec::new();
        if let Some(p) = self.proto {
            out.push(one_of(Key::L4Proto, &[proto(p, self.family).into()]));
        }
        for (key, net) in [(src, &self.src), (dst, &self.dst)] {
            if net.prefix_len() > 0 {
                out.push(is(key, [interval(net)]));
            }
        }
        if !self.dport.is_empty() {
            out.push(is(Key::Dport, self.dport.iter().map(|(a, b)| Value::Range((*a).into(), (*b).into()))));
        }
        if let Some(p) = self.sport {
            out.push(one_of(Key::Sport, &[p.into()]));
        }
        out
    }
}
