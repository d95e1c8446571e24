//! AUD005: configuration with tokens or passwords in it that everybody may read.

use super::prelude::*;
use facts::FileKind;
use std::collections::BTreeSet;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD005"),
    title: "a configuration file with secrets is readable by everybody",
    risk: Risk::High,
    needs: &[Source::Files],
    means: "Lotus and Boost write config.toml 0644, and /etc/curio.env takes the umask of root: any account on the machine reads admin tokens or the database password from it",
    fix: "chmod 0600 (or 0640 with a group of its own), owned by the service account",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let open = view.facts.files.iter().filter(|f| f.text.is_some() && f.world_readable() && !f.secrets.is_empty());
    open.filter(|f| f.kind == FileKind::File)
        .map(|f| {
            let kinds: BTreeSet<String> = f.secrets.iter().map(|s| s.0.to_string()).collect();
            let kinds: Vec<String> = kinds.into_iter().collect();
            Seen::new(&f.path, format!("mode {:04o}, owner {}, holds: {}", f.mode, owner(f), kinds.join(", "))).at(&f.path, 0)
        })
        .collect()
}
