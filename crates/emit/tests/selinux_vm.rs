//! The modules under an enforcing kernel: Debian 12 in QEMU. Services that do what the daemons do work in full, with and without
//! their unit's sandbox, and nothing of it is refused. Taken over as uid 0 without any sandbox, every action is refused by
//! SELinux alone, and the audit log names it; the same actions succeed in the same run in a process that no module confines.
//!
//! `cargo test -p emit --test selinux_vm -- --ignored`; as root, with qemu-system-x86 and mmdebstrap; minutes.

#[path = "selinux/cases.rs"]
#[allow(dead_code, reason = "the golden files are another test's")]
mod cases;
mod common;
#[path = "selinux_vm/image.rs"]
mod image;

use std::{collections::BTreeMap, fs, path::Path, process::Command};

const HOME: &str = "/var/lib/lotus";

/// Service, its program, the unit of the plan, and what it does.
fn work() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let own = |text: &str| text.split_whitespace().map(|a| a.replace('~', HOME)).collect::<Vec<_>>();
    vec![
        (
            "lotus",
            "lotus-daemon",
            own("mkdir=~/.lotus/keystore write=~/.lotus/keystore/key read=~/.lotus/keystore/key write=~/.lotus/token write=~/.lotus/api \
                 mkdir=~/.lotus/datastore write=~/.lotus/datastore/x rename=~/.lotus/datastore/x,~/.lotus/datastore/y read=/proc/meminfo \
                 statfs=~/.lotus netlink jit memfd append=/var/log/lotus/daemon.log write=/tmp/scratch remove=/tmp/scratch listen=1234 \
                 listen=0 udp=0 connect=127.0.0.1:4001 connect=127.0.0.1:443 connect=127.0.0.1:1235 \
                 write=/var/tmp/filecoin-proof-parameters/p read=/etc/resolv.conf read=/etc/hosts read=/proc/self/status \
                 read=/sys/kernel/mm/transparent_hugepage/hpage_pmd_size read=/proc/sys/net/core/somaxconn"),
        ),
        (
            "lotus-miner",
            "lotus-miner",
            own("mkdir=~/.lotusminer/keystore write=~/.lotusminer/keystore/key write=~/.lotusminer/token append=/var/log/lotus/miner.log \
                 listen=2345 connect=127.0.0.1:1234 connect=127.0.0.1:3456 write=/mnt/sealing/s \
                 run=/usr/bin/env,mv,-t,/mnt/sealed,/mnt/sealing/s read=/mnt/sealed/s write=/var/lib/filecoin-gpu/bellman.gpu.lock \
                 read=/proc/meminfo affinity jit netlink statfs=/mnt/sealed"),
        ),
        (
            "lotus-worker",
            "lotus-worker-pc1",
            own("mkdir=~/.lotusworker write=~/.lotusworker/token listen=3456 connect=127.0.0.1:2345 connect=127.0.0.1:3457 \
                 write=/mnt/sealing/w run=/usr/bin/env,mv,/mnt/sealing/w,/mnt/sealing/w2 write=/var/lib/filecoin-gpu/bellman.priority.lock \
                 read=/proc/meminfo affinity netlink"),
        ),
        ("boostd-data", "boostd-data", own("listen=8042 read=/etc/hosts write=/tmp/scratch statfs=/tmp")),
    ]
}

