//! AUD004: token files with a mode that lets group or others in.

use super::prelude::*;
use facts::{FileKind, SecretKind};

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD004"),
    title: "an API token is readable beyond its owner",
    risk: Risk::High,
    needs: &[Source::Files],
    means: "tokens have every permission and never expire: an account that can read one exports wallets or deletes sectors",
    fix: "chmod 0600, owned by the service account; if others could read it, replace the token-signing secret and restart: there is no other way to revoke it",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let tokens = view.facts.files.iter().filter(|f| f.kind == FileKind::File && f.text.is_none() && f.mode & OTHERS != 0);
    tokens
        .filter(|f| f.secrets.iter().any(|s| s.0 == SecretKind::ApiToken))
        .map(|f| {
            let seen = Seen::new(&f.path, format!("mode {:04o}, owner {}", f.mode, owner(f))).at(&f.path, 0);
            if f.mode & 0o007 == 0 { seen.risk(Risk::Medium) } else { seen }
        })
        .collect()
}
