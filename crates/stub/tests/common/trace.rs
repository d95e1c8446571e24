//! System calls of units, as strace sees them. In come units and strace's lines, out come scripts for the machine, and per unit
//! which calls were made and which were refused. A filter's refusal is EPERM, as the units set it.

use std::{collections::BTreeMap, fmt::Write as _};

/// Fewer different calls than this are no work in full.
pub const FEWEST_CALLS: usize = 30;
/// What a stand-in writes when its work is through.
const AT_WORK_UNTIL: &str = "{\\\"done\\\":\\\"work\\\"}";

/// A unit's file that makes its stand-in wait for a tracer.
pub const DROP_IN: &str = "91-traced.conf";
/// Where the lines lie in the machine.
const DIRECTORY: &str = "/root/trace";

/// These files, for these units.
pub fn drop_ins<'a>(units: impl IntoIterator<Item = &'a String>) -> BTreeMap<String, Vec<u8>> {
    let text = format!("[Service]\nEnvironment={}=1\n", stub::TRACED);
    units.into_iter().map(|u| (format!("etc/systemd/system/{u}.d/{DROP_IN}"), text.clone().into_bytes())).collect()
}

/// A script that says what was seen.
pub fn lines() -> String {
    format!("cd {DIRECTORY} && grep -H . *")
}

/// A call's numbers.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub made: u32,
    pub refused: u32,
}

/// What one unit called.
#[derive(Debug, Default)]
pub struct Calls {
    pub at_work: BTreeMap<String, Count>,
    pub later: BTreeMap<String, Count>,
    /// Calls of its work that were refused.
    pub refused: Vec<String>,
    done: bool,
}

/// Starts units that wait for a tracer, and traces them.
pub fn attach(units: &[String]) -> String {
    format!(
        "set -e; mkdir -p {DIRECTORY}; systemctl daemon-reload; systemctl start --no-block {0}
        for u in {0}; do
          while pid=$(systemctl show -P MainPID $u); [ \"$pid\" = 0 ]; do sleep 0.2; done
          while [ \"$(readlink /proc/$pid/exe)\" = /usr/lib/systemd/systemd ]; do sleep 0.2; done
          setsid strace -f -q -o {DIRECTORY}/$u -p $pid >/dev/null 2>&1 & echo $! >/root/$u.pid
        done",
        units.join(" ")
    )
}

/// Ends their tracing.
pub fn detach<'a>(units: impl IntoIterator<Item = &'a String>) -> String {
    let units: Vec<&str> = units.into_iter().map(String::as_str).collect();
    format!("for u in {}; do p=$(cat /root/$u.pid); kill -INT $p; while kill -0 $p 2>/dev/null; do sleep 0.2; done; done", units.join(" "))
}

/// Lines `UNIT:PID CALL(...) = RESULT`, as `grep -H` gives them.
pub fn read(text: &str) -> BTreeMap<String, Calls> {
    let mut out: BTreeMap<String, Calls> = BTreeMap::new();
    for line in text.lines() {
        let Some((unit, rest)) = line.split_once(':') else { continue };
        let calls = out.entry(unit.to_owned()).or_default();
        if rest.contains(AT_WORK_UNTIL) {
            calls.done = true;
        }
        let Some((_, rest)) = rest.split_once(' ') else { continue };
        let rest = rest.trim_start().trim_start_matches("<... ");
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            continue;
        }
        let refused = rest.contains(" = -1 EPERM");
        if refused && !calls.done {
            calls.refused.push(rest.to_owned());
        }
        let count = if calls.done { &mut calls.later } else { &mut calls.at_work }.entry(name).or_default();
        count.made += 1;
        count.refused += u32::from(refused);
    }
    out
}

impl Calls {
    /// Every call of its work with its numbers.
    pub fn table(&self) -> String {
        let mut out = String::new();
        for (name, c) in &self.at_work {
            let _ = writeln!(out, "{:8} {:8} {name}", c.made, c.refused);
        }
        out
    }
}
