//! The rules: files by topic, and one file each where a rule is a matter of its own. A rule sees the [`View`] and says what it saw; its words stand in [`RULE`](Rule).
//! In come relations between facts, out come [`Seen`]s. Never: looks at the machine, counts what was not read as absent.

use crate::{
    finding::{Risk, Seen},
    view::View,
};
use facts::Source;
use words::Code;

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Stable code.
    pub code: Code,
    /// In a few words.
    pub title: &'static str,
    /// What is usually at stake.
    pub risk: Risk,
    /// Sources without which the rule cannot pass.
    pub needs: &'static [Source],
    /// What an attacker, or bad luck, makes of it.
    pub means: &'static str,
    /// What to do in general.
    pub fix: &'static str,
    /// Its number in a public benchmark, where one has it.
    pub reference: Option<&'static str>,
    /// What is wrong here.
    pub check: fn(&View) -> Vec<Seen>,
}

pub mod account;
pub mod aud001_daemon_as_root;
pub mod aud002_private_port_on_every_address;
pub mod aud003_key_file_mode;
pub mod aud004_token_file_mode;
pub mod aud005_config_with_secrets;
pub mod aud006_service_account_can_be_root;
pub mod aud007_nopasswd_all;
pub mod aud008_port_mapping;
pub mod aud009_random_libp2p_port;
pub mod aud010_shared_environment_file;
pub mod aud011_published_past_ufw;
pub mod aud012_service_account_shell;
pub mod aud013_private_tmp_parameters;
pub mod aud014_tunnel;
pub mod aud015_profiling_exposed;
pub mod aud016_start_limit_misplaced;
pub mod aud017_no_sandbox;
pub mod aud018_control_surface_without_login;
pub mod aud019_default_password;
pub mod aud020_forwarding;
pub mod aud021_reverse_path;
pub mod aud022_redirects;
pub mod aud023_no_filter;
pub mod aud024_root_container;
pub mod aud025_ssh_passwords;
pub mod aud026_secret_in_arguments;
pub mod aud027_clock;
pub mod aud028_deleted_wallet_key;
pub mod aud029_sandbox_that_breaks;
pub mod aud030_v6_wider_than_v4;
pub mod aud070_reads_others_secrets;
pub mod aud071_sudoers_does_not_read;
pub mod authority;
pub mod backup;
pub mod boot;
pub mod container;
pub mod database;
pub mod filecoin;
pub mod hardware;
pub mod kernel;
pub mod log;
pub mod monitoring;
pub mod mount;
pub mod network;
pub mod package;
pub mod ssh;
pub mod trace;
pub mod unit;

/// Every rule, by code.
pub const RULES: &[Rule] = &[
    aud001_daemon_as_root::RULE,
    aud002_private_port_on_every_address::RULE,
    aud003_key_file_mode::RULE,
    aud004_token_file_mode::RULE,
    aud005_config_with_secrets::RULE,
    aud006_service_account_can_be_root::RULE,
    aud007_nopasswd_all::RULE,
    aud008_port_mapping::RULE,
    aud009_random_libp2p_port::RULE,
    aud010_shared_environment_file::RULE,
    aud011_published_past_ufw::RULE,
    aud012_service_account_shell::RULE,
    aud013_private_tmp_parameters::RULE,
    aud014_tunnel::RULE,
    aud015_profiling_exposed::RULE,
    aud016_start_limit_misplaced::RULE,
    aud017_no_sandbox::RULE,
    aud018_control_surface_without_login::RULE,
    aud019_default_password::RULE,
    aud020_forwarding::RULE,
    aud021_reverse_path::RULE,
    aud022_redirects::RULE,
    aud023_no_filter::RULE,
    aud024_root_container::RULE,
    aud025_ssh_passwords::RULE,
    aud026_secret_in_arguments::RULE,
    aud027_clock::RULE,
    aud028_deleted_wallet_key::RULE,
    aud029_sandbox_that_breaks::RULE,
    aud030_v6_wider_than_v4::RULE,
    ssh::X11,
    ssh::AGENT,
    ssh::TUNNELS,
    ssh::TRIES,
    ssh::EMPTY,
    ssh::ANYONE,
    ssh::OLD,
    ssh::SERVICE_KEYS,
    ssh::TRUST,
    account::EMPTY,
    account::SECOND_ROOT,
    account::SYSTEM_LOGIN,
    account::AGE,
    account::HASH,
    account::HOME,
    account::SAME,
    authority::SUDO_ASKS_NOBODY,
    authority::SUDO_REMEMBERS,
    authority::SU,
    authority::PAM_OPEN,
    authority::LOCKOUT,
    authority::POLKIT,
    authority::CRON,
    kernel::ADDRESSES,
    kernel::MESSAGES,
    kernel::PTRACE,
    kernel::BPF,
    kernel::FAULTS,
    kernel::KEXEC,
    kernel::MODULES,
    kernel::SUID_DUMPS,
    kernel::CORES,
    kernel::LINKS,
    kernel::LAYOUT,
    kernel::PERF,
    kernel::COOKIES,
    kernel::NAMESPACES,
    boot::MITIGATIONS,
    boot::MODULE_OFF,
    aud070_reads_others_secrets::RULE,
    aud071_sudoers_does_not_read::RULE,
    boot::SHELL,
    boot::UNCONFINED,
    mount::SHARED,
    mount::STORE,
    mount::EXPORT_ROOT,
    mount::EXPORT_WORLD,
    mount::SWAP,
    mount::KEY_DISK,
    unit::SECRET,
    unit::ROOT_LISTENS,
    unit::NO_RESTART,
    container::ENGINE_NETWORK,
    container::ENGINE_SOCKET,
    container::HOST_FILES,
    container::FLOATING,
    container::MAY_GAIN,
    network::REGISTRY,
    network::DATA_STORE,
    network::CLEAR,
    network::DESKTOP,
    network::TARGET,
    network::EXPOSED,
    monitoring::GRAFANA,
    monitoring::PROMETHEUS,
    database::TRUST,
    database::YUGABYTE,
    database::CLEAR,
    filecoin::SIGNER,
    filecoin::API_CLEAR,
    filecoin::ANNOUNCE,
    trace::TYPED,
    trace::EXPORTED,
    trace::LYING,
    log::VOLATILE,
    log::STAYS,
    log::NO_AUDITD,
    log::UNWATCHED,
    package::PENDING,
    package::STALE,
    package::BY_HAND,
    package::ENDED,
    package::UNSIGNED,
    package::IN_THE_CLEAR,
    package::RESTART,
    hardware::CONTROLLER,
    hardware::GPU_HELPER,
    hardware::HUGE_PAGES,
    backup::NONE,
    backup::OLD,
    backup::READABLE,
    backup::ONLY_HERE,
    backup::UNTESTED,
    unit::UNREAD,
];

