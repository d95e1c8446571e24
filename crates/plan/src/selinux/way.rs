//! The way from a Debian without SELinux to an enforcing one, a step at a time. In comes what the machine is now, out comes the next
//! step: what is done, and what it interrupts. Never: carries a step out, skips one, or goes on over denials nobody has looked at.
//! What takes steps back is in [`super::act`].

use super::{
    act::Act,
    login::{EVERYBODY, Mappings, SEMANAGE, STAFF, SUDOERS, SUDOERS_MODE, sudoers, without_homes},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Packages the policy and its tools come in.
pub const PACKAGES: [&str; 5] = ["auditd", "policycoreutils", "policycoreutils-python-utils", "selinux-policy-default", "selinux-utils"];
/// What the kernel's command line gets. It replaces the list of security modules: AppArmor and SELinux exclude each other there.
pub const BOOT: &str = "security=selinux";
/// GRUB's file of ours that puts it there.
pub const DROP_IN: &str = "/etc/default/grub.d/ravelin-selinux.cfg";
/// What the policy is told at boot.
pub const CONFIG: &str = "/etc/selinux/config";
/// What stands beside it. Debian's policycoreutils marks a machine that booted without SELinux, labels all of it in the next boot with it,
/// in one go and before anything else starts, and boots once more: hours in which no proof is sent. `install` labels while everything runs.
pub const NO_RELABEL: &str = "noautorelabel";
/// Which of ours make a domain permissive.
const OBSERVE: &str = "_observe";
/// Mode of files of the system that everybody reads.
const READABLE: u32 = 0o644;

/// What a machine is on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    /// Security modules the running kernel holds, in order.
    pub active: Vec<String>,
    /// The kernel has SELinux built in (`CONFIG_SECURITY_SELINUX=y`); `None` where that could not be read.
    pub built_in: Option<bool>,
    /// Of [`PACKAGES`], those installed.
    pub installed: BTreeSet<String>,
    /// GRUB's files say [`BOOT`].
    pub boot_line: bool,
    /// The boot loader is GRUB, as Debian has it.
    pub grub: bool,
    /// The directory of [`DROP_IN`] is there.
    pub parts: bool,
    /// Profiles AppArmor enforces now.
    pub apparmor: BTreeSet<String>,
    /// [`CONFIG`]; `None` where it is not there.
    pub config: Option<String>,
    /// The kernel refuses what the policy does not allow.
    pub enforcing: bool,
    /// Modules of Ravelin's that are loaded.
    pub modules: BTreeSet<String>,
    /// Of these, those that the site would have otherwise.
    pub stale: BTreeSet<String>,
    /// Mappings of accounts to SELinux users that are not there yet.
    pub unmapped: Mappings,
    /// Homes of operators among these: their labels name the user.
    pub homes: BTreeSet<String>,
    /// [`SEMANAGE`]; `None` where it is not there.
    pub semanage: Option<String>,
    /// Homes of services' accounts among these, where the services' own labels are to hold.
    pub held: BTreeSet<String>,
    /// Operators that are mapped already.
    pub operators: BTreeSet<String>,
    /// Accounts somebody logs into today, and could not once they are mapped.
    pub shut_out: Vec<String>,
    /// Places that are not labelled yet.
    pub unlabelled: Vec<String>,
    /// Why the system cannot be enforced around the domains yet: what it would be refused.
    pub system_waits: Option<String>,
    /// Why the domains cannot be enforced yet: the window is not clean.
    pub domains_wait: Option<String>,
}

impl Ground {
    /// SELinux runs.
    pub fn runs(&self) -> bool {
        self.active.iter().any(|l| l == "selinux")
    }
    /// Domains that are permissive, by their modules.
    pub fn permissive(&self) -> BTreeSet<String> {
        self.modules.iter().filter(|m| m.ends_with(OBSERVE)).cloned().collect()
    }
    /// Where it stands, in words.
    pub fn standing(&self) -> &'static str {
        match () {
            () if !self.runs() && self.built_in == Some(false) => "a kernel without SELinux",
            () if !self.runs() && self.boot_line => "prepared, not booted with SELinux",
            () if !self.runs() && self.active.iter().any(|l| l == "apparmor") => "AppArmor",
            () if !self.runs() => "no SELinux",
            () if self.modules.is_empty() => "SELinux without the site's modules",
            () if !self.unlabelled.is_empty() => "not all labelled",
            () if !self.enforcing => "permissive",
            () if !self.permissive().is_empty() => "enforcing, the site's domains permissive",
            () => "enforcing",
        }
    }
    /// The next boot enforces.
    pub fn enforcing_at_boot(&self) -> bool {
        self.config.as_deref().is_some_and(|text| text.lines().any(|l| l.trim() == "SELINUX=enforcing"))
    }
}

