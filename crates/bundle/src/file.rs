//! Files a bundle may put on a machine. In come path, mode and text, out comes what they are for, or why they are refused. Only
//! files of Ravelin's own, told by their first words, in five kinds of places. A bundle is checked for what it would make others run:
//! nothing of it starts a program as root, names an account's number, or opens what is closed. Never: looks at a disk.

use crate::pair::{self, Daemon};
use crate::unit::{self, ROOT_GROUPS};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How every file of ours begins. A file without it is somebody else's and is left alone.
pub const MARK: &str = "# Written by ravelin";

/// Name of our drop-in in a unit's directory.
pub const DROP_IN: &str = "10-ravelin.conf";

/// Where the accounts' file lies.
pub const ACCOUNTS: &str = "/etc/sysusers.d/ravelin.conf";
/// Where the file of directories and modes lies.
pub const DIRECTORIES: &str = "/etc/tmpfiles.d/ravelin.conf";
/// Where units lie.
pub const UNITS: &str = "/etc/systemd/system/";

/// Largest file, in bytes: a machine of a hundred services stays below a tenth of it.
pub const MAX_FILE: usize = 1 << 20;

/// Modes a file may have: for everybody to read, or for root alone.
const MODES: [u32; 2] = [0o644, 0o600];

/// The shell that lets nobody in.
pub const NO_SHELL: &str = "/usr/sbin/nologin";

/// What `a+` may add: the group may use what is made in a directory.
const SHARED: &str = "default:group::rwx,default:mask::rwx";

/// Directories of the system: none below them may be made for an account.
const SYSTEM: [&str; 13] =
    ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr", "/var/spool"];

/// A file of ours, owned by root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnFile {
    /// Absolute path.
    pub path: String,
    /// Mode.
    pub mode: u32,
    /// Text; begins with [`MARK`].
    pub content: String,
}

/// What a path is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Accounts, for systemd-sysusers.
    Accounts,
    /// Directories and modes, for systemd-tmpfiles.
    Directories,
    /// A whole unit.
    Unit(String),
    /// Our drop-in of a unit.
    DropIn(String),
    /// What a daemon of a redundant pair is told.
    Pair(Daemon),
}

/// Who must be told of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum After {
    /// `systemd-sysusers`.
    Sysusers,
    /// `systemd-tmpfiles --create`.
    Tmpfiles,
    /// `systemctl daemon-reload`.
    Reload,
    /// A daemon of a pair whose file is another one.
    Pair(Daemon),
    /// The same where its unit is another one.
    PairUnit(Daemon),
}

impl After {
    /// Whether the file is systemd's own, in a directory that may be left empty.
    pub fn is_unit(self) -> bool {
        matches!(self, After::Reload | After::PairUnit(_))
    }
}

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// No place of ours.
    #[error("`{0}` is no place for a file of a bundle")]
    Place(String),
    /// Twice.
    #[error("`{0}` stands in the bundle twice")]
    Twice(String),
    /// Mode.
    #[error("`{path}` would have mode {mode:04o}")]
    Mode {
        /// Path.
        path: String,
        /// Mode.
        mode: u32,
    },
    /// Not marked, too large, or with bytes that no text has.
    #[error("`{0}` does not begin with `{MARK}`, has a line that goes on, a control character, or more than {MAX_FILE} bytes")]
    Text(String),
    /// A line.
    #[error("`{path}`: {why}: `{line}`")]
    Line {
        /// Path.
        path: String,
        /// What is wrong with it.
        why: &'static str,
        /// The line.
        line: String,
    },
    /// Not the drop-in of a pair's daemon.
    #[error("`{0}` is a daemon of a redundant pair, and its drop-in is not the one Ravelin has for it")]
    Pair(String),
    /// A unit that would run as root.
    #[error("`{0}` would run as root: neither it nor its drop-in names an account")]
    Root(String),
}

impl Place {
    /// What this path is for, where a bundle may write it at all.
    pub fn of(path: &str) -> Result<Self, FileError> {
        let refused = || FileError::Place(path.to_owned());
        match path {
            ACCOUNTS => return Ok(Self::Accounts),
            DIRECTORIES => return Ok(Self::Directories),
            pair::KEEPALIVED => return Ok(Self::Pair(Daemon::Keepalived)),
            pair::CONNTRACKD => return Ok(Self::Pair(Daemon::Conntrackd)),
            _ => {}
        }
        let below = path.strip_prefix(UNITS).ok_or_else(refused)?;
        match below.split_once('/') {
            None if is_service(below) => Ok(Self::Unit(below.to_owned())),
            Some((directory, DROP_IN)) => {
                let unit = directory.strip_suffix(".d").filter(|u| is_service(u)).ok_or_else(refused)?;
                Ok(Self::DropIn(unit.to_owned()))
            }
            _ => Err(refused()),
        }
    }
    /// Who must be told when a file here has changed.
    pub fn after(&self) -> After {
        match self {
            Self::Accounts => After::Sysusers,
            Self::Directories => After::Tmpfiles,
            Self::DropIn(name) if Daemon::of_unit(name).is_some() => Daemon::of_unit(name).map_or(After::Reload, After::PairUnit),
            Self::Unit(_) | Self::DropIn(_) => After::Reload,
            Self::Pair(daemon) => After::Pair(*daemon),
        }
    }
}

