//! Who is asked for proving deadlines: in comes `[deadlines]`, out comes the same with hosts and instances resolved and URLs checked.

use super::{hosts::Hosts, runs::RunDraft};
use crate::{
    Asked, AskedAt, DEADLINE_TIMEOUT_SECONDS, Deadlines, code,
    cx::Cx,
    syntax::{Node, Text},
};
use catalog::{App, Role};
use deadline::{Policy, Settings, Unreachable, gate::MAX_WAIT_MINUTES, outlook::MARGIN_SECONDS};
use words::{ApiUrl, Diagnostic, Family, HostName};

/// Roles that follow the chain and answer for it.
const NODES: [Role; 2] = [Role::ChainNode, Role::Gateway];
/// Roles that know what is under way.
const JOBS: [Role; 2] = [Role::Miner, Role::ClusterNode];

/// Reads `[deadlines]`; the site's miners stand where it names none.
pub(crate) fn resolve(cx: &mut Cx<'_>, root: &Node, hosts: &Hosts, site: &[String]) -> Option<Deadlines> {
    let entry = root.entry("deadlines")?;
    let node = &entry.node;
    let nodes = asked(cx, node, "nodes", hosts, &NODES, "a chain node (lotus, forest, venus) or a gateway");
    let jobs = asked(cx, node, "jobs", hosts, &JOBS, "a miner or a Curio node");
    let miners = if node.get("miners").is_some() { super::miners(cx, Some(node)) } else { site.to_vec() };
    let origin = cx.origin(entry.key_span, "deadlines");
    if miners.is_empty() {
        let d = Diagnostic::error(code::DLN003, "deadlines are to be asked for, and no miner is named").at(entry.key_span, "");
        cx.push(d.help("name them in [site]: miners = [\"f01234\"]"));
    }
    if node.get("nodes").is_some_and(|n| n.items().is_empty()) {
        cx.error(code::DLN001, entry.key_span, "nobody is to be asked", "name a chain node: nodes = [\"daemon1\"]");
    }
    let number = |key: &str, default: u64| node.int(key).and_then(|(n, _)| u64::try_from(n).ok()).unwrap_or(default);
    let unreachable = match node.text("unreachable").map(|t| t.text).as_deref() {
        Some("wait") => Unreachable::Wait,
        Some("proceed") => Unreachable::Proceed,
        _ => Unreachable::Refuse,
    };
    let gateways = nodes.iter().all(|(_, role)| *role == Some(Role::Gateway));
    if gateways && !nodes.is_empty() {
        let what = "a gateway cannot see whether a proof has landed (it has no StateMinerPartitions): no window would ever open";
        let d = Diagnostic::warning(code::DLN004, what).at(entry.key_span, "");
        cx.push(d.help("name a full node as well: nodes = [\"daemon1\", …]"));
    }
    Some(Deadlines {
        nodes: nodes.into_iter().map(|(a, _)| a).collect(),
        jobs: jobs.into_iter().map(|(a, _)| a).collect(),
        miners,
        settings: Settings {
            margin: number("margin", MARGIN_SECONDS),
            wait_for_sealing: node.text("sealing").is_some_and(|t| t.text == "wait"),
        },
        policy: Policy { unreachable, max_wait: number("max-wait", MAX_WAIT_MINUTES) * 60 },
        timeout: number("timeout", DEADLINE_TIMEOUT_SECONDS),
        origin,
    })
}

fn asked(cx: &mut Cx<'_>, node: &Node, key: &str, hosts: &Hosts, roles: &[Role], what: &str) -> Vec<(Asked, Option<Role>)> {
    let mut out = Vec::new();
    for item in node.get(key).map(Node::items).unwrap_or_default() {
        let Some(on) = item.as_text().or_else(|| item.text("on")) else { continue };
        let token = item.text("token");
        if let Some(t) = token.as_ref().filter(|t| !t.text.starts_with('/')) {
            cx.error(code::DLN001, t.span, "a token is named by its file, with the whole path", "token = \"/etc/ravelin/lotus.token\"");
        }
        let Some((at, role)) = place(cx, &on, hosts, roles, what, token.is_some()) else { continue };
        let origin = cx.origin(item.span, item.path.clone());
        out.push((Asked { at, token: token.map(|t| t.text), origin }, role));
    }
    out
}

fn place(cx: &mut Cx<'_>, on: &Text, hosts: &Hosts, roles: &[Role], what: &str, token: bool) -> Option<(AskedAt, Option<Role>)> {
    if on.text.contains("://") {
        return url(cx, on, token).map(|u| (AskedAt::Url(u), None));
    }
    let (host, instance) = on.text.split_once('/').map_or((on.text.as_str(), None), |(h, i)| (h, Some(i)));
    let host = hosts.find(cx, &Text { text: host.to_owned(), ..on.clone() })?;
    let fits = |d: &&RunDraft| roles.contains(&d.service.role) && d.service.endpoints.iter().any(|e| e.app == App::JsonRpc);
    let all: Vec<&RunDraft> = hosts.runs.get(&host).into_iter().flatten().filter(fits).collect();
    let chosen: Vec<&&RunDraft> = all.iter().filter(|d| instance.is_none_or(|i| d.name.as_str() == i)).collect();
    match chosen[..] {
        [one] => Some((AskedAt::Instance(host, one.name.clone()), Some(one.service.role))),
        [] => {
            let d = format!("`{}` runs nothing that can be asked: {what} is", on.text);
            cx.error(code::DLN001, on.span, d, others(hosts, &fits));
            None
        }
        _ => {
            let names: Vec<String> = all.iter().map(|d| format!("{host}/{}", d.name)).collect();
            let d = format!("{host} runs several that can be asked");
            cx.error(code::NAM007, on.span, d, format!("name one: {}", crate::cx::choice(&names)));
            None
        }
    }
}

fn others(hosts: &Hosts, fits: &impl Fn(&&RunDraft) -> bool) -> String {
    let runs = |h: &&HostName| hosts.runs.get(*h).is_some_and(|all| all.iter().any(|d| fits(&d)));
    let names: Vec<&HostName> = hosts.map.keys().filter(runs).collect();
    if names.is_empty() {
        "no host of the site runs one; a URL will do: \"http://10.20.20.11:1234/rpc/v1\"".to_owned()
    } else {
        format!("there is {}", crate::cx::list(&names))
    }
}

/// A URL; a token sent over it must not be readable on the way to somewhere outside.
fn url(cx: &mut Cx<'_>, on: &Text, token: bool) -> Option<ApiUrl> {
    match on.text.parse::<ApiUrl>() {
        Ok(url) => {
            let outside = !url.is_loopback()
                && url.address().is_none_or(|a| crate::special::public(Family::of(&a), &[]).iter().any(|n| n.contains(&a)));
            if token && outside && !url.scheme().is_tls() {
                let d = Diagnostic::warning(code::DLN005, "a token sent there can be read on the way").at(on.span, "");
                cx.push(d.help("use https:// or wss://, or leave the token out: methods that read want none"));
            }
            // lotus, Forest, Venus and the gateway serve this one.
            Some(url.or_path(crate::asked::CHAIN_PATH))
        }
        Err(e) => {
            let help = "write scheme, host, port and path: \"http://10.20.20.11:1234/rpc/v1\"; a token goes into a file: { on = \"…\", token = \"/etc/…\" }";
            cx.error(code::DLN002, on.span, format!("this is no URL of an API: {e}"), help);
            None
        }
    }
}
