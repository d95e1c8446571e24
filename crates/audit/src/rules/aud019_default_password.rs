//! AUD019: passwords that products ship with, in configuration, units or arguments.

use super::prelude::*;
use facts::{Redacted, SecretKind};

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD019"),
    title: "a password that everybody knows",
    risk: Risk::High,
    needs: &[Source::Processes, Source::Files, Source::Units],
    means: "Curio's database holds wallet keys and an admin token of the chain node; yugabyte/yugabyte opens it",
    fix: "change the password in the database first, then where it is written; turn authentication on where it is off",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let told = Redacted(SecretKind::DefaultPassword).to_string();
    let files = view.facts.files.iter().filter(|f| f.secrets.contains(&Redacted(SecretKind::DefaultPassword))).map(|f| {
        let line = f.text.as_deref().and_then(|t| t.lines().zip(1u32..).find(|(l, _)| l.contains(&told))).map_or(0, |(_, n)| n);
        Seen::new(&f.path, "holds a password that its product ships with").at(&f.path, line)
    });
    let units = view.facts.units.iter().flat_map(|u| u.directives.iter().filter(|d| d.value.contains(&told)).map(move |d| (u, d)));
    let units =
        units.map(|(u, d)| Seen::new(&u.name, format!("{} holds a password that its product ships with", d.key)).at(&d.file, d.line));
    let argv = view.facts.processes.iter().filter(|p| p.argv.iter().any(|a| a.contains(&told)));
    let argv = argv.map(|p| Seen::new(&p.comm, format!("pid {} was started with a password that its product ships with", p.pid)));
    files.chain(units).chain(argv).collect()
}
