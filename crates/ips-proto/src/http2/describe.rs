//! The object under `http` in an event of HTTP/2.

use super::{Note, Stream};
use crate::{
    http::Text,
    json::{self, Json},
};

/// A frame's kind by the peer's name.
pub(super) fn kind(n: u8) -> Option<&'static str> {
    const NAMES: [&str; 10] =
        ["DATA", "HEADERS", "PRIORITY", "RSTSTREAM", "SETTINGS", "PUSHPROMISE", "PING", "GOAWAY", "WINDOWUPDATE", "CONTINUATION"];
    NAMES.get(usize::from(n)).copied()
}

/// An error by the peer's name.
pub(super) fn error(n: u32) -> Option<&'static str> {
    const NAMES: [&str; 14] = [
        "NOERROR",
        "PROTOCOLERROR",
        "INTERNALERROR",
        "FLOWCONTROLERROR",
        "SETTINGSTIMEOUT",
        "STREAMCLOSED",
        "FRAMESIZEERROR",
        "REFUSEDSTREAM",
        "CANCEL",
        "COMPRESSIONERROR",
        "CONNECTERROR",
        "ENHANCEYOURCALM",
        "INADEQUATESECURITY",
        "HTTP11REQUIRED",
    ];
    NAMES.get(usize::try_from(n).ok()?).copied()
}

fn setting(n: u16) -> Option<&'static str> {
    const NAMES: [&str; 6] = [
        "SETTINGSHEADERTABLESIZE",
        "SETTINGSENABLEPUSH",
        "SETTINGSMAXCONCURRENTSTREAMS",
        "SETTINGSINITIALWINDOWSIZE",
        "SETTINGSMAXFRAMESIZE",
        "SETTINGSMAXHEADERLISTSIZE",
    ];
    NAMES.get(usize::from(n).checked_sub(1)?).copied()
}

/// Appends it.
pub(super) fn write(s: &Stream, out: &mut Vec<u8>) {
    let (request, response) = (&s.exchange.request.texts, &s.exchange.response.texts);
    json::object(out, |j| {
        j.text("version", "2");
        for (name, side) in [("request_headers", 0), ("response_headers", 1)] {
            headers(s, side, name, j);
        }
        j.text_if("hostname", request.get(Text::Host));
        j.text_if("http_method", request.get(Text::Word));
        j.text_if("url", request.get(Text::Rest));
        j.text_if("http_user_agent", request.header("user-agent"));
        j.text_if("http_refer", request.header("referer"));
        let media = response.header("content-type").map(|t| t.split(|b| *b == b';').next().unwrap_or_default());
        j.text_if("http_content_type", media);
        if let Some(status) = s.exchange.status {
            j.number("status", status);
        }
        if s.exchange.length > 0 {
            j.number("length", s.exchange.length);
        }
        j.object("http2", |j| {
            j.number("stream_id", s.number);
            for (name, side) in [("request", 0), ("response", 1)] {
                j.object(name, |j| notes(&s.notes[side], j));
            }
        });
    });
}

fn headers(s: &Stream, side: usize, name: &str, j: &mut Json<'_>) {
    let sizes = || s.notes[side].iter().filter_map(|n| if let Note::Size(n) = n { Some(*n) } else { None });
    if s.headers[side].is_empty() && sizes().next().is_none() {
        return;
    }
    j.array(name, |j| {
        for n in sizes() {
            j.item_object(|j| {
                j.number("table_size_update", n);
            });
        }
        for (n, v) in &s.headers[side] {
            j.item_object(|j| {
                j.text("name", n).text("value", v);
            });
        }
    });
}

fn notes(list: &[Note], j: &mut Json<'_>) {
    if list.iter().any(|n| matches!(n, Note::Setting(..))) {
        j.array("settings", |j| {
            for n in list {
                if let Note::Setting(id, value) = n {
                    j.item_object(|j| {
                        match setting(*id) {
                            Some(name) => j.text("settings_id", name),
                            None => j.text("settings_id", format!("SETTINGSUNKNOWN({id})")),
                        };
                        j.number("settings_value", *value);
                    });
                }
            }
        });
    }
    for n in list {
        match n {
            Note::Error(e) => match error(*e) {
                Some(name) => {
                    j.text("error_code", name);
                    break;
                }
                None => {
                    j.number("error_code", *e);
                    break;
                }
            },
            Note::Priority(p) => {
                j.number("priority", *p);
                break;
            }
            _ => {}
        }
    }
}