/// A service unit's name; systemd's own alphabet without what a path or a pattern could be made of.
fn is_service(name: &str) -> bool {
    let stem = name.strip_suffix(".service").unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.@".contains(&b);
    !stem.is_empty() && name.len() <= 255 && !stem.starts_with(['.', '-']) && stem.bytes().all(plain)
}

/// Checks all files of a bundle, each by itself and units together with their drop-ins.
pub fn check<'a>(files: impl IntoIterator<Item = &'a OwnFile>) -> Result<(), FileError> {
    let mut units: BTreeMap<String, Vec<&OwnFile>> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for file in files {
        let place = Place::of(&file.path)?;
        if !seen.insert(&file.path) {
            return Err(FileError::Twice(file.path.clone()));
        }
        if !MODES.contains(&file.mode) {
            return Err(FileError::Mode { path: file.path.clone(), mode: file.mode });
        }
        let odd = |c: char| c.is_control() && c != '\n';
        let goes_on = file.content.lines().any(|l| l.trim_end().ends_with('\\'));
        if !file.content.starts_with(MARK) || file.content.len() > MAX_FILE || file.content.contains(odd) || goes_on {
            return Err(FileError::Text(file.path.clone()));
        }
        match place {
            Place::Accounts => lines(file, account)?,
            Place::Directories => lines(file, directory)?,
            Place::Pair(daemon) => {
                let refused = |(why, line)| FileError::Line { path: file.path.clone(), why, line };
                pair::check(daemon, &file.content).map_err(refused)?;
            }
            Place::Unit(name) | Place::DropIn(name) => units.entry(name).or_default().push(file),
        }
    }
    units.iter().try_for_each(|(name, files)| unit::check(name, files))
}

/// Every line that is neither empty nor a comment.
pub(crate) fn lines(file: &OwnFile, good: impl Fn(&str) -> Result<(), &'static str>) -> Result<(), FileError> {
    for line in file.content.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
        good(line).map_err(|why| FileError::Line { path: file.path.clone(), why, line: line.to_owned() })?;
    }
    Ok(())
}

/// `g NAME -` and `u NAME - "..." HOME /usr/sbin/nologin`: no numbers, no memberships, no shell.
fn account(line: &str) -> Result<(), &'static str> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["g", name, "-"] if is_name(name) => Ok(()),
        ["u", name, "-", ..] if is_name(name) => {
            let rest = line.splitn(4, ' ').nth(3).and_then(|r| r.strip_prefix('"')).and_then(|r| r.split_once("\" "));
            let Some((what, rest)) = rest else { return Err("no description") };
            let (home, shell) = rest.split_once(' ').ok_or("no shell")?;
            if what.contains('"') || !is_path(home) {
                return Err("no home");
            }
            if shell == NO_SHELL { Ok(()) } else { Err("an account of a service has no shell") }
        }
        _ => Err("only groups and accounts without a number are made"),
    }
}

/// The one directory that is lent to a group, and its mode: its members make files in it, and nobody removes another one's.
const LENT: (&str, &str) = ("/dev/hugepages", "1775");

/// `d` with colons (only what is made gets them), `z` that closes or lends, `a+` that shares a directory with its group.
fn directory(line: &str) -> Result<(), &'static str> {
    let words: Vec<&str> = line.split(' ').collect();
    let octal = |text: &str| u32::from_str_radix(text, 8).map_err(|_| "no mode");
    match words[..] {
        ["d", path, mode, owner, group, "-"] if is_path(path) => {
            let (Some(mode), Some(owner), Some(group)) = (mode.strip_prefix(':'), owner.strip_prefix(':'), group.strip_prefix(':')) else {
                return Err("what is there already would change");
            };
            if octal(mode)? & 0o5002 != 0 || octal(mode)? > 0o7777 {
                return Err("writable by everybody, or with a bit that has no business here");
            }
            if !is_name(owner) || !is_name(group) {
                return Err("no account");
            }
            let inside = |s: &str| path == s || path.strip_prefix(s).is_some_and(|r| r.starts_with('/'));
            if owner != "root" && (SYSTEM.iter().any(|s| inside(s)) || path.split('/').any(|p| p == ".ssh")) {
                return Err("a directory of the system for an account");
            }
            Ok(())
        }
        ["z", path, mode, "-", "-", "-"] if is_path(path) => {
            if octal(mode)? & !0o750 == 0 {
                Ok(())
            } else {
                Err("opens instead of closing")
            }
        }
        ["z", path, mode, "-", group, "-"] if (path, mode) == LENT && is_name(group) && !ROOT_GROUPS.contains(&group) => Ok(()),
        ["a+", path, "-", "-", "-", "-", SHARED] if is_path(path) => Ok(()),
        _ => Err("only directories are made and modes closed"),
    }
}

