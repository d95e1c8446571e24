//! Rules about packets, flows and streams: a table of rules with what they say of one packet, then what rules keep and in which order
//! they take precedence.

mod common;

use common::*;
use ips_detect::{Checksums, Chunk, FlowState, Known, Options, Seen};
use ips_proto::Toward;
use ips_rules::{header::App, thresholds};
use ips_wire::packet::{Packet, Transport};
use words::SourceFile;

/// One rule, whether it holds.
fn check(cases: &[(&str, bool)], seen: &Seen<'_>) {
    for (rule, want) in cases {
        let mut b = Bench::new(&format!("alert {rule} sid:1;)"));
        assert_eq!(!b.sids(seen).is_empty(), *want, "{rule}");
    }
}

#[test]
fn fields_of_packets() {
    let p = packet(Transport::Tcp(&TCP), b"GET /x");
    check(
        &[
            ("tcp any any -> any any (", true),
            ("udp any any -> any any (", false),
            ("ip any any -> any any (", true),
            ("ipv6 any any -> any any (", false),
            ("tcp 10.0.0.1 any -> 10.0.0.2 80 (", true),
            ("tcp 10.0.0.2 any -> 10.0.0.1 80 (", false),
            ("tcp 10.0.0.2 80 <> 10.0.0.1 any (", true),
            ("tcp any any -> any !80 (", false),
            ("tcp any any -> ![10.0.0.0/30] any (", false),
            ("tcp any any -> any any (ttl:64;", true),
            ("tcp any any -> any any (ttl:<64;", false),
            ("tcp any any -> any any (id:7;", true),
            ("tcp any any -> any any (tos:0;", true),
            ("ip any any -> any any (ip_proto:6;", true),
            ("ip any any -> any any (ip_proto:!tcp;", false),
            ("tcp any any -> any any (fragbits:D;", true),
            ("tcp any any -> any any (fragbits:M;", false),
            ("tcp any any -> any any (fragoffset:0;", true),
            ("tcp any any -> any any (ipopts:any;", false),
            ("tcp any any -> any any (sameip;", false),
            ("tcp any any -> any any (seq:5;", true),
            ("tcp any any -> any any (ack:9;", true),
            ("tcp any any -> any any (ack:8;", false),
            ("tcp any any -> any any (window:1000;", true),
            ("tcp any any -> any any (tcp.mss:>1400;", true),
            ("tcp any any -> any any (tcp.mss:<1400;", false),
            ("tcp any any -> any any (tcp.wscale:1;", false),
            ("tcp any any -> any any (flags:PA;", true),
            ("tcp any any -> any any (flags:P;", false),
            ("tcp any any -> any any (flags:P+;", true),
            ("tcp any any -> any any (flags:*SP;", true),
            ("tcp any any -> any any (flags:!S;", true),
            ("tcp any any -> any any (flags:A,P;", true),
            ("tcp any any -> any any (flags:0;", false),
            ("tcp any any -> any any (dsize:6;", true),
            ("tcp any any -> any any (dsize:5<>7;", true),
            ("tcp any any -> any any (dsize:>6;", false),
            ("tcp any any -> any any (tcp.hdr; content:\"|02 04 05 b4|\"; endswith;", true),
            ("tcp any any -> any any (ipv4.hdr; content:\"|45|\"; startswith;", true),
            ("tcp any any -> any any (ether.hdr; content:\"|08 00|\"; endswith;", true),
            ("ip any any -> any any (ipv6.hdr; content:\"|60|\";", false),
            ("tcp any any -> any any (stream_size:client,=,11;", true),
            ("tcp any any -> any any (stream_size:both,>,11;", false),
            ("tcp any any -> any any (stream_size:either,>,11;", true),
            ("tcp any any -> any any (flow:established,to_server;", true),
            ("tcp any any -> any any (flow:to_client;", false),
            ("tcp any any -> any any (flow:not_established;", false),
            ("tcp any any -> any any (flow.age:3;", true),
            ("tcp any any -> any any (flow.pkts_toserver:2;", true),
            ("tcp any any -> any any (flow.bytes_toclient:>100;", false),
            ("tcp any any -> any any (flow.pkts:either,1;", true),
            ("tcp any any -> any any (vlan.layers:0;", true),
            ("tcp any any -> any any (ipv4-csum:invalid;", false),
            ("tcp any any -> any any (tcpv4-csum:invalid;", true),
            ("tcp any any -> any any (tcpv6-csum:invalid;", false),
            ("tcp any any -> any any (itype:8;", false),
        ]
        .map(|(r, w)| (r, w)),
        &Seen { checksums: Checksums { network: Some(true), transport: Some(false) }, ..seen(&p) },
    );
}