/// What every rule uses.
pub(crate) mod prelude {
    pub(crate) use super::{Rule, directive, falsehood, how_to_set, owner, truth};
    pub(crate) use crate::{
        finding::{Risk, Seen},
        view::{Reach, Running, View, place},
    };
    pub(crate) use facts::Source;
    pub(crate) use words::Code;
    /// Permission bits of group and others.
    pub(crate) const OTHERS: u32 = 0o077;
}

/// systemd's words for yes.
pub(crate) fn truth(value: &str) -> bool {
    ["yes", "true", "on", "1"].contains(&value)
}

/// systemd's words for no.
pub(crate) fn falsehood(value: &str) -> bool {
    ["no", "false", "off", "0"].contains(&value)
}

/// The last line of a unit with this key.
pub(crate) fn directive<'a>(unit: &'a facts::Unit, section: &str, key: &str) -> Option<&'a facts::Directive> {
    unit.directives.iter().rev().find(|d| d.section == section && d.key == key)
}

pub(crate) fn owner(file: &facts::File) -> String {
    let user = file.owner.clone().unwrap_or_else(|| file.uid.to_string());
    let group = file.group.clone().unwrap_or_else(|| file.gid.to_string());
    format!("{user}:{group}")
}

/// A catalogue setting as advice.
pub(crate) fn how_to_set(s: &catalog::Setting) -> String {
    let ways = [(&s.env, "environment"), (&s.config, "configuration"), (&s.flag, "flag")];
    let ways: Vec<String> = ways.iter().filter_map(|(w, kind)| Some(format!("{} ({kind})", w.as_ref()?))).collect();
    format!("{} = {}: {}", ways.join(" or "), s.value, s.why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_ascending_and_unique() {
        assert!(RULES.windows(2).all(|w| w[0].code < w[1].code));
    }

    #[test]
    fn every_rule_has_its_page_and_every_page_its_rule() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/audit");
        for r in RULES {
            let page = std::fs::read_to_string(format!("{dir}/{}.md", r.code)).unwrap_or_default();
            assert!(page.starts_with(&format!("# {}: {}\n", r.code, r.title)), "docs/audit/{}.md", r.code);
            let case = format!("{}/cases/{}/expected.txt", env!("CARGO_MANIFEST_DIR"), r.code);
            let expected = std::fs::read_to_string(case).expect("expected.txt");
            let example = expected.split("\n\n").next().unwrap_or_default();
            if let Some(reference) = r.reference {
                assert!(page.contains(&format!("**Reference**: {reference}.")), "docs/audit/{}.md lacks {reference}", r.code);
            }
            assert!(page.contains(&format!("```\n{example}\n```")), "docs/audit/{}.md shows another example than its case", r.code);
        }
        let pages = std::fs::read_dir(dir)
            .expect("docs/audit")
            .filter(|e| e.as_ref().is_ok_and(|e| e.file_name().to_string_lossy().starts_with("AUD")));
        assert_eq!(pages.count(), RULES.len());
        let index = std::fs::read_to_string(format!("{dir}/README.md")).expect("README.md");
        for r in RULES {
            let row = format!("| [{0}]({0}.md) | {1} | {2} |", r.code, r.title, r.risk.word());
            assert!(index.contains(&row), "docs/audit/README.md lacks {row}");
        }
    }
}
