//! Hardware: what a machine's root reaches below or beside the operating system. In come devices, helpers, groups, out come those
//! that give more than they need.

use super::prelude::*;

/// AUD116: the management controller takes orders from this machine.
pub const CONTROLLER: Rule = Rule {
    code: Code("AUD116"),
    title: "root here commands the management controller",
    risk: Risk::Low,
    needs: &[Source::Files],
    means: "ipmitool sets a new administrator's password without asking for the old one: from there to power, console and the management network",
    fix: "blacklist ipmi_si and ipmi_devintf where nothing reads sensors, or turn the host interface (KCS) off in the controller",
    reference: None,
    check: controller,
};

/// AUD117: a helper of the GPU driver is set-id root.
pub const GPU_HELPER: Rule = Rule {
    code: Code("AUD117"),
    title: "a GPU helper is set-id root",
    risk: Risk::Low,
    needs: &[Source::Files],
    means: "every account loads kernel modules and makes device nodes through it",
    fix: "make the device nodes at boot with a oneshot unit (Ravelin's units bring one), then chmod u-s the helper",
    reference: None,
    check: gpu_helper,
};

/// AUD118: the group that may take huge pages holds others than services.
pub const HUGE_PAGES: Rule = Rule {
    code: Code("AUD118"),
    title: "others may take the huge pages",
    risk: Risk::Low,
    needs: &[Source::Sysctls, Source::Groups],
    means: "whoever takes them first stops sealing: the daemon does not start, proofs are late",
    fix: "a group of its own in vm.hugetlb_shm_group, with the sealing account alone in it",
    reference: None,
    check: huge_pages,
};

fn controller(view: &View) -> Vec<Seen> {
    let devices = ["/dev/ipmi0", "/dev/ipmi/0", "/dev/ipmidev/0"];
    let there = view.facts.files.iter().filter(|f| devices.contains(&f.path.as_str()));
    there.map(|f| Seen::new(&f.path, format!("a controller's device, mode {:04o}, owner {}", f.mode, owner(f)))).collect()
}

fn gpu_helper(view: &View) -> Vec<Seen> {
    let helpers = ["/usr/bin/nvidia-modprobe", "/usr/lib/nvidia/current/nvidia-modprobe"];
    let set_id = view.facts.files.iter().filter(|f| helpers.contains(&f.path.as_str()) && f.mode & 0o4000 != 0 && f.uid == 0);
    set_id.map(|f| Seen::new(&f.path, format!("mode {:04o}, owner {}", f.mode, owner(f))).at(&f.path, 0)).collect()
}

fn huge_pages(view: &View) -> Vec<Seen> {
    let Some(gid) = view.setting("vm.hugetlb_shm_group").and_then(|v| v.parse::<u32>().ok()).filter(|g| *g != 0) else { return Vec::new() };
    let Some(group) = view.facts.groups.iter().find(|g| g.gid == gid) else { return Vec::new() };
    let services: Vec<&str> = view.service_accounts().iter().map(|a| a.name.as_str()).collect();
    let primary = view.facts.accounts.iter().filter(|a| a.gid == gid).map(|a| a.name.as_str());
    let others: Vec<&str> =
        group.members.iter().map(String::as_str).chain(primary).filter(|m| !services.contains(m) && *m != "root").collect();
    if others.is_empty() {
        return Vec::new();
    }
    vec![Seen::new("sysctl", format!("vm.hugetlb_shm_group = {gid} ({}), with {}", group.name, others.join(", ")))]
}