#[test]
fn fields_of_icmp() {
    let header = [8, 0, 0, 0, 0x12, 0x34, 0, 9];
    let p = packet(Transport::Icmpv4(&header), b"abc");
    check(
        &[
            ("icmp any any -> any any (itype:8;", true),
            ("icmp any any -> any any (icode:!0;", false),
            ("icmp any any -> any any (icmp_id:4660;", true),
            ("icmp any any -> any any (icmp_seq:9;", true),
            ("icmpv6 any any -> any any (itype:8;", false),
            ("icmp any any -> any any (content:\"abc\";", true),
            ("icmp any any -> any 80 (content:\"abc\";", false),
            ("icmp any any -> any any (icmpv4.hdr; content:\"|12 34|\";", true),
        ],
        &seen(&p),
    );
    let header = [2, 0, 0, 0, 0, 0, 5, 0];
    let p = packet(Transport::Icmpv6(&header), b"");
    check(&[("icmp any any -> any any (icmpv6.mtu:1280;", true), ("icmp any any -> any any (icmp_id:0;", false)], &seen(&p));
}

#[test]
fn applications() {
    let p = packet(Transport::Tcp(&TCP), b"x");
    let mut s = Seen { flow: Some(with_app(App::Tls)), ..seen(&p) };
    let found = [
        ("tls any any -> any any (", true),
        ("http any any -> any any (", false),
        ("tls any any -> any any (content:\"x\"; dsize:1;", true),
        ("tcp any any -> any any (app-layer-protocol:tls;", false),
        ("tcp any any -> any any (app-layer-protocol:tls; dsize:1;", true),
        ("tcp any any -> any any (app-layer-protocol:!http; dsize:1;", true),
        ("tcp any any -> any any (app-layer-protocol:unknown; dsize:1;", false),
        ("tcp any any -> any any (app-layer-protocol:dns,either; dsize:1;", false),
    ];
    check(&found, &s);
    if let Some(f) = &mut s.flow {
        f.app.found_now = true;
    }
    check(&[("tcp any any -> any any (app-layer-protocol:tls;", true)], &s);
    if let Some(f) = &mut s.flow {
        f.app = Default::default();
        f.app.sides[0] = Known::Failed;
    }
    check(
        &[
            ("tcp any any -> any any (app-layer-protocol:failed; dsize:1;", true),
            ("tcp any any -> any any (app-layer-protocol:!tls; dsize:1;", true),
            ("tcp any any -> any any (app-layer-protocol:!tls,to_client; dsize:1;", false),
        ],
        &s,
    );
}

#[test]
fn stream_and_packet() {
    let p = packet(Transport::Tcp(&TCP), b"tail");
    let chunk = Chunk { bytes: b"head-tail", offset: 0, last: false };
    let both = Seen { stream: Some(chunk), in_stream: true, ..seen(&p) };
    check(
        &[
            ("tcp any any -> any any (content:\"head\";", true),
            ("tcp any any -> any any (content:\"d-t\";", true),
            ("tcp-pkt any any -> any any (content:\"head\";", false),
            ("tcp-pkt any any -> any any (content:\"tail\";", true),
            ("tcp-stream any any -> any any (content:\"head\";", true),
            ("tcp any any -> any any (content:\"tail\"; startswith;", true),
            ("tcp any any -> any any (content:\"head\"; startswith;", true),
            ("tcp any any -> any any (content:\"head\"; dsize:4;", false),
            ("tcp any any -> any any (content:\"head\"; flow:no_stream;", false),
            ("tcp any any -> any any (content:\"head\"; flow:only_stream;", true),
            ("tcp any any -> any any (content:\"tail\"; startswith; flow:only_stream;", false),
        ],
        &both,
    );
    // Held back: what is in the stream waits for its turn.
    let waiting = Seen { in_stream: true, ..seen(&p) };
    check(&[("tcp any any -> any any (content:\"tail\";", false), ("tcp any any -> any any (content:\"tail\"; depth:4;", true)], &waiting);
    // Not part of any stream: looked at as it is.
    check(&[("tcp any any -> any any (content:\"tail\";", true)], &seen(&p));
    // Places are counted from the beginning of the part at hand, as the peer was seen to do (gnutella.pcap, rule 2101432).
    let later = Seen { stream: Some(Chunk { bytes: b"0123456789", offset: 10, last: false }), in_stream: true, ..seen(&p) };
    check(
        &[
            ("tcp any any -> any any (content:\"345\"; depth:5;", false),
            ("tcp any any -> any any (content:\"345\"; depth:6;", true),
            ("tcp any any -> any any (content:\"345\"; offset:4;", false),
        ],
        &later,
    );
}

