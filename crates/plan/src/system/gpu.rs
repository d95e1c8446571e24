//! What GPU services of a machine share: the directory of their lock files, and device nodes that are there before a unit that
//! may gain no privileges starts. In comes nothing but names, out come lines. Never: more privilege than making nodes takes.

use super::types::{FileAct, FilePlan, Line, Section, UnitPlan};
use std::collections::BTreeSet;

/// Directory of the lock files, and `TMPDIR` of every GPU service. On disk: temporary files land here as well.
pub(crate) const LOCKS: &str = "/var/lib/filecoin-gpu";
/// Group of that directory.
pub(crate) const GROUP: &str = "filecoin-gpu";
/// Where the lock trouble is told.
pub(crate) const SOURCE: &str = "lotus#3584";
/// Kinds of device nodes, as `/proc/devices` names them: NVIDIA's, the kernel's render nodes, AMD's compute node.
pub(crate) const DEVICES: [&str; 3] = ["char-nvidia*", "char-drm", "char-kfd"];
/// The unit that makes the nodes.
pub(crate) const UNIT: &str = "ravelin-gpu.service";

/// Where CUDA keeps what it compiled.
pub(crate) fn cuda_cache(home: &str) -> String {
    format!("{home}/.nv")
}

/// The shared directory: its group may use every lock file whoever made it, whatever the umask.
pub(crate) fn files() -> Vec<FilePlan> {
    let one = |act, mode| FilePlan {
        path: LOCKS.to_owned(),
        act,
        mode,
        owner: "root".to_owned(),
        group: GROUP.to_owned(),
        why: "bellman.gpu.lock and bellman.priority.lock: a lock file of another account makes proving panic".to_owned(),
    };
    vec![one(FileAct::Make, 0o2770), one(FileAct::ShareWithGroup, 0o2770)]
}

/// The unit that makes NVIDIA's device nodes. `nvidia-modprobe` is setuid root and is what the driver's library would run; a
/// service with NoNewPrivileges cannot, and would silently go without its GPU after a reboot.
pub(crate) fn unit() -> UnitPlan {
    let why = "after a reboot the nodes are made by a setuid program, which a service that may gain no privileges cannot run";
    let mut whole = vec![
        Line::new("Description", "GPU device nodes before services without privileges need them").at(Section::Unit),
        Line::new("After", "systemd-modules-load.service systemd-udevd.service").at(Section::Unit),
        Line::new("ConditionPathExists", "/usr/bin/nvidia-modprobe").at(Section::Unit),
        Line::new("Type", "oneshot").why(why, "nvidia-modprobe(1), systemd.exec(5)"),
        Line::new("RemainAfterExit", "yes"),
        Line::new("ExecStart", "-/usr/bin/nvidia-smi -L").why("makes one node for each GPU it finds", "nvidia-smi(1)"),
        Line::new("ExecStart", "/usr/bin/nvidia-modprobe -u -c 0"),
    ];
    let caps = "CAP_MKNOD CAP_SYS_MODULE CAP_DAC_OVERRIDE CAP_CHOWN CAP_FOWNER";
    whole.push(Line::new("CapabilityBoundingSet", caps).why("loads the driver's module and makes its nodes, no more", ""));
    for key in [
        "NoNewPrivileges",
        "PrivateNetwork",
        "PrivateTmp",
        "ProtectHome",
        "ProtectClock",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectControlGroups",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
        "LockPersonality",
        "PrivateMounts",
        "MemoryDenyWriteExecute",
    ] {
        whole.push(Line::new(key, "yes"));
    }
    whole.push(Line::new("ProtectSystem", "strict"));
    whole.push(Line::new("RestrictAddressFamilies", "AF_UNIX"));
    whole.push(Line::new("IPAddressDeny", "any"));
    whole.push(Line::new("ProtectProc", "invisible"));
    whole.push(Line::new("KeyringMode", "private"));
    whole.push(Line::new("UMask", "0077"));
    whole.push(Line::new("SystemCallArchitectures", "native"));
    whole.push(Line::new("SystemCallErrorNumber", "EPERM"));
    whole.push(Line::new("SystemCallFilter", "@system-service @module"));
    whole.push(Line::new("SystemCallFilter", "~@resources @setuid"));
    whole.push(Line::new("WantedBy", "multi-user.target").at(Section::Install));
    UnitPlan {
        name: UNIT.to_owned(),
        title: "GPU device nodes".to_owned(),
        instance: None,
        account: None,
        whole,
        drop_in: Vec::new(),
        opened: BTreeSet::new(),
        health: None,
        data: super::types::DataPlan::default(),
        origins: vec![words::Origin::Builtin { code: "gpu-nodes".to_owned(), why: why.to_owned() }],
    }
}
