//! Packages: updates that wait, archives nobody signed, releases nobody mends. In come the package manager's files, out come holes
//! that are known to everybody.

use super::prelude::*;

/// AUD109: security updates wait.
pub const PENDING: Rule = Rule {
    code: Code("AUD109"),
    title: "security updates wait",
    risk: Risk::High,
    needs: &[Source::Packages],
    means: "the hole is described in public, with an exploit often enough",
    fix: "apt upgrade; then restart what uses them (needrestart)",
    reference: Some("CIS Debian Linux 12 Benchmark 1.2.2.1"),
    check: pending,
};

/// AUD110: the lists of packages are old.
pub const STALE: Rule = Rule {
    code: Code("AUD110"),
    title: "nobody asked for updates lately",
    risk: Risk::Medium,
    needs: &[Source::Packages],
    means: "that no update waits means nothing: the machine does not know",
    fix: "apt update; the timer apt-daily.timer does it daily, through the site's package mirror where there is no way out",
    reference: None,
    check: stale,
};

/// AUD111: security updates are not installed by themselves.
pub const BY_HAND: Rule = Rule {
    code: Code("AUD111"),
    title: "security updates come by hand",
    risk: Risk::Low,
    needs: &[Source::Packages, Source::Files],
    means: "a hole stays open until somebody thinks of this machine",
    fix: "apt install unattended-upgrades, with the daemons' packages in its blacklist so that none restarts in a deadline",
    reference: None,
    check: by_hand,
};

/// AUD112: the release gets no security updates any more.
pub const ENDED: Rule = Rule {
    code: Code("AUD112"),
    title: "nobody mends this release any more",
    risk: Risk::High,
    needs: &[Source::System],
    means: "every hole found from now on stays open",
    fix: "upgrade to a supported release",
    reference: None,
    check: ended,
};

/// AUD113: an archive whose packages nobody has to sign.
pub const UNSIGNED: Rule = Rule {
    code: Code("AUD113"),
    title: "packages are taken without a signature",
    risk: Risk::High,
    needs: &[Source::Packages],
    means: "whoever stands in the way, or owns the mirror, is root at the next apt upgrade",
    fix: "signed-by= with the archive's key; take trusted=yes and allow-insecure=yes out",
    reference: Some("CIS Debian Linux 12 Benchmark 1.2.1.1"),
    check: unsigned,
};

/// AUD114: an archive over HTTP.
pub const IN_THE_CLEAR: Rule = Rule {
    code: Code("AUD114"),
    title: "packages come over HTTP",
    risk: Risk::Low,
    needs: &[Source::Packages],
    means: "signatures still hold, but the way shows what is installed, and may hold security updates back until the lists expire",
    fix: "https:// in the archive's line; or the site's own mirror",
    reference: None,
    check: in_the_clear,
};

/// AUD115: a restart is due.
pub const RESTART: Rule = Rule {
    code: Code("AUD115"),
    title: "a restart is due",
    risk: Risk::Medium,
    needs: &[Source::Packages],
    means: "the mended kernel or library is on the disk; the one with the hole runs",
    fix: "restart in a window without a deadline",
    reference: None,
    check: |view| {
        let due = view
            .facts
            .packages
            .reboot
            .then(|| Seen::new("packages", "a package asked for a restart of the machine").at("/run/reboot-required", 0));
        due.into_iter().collect()
    },
};

/// Names of packages that are shown.
const MOST_NAMES: usize = 8;
/// Lists older than this, in seconds, are stale: a month.
const OLDEST_LISTS: u64 = 30 * 24 * 3600;
/// The last day of security updates, by distribution and version: Debian's LTS, Ubuntu's standard
/// support, the others' maintenance.
const ENDS: [(&str, &str, &str); 15] = [
    ("debian", "9", "2022-06-30"),
    ("debian", "10", "2024-06-30"),
    ("debian", "11", "2026-08-31"),
    ("debian", "12", "2028-06-30"),
    ("ubuntu", "16.04", "2021-04-30"),
    ("ubuntu", "18.04", "2023-05-31"),
    ("ubuntu", "20.04", "2025-05-31"),
    ("ubuntu", "22.04", "2027-04-30"),
    ("ubuntu", "24.04", "2029-04-30"),
    ("centos", "7", "2024-06-30"),
    ("centos", "8", "2021-12-31"),
    ("rocky", "8", "2029-05-31"),
    ("almalinux", "8", "2029-03-31"),
    ("rocky", "9", "2032-05-31"),
    ("almalinux", "9", "2032-05-31"),
];