#[test]
fn events_and_sums() {
    let p = packet(Transport::Udp(&UDP), b"");
    let s = Seen {
        decode_events: &["ipv4.trunc_pkt"],
        stream_events: &["3whs_ack_in_wrong_dir"],
        app_events: &["applayer_detect_protocol_only_one_direction"],
        ..seen(&p)
    };
    check(
        &[
            ("pkthdr any any -> any any (decode-event:ipv4.trunc_pkt;", true),
            ("pkthdr any any -> any any (decode-event:ipv4.opt_invalid;", false),
            ("ip any any -> any any (stream-event:3whs_ack_in_wrong_dir;", true),
            ("ip any any -> any any (app-layer-event:applayer_detect_protocol_only_one_direction;", true),
        ],
        &s,
    );
}

#[test]
fn addresses_once_and_packets_each_time() {
    let mut b = Bench::new(
        "alert ip any any -> any any (sid:1;)\nalert ip any any -> any any (ttl:64; sid:2;)\nalert tcp any any -> any any (flow:to_client; sid:3;)",
    );
    let p = packet(Transport::Tcp(&TCP), b"");
    assert_eq!(b.sids(&seen(&p)), [1, 2]);
    assert_eq!(b.sids(&seen(&p)), [2]);
    let back = turned(p);
    let s = Seen { toward: Toward::Client, ..seen(&back) };
    assert_eq!(b.sids(&s), [1, 2, 3]);
    assert_eq!(b.sids(&s), [2, 3]);
}

#[test]
fn bits_and_variables() {
    let rules = "alert tcp any any -> any any (content:\"ask\"; flowbits:isset,b; sid:1;)\n\
        alert tcp any any -> any any (content:\"set\"; flowbits:set,b; flowbits:noalert; sid:2;)\n\
        alert tcp any any -> any any (content:\"ask\"; flowbits:isnotset,b; sid:3;)\n\
        alert tcp any any -> any any (content:\"off\"; flowbits:unset,b; sid:4;)\n\
        alert tcp any any -> any any (content:\"turn\"; flowbits:toggle,b; sid:5;)\n\
        alert tcp any any -> any any (content:\"any\"; flowbits:isset,z|b; sid:6;)\n\
        alert tcp any any -> any any (content:\"first\"; flowint:n,notset; flowint:n,=,2; sid:7;)\n\
        alert tcp any any -> any any (content:\"more\"; flowint:n,isset; flowint:n,+,3; noalert; sid:8;)\n\
        alert tcp any any -> any any (content:\"five\"; flowint:n,==,5; sid:9;)\n\
        alert tcp any any -> any any (content:\"host\"; xbits:set,h,track ip_src,expire 10; sid:10;)\n\
        alert tcp any any -> any any (content:\"look\"; xbits:isset,h,track ip_src; sid:11;)\n\
        alert tcp any any -> any any (content:\"pair\"; xbits:set,p,track ip_pair,expire 10; sid:12;)\n\
        alert tcp any any -> any any (content:\"look\"; xbits:isset,p,track ip_pair; sid:13;)\n\
        alert tcp any any -> any any (content:\"look\"; hostbits:isset,h,dst; sid:14;)\n\
        alert tcp any any -> any any (content:\"add\"; flowint:m,notset; flowint:m,+,1; sid:15;)\n\
        alert tcp any any -> any any (content:\"added\"; flowint:m,==,1; sid:16;)\n";
    let mut b = Bench::new(rules);
    let mut time = 1_700_000_000_000_000;
    let mut say = |text: &str, seconds: u64| {
        time += seconds * 1_000_000;
        let p = Packet { time, ..packet(Transport::Tcp(&TCP), text.as_bytes()) };
        b.sids(&seen(&p))
    };
    assert_eq!(say("ask", 0), [3]);
    assert_eq!(say("set ask any", 0), [1, 6], "rules that set come first, and equals by number");
    assert_eq!(say("off ask", 0), [4, 3]);
    assert_eq!(say("turn ask", 0), [5, 1]);
    assert_eq!(say("more five", 0), [0u32; 0]);
    assert_eq!(say("add", 0), [15]);
    assert_eq!(say("added", 0), [16], "adding made it");
    assert_eq!(say("first five", 0), [7]);
    assert_eq!(say("first more", 0), [0u32; 0]);
    assert_eq!(say("five", 0), [9]);
    assert_eq!(say("host pair look", 0), [10, 11, 12, 13]);
    assert_eq!(say("look", 10), [11, 13], "the last second is in");
    assert_eq!(say("look", 1), [0u32; 0], "they have run out");
}

