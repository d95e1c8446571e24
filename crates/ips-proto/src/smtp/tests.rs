use super::*;
use crate::settings::Settings;
use proptest::prelude::*;

fn smtp() -> Smtp {
    Smtp::new(Settings::new(false).mail)
}

const MAIL: &str = "From: a <a@x.org>\r\nTo: b@x.org, c@x.org\r\nSubject: one\r\n two\r\nReceived: r1\r\nReceived: r2\r\nContent-Type: multipart/mixed;\r\n \
    boundary=\"=b\"\r\n\r\npreamble\r\n--=b\r\nContent-Type: text/plain\r\n\r\nsee http://Evil.org/x.exe now\r\n..dot\r\n--=b\r\n\
    Content-Disposition: attachment; filename=\"f.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8gd29y\r\nbGQ=\r\n--=b\r\n\
    Content-Type: x; name=q\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db=\r\nc\r\n--=b--\r\n.\r\n";

fn dialogue() -> Vec<(Toward, String)> {
    use Toward::{Client as C, Server as S};
    let t = |s: &str| s.to_owned();
    vec![
        (C, t("220 x ESMTP\r\n")),
        (S, t("EHLO me\r\n")),
        (C, t("250-x\r\n250 PIPELINING\r\n")),
        (S, t("MAIL FROM:<a@x.org> SIZE=3\r\nRCPT TO: <b@x.org>\r\nRCPT TO:<c@x.org>\r\nDATA\r\n")),
        (C, t("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")),
        (S, t(MAIL)),
        (C, t("250 queued\r\n")),
        (S, t("QUIT\r\n")),
        (C, t("221 bye\r\n")),
    ]
}

fn talk(p: &mut Smtp, cuts: &[usize]) {
    for (side, text) in dialogue() {
        let mut rest = text.as_bytes();
        for c in cuts {
            let (a, b) = rest.split_at((*c).min(rest.len()));
            p.feed(side, Input::Bytes(a));
            rest = b;
        }
        p.feed(side, Input::Bytes(rest));
    }
}

fn text(t: &dyn Transaction, b: Buffer, index: usize) -> Option<String> {
    t.piece(b, Toward::Server, index, &mut Vec::new()).map(|p| String::from_utf8_lossy(p.bytes).into_owned())
}

