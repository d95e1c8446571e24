//! AUD028: keystore files whose name begins with the base32 of `trash-`.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD028"),
    title: "the key of a deleted wallet still lies here",
    risk: Risk::Medium,
    needs: &[Source::Files],
    means: "`lotus wallet delete` only renames: the private key stays as trash-ADDRESS, and whoever copies the keystore has it",
    fix: "move what the address still holds, then remove the file by hand, from backups too",
    reference: None,
    check,
};

/// base32 of `trash-`, as far as it does not depend on what follows.
const TRASH: &str = "ORZGC43IFV";

fn check(view: &View) -> Vec<Seen> {
    let trash = view.facts.files.iter().filter(|f| {
        let mut parts = f.path.rsplit('/');
        parts.next().is_some_and(|name| name.starts_with(TRASH)) && parts.next() == Some("keystore")
    });
    trash.map(|f| Seen::new(&f.path, format!("mode {:04o}, owner {}", f.mode, owner(f))).at(&f.path, 0)).collect()
}
