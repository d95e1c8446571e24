//! polkit: rules in JavaScript are recognised by their common shapes and otherwise unknown; local authority files and the
//! defaults of actions are read in full. In come texts, out come edges. Only where polkit is installed.

use super::edge;
use crate::{
    graph::{Edge, Evidence, Node},
    machine::{Machine, lines},
    technique::Technique,
};
use facts::Account;

/// Actions that amount to uid 0.
const ROOT_ACTIONS: [&str; 8] = [
    "org.freedesktop.policykit.exec",
    "org.freedesktop.systemd1.manage-units",
    "org.freedesktop.systemd1.manage-unit-files",
    "org.freedesktop.systemd1.reload-daemon",
    "org.freedesktop.packagekit.package-install",
    "org.freedesktop.accounts.user-administration",
    "org.freedesktop.machine1.shell",
    "org.freedesktop.udisks2.filesystem-mount-system",
];

/// Where the operator's rules lie.
pub(crate) const RULES: &str = "/etc/polkit-1/rules.d/";
/// Directories of rules. polkit sorts their files by name, whatever the directory, and the first rule that decides ends it.
const DIRECTORIES: [&str; 3] = [RULES, "/usr/share/polkit-1/rules.d/", "/run/polkit-1/rules.d/"];

/// A rule of ours that says no to an account, whatever it asks.
pub(crate) fn refusal(account: &str) -> String {
    format!(
        "// Written by ravelin harden: asked before every other rule.\npolkit.addRule(function(action, subject) {{\n    if (subject.user == \"{account}\") {{\n        return polkit.Result.NO;\n    }}\n}});\n"
    )
}

/// Where it lies: its name sorts before what people and packages use.
pub(crate) fn refusal_path(account: &str) -> String {
    format!("{RULES}00-ravelin-{account}.rules")
}

/// Whether this polkit reads rules: older ones know local authority files alone.
pub(crate) fn has_rules(m: &Machine) -> bool {
    m.texts(DIRECTORIES[1]).iter().any(|f| f.path.ends_with(".rules"))
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

pub(super) fn edges(m: &Machine, account: &Account, out: &mut Vec<Edge>) {
    let groups: Vec<String> = m.groups(account).into_iter().map(|g| g.0).collect();
    let own = refusal_path(&account.name);
    let refused =
        m.text(&own).is_some_and(|f| f.text.as_deref() == Some(refusal(&account.name).as_str()) && f.uid == 0 && f.mode & 0o022 == 0);
    let files = DIRECTORIES.into_iter().flat_map(|d| m.texts(d));
    for file in files.filter(|f| f.path.ends_with(".rules") && !(refused && name(&f.path) >= name(&own))) {
        let text = file.text.as_deref().unwrap_or_default();
        for (number, rule) in functions(text) {
            out.extend(rule_edge(account, &groups, &file.path, number, rule));
        }
    }
    if refused && has_rules(m) {
        return;
    }
    for file in m.texts("/etc/polkit-1/localauthority/").into_iter().chain(m.texts("/var/lib/polkit-1/localauthority/")) {
        authority(account, &groups, file, out);
    }
    for file in m.texts("/usr/share/polkit-1/actions/") {
        let text = file.text.as_deref().unwrap_or_default();
        for action in text.split("<action ").skip(1) {
            let id = action.split('"').nth(1).unwrap_or_default();
            let any = action.split("</action>").next().unwrap_or_default().split("<allow_any>").nth(1).unwrap_or_default();
            if any.trim_start().starts_with("yes") && ROOT_ACTIONS.contains(&id) {
                let evidence = Evidence::new(format!("{id}: allow_any yes")).at(&file.path, 0);
                out.push(edge(account, Node::Root, Technique::Polkit, true, vec![evidence]));
            }
        }
    }
}

/// Rules of a file: what stands from one `addRule` to the next, with its line.
fn functions(text: &str) -> Vec<(u32, &str)> {
    let starts: Vec<usize> = text.match_indices("addRule").map(|(i, _)| i).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let line = |at: usize| u32::try_from(text[..at].matches('\n').count() + 1).unwrap_or(u32::MAX);
    starts.iter().zip(ends).map(|(&s, e)| (line(s), &text[s..e])).collect()
}

fn rule_edge(account: &Account, groups: &[String], path: &str, number: u32, rule: &str) -> Option<Edge> {
    let code: String = rule.lines().map(|l| l.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    if !code.contains("Result.YES") && !code.contains("\"yes\"") && !code.contains("'yes'") {
        return None;
    }
    let named =
        |call: &str| -> Vec<String> { code.split(call).skip(1).filter_map(|r| r.split(['"', '\'']).nth(1)).map(str::to_owned).collect() };
    let (in_groups, users) = (named("isInGroup("), named("subject.user"));
    let mine = in_groups.iter().any(|g| groups.contains(g)) || users.contains(&account.name);
    let subjects = !in_groups.is_empty() || !users.is_empty();
    let negated = code.contains("!subject") || code.contains("!=");
    let unusual = ["indexOf", "match(", "spawn", "RegExp", "test("].iter().any(|w| code.contains(w));
    // Somebody else is named, in the plain shape.
    if subjects && !mine && !negated && !unusual {
        return None;
    }
    // Sessions at the console: a service has none.
    if !subjects && (code.contains("subject.local") || code.contains("subject.active")) {
        return None;
    }
    let actions = named("action.id");
    let root = ROOT_ACTIONS.iter().any(|a| code.contains(a));
    let any_action = !code.contains("action.id") && !code.contains("action.lookup");
    if !root && !any_action && !actions.is_empty() && !unusual {
        // Other actions by name: no known way to uid 0.
        return None;
    }
    let narrowed = code.contains("action.lookup");
    let certain = mine && !negated && !unusual && (root || any_action) && !narrowed;
    let first = code
        .lines()
        .map(str::trim)
        .find(|l| l.contains("isInGroup") || l.contains("subject") || l.contains("Result.YES"))
        .unwrap_or("addRule");
    let seen = if certain { first.to_owned() } else { format!("{first} (a script; not all of it is understood)") };
    Some(edge(account, Node::Root, Technique::Polkit, certain, vec![Evidence::new(seen).at(path, number)]))
}

/// `[section]` blocks of `Identity`, `Action`, `Result*`.
fn authority(account: &Account, groups: &[String], file: &facts::File, out: &mut Vec<Edge>) {
    let (mut identity, mut action, mut begin) = (String::new(), String::new(), 0);
    for (number, line) in lines(file) {
        if line.starts_with('[') {
            (identity, action, begin) = (String::new(), String::new(), number);
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        match key.trim() {
            "Identity" => identity = value.trim().to_owned(),
            "Action" => action = value.trim().to_owned(),
            "ResultAny" if value.trim() == "yes" => {
                let mine = identity.split(';').any(|i| match i.split_once(':') {
                    Some(("unix-user", u)) => u == "*" || u == account.name,
                    Some(("unix-group", g)) => g == "*" || groups.iter().any(|own| own == g),
                    _ => false,
                });
                let root = action.split(';').any(|a| {
                    let begin = a.trim_end_matches('*');
                    a.ends_with('*') && ROOT_ACTIONS.iter().any(|r| r.starts_with(begin)) || ROOT_ACTIONS.contains(&a)
                });
                if mine && root {
                    let evidence = Evidence::new(format!("Identity={identity} Action={action} ResultAny=yes")).at(&file.path, begin);
                    out.push(edge(account, Node::Root, Technique::Polkit, true, vec![evidence]));
                }
            }
            _ => {}
        }
    }
}
