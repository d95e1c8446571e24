//! Mounts, exports and swap: programs where data should lie, stores that others may write, keys on plain disks. In come mounts,
//! `/etc/exports` and swap, out come those that give more than they need.

use super::prelude::*;
use crate::stores;
use facts::{SecretKind, mount::holding};
use std::collections::BTreeMap;

/// AUD074: a directory that everybody writes may hold set-id programs or devices.
pub const SHARED: Rule = Rule {
    code: Code("AUD074"),
    title: "a directory that everybody writes takes set-id programs or devices",
    risk: Risk::Low,
    needs: &[Source::Mounts],
    means: "a program left there by root, or by a package's mistake, runs with another account's rights",
    fix: "mount it with nodev,nosuid (and noexec where no service runs programs from it): a line in /etc/fstab, or tmp.mount",
    reference: Some("CIS Debian Linux 12 Benchmark 1.1.2.1, 1.1.2.2 and 1.1.2.5"),
    check: shared,
};

/// AUD075: a store's file system takes set-id programs, devices or programs at all.
pub const STORE: Rule = Rule {
    code: Code("AUD075"),
    title: "programs may run from a store",
    risk: Risk::Low,
    needs: &[Source::Mounts, Source::Files],
    means: "who can write sectors can leave a program there, where no sweep looks; from a shared store it reaches every machine",
    fix: "nodev,nosuid,noexec in its line of /etc/fstab; mount -o remount",
    reference: None,
    check: store,
};

/// AUD076: an NFS export trusts root of its clients.
pub const EXPORT_ROOT: Rule = Rule {
    code: Code("AUD076"),
    title: "an NFS export trusts root of its clients",
    risk: Risk::High,
    needs: &[Source::Files],
    means: "root of any worker owns the store of all: set-id programs, other services' files, deletion of sectors",
    fix: "root_squash (the default) in /etc/exports; exportfs -ra",
    reference: None,
    check: |view| exports(view, |_, options| options.contains(&"no_root_squash").then(|| "no_root_squash".to_owned())),
};

/// AUD077: an NFS export is for the whole network.
pub const EXPORT_WORLD: Rule = Rule {
    code: Code("AUD077"),
    title: "an NFS export is for everybody",
    risk: Risk::High,
    needs: &[Source::Files],
    means: "whoever reaches port 2049 mounts the store and says which uid they are",
    fix: "name the clients, address by address, in /etc/exports; exportfs -ra",
    reference: None,
    check: |view| {
        exports(view, |client, options| {
            let world = ["", "*", "0.0.0.0/0", "::/0", "0.0.0.0/0.0.0.0"].contains(&client);
            // With Kerberos the client has to prove who it is.
            let proven = options.iter().any(|o| o.strip_prefix("sec=").is_some_and(|s| s.split(':').all(|m| m.starts_with("krb5"))));
            (world && !proven).then(|| "every client".to_owned())
        })
    },
};

/// AUD078: swap in plain on a machine that holds keys.
pub const SWAP: Rule = Rule {
    code: Code("AUD078"),
    title: "memory with keys may be written to a plain disk",
    risk: Risk::Low,
    needs: &[Source::Mounts, Source::Processes],
    means: "unlocked wallet keys lie on the swap disk for months, also after it was replaced and sent back",
    fix: "swapoff and remove it from /etc/fstab, or put it on dm-crypt with a random key (/etc/crypttab: swap) or zram",
    reference: None,
    check: swap,
};

/// AUD079: keys lie on a disk that is not encrypted.
pub const KEY_DISK: Rule = Rule {
    code: Code("AUD079"),
    title: "keys lie on a plain disk",
    risk: Risk::Low,
    needs: &[Source::Mounts, Source::Files],
    means: "wallet keys are plain text: who gets the disk, from the rack or from its return to the vendor, has the funds",
    fix: "put the keystore on dm-crypt (LUKS), unlocked at boot by TPM, network or hand; or sign remotely with lotus-wallet on a machine that has it",
    reference: None,
    check: key_disk,
};

