//! A plan as plain files, for those who deploy by other means. In come model and plan, out come paths and bytes. Never:
//! touches a disk, or writes what the applier would not.
//!
//! ```text
//! plan.json                      digest, machines, notes
//! MACHINE/ravelin.nft            one atomic script
//! MACHINE/ufw/...               where UFW filters: Ravelin's entries of user.rules and user6.rules, application profiles
//! MACHINE/break-glass.nft        the management path alone
//! MACHINE/90-ravelin.conf        sysctl.d
//! MACHINE/addresses.ip           an edge node's virtual and translated addresses, for `ip -batch`
//! MACHINE/pair/etc/...           a redundant pair's keepalived and conntrackd, with the drop-ins of their units
//! MACHINE/rules.json             why each id is there
//! MACHINE/system/etc/...         accounts, modes, units and drop-ins; MACHINE/proposed/etc/... while the layer observes
//! MACHINE/selinux/*.cil          modules for `semodule -i`
//! flows.csv flows.json           what any other firewall must let pass
//! aerleon/def/ravelin.yaml aerleon/policies/ravelin.yaml
//! ```

use crate::{accounts, address, flows, nft, pair, selinux, sysctl, systemd, ufw};
use plan::{Devices, Plan, TABLE, system::SystemPlan};
use ruleset::TableFamily;
use site::model::{Mode, Model};
use std::collections::BTreeMap;

/// Every file of a plan, by its path.
pub fn files(model: &Model, plan: &Plan, devices: &Devices) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut put = |path: String, text: String| drop(out.insert(path, text.into_bytes()));
    let summary = serde_json::json!({
        "site": plan.site,
        "digest": plan.digest,
        "machines": plan.machines.iter().map(|(h, m)| (h.to_string(), serde_json::json!({
            "role": m.role, "mode": m.mode, "devices": m.devices,
        }))).collect::<serde_json::Map<_, _>>(),
        "notes": plan.notes,
    });
    put("plan.json".to_owned(), pretty(&summary));
    for (host, machine) in &plan.machines {
        put(format!("{host}/ravelin.nft"), nft::script(&machine.ruleset, TableFamily::Inet, TABLE));
        for family in words::Family::ALL {
            if let Some(ufw) = &machine.ufw {
                put(format!("{host}/ufw/{}", ufw::file_name(family)), ufw::block(ufw, family));
            }
        }
        for (name, text) in machine.ufw.iter().flat_map(ufw::profiles) {
            put(format!("{host}/ufw/applications.d/{name}"), text);
        }
        put(format!("{host}/90-ravelin.conf"), sysctl::file(&machine.sysctls));
        if !machine.wanted_addresses().is_empty() {
            put(format!("{host}/addresses.ip"), address::file(machine.wanted_addresses()));
        }
        for f in pair::files(machine) {
            let dir = if machine.pair.as_ref().is_some_and(|p| p.proposed) { "proposed" } else { "pair" };
            put(format!("{host}/{dir}{}", f.path), f.content);
        }
        put(format!("{host}/rules.json"), pretty(&serde_json::to_value(&machine.rules).unwrap_or_default()));
        let system_mode = machine.system.as_ref().map_or(Mode::Off, |s| s.mode);
        for (path, text) in machine.system.iter().flat_map(system_files) {
            // Files of this layer are in force as soon as they are in place: while observing they are a proposal.
            let dir = if system_mode == Mode::Enforce { "system" } else { "proposed" };
            put(format!("{host}/{dir}/{path}"), text);
        }
        for (name, text) in machine.selinux.iter().flat_map(selinux::modules) {
            put(format!("{host}/selinux/{name}.cil"), text);
        }
        if let Some(glass) = plan::break_glass(model, devices, host) {
            put(format!("{host}/break-glass.nft"), nft::script(&glass, TableFamily::Inet, TABLE));
        }
    }
    let rows = flows::rows(model);
    put("flows.csv".to_owned(), flows::csv::text(&rows));
    put("flows.json".to_owned(), flows::json::text(&rows));
    put("aerleon/def/ravelin.yaml".to_owned(), flows::aerleon::definitions(model, &rows));
    put("aerleon/policies/ravelin.yaml".to_owned(), flows::aerleon::policy(model, &rows));
    out
}

/// What the system layer puts on a machine, by path below `/`.
pub fn system_files(system: &SystemPlan) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    if system.units.is_empty() && system.accounts.is_empty() {
        return out;
    }
    out.insert("etc/sysusers.d/ravelin.conf".to_owned(), accounts::sysusers(system));
    out.insert("etc/tmpfiles.d/ravelin.conf".to_owned(), accounts::tmpfiles(system));
    out.extend(systemd::files(system).into_iter().map(|(path, text)| (format!("etc/systemd/system/{path}"), text)));
    out
}

fn pretty(json: &serde_json::Value) -> String {
    let mut out = serde_json::to_string_pretty(json).unwrap_or_default();
    out.push('\n');
    out
}
