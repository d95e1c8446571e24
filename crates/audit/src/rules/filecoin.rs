//! The chain's own: a signer without login, APIs in the clear over the Internet, announced addresses that nobody reaches. In come
//! command lines and configuration of the daemons, out come doors and mistakes.

use super::prelude::*;
use site::special::is_public;
use std::{collections::BTreeSet, net::IpAddr};

/// AUD099: lotus-wallet runs with --disable-auth.
pub const SIGNER: Rule = Rule {
    code: Code("AUD099"),
    title: "the remote signer asks nobody",
    risk: Risk::Critical,
    needs: &[Source::Processes],
    means: "whoever reaches the port signs messages with every wallet in it, and exports the keys",
    fix: "start lotus-wallet without --disable-auth, and give the daemon its token",
    reference: None,
    check: signer,
};

/// AUD100: an API is used over the Internet without TLS.
pub const API_CLEAR: Rule = Rule {
    code: Code("AUD100"),
    title: "an API token crosses the Internet in the clear",
    risk: Risk::High,
    needs: &[Source::Files, Source::Units],
    means: "the token in each request is readable on the way, and tokens never expire",
    fix: "reach it over WireGuard or the internal network, or behind TLS (wss, https)",
    reference: None,
    check: api_clear,
};

/// AUD101: an announced address is a private one.
pub const ANNOUNCE: Rule = Rule {
    code: Code("AUD101"),
    title: "a private address is announced to the network",
    risk: Risk::Low,
    needs: &[Source::Files, Source::Units],
    means: "clients cannot reach the market, and everybody learns how the inside is numbered",
    fix: "AnnounceAddresses with the public address alone; NoAnnounceAddresses for the rest",
    reference: None,
    check: announce,
};

fn signer(view: &View) -> Vec<Seen> {
    let open = |a: &String| a == "--disable-auth" || a == "--disable-auth=true";
    let running = view.facts.processes.iter().filter(|p| p.comm == "lotus-wallet" && p.argv.iter().any(open));
    let units = view.facts.units.iter().flat_map(|u| u.directives.iter().filter(|d| d.key == "ExecStart").map(move |d| (u, d)));
    let units =
        units.filter(|(_, d)| d.value.contains("lotus-wallet") && d.value.split_whitespace().any(|w| w.starts_with("--disable-auth")));
    running
        .map(|p| Seen::new("lotus-wallet", format!("pid {} runs with --disable-auth", p.pid)))
        .chain(units.map(|(u, d)| Seen::new(&u.name, "ExecStart has --disable-auth").at(&d.file, d.line)))
        .collect()
}

/// Lines of configuration of every service that runs, and of units and environment files of those that do not, each once.
fn settings<'a>(view: &View<'a>) -> BTreeSet<(&'a str, u32, &'a str)> {
    let mut out: BTreeSet<(&str, u32, &str)> = view.running.iter().flat_map(|r| view.settings(r)).collect();
    for (_, unit) in &view.units {
        out.extend(unit.directives.iter().filter(|d| d.key == "Environment").map(|d| (d.file.as_str(), d.line, d.value.as_str())));
        let files: Vec<&str> = unit.environment_files().into_iter().map(|f| f.trim_start_matches('-')).collect();
        out.extend(view.lines(|p| files.contains(&p)));
    }
    out.extend(view.lines(|p| p.ends_with("/config.toml") && p.contains("/.")));
    out
}

/// Multiaddresses in a text, with the address each begins with.
fn multiaddresses(text: &str) -> Vec<(IpAddr, &str)> {
    let mut out = Vec::new();
    for (at, _) in text.match_indices("/ip4/").chain(text.match_indices("/ip6/")) {
        let rest = text.get(at..).unwrap_or_default();
        let whole = rest.split(['"', '\'', ' ', ',', ']', ';']).next().unwrap_or_default();
        if let Some(address) = whole.split('/').nth(2).and_then(|a| a.parse().ok()) {
            out.push((address, whole));
        }
    }
    out
}

/// Addresses of URLs that are not encrypted.
fn plain_urls(text: &str) -> Vec<(IpAddr, &str)> {
    let mut out = Vec::new();
    for scheme in ["http://", "ws://"] {
        for (at, _) in text.match_indices(scheme) {
            let whole = text.get(at..).unwrap_or_default().split(['"', '\'', ' ', ',', ']']).next().unwrap_or_default();
            let authority = whole.get(scheme.len()..).unwrap_or_default().split('/').next().unwrap_or_default();
            let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
            let host = if host.starts_with('[') {
                host.trim_start_matches('[').split(']').next().unwrap_or_default()
            } else {
                host.split(':').next().unwrap_or_default()
            };
            out.extend(host.parse().ok().map(|a| (a, whole)));
        }
    }
    out
}

fn api_clear(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for (file, line, text) in settings(view) {
        let upper = text.to_ascii_uppercase().replace('_', "");
        if !["APIINFO", "REMOTEBACKEND", "CHAINAPIINFO"].iter().any(|w| upper.contains(w)) {
            continue;
        }
        let clear = multiaddresses(text).into_iter().filter(|(_, w)| !w.ends_with("/https") && !w.ends_with("/wss"));
        for (address, whole) in clear.chain(plain_urls(text)).filter(|(a, _)| is_public(a)) {
            out.push(Seen::new(address.to_string(), format!("an API is used at {whole}")).at(file, line));
        }
    }
    out
}

fn announce(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for (file, line, text) in settings(view) {
        let upper = text.to_ascii_uppercase().replace('_', "");
        if !upper.contains("ANNOUNCEADDRESSES") || upper.contains("NOANNOUNCE") {
            continue;
        }
        for (address, whole) in multiaddresses(text).into_iter().filter(|(a, _)| !is_public(a)) {
            out.push(Seen::new(address.to_string(), format!("announced as {whole}")).at(file, line));
        }
    }
    out
}
