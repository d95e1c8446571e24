//! The form of conntrackd's file: states to one address over one link. In comes a text, out comes the first line that does not belong.
//! Never: a word that is not in the table below.

use super::form::{Need, Refusal, Step, walk};
use super::value::{are_ends, is_device, is_own, number, unicast};
use super::{CONTROL, LOCK};
use std::net::IpAddr;

/// What a line is not.
const WHY: &str = "not the next line of Ravelin's state sync";

/// The file, line by line.
const FORM: [Step; 32] = [
    Step::Line("Sync {"),
    Step::Line("    Mode FTFW {"),
    Step::Line("        DisableExternalCache On"),
    Step::Line("        StartupResync On"),
    Step::Value("        ResendQueueSize ", is_size),
    Step::Line("    }"),
    Step::Line("    UDP {"),
    Step::Value("        ", |row| row.split_once("_address ").is_some_and(is_end)),
    Step::Value("        ", |row| row.split_once("_Destination_Address ").is_some_and(is_end)),
    Step::Value("        Port ", |n| number(n, 1..=65_535)),
    Step::Value("        Interface ", is_device),
    Step::Value("        SndSocketBuffer ", is_size),
    Step::Value("        RcvSocketBuffer ", is_size),
    Step::Line("        Checksum On"),
    Step::Line("    }"),
    Step::Line("    Options {"),
    Step::Line("        TCPWindowTracking On"),
    Step::Line("        ExpectationSync On"),
    Step::Line("    }"),
    Step::Line("}"),
    Step::Line("General {"),
    Step::Line("    Systemd On"),
    Step::Value("    HashSize ", is_size),
    Step::Value("    HashLimit ", is_size),
    Step::Line("    LogFile Off"),
    Step::Line("    Syslog On"),
    Step::Value("    LockFile ", |path| path == LOCK),
    Step::Rows("    UNIX {", |row| row.strip_prefix("Path ") == Some(CONTROL), Need::Always),
    Step::Value("    NetlinkBufferSize ", is_size),
    Step::Value("    NetlinkBufferSizeMaxGrowth ", is_size),
    Step::Line("    NetlinkOverrunResync On"),
    Step::Line("    Filter From Kernelspace {"),
];

/// How it ends.
const END: [Step; 3] = [
    Step::Rows("        Address Ignore {", |row| row.split_once("_address ").is_some_and(|e| is_of(e, is_own)), Need::Always),
    Step::Line("    }"),
    Step::Line("}"),
];

/// Holds a text against the form.
pub(super) fn check(text: &str) -> Result<(), Refusal> {
    let values = walk(text, &[&FORM[..], &END[..]].concat(), WHY)?;
    let end = |word: &str| values.iter().flatten().find_map(|v| v.split_once(word)).map(|(_, a)| a);
    match (end("_address "), end("_Destination_Address ")) {
        (Some(here), Some(there)) if are_ends(here, there) => Ok(()),
        (here, there) => Err(("not the two ends of a link", format!("{} and {}", here.unwrap_or("-"), there.unwrap_or("-")))),
    }
}

/// A size or a count.
fn is_size(text: &str) -> bool {
    number(text, 1..=u32::MAX)
}

fn is_end(named: (&str, &str)) -> bool {
    is_of(named, |a| unicast(a).is_some())
}

/// `IPv4` with an address of that family, or `IPv6`.
fn is_of((family, address): (&str, &str), good: impl Fn(&str) -> bool) -> bool {
    let v4 = address.parse::<IpAddr>().is_ok_and(|a| a.is_ipv4());
    family == if v4 { "IPv4" } else { "IPv6" } && good(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file as it is written for a small node.
    const GOOD: &str = "\
# Written by ravelin; changes are reported as drift.
Sync {
    Mode FTFW {
        # Into the kernel at once.
        DisableExternalCache On
        StartupResync On
        ResendQueueSize 131072
    }
    UDP {
        IPv4_address 10.255.0.1
        IPv4_Destination_Address 10.255.0.2
        Port 3780
        Interface sync
        SndSocketBuffer 25165824
        RcvSocketBuffer 25165824
        Checksum On
    }
    Options {
        TCPWindowTracking On
        ExpectationSync On
    }
}
General {
    Systemd On
    HashSize 65536
    HashLimit 2097152
    LogFile Off
    Syslog On
    LockFile /run/ravelin-sync/lock
    UNIX {
        Path /run/ravelin-sync/control
    }
    NetlinkBufferSize 2097152
    NetlinkBufferSizeMaxGrowth 33554432
    NetlinkOverrunResync On
    Filter From Kernelspace {
        Address Ignore {
            IPv4_address 127.0.0.1
            IPv6_address ::1
            IPv4_address 10.20.10.2
        }
    }
}
";

    #[test]
    fn states_go_to_one_address_over_one_link() {
        assert_eq!(check(GOOD), Ok(()));
        let v6 = GOOD.replace("IPv4_address 10.255.0.1", "IPv6_address fd00::1");
        assert_eq!(check(&v6.replace("IPv4_Destination_Address 10.255.0.2", "IPv6_Destination_Address fd00::2")), Ok(()));
        for bad in [
            "Multicast {",
            "TCP {",
            "Helper {",
            "Type ftp inet tcp {",
            "Address Accept {",
            "Clear on",
            "LogFile On",
            "Sync {",
            "}",
            "IPv4_address 10.255.0.9",
        ] {
            for place in 1..=30 {
                let mut lines: Vec<String> = GOOD.lines().map(str::to_owned).collect();
                lines.insert(place, format!("    {bad}"));
                assert!(check(&(lines.join("\n") + "\n")).is_err(), "{bad} as line {place}");
            }
        }
        for (good, bad) in [
            ("LogFile Off", "LogFile /etc/cron.d/x"),
            ("LockFile /run/ravelin-sync/lock", "LockFile /etc/passwd"),
            ("Path /run/ravelin-sync/control", "Path /run/other"),
            ("Port 3780", "Port 0"),
            ("Port 3780", "Port 65536"),
            ("Port 3780", "Port +1"),
            ("Port 3780", "Port 03780"),
            ("IPv4_address 10.255.0.1", "IPv4_address 2001:db8::1"),
            ("IPv4_address 10.255.0.1", "IPv6_address 10.255.0.1"),
            ("IPv4_address 10.255.0.1", "IPv4_address 10.255.0.2"),
            ("Destination_Address 10.255.0.2", "Destination_Address 224.0.0.1"),
            ("Interface sync", "Interface lo"),
            ("HashLimit 2097152", "HashLimit x"),
            ("HashLimit 2097152", "HashLimit 99999999999"),
            ("Mode FTFW", "Mode ALARM"),
            ("            IPv6_address ::1", "            IPv6_address ff02::1"),
        ] {
            let text = GOOD.replacen(good, bad, 1);
            assert_ne!(text, GOOD, "{good}");
            assert!(check(&text).is_err(), "{bad}");
        }
    }
}
