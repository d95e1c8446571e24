//! A root directory with sudo, its libraries, accounts and a policy of ours. In come cases, out come sudo's own answers.

use crate::generate::{ACCOUNTS, Case, GROUPS, PROGRAMS};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The name the machine has in its namespace.
pub const HOST: &str = "oracle";

pub struct Jail {
    root: PathBuf,
    themselves: bool,
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"))
}

impl Jail {
    /// Needs a mount namespace of its own around it. `themselves`: accounts ask for themselves, which takes real root outside;
    /// else root asks for them, and then sudo takes root for the asker where a rule says "as oneself".
    pub fn build(themselves: bool) -> Jail {
        let named = run("hostname", &[HOST]);
        assert!(named.status.success(), "{named:?}");
        let root = PathBuf::from(format!("/tmp/ravelin-sudo-{}", std::process::id()));
        fs::create_dir_all(&root).expect("directory");
        let mounted = run("mount", &["-t", "tmpfs", "tmpfs", root.to_str().expect("path")]);
        assert!(mounted.status.success(), "{mounted:?}");
        for directory in ["etc/sudoers.d", "etc/pam.d", "usr/bin", "usr/sbin", "tmp", "dev", "run", "var", "bin", "lib64"] {
            fs::create_dir_all(root.join(directory)).expect("directory");
        }
        let mut libraries: BTreeSet<String> = ["/usr/bin/sudo", "/usr/bin/cvtsudoers"].map(str::to_owned).into();
        for entry in fs::read_dir("/usr/libexec/sudo").expect("sudo is installed: cargo xtask setup").flatten() {
            libraries.insert(entry.path().display().to_string());
        }
        for program in ["/usr/bin/sudo", "/usr/bin/cvtsudoers", "/usr/libexec/sudo/sudoers.so"] {
            let text = String::from_utf8_lossy(&run("ldd", &[program]).stdout).into_owned();
            libraries.extend(text.split_whitespace().filter(|w| w.starts_with('/')).map(str::to_owned));
        }
        let permit = run("sh", &["-c", "ls /usr/lib/*/security/pam_permit.so /usr/lib/*/security/pam_deny.so 2>/dev/null"]);
        libraries.extend(String::from_utf8_lossy(&permit.stdout).lines().map(|l| l.replacen("/usr/lib", "/lib", 1)));
        for library in &libraries {
            let to = root.join(library.trim_start_matches('/'));
            fs::create_dir_all(to.parent().expect("parent")).expect("directory");
            fs::copy(library, &to).unwrap_or_else(|e| panic!("{library}: {e}"));
        }
        for program in PROGRAMS {
            let path = root.join(program.trim_start_matches('/'));
            fs::write(&path, program).expect("writes");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("mode");
        }
        let passwd: String = ACCOUNTS.iter().map(|(n, u, g)| format!("{n}:x:{u}:{g}::/:/bin/sh\n")).collect();
        let group: String = GROUPS.iter().map(|(n, g, m)| format!("{n}:x:{g}:{}\n", m.join(","))).collect();
        let pam = "auth required pam_deny.so\naccount required pam_permit.so\nsession required pam_permit.so\n";
        for (path, text) in [
            ("etc/passwd", passwd.as_str()),
            ("etc/group", &group),
            ("etc/nsswitch.conf", "passwd: files\ngroup: files\nsudoers: files\nnetgroup: files\nhosts: files\n"),
            ("etc/hosts", "127.0.0.1 localhost\n"),
            ("etc/pam.d/sudo", pam),
            // In a user namespace of one id sudo cannot take another one to read a file that its group may read.
            ("etc/sudo.conf", "Plugin sudoers_policy sudoers.so sudoers_mode=0400\n"),
        ] {
            fs::write(root.join(path), text).expect("writes");
        }
        if themselves {
            fs::set_permissions(root.join("usr/bin/sudo"), fs::Permissions::from_mode(0o4755)).expect("setuid");
        }
        Jail { root, themselves }
    }

    /// Puts a case in place of the last one.
    pub fn write(&self, case: &Case) {
        let directory = self.root.join("etc/sudoers.d");
        fs::remove_dir_all(&directory).expect("empties");
        fs::create_dir_all(&directory).expect("directory");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("mode");
        for (path, text) in &case.files {
            let path = self.root.join(path.trim_start_matches('/'));
            let _ = fs::remove_file(&path);
            fs::write(&path, text).expect("writes");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("mode");
        }
    }

    /// Whether accounts ask for themselves.
    pub fn themselves(&self) -> bool {
        self.themselves
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        Command::new("chroot").arg(&self.root).args(arguments).env("LC_ALL", "C").output().expect("chroot runs")
    }

    /// sudo finds no fault with the policy.
    pub fn reads(&self) -> bool {
        let out = self.ask(&["/usr/bin/cvtsudoers", "-f", "json", "/etc/sudoers"]);
        let said = String::from_utf8_lossy(&out.stderr);
        out.status.success() && !said.contains("syntax error") && !said.contains("already defined")
    }

    /// `sudo -l -U USER -u TARGET PROGRAM ARGUMENTS`.
    pub fn allows(&self, user: &str, target: &str, path: &str, arguments: &str) -> bool {
        let mut all = vec!["/usr/bin/sudo", "-n", "-l"];
        if !self.themselves {
            all.extend(["-U", user]);
        }
        all.extend(["-u", target, "--", path]);
        all.extend(arguments.split_whitespace());
        let mut command = if self.themselves { self.by(user) } else { Command::new("chroot") };
        let out = command.arg(&self.root).args(all).env("LC_ALL", "C").output().expect("chroot runs");
        out.status.success()
    }

    /// `sudo -l -U USER`: the list, if there is anything in it.
    pub fn lists(&self, user: &str) -> Option<String> {
        let out = self.ask(&["/usr/bin/sudo", "-n", "-l", "-U", user]);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.contains("may run the following").then_some(text)
    }

    /// The account runs the command; whether a password was asked for. The programs are no programs, so nothing runs.
    pub fn asks_password(&self, user: &str, target: &str, path: &str, arguments: &str) -> bool {
        let mut all = vec!["/usr/bin/sudo", "-n", "-u", target, "--", path];
        all.extend(arguments.split_whitespace());
        let said = self.by(user).arg(&self.root).args(all).env("LC_ALL", "C").output().expect("chroot runs");
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        let ran = said.contains("unable to execute") || said.contains("Exec format") || said.contains("not a directory");
        assert!(ran != said.contains("password is required"), "sudo says something else: {said}");
        !ran
    }

    /// `chroot` as an account.
    fn by(&self, user: &str) -> Command {
        let (_, uid, gid) = ACCOUNTS.iter().find(|a| a.0 == user).expect("account");
        let groups: Vec<String> = GROUPS.iter().filter(|g| g.2.contains(&user)).map(|g| g.1.to_string()).collect();
        let mut command = Command::new("chroot");
        command.arg(format!("--userspec={uid}:{gid}")).arg(format!("--groups={}", groups.join(",")));
        command
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        let path: &Path = &self.root;
        let _ = Command::new("umount").arg(path).status();
        let _ = fs::remove_dir(path);
    }
}
