//! A root directory with what a machine would have, and systemd's tools run on it. Nothing of this machine is touched.

use plan::system::{FileAct, SystemPlan};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    process::{Command, Output},
};
use tempfile::TempDir;

/// Units of the distribution that ours name.
const TARGETS: [&str; 8] = [
    "basic.target",
    "sysinit.target",
    "shutdown.target",
    "multi-user.target",
    "network.target",
    "network-online.target",
    "systemd-modules-load.service",
    "systemd-udevd.service",
];

pub struct Root(TempDir);

fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program)
        .args(args)
        .env("SYSTEMD_COLORS", "0")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}: cargo xtask setup installs it"))
}

impl Root {
    /// A root with every artefact of a machine, programs that its units name, and upstream's units where ours are drop-ins.
    pub fn with(system: &SystemPlan) -> Self {
        let root = Self(TempDir::new().expect("directory"));
        for (path, text) in emit::render::system_files(system) {
            root.put(&path, &text);
        }
        for t in TARGETS {
            let body = if t.ends_with(".service") { "[Service]\nExecStart=/usr/bin/env\n" } else { "[Unit]\nDescription=x\n" };
            root.put(&format!("usr/lib/systemd/system/{t}"), body);
        }
        root.program("/usr/bin/env");
        for u in &system.units {
            for line in u.whole.iter().filter(|l| l.key == "ExecStart") {
                root.program(line.value.trim_start_matches('-').split(' ').next().expect("program"));
            }
            if let Some((service, _)) = u.instance.as_ref().filter(|_| u.whole.is_empty()) {
                let unit = catalog::builtin()[service].unit.as_ref().expect("unit");
                root.upstream(&u.name, &unit.exec, "");
            }
        }
        root
    }

    /// A unit as upstream ships it: a program, and no more.
    pub fn upstream(&self, name: &str, exec: &str, more: &str) {
        self.program(exec.split(' ').next().expect("program"));
        self.put(&format!("usr/lib/systemd/system/{name}"), &format!("[Service]\nExecStart={exec}\n{more}"));
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        fs::write(path, text).expect("file");
    }

    fn program(&self, path: &str) {
        self.put(path.trim_start_matches('/'), "#!/bin/true\n");
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o755)).expect("mode");
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    fn arg(&self) -> String {
        format!("--root={}", self.0.path().display())
    }

    /// What `systemd-analyze verify` has to say; nothing where all is well.
    pub fn verify(&self, units: &[&str]) -> String {
        // A template is verified by an instance of it.
        let named: Vec<String> = units.iter().map(|u| u.replace("@.", "@main.")).collect();
        let root = self.arg();
        let mut args = vec!["verify", root.as_str(), "--man=no"];
        args.extend(named.iter().map(String::as_str));
        let out = run("systemd-analyze", &args);
        let mut said = String::from_utf8_lossy(&out.stderr).into_owned();
        if !out.status.success() && said.is_empty() {
            said = format!("{}", out.status);
        }
        said
    }

    /// Exposure of a unit, 0 to 10.
    pub fn exposure(&self, unit: &str) -> f32 {
        let out = run("systemd-analyze", &["security", "--offline=true", &self.arg(), "--no-pager", &unit.replace("@.", "@main.")]);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let line = text.lines().find(|l| l.contains("Overall exposure")).unwrap_or_else(|| panic!("{unit}: {text}"));
        line.split(": ").nth(1).and_then(|r| r.split(' ').next()).and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    }

    /// Exposure of the same program in a unit without any sandbox.
    pub fn bare(&self, unit: &catalog::Unit) -> f32 {
        self.upstream("ravelin-bare.service", &unit.exec.replace("%i", "main"), "");
        self.exposure("ravelin-bare.service")
    }

    /// Lets systemd-sysusers and systemd-tmpfiles work on the root, and looks at what they made. As root only: nobody else
    /// may change owners.
    pub fn accounts(&self, system: &SystemPlan, what: &str) {
        let out = run("systemd-sysusers", &[&self.arg()]);
        assert!(out.status.success(), "{what}: {}", String::from_utf8_lossy(&out.stderr));
        let passwd = fs::read_to_string(self.path("etc/passwd")).expect("passwd");
        let shadow = fs::read_to_string(self.path("etc/shadow")).expect("shadow");
        for (name, a) in &system.accounts {
            let line = passwd.lines().find(|l| l.starts_with(&format!("{name}:"))).unwrap_or_else(|| panic!("{what}: no {name}"));
            assert!(line.ends_with(&format!(":{}:/usr/sbin/nologin", a.home)), "{what}: {line}");
            let line = shadow.lines().find(|l| l.starts_with(&format!("{name}:"))).expect("shadow line");
            assert!(line.split(':').nth(1).is_some_and(|p| p.starts_with('!')), "{what}: {name} has a password");
        }
        if !is_root() {
            eprintln!("not root: systemd-tmpfiles is not tried");
            return;
        }
        // Something an earlier account made: it is tightened, not given away.
        let repo = system.files.iter().find(|f| f.act == FileAct::Tighten && f.path.ends_with("/token"));
        let token = repo.map(|f| f.path.clone());
        if let Some(token) = &token {
            self.put(token, "x");
            fs::set_permissions(self.path(token), fs::Permissions::from_mode(0o644)).expect("mode");
        }
        let out = run("systemd-tmpfiles", &[&self.arg(), "--create"]);
        assert!(out.status.success(), "{what}: {}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(String::from_utf8_lossy(&out.stderr), "", "{what}: systemd-tmpfiles");
        for f in system.files.iter().filter(|f| f.act == FileAct::Make && !token.as_ref().is_some_and(|t| t.starts_with(&f.path))) {
            let meta = fs::metadata(self.path(&f.path)).unwrap_or_else(|e| panic!("{what}: {}: {e}", f.path));
            assert_eq!(meta.mode() & 0o7777, f.mode, "{what}: {}", f.path);
            assert_eq!(meta.uid(), self.id(&passwd, &f.owner), "{what}: owner of {}", f.path);
        }
        if let Some(token) = token {
            let meta = fs::metadata(self.path(&token)).expect("token");
            assert_eq!((meta.mode() & 0o7777, meta.uid()), (0o600, 0), "{what}: {token}");
        }
    }

    fn id(&self, passwd: &str, name: &str) -> u32 {
        let line = passwd.lines().find(|l| l.starts_with(&format!("{name}:")));
        line.and_then(|l| l.split(':').nth(2)).and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

/// Exposure is weighed differently from version to version; the table is that of Debian 12.
pub fn is_the_table_s_version() -> bool {
    String::from_utf8_lossy(&run("systemd-analyze", &["--version"]).stdout).starts_with("systemd 252 ")
}
