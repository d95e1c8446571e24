//! What SELinux refused, or would have. In comes text of the audit log or of the kernel's, out come access vector denials, those of
//! one kind counted together, and whether a domain may be enforced. The log holds names that a process chose: nothing in it is
//! trusted, and a line that is not understood is left out and counted.
//!
//! Format: `type=AVC msg=audit(SECONDS.MILLIS:SERIAL): avc:  denied  { PERMISSIONS } for  KEY=VALUE ...` (auditd's log), the same after
//! `type=1400 audit(...)` in the kernel's. Values are bare, quoted, or hexadecimal where they hold a blank or a quote.

use crate::window::Window;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Types of Ravelin's begin like this.
pub const OURS: &str = "ravelin_";
/// Most characters of a value that are kept: names are chosen by whoever is refused.
const VALUE: usize = 256;
/// Most kinds of denials that are kept apart.
const KINDS: usize = 10_000;

/// What is refused: one kind of access.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Access {
    /// Type of the process.
    pub source: String,
    /// Type of what it acts on.
    pub target: String,
    /// Class of what it acts on.
    pub class: String,
    /// What it wants to do with it, sorted.
    pub permissions: BTreeSet<String>,
    /// Port, where the access is about one.
    pub port: Option<u16>,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// Seconds since 1970-01-01 UTC.
    pub at: u64,
    /// What.
    pub access: Access,
    /// The process, as it calls itself.
    pub process: String,
    /// Path or name of the file, where there is one.
    pub path: Option<String>,
    /// The domain was permissive: it happened.
    pub permissive: bool,
}

/// Denials of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Total {
    /// What.
    pub access: Access,
    /// How often.
    pub count: u64,
    /// First and last, in seconds since 1970-01-01 UTC.
    pub first: u64,
    /// See [`Total::first`].
    pub last: u64,
    /// The processes' names.
    pub processes: BTreeSet<String>,
    /// The last path that was named.
    pub path: Option<String>,
    /// All of it happened.
    pub permissive: bool,
}

impl Total {
    /// In words.
    #[must_use]
    pub fn text(&self) -> String {
        let a = &self.access;
        let what = a.permissions.iter().cloned().collect::<Vec<_>>().join(" ");
        let port = a.port.map(|p| format!(" port {p}")).unwrap_or_default();
        let path = self.path.as_deref().map(|p| format!(" ({p})")).unwrap_or_default();
        let verb = if self.permissive { "would be denied" } else { "denied" };
        format!("{}: {verb} {what} on {} {}{port}{path}, {} times", a.source, a.class, a.target, self.count)
    }
    /// It is one of Ravelin's domains that is refused.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.access.source.starts_with(OURS)
    }
}

/// What a log says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Log {
    /// Kinds of denials.
    pub totals: Vec<Total>,
    /// First and last time of any record in it.
    pub covers: Option<(u64, u64)>,
    /// Lines that speak of a denial and were not understood, and kinds beyond the most.
    pub unread: u64,
}

/// Reads a line; `None` where it is no denial, or none that is understood.
#[must_use]
pub fn line(text: &str) -> Option<Denial> {
    let at = time(text)?;
    let (_, rest) = text.split_once("avc:")?;
    let rest = rest.trim_start().strip_prefix("denied")?.trim_start().strip_prefix('{')?;
    let (permissions, rest) = rest.split_once('}')?;
    let permissions: BTreeSet<String> = permissions.split_whitespace().map(kept).collect();
    let values = values(rest);
    let get = |key: &str| values.get(key).cloned();
    let of = |context: &str| context.split(':').nth(2).filter(|t| !t.is_empty()).map(str::to_owned);
    let port = get("dest").or_else(|| get("src")).and_then(|p| p.parse().ok());
    let class = get("tclass")?;
    let access = Access {
        source: of(&get("scontext")?)?,
        target: of(&get("tcontext")?)?,
        port: port.filter(|_| class.ends_with("socket")),
        class,
        permissions,
    };
    if access.permissions.is_empty() {
        return None;
    }
    let path = get("path").or_else(|| get("name"));
    Some(Denial { at, access, process: get("comm").unwrap_or_default(), path, permissive: get("permissive").as_deref() == Some("1") })
}

