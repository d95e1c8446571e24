//! What a plan, a report or an audit does not tell: addresses become the names the site file gives them, names of key files
//! are left out. In comes text that was to be shown, out comes text that can be mailed to somebody. Never: changes anything
//! else, or touches what another program must read exactly (`render`, `apply`).

use crate::{
    args::{Format, Global},
    face::{self, Face},
    trouble::Trouble,
};
use clap::Args;
use ipnet::IpNet;
use serde_json::Value;
use site::model::Model;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Directories whose file names say which wallets there are.
const KEYSTORE: &str = "keystore/";
/// What stands for the name of a key file.
const KEY: &str = "<key>";

/// Taken by every verb that redacts.
#[derive(Debug, Clone, Copy, Args)]
pub struct Reveal {
    /// With addresses and names of key files, which are left out otherwise: the result is a map for thieves
    #[arg(long)]
    pub reveal: bool,
}

/// What stands for what.
#[derive(Debug, Default)]
pub struct Redactor {
    exact: BTreeMap<IpAddr, String>,
    /// Longest prefix first.
    nets: Vec<(IpNet, String)>,
    reveal: bool,
}

impl Redactor {
    /// For a site where there is one; without it every address of somebody's is `<address>`.
    pub fn new(model: Option<&Model>, reveal: Reveal) -> Self {
        let mut out = Self { reveal: reveal.reveal, ..Self::default() };
        let Some(model) = model else { return out };
        for host in model.hosts.values() {
            for i in &host.interfaces {
                let name = if host.interfaces.len() > 1 { format!("{}/{}", host.name, i.zone) } else { host.name.to_string() };
                out.exact.extend(i.addresses.iter().filter(|a| a.prefix_len() > 0).map(|a| (a.addr(), format!("<{name}>"))));
            }
        }
        for (zone, shared) in &model.edge.vip {
            out.exact.extend(shared.iter().map(|a| (*a, format!("<edge/{zone}>"))));
        }
        for publish in &model.publishes {
            for at in &publish.at {
                out.exact.entry(*at).or_insert_with(|| format!("<public of {}>", publish.host));
            }
        }
        let zones = model.zones.values().flat_map(|z| z.subnets.iter().map(move |n| (*n, format!("<zone {}>", z.name))));
        let operators = model.management.nets.iter().map(|n| (*n, "<operators>".to_owned()));
        let places = model.externals.iter().flat_map(|(name, e)| e.nets.iter().map(move |n| (*n, format!("<{name}>"))));
        let public = model.edge.public.iter().map(|n| (*n, "<public>".to_owned()));
        out.nets = zones.chain(operators).chain(places).chain(public).chain(model.edge.sync.map(|n| (n, "<sync>".to_owned()))).collect();
        out.nets.sort_by_key(|(n, _)| std::cmp::Reverse(n.prefix_len()));
        out
    }

    /// Shows a result, redacted in every format.
    pub fn show(&self, global: &Global, result: &impl Face) -> Result<(), Trouble> {
        if self.reveal {
            return face::show(global, result);
        }
        match global.format() {
            Format::Text => face::print(&self.text(&result.text())),
            Format::Json => face::json(&self.value(result)?),
            Format::Sarif => face::show(global, &Sarif(result.sarif().map(|v| self.json(v)))),
        }
    }

    /// A result as JSON, redacted.
    pub fn value(&self, result: &impl serde::Serialize) -> Result<Value, Trouble> {
        let value = serde_json::to_value(result).map_err(|e| Trouble::bug(format!("a result does not serialise: {e}")))?;
        Ok(if self.reveal { value } else { self.json(value) })
    }

    fn json(&self, value: Value) -> Value {
        match value {
            Value::String(s) => Value::String(self.text(&s)),
            Value::Array(all) => Value::Array(all.into_iter().map(|v| self.json(v)).collect()),
            Value::Object(all) => Value::Object(all.into_iter().map(|(k, v)| (self.text(&k), self.json(v))).collect()),
            other => other,
        }
    }

