//! The two rules that queue what is wanted. In come numbers of queues, out comes a hook in the kernel and its kind: a table of our own where the
//! kernel has nft's `queue`, else a chain of our own in `mangle` of iptables. What stands there never depends on the site: the own table
//! marks packets, and drops those that nobody judged, so that a hook that is missing opens nothing (`docs/connection-mark.md`).

use crate::Error;
use observe::run;
use serde::Serialize;
use words::mark::{OPEN, WANTED};

/// Our table where the kernel has `queue`.
pub const TABLE: &str = "ravelin-queue";
/// Our chain in `mangle` where it has not.
pub const CHAIN: &str = "RAVELIN-IPS";
/// Before it the own table marks, behind it the own table keeps what was judged: `mangle`'s priority, with either kind.
pub const PRIORITY: i32 = -150;

/// Which way packets are queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// nft's `queue`.
    Nft,
    /// The target NFQUEUE in `mangle` of iptables and ip6tables.
    Iptables,
}

/// Numbers of the queues: open on failure, closed on failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Nobody reads it: packets go on.
    pub open: u16,
    /// Nobody reads it: packets are dropped.
    pub closed: u16,
}

/// The table, as nft reads it.
pub fn nft(n: Numbers) -> String {
    let both = WANTED | OPEN;
    format!(
        "table inet {TABLE} {{\n  chain forward {{\n    type filter hook forward priority {PRIORITY}; policy accept;\n    \
         meta mark & {both:#010x} == {both:#010x} queue flags bypass to {}\n    \
         meta mark & {both:#010x} == {WANTED:#010x} queue to {}\n  }}\n}}\n",
        n.open, n.closed
    )
}

/// The rules of our chain, as `iptables-save` shows them.
pub fn iptables(n: Numbers) -> [String; 2] {
    let both = WANTED | OPEN;
    [
        format!("-A {CHAIN} -m mark --mark {both:#x}/{both:#x} -j NFQUEUE --queue-num {} --queue-bypass", n.open),
        format!("-A {CHAIN} -m mark --mark {WANTED:#x}/{both:#x} -j NFQUEUE --queue-num {}", n.closed),
    ]
}

const FAMILIES: [(&str, &str, &str); 2] =
    [("iptables", "iptables-restore", "iptables-save"), ("ip6tables", "ip6tables-restore", "ip6tables-save")];

/// What a program said.
pub(crate) fn failed(e: observe::Error) -> Error {
    match e {
        observe::Error::Program { program, why, .. } => Error::Program { what: program, why },
        e => Error::Program { what: "a program".into(), why: e.to_string() },
    }
}

/// Whether this kernel knows nft's `queue`: asked without changing anything.
pub fn kind() -> Kind {
    let probe = nft(Numbers { open: 0, closed: 1 });
    if run::with_input("nft", &["-c", "-f", "-"], &probe).is_ok() { Kind::Nft } else { Kind::Iptables }
}

/// Puts the hook in place, and reads it back. It may be there already, with other numbers.
///
/// # Errors
/// Where the programs are not there, or the kernel has neither way.
pub fn put(n: Numbers) -> Result<Kind, Error> {
    let kind = kind();
    match kind {
        Kind::Nft => {
            let script = format!("table inet {TABLE} {{ }}\ndelete table inet {TABLE}\n{}", nft(n));
            run::with_input("nft", &["-f", "-"], &script).map_err(failed)?;
        }
        Kind::Iptables => {
            let rules = iptables(n).join("\n");
            for (program, restore, _) in FAMILIES {
                let script = format!("*mangle\n:{CHAIN} - [0:0]\n{rules}\nCOMMIT\n");
                run::with_input(restore, &["--noflush"], &script).map_err(failed)?;
                let jump = ["-j", CHAIN];
                if run::output(program, &[&["-t", "mangle", "-C", "FORWARD"], &jump[..]].concat()).is_err() {
                    // First: a rule of others that accepts would end the chain before us.
                    run::output(program, &[&["-t", "mangle", "-I", "FORWARD", "1"], &jump[..]].concat()).map_err(failed)?;
                }
            }
        }
    }
    match missing(kind, n)? {
        None => Ok(kind),
        Some(why) => Err(Error::Program { what: "read back the rules that queue".into(), why }),
    }
}

