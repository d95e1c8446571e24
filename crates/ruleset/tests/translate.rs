//! The two readers against each other, with the real tools between them: a rule given to iptables and read from
//! `iptables-save`, and the same rule through `iptables-translate`, nft and `nft -j`, must have one normal form.

use ruleset::{Rule, canonical, iptables, nft};
use std::process::Command;
use words::Family;

fn run(script: &str) -> String {
    let out = Command::new("unshare").args(["-Urnm", "sh", "-ec", script]).output().expect("unshare");
    assert!(out.status.success(), "{script}\n{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Rules both tools can say. `-t nat` rules name their chain.
const V4: &[&str] = &[
    "INPUT -i lo -j ACCEPT",
    "INPUT -i eth+ -j DROP",
    "INPUT ! -i lo -s 127.0.0.0/8 -j DROP",
    "INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "INPUT -m conntrack --ctstate INVALID -j DROP",
    "INPUT -p tcp -m multiport --dports 22,80:90 -j ACCEPT",
    "INPUT -p tcp -m tcp ! --dport 53 -j DROP",
    "INPUT -p udp -m udp --sport 67:68 --dport 67 -j ACCEPT",
    "INPUT -p tcp -m tcp --tcp-flags SYN,RST,ACK SYN -j DROP",
    "INPUT ! -s 10.0.0.0/8 -d 1.2.3.4/32 -p udp -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable",
    "INPUT -p tcp -j REJECT --reject-with tcp-reset",
    "INPUT -p icmp -m icmp --icmp-type echo-request -j ACCEPT",
    "INPUT -m addrtype --dst-type LOCAL -j ACCEPT",
    "INPUT -m mark --mark 0x1/0xff -j ACCEPT",
    "INPUT -m mark --mark 0x5 -j ACCEPT",
    "INPUT -p gre -j ACCEPT",
    "INPUT ! -p tcp -j DROP",
    "INPUT -m limit --limit 3/min --limit-burst 10 -j ACCEPT",
    "INPUT -m ttl --ttl-eq 255 -j ACCEPT",
    "INPUT -m iprange --src-range 10.0.0.1-10.0.0.9 -j ACCEPT",
    "INPUT -m pkttype --pkt-type broadcast -j DROP",
    "FORWARD -i eth0 -o eth1 -j RETURN",
];
const V4_NAT: &[&str] = &[
    "POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    "PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
    "PREROUTING -p tcp -m tcp --dport 8081 -j REDIRECT --to-ports 80",
    "POSTROUTING -s 10.0.0.0/8 -j SNAT --to-source 1.2.3.4",
];
const V6: &[&str] = &[
    "INPUT -s fe80::/10 -j ACCEPT",
    "INPUT -p icmpv6 --icmpv6-type 135 -m hl --hl-eq 255 -j ACCEPT",
    "INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT",
    "INPUT -d 2001:db8::1/128 -j REJECT --reject-with icmp6-port-unreachable",
];

/// The rule as `iptables-save` tells it, and as nft tells its translation.
fn both(tool: &str, family: Family, table: &str, rule: &str) -> (Rule, Rule) {
    let chain = rule.split(' ').next().expect("chain");
    let save = run(&format!("{tool} -t {table} -A {rule}; {tool}-save -t {table}"));
    let tables = iptables::read(&save, family).expect("reads");
    let a = tables[0].chains.iter().find(|c| c.name == chain).expect("chain").rules[0].clone();
    let nft_family = if family == Family::V4 { "ip" } else { "ip6" };
    // Translation of addresses needs a chain that may translate.
    let base = match (table, chain) {
        ("nat", "PREROUTING") => "{ type nat hook prerouting priority -100; }",
        ("nat", _) => "{ type nat hook postrouting priority 100; }",
        (_, "FORWARD") => "{ type filter hook forward priority 0; }",
        _ => "{ type filter hook input priority 0; }",
    };
    let json = run(&format!(
        "nft 'add table {nft_family} {table}; add chain {nft_family} {table} {chain} {base}'; {tool}-translate -t {table} -A {rule} | sh -e; nft -j list ruleset"
    ));
    let live = nft::read(&json).expect("reads");
    let b = live.tables.iter().find(|t| t.name == table).expect("table").chain(chain).expect("chain").rules[0].clone();
    (canonical::rule(&a), canonical::rule(&b))
}

/// Without what only one of the two says: a translation counts and names the family.
fn plain(mut rule: Rule) -> Rule {
    rule.id = None;
    rule.statements.retain(|s| !matches!(s, ruleset::Statement::Counter));
    // In a table of one family the family is said by the table.
    rule.statements.retain(|s| !matches!(s, ruleset::Statement::Match { key: ruleset::Key::NfProto, .. }));
    rule
}

fn agree(tool: &str, family: Family, table: &str, rules: &[&str]) {
    let mut wrong = Vec::new();
    for rule in rules {
        let (a, b) = both(tool, family, table, rule);
        let (a, b) = (plain(a), plain(b));
        if a != b {
            wrong.push(format!("{rule}\n  iptables {:?}\n  nft      {:?}", a.statements, b.statements));
        }
        assert!(!a.statements.iter().any(|s| matches!(s, ruleset::Statement::Unknown { .. })), "{rule}: {a:?}");
    }
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), rules.len(), wrong.join("\n"));
}

#[test]
fn filters_of_v4() {
    agree("iptables", Family::V4, "filter", V4);
}

#[test]
fn translations_of_v4() {
    agree("iptables", Family::V4, "nat", V4_NAT);
}

#[test]
fn filters_of_v6() {
    agree("ip6tables", Family::V6, "filter", V6);
}
