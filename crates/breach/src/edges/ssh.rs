//! SSH: whose keys an account can add to. In come homes, out come triggers. sshd refuses loose files unless StrictModes is off, so
//! that only files and directories that the account owns are certain; here the way through a group is uncertain.

use super::Trigger;
use crate::{graph::Evidence, machine::Machine, technique::Technique};

pub(super) fn triggers(m: &Machine, out: &mut Vec<Trigger>) {
    let strict = !m.facts.files.iter().filter(|f| f.path.starts_with("/etc/ssh/sshd_config")).any(|f| {
        crate::machine::lines(f).any(|(_, l)| {
            let mut words = l.split_whitespace();
            words.next().is_some_and(|w| w.eq_ignore_ascii_case("StrictModes"))
                && words.next().is_some_and(|w| w.eq_ignore_ascii_case("no"))
        })
    });
    for account in m.facts.accounts.iter().filter(|a| a.has_login_shell() && a.home.len() > 1) {
        for name in [".ssh/authorized_keys", ".ssh/authorized_keys2"] {
            let path = format!("{}/{name}", account.home.trim_end_matches('/'));
            if m.paths.get(&path).is_none() {
                continue;
            }
            let how = if strict { "sshd checks modes and owners (StrictModes)" } else { "StrictModes no" };
            let evidence = Evidence::new(format!("its keys log in as {}; {how}", account.name)).at(&path, 0);
            out.push(Trigger { certain: !strict, ..Trigger::new(path, m.runner(account.uid), Technique::SshKeys, evidence) });
        }
    }
}
