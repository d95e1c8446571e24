//! `cargo xtask package`: a static binary and a .deb, both tried out. In come the release binaries, the units of
//! `packaging/` and the pages the binary itself writes; out come `target/package/ravelin_VERSION_ARCH.deb` and
//! `target/package/ravelin-VERSION-ARCH.tar.gz`. Never: installs anything on this machine; the trial root is a new directory.

use crate::process::{self, Stop, cargo, is_root, root};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// The two programs.
const PROGRAMS: [&str; 2] = ["ravelin", "ravelin-applier"];

/// Where Debian keeps units of packages.
const UNITS: &str = "usr/lib/systemd/system";

/// Builds, packs, installs into an empty root, runs `ravelin audit` there.
pub fn run() -> Result<(), Stop> {
    let target = static_target()?;
    let binaries = build(&target)?;
    let out = root().join("target/package");
    let tree = out.join("tree");
    clean(&tree)?;
    fill(&tree, &binaries)?;
    let version = env!("CARGO_PKG_VERSION");
    let archive = out.join(format!("ravelin-{version}-{}.tar.gz", std::env::consts::ARCH));
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(&archive).args(["--owner=0", "--group=0"]);
    tar.arg("-C").arg(tree.join("usr/bin")).arg(PROGRAMS[0]).arg("-C").arg(tree.join("usr/sbin")).arg(PROGRAMS[1]);
    process::run(&mut tar)?;
    let deb = pack(&tree, &out, version)?;
    try_out(&deb, &out.join("trial"))?;
    eprintln!("package: {}\npackage: {}", deb.display(), archive.display());
    Ok(())
}

/// Man pages and completion scripts, written by the binary from its own definitions.
pub fn manuals(directory: &Path) -> Result<(), Stop> {
    process::run(cargo().args(["build", "--bin", "ravelin"]))?;
    pages(&root().join("target/debug/ravelin"), &directory.join("man"), &directory.join("completions"))
}

fn pages(ravelin: &Path, man: &Path, completions: &Path) -> Result<(), Stop> {
    process::run(Command::new(ravelin).args(["generate", "man"]).arg(man))?;
    process::run(Command::new(ravelin).args(["generate", "completions"]).arg(completions))
}

/// musl where its standard library is installed, else glibc linked statically.
fn static_target() -> Result<String, Stop> {
    let arch = std::env::consts::ARCH;
    let sysroot = process::output(Command::new("rustc").current_dir(root()).args(["--print", "sysroot"]))?;
    let musl = format!("{arch}-unknown-linux-musl");
    let installed = Path::new(sysroot.trim()).join("lib/rustlib").join(&musl).is_dir();
    Ok(if installed { musl } else { format!("{arch}-unknown-linux-gnu") })
}

fn build(target: &str) -> Result<PathBuf, Stop> {
    let mut command = cargo();
    command.env("RUSTFLAGS", "-C target-feature=+crt-static").args(["build", "--release", "--target", target]);
    process::run(command.args(PROGRAMS.iter().flat_map(|p| ["--bin", p])))?;
    Ok(root().join("target").join(target).join("release"))
}

fn clean(directory: &Path) -> Result<(), Stop> {
    match fs::remove_dir_all(directory) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Stop::usage(format!("cannot empty {}: {e}", directory.display()))),
        _ => Ok(()),
    }
}

fn fill(tree: &Path, binaries: &Path) -> Result<(), Stop> {
    for (program, place) in [("ravelin", "usr/bin"), ("ravelin-applier", "usr/sbin")] {
        copy(&binaries.join(program), &tree.join(place).join(program), 0o755)?;
        process::run(Command::new("strip").arg("--strip-debug").arg(tree.join(place).join(program)))?;
    }
    for kind in ["service", "timer"] {
        for unit in files(&root().join("packaging"), kind)? {
            copy(&unit, &tree.join(UNITS).join(unit.file_name().unwrap_or_default()), 0o644)?;
        }
    }
    for (document, name) in [("README.md", "README.md"), ("CHANGELOG.md", "CHANGELOG.md"), ("LICENSE-MIT", "copyright")] {
        copy(&root().join(document), &tree.join("usr/share/doc/ravelin").join(name), 0o644)?;
    }
    let completions = tree.join("completions");
    pages(&tree.join("usr/bin/ravelin"), &tree.join("usr/share/man/man1"), &completions)?;
    for (file, place) in [
        ("ravelin.bash", "usr/share/bash-completion/completions/ravelin"),
        ("_ravelin", "usr/share/zsh/vendor-completions/_ravelin"),
        ("ravelin.fish", "usr/share/fish/vendor_completions.d/ravelin.fish"),
    ] {
        copy(&completions.join(file), &tree.join(place), 0o644)?;
    }
    clean(&completions)?;
    for page in files(&tree.join("usr/share/man/man1"), "1")? {
        process::run(Command::new("gzip").arg("-9nf").arg(&page))?;
    }
    Ok(())
}

