//! What a unit or drop-in of a bundle may say. In come the texts of one unit, out comes the first line that would run something as
//! root, or give an account what equals root. Never: judges whether a sandbox is tight; that is the plan's.

use crate::file::{FileError, OwnFile, Place, is_name, lines};
use crate::pair::{self, Daemon};

/// Programs that a unit without an account may start: they make a GPU's device nodes, and take nothing from a service.
const AS_ROOT: [&str; 2] = ["-/usr/bin/nvidia-smi -L", "/usr/bin/nvidia-modprobe -u -c 0"];

/// The one command that may run as root before a service: the group of huge pages' directory, which is mounted after the modes of
/// `/dev` are set. It follows the lines of `tmpfiles.d` for that directory and takes nothing from the service.
const BESIDE: &str = "+-/usr/bin/systemd-tmpfiles --create --prefix=/dev/hugepages";

/// Keys a unit without an account may have besides: they describe, order or confine it.
const ROOT_KEYS: [&str; 31] = [
    "After",
    "CapabilityBoundingSet",
    "ConditionPathExists",
    "Description",
    "ExecStart",
    "IPAddressDeny",
    "KeyringMode",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "NoNewPrivileges",
    "PrivateMounts",
    "PrivateNetwork",
    "PrivateTmp",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectProc",
    "ProtectSystem",
    "RemainAfterExit",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "SystemCallArchitectures",
    "SystemCallErrorNumber",
    "SystemCallFilter",
    "Type",
    "UMask",
    "WantedBy",
];

/// Groups whose members are as good as root.
pub(crate) const ROOT_GROUPS: [&str; 10] = ["adm", "disk", "docker", "kmem", "libvirt", "lxd", "root", "shadow", "sudo", "wheel"];

/// Capabilities an account may be given: low ports, raw sockets.
const CAPABILITIES: [&str; 2] = ["CAP_NET_BIND_SERVICE", "CAP_NET_RAW"];

/// Keys no unit of ours may have: commands before the start would run as root whatever the account is.
const NEVER: [&str; 3] = ["PermissionsStartOnly", "RootDirectoryStartOnly", "PAMName"];

/// Settings that begin like commands and are none.
const NO_COMMANDS: [&str; 2] = ["ExecPaths", "ExecSearchPath"];

/// The texts of one unit: itself, its drop-in, or both.
pub(crate) fn check(name: &str, files: &[&OwnFile]) -> Result<(), FileError> {
    // Daemons of a pair get what no service may have: one text each, to the letter.
    if let Some(daemon) = Daemon::of_unit(name) {
        let known = |f: &&OwnFile| matches!(Place::of(&f.path), Ok(Place::DropIn(_))) && f.content == pair::drop_in(daemon);
        return if files.iter().all(known) { Ok(()) } else { Err(FileError::Pair(name.to_owned())) };
    }
    for file in files {
        lines(file, line)?;
    }
    // systemd takes the last one: of the drop-in where there is one, and each of them must be an account.
    let named = |f: &OwnFile| f.content.lines().any(|l| l.starts_with("User="));
    let is_drop_in = |f: &OwnFile| matches!(Place::of(&f.path), Ok(Place::DropIn(_)));
    if files.iter().any(|f| is_drop_in(f) && !named(f)) {
        return Err(FileError::Root(name.to_owned()));
    }
    if files.iter().any(|f| named(f)) {
        return Ok(());
    }
    files.iter().try_for_each(|f| lines(f, as_root)).map_err(|_| FileError::Root(name.to_owned()))
}

fn pair(line: &str) -> Option<(&str, &str)> {
    line.split_once('=').map(|(k, v)| (k.trim(), v.trim()))
}

