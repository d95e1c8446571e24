//! The units that load the confirmed generation at boot, held against systemd's own opinion.

use std::{path::Path, process::Command};

#[test]
fn the_boot_unit_is_well_formed_and_comes_before_the_network() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/ravelin-restore.service");
    let text = std::fs::read_to_string(&unit).expect("is there");
    for line in [
        "Before=network-pre.target shutdown.target",
        "Before=sysinit.target systemd-tmpfiles-setup.service",
        "OnFailure=ravelin-closed.service",
        "Also=ravelin-addresses.service",
        "ConditionPathExists=|/var/lib/ravelin/pending/meta.json",
        "ExecStart=/usr/sbin/ravelin-applier boot",
        "ConditionPathExists=|/var/lib/ravelin/confirmed/bundle",
        "ConditionPathExists=|/var/lib/ravelin/confirmed/break-glass.nft",
        // Every place a bundle's files lie in, or an unconfirmed change stays in force there.
        "ReadWritePaths=-/etc/sysusers.d -/etc/tmpfiles.d -/etc/systemd/system -/etc/ufw -/etc/keepalived -/etc/conntrackd",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}");
    }
    // systemd-analyze wants the program to exist: the one that was built takes its place.
    let dir = tempfile::tempdir().expect("directory");
    let names = [
        "ravelin-restore.service",
        "ravelin-closed.service",
        "ravelin-addresses.service",
        "ravelin-states.service",
        "ravelin-states.timer",
    ];
    let copies = names.map(|name| {
        let text = std::fs::read_to_string(unit.with_file_name(name)).expect("is there");
        let copy = dir.path().join(name);
        std::fs::write(&copy, text.replace("/usr/sbin/ravelin-applier", env!("CARGO_BIN_EXE_ravelin-applier"))).expect("writes");
        copy
    });
    let Ok(out) = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&copies).output() else {
        return; // A machine without systemd has no opinion.
    };
    let said = String::from_utf8_lossy(&out.stderr);
    let ours: Vec<&str> = said.lines().filter(|l| l.contains("ravelin-")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}
