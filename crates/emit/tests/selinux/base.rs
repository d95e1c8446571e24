//! Debian 12's own policy as CIL, made from its package without installing it: downloaded through apt, unpacked below
//! `target/`, translated by the package's own `pp`. Never: touches the policy, the store or the labels of this machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

/// Packages that are unpacked: the policy, and the program that turns its modules into CIL.
const PACKAGES: [&str; 2] = ["selinux-policy-default", "policycoreutils"];

/// The base policy.
pub struct Base {
    /// Directory of its modules in CIL.
    cil: PathBuf,
}

/// What secilc made of it.
pub struct Linked {
    /// It linked, and every assertion held.
    pub good: bool,
    /// What it said.
    pub said: String,
    /// Per line of the planted module, the assertions it breaks.
    pub broken: BTreeMap<usize, BTreeSet<String>>,
    /// The binary policy; gone with this value.
    pub dir: tempfile::TempDir,
}

impl Base {
    /// The base policy, made once.
    pub fn get() -> &'static Self {
        static BASE: OnceLock<Base> = OnceLock::new();
        BASE.get_or_init(|| {
            let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let cil = target.join("selinux-debian-12");
            if !cil.join("complete").exists() {
                make(target, &cil);
            }
            Self { cil }
        })
    }

    /// Links these modules with the base policy. `planted` is text that is linked as one more module.
    pub fn link(&self, modules: &BTreeMap<String, String>, planted: &[&str]) -> Linked {
        let dir = tempfile::tempdir().expect("directory");
        let mut files: Vec<PathBuf> = fs::read_dir(&self.cil).expect("base").map(|e| e.expect("entry").path()).collect();
        files.retain(|p| p.extension().is_some_and(|e| e == "cil"));
        files.sort();
        for (name, text) in modules.iter().map(|(n, t)| (n.as_str(), t.as_str())).chain(planted.iter().map(|t| ("planted", *t))) {
            let path = dir.path().join(format!("{name}.cil"));
            fs::write(&path, text).expect("written");
            files.push(path);
        }
        // Not verbose: secilc 3.4 then refuses file contexts that Debian's own modules repeat. Four rules are named per assertion.
        let out = Command::new("secilc")
            .arg("-o")
            .arg(dir.path().join("policy"))
            .arg("-f")
            .arg(dir.path().join("file_contexts"))
            .args(&files)
            .output()
            .expect("secilc runs (package secilc: cargo xtask setup)");
        let said = text(&out);
        let broken = named(dir.path(), &said);
        Linked { good: out.status.success(), said, broken, dir }
    }
}

/// Which planted lines break which assertions: secilc names the place of the assertion, then that of each rule against it.
fn named(dir: &Path, said: &str) -> BTreeMap<usize, BTreeSet<String>> {
    let mut out: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in said.lines() {
        if let Some(place) = line.strip_prefix("neverallow check failed at ") {
            name = assertion(dir, place);
        } else if let Some((_, place)) = line.split_once("allow at ") {
            let Some((file, number)) = place.trim().rsplit_once(':') else { continue };
            if file.ends_with("/planted.cil") {
                out.entry(number.parse().expect("a line")).or_default().insert(name.clone());
            }
        }
    }
    out
}

/// The comment above a place names the assertion.
fn assertion(dir: &Path, place: &str) -> String {
    let Some((file, number)) = place.trim().rsplit_once(':') else { return String::new() };
    let text = fs::read_to_string(dir.join(file)).expect("module");
    let above: Vec<&str> = text.lines().take(number.parse().expect("a line")).collect();
    let name = above.iter().rev().find_map(|l| l.strip_prefix("; assert ")).and_then(|l| l.split(':').next());
    name.unwrap_or("of the base policy").to_owned()
}

fn text(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

fn run(command: &mut Command) {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(out.status.success(), "{command:?}: {}", text(&out));
}

fn make(target: &Path, cil: &Path) {
    fs::create_dir_all(target).expect("target");
    let work = tempfile::tempdir_in(target).expect("directory");
    run(Command::new("apt-get").current_dir(work.path()).args(["download", "-q"]).args(PACKAGES));
    let root = work.path().join("root");
    for entry in fs::read_dir(work.path()).expect("downloads") {
        let path = entry.expect("entry").path();
        if path.extension().is_some_and(|e| e == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(&path).arg(&root));
        }
    }
    let made = work.path().join("cil");
    fs::create_dir_all(&made).expect("made");
    let pp = root.join("usr/libexec/selinux/hll/pp");
    for entry in fs::read_dir(root.join("usr/share/selinux/default")).expect("the package's modules") {
        let path = entry.expect("entry").path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".pp.bz2")) else { continue };
        let module = Command::new("bzip2").arg("-dc").arg(&path).output().expect("bzip2 runs");
        assert!(module.status.success(), "{}", path.display());
        let plain = work.path().join(format!("{name}.pp"));
        fs::write(&plain, module.stdout).expect("written");
        run(Command::new(&pp).arg(&plain).arg(made.join(format!("{name}.cil"))));
        fs::remove_file(&plain).expect("removed");
    }
    fs::write(made.join("complete"), "").expect("written");
    // Two test programs may have made it at once: the first one stays.
    if fs::rename(&made, cil).is_err() {
        assert!(cil.join("complete").exists(), "{} cannot be made", cil.display());
    }
}
