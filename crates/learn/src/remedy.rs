//! Which entry of the catalogue or of the site file would allow what a domain was denied. In comes a denial, out comes the entry with
//! its reason to be, or that none would: what no entry can allow is what the policy's assertions forbid. Never: proposes a rule.

use crate::denial::{Access, OURS};
use catalog::Need;
use serde::Serialize;
use std::collections::BTreeMap;

/// The way out of a denial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// A need of the service: in its entry, or `needs` of the instance.
    Need {
        /// Whose.
        service: String,
        /// Which, by its word.
        need: &'static str,
    },
    /// The port, as an endpoint or a peer.
    Port {
        /// Whose.
        service: String,
        /// What it would say.
        says: String,
    },
    /// The path, as something of the service's own.
    Path {
        /// Whose.
        service: String,
        /// What it would say.
        says: String,
    },
    /// A file below the service's places carries another label than the policy has for it.
    Label(String),
    /// No entry allows this.
    Nothing(String),
    /// It is not one of Ravelin's domains.
    NotOurs,
}

impl Remedy {
    /// In words.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Need { service, need } => {
                format!("`[[need]] what = \"{need}\"` in {service}'s entry, or `needs = [\"{need}\"]` where it runs")
            }
            Self::Port { service, says } | Self::Path { service, says } => format!("{service}: {says}"),
            Self::Label(says) => says.clone(),
            Self::Nothing(why) => format!("no entry allows this: {why}"),
            Self::NotOurs => "a domain of the base policy: not Ravelin's to allow".to_owned(),
        }
    }
}

/// The way out of this denial. `services` holds the service of each domain, tool domains included.
#[must_use]
pub fn of(access: &Access, path: Option<&str>, services: &BTreeMap<String, String>) -> Remedy {
    let Some(service) = services.get(&access.source).cloned() else {
        return if access.source.starts_with(OURS) {
            Remedy::Nothing("the domain is of no service of this site: its module is left over".to_owned())
        } else {
            Remedy::NotOurs
        };
    };
    if let Some(need) = need(access) {
        return Remedy::Need { service, need: need.word() };
    }
    let port = access.port.map_or_else(|| format!("a port of type {}", access.target), |p| format!("port {p}"));
    if access.permissions.contains("name_bind") {
        return Remedy::Port { service, says: format!("{port} as an endpoint (`ports = {{ ... }}` where it runs)") };
    }
    if access.permissions.contains("name_connect") {
        return Remedy::Port {
            service,
            says: format!("{port} as a peer (`uses` where it runs, `[external]` or `[[allow]]` for a place outside)"),
        };
    }
    file(access, path, service)
}

/// The need that opens this, by what each opens in `ravelin.cil`.
fn need(access: &Access) -> Option<Need> {
    let has = |p: &str| access.permissions.contains(p);
    Some(match (access.class.as_str(), access.target.as_str()) {
        ("process", _) if has("execmem") => Need::Jit,
        ("process", _) if has("setsched") => Need::CorePinning,
        ("chr_file", "xserver_misc_device_t" | "dri_device_t") => Need::Gpu,
        ("chr_file", "vfio_device_t") => Need::Vfio,
        ("file" | "dir", "hugetlbfs_t") => Need::Hugepages,
        ("file", "proc_t") => Need::Meminfo,
        ("netlink_route_socket", _) if !has("nlmsg_write") => Need::Netlink,
        ("capability", _) if has("net_bind_service") => Need::LowPort,
        ("capability", _) if has("net_raw") => Need::RawSocket,
        ("capability", _) if has("ipc_lock") => Need::Memlock,
        ("capability", _) if has("chown") => Need::Chown,
        ("rawip_socket" | "packet_socket", _) => Need::RawSocket,
        ("file", "shell_exec_t") => Need::Shell,
        ("file", "bin_t") if has("execute") || has("execute_no_trans") => Need::Exec,
        ("dir", "home_root_t" | "user_home_dir_t") => Need::Home,
        ("shm" | "sem", _) => Need::SharedIpc,
        _ => return None,
    })
}