/// What a taken-over service tries, and what the audit log must then hold.
const ATTACKS: [(&str, &str); 36] = [
    ("read=/etc/shadow", "shadow_t"),
    ("append=/etc/passwd", "name=\"passwd\""),
    ("append=/usr/local/bin/lotus", "ravelin_lotus_exec_t"),
    ("append=/usr/bin/mv", "name=\"mv\""),
    ("append=/etc/systemd/system/trial.service", "systemd_unit_t"),
    ("write=/etc/systemd/system/evil.service", "systemd_unit_t"),
    ("write=/etc/cron.d/evil", "system_cron_spool_t"),
    ("append=/etc/sudoers", "{ dac_override }"),
    ("write=/etc/profile.d/evil.sh", "name=\"profile.d\""),
    ("write=/root/evil", "user_home_dir_t"),
    ("list=/root", "user_home_dir_t"),
    ("read=/var/log/audit/audit.log", "auditd_log_t"),
    ("run=/bin/su,-c,true", "su_exec_t"),
    ("run=/usr/bin/sudo,-n,true", "sudo_exec_t"),
    ("run=/usr/bin/mount", "mount_exec_t"),
    ("raw", "rawip_socket"),
    ("packet", "packet_socket"),
    ("ptrace=1", "{ ptrace }"),
    ("bpf", "{ bpf }"),
    ("module=/lib/modules/trial/dummy.ko", "modules_object_t"),
    ("kill=1", "{ signull }"),
    ("mount=/media", "{ mounton }"),
    ("listen=9999", "src=9999"),
    ("listen=80", "src=80 "),
    ("udp=514", "src=514"),
    ("connect=127.0.0.1:22", "dest=22 "),
    ("connect=127.0.0.1:5432", "dest=5432"),
    ("connect=127.0.0.1:8042", "dest=8042"),
    ("read=/dev/vda", "fixed_disk_device_t"),
    ("read=/dev/mem", "memory_device_t"),
    ("chown=/etc/hostname", "{ setattr }"),
    ("context=system_u:system_r:initrc_t:s0", "{ setexec }"),
    ("relabel=/mnt/sealing,system_u:object_r:etc_t:s0", "tclass=dir"),
    ("setenforce", "security_t"),
    ("read=/var/lib/lotus/.ssh/id", "name=\".ssh\""),
    ("read=/proc/1/environ", "init_t"),
];

/// Others' secrets, by whose they are.
const SECRETS: [(&str, &str, &str); 4] = [
    ("lotus", "read=/var/lib/lotus/.lotus/keystore/key", "ravelin_lotus_repo_t"),
    ("lotus", "read=/var/lib/lotus/.lotus/token", "ravelin_lotus_repo_t"),
    ("lotus-miner", "read=/var/lib/lotus/.lotusminer/token", "ravelin_lotus_miner_repo_t"),
    ("lotus-worker", "read=/var/lib/lotus/.lotusworker/token", "ravelin_lotus_worker_repo_t"),
];

/// What only some services may not: the others declare the need.
fn undeclared(service: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut add = |action: &str, named: &str| out.push((action.to_owned(), named.to_owned()));
    if service == "boostd-data" {
        add("connect=127.0.0.1:443", "dest=443");
    }
    if ["lotus", "boostd-data"].contains(&service) {
        add("run=/bin/sh,-c,true", "shell_exec_t");
        add("run=/usr/bin/env,true", "name=\"env\"");
        add("affinity", "{ setsched }");
    } else {
        // What a service executes is narrower than the service: no token of its own, no network.
        add("run=/usr/bin/cat,/var/lib/lotus/.lotusminer/config.toml", "_tool_t");
    }
    out
}

fn attacks(service: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = ATTACKS.iter().map(|(a, n)| ((*a).to_owned(), (*n).to_owned())).collect();
    out.retain(|(a, _)| !(service == "boostd-data" && a == "connect=127.0.0.1:8042"));
    // It dials any public peer; the packet filter keeps it from addresses that are none (SEL005).
    out.retain(|(a, _)| !(service == "lotus" && ["connect=127.0.0.1:22", "connect=127.0.0.1:5432"].contains(&a.as_str())));
    out.extend(SECRETS.iter().filter(|s| s.0 != service).map(|(_, a, n)| ((*a).to_owned(), (*n).to_owned())));
    out.extend(undeclared(service));
    out
}