#[test]
fn precedence_of_actions() {
    let p = packet(Transport::Tcp(&TCP), b"abc");
    let s = seen(&p);
    let mut b = Bench::new(
        "alert tcp any any -> any any (content:\"abc\"; priority:2; sid:1;)\nalert tcp any any -> any any (content:\"abc\"; priority:1; sid:2;)\n\
        drop tcp any any -> any any (content:\"abc\"; dsize:3; sid:3;)\nrejectboth tcp any any -> any any (content:\"abc\"; sid:4;)\n",
    );
    let v = b.packet(&s);
    assert_eq!(b.told(), [3, 4, 2, 1]);
    assert!(v.drop && v.reject_source && v.reject_destination && !v.pass);
    assert_eq!(v.dropped_by.map(|r| b.tables.rules()[r as usize].meta.sid), Some(3));
    assert!(!v.drop_flow, "packets of no stream are dropped one by one");

    let mut b = Bench::new(
        "pass tcp any any -> any any (content:\"abc\"; dsize:3; sid:1;)\ndrop tcp any any -> any any (content:\"abc\"; sid:2;)\n",
    );
    let v = b.packet(&s);
    assert!(v.pass && !v.pass_flow && !v.drop && b.told().is_empty());
    assert!(!b.flow.passed);
    // What is found in the stream is the flow's.
    let chunk = Seen { stream: Some(Chunk { bytes: b"abc", offset: 0, last: false }), in_stream: true, ..s };
    let mut b =
        Bench::new("pass tcp any any -> any any (content:\"abc\"; sid:1;)\nalert tcp any any -> any any (content:\"abc\"; sid:2;)\n");
    let v = b.packet(&chunk);
    assert!(v.pass && v.pass_flow && b.flow.passed && b.told().is_empty());
    assert!(b.sids(&chunk).is_empty(), "and is not looked at again");
}

#[test]
fn limits_in_rules_and_beside_them() {
    let rule = |limit: &str| format!("alert tcp any any -> any any (content:\"x\"; {limit} sid:1;)");
    let run = |rules: &str, options: &Options| {
        let mut b = Bench::of(tables_with(rules, options));
        (0..6u64)
            .map(|i| {
                let p = Packet { time: 1_000_000 * (100 + i), ..packet(Transport::Tcp(&TCP), b"x") };
                if b.sids(&seen(&p)).is_empty() { '-' } else { 'a' }
            })
            .collect::<String>()
    };
    let none = Options::default();
    assert_eq!(run(&rule(""), &none), "aaaaaa");
    assert_eq!(run(&rule("threshold:type limit, track by_src, count 2, seconds 60;"), &none), "aa----");
    assert_eq!(run(&rule("threshold:type limit, track by_flow, count 1, seconds 3;"), &none), "a---a-");
    assert_eq!(run(&rule("threshold:type threshold, track by_rule, count 3, seconds 60;"), &none), "--a--a");
    assert_eq!(run(&rule("threshold:type both, track by_both, count 2, seconds 60;"), &none), "-a----");
    assert_eq!(run(&rule("detection_filter:track by_dst, count 4, seconds 60;"), &none), "----aa");
    let with = |text: &str| {
        let (overrides, faults) = thresholds(&SourceFile::new("t", text), &ips_rules::Vars::default());
        assert!(faults.is_empty());
        Options { overrides, ..Options::default() }
    };
    assert_eq!(run(&rule(""), &with("suppress gen_id 1, sig_id 1\n")), "------");
    assert_eq!(run(&rule(""), &with("suppress gen_id 1, sig_id 1, track by_src, ip 10.0.0.0/24\n")), "------");
    assert_eq!(run(&rule(""), &with("suppress gen_id 1, sig_id 1, track by_dst, ip 10.0.0.9\n")), "aaaaaa");
    assert_eq!(run(&rule(""), &with("threshold gen_id 1, sig_id 1, type limit, track by_src, count 3, seconds 60\n")), "aaa---");
    let options = with("rate_filter gen_id 1, sig_id 1, track by_rule, count 2, seconds 60, new_action drop, timeout 60\n");
    let mut b = Bench::of(tables_with(&rule(""), &options));
    let p = packet(Transport::Tcp(&TCP), b"x");
    let drops: Vec<bool> = (0..4).map(|_| b.packet(&seen(&p)).drop).collect();
    assert_eq!(drops, [false, false, true, true]);
}

