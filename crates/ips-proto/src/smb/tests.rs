use super::*;
use crate::trial::{self, events};
use ips_rules::buffer::Buffer;
use proptest::prelude::*;

fn session(message: &[u8]) -> Vec<u8> {
    let n = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0, n[1], n[2], n[3]], message].concat()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn two(command: u16, key: u64, answer: bool, body: &[u8]) -> Vec<u8> {
    let mut m = b"\xfeSMB\x40\0\0\0".to_vec();
    m.extend(0u32.to_le_bytes());
    m.extend(command.to_le_bytes());
    m.extend([0; 2]);
    m.extend(u32::from(answer).to_le_bytes());
    m.extend(0u32.to_le_bytes());
    m.extend(key.to_le_bytes());
    m.extend([0; 4]);
    m.extend(1u32.to_le_bytes());
    m.extend(9u64.to_le_bytes());
    m.extend([0; 16]);
    m.extend_from_slice(body);
    session(&m)
}

const GUID: [u8; 16] = [7; 16];

/// A file is opened, written in two pieces, read, and closed.
fn talk() -> Vec<(Toward, Vec<u8>)> {
    use Toward::{Client as C, Server as S};
    let share = wide("\\\\s\\c$");
    let name = wide("a.txt");
    let tree = [&[9, 0, 0, 0, 72, 0][..], &u16::try_from(share.len()).unwrap().to_le_bytes(), &share].concat();
    let create = [
        &[57, 0][..],
        &[0; 34],
        &1u32.to_le_bytes(),
        &0u32.to_le_bytes(),
        &120u16.to_le_bytes(),
        &u16::try_from(name.len()).unwrap().to_le_bytes(),
        &[0; 8],
        &name,
    ]
    .concat();
    let created = [&[89, 0][..], &[0; 6], &[0; 32], &[0; 8], &3000u64.to_le_bytes(), &[0; 8], &GUID, &[0; 8]].concat();
    let write = |at: u64, data: &[u8]| {
        let head = [&[49, 0, 112, 0][..], &u32::try_from(data.len()).unwrap().to_le_bytes(), &at.to_le_bytes(), &GUID, &[0; 16]].concat();
        [&head[..], data].concat()
    };
    let read = [&[49, 0, 0, 0][..], &3u32.to_le_bytes(), &0u64.to_le_bytes(), &GUID, &[0; 17]].concat();
    let got = [&[17, 0, 80, 0][..], &3u32.to_le_bytes(), &[0; 8], b"got"].concat();
    let close = [&[24, 0][..], &[0; 6], &GUID].concat();
    vec![
        (S, two(3, 1, false, &tree)),
        (C, two(3, 1, true, &[16, 0, 1, 0, 0, 0, 0, 0])),
        (S, two(5, 2, false, &create)),
        (C, two(5, 2, true, &created)),
        (S, two(9, 3, false, &write(0, &[b'x'; 2000]))),
        (S, two(9, 4, false, &write(2000, b"end"))),
        (S, two(8, 5, false, &read)),
        (C, two(8, 5, true, &got)),
        (S, two(6, 6, false, &close)),
        (C, two(6, 6, true, &[60, 0])),
    ]
}

fn fed(cut: usize) -> Smb {
    let mut p = Smb::new(crate::Settings::default().files);
    trial::talk(&mut p, talk().iter().map(|(t, b)| (*t, b.as_slice())), cut);
    p
}

#[test]
fn files_come_out_of_reads_and_writes() {
    let p = fed(10_000);
    let e = events(&p);
    let commands: Vec<&str> = e.iter().map(|e| e["command"].as_str().unwrap().trim_start_matches("SMB2_COMMAND_")).collect();
    assert_eq!(commands, ["TREE_CONNECT", "CREATE", "WRITE", "READ", "CLOSE"]);
    assert_eq!((e[0]["share"].as_str(), e[1]["filename"].as_str(), e[1]["size"].as_u64()), (Some("\\\\s\\c$"), Some("a.txt"), Some(3000)));
    let file = p.get(2).file(Toward::Server, 0).unwrap();
    assert_eq!((file.name, file.size, file.state), (&b"a.txt"[..], 2003, crate::FileState::Closed));
    let mut room = Vec::new();
    assert_eq!(p.get(3).piece(Buffer::FileData, Toward::Client, 0, &mut room).unwrap().bytes, b"got");
    assert!(p.get(2).piece(Buffer::SmbShare, Toward::Server, 0, &mut Vec::new()).is_none());
    assert_eq!(p.get(0).piece(Buffer::SmbShare, Toward::Server, 0, &mut Vec::new()).unwrap().bytes, "\\\\s\\c$".as_bytes());
}

#[test]
fn what_overlaps_is_told_and_what_comes_early_waits() {
    let mut f = Carried::new(Toward::Server, GUID, "n", 0, crate::Settings::default().files);
    assert!(!f.push(3, b"def") && !f.push(0, b"abc"));
    assert_eq!(f.body.piece().unwrap().bytes, b"abcdef");
    assert!(f.push(4, b"XXX"));
    assert_eq!(f.body.piece().unwrap().bytes, b"abcdefX");
}

#[test]
fn after_a_gap_the_next_message_is_found() {
    let mut p = Smb::new(crate::Settings::default().files);
    let all = talk();
    p.feed(Toward::Server, Input::Bytes(&all[0].1[..20]));
    p.feed(Toward::Server, Input::Gap(60));
    p.feed(Toward::Server, Input::Bytes(b"rubbish"));
    p.feed(Toward::Server, Input::Bytes(&all[2].1));
    assert_eq!(events(&p)[0]["filename"], "a.txt");
}

proptest! {
    #[test]
    fn cuts_change_nothing(cut in 1usize..400) {
        prop_assert_eq!(events(&fed(10_000)), events(&fed(cut)));
    }

    #[test]
    fn anything_goes(messages in proptest::collection::vec((any::<bool>(), any::<bool>(), 0u8..0xb0, proptest::collection::vec(any::<u8>(), 0..120)), 0..12)) {
        let mut p = Smb::new(crate::Settings::default().files);
        for (up, second, command, body) in messages {
            let toward = if up { Toward::Server } else { Toward::Client };
            let bytes = if second {
                two(u16::from(command % 20), 1, !up, &body)
            } else {
                let mut m = b"\xffSMB".to_vec();
                m.push(command);
                m.extend([0, 0, 0, 0, if up { 0 } else { 0x80 }, 0, 0xc0]);
                m.extend([0; 20]);
                m.extend_from_slice(&body);
                session(&m)
            };
            p.feed(toward, Input::Bytes(&bytes));
            for i in 0..p.count() {
                let _ = p.get(i).file(toward, 0);
            }
            p.looked(toward);
        }
        p.feed(Toward::Server, Input::Gap(3));
        p.feed(Toward::Server, Input::End);
        p.feed(Toward::Client, Input::End);
        events(&p);
    }
}
