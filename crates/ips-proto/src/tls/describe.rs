//! The object under `tls` in an event.

use super::{
    EARLY, Tls,
    certificate::{Certificate, date},
    fingerprint,
    hello::Hello,
};
use crate::json::{self, Json};
use std::borrow::Cow;

/// A version by the peer's name.
pub(super) fn version(v: u16) -> Cow<'static, str> {
    Cow::Borrowed(match v {
        0x0002 => "SSLv2",
        0x0300 => "SSLv3",
        0x0301 => "TLSv1",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        EARLY => "TLS 1.3 draft-<16",
        0x7f10..=0x7f1c => return Cow::Owned(format!("TLS 1.3 draft-{}", v & 0xff)),
        0xfb17 => "TLS 1.3 draft-23-fb",
        0xfb1a => "TLS 1.3 draft-26-fb",
        other => return Cow::Owned(format!("0x{other:04x}")),
    })
}

fn certificate(c: &Certificate, j: &mut Json<'_>) {
    j.text("subject", &c.subject).text("issuerdn", &c.issuer);
}

fn rest(c: &Certificate, j: &mut Json<'_>) {
    j.text("serial", &c.serial).text("fingerprint", &c.fingerprint);
}

fn dates(c: &Certificate, j: &mut Json<'_>) {
    j.text("notbefore", date(c.not_before)).text("notafter", date(c.not_after));
}

/// Appends it.
pub(super) fn write(t: &Tls, out: &mut Vec<u8>) {
    let cert = t.sides[1].certificate.as_ref();
    let (client, server) = (t.client(), t.server());
    json::object(out, |j| {
        if let Some(c) = cert {
            certificate(c, j);
            if !c.names.is_empty() {
                j.array("subjectaltname", |j| {
                    for n in &c.names {
                        j.item_text(n);
                    }
                });
            }
        }
        let same = client.zip(server).is_some_and(|(c, s)| !s.session.is_empty() && c.session == s.session && s.supported.is_none());
        if cert.is_none() && same {
            j.boolean("session_resumed", true);
        }
        if let Some(c) = cert {
            rest(c, j);
        }
        j.text_if("sni", client.and_then(|h| h.name.as_deref()));
        if let Some(v) = t.version() {
            j.text("version", &*version(v));
        }
        if let Some(c) = cert {
            dates(c, j);
        }
        if t.fields.ja3 {
            let print = |j: &mut Json<'_>, text: &str| {
                j.text("hash", fingerprint::md5(text)).text("string", text);
            };
            j.object("ja3", |j| {
                if let Some(h) = client {
                    print(j, &fingerprint::ja3(h));
                }
            });
            j.object("ja3s", |j| {
                if let Some(h) = server {
                    print(j, &fingerprint::ja3s(h));
                }
            });
        }
        if let (true, Some(h)) = (t.fields.ja4, client) {
            j.text("ja4", fingerprint::ja4(h, false));
        }
        for (name, hello) in [("client_alpns", client), ("server_alpns", server)] {
            if let Some(h) = hello.filter(|h| !h.alpn.is_empty()) {
                j.array(name, |j| {
                    for a in &h.alpn {
                        j.item_text(a);
                    }
                });
            }
        }
        if let Some(c) = &t.sides[0].certificate {
            j.object("client", |j| {
                certificate(c, j);
                rest(c, j);
                dates(c, j);
            });
        }
        handshakes(client.filter(|_| t.fields.client_handshake), server.filter(|_| t.fields.server_handshake), j);
    });
}

fn handshakes(client: Option<&Hello>, server: Option<&Hello>, j: &mut Json<'_>) {
    let list = |j: &mut Json<'_>, name: &str, values: &[u16]| {
        j.array(name, |j| {
            for v in values {
                j.item_number(*v);
            }
        });
    };
    if let Some(h) = client {
        j.object("client_handshake", |j| {
            j.text("version", &*version(h.supported.unwrap_or(h.version)));
            list(j, "ciphers", &h.ciphers);
            list(j, "exts", &h.extensions);
            list(j, "sig_algs", &h.signatures);
        });
    }
    if let Some(h) = server {
        j.object("server_handshake", |j| {
            j.text("version", &*version(h.spoken()));
            if let Some(c) = h.ciphers.first() {
                j.number("cipher", *c);
            }
            list(j, "exts", &h.extensions);
        });
    }
}
