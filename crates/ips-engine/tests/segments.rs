//! However a conversation is cut into segments, reordered, repeated and overlapped, rules find in it what they find in it whole, and events
//! tell the same.

mod talk;

use ips_engine::Settings;
use proptest::prelude::*;
use talk::{ACK, PSH, Talk, engine, inline};

/// A conversation: the server's port, who speaks (0 the client) and what, rules, and which of them match.
struct Session {
    name: &'static str,
    port: u16,
    turns: Vec<(usize, Vec<u8>)>,
    rules: &'static str,
    matching: &'static [u32],
}

fn turns(list: &[(usize, &[u8])]) -> Vec<(usize, Vec<u8>)> {
    list.iter().map(|(from, bytes)| (*from, bytes.to_vec())).collect()
}

/// A message of SMB 2: tree 1 of session 9.
fn smb(command: u16, answer: bool, body: &[u8]) -> Vec<u8> {
    let mut m = b"\xfeSMB\x40\0\0\0\0\0\0\0".to_vec();
    m.extend(command.to_le_bytes());
    m.extend([0; 2]);
    m.extend(u32::from(answer).to_le_bytes());
    m.extend([0; 4]);
    m.extend(u64::from(command).to_le_bytes());
    m.extend([0; 4]);
    m.extend(1u32.to_le_bytes());
    m.extend(9u64.to_le_bytes());
    m.extend([0; 16]);
    m.extend_from_slice(body);
    let n = u32::try_from(m.len()).expect("it is short").to_be_bytes();
    [&[0, n[1], n[2], n[3]], &m[..]].concat()
}