/// Who carries a step out: the verbs of `ravelin selinux`, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Packages, boot parameter.
    Prepare,
    /// The operator restarts the machine.
    Reboot,
    /// Modules, labels.
    Install,
    /// The system enforces, the domains look on.
    Permissive,
    /// All of it.
    Enforce,
}

impl Stage {
    /// The verb's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Reboot => "reboot",
            Self::Install => "install",
            Self::Permissive => "permissive",
            Self::Enforce => "enforce",
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Short name.
    pub name: &'static str,
    /// The verb it belongs to.
    pub stage: Stage,
    /// What it does and why it comes now.
    pub why: String,
    /// What is done, in order; nothing where the operator does it.
    pub acts: Vec<Act>,
    /// It restarts the machine or a service: it waits for a proven deadline.
    pub interrupts: bool,
    /// What speaks against it now; a recorded reason goes over that.
    pub against: Option<String>,
}

/// Where the way leads from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Next {
    /// Do this.
    Step(Step),
    /// This machine cannot go on; what carries the requirement instead.
    Blocked(String),
    /// Enforcing.
    Arrived,
}

/// The next step of a machine that is to hold these modules. Those that make a domain permissive come and go along the way.
#[must_use]
pub fn next(ground: &Ground, wanted: &BTreeSet<String>) -> Next {
    if !ground.runs() && ground.built_in == Some(false) {
        return Next::Blocked(super::instead::HEAD.to_owned());
    }
    let missing: BTreeSet<String> = PACKAGES.into_iter().filter(|p| !ground.installed.contains(*p)).map(str::to_owned).collect();
    if !missing.is_empty() {
        let why = "policy, tools and the audit log; nothing is confined by them alone";
        return step("packages", Stage::Prepare, why, vec![Act::Packages(missing)]);
    }
    if !ground.runs() && !ground.boot_line {
        return step("boot-parameter", Stage::Prepare, &boot_why(ground), boot(ground));
    }
    if !ground.runs() {
        let why =
            "the security module is chosen when the kernel starts. Rescue: at the boot menu, `e`, and put `selinux=0` on the linux line";
        let Next::Step(step) = step("reboot", Stage::Reboot, why, Vec::new()) else { return Next::Arrived };
        return Next::Step(Step { interrupts: true, ..step });
    }
    let absent: BTreeSet<String> = wanted.iter().filter(|m| !m.ends_with(OBSERVE) && !ground.modules.contains(*m)).cloned().collect();
    let stale = ground.stale.intersection(wanted);
    if !absent.is_empty() || !ground.stale.is_disjoint(wanted) {
        // A new domain comes permissive, whatever the layer says: what runs is not cut by its module. One that is enforced stays so.
        let observe = absent.iter().map(|m| format!("{m}{OBSERVE}")).filter(|m| wanted.contains(m));
        let load: BTreeSet<String> = absent.iter().cloned().chain(observe).chain(stale.cloned()).collect();
        return step("modules", Stage::Install, "domains, permissive one by one; in one transaction", vec![Act::Load(load)]);
    }
    if !ground.unmapped.is_empty() {
        return mapping(ground);
    }
    if !ground.unlabelled.is_empty() {
        let why = "labels, while everything runs, a place at a time: it may be stopped and started again";
        return step("labels", Stage::Install, why, ground.unlabelled.iter().cloned().map(Act::Label).collect());
    }
    if !ground.enforcing {
        let why = "the system enforces until the next boot, Ravelin's domains only report";
        return but("permissive", Stage::Permissive, why, vec![Act::Enforce(true)], ground.system_waits.clone());
    }
    let permissive = ground.permissive();
    if !permissive.is_empty() || !ground.enforcing_at_boot() {
        let mut acts = Vec::new();
        if !permissive.is_empty() {
            acts.push(Act::Unload(permissive));
        }
        acts.extend(configured(ground, "enforcing"));
        let why = "the domains refuse, now and at every boot. Rescue: at the boot menu, `e`, and put `enforcing=0` on the linux line";
        return but("enforce", Stage::Enforce, why, acts, ground.domains_wait.clone());
    }
    Next::Arrived
}