fn file(access: &Access, path: Option<&str>, service: String) -> Remedy {
    let (class, target) = (access.class.as_str(), access.target.as_str());
    let place = path.unwrap_or("the path");
    let is_file = class == "dir" || class.ends_with("file");
    if is_file && ["unlabeled_t", "default_t", "file_t"].contains(&target) {
        return Remedy::Label(format!(
            "{place} has no label of the policy's: `ravelin selinux install` labels places the site names, else name it as a store"
        ));
    }
    if is_file && target.starts_with(OURS) {
        let own = access.source.trim_end_matches("_t").trim_end_matches("_tool");
        if target.starts_with(&format!("{own}_")) {
            return Remedy::Nothing(
                "its own file, in a way it does not declare; a file made before its module has the wrong label: `ravelin selinux install`"
                    .into(),
            );
        }
        return Remedy::Nothing(format!("{target} is another service's; if both share a store, name it as `stores` of both"));
    }
    if is_file && ["var_t", "var_lib_t", "mnt_t", "usr_t", "etc_t", "var_log_t", "tmp_t", "var_run_t"].contains(&target) {
        let says = format!("{place} as `repo` or one of `stores` where it runs, or as a path of its catalogue entry");
        return Remedy::Path { service, says };
    }
    let what = access.permissions.iter().cloned().collect::<Vec<_>>().join(" ");
    Remedy::Nothing(format!("{what} on {class} {target} is nothing the software is known to do; look who made the process do it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(class: &str, target: &str, permissions: &[&str], port: Option<u16>) -> Access {
        let permissions = permissions.iter().map(|p| (*p).to_owned()).collect();
        Access { source: "ravelin_lotus_t".into(), target: target.into(), class: class.into(), permissions, port }
    }

    fn said(class: &str, target: &str, permissions: &[&str], port: Option<u16>) -> String {
        let services = BTreeMap::from([("ravelin_lotus_t".to_owned(), "lotus".to_owned())]);
        of(&access(class, target, permissions, port), Some("/data/x"), &services).text()
    }

    #[test]
    fn each_denial_names_its_entry() {
        for (class, target, permission, port, words) in [
            ("process", "ravelin_lotus_t", "execmem", None, "`[[need]] what = \"jit\"` in lotus's entry"),
            ("chr_file", "dri_device_t", "open", None, "\"gpu\""),
            ("file", "proc_t", "read", None, "\"meminfo\""),
            ("netlink_route_socket", "ravelin_lotus_t", "create", None, "\"netlink\""),
            ("file", "shell_exec_t", "execute", None, "\"shell\""),
            ("tcp_socket", "http_port_t", "name_bind", Some(443), "lotus: port 443 as an endpoint"),
            ("tcp_socket", "http_cache_port_t", "name_connect", Some(8080), "port 8080 as a peer"),
            ("file", "var_lib_t", "write", None, "/data/x as `repo` or one of `stores`"),
            ("file", "unlabeled_t", "read", None, "has no label"),
        ] {
            let text = said(class, target, &[permission], port);
            assert!(text.contains(words), "{class} {target} {permission}: {text}");
        }
    }

    #[test]
    fn what_the_assertions_forbid_has_no_entry() {
        for (class, target, permission) in [
            ("file", "shadow_t", "read"),
            ("file", "ravelin_boostd_keystore_t", "read"),
            ("capability", "ravelin_lotus_t", "sys_admin"),
            ("netlink_route_socket", "ravelin_lotus_t", "nlmsg_write"),
            ("system", "kernel_t", "module_request"),
            ("process", "init_t", "ptrace"),
        ] {
            assert!(said(class, target, &[permission], None).starts_with("no entry allows this"), "{class} {target} {permission}");
        }
        let nobody = BTreeMap::new();
        assert!(matches!(of(&access("file", "proc_t", &["read"], None), None, &nobody), Remedy::Nothing(_)));
        let base = Access { source: "sshd_t".into(), ..access("file", "proc_t", &["read"], None) };
        assert_eq!(of(&base, None, &nobody), Remedy::NotOurs);
    }
}
