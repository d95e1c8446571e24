//! Drop-ins of both daemons' units. In comes a daemon, out comes the one text its drop-in may have. The distribution's command and condition
//! are taken back, and the account is made by systemd for as long as the daemon runs. Never: differs from machine to machine.

use super::Daemon;

const KEEPALIVED_UNIT: &str = "\
[Unit]
# Flows are known before addresses come up.
Wants=conntrackd.service
After=conntrackd.service ravelin-restore.service
ConditionFileNotEmpty=
ConditionFileNotEmpty=/etc/keepalived/ravelin.conf
# Always there: a node whose daemon is gone keeps addresses the other one takes.
StartLimitIntervalSec=0

[Service]
EnvironmentFile=
ExecStart=
ExecStart=/usr/sbin/keepalived --dont-fork --vrrp --use-file=/etc/keepalived/ravelin.conf --pid=/run/ravelin-vrrp/keepalived.pid --vrrp_pid=/run/ravelin-vrrp/vrrp.pid
Restart=always
RestartSec=100ms
User=ravelin-vrrp
DynamicUser=yes
RuntimeDirectory=ravelin-vrrp
# Addresses and their announcement, protocol 112, a place before others.
AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_NICE
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_NICE
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_UNIX
";

const CONNTRACKD_UNIT: &str = "\
[Unit]
# It ends at once where its link has no address yet.
Wants=network-online.target
After=ravelin-restore.service network-online.target
ConditionFileNotEmpty=/etc/conntrackd/ravelin.conf
# Always there: a link that comes an hour late must still find it.
StartLimitIntervalSec=0

[Service]
ExecStart=
ExecStart=/usr/sbin/conntrackd -C /etc/conntrackd/ravelin.conf
Restart=always
RestartSec=1s
User=ravelin-sync
DynamicUser=yes
RuntimeDirectory=ravelin-sync
# The tracking table, and a place before others.
AmbientCapabilities=CAP_NET_ADMIN CAP_SYS_NICE
CapabilityBoundingSet=CAP_NET_ADMIN CAP_SYS_NICE
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
";

/// What both have in common. Real-time scheduling is allowed: a node that is busy must not fall silent.
const CONFINED: &str = "\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077
";

/// The drop-in of a daemon's unit, the same on every machine.
pub fn drop_in(daemon: Daemon) -> String {
    let own = match daemon {
        Daemon::Keepalived => KEEPALIVED_UNIT,
        Daemon::Conntrackd => CONNTRACKD_UNIT,
    };
    format!("{}; changes are reported as drift. A later drop-in wins.\n\n{own}{CONFINED}", crate::file::MARK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{MARK, OwnFile, Place, check};

    /// systemd gives up a unit that fails five times in ten seconds, for good: a pair's daemons are waited for as long as it takes.
    #[test]
    fn neither_daemon_is_ever_given_up() {
        for daemon in Daemon::ALL {
            let text = drop_in(daemon);
            let (unit, service) = text.split_once("[Service]").expect("two sections");
            assert!(unit.contains("\nStartLimitIntervalSec=0\n") && service.contains("\nRestart=always\n"), "{text}");
        }
        let text = drop_in(Daemon::Conntrackd);
        assert!(text.contains("\nWants=network-online.target\nAfter=ravelin-restore.service network-online.target\n"), "{text}");
    }

    #[test]
    fn drop_ins_are_known_to_the_letter() {
        for daemon in Daemon::ALL {
            let path = format!("/etc/systemd/system/{}.d/10-ravelin.conf", daemon.unit());
            let text = drop_in(daemon);
            assert_eq!(Place::of(&path), Ok(Place::DropIn(daemon.unit().into())));
            assert_eq!(check([&OwnFile { path: path.clone(), mode: 0o644, content: text.clone() }]), Ok(()));
            for changed in [
                text.replace("DynamicUser=yes\n", ""),
                text.replace("CAP_SYS_NICE", "CAP_SYS_ADMIN"),
                format!("{text}ExecStartPre=/bin/sh\n"),
                format!("{MARK}.\n[Service]\nUser=lotus\n"),
            ] {
                assert!(check([&OwnFile { path: path.clone(), mode: 0o644, content: changed }]).is_err());
            }
            let whole = OwnFile { path: format!("/etc/systemd/system/{}", daemon.unit()), mode: 0o644, content: text };
            assert!(check([&whole]).is_err(), "the unit itself is the distribution's");
        }
        // No other unit gets what these two have.
        let other = OwnFile {
            path: "/etc/systemd/system/lotus.service.d/10-ravelin.conf".into(),
            mode: 0o644,
            content: drop_in(Daemon::Keepalived),
        };
        assert!(check([&other]).is_err());
    }
}