fn unit(program: &str, steps: &[String]) -> Vec<u8> {
    format!("[Service]\nType=oneshot\nExecStart=/usr/local/bin/{program} whoami {}\n", steps.join(" ")).into_bytes()
}

/// Results by unit: action and whether it worked.
fn results(said: &str) -> BTreeMap<String, Vec<(String, bool)>> {
    let mut out: BTreeMap<String, Vec<(String, bool)>> = BTreeMap::new();
    let mut now = String::new();
    for line in said.lines().map(|l| l.trim_end_matches('\r')) {
        if let Some(name) = line.strip_prefix("== ") {
            name.clone_into(&mut now);
        } else if let Some(action) = line.strip_prefix("RESULT ok ") {
            out.entry(now.clone()).or_default().push((action.to_owned(), true));
        } else if let Some(rest) = line.strip_prefix("RESULT no ") {
            let action = rest.split(" (").next().unwrap_or(rest);
            out.entry(now.clone()).or_default().push((action.to_owned(), false));
        }
    }
    out
}

#[test]
#[ignore = "boots a VM: as root, minutes; cargo test -p emit --test selinux_vm -- --ignored"]
fn enforcing_services_work_and_what_a_taken_over_one_tries_is_denied_by_selinux_alone() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let stub = target.join("selinux-vm-stub");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/selinux_vm/stub.rs");
    image::run(Command::new("rustc").args(["-O", "-C", "target-feature=+crt-static", source, "-o"]).arg(&stub));
    let stub = fs::read(&stub).expect("stub");
    let case = cases::cases().into_iter().find(|c| c.name == "shared-account").expect("the case with four services");

    let mut files = BTreeMap::from([("usr/local/bin/unconfined".to_owned(), stub.clone())]);
    let mut script = String::from(
        "#!/bin/sh\nexec 2>&1\necho \"BEGIN $(getenforce)\"\n\
         mkdir -p /mnt/sealed /mnt/sealing /var/lib/lotus/.ssh /var/lib/lotus/.lotus /var/lib/lotus/.lotusminer /var/lib/lotus/.lotusworker\n\
         mkdir -p /lib/modules/trial; cp $(find /lib/modules -name dummy.ko | head -1) /lib/modules/trial/\n\
         touch /var/lib/lotus/.ssh/id /var/lib/lotus/.lotusminer/config.toml\n\
         all() { restorecon -RF /var/lib/lotus /mnt /var/log/lotus /var/lib/filecoin-gpu /var/tmp /usr/local /lib/modules/trial; chcon -t user_home_dir_t /var/lib/lotus/.ssh; }\n\
         show() { systemctl start $1; echo \"== $1\"; journalctl -b -o cat -u $1 --no-pager | grep -a RESULT; }\n\
         denied() { sleep 2; echo \"AVC $1\"; ausearch -m avc 2>/dev/null | grep -a denied; echo \"AVC end\"; }\n\
         chown -R root:root /var/lib/lotus /var/log/lotus /var/lib/filecoin-gpu /var/tmp; systemctl start listener; sleep 1\n",
    );
    let control: Vec<String> = {
        let mut all: Vec<String> = work().iter().flat_map(|w| attacks(w.0)).map(|(a, _)| a).collect();
        all.sort();
        all.dedup();
        all
    };
    files.insert("etc/systemd/system/listener.service".into(), {
        let text = unit("unconfined", &["listen=22".into(), "listen=5432".into(), "listen=443".into(), "sleep=900".into()]);
        String::from_utf8_lossy(&text).replace("oneshot", "simple").into_bytes()
    });
    files.insert("etc/systemd/system/control.service".into(), unit("unconfined", &control));
    // Sandboxed as the plan has it: its drop-ins, accounts and modes, with the stub in the daemon's place.
    files.extend(case.system.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes())));
    for (service, name, steps) in work() {
        files.insert(format!("usr/local/bin/{service}"), stub.clone());
        let unit_file = format!("etc/systemd/system/{name}.service");
        files.entry(unit_file).or_insert_with(|| unit(service, &steps));
        let own =
            format!("[Service]\nType=oneshot\nRestart=no\nExecStart=\nExecStart=/usr/local/bin/{service} whoami {}\n", steps.join(" "));
        files.insert(format!("etc/systemd/system/{name}.service.d/90-trial.conf"), own.into_bytes());
        files.insert(format!("etc/systemd/system/plain-{service}.service"), unit(service, &steps));
        let tried: Vec<String> = attacks(service).into_iter().map(|(a, _)| a).collect();
        files.insert(format!("etc/systemd/system/attack-{service}.service"), unit(service, &tried));
    }
    let each = |script: &mut String, prefix: &str| work().iter().for_each(|w| *script += &format!("all; show {prefix}-{}\n", w.0));
    each(&mut script, "plain");
    script.push_str("denied plain\nchown -R lotus:lotus /var/lib/lotus /mnt/sealed /mnt/sealing /var/log/lotus /var/tmp/filecoin-*; rm -rf /tmp/*; chgrp -R filecoin-gpu /var/lib/filecoin-gpu; chmod -R g+rwX /var/lib/filecoin-gpu; auditctl -m SANDBOX\n");
    work().iter().for_each(|w| script += &format!("all; show {}\n", w.1));
    script.push_str("denied sandboxed\nchown -R root:root /var/lib/lotus; ls -d /media /root/evil\n");
    each(&mut script, "attack");
    script.push_str("denied attack\nshow control\necho END\n");

    let said = image::boot(&files, &case.modules(), &script);
    fs::write(target.join("selinux-vm.log"), &said).expect("written");
    assert!(said.contains("BEGIN Enforcing") && said.contains("END"), "the machine did not come through: target/tmp/selinux-vm.log");
    let got = results(&said);
    let control: BTreeMap<&String, bool> = got["control"].iter().map(|(a, ok)| (a, *ok)).collect();
    let mut wrong = Vec::new();
    for (service, name, steps) in work() {
        for unit in [format!("plain-{service}"), name.to_owned()] {
            let done: BTreeMap<&String, bool> = got.get(&unit).into_iter().flatten().map(|(a, ok)| (a, *ok)).collect();
            wrong.extend(steps.iter().filter(|s| done.get(s) != Some(&true)).map(|s| format!("{unit}: {s} does not work")));
        }
        let tried: BTreeMap<&String, bool> = got.get(&format!("attack-{service}")).into_iter().flatten().map(|(a, ok)| (a, *ok)).collect();
        let domain = format!("ravelin_{}_", service.replace('-', "_"));
        let log: Vec<&str> = section(&said, "attack").into_iter().filter(|l| l.contains(&format!("system_r:{domain}"))).collect();
        for (action, named) in attacks(service) {
            if tried.get(&action) != Some(&false) {
                wrong.push(format!("{service}: {action} is not denied: {:?}", tried.get(&action)));
            }
            if control.get(&action) != Some(&true) {
                wrong.push(format!("{action} does not succeed unconfined either"));
            }
            if !log.iter().any(|l| l.contains(&named)) {
                wrong.push(format!("{service}: {action}: no line of the audit log has {named}"));
            }
        }
    }
    for part in ["plain", "sandboxed"] {
        let ours = section(&said, part).into_iter().filter(|l| l.contains("scontext=system_u:system_r:ravelin_"));
        wrong.extend(ours.map(|l| format!("{part}: {l}")));
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} of it is wrong; target/tmp/selinux-vm.log:\n{}", wrong.len(), wrong.join("\n"));
}

/// The audit log as one part printed it.
fn section<'a>(said: &'a str, part: &str) -> Vec<&'a str> {
    let from = said.lines().skip_while(|l| l.trim_end() != format!("AVC {part}")).skip(1);
    from.take_while(|l| l.trim_end() != "AVC end").collect()
}
