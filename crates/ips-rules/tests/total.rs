//! The reader is total: no text makes it panic, and what it takes it takes again from the same text.

use ips_rules::{Set, Tables, explain, keyword};
use proptest::prelude::*;
use words::SourceFile;

fn read(text: &str) -> Set {
    Set::read(&[SourceFile::new("x.rules", text)], &Tables::default())
}

/// Values that keywords take, and near ones.
const VALUES: [&str; 24] = [
    "",
    "1",
    "-1",
    "\"a|20|\"",
    "!\"x\"",
    "a,b",
    "1<>9",
    ">5",
    "only",
    "1,2",
    "relative",
    "\"/a(b)/Ri\"",
    "set,a",
    "isset,a|b",
    "4,>,1,0,relative",
    "2,0,var",
    "bytes 1, offset 0, oper +, rvalue 2, result r",
    "type limit, track by_src, count 1, seconds 2",
    "to_server,established",
    "set,a,track ip_src,expire 9",
    "n,+,1",
    "server,>,9",
    "99999999999999999999",
    "é\u{fffd}",
];

fn option() -> impl Strategy<Value = String> {
    let names = keyword::taken();
    (proptest::sample::select(names), proptest::sample::select(&VALUES[..]))
        .prop_map(|(n, v)| if v.is_empty() { format!("{n}; ") } else { format!("{n}:{v}; ") })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\PC|\n|[;:()\"\\\\|]){0,200}") {
        read(&text);
    }

    #[test]
    fn no_options_make_it_panic(options in proptest::collection::vec(option(), 0..12), proto in "(tcp|http|dns|tls|ip|icmp)") {
        let text = format!("alert {proto} any any -> any any ({} sid:1;)", options.concat());
        let set = read(&text);
        prop_assert_eq!(set.rules.len() + set.rejected.len() + set.skipped.len(), 1, "a rule is never lost");
        for rule in &set.rules {
            prop_assert!(explain::lines(rule).len() >= 3);
            prop_assert!(serde_json::to_string(rule).is_ok());
        }
        for r in &set.rejected {
            prop_assert!(r.reasons.iter().any(|f| f.diagnostic.is_error()), "rejected without a reason: {}", text);
        }
        let again = read(&text);
        prop_assert_eq!(&set.rules, &again.rules);
        prop_assert_eq!(&set.rejected, &again.rejected);
    }
}
