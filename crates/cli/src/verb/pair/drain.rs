//! Hands everything to the other node, or takes that word back. In comes nothing but the word, out goes one number into the file that
//! keepalived watches, and what became of the addresses. It outlives a boot. Never: takes anything back by itself: who is active stays so;
//! says that a node is drained while it holds addresses.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    machine,
    trouble::Trouble,
};
use apply::pair::{GONE_WITHIN, tell, until_gone};
use bundle::pair::KEEPALIVED;
use clap::Args;
use serde::Serialize;
use std::{collections::BTreeSet, convert::Infallible, net::IpAddr};

/// Arguments of `pair drain`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Takes it back: this node may be active again when the other one is worse
    #[arg(long = "return")]
    back: bool,
}

#[derive(Serialize)]
struct Drained {
    drained: bool,
    /// Addresses of the election that are still here.
    held: BTreeSet<IpAddr>,
}

impl Face for Drained {
    fn text(&self) -> String {
        if !self.drained {
            return "This node may be active again. Nothing moves by itself.\n".to_owned();
        }
        if self.held.is_empty() {
            return "This node has handed everything over and stays so, over a boot as well. `ravelin pair drain --return` takes it back.\n".to_owned();
        }
        let all: Vec<String> = self.held.iter().map(ToString::to_string).collect();
        format!(
            "The word is given, and after {} s this node still holds {}.\nNobody takes over, or keepalived does not run here: see `ravelin pair status` on both nodes before this one is switched off. `ravelin pair drain --return` takes the word back.\n",
            GONE_WITHIN.as_secs(),
            all.join(", ")
        )
    }
}

/// Writes the number, and waits until the addresses are gone.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let election = match std::fs::read_to_string(KEEPALIVED) {
        Ok(text) => elected(&text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Trouble::usage(
                format!("{KEEPALIVED} is not there: this machine is no node of a pair"),
                "`ravelin apply` puts it there",
            ));
        }
        Err(e) => return Err(Trouble::io(KEEPALIVED, e)),
    };
    tell(arguments.back).map_err(|e| Trouble::usage(crate::trouble::chain(&e), "run it as root"))?;
    let held = if arguments.back { BTreeSet::new() } else { left(&election) };
    let done = Drained { drained: !arguments.back, held };
    show(global, &done)?;
    Ok(Exit::found(!done.held.is_empty()))
}

/// Addresses an election moves, from its file.
fn elected(text: &str) -> BTreeSet<IpAddr> {
    let one = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [address, "dev", ..] => address.split('/').next()?.parse().ok(),
        _ => None,
    };
    text.lines().filter_map(one).collect()
}

/// Those of them that are still here when time is over.
fn left(election: &BTreeSet<IpAddr>) -> BTreeSet<IpAddr> {
    let mut held = BTreeSet::new();
    let Ok(_) = until_gone(|| {
        held = machine::network().addresses().filter(|a| election.contains(a)).collect();
        Ok::<_, Infallible>(held.is_empty())
    });
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_an_election_are_read_from_its_file() {
        let text = include_str!("../../../../emit/tests/pair/fw-a-keepalived.conf");
        let all = elected(text);
        assert_eq!(all.len(), text.lines().filter(|l| l.contains(" no_track")).count());
        for a in ["10.20.20.1", "2001:db8:20:40::1", "203.0.113.6"] {
            assert!(all.contains(&a.parse().expect("address")), "{a}");
        }
        // The nodes' own are no part of it.
        assert!(!all.contains(&"10.255.0.1".parse().expect("address")));
    }
}
