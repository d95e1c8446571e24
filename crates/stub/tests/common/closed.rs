//! Units with every need closed. In comes a service, out come the lines that close what its needs opened, and what must then
//! fail: a need whose action works without it is none.

use super::Service;

/// Needs, with the beginning of the action that stands for each.
const ACTIONS: [(&str, &str); 7] = [
    ("jit", "compile code and run it"),
    ("jit", "memory that is writable and executable"),
    ("meminfo", "read /proc/meminfo"),
    ("netlink", "list interfaces"),
    ("core-pinning", "pin threads"),
    ("shell", "a shell"),
    ("exec", "move a sector"),
];

/// Drop-in that closes them again.
pub fn drop_in(service: &Service) -> String {
    format!(
        "[Service]\nMemoryDenyWriteExecute=yes\nProcSubset=pid\nBindPaths=\nRestrictAddressFamilies=\n\
         RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\nSystemCallFilter=~@resources @chown memfd_create\n\
         ExecPaths=\nExecPaths={} -/usr/lib -/lib -/lib64\n",
        service.program
    )
}

/// Beginnings of actions that must fail now.
pub fn must_fail(service: &Service) -> Vec<&'static str> {
    let has = |need: &str| service.profile.need(need).is_some_and(|n| need != "exec" || n.paths.iter().any(|p| p.ends_with("/mv")));
    ACTIONS.iter().filter(|(need, _)| has(need)).map(|(_, action)| *action).collect()
}