/// What of the hook is not there, in words.
///
/// # Errors
/// Where the programs fail.
pub fn missing(kind: Kind, n: Numbers) -> Result<Option<String>, Error> {
    match kind {
        Kind::Nft => {
            let text = run::output("nft", &["-s", "list", "table", "inet", TABLE]).map_err(failed)?;
            let queues = text.lines().filter(|l| l.contains("queue")).count();
            let there = text.contains(&format!("to {}", n.open)) && text.contains(&format!("to {}", n.closed));
            Ok((queues != 2 || !there).then(|| format!("table inet {TABLE} is not as it was written:\n{text}")))
        }
        Kind::Iptables => {
            for (_, _, save) in FAMILIES {
                let text = run::output(save, &["-t", "mangle"]).map_err(failed)?;
                if let Some(line) = absent(&text, n) {
                    return Ok(Some(format!("{save} does not show `{line}`")));
                }
            }
            Ok(None)
        }
    }
}

/// The first line that `iptables-save` does not show where it should.
fn absent(text: &str, n: Numbers) -> Option<String> {
    let of = |chain: &str| -> Vec<&str> { text.lines().filter(|l| l.starts_with(&format!("-A {chain} "))).collect() };
    let jump = format!("-A FORWARD -j {CHAIN}");
    if of("FORWARD").first() != Some(&jump.as_str()) {
        return Some(jump);
    }
    let (shown, wanted) = (of(CHAIN), iptables(n));
    wanted.into_iter().enumerate().find_map(|(i, line)| (shown.get(i) != Some(&line.as_str())).then_some(line))
}

/// Takes the hook away, whichever kind; nothing where there is none.
pub fn take() {
    let _ = run::output("nft", &["delete", "table", "inet", TABLE]);
    for (program, _, _) in FAMILIES {
        for words in [["-D", "FORWARD", "-j", CHAIN].as_slice(), &["-F", CHAIN], &["-X", CHAIN]] {
            let _ = run::output(program, &[&["-t", "mangle"], words].concat());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: Numbers = Numbers { open: 8, closed: 9 };

    #[test]
    fn both_kinds_say_the_same() {
        let [open, closed] = iptables(N);
        assert_eq!(open, "-A RAVELIN-IPS -m mark --mark 0x2008/0x2008 -j NFQUEUE --queue-num 8 --queue-bypass");
        assert_eq!(closed, "-A RAVELIN-IPS -m mark --mark 0x2000/0x2008 -j NFQUEUE --queue-num 9");
        let table = nft(N);
        assert!(table.contains("meta mark & 0x00002008 == 0x00002008 queue flags bypass to 8\n"), "{table}");
        assert!(table.contains("meta mark & 0x00002008 == 0x00002000 queue to 9\n"));
    }

    #[test]
    fn read_back_sees_what_is_missing_or_stands_before() {
        let whole = format!("*mangle\n-A FORWARD -j {CHAIN}\n{}\nCOMMIT\n", iptables(N).join("\n"));
        assert_eq!(absent(&whole, N), None);
        assert!(absent(&whole, Numbers { open: 7, closed: 9 }).is_some());
        assert!(absent(&whole.replace("0x2000/", "0x2001/"), N).is_some());
        assert!(absent(&whole.replace("-A FORWARD -j RAVELIN-IPS\n", ""), N).is_some());
        let before = whole.replace("-A FORWARD", "-A FORWARD -j ACCEPT\n-A FORWARD");
        assert!(absent(&before, N).is_some(), "an accept before it lets everything past");
    }
}