fn line(line: &str) -> Result<(), &'static str> {
    if matches!(line, "[Unit]" | "[Service]" | "[Install]") {
        return Ok(());
    }
    let (key, value) = pair(line).ok_or("no setting")?;
    if key.is_empty()
        || !key.bytes().all(|b| b.is_ascii_alphanumeric())
        || !line.starts_with(key)
        || line.as_bytes().get(key.len()) != Some(&b'=')
    {
        return Err("no setting");
    }
    let is_command = key.starts_with("Exec") && !NO_COMMANDS.contains(&key);
    // `+` and `!` before a command leave the account and its sandbox behind (systemd.service(5)).
    let lent = key == "ExecStartPre" && value == BESIDE;
    if is_command && !lent && value.chars().take_while(|c| "@-:+!|".contains(*c)).any(|c| c == '+' || c == '!') {
        return Err("a command beside the account");
    }
    if NEVER.contains(&key) {
        return Err("a setting that leaves the account behind");
    }
    match key {
        "User" if !is_name(value) || value == "root" => Err("not an account of a service"),
        "Group" if !is_name(value) || ROOT_GROUPS.contains(&value) => Err("a group that is as good as root"),
        "SupplementaryGroups" if value.split_whitespace().any(|g| !is_name(g) || ROOT_GROUPS.contains(&g)) => {
            Err("a group that is as good as root")
        }
        "AmbientCapabilities" if value.split_whitespace().any(|c| !CAPABILITIES.contains(&c)) => {
            Err("a capability that is as good as root")
        }
        _ => Ok(()),
    }
}

fn as_root(line: &str) -> Result<(), &'static str> {
    match pair(line) {
        None => Ok(()),
        Some(("ExecStart", value)) if !AS_ROOT.contains(&value) => Err("a program that would run as root"),
        Some((key, _)) if !ROOT_KEYS.contains(&key) => Err("a setting of a unit that runs as root"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::file::{FileError, MARK, OwnFile, check};

    fn unit(path: &str, body: &str) -> OwnFile {
        OwnFile { path: format!("/etc/systemd/system/{path}"), mode: 0o644, content: format!("{MARK}.\n[Service]\n{body}\n") }
    }

    #[test]
    fn a_unit_runs_as_an_account() {
        let drop_in = unit(
            "a.service.d/10-ravelin.conf",
            "User=lotus\nGroup=lotus\nSupplementaryGroups=render video\nAmbientCapabilities=\nExecPaths=+/usr",
        );
        let whole = unit("a.service", "ExecStart=/usr/local/bin/lotus daemon");
        assert_eq!(check([&drop_in]), Ok(()));
        assert_eq!(check([&drop_in, &whole]), Ok(()));
        assert_eq!(check([&unit("a.service.d/10-ravelin.conf", &format!("User=lotus\nExecStartPre={}", super::BESIDE))]), Ok(()));
        assert_eq!(check([&whole]), Err(FileError::Root("a.service".into())));
        assert_eq!(check([&unit("a.service.d/10-ravelin.conf", "LimitCORE=0")]), Err(FileError::Root("a.service".into())));
        // A whole unit with an account does not excuse a drop-in without: it might be another unit's tomorrow.
        let named = unit("a.service", "User=lotus\nExecStart=/x");
        assert!(check([&named, &unit("a.service.d/10-ravelin.conf", "LimitCORE=0")]).is_err());
    }

    #[test]
    fn nothing_runs_beside_the_account() {
        for bad in [
            "User=root",
            "User=0",
            "User=",
            "Group=docker",
            "SupplementaryGroups=video disk",
            "ExecStartPre=+/bin/sh",
            "ExecStop=-!!/bin/sh",
            "ExecStartPre=+-/usr/bin/systemd-tmpfiles --create --prefix=/dev",
            "ExecStop=+-/usr/bin/systemd-tmpfiles --create --prefix=/dev/hugepages",
            "PermissionsStartOnly=yes",
            "AmbientCapabilities=CAP_SYS_ADMIN",
            "ExecStart =+/bin/sh",
            " ExecStart=+/bin/sh",
            "what",
            "[Slice]",
        ] {
            let file = unit("a.service.d/10-ravelin.conf", &format!("User=lotus\n{bad}"));
            assert!(matches!(check([&file]), Err(FileError::Line { .. })), "{bad}");
        }
    }

    #[test]
    fn as_root_only_device_nodes_are_made() {
        let good = unit(
            "ravelin-gpu.service",
            "Type=oneshot\nExecStart=-/usr/bin/nvidia-smi -L\nExecStart=/usr/bin/nvidia-modprobe -u -c 0\nUMask=0077",
        );
        assert_eq!(check([&good]), Ok(()));
        for bad in [
            "ExecStart=/usr/bin/nvidia-modprobe -u -c 1",
            "ExecStartPost=/bin/sh",
            "Environment=LD_PRELOAD=/x",
            "EnvironmentFile=/x",
            "BindPaths=/x",
        ] {
            assert!(check([&unit("ravelin-gpu.service", bad)]).is_err(), "{bad}");
        }
    }
}
