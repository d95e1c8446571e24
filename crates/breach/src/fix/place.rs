//! Files, directories, devices and sockets an account may change. In comes the place, out comes owner and mode without that, or why it is
//! left to people. Never: takes from a service what it reads; takes anything that the service's own files may be.

use super::{
    Fix, is_service,
    step::{Held, Step},
};
use crate::{graph::Edge, machine::Machine, technique::Technique};
use facts::{Account, FileKind, PathFact};

/// Directories of the system: a service keeps nothing of its own there but configuration.
const SYSTEM: [&str; 9] = ["/etc", "/usr", "/lib", "/lib64", "/bin", "/sbin", "/boot", "/root", "/var/spool/cron"];
/// Directories everybody may write, each with a sticky bit where it is as it should be.
const SHARED: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// The mode of a path.
pub(super) fn change(f: &PathFact, after: u32) -> Step {
    Step::Mode { path: f.path.clone(), uid: f.uid, before: f.mode, after }
}

/// Keeps an account from changing a place.
pub(super) fn tighten(m: &Machine, e: &Edge, account: &str, path: &str) -> Option<Fix> {
    let f = m.paths.get(path).filter(|f| f.state == facts::PathState::Seen)?;
    let fix =
        |what: String, step: Step, by_hand: Option<String>| Some(Fix { what, technique: Some(e.technique), steps: vec![step], by_hand });
    let what = format!("keep {account} from changing {path}");
    if SHARED.contains(&path) {
        return fix(what, change(f, f.mode | 0o1000), Some("a shared directory: its sticky bit is missing".to_owned()));
    }
    if let Some(owner) = m.account(account).filter(|a| a.uid == f.uid) {
        let (step, by_hand) = disowned(m, owner, f);
        return fix(format!("{what}; what is in it now was written by {account}: look at it"), step, by_hand);
    }
    let device = f.kind == FileKind::Other;
    // Reading a disk is reading every file on it.
    let (after, by_hand) = narrowed(m, account, f, if device { 0o007 } else { 0o002 }, if device { 0o070 } else { 0o020 });
    let lasts = match f.kind {
        FileKind::Socket => " until the engine starts again: its unit's SocketMode is for good",
        FileKind::Other => " until the machine starts again: a rule of udev is for good",
        _ => "",
    };
    fix(format!("{what}{lasts}"), change(f, after), by_hand)
}

/// Its owner becomes root; what the account read and ran it reads and runs as before, by its group.
fn disowned(m: &Machine, owner: &Account, f: &PathFact) -> (Step, Option<String>) {
    let before = Held { uid: f.uid, gid: f.gid, mode: f.mode };
    let as_before = (f.mode >> 3) & 0o050;
    // What runs with its owner's rights would run with root's.
    let mode = (f.mode & 0o1705 & !0o022) | as_before;
    let step = Step::Owner { path: f.path.clone(), before, after: Held { uid: 0, gid: owner.gid, mode } };
    let below = |d: &&&str| f.path == **d || f.path.strip_prefix(**d).is_some_and(|r| r.starts_with('/'));
    let by_hand = if !f.acl.is_empty() {
        Some("it has an access list")
    } else if !is_service(m, owner) {
        Some("the account may be a person's")
    } else if SYSTEM.iter().find(below).is_none() {
        Some(
            "it is the account's own, outside of the system's directories: what root acts on belongs elsewhere, /usr/local/sbin for a program",
        )
    } else if m.owners_of(&f.path).iter().any(|s| m.services.get(owner.name.as_str()).is_some_and(|own| own.contains(s))) {
        Some("it is the service's own file: whether the service writes it is not known")
    } else {
        None
    };
    (step, by_hand.map(str::to_owned))
}

/// The mode without what lets this account in, and why it is left to people where it is: what a shared group or an
/// access list gives may be needed, and a mode of the distribution's (`/etc/shadow` for its group) is not ours to judge.
pub(super) fn narrowed(m: &Machine, account: &str, f: &PathFact, others: u32, group: u32) -> (u32, Option<String>) {
    let found = m.account(account);
    if found.is_some_and(|a| a.uid == f.uid) {
        return (f.mode & !(others | group), Some("the account owns it: whether the service writes it is not known".to_owned()));
    }
    if !f.acl.is_empty() {
        return (f.mode & !(others | group), Some("it has an access list".to_owned()));
    }
    if found.is_some_and(|a| a.gid == f.gid) {
        return (f.mode & !(others | group), None);
    }
    let member = found.is_some_and(|a| m.groups(a).iter().any(|(_, gid)| *gid == f.gid));
    // A group that has nothing of it is not what lets the account in.
    if member && f.mode & group != 0 {
        return (f.mode & !(others | group), Some("it is let in by a group that others may need: take it out of the group".to_owned()));
    }
    (f.mode & !others, None)
}

/// Programs that stay as they are until their replacement stands, with the reason.
const KEPT: [(&str, &str); 1] =
    [("nvidia-modprobe", "GPU device nodes are made through it: first a unit that makes them before the services start")];

/// Takes set-id bits or capabilities off a program.
pub(super) fn program(m: &Machine, e: &Edge) -> Option<Fix> {
    let path = e.evidence.first()?.file.as_deref()?;
    let fix = |what: String, steps: Vec<Step>, by_hand: Option<&str>| {
        Some(Fix { what, technique: Some(e.technique), steps, by_hand: by_hand.map(str::to_owned) })
    };
    if let Some((_, why)) = KEPT.iter().find(|(name, _)| path.rsplit('/').next() == Some(name)) {
        return fix(format!("take the privilege off {path}"), Vec::new(), Some(why));
    }
    let f = m.facts.sweep.as_ref()?.found.iter().find(|f| f.path == path)?;
    if e.technique == Technique::FileCapability {
        let held = Held { uid: f.uid, gid: f.gid, mode: f.mode };
        let step = Step::Capability { path: f.path.clone(), held, bits: f.capabilities, off: true };
        let unknown = (!e.certain).then_some("which service needs it is not known");
        return fix(format!("take the capabilities off {path}"), vec![step], unknown);
    }
    let unknown = (!e.certain).then_some("what the program is for is not known");
    fix(format!("take the set-id bits off {path}"), vec![change(f, f.mode & 0o777)], unknown)
}