fn boot_why(ground: &Ground) -> String {
    let mut why = "SELinux at the next boot, permissive: it reports and refuses nothing".to_owned();
    if !ground.apparmor.is_empty() {
        let profiles = ground.apparmor.iter().cloned().collect::<Vec<_>>().join(", ");
        why = format!("{why}. AppArmor ends with that boot, and with it the profiles {profiles}");
    }
    if !ground.grub {
        why = format!("{why}. The boot loader is not GRUB: put `{BOOT} {NO_RELABEL}` on the kernel's command line by its own means");
    }
    why
}

fn boot(ground: &Ground) -> Vec<Act> {
    let text = format!(
        "# Written by ravelin selinux prepare; `ravelin selinux undo` takes it away.\nGRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX {BOOT} {NO_RELABEL}\"\n"
    );
    let mut acts: Vec<Act> = configured(ground, "permissive").into_iter().collect();
    if !ground.parts {
        acts.push(Act::Directory("/etc/default/grub.d".to_owned()));
    }
    acts.push(Act::File { path: DROP_IN.to_owned(), text: Some(text), mode: READABLE });
    if ground.grub {
        acts.push(Act::Menu);
    }
    acts
}

/// Accounts to SELinux users, the sudo policy's part for operators first: who is mapped without it cannot administer the machine.
fn mapping(ground: &Ground) -> Next {
    let mut acts = Vec::new();
    let named = ground.unmapped.iter().filter(|(_, u)| u.user == STAFF).map(|(login, _)| login);
    let operators: BTreeSet<&str> = named.chain(&ground.operators).map(String::as_str).collect();
    if ground.unmapped.values().any(|u| u.user == STAFF) {
        acts.push(Act::File { path: SUDOERS.to_owned(), text: Some(sudoers(operators)), mode: SUDOERS_MODE });
    }
    if let Some(text) = without_homes(ground.semanage.as_deref().unwrap_or_default(), &ground.held) {
        acts.push(Act::File { path: SEMANAGE.to_owned(), text: Some(text), mode: READABLE });
    }
    acts.push(Act::Logins(ground.unmapped.iter().map(|(login, user)| (login.clone(), Some(user.clone()))).collect()));
    acts.extend(ground.homes.iter().cloned().map(Act::Label));
    let mut why = "service accounts get no role that a login could take".to_owned();
    if ground.unmapped.contains_key(EVERYBODY) {
        why += ", operators become sysadm_r by sudo alone, and whoever is not named gets no way there";
    }
    why += ". It counts from the next login: keep this session open and try a second one";
    let shut = (!ground.shut_out.is_empty()).then(|| {
        let names = ground.shut_out.join(", ");
        format!("whoever logs in as {names} today could not any more: name such an account with --operator, or give it no shell")
    });
    but("logins", Stage::Install, &why, acts, shut)
}

/// The configuration with this mode, where it has another one.
fn configured(ground: &Ground, mode: &str) -> Option<Act> {
    let before = ground.config.clone().unwrap_or_else(|| "SELINUX=disabled\nSELINUXTYPE=default\n".to_owned());
    let line = format!("SELINUX={mode}");
    if ground.config.is_some() && before.lines().any(|l| l.trim() == line) {
        return None;
    }
    let mut text: String =
        before.lines().map(|l| if l.trim_start().starts_with("SELINUX=") { format!("{line}\n") } else { format!("{l}\n") }).collect();
    if !text.lines().any(|l| l == line) {
        text = format!("{text}{line}\n");
    }
    Some(Act::File { path: CONFIG.to_owned(), text: Some(text), mode: READABLE })
}

fn step(name: &'static str, stage: Stage, why: &str, acts: Vec<Act>) -> Next {
    but(name, stage, why, acts, None)
}

fn but(name: &'static str, stage: Stage, why: &str, acts: Vec<Act>, against: Option<String>) -> Next {
    Next::Step(Step { name, stage, why: why.to_owned(), acts, interrupts: false, against })
}

