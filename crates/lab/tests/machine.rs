//! A lab leaves the machine as it was, as root and rootless: links, addresses, routes, rules and settings before and after.

mod common;

use lab::{
    build::Neighbours,
    enter::{self, Isolation},
    fence,
    stage::Stage,
};
use plan::Options;
use std::{fs, path::Path};

/// What only somebody who got out of the lab could write: a setting of the whole machine.
const OF_THE_MACHINE: &str = "/proc/sys/kernel/panic_on_oops";

#[test]
fn a_lab_leaves_its_machine_alone() {
    let test = "a_lab_leaves_its_machine_alone";
    if !enter::is_inside() {
        let before = common::machine();
        assert!(before.len() > 100, "the machine can be looked at");
        common::inside(test);
        common::unchanged(&before);
        return;
    }
    common::inside(test);
    let stage = Stage::build(common::example("small"), Options::default(), Neighbours::Fixed).expect("built");
    stage.load_all().expect("loaded, with its settings");
    let edge = stage.lab.topology.edges.first().expect("an edge node").clone();
    let space = stage.lab.space(&edge).expect("edge");
    let forward = |path: &str| space.run(|| Ok(fs::read_to_string(path).unwrap_or_default().trim().to_owned())).expect("read");
    assert_eq!(forward("/proc/sys/net/ipv4/ip_forward"), "1", "settings of the node itself are written");
    let now = fs::read_to_string(OF_THE_MACHINE).expect("a setting");
    let written = space.run(|| Ok(fs::write(OF_THE_MACHINE, now.trim()).is_ok())).expect("run");
    assert!(!written, "settings of the whole machine are not");
    if enter::isolation() == Isolation::MachineRoot {
        assert!(
            fence::READ_ONLY
                .iter()
                .filter(|d| Path::new(d).is_dir())
                .all(|d| fs::write(Path::new(d).join("ravelin-lab-probe"), "").is_err())
        );
        assert_eq!(fs::read_dir("/run").expect("/run").filter_map(Result::ok).count(), 1, "services of the machine are out of sight");
    }
}

#[test]
fn a_mark_left_over_does_not_make_outside_inside() {
    // Its own process: the environment of this one is shared by its tests.
    let own = |kind: &str| fs::read_link(format!("/proc/self/ns/{kind}")).expect("a namespace").display().to_string();
    if let Ok(told) = std::env::var("RAVELIN_TEST_TOLD") {
        assert_eq!(enter::is_inside(), told == "inside");
        return;
    }
    let here = format!("{} {}", own("net"), own("mnt"));
    let marks = [("1", "outside"), (here.as_str(), "outside"), ("net:[1] mnt:[1]", "inside")];
    for (mark, told) in marks {
        let mut copy = std::process::Command::new(std::env::current_exe().expect("this test"));
        copy.args(["--exact", "a_mark_left_over_does_not_make_outside_inside"]).env(enter::INSIDE, mark).env("RAVELIN_TEST_TOLD", told);
        let out = copy.output().expect("a copy");
        assert!(out.status.success(), "{mark} is {told}: {}", String::from_utf8_lossy(&out.stdout));
    }
}
