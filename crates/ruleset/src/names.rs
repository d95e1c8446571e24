//! The symbolic names nft and iptables print for numbers, both ways. Tables are data: taken from `nft describe` 1.0.6 and
//! `/etc/protocols`. Never: guesses; an unknown name is `None`.

use crate::Key;

/// `nft describe icmp_type`.
const ICMP_TYPE: &[(&str, u128)] = &[
    ("echo-reply", 0),
    ("destination-unreachable", 3),
    ("source-quench", 4),
    ("redirect", 5),
    ("echo-request", 8),
    ("router-advertisement", 9),
    ("router-solicitation", 10),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
    ("timestamp-request", 13),
    ("timestamp-reply", 14),
    ("info-request", 15),
    ("info-reply", 16),
    ("address-mask-request", 17),
    ("address-mask-reply", 18),
];

/// `nft describe icmpv6_type`.
const ICMP6_TYPE: &[(&str, u128)] = &[
    ("destination-unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("mld-listener-query", 130),
    ("mld-listener-report", 131),
    ("mld-listener-done", 132),
    ("mld-listener-reduction", 132),
    ("nd-router-solicit", 133),
    ("nd-router-advert", 134),
    ("nd-neighbor-solicit", 135),
    ("nd-neighbor-advert", 136),
    ("nd-redirect", 137),
    ("router-renumbering", 138),
    ("ind-neighbor-solicit", 141),
    ("ind-neighbor-advert", 142),
    ("mld2-listener-report", 143),
];

/// `nft describe icmp_code`.
const ICMP_CODE: &[(&str, u128)] = &[
    ("net-unreachable", 0),
    ("host-unreachable", 1),
    ("prot-unreachable", 2),
    ("port-unreachable", 3),
    ("frag-needed", 4),
    ("net-prohibited", 9),
    ("host-prohibited", 10),
    ("admin-prohibited", 13),
];

/// `nft describe icmpv6_code`.
const ICMP6_CODE: &[(&str, u128)] =
    &[("no-route", 0), ("admin-prohibited", 1), ("addr-unreachable", 3), ("port-unreachable", 4), ("policy-fail", 5), ("reject-route", 6)];

/// `nft describe ct_state`.
const CT_STATE: &[(&str, u128)] = &[("invalid", 1), ("established", 2), ("related", 4), ("new", 8), ("untracked", 64)];

/// `nft describe ct_status`.
const CT_STATUS: &[(&str, u128)] =
    &[("expected", 1), ("seen-reply", 2), ("assured", 4), ("confirmed", 8), ("snat", 16), ("dnat", 32), ("dying", 512)];

/// `nft describe ct_dir`.
const CT_DIRECTION: &[(&str, u128)] = &[("original", 0), ("reply", 1)];

/// `nft describe fib_addrtype`: the kernel's `rtm_type`.
const FIB_TYPE: &[(&str, u128)] = &[
    ("unspec", 0),
    ("unicast", 1),
    ("local", 2),
    ("broadcast", 3),
    ("anycast", 4),
    ("multicast", 5),
    ("blackhole", 6),
    ("unreachable", 7),
    ("prohibit", 8),
];

/// `nft describe pkt_type`.
const PKT_TYPE: &[(&str, u128)] = &[("unicast", 0), ("host", 0), ("broadcast", 1), ("multicast", 2), ("other", 3)];

/// `nft describe tcp_flag`.
const TCP_FLAG: &[(&str, u128)] = &[("fin", 1), ("syn", 2), ("rst", 4), ("psh", 8), ("ack", 16), ("urg", 32), ("ecn", 64), ("cwr", 128)];

/// `nft describe nf_proto`.
const NF_PROTO: &[(&str, u128)] = &[("ipv4", 2), ("ipv6", 10)];

/// `/etc/protocols` of Debian 12: nft prints numbers through it.
const PROTOCOL: &[(&str, u128)] = &[
    ("tcp", 6),
    ("udp", 17),
    ("icmp", 1),
    ("ipv6-icmp", 58),
    ("icmpv6", 58),
    ("ip", 0),
    ("hopopt", 0),
    ("igmp", 2),
    ("ggp", 3),
    ("ipencap", 4),
    ("st", 5),
    ("egp", 8),
    ("igp", 9),
    ("pup", 12),
    ("hmp", 20),
    ("xns-idp", 22),
    ("rdp", 27),
    ("iso-tp4", 29),
    ("dccp", 33),
    ("xtp", 36),
    ("ddp", 37),
    ("idpr-cmtp", 38),
    ("ipv6", 41),
    ("ipv6-route", 43),
    ("ipv6-frag", 44),
    ("idrp", 45),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("skip", 57),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("rspf", 73),
    ("vmtp", 81),
    ("eigrp", 88),
    ("ospf", 89),
    ("ax.25", 93),
    ("ipip", 94),
    ("etherip", 97),
    ("encap", 98),
    ("pim", 103),
    ("ipcomp", 108),
    ("comp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("isis", 124),
    ("sctp", 132),
    ("fc", 133),
    ("mobility-header", 135),
    ("udplite", 136),
    ("mpls-in-ip", 137),
    ("manet", 138),
    ("hip", 139),
    ("shim6", 140),
    ("wesp", 141),
    ("rohc", 142),
    ("ethernet", 143),
];

/// Which table a key's values are named by.
fn table(key: &Key) -> &'static [(&'static str, u128)] {
    match key {
        Key::IcmpType => ICMP_TYPE,
        Key::IcmpCode => ICMP_CODE,
        Key::Icmp6Type => ICMP6_TYPE,
        Key::Icmp6Code => ICMP6_CODE,
        Key::CtState => CT_STATE,
        Key::CtStatus => CT_STATUS,
        Key::CtDirection => CT_DIRECTION,
        Key::FibDaddrType => FIB_TYPE,
        Key::PktType => PKT_TYPE,
        Key::TcpFlags => TCP_FLAG,
        Key::NfProto => NF_PROTO,
        Key::L4Proto => PROTOCOL,
        _ => &[],
    }
}

