//! The way to SELinux and back, walked by `ravelin selinux` on a Debian that boots as its kernel chooses, with AppArmor: prepare, restart,
//! install, permissive, a denial that is seen and named, a clean window, enforce, restart, undo, restart, as before. Stand-ins of the VM
//! lab are the services; the same order of a taken-over one is done before and refused after.
//!
//! The image holds the packages; one of them is taken away before, packed again from its own files into an archive in the machine, so that
//! `prepare` installs and `undo` removes it with apt and no network. No boot loader is started: QEMU boots the kernel with the words of the menu
//! that `update-grub` wrote. The window's day is the machine's clock set forward.

#![expect(clippy::print_stdout, reason = "what was measured is part of what the test says")]

#[path = "../../stub/tests/common/mod.rs"]
mod stand_in;

use stand_in::{
    Service, Site,
    lab::{self, Lab, outcomes},
};
use std::{collections::BTreeMap, time::Duration};
use vm::{Code, Mode, Options};

const SITE: &str = r#"
[site]
management = { from = ["10.9.0.0/24"], by = "ssh" }
dns = ["10.9.0.53"]
ntp = ["10.9.0.53"]

[layers]
system = "enforce"
selinux = "enforce"

[hosts.one]
address = "10.0.2.11"
runs = [{ service = "lotus", ports = { libp2p = 6665 } }, "lotus-wallet"]
"#;
/// What a taken-over lotus is told to do, and the way out that is named for it.
const ORDERS: [(&str, &str); 2] = [("read=/etc/shadow", "no entry allows this"), ("listen=9999", "lotus: port 9999 as an endpoint")];
/// A step of the way: loading a policy or labelling a machine under emulation.
const STEP: Duration = Duration::from_secs(900);
/// A package of the way that nothing else needs.
const TAKEN: &str = "policycoreutils-python-utils";
/// Packs it again, makes an archive of it, and takes it away.
const ARCHIVE: &str = "set -e
    p=policycoreutils-python-utils; mkdir -p /srv/archive/d/DEBIAN; cd /srv/archive
    dpkg-query -L $p | while read -r f; do if [ -f \"$f\" ]; then mkdir -p d$(dirname $f); cp -a $f d$f; fi; done
    dpkg-query -W -f 'Package: ${Package}\\nVersion: ${Version}\\nArchitecture: ${Architecture}\\nMaintainer: ${Maintainer}\\nDepends: ${Depends}\\nDescription: packed again\\n' $p >d/DEBIAN/control
    dpkg-deb -b d p.deb; (cat d/DEBIAN/control; echo Filename: ./p.deb; echo Size: $(stat -c %s p.deb); echo SHA256: $(sha256sum p.deb | cut -d' ' -f1)) >Packages
    rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*; echo 'deb [trusted=yes] file:/srv/archive ./' >/etc/apt/sources.list
    apt-get update; apt-get remove -y $p; mkdir -p /root/site";
/// What the machine is, as far as the way touches it.
const AS_FOUND: &str =
    "stat -c '%n %a %u' /etc/selinux/config; sha256sum /etc/selinux/config /etc/selinux/semanage.conf; ls -A /etc/default; ls -A /etc/default/grub.d 2>&1
    dpkg-query -W -f '${Package} ${db:Status-Status}\\n' | grep ' installed'; semodule -l | grep ravelin; sort /etc/selinux/default/seusers; ls /etc/sudoers.d; cat /sys/kernel/security/lsm
    grep -c . /sys/kernel/security/apparmor/profiles; sha256sum /boot/grub/grub.cfg; true";
/// The boot loader's defaults as its package leaves them, and a menu made of them.
const MENU: &str =
    "set -e; cp /usr/share/grub/default/grub /etc/default/grub; mkdir -p /boot/grub; update-grub 2>&1; test -s /boot/grub/grub.cfg";

/// An operator and somebody else, whose keys root holds. What the operator may do by sudo stands in a file of its own.
const PEOPLE: &str = "set -e
    ssh-keygen -q -t ed25519 -N '' -f /root/key
    for a in ada eve; do
      useradd -m -s /bin/bash $a; install -d -m 700 -o $a -g $a /home/$a/.ssh
      install -m 600 -o $a -g $a /root/key.pub /home/$a/.ssh/authorized_keys
      if selinuxenabled; then restorecon -R /home/$a; fi
    done
    echo 'ada ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ada; chmod 440 /etc/sudoers.d/ada";

/// Whom a login makes an account, and whom its sudo makes it.
fn logs_in(lab: &mut Lab, account: &str, command: &str) -> String {
    let ssh = format!("ssh -i /root/key -o StrictHostKeyChecking=no -o BatchMode=yes {account}@127.0.0.1 '{command}' 2>&1; true");
    lab.must(&ssh, STEP)
}

/// Who logs in is confined, and an operator is an administrator by sudo alone.
fn logins_are_confined(lab: &mut Lab) {
    let (ada, eve) = (logs_in(lab, "ada", "id -Z; sudo -n id -Z; sudo -n cat /etc/sudoers.d/ada"), logs_in(lab, "eve", "id -Z"));
    println!("{ada}{eve}");
    assert!(ada.contains("staff_u:staff_r:staff_t") && ada.contains("staff_u:sysadm_r:sysadm_t") && ada.contains("NOPASSWD"), "{ada}");
    assert!(!ada.contains("denied"), "{ada}");
    assert!(eve.contains("user_u:user_r:user_t"), "{eve}");
}

fn options(words: &str) -> Options {
    Options { mode: Mode::OwnChoice, kernel: format!("audit_backlog_limit=8192 {words}"), ..Options::default() }
}

/// Runs the verb, which must end with this code and say these words.
fn ravelin(lab: &mut Lab, words: &str, code: u8, says: &[&str]) -> String {
    let begun = std::time::Instant::now();
    let script = format!("/usr/local/sbin/ravelin selinux {words} --site /root/site/site.toml --host one");
    let ran = lab.machine.run_within(&script, STEP).unwrap_or_else(|e| panic!("{e}"));
    println!("{:6.1} s  ravelin selinux {words}\n{}", begun.elapsed().as_secs_f64(), ran.said());
    assert_eq!(ran.code, Code::Exit(code), "{words}: {}", ran.said());
    for w in says {
        assert!(ran.said().contains(w), "`{w}` is not said by {words}:\n{}", ran.said());
    }
    ran.said()
}

/// The kernel's words in the menu's first entry, without the root file system, which QEMU's own are about.
fn words(lab: &mut Lab) -> String {
    let line = "sed -n 's/^[[:space:]]*linux[[:space:]]*[^ ]* root=[^ ]* ro *//p' /boot/grub/grub.cfg | head -n 1";
    lab.must(line, lab::SETTING_UP).split_whitespace().filter(|w| *w != "quiet").collect::<Vec<_>>().join(" ")
}

/// What became of the orders under the unit's last start.
fn ordered(lab: &mut Lab, service: &Service, name: &str) -> BTreeMap<String, bool> {
    let orders = ORDERS.iter().map(|(order, _)| (*order).to_owned()).collect();
    lab.must(&format!("rm -f {}/*.orders; systemctl stop {}", lab::HOME, service.plain()), lab::SETTING_UP);
    lab.start(&[service.plain()], "work");
    let before = lab.heard().remove(&service.plain()).map_or(0, |h| h.len());
    lab.order(name, &[service.plain()], &BTreeMap::from([(service.name.clone(), orders)]));
    let heard = lab.heard().remove(&service.plain()).unwrap_or_default();
    outcomes(&heard[before..])
}

/// Ravelin, the site file and the services' own files.
fn programs(lab: &mut Lab, site: &Site) {
    lab.ravelin(env!("CARGO_BIN_EXE_ravelin"));
    let mut files = site.system_files();
    site.services.iter().for_each(|s| files.extend(s.files()));
    files.insert("root/site/site.toml".into(), SITE.into());
    lab.unpack(&files);
    lab.programs(&site.services);
}

fn install(lab: &mut Lab, site: &Site) {
    programs(lab, site);
    lab.must(&site.prepare(), lab::SETTING_UP);
    // As uid 0 in a domain without the capability to pass modes by.
    lab.must("chown -R root:root /var/lib/lotus* /var/log/lotus /var/tmp/filecoin-*", lab::SETTING_UP);
    lab.must(ARCHIVE, lab::SETTING_UP);
    lab.must(PEOPLE, lab::SETTING_UP);
    lab.must(MENU, lab::SETTING_UP);
}

/// On a machine that enforces already: an operator is named, who logs in before and afterwards is asked, and all of it is taken back.
/// `install` is cut off after the mappings: labelling the whole machine is the long way's.
#[test]
#[ignore = "loads and takes away a policy under emulation, up to 15 minutes on a busy machine"]
fn who_logs_in_is_confined_once_an_operator_is_named_and_not_after_undo() {
    let site = Site::read(SITE);
    let mut lab = Lab::boot(&Options::default());
    programs(&mut lab, &site);
    lab.must(PEOPLE, lab::SETTING_UP);
    let before = logs_in(&mut lab, "ada", "id -Z; sudo -n id -Z");
    assert!(before.contains("unconfined_u") && !before.contains("staff_u"), "{before}");
    let seusers = lab.must("sort /etc/selinux/default/seusers", lab::SETTING_UP);
    let record = "/var/lib/ravelin/selinux/record.jsonl";
    lab.must(
        &format!(
            "/usr/local/sbin/ravelin selinux install --operator ada --yes --site /root/site/site.toml --host one >/root/said 2>&1 & p=$!
            until grep -q '\"done\":{{\"logins\"' {record} || ! kill -0 $p; do sleep 1; done; kill $p; grep '\"done\":{{\"logins\"' {record} || (cat /root/said; false)"
        ),
        STEP,
    );
    // What `install` goes on with.
    lab.must("restorecon -RF /home", lab::SETTING_UP);
    logins_are_confined(&mut lab);
    ravelin(&mut lab, "undo --yes", 0, &[]);
    assert_eq!(lab.must("sort /etc/selinux/default/seusers", lab::SETTING_UP), seusers);
    lab.must("! test -e /etc/sudoers.d/ravelin-selinux", lab::SETTING_UP);
    let back = logs_in(&mut lab, "ada", "id -Z; sudo -n id -Z");
    assert!(back.contains("unconfined_u") && !back.contains("staff_u"), "{back}");
}

#[test]
#[ignore = "four boots under emulation, 18 minutes on a busy machine"]
fn from_a_debian_with_apparmor_to_an_enforcing_one_and_back() {
    let site = Site::read(SITE);
    let lotus = site.services.iter().find(|s| s.name == "lotus").expect("lotus");
    let mut lab = Lab::boot(&options(""));
    install(&mut lab, &site);
    let found = lab.must(AS_FOUND, lab::SETTING_UP);
    assert!(found.contains("apparmor") && !found.contains("selinux,") && !found.contains(TAKEN) && !found.contains("ravelin"), "{found}");

    // Nothing is done unasked, and no verb before its turn.
    ravelin(&mut lab, "status", 0, &["AppArmor", "next: packages", TAKEN, "ravelin selinux prepare --yes"]);
    ravelin(&mut lab, "install --yes", 2, &["packages comes first", "ravelin selinux prepare"]);
    ravelin(&mut lab, "prepare", 0, &["next: packages"]);
    assert_eq!(lab.must(AS_FOUND, lab::SETTING_UP), found);
    ravelin(&mut lab, "prepare --yes", 0, &["done packages", "done boot-parameter", "next: reboot", "selinux=0", "inodes"]);
    assert!(lab.must(AS_FOUND, lab::SETTING_UP).contains(&format!("{TAKEN} installed")));
    ravelin(&mut lab, "install --yes", 2, &["reboot comes first", "restart the machine"]);
    let boot = words(&mut lab);
    assert_eq!(boot, "security=selinux noautorelabel");

    lab = lab.again(&options(&boot));
    assert_eq!(lab.must("getenforce", lab::SETTING_UP).trim(), "Permissive");
    ravelin(&mut lab, "status", 0, &["SELinux without the site's modules", "next: modules"]);
    ravelin(&mut lab, "enforce --yes", 2, &["modules comes first"]);
    ravelin(&mut lab, "install --operator nobody-here", 2, &["no account of an operator"]);
    ravelin(&mut lab, "install --operator ada --yes", 0, &["done modules", "done logins", "done labels", "next: permissive"]);
    // A second time it has nothing left, and goes over no file again.
    ravelin(&mut lab, "install --yes", 0, &["next: permissive"]);
    let labels = lab.must("ls -Zd /usr/local/bin/lotus /var/lib/lotus/.lotus", lab::SETTING_UP);
    assert!(labels.contains("ravelin_lotus_exec_t") && labels.contains("ravelin_lotus_repo_t"), "{labels}");
    ravelin(&mut lab, "permissive --yes --force 'a test'", 0, &["done permissive", "enforcing, the site's domains permissive"]);
    assert_eq!(lab.must("getenforce", lab::SETTING_UP).trim(), "Enforcing");

    logins_are_confined(&mut lab);

    // Taken over: done, seen, named.
    let open = ordered(&mut lab, lotus, "first");
    let status = ravelin(&mut lab, "status", 1, &["would be denied", "window not clean"]);
    for (order, way_out) in ORDERS {
        assert_eq!(open.get(order), Some(&true), "{order} in a permissive domain: {open:?}");
        assert!(status.contains(way_out), "{way_out}");
    }
    ravelin(&mut lab, "enforce --yes", 2, &["not clean", "nothing was changed", "--force"]);
    // A day later, without the intruder.
    lab.must(&format!("systemctl stop {}; date -s '+25 hours'; auditctl -m later", lotus.plain()), lab::SETTING_UP);
    ravelin(&mut lab, "enforce --yes", 1, &["done enforce", "one: enforcing", "nothing is left to do"]);
    let closed = ordered(&mut lab, lotus, "second");
    for (order, _) in ORDERS {
        assert_eq!(closed.get(order), Some(&false), "{order} in an enforced domain: {closed:?}");
    }

    // It stays so, and goes back.
    lab.must("date -s '-25 hours'", lab::SETTING_UP);
    lab = lab.again(&options(&boot));
    assert_eq!(lab.must("getenforce", lab::SETTING_UP).trim(), "Enforcing");
    let booted = ordered(&mut lab, lotus, "third");
    assert!(ORDERS.iter().all(|(order, _)| booted.get(*order) == Some(&false)), "{booted:?}");
    ravelin(&mut lab, "undo", 0, &["setenforce 0", "nothing was changed"]);
    ravelin(&mut lab, "undo --yes", 0, &["restart the machine", TAKEN]);
    let back = logs_in(&mut lab, "ada", "id -Z; sudo -n id -Z");
    assert!(back.contains("unconfined_u") && !back.contains("staff_u"), "{back}");
    let boot = words(&mut lab);
    assert_eq!(boot, "");
    lab = lab.again(&options(&boot));
    ravelin(&mut lab, "undo --yes", 0, &["as it was found"]);
    let back = lab.must(AS_FOUND, lab::SETTING_UP);
    let other: Vec<&str> = back.lines().filter(|l| !found.contains(l)).collect();
    assert_eq!((back == found, other), (true, vec![]), "as it was found");
    ravelin(&mut lab, "undo --yes", 0, &["nothing to take back"]);
    assert!(ordered(&mut lab, lotus, "fourth").values().all(|done| *done), "nothing confines it any more");
}
