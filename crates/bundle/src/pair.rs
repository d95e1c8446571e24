//! Configuration of the two daemons of a redundant pair. In come the texts of a bundle, out comes the first line that is not of the
//! forms Ravelin writes. The daemons read files that can start programs; what is admitted here cannot: no script, no notification, no
//! include, no macro, and no address that a bundle may not put on a device. The drop-ins of their units are known to the letter.
//! Never: judges whether a configuration is a good one.

use crate::address::{self, OwnAddress};
use crate::file::is_name;
use std::net::IpAddr;

/// keepalived's file: beside the distribution's own.
pub const KEEPALIVED: &str = "/etc/keepalived/ravelin.conf";
/// conntrackd's file: beside the distribution's, which is a conffile of its package.
pub const CONNTRACKD: &str = "/etc/conntrackd/ravelin.conf";
/// What a node is worth, as a number that is added to its priority. Root's alone to write; it outlives a boot, as a drain should.
pub const HEALTH: &str = "/etc/keepalived/ravelin.health";
/// conntrackd's lock, in its unit's own directory.
pub const LOCK: &str = "/run/ravelin-sync/lock";
/// conntrackd's control socket, beside it.
pub const CONTROL: &str = "/run/ravelin-sync/control";

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Daemon {
    /// Tells the other node of connections.
    Conntrackd,
    /// Elects the active node.
    Keepalived,
}

impl Daemon {
    /// Both, in the order they are started in: flows are known before addresses come up.
    pub const ALL: [Daemon; 2] = [Daemon::Conntrackd, Daemon::Keepalived];
    /// Its unit, which the distribution brings.
    pub fn unit(self) -> &'static str {
        match self {
            Daemon::Keepalived => "keepalived.service",
            Daemon::Conntrackd => "conntrackd.service",
        }
    }
    /// Its configuration.
    pub fn path(self) -> &'static str {
        match self {
            Daemon::Keepalived => KEEPALIVED,
            Daemon::Conntrackd => CONNTRACKD,
        }
    }
    /// Whose unit this is.
    pub fn of_unit(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.unit() == name)
    }
}

/// Head of both drop-ins: the distribution's command and condition are taken back, the account is made by systemd for as long as the
/// daemon runs.
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
After=ravelin-restore.service
ConditionFileNotEmpty=/etc/conntrackd/ravelin.conf

[Service]
ExecStart=
ExecStart=/usr/sbin/conntrackd -C /etc/conntrackd/ravelin.conf
Restart=always
RestartSec=100ms
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

/// Lines of keepalived's file that are always the same.
const ELECTS: [&str; 18] = [
    "}",
    "global_defs {",
    "vrrp_version 3",
    "enable_script_security",
    "script_user nobody",
    "dynamic_interfaces",
    "track_file ravelin {",
    "vrrp_instance ravelin {",
    "state BACKUP",
    "weight 1",
    "unicast_peer {",
    "dont_track_primary",
    "track_interface {",
    "track_file {",
    "ravelin",
    "virtual_ipaddress {",
    "virtual_ipaddress_excluded {",
    "",
];

/// A line of keepalived's file.
pub(crate) fn elects(line: &str) -> Result<(), &'static str> {
    let line = line.trim();
    if ELECTS.contains(&line) || line.starts_with('#') {
        return Ok(());
    }
    let words: Vec<&str> = line.split(' ').collect();
    let number = |text: &str, most: u32| text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u32>().is_ok_and(|n| n <= most);
    let good = match words[..] {
        ["router_id", name] => is_host(name),
        ["interface", device] => is_device(device),
        ["virtual_router_id" | "priority", n] => number(n, 255) && n != "0",
        ["vrrp_rt_priority", n] => number(n, 99),
        ["advert_int", text] => text.split_once('.').is_some_and(|(a, b)| number(a, 40) && number(b, 999)),
        ["unicast_src_ip", address] => is_address(address),
        ["file", path] => path == HEALTH,
        [device, "weight", text] => is_device(device) && text.strip_prefix('-').is_some_and(|n| number(n, 253)),
        [address] => is_address(address),
        [address, "dev", device, "no_track", ref rest @ ..] => {
            return match rest {
                [] | ["preferred_lft", "0" | "forever"] => held(address, device),
                _ => Err("not a line of Ravelin's election"),
            };
        }
        _ => false,
    };
    if good { Ok(()) } else { Err("not a line of Ravelin's election") }
}

fn held(address: &str, device: &str) -> Result<(), &'static str> {
    let address = address.parse().map_err(|_| "no address")?;
    let one = OwnAddress { device: device.to_owned(), address, source: false };
    if !is_device(device) {
        return Err("no device");
    }
    address::check([&one]).map_err(|_| "not an address that a bundle puts on a device")
}

/// Lines of conntrackd's file that are always the same.
const TELLS: [&str; 17] = [
    "}",
    "",
    "Sync {",
    "Mode FTFW {",
    "DisableExternalCache On",
    "StartupResync On",
    "UDP {",
    "Checksum On",
    "Options {",
    "TCPWindowTracking On",
    "ExpectationSync On",
    "General {",
    "Systemd On",
    "LogFile Off",
    "Syslog On",
    "UNIX {",
    "NetlinkOverrunResync On",
];

/// Filters of conntrackd's file.
const FILTERS: [&str; 2] = ["Filter From Kernelspace {", "Address Ignore {"];