/// The number nft means by this name for this key.
pub fn number(key: &Key, name: &str) -> Option<u128> {
    table(key).iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
}

/// nft's name for this number of this key, if it has one.
pub fn name(key: &Key, number: u128) -> Option<&'static str> {
    table(key).iter().find(|(_, v)| *v == number).map(|(n, _)| *n)
}

/// The key whose names a set dimension of this nft type uses; `None` where values are plain numbers, addresses or devices.
pub fn key_of_type(nft_type: &str) -> Option<Key> {
    Some(match nft_type {
        "icmp_type" => Key::IcmpType,
        "icmp_code" => Key::IcmpCode,
        "icmpv6_type" => Key::Icmp6Type,
        "icmpv6_code" => Key::Icmp6Code,
        "ct_state" => Key::CtState,
        "ct_status" => Key::CtStatus,
        "ct_dir" => Key::CtDirection,
        "fib_addrtype" => Key::FibDaddrType,
        "pkt_type" => Key::PktType,
        "tcp_flag" => Key::TcpFlags,
        "nf_proto" => Key::NfProto,
        "inet_proto" => Key::L4Proto,
        "ipv4_addr" => Key::Ip4Saddr,
        "ipv6_addr" => Key::Ip6Saddr,
        "ifname" => Key::Iifname,
        "inet_service" => Key::Dport,
        "mark" => Key::Mark,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for key in [Key::IcmpType, Key::Icmp6Type, Key::CtState, Key::FibDaddrType, Key::TcpFlags, Key::L4Proto, Key::NfProto] {
            for (n, v) in table(&key) {
                assert_eq!(number(&key, n), Some(*v));
                assert_eq!(name(&key, *v).and_then(|n| number(&key, n)), Some(*v));
            }
        }
        assert_eq!(number(&Key::IcmpType, "nothing"), None);
    }
}
