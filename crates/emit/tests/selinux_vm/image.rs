//! A Debian 12 image with SELinux enforcing, and one run of it in QEMU. Everything lies below `target/`. Never: touches the
//! policy, labels or accounts of this machine.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Packages of the image besides the essential ones.
const PACKAGES: &str =
    "linux-image-cloud-amd64,initramfs-tools,systemd-sysv,udev,kmod,selinux-policy-default,policycoreutils,selinux-utils,auditd,sudo,cron";
/// Seconds after which the machine is given up.
const PATIENCE: &str = "900";
/// Size of its disk, sparse.
const DISK: &str = "2200M";

pub fn run(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{command:?}: {text}");
    text
}

/// The unpacked distribution, made once.
fn distribution() -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("selinux-vm-debian-12");
    if !root.join("etc/debian_version").exists() {
        let made = root.with_extension("new");
        let _ = fs::remove_dir_all(&made);
        run(Command::new("mmdebstrap").args(["--variant=important", &format!("--include={PACKAGES}"), "bookworm"]).arg(&made));
        fs::rename(&made, &root).expect("renamed");
    }
    root
}

/// Boots a machine that holds these files and modules, runs `script` in it as root, and gives back what it wrote.
pub fn boot(files: &BTreeMap<String, Vec<u8>>, modules: &BTreeMap<String, String>, script: &str) -> String {
    let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("directory");
    let root = work.path().join("root");
    run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(distribution()).arg(&root));
    let put = |path: &str, bytes: &[u8]| {
        let path = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(&path, bytes).expect("written");
        if !path.extension().is_some_and(|e| e == "service" || e == "conf") {
            run(Command::new("chmod").arg("755").arg(&path));
        }
    };
    for (path, bytes) in files {
        put(path, bytes);
    }
    put("etc/selinux/config", b"SELINUX=enforcing\nSELINUXTYPE=default\n");
    put("usr/local/sbin/trial", script.as_bytes());
    let unit = "[Unit]\nAfter=multi-user.target auditd.service\n[Service]\nType=oneshot\nExecStart=/usr/local/sbin/trial\n\
                ExecStopPost=/sbin/poweroff -f\nStandardOutput=tty\nStandardError=tty\nTTYPath=/dev/ttyS0\nTimeoutStartSec=900\n";
    put("etc/systemd/system/trial.service", unit.as_bytes());
    let wants = root.join("etc/systemd/system/default.target.wants");
    fs::create_dir_all(&wants).expect("made");
    std::os::unix::fs::symlink("../trial.service", wants.join("trial.service")).expect("linked");
    for (name, text) in modules {
        put(&format!("root/modules/{name}.cil"), text.as_bytes());
    }
    run(Command::new("chroot").arg(&root).args(["sh", "-c", "semodule -n -s default -i /root/modules/*.cil"]));
    // setfiles opens what it labels through /proc; the mount is gone with the namespace.
    let label = "mount -t proc proc \"$0/proc\" && chroot \"$0\" setfiles -F /etc/selinux/default/contexts/files/file_contexts /";
    run(Command::new("unshare").args(["-m", "sh", "-c", label]).arg(&root));
    let disk = work.path().join("disk");
    run(Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&root).arg(&disk).arg(DISK));
    let boot = |begin: &str| {
        let found = fs::read_dir(root.join("boot")).expect("boot").map(|e| e.expect("entry").path());
        found.into_iter().find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(begin))).expect(begin)
    };
    let line = "root=/dev/vda rw console=ttyS0 security=selinux selinux=1 enforcing=1 audit=1 audit_backlog_limit=8192 quiet \
                systemd.mask=serial-getty@ttyS0.service";
    run(Command::new("timeout")
        .args([PATIENCE, "qemu-system-x86_64", "-m", "1500", "-nographic", "-no-reboot", "-nic", "none", "-append", line, "-kernel"])
        .arg(boot("vmlinuz"))
        .arg("-initrd")
        .arg(boot("initrd"))
        .args(["-drive", &format!("file={},format=raw,if=virtio", disk.display())]))
}