/// A line of conntrackd's file.
pub(crate) fn tells(line: &str) -> Result<(), &'static str> {
    let line = line.trim();
    if TELLS.contains(&line) || FILTERS.contains(&line) || line.starts_with('#') {
        return Ok(());
    }
    let number = |text: &str| text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u32>().is_ok_and(|n| n > 0);
    let of = |text: &str, v4: bool| text.parse::<IpAddr>().is_ok_and(|a| a.is_ipv4() == v4);
    let good = match line.split_once(' ') {
        Some(("IPv4_address" | "IPv4_Destination_Address", a)) => of(a, true),
        Some(("IPv6_address" | "IPv6_Destination_Address", a)) => of(a, false),
        Some(("Port", n)) => n.parse::<u16>().is_ok_and(|n| n > 0) && number(n),
        Some(("Interface", device)) => is_device(device),
        Some(("LockFile", path)) => path == LOCK,
        Some(("Path", path)) => path == CONTROL,
        Some((
            "ResendQueueSize"
            | "SndSocketBuffer"
            | "RcvSocketBuffer"
            | "HashSize"
            | "HashLimit"
            | "NetlinkBufferSize"
            | "NetlinkBufferSizeMaxGrowth",
            n,
        )) => number(n),
        _ => false,
    };
    if good { Ok(()) } else { Err("not a line of Ravelin's state sync") }
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// A device's name of plain letters: both daemons give other characters a meaning of their own.
fn is_device(text: &str) -> bool {
    /// `IFNAMSIZ` is 16 with the terminating zero.
    const MOST: usize = 15;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !text.is_empty() && text.len() <= MOST && text.bytes().all(plain) && !["lo", ".", ".."].contains(&text)
}

/// A host's name.
fn is_host(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
    !text.is_empty() && text.len() <= 253 && text.bytes().all(plain) || is_name(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{FileError, MARK, OwnFile, Place, check};

    fn file(path: &str, line: &str) -> Result<(), FileError> {
        check([&OwnFile { path: path.to_owned(), mode: 0o644, content: format!("{MARK}.\n{line}\n") }])
    }

    #[test]
    fn nothing_that_starts_a_program_stands_in_an_election() {
        for good in [
            "global_defs {",
            "    router_id fw-a",
            "    priority 200",
            "    advert_int 0.06",
            "    unicast_src_ip 10.255.0.1",
            "        2001:db8::2",
            "        wan0.10 weight -5",
            "    file /etc/keepalived/ravelin.health",
            "        203.0.113.1/32 dev wan0 no_track",
            "        2001:db8::1/64 dev lan no_track preferred_lft 0",
            "    # said with a reason",
        ] {
            assert_eq!(file(KEEPALIVED, good), Ok(()), "{good}");
        }
        for bad in [
            "include /etc/keepalived/evil.conf",
            "includer /x",
            "notify /bin/sh",
            "notify_master /bin/sh",
            "notify_fifo /run/x",
            "notify_fifo_script /bin/sh",
            "vrrp_script x {",
            "script /bin/sh",
            "script \"/bin/sh -c x\"",
            "startup_script /bin/sh",
            "shutdown_script /bin/sh",
            "script_user root",
            "script_user nobody root",
            "smtp_server 10.0.0.1",
            "smtp_alert",
            "net_namespace x",
            "process_names",
            "$X=notify /bin/sh",
            "${X}",
            "@host notify /bin/sh",
            "~SEQ(x, 1, 2) y",
            "virtual_server 10.0.0.1 80 {",
            "virtual_routes {",
            "file /etc/shadow",
            "router_id $(x)",
            "router_id a b",
            "interface lo",
            "interface a;b",
            "priority 0",
            "priority 256",
            "10.0.0.1 10.0.0.2",
            "127.0.0.1/8 dev lan no_track",
            "203.0.113.1/32 dev lan",
            "203.0.113.1/32 dev lan no_track label x",
            "203.0.113.1/32 dev lan no_track preferred_lft 5",
            "lan weight 5",
            "authentication {",
            "nopreempt",
            "state MASTER",
            "track_interface { notify /bin/sh",
            "} notify /bin/sh",
        ] {
            assert!(matches!(file(KEEPALIVED, bad), Err(FileError::Line { .. })), "{bad}");
        }
    }

    #[test]
    fn states_go_to_one_address_over_one_link() {
        for good in [
            "    UDP {",
            "        IPv4_address 10.255.0.1",
            "        IPv6_Destination_Address 2001:db8::1",
            "        Port 3780",
            "        Interface sync",
            "    LockFile /run/ravelin-sync/lock",
            "        Path /run/ravelin-sync/control",
            "    HashLimit 2097152",
        ] {
            assert_eq!(file(CONNTRACKD, good), Ok(()), "{good}");
        }
        for bad in [
            "Multicast {",
            "TCP {",
            "LogFile /etc/cron.d/x",
            "LogFile On",
            "LockFile /etc/passwd",
            "Path /run/other",
            "Port 0",
            "Port 65536",
            "Port +1",
            "IPv4_address 2001:db8::1",
            "IPv6_address 10.0.0.1",
            "Interface lo",
            "HashLimit x",
            "HashLimit 99999999999",
            "Helper {",
            "Type ftp inet tcp {",
            "Mode ALARM {",
            "Address Accept {",
            "Clear on",
        ] {
            assert!(matches!(file(CONNTRACKD, bad), Err(FileError::Line { .. })), "{bad}");
        }
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