const SHARED_DIRECTORIES: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

fn shared(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for at in SHARED_DIRECTORIES {
        let Some(m) = holding(&view.facts.mounts, at) else { continue };
        let missing: Vec<&str> = ["nodev", "nosuid"].into_iter().filter(|o| !m.has(o)).collect();
        // On the root file system neither can be said of the directory alone; there the proofs' parameters keep /var/tmp.
        if missing.is_empty() || (m.at != at && at != "/tmp") {
            continue;
        }
        let how = if m.at == at { String::new() } else { format!("is no mount of its own, {} ", m.at) };
        out.push(Seen::new(at, format!("{how}lacks {}", missing.join(", "))).at("/etc/fstab", 0));
    }
    out
}

fn store(view: &View) -> Vec<Seen> {
    let mut by_mount: BTreeMap<&str, (Vec<String>, Vec<&str>)> = BTreeMap::new();
    for path in stores(view.facts) {
        let Some(m) = holding(&view.facts.mounts, &path).filter(|m| m.at != "/") else { continue };
        let missing: Vec<&str> = ["nodev", "nosuid", "noexec"].into_iter().filter(|o| !m.has(o)).collect();
        if !missing.is_empty() {
            by_mount.entry(&m.at).or_insert_with(|| (Vec::new(), missing)).0.push(path);
        }
    }
    let told = by_mount.into_iter();
    told.map(|(at, (paths, missing))| {
        Seen::new(at, format!("lacks {}; stores: {}", missing.join(", "), paths.join(", "))).at("/etc/fstab", 0)
    })
    .collect()
}

/// Clients of exports with their options (exports(5)), of which some are wrong.
fn exports(view: &View, wrong: impl Fn(&str, &[&str]) -> Option<String>) -> Vec<Seen> {
    let mut out = Vec::new();
    for (file, line, text) in view.lines(|p| p == "/etc/exports" || p.starts_with("/etc/exports.d/")) {
        let mut words = text.split('#').next().unwrap_or_default().split_whitespace();
        let Some(path) = words.next() else { continue };
        let mut usual: Vec<&str> = Vec::new();
        for word in words {
            // `-ro,sync` holds for the clients behind it.
            if let Some(options) = word.strip_prefix('-') {
                usual = options.split(',').collect();
                continue;
            }
            let (client, own) = word.split_once('(').map_or((word, ""), |(c, o)| (c, o.trim_end_matches(')')));
            let options: Vec<&str> = usual.iter().copied().chain(own.split(',')).filter(|o| !o.is_empty()).collect();
            if let Some(why) = wrong(client, &options) {
                out.push(Seen::new(path, format!("{word}: {why}")).at(file, line));
            }
        }
    }
    out
}

fn swap(view: &View) -> Vec<Seen> {
    let keeps = view.running.iter().any(|r| r.service.paths.iter().any(|p| p.kind == catalog::PathKind::Keystore));
    let plain = view.facts.swaps.iter().filter(|s| keeps && s.encrypted == Some(false));
    plain.map(|s| Seen::new(&s.device, "in use, not encrypted; a service with a keystore runs here")).collect()
}

fn key_disk(view: &View) -> Vec<Seen> {
    let keys = [SecretKind::WalletKey, SecretKind::JwtSecret];
    let mut places: BTreeMap<String, &str> = BTreeMap::new();
    for f in view.facts.files.iter().filter(|f| f.text.is_none() && f.secrets.iter().any(|s| keys.contains(&s.0))) {
        if let Some(m) = holding(&view.facts.mounts, &f.path).filter(|m| m.encrypted == Some(false)) {
            let directory = f.path.rsplit_once('/').map_or("/", |(d, _)| d);
            places.insert(directory.to_owned(), &m.source);
        }
    }
    places.into_iter().map(|(d, source)| Seen::new(&d, format!("on {source}, which lies on no encrypted device")).at(&d, 0)).collect()
}
