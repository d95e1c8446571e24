//! Backups: of what there is none, and which of them are old, readable, only here, or never restored. In come declared backups with
//! what lies there, and what the machine holds; out come those that would not help. Never: looks into a backup.

use super::prelude::*;
use catalog::{PathKind, Role};
use facts::{Asset, Backup};
use std::collections::BTreeSet;

/// AUD119: something that cannot be made again has no declared backup, or nothing lies where one is declared.
pub const NONE: Rule = Rule {
    code: Code("AUD119"),
    title: "what cannot be made again has no backup",
    risk: Risk::High,
    needs: &[Source::Processes, Source::Files],
    means: "a dead disk takes wallets, sectors' records or the cluster's database with it: funds and collateral",
    fix: "make one, and name it: [[backup]] in the site file, or --backup KIND=PATH",
    reference: None,
    check: none,
};

/// AUD120: the newest backup is older than it may be.
pub const OLD: Rule = Rule {
    code: Code("AUD120"),
    title: "a backup is old",
    risk: Risk::High,
    needs: &[Source::Backups],
    means: "what was made since then is lost with the disk: new wallets, sectors, deals",
    fix: "find out why it stopped; a timer that fails tells nobody by itself",
    reference: None,
    check: old,
};

/// AUD121: a backup with keys in it is not encrypted, or others may read it.
pub const READABLE: Rule = Rule {
    code: Code("AUD121"),
    title: "a backup gives its secrets away",
    risk: Risk::High,
    needs: &[Source::Backups],
    means: "the keystore is plain text and the database holds keys: who gets the copy has the funds, and copies travel",
    fix: "encrypt it before it is written (age -r RECIPIENT, gpg), mode 0600; count keys in copies that others could read as known",
    reference: None,
    check: readable,
};

/// AUD122: no copy is outside of the machine.
pub const ONLY_HERE: Rule = Rule {
    code: Code("AUD122"),
    title: "a backup exists on this machine only",
    risk: Risk::Medium,
    needs: &[Source::Backups, Source::Mounts],
    means: "fire, theft, a wrong rm and whoever becomes root take the original and the copy together",
    fix: "copy it to another machine and name the place: copy = \"...\" in [[backup]]",
    reference: None,
    check: only_here,
};

/// AUD123: a backup was never restored, or not for long, or failed the test.
pub const UNTESTED: Rule = Rule {
    code: Code("AUD123"),
    title: "nobody knows whether a backup can be restored",
    risk: Risk::Medium,
    needs: &[Source::Backups],
    means: "half of a backup is found out about when the whole is needed",
    fix: "ravelin backup check; it restores into a temporary directory and compares",
    reference: None,
    check: untested,
};

/// A restore test counts for this long, in seconds: 90 days.
const TEST_COUNTS: u64 = 90 * 24 * 3600;
/// Shortest backup that can hold anything, in bytes.
const SHORTEST: u64 = 16;

/// What this machine holds that cannot be made again, each with what shows it.
fn held(view: &View) -> BTreeSet<(Asset, String)> {
    let mut out = BTreeSet::new();
    for f in view.facts.files.iter().filter(|f| f.text.is_none() && f.secrets.iter().any(|s| s.0 == facts::SecretKind::WalletKey)) {
        if let Some((directory, _)) = f.path.rsplit_once('/').filter(|(d, _)| d.ends_with("/keystore")) {
            out.insert((Asset::Keystore, format!("{directory} holds wallet keys")));
        }
    }
    for r in &view.running {
        let name = r.service.name.as_str();
        match r.service.role {
            Role::Database => out.insert((Asset::Database, format!("{name} runs here"))),
            Role::Miner if r.service.paths.iter().any(|p| p.kind == PathKind::Repo) => {
                out.insert((Asset::Metadata, format!("{name} runs here")))
            }
            _ => false,
        };
    }
    if view.edge == Some(true) {
        out.insert((Asset::Firewall, "this machine is the site's firewall".to_owned()));
    }
    out
}

fn none(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for (asset, why) in held(view) {
        if !view.facts.backups.iter().any(|b| b.of == asset) {
            out.push(Seen::new(asset.word(), why).and("no backup of it is declared").risk(Risk::Medium));
        }
    }
    for b in view
        .facts
        .backups
        .iter()
        .filter(|b| b.newest.as_ref().is_none_or(|n| n.size < SHORTEST && !["directory", "restic", "borg"].contains(&n.form.as_str())))
    {
        let found = b.newest.as_ref().map_or("nothing lies there".to_owned(), |n| format!("{} has {} bytes", n.path, n.size));
        out.push(Seen::new(b.of.word(), format!("declared at {}: {found}", b.path)).at(&b.path, 0));
    }
    out
}

fn each(view: &View, wrong: impl Fn(&Backup, &facts::BackupFile) -> Option<String>) -> Vec<Seen> {
    let found = view.facts.backups.iter().filter_map(|b| Some((b, b.newest.as_ref()?)));
    found.filter_map(|(b, n)| wrong(b, n).map(|why| Seen::new(b.of.word(), format!("{}: {why}", n.path)).at(&n.path, 0))).collect()
}

fn old(view: &View) -> Vec<Seen> {
    each(view, |b, n| {
        let hours = view.facts.taken_at.saturating_sub(n.modified) / 3600;
        (hours > u64::from(b.max_age)).then(|| format!("{hours} hours old; {} are allowed", b.max_age))
    })
}

fn readable(view: &View) -> Vec<Seen> {
    each(view, |b, n| {
        let secret = matches!(b.of, Asset::Keystore | Asset::Database);
        let mut why = Vec::new();
        if secret && !n.encrypted && !["unread", "borg"].contains(&n.form.as_str()) {
            why.push(format!("its form is `{}`, which encrypts nothing", n.form));
        }
        if !n.encrypted && n.mode & OTHERS != 0 {
            why.push(format!("mode {:04o}, owner {}", n.mode, n.owner));
        }
        (!why.is_empty()).then(|| why.join("; "))
    })
}

fn only_here(view: &View) -> Vec<Seen> {
    each(view, |b, n| {
        (b.copy.is_none() && !n.remote).then(|| "no copy elsewhere is named, and the file system is this machine's".to_owned())
    })
}

fn untested(view: &View) -> Vec<Seen> {
    each(view, |b, _| match &b.tested {
        None => Some("no restore test is recorded".to_owned()),
        Some(t) if !t.passed => Some(format!("the last restore test failed: {}", t.said)),
        Some(t) if view.facts.taken_at.saturating_sub(t.at) > TEST_COUNTS => {
            Some(format!("the last restore test is {} days old", view.facts.taken_at.saturating_sub(t.at) / 86_400))
        }
        Some(_) => None,
    })
}