/// Ports the site's modules would label, and that this machine's own settings (`semanage port -l -C`) label otherwise: `semodule`
/// would refuse the whole transaction.
#[must_use]
pub fn ports_taken(plan: &super::SelinuxPlan, listing: &str) -> Vec<String> {
    let mut out = Vec::new();
    for line in listing.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(proto)) = (words.next(), words.next()) else { continue };
        for port in words.flat_map(|w| w.split(',')).filter_map(|w| w.trim().parse::<words::PortRange>().ok()) {
            let ours = plan.ports.iter().flat_map(|p| p.ports.iter().map(move |(q, range)| (p, q, range)));
            for (p, q, range) in ours.filter(|(_, q, r)| q.to_string() == proto && r.first() <= port.last() && port.first() <= r.last()) {
                let why = format!(
                    "{range}/{q} is {name} by a setting of this machine, and {} by the site: semanage port -d -p {q} {port}",
                    p.name
                );
                out.push(why);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selinux::login::SeUser;

    fn wanted() -> BTreeSet<String> {
        ["ravelin", "ravelin_lotus", "ravelin_lotus_observe"].map(str::to_owned).into()
    }

    /// Does what a step says, as the machine would show it afterwards.
    fn done(mut g: Ground, step: &Step) -> Ground {
        for act in &step.acts {
            match act {
                Act::Packages(p) => g.installed.extend(p.clone()),
                Act::File { path, text, .. } if path == CONFIG => g.config.clone_from(text),
                Act::File { path, .. } if path == SUDOERS => {}
                Act::Logins(l) => g.unmapped.retain(|login, _| !l.contains_key(login)),
                Act::File { .. } => g.boot_line = true,
                Act::Load(m) => g.modules.extend(m.clone()),
                Act::Unload(m) => g.modules.retain(|x| !m.contains(x)),
                Act::Label(place) => g.unlabelled.retain(|p| p != place),
                Act::Enforce(on) => g.enforcing = *on,
                Act::Menu | Act::Directory(_) | Act::NoDirectory(_) => {}
            }
        }
        if step.stage == Stage::Reboot {
            g.active = vec!["capability".to_owned(), "selinux".to_owned()];
        }
        g
    }

    fn user(name: &str) -> SeUser {
        SeUser { user: name.into(), range: "s0".into() }
    }

    fn plain() -> Ground {
        Ground {
            active: vec!["apparmor".to_owned()],
            apparmor: ["/usr/sbin/chronyd".to_owned()].into(),
            grub: true,
            unlabelled: vec!["/usr".into(), "/var".into()],
            unmapped: ["ada", "fc-lotus"].map(|l| (l.to_owned(), user(if l == "ada" { STAFF } else { "system_u" }))).into(),
            homes: ["/home/ada".to_owned()].into(),
            semanage: Some("module-store = direct\n".into()),
            held: ["/var/lib/lotus".to_owned()].into(),
            operators: ["bob".to_owned()].into(),
            ..Ground::default()
        }
    }

    #[test]
    fn a_plain_debian_arrives_by_the_verbs_in_their_order() {
        let mut ground = plain();
        let (mut names, mut stages) = (Vec::new(), Vec::new());
        while let Next::Step(step) = next(&ground, &wanted()) {
            assert!(!names.contains(&step.name), "{} comes twice", step.name);
            assert!(!step.acts.is_empty() || step.stage == Stage::Reboot, "{step:?}");
            names.push(step.name);
            stages.push(step.stage);
            ground = done(ground, &step);
        }
        assert_eq!(next(&ground, &wanted()), Next::Arrived);
        assert_eq!(names, ["packages", "boot-parameter", "reboot", "modules", "logins", "labels", "permissive", "enforce"]);
        assert!(stages.is_sorted(), "{stages:?}");
        assert!(ground.permissive().is_empty() && ground.enforcing && ground.enforcing_at_boot());
    }

    #[test]
    fn operators_get_their_role_before_they_are_mapped() {
        let g = Ground { active: vec!["selinux".to_owned()], installed: PACKAGES.map(str::to_owned).into(), modules: wanted(), ..plain() };
        let Next::Step(step) = next(&g, &wanted()) else { panic!("a step") };
        let [Act::File { path, text: Some(text), mode: SUDOERS_MODE }, settings, Act::Logins(l), Act::Label(home)] = &step.acts[..] else {
            panic!("{step:?}")
        };
        let left_out = "module-store = direct\nignoredirs=/var/lib/lotus\n".to_owned();
        assert_eq!(settings, &Act::File { path: SEMANAGE.into(), text: Some(left_out), mode: READABLE }, "before anybody is mapped");
        assert_eq!((path.as_str(), l.len(), home.as_str(), step.against), (SUDOERS, 2, "/home/ada", None));
        assert!(
            text.contains("Defaults:ada role=sysadm_r") && text.contains("Defaults:bob role=sysadm_r") && !text.contains("fc-lotus"),
            "{text}"
        );
        let shut = Ground { shut_out: vec!["fc-lotus".to_owned()], ..g };
        assert!(matches!(next(&shut, &wanted()), Next::Step(Step { against: Some(a), .. }) if a.contains("fc-lotus")));
    }

    #[test]
    fn what_speaks_against_enforcing_comes_with_the_step() {
        let mut g = Ground { active: vec!["selinux".to_owned()], installed: PACKAGES.map(str::to_owned).into(), ..Ground::default() };
        (g.modules, g.system_waits) = (wanted(), Some("sshd_t".into()));
        assert!(matches!(next(&g, &wanted()), Next::Step(s) if s.stage == Stage::Permissive && s.against.as_deref() == Some("sshd_t")));
        (g.enforcing, g.domains_wait) = (true, Some("not clean".into()));
        assert!(matches!(next(&g, &wanted()), Next::Step(s) if s.stage == Stage::Enforce && s.against.as_deref() == Some("not clean")));
        // A new service's module comes permissive, while the others stay enforced.
        g.modules = ["ravelin", "ravelin_old"].map(str::to_owned).into();
        let acts = |g: &Ground| match next(g, &wanted()) {
            Next::Step(s) => s.acts,
            other => panic!("{other:?}"),
        };
        assert_eq!(acts(&g), [Act::Load(["ravelin_lotus", "ravelin_lotus_observe"].map(str::to_owned).into())]);
    }

    #[test]
    fn the_configuration_changes_in_its_one_line() {
        let g = Ground { config: Some("# SELINUX= can be\nSELINUX=disabled\nSELINUXTYPE=default\n".into()), ..Ground::default() };
        let Some(Act::File { text: Some(text), .. }) = configured(&g, "permissive") else { panic!("a file") };
        assert_eq!(text, "# SELINUX= can be\nSELINUX=permissive\nSELINUXTYPE=default\n");
        assert_eq!(configured(&Ground { config: Some(text), ..Ground::default() }, "permissive"), None);
        let odd = Ground { config: Some("SELINUXTYPE=default".into()), ..Ground::default() };
        assert!(
            matches!(configured(&odd, "enforcing"), Some(Act::File { text: Some(t), .. }) if t == "SELINUXTYPE=default\nSELINUX=enforcing\n")
        );
    }

    #[test]
    fn a_kernel_without_selinux_is_told_what_carries_instead() {
        let g = Ground { built_in: Some(false), ..Ground::default() };
        assert!(matches!(next(&g, &wanted()), Next::Blocked(why) if why.contains("sandbox")));
    }

    #[test]
    fn a_port_the_machine_labels_otherwise_is_named_before() {
        let port = super::super::PortPlan {
            name: "ravelin_lotus_api_port_t".into(),
            ports: [(words::Proto::Tcp, "1234".parse().expect("port"))].into(),
            stands_for: BTreeSet::new(),
        };
        let plan = super::super::SelinuxPlan {
            mode: site::model::Mode::Enforce,
            domains: vec![],
            shared: vec![],
            ports: vec![port],
            mounts: vec![],
            logins: vec![],
            notes: vec![],
        };
        let listing = "SELinux Port Type              Proto    Port Number\n\nmine_port_t                    tcp      80, 1230-1240\nother_t udp 1234\n";
        let found = ports_taken(&plan, listing);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("mine_port_t") && found[0].contains("semanage port -d -p tcp 1230-1240"), "{found:?}");
        assert!(ports_taken(&plan, "").is_empty());
    }
}