/// A name as Debian makes accounts; never a number.
pub(crate) fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
    text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_') && text.len() <= 32 && text.bytes().all(plain)
}

/// An absolute path without steps upward.
fn is_path(text: &str) -> bool {
    text.starts_with('/') && text != "/" && !text.split('/').skip(1).any(|p| p.is_empty() || p == "." || p == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, line: &str) -> Result<(), FileError> {
        check([&OwnFile { path: path.to_owned(), mode: 0o644, content: format!("{MARK}.\n{line}\n") }])
    }

    #[test]
    fn places_are_ours_and_no_others() {
        assert_eq!(Place::of("/etc/systemd/system/lotus-daemon.service"), Ok(Place::Unit("lotus-daemon.service".into())));
        assert_eq!(Place::of("/etc/systemd/system/a@.service.d/10-ravelin.conf"), Ok(Place::DropIn("a@.service".into())));
        for bad in [
            "",
            "/etc/passwd",
            "/etc/sysusers.d/other.conf",
            "/etc/sysusers.d/../passwd",
            "/etc/systemd/system/../x.service",
            "/etc/systemd/system/.service",
            "/etc/systemd/system/-a.service",
            "/etc/systemd/system/a.timer",
            "/etc/systemd/system/a.socket.d/10-ravelin.conf",
            "/etc/systemd/system/a.service.d/override.conf",
            "/etc/systemd/system/a.service.d/x/10-ravelin.conf",
            "/etc/systemd/system/multi-user.target.wants/a.service",
            "/etc/systemd/system/a b.service",
            "/etc/systemd/system//a.service",
        ] {
            assert!(Place::of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn accounts_have_no_number_no_shell_and_no_memberships() {
        for good in ["g video -", "u lotus - \"Filecoin services\" /var/lib/lotus /usr/sbin/nologin", "# u x 0"] {
            assert_eq!(one(ACCOUNTS, good), Ok(()), "{good}");
        }
        for bad in [
            "u evil 0 \"x\" /root /usr/sbin/nologin",
            "u evil - \"x\" /root /bin/sh",
            "u evil - \"x\" /root",
            "u evil - \"x\" \"y\" /root /usr/sbin/nologin",
            "m evil sudo",
            "g sudo 0",
            "r - 0-10",
            " u evil 0",
            "u! evil - \"x\" /x /usr/sbin/nologin",
        ] {
            assert!(matches!(one(ACCOUNTS, bad), Err(FileError::Line { .. })), "{bad}");
        }
    }

    #[test]
    fn directories_are_made_and_modes_are_closed() {
        for good in [
            "d /var/lib/lotus :0700 :lotus :lotus -",
            "d /etc/filecoin :0700 :root :root -",
            "d /var/lib/filecoin-gpu :2770 :root :filecoin-gpu -",
            "z /var/lib/lotus/.lotus/keystore/* 0600 - - -",
            "z /dev/hugepages 1775 - filecoin-hugepages -",
            "a+ /var/lib/filecoin-gpu - - - - default:group::rwx,default:mask::rwx",
        ] {
            assert_eq!(one(DIRECTORIES, good), Ok(()), "{good}");
        }
        for bad in [
            "d /var/lib/lotus 0700 lotus lotus -",
            "d /etc/cron.d/x :0755 :lotus :lotus -",
            "d /root/.ssh :0700 :lotus :lotus -",
            "d /x :0777 :root :root -",
            "d /x :4755 :root :root -",
            "d /x/../etc :0700 :root :root -",
            "z /dev/hugepages 1777 - filecoin-hugepages -",
            "z /dev/hugepages 1775 - docker -",
            "z /dev/shm 1775 - filecoin-hugepages -",
            "z /etc/shadow 0644 - - -",
            "z /bin/sh 4755 - - -",
            "z /etc/shadow 0600 lotus - -",
            "f /etc/cron.d/x 0644 root root - x",
            "L /etc/x - - - - /y",
            "a+ /etc/shadow - - - - u:lotus:r",
            "D /var/lib - - - -",
        ] {
            assert!(matches!(one(DIRECTORIES, bad), Err(FileError::Line { .. })), "{bad}");
        }
    }

    #[test]
    fn files_are_marked_plain_and_single() {
        let file = |mode, content: &str| OwnFile { path: ACCOUNTS.into(), mode, content: content.into() };
        assert!(matches!(check([&file(0o644, "g x -\n")]), Err(FileError::Text(_))));
        assert!(matches!(check([&file(0o644, "# Written by ravelin \\\ng x -\n")]), Err(FileError::Text(_))));
        assert!(matches!(check([&file(0o644, "# Written by ravelin\r\ng x -\n")]), Err(FileError::Text(_))));
        assert!(matches!(check([&file(0o4755, MARK)]), Err(FileError::Mode { .. })));
        assert!(matches!(check([&file(0o644, MARK), &file(0o644, MARK)]), Err(FileError::Twice(_))));
    }
}
