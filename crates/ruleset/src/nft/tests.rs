use super::*;
use crate::*;

fn wrap(rule: &str) -> String {
    format!(
        r#"{{"nftables": [{{"table": {{"family": "inet", "name": "t", "handle": 1}}}},
        {{"chain": {{"family": "inet", "table": "t", "name": "c", "handle": 1}}}},
        {{"rule": {{"family": "inet", "table": "t", "chain": "c", "handle": 2, "expr": {rule}}}}}]}}"#
    )
}

fn statements(rule: &str) -> Vec<Statement> {
    read(&wrap(rule)).expect("reads").tables[0].chains[0].rules[0].statements.clone()
}

#[test]
fn a_port_match_says_its_protocol() {
    let s = statements(
        r#"[{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [22, {"range": [80, 90]}]}}}, {"accept": null}]"#,
    );
    assert_eq!(
        s,
        vec![
            Statement::Match { key: Key::L4Proto, mask: None, op: Op::In, values: vec![Value::one(6u8)] },
            Statement::Match { key: Key::Dport, mask: None, op: Op::In, values: vec![Value::one(22u8), Value::Range(80, 90)] },
            Statement::Verdict(Verdict::Accept),
        ]
    );
}

#[test]
fn a_status_bit_is_a_masked_test_and_a_state_is_membership() {
    let s = statements(
        r#"[{"match": {"op": "in", "left": {"ct": {"key": "status"}}, "right": "dnat"}}, {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}]"#,
    );
    assert_eq!(s[0], Statement::Match { key: Key::CtStatus, mask: Some(32), op: Op::NotIn, values: vec![Value::one(0u8)] });
    assert_eq!(s[1], Statement::Match { key: Key::CtState, mask: None, op: Op::In, values: vec![Value::one(2u8), Value::one(4u8)] });
}

#[test]
fn none_of_these_bits_is_a_masked_test_and_of_states_membership() {
    let s = statements(
        r#"[{"match": {"op": "!", "left": {"payload": {"protocol": "tcp", "field": "flags"}}, "right": ["syn", "ack"]}}, {"match": {"op": "!", "left": {"ct": {"key": "state"}}, "right": "new"}}]"#,
    );
    assert_eq!(s[1], Statement::Match { key: Key::TcpFlags, mask: Some(18), op: Op::In, values: vec![Value::one(0u8)] });
    assert_eq!(s[2], Statement::Match { key: Key::CtState, mask: None, op: Op::NotIn, values: vec![Value::one(8u8)] });
}

#[test]
fn what_is_unknown_stays_and_keeps_its_verdict() {
    let s = statements(r#"[{"meta set of tomorrow": {"then": [{"drop": null}]}}, {"accept": null}]"#);
    assert!(matches!(&s[0], Statement::Unknown { text } if text.contains("tomorrow")));
    let Statement::VerdictMap { map: MapRef::Inline(e), .. } = &s[1] else { panic!("{s:?}") };
    assert_eq!(e[0].data, Some(Data::Verdict(Verdict::Drop)));
    assert_eq!(s[2], Statement::Verdict(Verdict::Accept));
}

#[test]
fn a_mask_that_is_written_back_is_the_mark_layout() {
    let s = statements(
        r#"[{"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"|": [{"&": [{"meta": {"key": "mark"}}, 4294902271]}, 256]}}}]"#,
    );
    assert_eq!(s, vec![Statement::SetMark { key: Key::Mark, mask: Some(0xff00), value: Some(0x100) }]);
}

#[test]
fn a_hop_limit_that_is_written_is_a_number_of_eight_bits() {
    let set = |protocol, field, value: u32| {
        statements(&format!(
            r#"[{{"mangle": {{"key": {{"payload": {{"protocol": "{protocol}", "field": "{field}"}}}}, "value": {value}}}}}]"#
        ))
    };
    for (protocol, field, family) in [("ip", "ttl", 2u8), ("ip6", "hoplimit", 10)] {
        let s = set(protocol, field, 255);
        assert_eq!(s[0], Statement::Match { key: Key::NfProto, mask: None, op: Op::In, values: vec![Value::one(family)] });
        assert_eq!(s[1], Statement::SetMark { key: Key::HopLimit, mask: None, value: Some(255) });
    }
    assert!(matches!(&set("ip", "ttl", 256)[..], [Statement::Unknown { .. }]));
    assert!(matches!(&set("ip", "dscp", 1)[..], [Statement::Unknown { .. }]));
}

#[test]
fn errors_name_the_place() {
    assert_eq!(read("{}").expect_err("no list").at, "top level");
    assert!(read("{\n\"nftables\": [}").expect_err("no json").at.starts_with("line 2"));
    let e = read(r#"{"nftables": [{"rule": {"family": "inet", "table": "t", "chain": "c"}}]}"#).expect_err("no table");
    assert_eq!(e.at, "nftables[0].rule");
    assert_eq!(read(&wrap("[7]")).expect_err("no statement").at, "nftables[2].rule.expr[0]");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(read(&deep).is_err());
}

/// JSON of the shapes nft writes, with values that do not fit.
fn shape() -> impl proptest::strategy::Strategy<Value = Json> {
    use proptest::prelude::*;
    let word = prop::sample::select(vec![
        "match", "left", "right", "op", "==", "!=", "in", "payload", "protocol", "field", "ip", "saddr", "tcp", "dport", "flags", "set",
        "elem", "val", "concat", "prefix", "addr", "len", "range", "vmap", "key", "data", "meta", "ct", "state", "limit", "rate", "log",
        "dnat", "map", "mangle", "&", "|", "accept", "jump", "target", "@x", "reject", "fib", "result", "queue", "num", "1.2.3.4", "::1",
        "syn", "mark", "iifname", "xt",
    ]);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        word.clone().prop_map(Json::from)
    ];
    leaf.prop_recursive(5, 48, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map(word.clone().prop_map(str::to_owned), inner, 0..4)
                .prop_map(|m| Json::Object(m.into_iter().collect()))
        ]
    })
}

proptest::proptest! {
    #[test]
    fn no_json_makes_it_panic(rule in shape(), set in shape()) {
        let _ = read(&wrap(&rule.to_string()));
        let _ = read(&wrap(&format!("[{rule}, {{\"match\": {{\"left\": {set}, \"right\": {rule}}}}}, {{\"dnat\": {set}}}, {{\"limit\": {rule}}}]")));
        let whole = serde_json::json!({"nftables": [{"table": {"family": "inet", "name": "t"}}, {"map": {"family": "inet", "table": "t", "name": "m", "type": ["ipv4_addr", "inet_service"], "map": "verdict", "elem": set}}, {"set": rule}]});
        let _ = read(&whole.to_string());
    }

    #[test]
    fn no_text_makes_it_panic(text in ".*") {
        let _ = read(&text);
    }
}