fn event(t: &dyn Transaction) -> serde_json::Value {
    let mut out = b"{\"smtp\":".to_vec();
    t.describe(&mut out);
    t.beside(&mut out);
    out.push(b'}');
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn a_mail_with_files_and_links() {
    let mut p = smtp();
    talk(&mut p, &[]);
    assert_eq!(p.count(), 1);
    let t = p.get(0);
    assert!(t.done(Toward::Server));
    let expected = [
        (Buffer::SmtpHelo, 0, Some("me")),
        (Buffer::SmtpMailFrom, 0, Some("<a@x.org>")),
        (Buffer::SmtpRcptTo, 1, Some("<c@x.org>")),
        (Buffer::EmailSubject, 0, Some("one two")),
        (Buffer::EmailReceived, 1, Some("r2")),
        (Buffer::EmailUrl, 0, Some("evil.org/x.exe")),
        (Buffer::FileName, 0, Some("f.bin")),
        (Buffer::FileData, 0, Some("hello world")),
        (Buffer::FileData, 1, Some("a=bc\r\n")),
        (Buffer::FileName, 2, None),
        (Buffer::EmailCc, 0, None),
    ];
    for (b, i, want) in expected {
        assert_eq!(text(t, b, i).as_deref(), want, "{b:?} {i}");
    }
    assert_eq!(t.file(Toward::Server, 0).unwrap().state, FileState::Closed);
    assert_eq!(t.events(), [""; 0]);
    let e = event(t);
    assert_eq!(e["email"]["to"], serde_json::json!(["b@x.org", "c@x.org"]));
    assert_eq!(e["email"]["attachment"], serde_json::json!(["f.bin", "q"]));
    assert_eq!(e["email"]["status"], "PARSE_DONE");
    assert_eq!(e["smtp"], serde_json::json!({"helo": "me", "mail_from": "<a@x.org>", "rcpt_to": ["<b@x.org>", "<c@x.org>"]}));
}

#[test]
fn starttls_hands_over() {
    let mut p = smtp();
    p.feed(Toward::Client, Input::Bytes(b"220 x\r\n"));
    p.feed(Toward::Server, Input::Bytes(b"STARTTLS\r\n"));
    assert_eq!(p.feed(Toward::Client, Input::Bytes(b"220 go\r\n\x16")), Step::Becomes(Some(App::Tls), 1));
    let mut p = smtp();
    p.feed(Toward::Client, Input::Bytes(b"220 x\r\n"));
    p.feed(Toward::Server, Input::Bytes(b"STARTTLS\r\n"));
    assert_eq!(p.feed(Toward::Client, Input::Bytes(b"454 no\r\n")), Step::Going);
    assert_eq!(p.get(0).events(), ["smtp.tls_rejected"]);
}

#[test]
fn chunks_are_mail_too() {
    let mut p = smtp();
    p.feed(
        Toward::Server,
        Input::Bytes(b"EHLO me\r\nMAIL FROM:<a>\r\nBDAT 14\r\nSubject: x\r\n\r\nBDAT 4 LAST\r\nhi\r\nMAIL FROM:<b>\r\n"),
    );
    p.feed(Toward::Client, Input::Bytes(b"250 a\r\n250 b\r\n250 c\r\n250 d\r\n"));
    assert_eq!(text(p.get(0), Buffer::EmailSubject, 0).as_deref(), Some("x"));
    // What follows the last chunk is another mail, answered or not.
    assert_eq!(text(p.get(1), Buffer::SmtpMailFrom, 0).as_deref(), Some("<b>"));
}

#[test]
fn what_is_unusual_is_named() {
    let mut p = smtp();
    p.feed(Toward::Client, Input::Bytes(b"220 x\r\n"));
    p.feed(Toward::Server, Input::Bytes(b"HELO me\r\n"));
    p.feed(Toward::Client, Input::Bytes(b"250 x\r\nwhat\r\n250 x\r\n"));
    p.feed(Toward::Server, Input::Bytes(&[b'x'; 5000]));
    p.feed(Toward::Server, Input::Bytes(b"\r\n"));
    assert_eq!(p.get(0).events(), ["smtp.invalid_reply", "smtp.unable_to_match_reply_with_request", "smtp.max_command_line_len_exceeded"]);
}

proptest! {
    #[test]
    fn cuts_change_nothing(cuts in proptest::collection::vec(1usize..40, 0..60)) {
        let (mut whole, mut cut) = (smtp(), smtp());
        talk(&mut whole, &[]);
        talk(&mut cut, &cuts);
        prop_assert_eq!(event(whole.get(0)), event(cut.get(0)));
        for i in 0..2 {
            prop_assert_eq!(text(whole.get(0), Buffer::FileData, i), text(cut.get(0), Buffer::FileData, i));
        }
        prop_assert_eq!(text(whole.get(0), Buffer::EmailBodyMd5, 0), text(cut.get(0), Buffer::EmailBodyMd5, 0));
    }

    #[test]
    fn anything_goes(parts in proptest::collection::vec((any::<bool>(), "(DATA|BDAT 9|MAIL FROM:|354|250|--b|Content-Type: multipart/x; boundary=b|=|[ -~]|\r\n){0,30}"), 0..8)) {
        let mut p = smtp();
        for (up, text) in &parts {
            p.feed(if *up { Toward::Server } else { Toward::Client }, Input::Bytes(text.as_bytes()));
        }
        p.feed(Toward::Server, Input::End);
        for i in 0..p.count() {
            event(p.get(i));
        }
    }
}
