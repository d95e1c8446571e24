//! The object under `http` in an event.

use super::exchange::{Exchange, Text};
use crate::json;

/// Appends it.
pub(super) fn write(e: &Exchange, out: &mut Vec<u8>) {
    let (request, response) = (&e.request.texts, &e.response.texts);
    json::object(out, |j| {
        j.text_if("hostname", request.get(Text::Host));
        if let Some(port) = e.port {
            j.number("http_port", port);
        }
        j.text_if("url", request.get(Text::Rest));
        j.text_if("http_user_agent", request.header("User-Agent"));
        let kind = response.header("Content-Type").map(|t| t.split(|b| *b == b';').next().unwrap_or_default());
        j.text_if("http_content_type", kind);
        if let Some(range) = response.header("Content-Range") {
            j.object("content_range", |j| {
                j.text("raw", range);
                if let Some((start, end, size)) = parts(range) {
                    j.number("start", start).number("end", end);
                    if let Some(size) = size {
                        j.number("size", size);
                    }
                }
            });
        }
        j.text_if("http_refer", request.header("Referer"));
        j.text_if("http_method", request.get(Text::Word));
        j.text_if("protocol", request.get(Text::Protocol));
        if let Some(status) = e.status {
            j.number("status", status);
            // 301 to 308 name another place.
            if status > 300 && status < 309 {
                j.text_if("redirect", response.header("Location"));
            }
        }
        j.number("length", e.length);
    });
}

/// `bytes 0-99/200`.
fn parts(range: &[u8]) -> Option<(u64, u64, Option<u64>)> {
    let text = std::str::from_utf8(range).ok()?;
    let rest = text.trim_start().strip_prefix("bytes")?.trim_start();
    let (span, size) = rest.split_once('/')?;
    let (start, end) = span.split_once('-')?;
    Some((start.trim().parse().ok()?, end.trim().parse().ok()?, size.trim().parse().ok()))
}
