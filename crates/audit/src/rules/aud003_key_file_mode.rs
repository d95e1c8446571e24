//! AUD003: files that hold keys with a mode that lets group or others in.

use super::prelude::*;
use facts::{FileKind, SecretKind};

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD003"),
    title: "a private key is readable beyond its owner",
    risk: Risk::Critical,
    needs: &[Source::Files],
    means: "wallet keys lie in plain text: who reads the file moves the funds; who reads the token-signing secret mints admin tokens for ever",
    fix: "chmod 0600 the file and 0700 its directory, owned by the service account; if others could read it, count the key as known: move the funds, replace the key",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let keys = [SecretKind::WalletKey, SecretKind::JwtSecret, SecretKind::PeerKey, SecretKind::PrivateKey];
    let open = view.facts.files.iter().filter(|f| f.kind == FileKind::File && f.text.is_none() && f.mode & OTHERS != 0);
    open.filter_map(|f| {
        let kind = f.secrets.iter().map(|s| s.0).find(|k| keys.contains(k))?;
        let seen = Seen::new(&f.path, format!("mode {:04o}, owner {}, holds a {kind}", f.mode, owner(f))).at(&f.path, 0);
        let group_only = f.mode & 0o007 == 0;
        // Host keys of sshd may belong to a group of their own; a peer key is an identity, not money.
        Some(match (kind, group_only) {
            (SecretKind::WalletKey | SecretKind::JwtSecret, false) => seen,
            (SecretKind::PeerKey, true) => seen.risk(Risk::Medium),
            _ => seen.risk(Risk::High),
        })
    })
    .collect()
}
