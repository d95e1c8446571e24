//! UFW's rule files and profiles. In come a machine's rules as UFW knows them, out comes text to the letter as UFW itself would write
//! it: what UFW reads back it writes the same. Never: writes an entry without Ravelin's mark, or one of anybody else's.

pub use bundle::ufw_file as file_name;
use ipnet::IpNet;
use plan::ufw::{UfwPlan, UfwRule, frame, grants::spell, grants::word};
use ruleset::{
    Difference, Ruleset, Table, compare,
    ufw::{self as file, Entry, MARK, text},
};
use std::{collections::BTreeMap, fmt::Write as _};
use words::Family;

/// Ravelin's entries of a family's file.
pub fn block(plan: &UfwPlan, family: Family) -> String {
    let entries: Vec<Entry> = plan.rules.iter().filter(|r| r.family == family).map(entry).collect();
    text(&entries)
}

/// Every profile's file by its name below `applications.d`.
pub fn profiles(plan: &UfwPlan) -> BTreeMap<String, String> {
    let file =
        |p: &plan::ufw::Profile| format!("[{}]\ntitle={}\ndescription=opened by Ravelin's rules\nports={}\n", p.name, p.title, p.ports);
    plan.profiles.iter().map(|p| (p.name.clone(), file(p))).collect()
}

/// A family's whole filter table for `iptables-restore`: UFW's own chains as it ships them with Ravelin's rules in them. For places
/// where UFW itself does not run.
pub fn whole(plan: &UfwPlan, family: Family) -> String {
    let mut out = frame::text(family).trim_end().trim_end_matches("COMMIT").to_owned();
    for rule in plan.rules.iter().filter(|r| r.family == family).flat_map(|r| entry(r).rules) {
        let _ = writeln!(out, "{rule}");
    }
    out += "COMMIT\n";
    out
}

/// A rule as UFW's file holds it.
pub fn entry(rule: &UfwRule) -> Entry {
    let action = if rule.allow { "allow" } else { "deny_log" };
    let proto = rule.proto.and_then(word).unwrap_or("any");
    let (dport, sport) = (spell(&rule.dport), rule.sport.map_or_else(|| "any".to_owned(), |p| p.to_string()));
    let app = rule.app.as_ref().map(|a| format!(" {a} -")).unwrap_or_default();
    let way = rule.direction.word();
    let tuple = format!("{action} {proto} {dport} {} {sport} {}{app} {way}", spell_net(&rule.dst), spell_net(&rule.src));
    let comment = format!("{MARK}{} {}", rule.id, rule.word).trim_end().to_owned();
    Entry { line: 0, tuple, comment: Some(comment), rules: lines(rule) }
}

/// The whole space is written with its length, a single address without.
fn spell_net(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

fn lines(rule: &UfwRule) -> Vec<String> {
    let asks = asks(rule);
    let (chain, logging) = (rule.chain(), rule.logging());
    if rule.allow {
        let comment = rule.app.as_ref().map(|a| format!(" -m comment --comment 'dapp_{a}'")).unwrap_or_default();
        return vec![format!("-A {chain}{asks} -j ACCEPT{comment}")];
    }
    vec![
        format!(
            "-A {logging}{asks} -m conntrack --ctstate NEW -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix \"[UFW BLOCK] \""
        ),
        format!("-A {logging}{asks} -j RETURN"),
        format!("-A {chain}{asks} -j {logging}"),
        format!("-A {chain}{asks} -j DROP"),
    ]
}

/// Matches in UFW's order.
fn asks(rule: &UfwRule) -> String {
    let ports = spell(&rule.dport);
    let several = ports.contains([',', ':']);
    let mut out = String::new();
    if let Some(p) = rule.proto.and_then(word) {
        let _ = write!(out, " -p {p}");
    }
    if several {
        let _ = write!(out, " -m multiport --dports {ports}");
    }
    if rule.dst.prefix_len() > 0 {
        let _ = write!(out, " -d {}", spell_net(&rule.dst));
    }
    if !several && !rule.dport.is_empty() {
        let _ = write!(out, " --dport {ports}");
    }
    if rule.src.prefix_len() > 0 {
        let _ = write!(out, " -s {}", spell_net(&rule.src));
    }
    if let Some(p) = rule.sport {
        let _ = write!(out, " --sport {p}");
    }
    out
}

/// A family's rule file as it will be: what the machine reported with Ravelin's entries replaced.
fn merged(found: &facts::Ufw, plan: Option<&UfwPlan>, family: Family) -> Option<Vec<Table>> {
    let there = if family == Family::V4 { &found.user_rules } else { &found.user6_rules };
    let block = plan.map(|p| block(p, family)).unwrap_or_default();
    let text = file::merge(there.as_deref()?, &block)?;
    file::read(&text, family, file_name(family)).ok()
}

/// Every filter of the machine as it will be once Ravelin's rules stand among UFW's: its chains as they are, people's rules from the
/// files. False where UFW is not loaded.
pub fn in_force(live: &mut Ruleset, found: &facts::Ufw, plan: Option<&UfwPlan>) -> bool {
    let mut whole = found.loaded;
    for family in Family::ALL {
        let loaded = if family == Family::V4 { found.loaded } else { found.loaded6 };
        if let Some(tables) = merged(found, plan, family).filter(|_| loaded) {
            whole &= file::replace_chains(live, &tables);
        }
    }
    whole
}

/// Where people's rules in the kernel differ from the files as they must be.
pub fn differences(live: &Ruleset, found: &facts::Ufw, plan: &UfwPlan) -> Vec<Difference> {
    let of = |tables| Ruleset { tables, unread: Vec::new() };
    let mut out = Vec::new();
    for family in Family::ALL {
        let Some(tables) = merged(found, Some(plan), family) else { continue };
        out.extend(compare(&of(file::people(&tables, family)), &of(file::people(&live.tables, family))));
    }
    out
}

/// The operator's own rules, with file and line.
pub fn others(found: &facts::Ufw) -> Vec<(Family, Entry)> {
    let of =
        |(family, text): (Family, &Option<String>)| text.iter().flat_map(|t| file::entries(t)).map(|e| (family, e)).collect::<Vec<_>>();
    let all = [(Family::V4, &found.user_rules), (Family::V6, &found.user6_rules)].into_iter().flat_map(of);
    all.filter(|(_, e)| e.owned().is_none()).collect()
}
