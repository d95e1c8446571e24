//! Services of a site under the units that are rendered for it, without SELinux. Stand-ins work in full, and no system call of
//! theirs is refused by a filter: strace saw every one. With the needs closed, what stands for each fails. Taken over, every action is refused by the unit alone; the same actions
//! succeed in the same run where there is no unit. What is left in the caches outlives the private directories of the units.

mod common;

use common::{
    Site, attack, closed,
    lab::{self, Lab, failures, outcomes},
    trace,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};
use vm::{Mode, Options};

/// The example of the documentation.
const SITE: &str = include_str!("../../../examples/small/site.toml");
/// Its layers, as an operator sets them who has looked for long enough.
const LAYERS: [&str; 2] = ["[layers]\n", "[layers]\nsystem = \"enforce\"\nselinux = \"enforce\"\n"];
/// Machines whose services stand on the one here. The second worker is as the first.
const LEFT_OUT: &str = "worker2";
const ORDERS: &str = "takeover";
/// Stands for the driver's program: makes the node that CUDA wants. The unit runs it before any service with a GPU starts.
const NODES: &str = "cat >/usr/bin/nvidia-modprobe <<'end'
#!/bin/sh
exec mknod -m 666 /dev/nvidia-uvm c 195 255
end
chmod 755 /usr/bin/nvidia-modprobe";
/// Says whether it was made, and by which unit.
const NODE: &str = "stat -c %F /dev/nvidia-uvm; systemctl show -P Result ravelin-gpu.service";
/// Lists what services left in the caches.
const LEFT: &str = "ls /var/tmp/filecoin-proof-parameters /var/tmp/filecoin-parents";
/// A service that is looked at by strace while it is taken over as well: there the filter must be seen to refuse.
const SEEN_REFUSED: &str = "booster-http";

#[test]
fn units_of_the_example_carry_their_services_and_refuse_what_taken_over_ones_try() {
    let mut site = Site::read(&SITE.replacen(LAYERS[0], LAYERS[1], 1));
    site.services.retain(|s| s.host != LEFT_OUT);
    assert!(site.services.len() >= 7, "{}", site.services.len());
    let mut lab = Lab::boot(&Options { mode: Mode::Plain, ..Options::default() });
    let mut files = site.system_files();
    site.services.iter().for_each(|s| files.extend(s.files()));
    files.extend(trace::drop_ins(site.services.iter().map(|s| &s.unit)));
    lab.unpack(&files);
    lab.programs(&site.services);
    lab.must(&site.prepare(), lab::SETTING_UP);
    lab.must(&format!("{}\n{NODES}", attack::PREPARE), lab::SETTING_UP);

    let units: Vec<String> = site.services.iter().map(|s| s.unit.clone()).collect();
    lab.must(&trace::attach(&units), lab::SETTING_UP);
    lab.wait(&units, "work");
    let seen = site.services.iter().find(|s| s.profile.service == SEEN_REFUSED).expect("the service").unit.clone();
    lab.must(&trace::detach(units.iter().filter(|u| **u != seen)), lab::SETTING_UP);

    let orders: BTreeMap<String, Vec<String>> = site.services.iter().map(|s| (s.name.clone(), attack::of_unit(s, &site))).collect();
    lab.order(ORDERS, &units, &orders);
    lab.must(&trace::detach([&seen]), lab::SETTING_UP);
    let heard = lab.heard();
    assert_eq!(lab.must(NODE, lab::SETTING_UP), "character special file\nsuccess\n", "GPU nodes");
    let kept = lab.must(LEFT, lab::SETTING_UP);
    let calls = trace::read(&lab.must(&trace::lines(), lab::SETTING_UP));
    lab.must(&format!("systemctl stop {}", units.join(" ")), lab::SETTING_UP);
    let all: BTreeSet<String> = orders.values().flatten().cloned().collect();
    let free = lab.unhardened(&all.into_iter().collect::<Vec<_>>());
    let (without, kept_closed) = close(&site, &mut lab, &units);

    let mut wrong = Vec::new();
    let mut log = format!("heard\n{heard:#?}\nunhardened\n{free:#?}\n");
    for s in &site.services {
        let said = heard.get(&s.unit).map(Vec::as_slice).unwrap_or_default();
        assert!(said.len() > attack::FEWEST_ACTIONS, "{} said {} things", s.unit, said.len());
        let of = |list: Vec<String>| list.into_iter().map(|w| format!("{}: {w}", s.unit)).collect::<Vec<_>>();
        wrong.extend(of(failures(said, "work")));
        wrong.extend(of(lab::not_denied(&orders[&s.name], &outcomes(said), &free)));
        let calls = calls.get(&s.unit).unwrap_or_else(|| panic!("nothing was traced of {}", s.unit));
        let _ = writeln!(log, "{}\n{}", s.unit, calls.table());
        wrong.extend(of(calls.refused.clone()));
        assert!(calls.at_work.len() > trace::FEWEST_CALLS, "{}: {} system calls", s.unit, calls.at_work.len());
        for directory in s.profile.need("shared-tmp").iter().flat_map(|n| &n.paths) {
            let mark = format!("stub-{}-{}.mark", s.profile.service, s.profile.instance);
            if !kept.contains(&mark) {
                wrong.push(format!("{}: what it left in {directory} is gone", s.unit));
            }
            if kept_closed.contains(&mark) {
                wrong.push(format!("{}: what it left in {directory} stays without the need as well", s.unit));
            }
        }
        let without = failures(&without[&s.unit], "work");
        let works = |action: &&str| !without.iter().any(|f| f.contains(&format!(": {action}")));
        wrong.extend(closed::must_fail(s).into_iter().filter(works).map(|a| format!("{}: works without its need: {a}", s.unit)));
    }
    lab::keep("stand-ins-units.log", &log);
    // The other way: what the filter refuses is seen as such.
    for call in ["clock_settime", "mount", "ptrace"] {
        if calls[&seen].later.get(call).is_none_or(|c| c.refused == 0) {
            wrong.push(format!("{seen}: strace saw no refusal of {call}"));
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{} of it is wrong; target/tmp/stand-ins-units.log:\n{}", wrong.len(), wrong.join("\n"));
}

/// The same with every need closed: what they say since, and what is left in the caches.
fn close(site: &Site, lab: &mut Lab, units: &[String]) -> (lab::Heard, String) {
    let name = |s: &common::Service| format!("etc/systemd/system/{}.d/92-closed.conf", s.unit);
    let files = site.services.iter().map(|s| (name(s), closed::drop_in(s).into_bytes()));
    lab.unpack(&files.collect());
    lab.must(
        &format!("rm /etc/systemd/system/*.d/{} {}/*.orders; rm -f /var/tmp/filecoin-*/*.mark", trace::DROP_IN, lab::HOME),
        lab::SETTING_UP,
    );
    lab.start(units, "work");
    (lab.heard(), lab.must(LEFT, lab::SETTING_UP))
}