#[test]
fn a_suppressed_drop_still_drops() {
    let (overrides, _) = thresholds(&SourceFile::new("t", "suppress gen_id 1, sig_id 1\n"), &ips_rules::Vars::default());
    let rule = "drop tcp any any -> any any (content:\"x\"; sid:1;)";
    let mut b = Bench::of(tables_with(rule, &Options { overrides, ..Options::default() }));
    let p = packet(Transport::Tcp(&TCP), b"x");
    assert!(b.packet(&seen(&p)).drop && b.told().is_empty());
}

#[test]
fn sets_reputations_tags_and_bypass() {
    let rules = "alert tcp any any -> any any (ip.src; dataset:isset,bad,type ipv4; sid:1;)\n\
        alert tcp any any -> any any (content:\"x\"; iprep:src,CnC,>,30; sid:2;)\n\
        alert tcp any any -> any any (content:\"tag\"; tag:session,2,packets; sid:3;)\n\
        alert tcp any any -> any any (content:\"go\"; bypass; sid:4;)\n";
    let mut b = Bench::new(rules);
    let p = packet(Transport::Tcp(&TCP), b"x");
    assert_eq!(b.sids(&seen(&p)), [0u32; 0]);
    assert_eq!(b.tables.sets()[0].name, "bad");
    b.memory.load(0, [(vec![10, 0, 0, 1], None)]);
    assert_eq!(b.tables.categories(), ["CnC"]);
    b.memory.reputation(0, CLIENT, 32, 31);
    assert_eq!(b.sids(&seen(&p)), [1, 2]);
    let tags = ["tag", "y", "y", "y"].map(|text| {
        let p = Packet { time: p.time + 1, ..packet(Transport::Tcp(&TCP), text.as_bytes()) };
        let later = Packet { time: p.time + u64::from(text == "y"), ..p };
        b.packet(&seen(&later)).tagged
    });
    assert_eq!(tags, [true, true, true, false]);
    let p = packet(Transport::Tcp(&TCP), b"go");
    assert!(b.packet(&seen(&p)).bypass && b.flow.bypassed);
}

#[test]
fn most_that_are_told_with_one_packet() {
    let rules: String = (1..=20).map(|i| format!("alert tcp any any -> any any (content:\"x\"; sid:{i};)\n")).collect();
    let mut b = Bench::new(&rules);
    let p = packet(Transport::Tcp(&TCP), b"x");
    assert_eq!((b.sids(&seen(&p)).len(), b.hits.discarded), (15, 5));
}

#[test]
fn without_a_flow() {
    let tables = tables(
        "alert udp any any -> any any (content:\"x\"; sid:1;)\nalert udp any any -> any any (content:\"x\"; flow:to_server; sid:2;)\nalert udp any any -> any any (flowbits:set,a; content:\"x\"; sid:3;)",
    );
    let (mut scratch, mut memory, mut hits) = (tables.scratch(), tables.memory(), ips_detect::Hits::default());
    let p = packet(Transport::Udp(&UDP), b"x");
    let s = Seen { flow: None, ..seen(&p) };
    tables.packet(&mut scratch, &s, None::<&mut FlowState>, &mut memory, &mut hits);
    let _ = tables.settle(&s, None, &mut memory, &mut hits);
    let sids: Vec<u32> = hits.list.iter().map(|h| tables.rules()[h.rule as usize].meta.sid).collect();
    assert_eq!(sids, [3, 1]);
    assert_eq!(scratch.stats.iter().map(|s| (s.checks, s.matches)).collect::<Vec<_>>().iter().filter(|s| s.1 == 1).count(), 2);
}

#[test]
fn captured_bytes_are_kept() {
    let mut b =
        Bench::new("alert tcp any any -> any any (content:\"user\"; pcre:\"/user=(\\w+) pass=(\\w+)/, flow:who, pkt:secret\"; sid:1;)");
    let p = packet(Transport::Tcp(&TCP), b"user=ann pass=x");
    assert_eq!(b.sids(&seen(&p)), [1]);
    assert_eq!(b.flow.captures.iter().map(|(n, v)| (b.tables.name(*n), v.as_slice())).collect::<Vec<_>>(), [("who", &b"ann"[..])]);
}
