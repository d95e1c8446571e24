use super::*;
use crate::trial::{events, talk};
use proptest::prelude::*;

const CONNECT: &[u8] = b"\x10\x16\x00\x04MQTT\x05\xc2\x00\x3c\x03\x21\x00\x14\x00\x00\x00\x01u\x00\x01p";
const CONNACK: &[u8] = b"\x20\x03\x00\x00\x00";
const PUBLISH: &[u8] = b"\x32\x0a\x00\x02tt\x00\x07\x00abc";
const PUBACK: &[u8] = b"\x40\x02\x00\x07";
const PINGREQ: &[u8] = b"\xc0\x00";

fn fed(cut: usize) -> Mqtt {
    use Toward::{Client as C, Server as S};
    let mut p = Mqtt::new(Limits::default());
    talk(&mut p, [(S, CONNECT), (C, CONNACK), (S, PUBLISH), (C, PUBACK), (S, PINGREQ)], cut);
    p
}

#[test]
fn exchanges_have_their_answers() {
    let p = fed(1000);
    let e = events(&p);
    assert_eq!(e.len(), 3);
    assert_eq!((e[0]["connect"]["username"].as_str(), e[0]["connect"]["properties"]["receive_maximum"].as_u64()), (Some("u"), Some(20)));
    assert_eq!((e[0]["connack"]["return_code"].as_u64(), e[1]["publish"]["message"].as_str()), (Some(0), Some("abc")));
    assert_eq!(e[1]["puback"], serde_json::json!({"qos": 0, "retain": false, "dup": false, "message_id": 7, "reason_code": 0}));
    let connect = p.get(0);
    assert_eq!(connect.named("mqtt.connect.flags", "username, !will"), Some(true));
    assert_eq!((connect.named("mqtt.type", "CONNACK"), connect.named("mqtt.type", "PUBLISH")), (Some(true), Some(false)));
    assert_eq!(connect.quantity(Quantity::MqttReason, Toward::Server, 0), Some(0));
    assert!(p.get(1).events().is_empty());
}

#[test]
fn what_is_not_introduced_or_too_long_is_told() {
    let mut p = Mqtt::new(Limits { packet: 5, ..Limits::default() });
    p.feed(Toward::Server, Input::Bytes(PINGREQ));
    p.feed(Toward::Server, Input::Bytes(PUBLISH));
    p.feed(Toward::Server, Input::Bytes(&[0, 0]));
    assert_eq!(p.get(0).events(), ["mqtt.unintroduced_message"]);
    assert_eq!(events(&p)[1]["publish"]["skipped_length"], 12);
    assert_eq!(p.get(2).events(), ["mqtt.unassigned_msg_type"]);
    assert_eq!(Mqtt::new(Limits::default()).feed(Toward::Server, Input::Bytes(&[0x10, 0xff, 0xff, 0xff, 0xff])), Step::Failed);
}

proptest! {
    #[test]
    fn cuts_change_nothing(cut in 1usize..40) {
        prop_assert_eq!(events(&fed(1000)), events(&fed(cut)));
    }

    #[test]
    fn anything_goes(packets in proptest::collection::vec((any::<bool>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..12), five: bool) {
        let mut p = Mqtt::new(Limits::default());
        if five {
            p.feed(Toward::Server, Input::Bytes(CONNECT));
        }
        for (up, first, body) in packets {
            let bytes = [&[first, u8::try_from(body.len()).unwrap()][..], &body].concat();
            p.feed(if up { Toward::Server } else { Toward::Client }, Input::Bytes(&bytes));
        }
        p.feed(Toward::Server, Input::End);
        events(&p);
    }
}
