//! Secrets an account may read that are not its services' own: other services' keys and tokens, other accounts' SSH keys, the
//! password hashes. In come files and paths, out come edges.

use super::edge;
use crate::{
    graph::{Edge, Evidence, Node},
    machine::Machine,
    technique::Technique,
};
use facts::{Account, FileKind};
use std::collections::BTreeSet;

pub(super) fn edges(m: &Machine, account: &Account, out: &mut Vec<Edge>) {
    let me = m.identity(account);
    let none = BTreeSet::new();
    let own = m.services.get(account.name.as_str()).unwrap_or(&none);
    let hashes = m.paths.end("/etc/shadow").map(|_| "/etc/shadow");
    let secrets = m.facts.files.iter().filter(|f| f.kind == FileKind::File && !f.secrets.is_empty()).map(|f| f.path.as_str());
    for path in secrets.chain(hashes) {
        let Some(end) = m.paths.end(path) else { continue };
        // What is the account's own is no prey: its files, and its services' in root's hands or below its home. Several services
        // of one account are another technique.
        let at_home = account.home.len() > 1 && path.starts_with(&format!("{}/", account.home.trim_end_matches('/')));
        let of_its_services = m.owners_of(path).iter().any(|s| own.contains(s));
        if end.uid == account.uid || of_its_services && (end.uid == 0 || at_home) {
            continue;
        }
        if m.paths.may(&me, path, 4) == Some(true) {
            let kinds: Vec<String> = m.facts.file(path).map_or(Vec::new(), |f| f.secrets.iter().map(|s| s.0.to_string()).collect());
            let what = if kinds.is_empty() { "password hashes".to_owned() } else { kinds.join(", ") };
            let evidence = Evidence::new(format!("{what} can be read ({})", m.described(end))).at(path, 0);
            out.push(edge(account, Node::Secret(path.to_owned()), Technique::ReadSecret, true, vec![evidence]));
        }
    }
}