    /// Text, redacted.
    pub fn text(&self, text: &str) -> String {
        if self.reveal {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let word = rest.len() - rest.trim_start_matches(belongs).len();
            if word > 0 {
                let (token, after) = rest.split_at(word);
                let length = self.token(token, after, &mut out);
                rest = &after[length..];
            } else {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        keys(&out)
    }

    /// Writes what stands for a run of address characters, and says how much of what follows (a prefix length) it took.
    fn token(&self, token: &str, after: &str, out: &mut String) -> usize {
        // A full stop or colon of the sentence, unless it belongs to `::`.
        let bare = if token.parse::<IpAddr>().is_ok() { token } else { token.trim_end_matches(['.', ':']) };
        let (bare, port) = match bare.parse::<IpAddr>() {
            Ok(_) => (bare, ""),
            // `192.0.2.1:80`
            Err(_) => {
                bare.rsplit_once(':').filter(|(a, _)| a.parse::<Ipv4Addr>().is_ok()).map_or((bare, ""), |(a, _)| (a, &bare[a.len()..]))
            }
        };
        let Ok(address) = bare.parse::<IpAddr>() else {
            out.push_str(token);
            return 0;
        };
        let tail = &token[bare.len() + port.len()..];
        let digits = after.strip_prefix('/').filter(|_| tail.is_empty() && port.is_empty());
        let digits = digits.map_or(0, |d| d.len() - d.trim_start_matches(|c: char| c.is_ascii_digit()).len());
        let net = (digits > 0).then(|| after[1..=digits].parse().ok().and_then(|l| IpNet::new(address, l).ok())).flatten();
        let taken = if net.is_some() { digits + 1 } else { 0 };
        match self.name(net.unwrap_or(IpNet::from(address))) {
            Some(name) => {
                out.push_str(&name);
                out.push_str(port);
                out.push_str(tail);
                taken
            }
            None => {
                out.push_str(token);
                0
            }
        }
    }

    /// What stands for an address or prefix; `None` for those that are the same everywhere.
    fn name(&self, net: IpNet) -> Option<String> {
        if is_everybodys(&net) {
            return None;
        }
        let single = net.prefix_len() == net.max_prefix_len();
        let exact = single.then(|| self.exact.get(&net.addr())).flatten().cloned();
        exact
            .or_else(|| {
                let (holder, name) = self.nets.iter().find(|(n, _)| n.contains(&net))?;
                // Parts of a prefix stay apart.
                Some(if *holder == net.trunc() || single { name.clone() } else { format!("{name}/{}", net.prefix_len()) })
            })
            .or_else(|| single.then(|| self.beside(net.addr())).flatten())
            // What is left of the Internet around the site's own prefixes draws their outline.
            .or_else(|| (!single).then(|| "<prefix>".to_owned()))
            .or_else(|| self.nets.is_empty().then(|| "<address>".to_owned()))
    }

    /// The Internet's ranges end where the site's own begin: the last address before tells as much as the first one in it.
    fn beside(&self, address: IpAddr) -> Option<String> {
        let (before, after): (IpAddr, IpAddr) = match address {
            IpAddr::V4(a) => (Ipv4Addr::from(u32::from(a).wrapping_sub(1)).into(), Ipv4Addr::from(u32::from(a).wrapping_add(1)).into()),
            IpAddr::V6(a) => (Ipv6Addr::from(u128::from(a).wrapping_sub(1)).into(), Ipv6Addr::from(u128::from(a).wrapping_add(1)).into()),
        };
        let known = |a: IpAddr| self.exact.get(&a).or_else(|| self.nets.iter().find(|(n, _)| n.contains(&a)).map(|(_, name)| name));
        known(before).or_else(|| known(after)).map(|name| format!("<beside {}>", name.trim_matches(['<', '>'])))
    }
}

/// Characters of addresses. Letters before or behind make it another word, which does not parse.
fn belongs(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '.' || c == ':'
}

/// Loopback, unspecified, multicast, link-local, and the reserved prefixes that every filter names: they tell nothing.
fn is_everybodys(net: &IpNet) -> bool {
    let a = net.addr();
    let special = match a {
        IpAddr::V4(a) => a.is_loopback() || a.is_unspecified() || a.is_multicast() || a.is_broadcast() || a.is_link_local(),
        IpAddr::V6(a) => a.is_loopback() || a == Ipv6Addr::UNSPECIFIED || a.is_multicast() || a.is_unicast_link_local(),
    };
    special || net.prefix_len() == 0 || site::special::NOT_PUBLIC_V4.contains(net) || site::special::NOT_PUBLIC_V6.contains(net)
}

/// File names below a keystore say which wallets there are.
fn keys(text: &str) -> String {
    let mut parts = text.split(KEYSTORE);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
        out.push_str(KEYSTORE);
        out.push_str(if end > 0 { KEY } else { "" });
        out.push_str(&part[end..]);
    }
    out
}

/// A SARIF log that was redacted.
struct Sarif(Option<Value>);

impl serde::Serialize for Sarif {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(s)
    }
}