fn pending(view: &View) -> Vec<Seen> {
    let Some(all) = view.facts.packages.pending.as_ref().filter(|p| !p.is_empty()) else { return Vec::new() };
    let names: Vec<String> = all.iter().take(MOST_NAMES).map(|u| format!("{} {} -> {}", u.package, u.have, u.wants)).collect();
    let more = all.len().saturating_sub(MOST_NAMES);
    let seen = Seen::new("packages", format!("{} wait: {}", all.len(), names.join(", ")));
    vec![if more > 0 { seen.and(format!("and {more} more")) } else { seen }]
}

fn stale(view: &View) -> Vec<Seen> {
    let packages = &view.facts.packages;
    if packages.manager.is_none() || packages.repositories.is_empty() {
        return Vec::new();
    }
    match packages.lists_from.map(|t| view.facts.taken_at.saturating_sub(t)) {
        None => vec![Seen::new("packages", "no list of any archive was ever fetched, or they were removed").at("/var/lib/apt/lists", 0)],
        Some(age) if age > OLDEST_LISTS => {
            vec![Seen::new("packages", format!("the newest list is {} days old", age / 86_400)).at("/var/lib/apt/lists", 0)]
        }
        Some(_) => Vec::new(),
    }
}

fn by_hand(view: &View) -> Vec<Seen> {
    if view.facts.packages.manager.as_deref() != Some("dpkg") {
        return Vec::new();
    }
    // APT::Periodic::Unattended-Upgrade "1"; later files win.
    let lines = view.lines(|p| p.starts_with("/etc/apt/apt.conf"));
    let set = lines
        .iter()
        .rev()
        .find(|(_, _, l)| l.contains("Unattended-Upgrade") && !l.contains("::Unattended-Upgrade::") && !l.trim_start().starts_with("//"));
    match set {
        Some((_, _, l)) if !l.contains("\"0\"") => Vec::new(),
        Some((file, line, l)) => vec![Seen::new("apt", l.trim()).at(*file, *line)],
        None => vec![Seen::new("apt", "APT::Periodic::Unattended-Upgrade is not set")],
    }
}

fn ended(view: &View) -> Vec<Seen> {
    let system = &view.facts.system;
    let end = ENDS.iter().find(|(id, version, _)| {
        *id == system.os_id && (system.os_version == *version || system.os_version.starts_with(&format!("{version}.")))
    });
    let over = end.filter(|(_, _, day)| seconds(day).is_some_and(|s| view.facts.taken_at > s + 86_400));
    over.map(|(_, _, day)| Seen::new("release", format!("{}: security updates ended on {day}", system.os_name))).into_iter().collect()
}

/// The beginning of an ISO day in seconds since 1970-01-01.
fn seconds(day: &str) -> Option<u64> {
    let mut parts = day.split('-').map(|p| p.parse::<u64>().ok());
    let (year, month, date) = (parts.next()??, parts.next()??, parts.next()??);
    // Days of a civil date, the year beginning in March so that the leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + date - 1;
    days.checked_sub(719_468).map(|d| d * 86_400)
}

fn unsigned(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for r in &view.facts.packages.repositories {
        let open: Vec<&str> = r.options.iter().map(String::as_str).filter(|o| o.ends_with("=yes") && !o.starts_with("signed-by")).collect();
        if !open.is_empty() {
            out.push(Seen::new(&r.uri, format!("{} {}", open.join(" "), r.suite)).at(&r.file, r.line));
        }
    }
    out
}

fn in_the_clear(view: &View) -> Vec<Seen> {
    let local = |uri: &str| {
        let host = uri.trim_start_matches("http://").split(['/', ':']).next().unwrap_or_default();
        host == "localhost" || host.parse().is_ok_and(|a: std::net::IpAddr| !site::special::is_public(&a))
    };
    let clear = view.facts.packages.repositories.iter().filter(|r| r.uri.starts_with("http://") && !local(&r.uri));
    clear.map(|r| Seen::new(&r.uri, r.suite.clone()).at(&r.file, r.line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted() {
        assert_eq!(
            (seconds("1970-01-01"), seconds("2000-03-01"), seconds("2024-06-30")),
            (Some(0), Some(951_868_800), Some(1_719_705_600))
        );
        assert!(ENDS.iter().all(|(_, _, day)| seconds(day).is_some()));
    }
}