/// Reads a whole log, in any order of lines.
#[must_use]
pub fn read(text: &str) -> Log {
    let mut out = Log::default();
    let mut totals: BTreeMap<(Access, bool), Total> = BTreeMap::new();
    for text in text.lines() {
        if let Some(at) = time(text) {
            out.covers = Some(out.covers.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
        }
        if !text.contains("avc:") || !text.contains("denied") || text.starts_with("type=USER_") {
            continue;
        }
        let Some(d) = line(text) else {
            out.unread += 1;
            continue;
        };
        let key = (d.access.clone(), d.permissive);
        if totals.len() >= KINDS && !totals.contains_key(&key) {
            out.unread += 1;
            continue;
        }
        let total = totals.entry(key).or_insert_with(|| Total {
            access: d.access,
            count: 0,
            first: d.at,
            last: d.at,
            processes: BTreeSet::new(),
            path: None,
            permissive: d.permissive,
        });
        total.count += 1;
        (total.first, total.last) = (total.first.min(d.at), total.last.max(d.at));
        total.processes.insert(d.process);
        total.path = d.path.or(total.path.take());
    }
    out.totals = totals.into_values().collect();
    out
}

/// Whether Ravelin's domains may be enforced at time `now`, by the rule the network has: a proving period watched, without one
/// denial. `since` is when they were installed; the log must reach back to the period's begin.
pub fn window(log: &Log, since: Option<u64>, now: u64, period: u64) -> Window {
    let (Some(since), Some((first, _))) = (since, log.covers) else { return Window::Unseen };
    if log.unread > 0 {
        return Window::Unseen;
    }
    let begun = since.max(first);
    let recent: Vec<&Total> = log.totals.iter().filter(|t| t.is_ours() && t.last >= since && t.last.saturating_add(period) > now).collect();
    if !recent.is_empty() {
        return Window::Dirty { cuts: recent.iter().map(|t| t.text()).collect() };
    }
    let clean = now.saturating_sub(begun);
    if clean >= period { Window::Clean { since: begun } } else { Window::TooShort { since: begun, missing: period - clean } }
}

fn time(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("audit(")?;
    rest.split(['.', ':', ')']).next()?.parse().ok()
}

/// `KEY=VALUE` words. A value in quotes may hold blanks; the kernel writes one with a quote in it in hexadecimal.
fn values(text: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        let key = before.split_whitespace().last().unwrap_or_default();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"').unwrap_or((quoted, ""));
                (kept(value), next)
            }
            None => {
                let end = after.find(char::is_whitespace).unwrap_or(after.len());
                (if ["comm", "path", "name"].contains(&key) { unhex(&after[..end]) } else { kept(&after[..end]) }, &after[end..])
            }
        };
        // The first one counts: what a process chose stands behind what the kernel says only where the kernel put it there.
        out.entry(key.to_owned()).or_insert(value);
        rest = next;
    }
    out
}

fn kept(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(VALUE).collect()
}

