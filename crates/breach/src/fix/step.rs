//! One change with the state before it, as data. In comes nothing, out come the command people would type, the difference it makes, and
//! the step back. Never: runs anything.

use super::edit::{Edit, How, Syntax};
use serde::{Deserialize, Serialize};

/// Owner, group and mode of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Held {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits, `0o7777`.
    pub mode: u32,
}

/// One change, with the state before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Step {
    /// The mode of a path.
    Mode {
        /// Path, without links in it.
        path: String,
        /// Owner it has; another one now means that it is not what was looked at.
        uid: u32,
        /// Mode it has.
        before: u32,
        /// Mode it gets.
        after: u32,
    },
    /// Owner, group and mode of a path.
    Owner {
        /// Path, without links in it.
        path: String,
        /// What it has.
        before: Held,
        /// What it gets.
        after: Held,
    },
    /// An account leaves a group, or comes back.
    Member {
        /// Account.
        account: String,
        /// Group.
        group: String,
        /// Leaves; else comes back.
        leaves: bool,
    },
    /// A program loses the capabilities it gives, or gets the very attribute back.
    Capability {
        /// Path, without links in it.
        path: String,
        /// Owner and mode it has.
        held: Held,
        /// What it gives, as a bit set.
        bits: u64,
        /// Loses them; else gets them back.
        off: bool,
    },
    /// Lines of a file change; all else of it stays to the letter.
    Edit {
        /// Path, without links in it.
        path: String,
        /// How its lines are read, and what checks them.
        syntax: Syntax,
        /// Changes, by line.
        edits: Vec<Edit>,
        /// Makes them; else puts the content from before back.
        made: bool,
    },
    /// A file of Ravelin's own, where there was none.
    File {
        /// Path, without links in it.
        path: String,
        /// Permission bits.
        mode: u32,
        /// Content.
        content: String,
        /// Is put there; else taken away.
        there: bool,
    },
    /// A kernel setting, as long as the machine runs.
    Setting {
        /// Its name, with dots.
        name: String,
        /// Value it has.
        before: String,
        /// Value it gets.
        after: String,
    },
}

impl Step {
    /// The command that does the same, for people; of an edit what opens the file.
    pub fn command(&self) -> String {
        match self {
            Step::Mode { path, after, .. } => format!("chmod {after:04o} {path}"),
            Step::Owner { path, after, .. } => {
                format!("chown {}:{} {path} && chmod {:04o} {path}", after.uid, after.gid, after.mode)
            }
            Step::Member { account, group, leaves: true } => format!("gpasswd -d {account} {group}"),
            Step::Member { account, group, leaves: false } => format!("gpasswd -a {account} {group}"),
            Step::Capability { path, off: true, .. } => format!("setcap -r {path}"),
            Step::Capability { path, off: false, .. } => format!("give {path} its capabilities back"),
            Step::Edit { path, syntax: Syntax::Sudoers, made: true, .. } => format!("visudo {path}"),
            Step::Edit { path, made: true, .. } => format!("edit {path}"),
            Step::Edit { path, made: false, .. } => format!("put the content of {path} back"),
            Step::File { path, there: true, .. } => format!("write {path}"),
            Step::File { path, there: false, .. } => format!("rm {path}"),
            Step::Setting { name, after, .. } => format!("sysctl {name}={after}"),
        }
    }

    /// What changes, a line each: `-` goes, `+` comes. Of what is no text the state before and after.
    pub fn difference(&self) -> Vec<String> {
        match self {
            Step::Mode { before, after, .. } => vec![format!("- {before:04o}"), format!("+ {after:04o}")],
            Step::Owner { before: b, after: a, .. } => {
                vec![format!("- {}:{} {:04o}", b.uid, b.gid, b.mode), format!("+ {}:{} {:04o}", a.uid, a.gid, a.mode)]
            }
            Step::Edit { edits, .. } => edits.iter().flat_map(Edit::difference).collect(),
            Step::File { content, there: true, .. } => content.lines().map(|l| format!("+ {l}")).collect(),
            Step::Setting { before, after, .. } => vec![format!("- {before}"), format!("+ {after}")],
            _ => Vec::new(),
        }
    }

    /// The step back.
    pub fn back(&self) -> Step {
        match self.clone() {
            Step::Mode { path, uid, before, after } => Step::Mode { path, uid, before: after, after: before },
            Step::Owner { path, before, after } => Step::Owner { path, before: after, after: before },
            Step::Member { account, group, leaves } => Step::Member { account, group, leaves: !leaves },
            Step::Capability { path, held, bits, off } => Step::Capability { path, held, bits, off: !off },
            Step::Edit { path, syntax, edits, made } => Step::Edit { path, syntax, edits, made: !made },
            Step::File { path, mode, content, there } => Step::File { path, mode, content, there: !there },
            Step::Setting { name, before, after } => Step::Setting { name, before: after, after: before },
        }
    }
}

/// Adds a step to others, so that each path is changed once and each line as often as it must be: what two fixes take off a mode is taken
/// off together, an owner's change carries the mode, edits of one file are one.
pub(super) fn add(out: &mut Vec<Step>, step: &Step) {
    for s in out.iter_mut() {
        match (&mut *s, step) {
            (Step::Mode { path, after, .. }, Step::Mode { path: p, after: a, .. }) if path == p => {
                *after &= a;
                return;
            }
            (Step::Owner { path, after, .. }, Step::Mode { path: p, after: a, .. }) if path == p => {
                after.mode &= a | 0o070;
                return;
            }
            (Step::Mode { path, after, .. }, Step::Owner { path: p, before, after: a }) if path == p => {
                let mode = a.mode & (*after | 0o070);
                *s = Step::Owner { path: p.clone(), before: *before, after: Held { mode, ..*a } };
                return;
            }
            (Step::Edit { path, edits, made: true, .. }, Step::Edit { path: p, edits: more, made: true, .. }) if path == p => {
                edits.extend(more.iter().filter(|e| !edits.contains(e)).cloned().collect::<Vec<_>>());
                edits.sort();
                // Where a line goes as a whole nothing is left of it to be changed.
                let gone: Vec<u32> = edits.iter().filter(|e| e.how == How::Comment).map(|e| e.line).collect();
                edits.retain(|e| e.how == How::Comment || !gone.contains(&e.line));
                return;
            }
            (s, step) if s == step => return,
            _ => {}
        }
    }
    out.push(step.clone());
}
