//! What is asked of a machine, and what it says. In come the words of the transaction, out go words for `ravelin-applier`, and its answer
//! comes back as one of a few meanings. Pure: [`crate::transport`] carries the words.

use bundle::{LayerMode, Trial, Tried};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use words::{Digest, Generation, HostName};

/// How the applier ends where a change failed and no state could be put back.
const LOST: i32 = 3;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// What the machine holds.
    Status,
    /// Connections are tried from it.
    Probe(Vec<Trial>),
    /// It hands over to the other node of its pair; `back` takes that word back.
    Drain {
        /// Whether the word is taken back.
        back: bool,
    },
    /// It holds the bundle it is given and goes back unless it is told otherwise.
    Apply {
        /// Seconds until it goes back by itself.
        within_s: u64,
    },
    /// What it holds stays.
    Confirm(Digest),
    /// What it held before comes back, where this is what waits.
    Revert(Digest),
}

impl Ask {
    /// Words for `ravelin-applier` on this machine. `console` is the reason given where the transport opens no connection.
    pub fn words(&self, machine: &HostName, console: Option<&str>) -> Vec<String> {
        let words: Vec<String> = match self {
            Ask::Status => vec!["status".into()],
            Ask::Probe(_) => vec!["probe".into(), "-".into()],
            Ask::Drain { back } => ["drain"].into_iter().chain(back.then_some("--return")).map(str::to_owned).collect(),
            Ask::Apply { within_s } => {
                let within = within_s.to_string();
                ["apply", "-", "--machine", machine.as_str(), "--confirm-within", &within].map(str::to_owned).to_vec()
            }
            Ask::Confirm(digest) => {
                let mut words = vec!["confirm".to_owned(), "--digest".into(), digest.to_string()];
                words.extend(console.iter().flat_map(|reason| ["--from-console".to_owned(), (*reason).to_owned()]));
                words
            }
            Ask::Revert(digest) => vec!["revert".into(), "--digest".into(), digest.to_string()],
        };
        // The verb first: lines of sudoers allow programs by how their words begin.
        [words, vec!["--json".to_owned()]].concat()
    }

    /// What goes to its standard input, besides a bundle.
    pub fn input(&self) -> Vec<u8> {
        match self {
            Ask::Probe(list) => serde_json::to_vec(list).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// The word for reports.
    pub fn word(&self) -> &'static str {
        match self {
            Ask::Status => "status",
            Ask::Probe(_) => "probe",
            Ask::Drain { back: false } => "drain",
            Ask::Drain { back: true } => "drain --return",
            Ask::Apply { .. } => "apply",
            Ask::Confirm(_) => "confirm",
            Ask::Revert(_) => "revert",
        }
    }
}

/// How a program on a machine ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its exit status; `None` where a signal ended it.
    pub status: Option<i32>,
    /// What it printed, bounded.
    pub stdout: Vec<u8>,
    /// What it complained about, bounded.
    pub stderr: Vec<u8>,
}

/// What a machine holds, as its applier says. Fields this program does not know are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What is confirmed.
    pub confirmed: Option<Held>,
    /// What waits or is worked on.
    pub pending: Option<Pending>,
    /// The number the next bundle must have at least.
    pub next_generation: Generation,
    /// Where the kernel differs from what should be in force, in words.
    #[serde(default)]
    pub drift: Vec<String>,
    /// Whom it believes, as its applier tells it; `None` where it takes bundles that nobody signed.
    #[serde(default)]
    pub trust: Option<serde_json::Value>,
    /// It holds the addresses of a pair's active node; `None` where it is no node of a pair.
    #[serde(default)]
    pub active: Option<bool>,
}

/// A confirmed state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its number.
    pub generation: Generation,
    /// Its bundle's digest.
    pub digest: Digest,
    /// Digest of what it makes the machine hold, whatever its number.
    pub policy: Digest,
    /// Mode of each layer.
    #[serde(default)]
    pub layers: BTreeMap<String, LayerMode>,
}

/// A state under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its number.
    pub generation: Generation,
    /// Its bundle's digest.
    pub digest: Digest,
    /// `waiting` or `running`.
    pub phase: String,
    /// Seconds until it goes back.
    pub reverts_in: u64,
}

impl Pending {
    /// Whether it waits to be confirmed.
    pub fn waits(&self) -> bool {
        self.phase == "waiting"
    }
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// What the machine holds.
    Status(Box<Status>),
    /// What became of the connections.
    Tried(Vec<Tried>),
    /// It is done: handed over, applied and waiting, confirmed, or put back.
    Done,
    /// It held the bundle already, confirmed.
    Unchanged,
    /// It was refused or went wrong, and the machine says that it holds its last confirmed state, or what waits still.
    Refused(String),
    /// It went wrong and nothing could be put back.
    Broken(String),
    /// No answer that means anything: the machine may or may not have done it.
    Nothing(String),
}