fn unhex(text: &str) -> String {
    let digits = text.as_bytes();
    let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok());
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(|pair| if pair.len() == 2 { byte(pair) } else { None }).collect();
    bytes.filter(|b| !b.is_empty()).map_or_else(|| kept(text), |b| kept(&String::from_utf8_lossy(&b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::PROVING_PERIOD;
    use proptest::prelude::*;

    const READ: &str = r#"type=AVC msg=audit(1764201234.123:456): avc:  denied  { read open } for  pid=123 comm="lotus" path="/var/lib/x y/key" dev="vda" ino=12 scontext=system_u:system_r:ravelin_lotus_t:s0 tcontext=system_u:object_r:ravelin_boostd_keystore_t:s0 tclass=file permissive=1"#;
    const DIAL: &str = r#"[   12.3] audit: type=1400 audit(1764201240.000:457): avc:  denied  { name_connect } for  pid=9 comm=6C6F7475732072756E dest=8080 scontext=system_u:system_r:ravelin_lotus_t:s0 tcontext=system_u:object_r:http_cache_port_t:s0 tclass=tcp_socket permissive=0"#;
    const SYSTEM: &str = r#"type=AVC msg=audit(1764201241.1:458): avc:  denied  { getattr } for  pid=1 comm="sshd" name="x" scontext=system_u:system_r:sshd_t:s0 tcontext=system_u:object_r:tmp_t:s0 tclass=file permissive=1"#;

    #[test]
    fn a_line_of_either_log_is_read() {
        let d = line(READ).expect("a denial");
        assert_eq!((d.at, d.process.as_str(), d.path.as_deref(), d.permissive), (1_764_201_234, "lotus", Some("/var/lib/x y/key"), true));
        assert_eq!((d.access.source.as_str(), d.access.target.as_str()), ("ravelin_lotus_t", "ravelin_boostd_keystore_t"));
        assert_eq!(d.access.permissions, ["open", "read"].map(str::to_owned).into());
        let d = line(DIAL).expect("a denial");
        assert_eq!((d.process.as_str(), d.access.port, d.permissive), ("lotus run", Some(8080), false));
        for other in
            ["", "type=SYSCALL msg=audit(1.2:3): arch=c000003e", &READ.replace("denied", "granted"), &READ.replace("tclass", "class")]
        {
            assert_eq!(line(other), None, "{other}");
        }
    }

    #[test]
    fn denials_of_a_kind_are_counted_together() {
        let later = READ.replace("1764201234", "1764201300").replace("\"lotus\"", "\"other\"");
        let log = read(&[READ, &later, DIAL, SYSTEM, "type=AVC msg=audit(1764209999.0:1): avc:  denied  { x } for  odd"].join("\n"));
        assert_eq!((log.covers, log.unread, log.totals.len()), (Some((1_764_201_234, 1_764_209_999)), 1, 3));
        let total = log.totals.iter().find(|t| t.access.class == "file" && t.is_ours()).expect("one");
        assert_eq!((total.count, total.first, total.last, total.processes.len()), (2, 1_764_201_234, 1_764_201_300, 2));
        assert!(
            total.text().contains("would be denied open read on file ravelin_boostd_keystore_t (/var/lib/x y/key), 2 times"),
            "{}",
            total.text()
        );
        assert_eq!(log.totals.iter().filter(|t| t.is_ours()).count(), 2);
    }

    #[test]
    fn a_domain_with_a_recent_denial_is_never_enforced() {
        let (day, at) = (PROVING_PERIOD, 1_764_201_234);
        let quiet = format!("type=DAEMON_START msg=audit({}.0:1): op=start", at - 10);
        let log = read(&[READ, &quiet].join("\n"));
        assert!(matches!(window(&log, Some(at - 5), at + day - 1, day), Window::Dirty { cuts } if cuts.len() == 1));
        assert_eq!(window(&log, Some(at - 5), at + day, day), Window::Clean { since: at - 5 });
        // What was refused before the modules were installed anew is no word about them.
        assert!(
            matches!(window(&log, Some(at + 1), at + 60, day), Window::TooShort { since, missing } if since == at + 1 && missing == day - 59)
        );
        // Of others: not about the domains.
        let others = read(&[SYSTEM, &quiet].join("\n"));
        assert!(matches!(window(&others, Some(at - 10), at + day + 20, day), Window::Clean { .. }));
        for unseen in [window(&log, None, at + day, day), window(&Log::default(), Some(at), at + day, day)] {
            assert_eq!(unseen, Window::Unseen);
        }
        // A log that begins later was not watched before.
        assert!(matches!(window(&log, Some(0), at + day - 11, day), Window::Dirty { .. }));
        let odd = read(&[&quiet, "type=AVC msg=audit(1.0:1): avc:  denied { }"].join("\n"));
        assert_eq!(window(&odd, Some(1), at + day, day), Window::Unseen);
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "\\PC{0,200}", cut in 0usize..400) {
            let _ = read(&text);
            let mixed: String = READ.chars().take(cut).chain(text.chars()).collect();
            let _ = read(&mixed);
            let _ = line(&format!("type=AVC msg=audit(1.1:1): avc: denied {{ read }} for {text}"));
        }
    }
}