fn files(directory: &Path, extension: &str) -> Result<Vec<PathBuf>, Stop> {
    let entries = fs::read_dir(directory).map_err(|e| Stop::fault(format!("cannot read {}: {e}", directory.display())))?;
    let mut out: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == extension)).collect();
    out.sort();
    Ok(out)
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<(), Stop> {
    let failed = |e: std::io::Error| Stop::fault(format!("cannot copy {} to {}: {e}", from.display(), to.display()));
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::copy(from, to).map_err(failed)?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).map_err(failed)
}

fn write(path: &Path, text: &str) -> Result<(), Stop> {
    let failed = |e: std::io::Error| Stop::fault(format!("cannot write {}: {e}", path.display()));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

fn pack(tree: &Path, out: &Path, version: &str) -> Result<PathBuf, Stop> {
    let architecture = process::output(Command::new("dpkg").arg("--print-architecture"))?.trim().to_owned();
    let size = process::output(Command::new("du").args(["-sk", "--apparent-size"]).arg(tree))?;
    let size = size.split_whitespace().next().unwrap_or("0");
    // The binaries are static; nft and conntrack are the programs they start.
    let control = format!(
        "Package: ravelin\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: The Ravelin authors <ravelin@localhost>\n\
         Installed-Size: {size}\nDepends: nftables, procps\nRecommends: conntrack, iproute2, iptables\nSection: admin\nPriority: optional\n\
         Description: defence in depth for Filecoin storage providers, from one file\n \
         Reads a site file, derives which flows its services need, proves over all packets what must\n \
         never happen, and puts the rules on every machine as one change that reverts by itself.\n"
    );
    write(&tree.join("DEBIAN/control"), &control)?;
    let deb = out.join(format!("ravelin_{version}_{architecture}.deb"));
    process::run(Command::new("dpkg-deb").args(["--root-owner-group", "-Zxz", "--build"]).arg(tree).arg(&deb))?;
    Ok(deb)
}

/// Installs into a new, empty root with dpkg itself and runs `ravelin audit` with that root as `/`.
fn try_out(deb: &Path, trial: &Path) -> Result<(), Stop> {
    clean(trial)?;
    for (file, text) in
        [("var/lib/dpkg/status", ""), ("var/lib/dpkg/available", ""), ("var/lib/dpkg/info/format", "1\n"), ("var/log/keep", "")]
    {
        write(&trial.join(file), text)?;
    }
    fs::create_dir_all(trial.join("var/lib/dpkg/updates")).map_err(|e| Stop::fault(e.to_string()))?;
    fs::create_dir_all(trial.join("proc")).map_err(|e| Stop::fault(e.to_string()))?;
    // Dependencies are those of a whole system and cannot be in an empty root; everything else of the installation is real.
    let install = "dpkg --root=\"$0\" --force-depends --force-not-root --force-bad-path --log=/dev/null -i \"$1\"";
    let in_own_namespaces = |script: &str| {
        let mut command = Command::new("unshare");
        command.arg(if is_root() { "-m" } else { "-Urm" }).args(["sh", "-ec", script]).arg(trial);
        command
    };
    process::run(in_own_namespaces(install).arg(deb))?;
    let audit = "mount --rbind /proc \"$0/proc\"; exec chroot \"$0\" /usr/bin/ravelin audit --json";
    let out = in_own_namespaces(audit).output().map_err(|e| Stop::usage(format!("cannot run unshare: {e}")))?;
    let report = String::from_utf8_lossy(&out.stdout);
    // 0: nothing found, 1: findings. Everything else means that it did not run.
    if !matches!(out.status.code(), Some(0 | 1)) || serde_json::from_str::<serde_json::Value>(&report).is_err() {
        return Err(Stop::fault(format!(
            "`ravelin audit` in the empty root: {}\n{report}{}",
            out.status,
            String::from_utf8_lossy(&out.stderr)
        )));
    }
    eprintln!("package: installed into an empty root; `ravelin audit` ran there and ended with {}", out.status);
    Ok(())
}
