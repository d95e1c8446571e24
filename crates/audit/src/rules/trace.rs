//! Traces people leave: secrets and exports in shell histories, exported keys in homes. In come kinds and redacted lines, out come
//! places to clean and keys to count as known.

use super::prelude::*;
use facts::{File, SecretKind};

/// AUD102: a token or password stands in a shell's history.
pub const TYPED: Rule = Rule {
    code: Code("AUD102"),
    title: "a secret was typed and is remembered",
    risk: Risk::High,
    needs: &[Source::Files],
    means: "the history goes into every backup of the home and is the first file an intruder reads",
    fix: "replace the secret; remove the line from the history; read secrets from files or a prompt",
    reference: None,
    check: typed,
};

/// AUD103: a wallet's key was exported on this machine.
pub const EXPORTED: Rule = Rule {
    code: Code("AUD103"),
    title: "a wallet's key was exported here",
    risk: Risk::Medium,
    needs: &[Source::Files],
    means: "the key went to the screen, into a file, or into a terminal's log: somewhere it lies in plain",
    fix: "find where it went and remove it; if that cannot be known, move the funds to a new wallet",
    reference: None,
    check: exported,
};

/// AUD104: an exported key lies in a home.
pub const LYING: Rule = Rule {
    code: Code("AUD104"),
    title: "a key lies in a home",
    risk: Risk::High,
    needs: &[Source::Files, Source::Accounts],
    means: "a wallet key outside of the keystore is forgotten, copied and read: it is the funds",
    fix: "move it to an encrypted backup away from the machine and remove it here; if others could read it, move the funds",
    reference: None,
    check: lying,
};

/// Files whose text is what somebody typed.
fn histories<'a>(view: &View<'a>) -> impl Iterator<Item = &'a File> {
    view.facts.files.iter().filter(|f| f.path.ends_with("_history") || f.path.ends_with("/.viminfo"))
}

fn numbered(file: &File) -> impl Iterator<Item = (u32, &str)> {
    (1u32..).zip(file.text.as_deref().unwrap_or_default().lines()).filter(|(_, l)| !l.is_empty())
}

fn typed(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for file in histories(view) {
        let mut told: Option<Seen> = None;
        for (line, text) in numbered(file).filter(|(_, l)| l.contains("[redacted: ")) {
            told = Some(match told {
                None => Seen::new(&file.path, text).at(&file.path, line),
                Some(s) if s.evidence.len() < MOST_LINES => s.and(format!("line {line}: {text}")),
                Some(s) => s,
            });
        }
        out.extend(told);
    }
    out
}

/// Lines of one history that are shown.
const MOST_LINES: usize = 5;

fn exported(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for file in histories(view) {
        for (line, text) in numbered(file).filter(|(_, l)| ["wallet export", "WalletExport", "wallet-export"].iter().any(|e| l.contains(e)))
        {
            out.push(Seen::new(&file.path, text).at(&file.path, line));
        }
    }
    out
}

fn lying(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for f in view.facts.files.iter().filter(|f| f.text.is_none()) {
        let Some((directory, _)) = f.path.rsplit_once('/') else { continue };
        let in_home = view.facts.accounts.iter().any(|a| a.home.len() > 1 && a.home.trim_end_matches('/') == directory);
        let kind = f
            .secrets
            .iter()
            .map(|s| s.0)
            .find(|k| *k == SecretKind::WalletKey || *k == SecretKind::PrivateKey || *k == SecretKind::ApiToken);
        if let Some(kind) = kind.filter(|_| in_home) {
            let seen = Seen::new(&f.path, format!("mode {:04o}, owner {}, holds a {kind}", f.mode, owner(f))).at(&f.path, 0);
            out.push(match (kind, f.mode & OTHERS) {
                (SecretKind::WalletKey, 0) => seen,
                (SecretKind::WalletKey, _) => seen.risk(Risk::Critical),
                _ => seen.risk(Risk::Medium),
            });
        }
    }
    out
}