fn sessions() -> Vec<Session> {
    let share: Vec<u8> = "\\\\s\\data$".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let tree = [&[9, 0, 0, 0, 72, 0][..], &u16::try_from(share.len()).expect("it is short").to_le_bytes(), &share].concat();
    let write = [&[49, 0, 112, 0, 4, 0, 0, 0][..], &[0; 8], &[7; 16], &[0; 16], b"evil"].concat();
    let close = [&[24, 0][..], &[0; 6], &[7; 16]].concat();
    vec![
        Session {
            name: "http",
            port: 8080,
            turns: turns(&[
                (0, b"POST /evil?a=b HTTP/1.1\r\nHost: a.example\r\nCookie: c=1\r\nContent-Length: 9\r\n\r\nsome data"),
                (1, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwors\r\n6\r\ne data\r\n0\r\n\r\n"),
                (0, b"GET /next HTTP/1.1\r\nHost: b.example\r\n\r\n"),
                (1, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            ]),
            rules: r#"
                alert http any any -> any any (flow:established,to_server; http.uri; content:"/evil"; sid:1;)
                alert http any any -> any any (flow:established,to_server; http.request_body; content:"some data"; sid:2;)
                alert http any any -> any any (flow:established,to_client; file.data; content:"worse data"; sid:3;)
                alert http any any -> any any (flow:established,to_client; http.stat_code; content:"404"; sid:4;)
                alert http any any -> any any (http.cookie; content:"c=1"; http.host; content:"a.example"; sid:5;)
                alert http any any -> any any (http.uri; content:"/never"; sid:6;)
                alert tcp any any -> any any (flow:established,to_server; content:"GET /next"; sid:7;)
            "#,
            matching: &[1, 2, 3, 4, 5, 7],
        },
        Session {
            name: "smtp",
            port: 25,
            turns: turns(&[
                (1, b"220 mail ESMTP\r\n"),
                (0, b"EHLO me\r\n"),
                (1, b"250 mail\r\n"),
                (0, b"MAIL FROM:<a@a>\r\n"),
                (1, b"250 ok\r\n"),
                (0, b"RCPT TO:<b@b>\r\n"),
                (1, b"250 ok\r\n"),
                (0, b"DATA\r\n"),
                (1, b"354 go\r\n"),
                (
                    0,
                    b"Subject: hello\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
                      Content-Disposition: attachment; filename=\"e.bin\"\r\n\r\nZXZpbCBieXRlcw==\r\n.\r\n",
                ),
                (1, b"250 ok\r\n"),
                (0, b"QUIT\r\n"),
                (1, b"221 bye\r\n"),
            ]),
            rules: r#"
                alert smtp any any -> any any (flow:to_server; file.data; content:"evil bytes"; sid:1;)
                alert smtp any any -> any any (flow:to_server; email.subject; content:"hello"; sid:2;)
                alert smtp any any -> any any (flow:to_server; smtp.rcpt_to; content:"b@b"; sid:3;)
                alert smtp any any -> any any (flow:to_server; file.name; content:"e.bin"; sid:4;)
            "#,
            matching: &[1, 2, 3, 4],
        },
        Session {
            name: "ftp",
            port: 21,
            turns: turns(&[
                (1, b"220 FTP here\r\n"),
                (0, b"USER evil\r\n"),
                (1, b"331 pass?\r\n"),
                (0, b"PASS word\r\n"),
                (1, b"230 in\r\n"),
                (0, b"RETR secret.txt\r\n"),
                (1, b"550 no\r\n"),
            ]),
            rules: r#"
                alert ftp any any -> any any (ftp.command_data; content:"secret.txt"; sid:1;)
                alert ftp any any -> any any (ftp.reply; content:"pass?"; sid:2;)
                alert ftp any any -> any any (ftp.command; content:"STOR"; sid:3;)
            "#,
            matching: &[1, 2],
        },
        Session {
            name: "ssh",
            port: 22,
            turns: turns(&[(0, b"SSH-2.0-evil_1.0\r\n"), (1, b"SSH-2.0-good_2.0\r\n")]),
            rules: r#"
                alert ssh any any -> any any (flow:to_server; ssh.software; content:"evil_1.0"; sid:1;)
                alert ssh any any -> any any (flow:to_client; ssh.software; content:"good"; sid:2;)
            "#,
            matching: &[1, 2],
        },
        Session {
            name: "dns",
            port: 53,
            turns: turns(&[
                (0, b"\0\x1e\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04evil\x07example\0\0\x01\0\x01"),
                (1, b"\0\x2e\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x04evil\x07example\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x01\x02\x03\x04"),
            ]),
            rules: r#"
                alert dns any any -> any any (dns.query; content:"evil.example"; sid:1;)
                alert dns any any -> any any (dns.answer.name; content:"evil.example"; sid:2;)
            "#,
            matching: &[1, 2],
        },
        Session {
            name: "smb",
            port: 445,
            turns: vec![
                (0, smb(3, false, &tree)),
                (1, smb(3, true, &[16, 0, 1, 0, 0, 0, 0, 0])),
                (0, smb(9, false, &write)),
                (1, smb(9, true, &[17, 0])),
                (0, smb(6, false, &close)),
                (1, smb(6, true, &[60, 0])),
            ],
            rules: r#"
                alert smb any any -> any any (smb.share; content:"data$"; sid:1;)
                alert smb any any -> any any (file.data; content:"evil"; sid:2;)
            "#,
            matching: &[1, 2],
        },
        Session {
            name: "sip",
            port: 5060,
            turns: turns(&[
                (0, b"INVITE sip:evil@b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nContent-Length: 4\r\n\r\nbody"),
                (1, b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
            ]),
            rules: r#"
                alert sip any any -> any any (sip.uri; content:"evil@b"; sid:1;)
                alert sip any any -> any any (sip.stat_msg; content:"OK"; sid:2;)
            "#,
            matching: &[1, 2],
        },
        Session {
            name: "mqtt",
            port: 1883,
            turns: turns(&[
                (0, b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01c"),
                (1, b"\x20\x02\0\0"),
                (0, b"\x30\x08\0\x02ttevil"),
                (0, b"\xe0\0"),
            ]),
            rules: r#"
                alert mqtt any any -> any any (mqtt.publish.message; content:"evil"; sid:1;)
                alert mqtt any any -> any any (mqtt.type:CONNACK; sid:2;)
            "#,
            matching: &[1, 2],
        },
    ]
}

/// How each turn is cut, which parts change places, which come again, and how far parts reach back into those before.
#[derive(Debug, Clone)]
struct Mangling {
    cuts: Vec<usize>,
    swaps: Vec<(usize, usize)>,
    again: Vec<usize>,
    back: Vec<usize>,
}

fn mangled(s: &Session, m: &Mangling) -> Talk {
    let mut t = Talk { ports: [40000, s.port], ..Talk::default() };
    t.handshake();
    for (from, bytes) in &s.turns {
        let (seq, ack) = (t.next[*from], t.next[1 - from]);
        let mut parts = Vec::new();
        let (mut at, mut cuts) = (0, m.cuts.iter().cycle());
        while at < bytes.len() {
            let end = (at + cuts.next().copied().unwrap_or(1)).min(bytes.len());
            let back = m.back.get(parts.len() % m.back.len().max(1)).copied().unwrap_or(0);
            parts.push((at.saturating_sub(back), end));
            at = end;
        }
        let n = parts.len();
        m.swaps.iter().for_each(|(a, b)| parts.swap(a % n, b % n));
        m.again.iter().for_each(|a| parts.push(parts[a % n]));
        for (a, b) in parts {
            t.raw(*from, seq.wrapping_add(u32::try_from(a).expect("it is short")), ack, PSH | ACK, &bytes[a..b]);
        }
        t.next[*from] = seq.wrapping_add(u32::try_from(bytes.len()).expect("it is short"));
        t.acknowledge(1 - from);
    }
    t.close();
    t
}

/// Rules that matched, and objects of transactions without order.
fn said(s: &Session, m: &Mangling, settings: Settings) -> (Vec<u32>, Vec<String>) {
    let mut told = mangled(s, m).told(&mut engine(s.rules, settings));
    told.alerts.sort_unstable();
    told.alerts.dedup();
    told.transactions.sort_unstable();
    (told.alerts, told.transactions)
}

#[test]
fn whole_turns_are_found() {
    let whole = Mangling { cuts: vec![100_000], swaps: Vec::new(), again: Vec::new(), back: Vec::new() };
    for s in sessions() {
        for settings in [Settings::default(), inline()] {
            assert_eq!(said(&s, &whole, settings).0, s.matching, "{}", s.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn segments_change_nothing(
        cuts in prop::collection::vec(1usize..40, 1..6),
        swaps in prop::collection::vec((0usize..20, 0usize..20), 0..6),
        again in prop::collection::vec(0usize..20, 0..4),
        back in prop::collection::vec(0usize..6, 0..4),
        inlined in any::<bool>(),
    ) {
        let whole = Mangling { cuts: vec![100_000], swaps: Vec::new(), again: Vec::new(), back: Vec::new() };
        let settings = if inlined { inline() } else { Settings::default() };
        let mangling = Mangling { cuts, swaps, again, back };
        for s in sessions() {
            let (alerts, transactions) = said(&s, &mangling, settings.clone());
            prop_assert_eq!(&alerts, s.matching, "{}", s.name);
            prop_assert_eq!(transactions, said(&s, &whole, settings.clone()).1, "{}", s.name);
        }
    }
}
