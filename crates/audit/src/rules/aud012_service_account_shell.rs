//! AUD012: service accounts with a login shell, a password or SSH keys.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD012"),
    title: "a service account can be logged into",
    risk: Risk::Medium,
    needs: &[Source::Accounts],
    means: "a password or key that leaks is a session on the machine, with the wallet in its home directory",
    fix: "usermod --shell /usr/sbin/nologin ACCOUNT; passwd --lock ACCOUNT; remove its authorized_keys",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for a in view.service_accounts() {
        if a.has_login_shell() {
            let mut seen =
                Seen::new(&a.name, format!("login shell {}", a.shell)).fix(format!("usermod --shell /usr/sbin/nologin {}", a.name));
            let ways = a.password == Some(true) || a.ssh_keys.is_some_and(|n| n > 0);
            if a.password == Some(true) {
                seen = seen.and("has a password");
            }
            if let Some(n) = a.ssh_keys.filter(|n| *n > 0) {
                seen = seen.and(format!("{n} key(s) in authorized_keys"));
            }
            out.push(if ways { seen } else { seen.risk(Risk::Low) });
        }
    }
    out
}