impl Face for Sarif {
    fn text(&self) -> String {
        String::new()
    }
    fn sarif(&self) -> Option<Value> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use words::SourceFile;

    const SITE: &str = r#"
[site]
management = { from = ["ops", "198.51.100.0/24"] }
[zones]
ops = { subnets = ["10.20.90.0/24", "2001:db8:90::/64"] }
[hosts.node1]
address = ["10.20.90.10", "2001:db8:90::10"]
runs = ["lotus"]
"#;

    fn redactor(reveal: bool) -> Redactor {
        let model = site::read(&SourceFile::new("site.toml", SITE), "2026-11-22").model.expect("valid");
        Redactor::new(Some(&model), Reveal { reveal })
    }

    #[test]
    fn addresses_become_names() {
        let cases = [
            ("10.20.90.10:1234 is open", "<node1>:1234 is open"),
            ("from 10.20.90.77.", "from <zone ops>."),
            ("[2001:db8:90::10]:22, 2001:db8:90::/64", "[<node1>]:22, <zone ops>"),
            ("10.20.90.128/25 of 10.20.90.0/24", "<zone ops>/25 of <zone ops>"),
            ("by 198.51.100.7/32", "by <operators>"),
            ("a range of the Internet, 11.0.0.0-52.10.20.30", "a range of the Internet, 11.0.0.0-52.10.20.30"),
            ("up to 198.51.99.255", "up to <beside operators>"),
            ("0.0.0.0:1234 127.0.0.1 ::1 fe80::/10 10.0.0.0/8 224.0.0.18", "0.0.0.0:1234 127.0.0.1 ::1 fe80::/10 10.0.0.0/8 224.0.0.18"),
            ("version 1.2.3.4rc1 at 12:30:15, feed:face", "version 1.2.3.4rc1 at 12:30:15, feed:face"),
            ("/var/lib/lotus/keystore/O5QWY3DFOQWWMMLBMJRWIZLG mode 0644, keystore/", "/var/lib/lotus/keystore/<key> mode 0644, keystore/"),
        ];
        for (text, expected) in cases {
            assert_eq!(redactor(false).text(text), expected);
            assert_eq!(redactor(true).text(text), text, "--reveal shows everything");
        }
        let none = Redactor::new(None, Reveal { reveal: false });
        assert_eq!(none.text("10.20.90.10 and 0.0.0.0"), "<address> and 0.0.0.0");
    }

    #[test]
    fn json_keys_and_values_too() {
        let value = serde_json::json!({ "10.20.90.10": ["10.20.90.10/32", 7, null] });
        assert_eq!(redactor(false).value(&value).expect("json"), serde_json::json!({ "<node1>": ["<node1>", 7, null] }));
    }
}
