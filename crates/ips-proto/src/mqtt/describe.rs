//! The object under `mqtt` in an event: one member for each packet of the exchange.

use super::{
    Exchange, Limits,
    packet::{self, Body, Packet, Properties, Value},
};
use crate::json::{self, Json};

/// Appends it.
pub(super) fn write(e: &Exchange, out: &mut Vec<u8>) {
    json::object(out, |j| {
        for p in &e.packets {
            j.object(&packet::name(p.kind).to_ascii_lowercase(), |j| one(p, e.limits, j));
        }
    });
}

/// A property's name (version 5, 2.2.2.2).
fn named(kind: u8) -> &'static str {
    match kind {
        1 => "payload_format_indicator",
        2 => "message_expiry_interval",
        3 => "content_type",
        8 => "response_topic",
        9 => "correlation_data",
        11 => "subscription_identifier",
        17 => "session_expiry_interval",
        18 => "assigned_client_identifier",
        19 => "server_keep_alive",
        21 => "authentication_method",
        22 => "authentication_data",
        23 => "request_problem_information",
        24 => "will_delay_interval",
        25 => "request_response_information",
        26 => "response_information",
        28 => "server_reference",
        31 => "reason_string",
        33 => "receive_maximum",
        34 => "topic_alias_maximum",
        35 => "topic_alias",
        36 => "maximum_qos",
        37 => "retain_available",
        39 => "maximum_packet_size",
        40 => "wildcard_subscription_available",
        41 => "subscription_identifiers_available",
        _ => "shared_subscription_available",
    }
}

/// A text as far as events tell it, and how much more there is.
fn limited(text: &[u8], limits: Limits) -> Vec<u8> {
    if text.len() <= limits.text {
        return text.to_vec();
    }
    let more = text.len() - limits.text;
    [&text[..limits.text], format!("[truncated {more} additional bytes]").as_bytes()].concat()
}

fn properties(list: &Properties, limits: Limits, j: &mut Json<'_>) {
    if list.is_empty() {
        return;
    }
    j.object("properties", |j| {
        for (kind, value) in list {
            match value {
                Value::Number(n) => j.number(named(*kind), *n),
                Value::Text(t) => j.text(named(*kind), limited(t, limits)),
                Value::Pair(k, v) => j.text(&String::from_utf8_lossy(&limited(k, limits)), limited(v, limits)),
            };
        }
    });
}

fn one(p: &Packet, limits: Limits, j: &mut Json<'_>) {
    j.number("qos", p.quality).boolean("retain", p.retain).boolean("dup", p.again);
    if let Some(length) = p.cut {
        j.boolean("truncated", true).number("skipped_length", length as u64);
        return;
    }
    match &p.body {
        Body::Connect { protocol, version, client, user, password, will, .. } => {
            j.text("protocol_string", protocol).number("protocol_version", *version);
            j.object("flags", |j| {
                for name in ["username", "password", "will_retain", "will", "clean_session"] {
                    j.boolean(name, p.flag(name) == Some(true));
                }
            });
            j.text("client_id", limited(client, limits));
            j.text_if("username", user.as_ref().map(|t| limited(t, limits)));
            j.text_if("password", password.as_ref().filter(|_| limits.passwords).map(|t| limited(t, limits)));
            if let Some((topic, message, of_will)) = will {
                j.object("will", |j| {
                    j.text("topic", limited(topic, limits)).text("message", limited(message, limits));
                    properties(of_will, limits, j);
                });
            }
        }
        Body::Connack { session, code } => {
            j.boolean("session_present", *session).number("return_code", *code);
        }
        Body::Publish { topic, id, message } => {
            j.text("topic", limited(topic, limits));
            if let Some(id) = id {
                j.number("message_id", *id);
            }
            j.text("message", limited(message, limits));
        }
        Body::Confirm { id, reason } => {
            j.number("message_id", *id);
            if let Some(r) = reason {
                j.number("reason_code", *r);
            }
        }
        Body::Subscribe { id, topics } => {
            j.number("message_id", *id);
            j.array("topics", |j| {
                for (topic, quality) in topics {
                    j.item_object(|j| {
                        j.text("topic", limited(topic, limits)).number("qos", *quality);
                    });
                }
            });
        }
        Body::Acknowledge { id, codes } => {
            j.number("message_id", *id);
            let key = if p.kind == packet::SUBACK { "qos_granted" } else { "reason_codes" };
            if !codes.is_empty() {
                j.array(key, |j| {
                    for c in codes {
                        j.item_number(*c);
                    }
                });
            }
        }
        Body::Unsubscribe { id, topics } => {
            j.number("message_id", *id);
            j.array("topics", |j| {
                for topic in topics {
                    j.item_text(limited(topic, limits));
                }
            });
        }
        Body::Reason(reason) => {
            if let Some(r) = reason {
                j.number("reason_code", *r);
            }
        }
        Body::Nothing => {}
    }
    properties(&p.properties, limits, j);
}
