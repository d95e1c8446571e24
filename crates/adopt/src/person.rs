//! An administrator's own account, made after one that people share with a service: its keys, its password. In come a name and the shared
//! account, out comes an account that may become root by sudo. That it lets its owner in is shown by a login, not here. Never: touches an
//! account that is there, leaves half of one, shows a password.

use crate::{Error, door::entry, host::program};
use std::{
    fmt, fs,
    os::unix::fs::{DirBuilderExt, chown},
    path::{Path, PathBuf},
};

/// Groups whose members become root by sudo: Debian's, RHEL's.
const GROUPS: [&str; 2] = ["sudo", "wheel"];
/// Largest list of keys that is carried over, in bytes.
const MOST: u64 = 1 << 20;
/// Mode of a directory of keys.
const PRIVATE_DIRECTORY: u32 = 0o700;
/// Mode sudo asks for.
const SUDOERS: u32 = 0o440;

/// An account that is to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// Its name.
    pub name: String,
    /// Group by which it becomes root.
    pub group: &'static str,
    /// Lines of keys that open it.
    pub keys: Vec<String>,
    /// The password, as shadow has it; without one sudo must not ask.
    secret: Option<String>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person")
            .field("name", &self.name)
            .field("group", &self.group)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

/// The files a person is made after, as text.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// `/etc/passwd`.
    pub passwd: &'a str,
    /// `/etc/shadow`.
    pub shadow: &'a str,
    /// `/etc/group`.
    pub group: &'a str,
    /// The shared account's `authorized_keys`.
    pub keys: &'a str,
}

