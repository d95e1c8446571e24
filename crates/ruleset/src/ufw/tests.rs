use super::*;
use proptest::prelude::*;

const FILE: &str = "*filter\n:ufw-user-input - [0:0]\n:ufw-user-output - [0:0]\n:ufw-user-forward - [0:0]\n:ufw-logging-deny - [0:0]\n### RULES ###\n\n\
### tuple ### allow tcp 22 0.0.0.0/0 any 10.0.0.0/8 in\n-A ufw-user-input -p tcp --dport 22 -s 10.0.0.0/8 -j ACCEPT\n\n\
### tuple ### allow any 53 0.0.0.0/0 any 0.0.0.0/0 out comment=6f7572\n-A ufw-user-output -p tcp --dport 53 -j ACCEPT\n-A ufw-user-output -p udp --dport 53 -j ACCEPT\n\n\
### END RULES ###\n\n### LOGGING ###\n-A ufw-logging-deny -j LOG --log-prefix \"[UFW BLOCK] \"\n-I ufw-logging-deny -m conntrack --ctstate INVALID -j RETURN\n### END LOGGING ###\nCOMMIT\n";

fn block(ids: &[&str]) -> String {
    let entry = |id: &&str| Entry {
        line: 0,
        tuple: "allow tcp 1234 10.0.0.1 any 0.0.0.0/0 in".into(),
        comment: Some(format!("{MARK}{id} lotus.api")),
        rules: vec!["-A ufw-user-input -p tcp -d 10.0.0.1 --dport 1234 -j ACCEPT".into()],
    };
    text(ids.iter().map(entry).collect::<Vec<_>>().iter())
}

#[test]
fn rules_are_found_with_their_lines_and_owners() {
    let all = entries(FILE);
    assert_eq!(all.iter().map(|e| (e.line, e.rules.len())).collect::<Vec<_>>(), [(8, 1), (11, 2)]);
    assert_eq!((all[1].comment.as_deref(), all[1].owned()), (Some("our"), None));
    let merged = merge(FILE, &block(&["f0000001"])).expect("a file of UFW's");
    assert_eq!(entries(&merged)[2].owned(), Some("f0000001"));
}

#[test]
fn the_block_is_replaced_where_it_stands_and_all_else_stays() {
    let once = merge(FILE, &block(&["f0000001", "f0000002"])).expect("merges");
    assert_eq!(merge(&once, &block(&["f0000001", "f0000002"])).as_deref(), Some(once.as_str()), "the same again");
    assert_eq!(merge(&once, "").as_deref(), Some(FILE), "taken out");
    assert_eq!(owned(&once), block(&["f0000001", "f0000002"]));
    // What the operator adds later stands behind, and stays there.
    let later = once.replace(
        "\n### END RULES",
        "\n### tuple ### allow tcp 9 0.0.0.0/0 any 0.0.0.0/0 in\n-A ufw-user-input -p tcp --dport 9 -j ACCEPT\n\n### END RULES",
    );
    let again = merge(&later, &block(&["f0000003"])).expect("merges");
    let order: Vec<_> =
        entries(&again).iter().map(|e| e.owned().map_or(e.tuple.split(' ').nth(2).unwrap_or("").to_owned(), str::to_owned)).collect();
    assert_eq!(order, ["22", "53", "f0000003", "9"]);
    assert_eq!(merge("nothing of UFW's", ""), None);
}

#[test]
fn a_file_is_read_with_ids_and_lines() {
    let merged = merge(FILE, &block(&["f0000001"])).expect("merges");
    let tables = read(&merged, Family::V4, "user.rules").expect("reads");
    let ids = |c: &str| tables[0].chain(c).expect("chain").rules.iter().map(|r| r.id.clone().unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!(ids("ufw-user-input"), ["user.rules:8", "f0000001"]);
    assert_eq!(ids("ufw-user-output"), ["user.rules:11", "user.rules:11"]);
    let deny = tables[0].chain("ufw-logging-deny").expect("chain");
    assert!(deny.rules[0].text.as_deref().is_some_and(|t| t.contains("RETURN")), "inserted in front");
}

#[test]
fn a_block_holds_nothing_of_others() {
    assert_eq!(foreign(&block(&["f0000001"]), Family::V4), None);
    let bad = |a: &str, b: &str| foreign(&block(&["f0000001"]).replace(a, b), Family::V4);
    assert!(foreign(&block(&["f0000001"]), Family::V6).is_some(), "the other family's chains");
    assert!(bad("ufw-user-input", "INPUT").is_some());
    assert!(bad("ufw-user-input", "ufw-before-input").is_some());
    assert!(bad("-j ACCEPT", "-j DNAT --to 1.2.3.4").is_some());
    assert!(bad("-j ACCEPT", "-j ACCEPT\nCOMMIT\n*nat").is_some());
    assert!(bad("comment=72", "comment=73").is_some(), "not marked");
    assert!(bad("-j ACCEPT", "-j ACCEPT -g INPUT").is_some());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(### tuple ###| comment=|[0-9a-f]{1,3}|é|-A ufw-user-input|### RULES ###|### END RULES ###|\n){0,20}") {
        let _ = (entries(&text), merge(&text, &block(&["f0000001"])), foreign(&text, Family::V4), read(&text, Family::V6, "user6.rules"));
    }

    #[test]
    fn what_is_others_survives_any_merge(order in proptest::collection::vec(any::<bool>(), 0..8)) {
        let mut middle = String::new();
        for (n, ours) in order.iter().enumerate() {
            let comment = if *ours { format!("{MARK}f{n:07}") } else { format!("x{n}") };
            middle += &text([&Entry { line: 0, tuple: format!("allow tcp {n} 0.0.0.0/0 any 0.0.0.0/0 in"), comment: Some(comment), rules: vec![format!("-A ufw-user-input -p tcp --dport {n} -j ACCEPT")] }]);
        }
        let file = format!("*filter\n### RULES ###\n{middle}\n### END RULES ###\nCOMMIT\n");
        let merged = merge(&file, &block(&["f0000009"])).expect("merges");
        let others = |t: &str| entries(t).into_iter().filter(|e| e.owned().is_none()).map(|e| (e.tuple, e.comment, e.rules)).collect::<Vec<_>>();
        prop_assert_eq!(others(&merged), others(&file));
        prop_assert_eq!(owned(&merged), block(&["f0000009"]));
        prop_assert_eq!(merge(&merged, &block(&["f0000009"])).expect("merges"), merged);
    }
}
