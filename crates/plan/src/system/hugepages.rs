//! Huge pages as files: `/dev/hugepages` is root's, and DPDK's programs make files in it. In comes a plan whose units are made,
//! out comes the same with a group for the directory. Never: more than that group; how many pages there are is the operator's.

use super::types::{FileAct, FilePlan, Line, Section, SystemPlan};
use catalog::Need;

/// Where huge pages are files.
pub(crate) const DIRECTORY: &str = "/dev/hugepages";
/// Group of that directory.
const GROUP: &str = "filecoin-hugepages";
/// Its mode: as it is mounted, the group may make files, and nobody removes another one's.
const MODE: u32 = 0o1775;
/// Where the permission is told.
const SOURCE: &str = "doc.dpdk.org/guides/linux_gsg/enable_func.html";

/// The directory for every unit that needs huge pages.
pub(crate) fn share(out: &mut SystemPlan) {
    let mut any = false;
    for u in out.units.iter_mut().filter(|u| u.opened.contains(&Need::Hugepages)) {
        any = true;
        let why = "files of huge pages: the directory is root's alone as it is mounted";
        super::add_group(u, GROUP, why);
        u.drop_in.insert(0, Line::new("After", "dev-hugepages.mount").at(Section::Unit));
        // The mount comes later in a boot than the modes of /dev are set, so they are set here, as root and before the sandbox.
        let again = format!("+-/usr/bin/systemd-tmpfiles --create --prefix={DIRECTORY}");
        u.drop_in.push(Line::new("ExecStartPre", again).why(why, SOURCE));
    }
    if any {
        out.groups.insert(GROUP.to_owned(), "files of huge pages".to_owned());
        out.files.push(FilePlan {
            path: DIRECTORY.to_owned(),
            act: FileAct::Lend,
            mode: MODE,
            owner: "root".to_owned(),
            group: GROUP.to_owned(),
            why: "huge pages as files: services without privileges make them through a group".to_owned(),
        });
    }
}