/// The applier's own account of a failure.
#[derive(Deserialize)]
struct Trouble {
    error: String,
    step: Option<String>,
    restored: Option<String>,
}

impl Heard {
    /// What an answer to this question means.
    pub fn of(ask: &Ask, answer: &Answer) -> Self {
        match answer.status {
            Some(0) => Self::success(ask, &answer.stdout),
            Some(code) => match serde_json::from_slice::<Trouble>(&answer.stdout) {
                Ok(t) => {
                    let step = t.step.map(|s| format!("step {s}: ")).unwrap_or_default();
                    let restored = t.restored.map(|r| format!(" ({r})")).unwrap_or_default();
                    let text = format!("{step}{}{restored}", t.error);
                    if code == LOST { Self::Broken(text) } else { Self::Refused(text) }
                }
                Err(_) => Self::Nothing(format!("`{}` ended with {code}{}", ask.word(), complaint(answer))),
            },
            None => Self::Nothing(format!("`{}` was ended by a signal{}", ask.word(), complaint(answer))),
        }
    }

    fn success(ask: &Ask, stdout: &[u8]) -> Self {
        let unread = |e: serde_json::Error| Self::Nothing(format!("`{}` gave no answer that is understood: {e}", ask.word()));
        match ask {
            Ask::Status => serde_json::from_slice(stdout).map_or_else(unread, Self::Status),
            Ask::Probe(asked) => match serde_json::from_slice::<Vec<Tried>>(stdout) {
                Ok(tried) => {
                    let said: BTreeSet<_> = tried.iter().map(|t| (&t.id, t.to, t.port)).collect();
                    match asked.iter().find(|a| !said.contains(&(&a.id, a.to, a.port))) {
                        Some(missing) => Self::Nothing(format!("`probe` says nothing of {} to {}", missing.id, missing.to)),
                        None => Self::Tried(tried),
                    }
                }
                Err(e) => unread(e),
            },
            Ask::Apply { .. } => {
                #[derive(Deserialize)]
                struct Outcome {
                    result: String,
                }
                match serde_json::from_slice::<Outcome>(stdout) {
                    Ok(o) if o.result == "waiting" => Self::Done,
                    Ok(o) if o.result == "unchanged" => Self::Unchanged,
                    Ok(o) => Self::Nothing(format!("`apply` ended as `{}`, not waiting", o.result)),
                    Err(e) => unread(e),
                }
            }
            Ask::Drain { .. } | Ask::Confirm(_) | Ask::Revert(_) => Self::Done,
        }
    }
}

/// The last line of a complaint, which is where programs say why.
fn complaint(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.stderr);
    text.lines().map(str::trim).rfind(|l| !l.is_empty()).map(|l| format!(": {l}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: i32, stdout: &str) -> Answer {
        Answer { status: Some(status), stdout: stdout.into(), stderr: b"noise\nlast words\n".to_vec() }
    }

    #[test]
    fn an_answer_means_one_thing() {
        let apply = Ask::Apply { within_s: 5 };
        assert_eq!(Heard::of(&apply, &answer(0, r#"{"result":"waiting"}"#)), Heard::Done);
        assert_eq!(Heard::of(&apply, &answer(0, r#"{"result":"unchanged"}"#)), Heard::Unchanged);
        assert!(matches!(Heard::of(&apply, &answer(0, "")), Heard::Nothing(_)), "silence is no success");
        let failed = r#"{"error":"no","step":"commit","help":null,"restored":"what was there"}"#;
        assert_eq!(Heard::of(&apply, &answer(1, failed)), Heard::Refused("step commit: no (what was there)".into()));
        assert!(matches!(Heard::of(&apply, &answer(3, failed)), Heard::Broken(_)));
        assert_eq!(Heard::of(&apply, &answer(255, "")), Heard::Nothing("`apply` ended with 255: last words".into()));
        let killed = Answer { status: None, ..Answer::default() };
        assert!(matches!(Heard::of(&apply, &killed), Heard::Nothing(_)));
    }

    #[test]
    fn a_probe_that_is_not_spoken_of_is_no_success() {
        let to = "192.0.2.1".parse().expect("address");
        let trial = Trial { id: "f1".into(), proto: words::Proto::Tcp, from: None, to, port: 1, expect: bundle::Expect::Open };
        let ask = Ask::Probe(vec![trial]);
        assert!(matches!(Heard::of(&ask, &answer(0, "[]")), Heard::Nothing(_)));
        let said = r#"[{"id":"f1","to":"192.0.2.1","port":1,"expect":"open","is":"closed","why":"silence"}]"#;
        assert!(matches!(Heard::of(&ask, &answer(0, said)), Heard::Tried(t) if !t[0].as_proved()));
    }
}