impl Person {
    /// The person after the shared account, or what stands against it.
    pub fn after(shared: &str, name: &str, files: Files<'_>) -> Result<Self, String> {
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_');
        if !first || name.len() > 32 || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b)) {
            return Err(format!("`{name}` is no name of an account: small letters, digits, `-` and `_`, at most 32"));
        }
        if entry(files.passwd, name).is_some() {
            return Err(format!("account {name} is there already: log in with it, and run this again from there"));
        }
        if entry(files.passwd, shared).is_none() {
            return Err(format!("account {shared}, after which it would be made, is not there"));
        }
        let Some(group) = GROUPS.into_iter().find(|g| entry(files.group, g).is_some()) else {
            return Err("neither a group sudo nor wheel is here: install sudo".to_owned());
        };
        let keys: Vec<String> =
            files.keys.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect();
        // `!` and `*` lock; an empty one lets everybody in and is not carried over.
        let secret = entry(files.shadow, shared).and_then(|f| f.get(1).copied()).filter(|s| s.starts_with('$')).map(str::to_owned);
        if keys.is_empty() && secret.is_none() {
            return Err(format!("{shared} has neither a key in its authorized_keys nor a password: {name} could not log in"));
        }
        Ok(Self { name: name.to_owned(), group, keys, secret })
    }

    /// The same, on this machine.
    pub fn here(shared: &str, name: &str) -> Result<Self, Error> {
        let read = |path: &str| fs::read_to_string(path).map_err(|e| Error::record(path, e));
        let (passwd, shadow, group) = (read("/etc/passwd")?, read("/etc/shadow")?, read("/etc/group")?);
        let home = entry(&passwd, shared).and_then(|f| f.get(5).copied());
        let keys = home.map(|h| Path::new(h).join(".ssh/authorized_keys"));
        // A link is not followed: the directory is the shared account's own.
        let keys = keys.and_then(|path| sys::file::regular(&path, MOST, false).ok()).unwrap_or_default();
        let keys = String::from_utf8_lossy(&keys);
        Self::after(shared, name, Files { passwd: &passwd, shadow: &shadow, group: &group, keys: &keys })
            .map_err(|why| Error::Refused(vec![why]))
    }

    /// The keys as people tell them apart: kind and comment. Whoever holds one of them becomes an administrator.
    pub fn holders(&self) -> Vec<String> {
        let kind = |w: &&str| ["ssh-", "ecdsa-", "sk-"].iter().any(|k| w.starts_with(k));
        let told = |line: &String| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = words.iter().position(kind).unwrap_or(0);
            let comment = words.get(at + 2..).unwrap_or_default().join(" ");
            format!("{} {}", words.get(at).unwrap_or(&"?"), if comment.is_empty() { "(no comment)" } else { &comment })
        };
        self.keys.iter().map(told).collect()
    }

    /// Becomes root without a password: there is none to ask for.
    pub fn is_unasked(&self) -> bool {
        self.secret.is_none()
    }

    fn sudoers(&self) -> PathBuf {
        Path::new("/etc/sudoers.d").join(format!("ravelin-{}", self.name))
    }

    /// Makes it, whole or not at all.
    pub fn make(&self) -> Result<(), Error> {
        program("useradd", &["--create-home", "--user-group", "--shell", "/bin/bash", "--groups", self.group, &self.name], "")?;
        self.fill().inspect_err(|_| {
            let _ = sys::file::remove(&self.sudoers());
            let _ = program("userdel", &["--remove", &self.name], "");
        })
    }

    fn fill(&self) -> Result<(), Error> {
        match &self.secret {
            Some(secret) => drop(program("chpasswd", &["--encrypted"], &format!("{}:{secret}\n", self.name))?),
            None => {
                let line = format!(
                    "# Written by ravelin: {0} has a key and no password to be asked for.\n{0} ALL=(ALL:ALL) NOPASSWD: ALL\n",
                    self.name
                );
                program("visudo", &["-cf", "-"], &line)?;
                sys::file::replace_as(&self.sudoers(), line.as_bytes(), SUDOERS)?;
            }
        }
        let passwd = fs::read_to_string("/etc/passwd").map_err(|e| Error::record("/etc/passwd", e))?;
        let fields = entry(&passwd, &self.name).and_then(|f| Some((f.get(2)?.parse().ok()?, f.get(3)?.parse().ok()?, *f.get(5)?)));
        let (uid, gid, home): (u32, u32, &str) = fields.ok_or_else(|| Error::Apply(format!("account {} was not made", self.name)))?;
        let directory = Path::new(home).join(".ssh");
        let file = directory.join("authorized_keys");
        fs::DirBuilder::new().mode(PRIVATE_DIRECTORY).create(&directory).map_err(|e| Error::record(&directory, e))?;
        sys::file::replace(&file, (self.keys.join("\n") + "\n").as_bytes())?;
        [&directory, &file].into_iter().try_for_each(|p| chown(p, Some(uid), Some(gid)).map_err(|e| Error::record(p, e)))?;
        if Path::new("/sys/fs/selinux/enforce").exists() {
            program("restorecon", &["-R", home], "")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: Files<'_> = Files {
        passwd: "root:x:0:0::/root:/bin/bash\nlotus:x:1000:1000::/home/lotus:/bin/bash\neve:x:1001:1001::/:/bin/sh\n",
        shadow: "lotus:!:19000:::::\neve:$y$j9T$secret:19000:::::\n",
        group: "root:x:0:\nsudo:x:27:\n",
        keys: "# ours\nssh-ed25519 AAAA ada at home\n\nfrom=\"192.0.2.1\",no-pty ssh-rsa BBBB\n",
    };

    #[test]
    fn keys_and_password_are_the_shared_account_s() {
        let ada = Person::after("lotus", "ada", FILES).expect("made");
        assert_eq!(
            (ada.group, ada.holders(), ada.is_unasked()),
            ("sudo", vec!["ssh-ed25519 ada at home".into(), "ssh-rsa (no comment)".into()], true)
        );
        let other = Person::after("eve", "ada", Files { keys: "", ..FILES }).expect("made");
        assert!(!other.is_unasked() && !format!("{other:?}").contains("secret"));
    }

    #[test]
    fn what_could_not_log_in_or_is_there_is_not_made() {
        let why = |shared: &str, name: &str, files| Person::after(shared, name, files).expect_err("refused");
        assert!(why("lotus", "eve", FILES).contains("is there already"));
        assert!(why("lotus", "a:b", FILES).contains("no name"));
        assert!(why("lotus", "-a", FILES).contains("no name"));
        assert!(why("boost", "ada", FILES).contains("is not there"));
        assert!(why("lotus", "ada", Files { keys: "# none\n", ..FILES }).contains("could not log in"));
        assert!(why("lotus", "ada", Files { group: "", ..FILES }).contains("install sudo"));
    }
}
