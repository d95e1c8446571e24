//! Break-glass on a machine that UFW filters: UFW's own chains may refuse the management path, and what one table drops no other can
//! let pass. In comes the script of our table that was loaded: where it is break-glass' (it marks what it lets pass), iptables'
//! filter tables let pass what bears the mark, before any rule of UFW's; any other script ends that. The mark is our table's: with it
//! gone UFW judges as before. A file in the state says that such rules may be there.
//!
//! Never: a rule without the mark, or looks at iptables where break-glass has never put one.

use crate::{Error, state::State};
use observe::run;
use ruleset::ufw::{GLASS_CHAIN, GLASS_MARK};

/// Seconds another holder of iptables' lock is waited for.
const PATIENCE: &str = "5";
const PROGRAMS: [&str; 2] = ["iptables", "ip6tables"];
const CHAINS: [&str; 2] = ["INPUT", "OUTPUT"];

/// After our table was loaded from a script. Out come notes.
pub fn follow(state: &State, script: &str) -> Vec<String> {
    if script.contains(GLASS_CHAIN) { open(state) } else { close(state) }
}

fn rule(verb: &str, chain: &str) -> Vec<String> {
    let place: &[&str] = if verb == "-I" { &["1"] } else { &[] };
    let mark = format!("{GLASS_MARK:#x}");
    let what = ["-m", "mark", "--mark", &mark, "-m", "comment", "--comment", "ravelin break-glass", "-j", "ACCEPT"];
    [&["-w", PATIENCE, verb, chain], place, &what].concat().into_iter().map(str::to_owned).collect()
}

fn ask(program: &str, verb: &str, chain: &str) -> Result<(), observe::Error> {
    let all = rule(verb, chain);
    run::output(program, &all.iter().map(String::as_str).collect::<Vec<_>>()).map(drop)
}

/// The file comes first: a power loss after it leaves a file that says too much, never a rule nobody knows of.
fn open(state: &State) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(state.set_glass(true).err().map(|e| e.chain()));
    for (program, chain) in PROGRAMS.iter().flat_map(|p| CHAINS.map(|c| (p, c))) {
        // In front, and once.
        let done = ask(program, "-D", chain).or(Ok(())).and_then(|()| ask(program, "-I", chain));
        notes.extend(done.err().map(|e| format!("UFW's tables still judge: {program}, {chain}: {}", Error::from(e).chain())));
    }
    notes
}

fn close(state: &State) -> Vec<String> {
    if !state.glass() {
        return Vec::new();
    }
    for (program, chain) in PROGRAMS.iter().flat_map(|p| CHAINS.map(|c| (p, c))) {
        // As often as it is there; what is not there cannot be taken away, which is what ends this.
        while ask(program, "-D", chain).is_ok() {}
        if ask(program, "-C", chain).is_ok() {
            return vec![format!("break-glass' rule stays in {program}, {chain}, and lets nothing pass: nothing bears its mark")];
        }
    }
    state.set_glass(false).err().map(|e| e.chain()).into_iter().collect()
}
