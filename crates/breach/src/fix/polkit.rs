//! polkit: a rule of Ravelin's own that is asked before all others and says no to a service account. In comes the edge, out comes the file, or
//! why it would not be asked. People's rules stay as they are. Never: says no to an account that may be a person's.

use super::{Fix, is_service, step::Step};
use crate::{
    edges::polkit::{RULES, refusal, refusal_path},
    graph::Edge,
    machine::Machine,
    technique::Technique,
};

/// The rule.
pub(super) fn fix(m: &Machine, e: &Edge, account: &str) -> Option<Fix> {
    let place = e.evidence.first()?;
    let path = place.file.as_deref()?;
    let named = |n: &str| n.rsplit('/').next().unwrap_or_default().to_owned();
    let own = refusal_path(account);
    let plain = account.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let later = m.facts.files.iter().filter(|f| f.path.starts_with(RULES)).all(|f| named(&f.path) > named(&own));
    let why = if !m.account(account).is_some_and(|a| is_service(m, a)) {
        Some("the account may be a person's")
    } else if !path.ends_with(".rules") && !crate::edges::polkit::has_rules(m) {
        Some("this polkit reads no rules: change the file")
    } else if !plain || !later {
        Some("no rule of ours would be asked first")
    } else if m.text(&own).is_some() || m.facts.file(&own).is_some() {
        Some("a file of the name ours would have is there")
    } else {
        None
    };
    let step = Step::File { path: own, mode: 0o644, content: refusal(account), there: true };
    let line = place.line.map_or(String::new(), |l| format!(":{l}"));
    Some(Fix {
        what: format!("polkit says no to {account} before it asks {path}{line}: {}", place.seen),
        technique: Some(Technique::Polkit),
        steps: if why.is_none() { vec![step] } else { Vec::new() },
        by_hand: why.map(str::to_owned),
    })
}
