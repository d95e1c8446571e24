//! Contents and their places against an evaluator that is written from the documentation and tries everything: a rule of contents in a
//! chain holds where there is a place for each of them such that all conditions on places hold.

mod common;

use common::{Bench, UDP, packet, seen};
use ips_wire::packet::Transport;
use proptest::prelude::*;

/// A content with its place.
#[derive(Debug, Clone)]
struct Content {
    text: String,
    nocase: bool,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Anywhere,
    Absolute {
        offset: usize,
        extra: Option<usize>,
    },
    Start,
    End,
    /// Behind the one before: at least so far, and at most so much room.
    Relative {
        distance: usize,
        extra: Option<usize>,
    },
}

impl Content {
    fn rule(&self) -> String {
        let mut out = format!("content:\"{}\";", self.text);
        if self.nocase {
            out += " nocase;";
        }
        match &self.place {
            Place::Anywhere => {}
            Place::Absolute { offset, extra } => {
                out += &format!(" offset:{offset};");
                if let Some(n) = extra {
                    out += &format!(" depth:{};", self.text.len() + n);
                }
            }
            Place::Start => out += " startswith;",
            Place::End => out += " endswith;",
            Place::Relative { distance, extra } => {
                out += &format!(" distance:{distance};");
                if let Some(n) = extra {
                    out += &format!(" within:{};", self.text.len() + n);
                }
            }
        }
        out
    }

    /// Every end of a place that does, when the one before ended at `before`.
    fn ends(&self, payload: &[u8], before: usize) -> Vec<usize> {
        let same = |a: &[u8]| if self.nocase { a.eq_ignore_ascii_case(self.text.as_bytes()) } else { a == self.text.as_bytes() };
        let length = self.text.len();
        (0..payload.len())
            .filter(|at| payload.get(*at..at + length).is_some_and(same))
            .filter(|at| match &self.place {
                Place::Anywhere => true,
                Place::Start => *at == 0,
                Place::End => at + length == payload.len(),
                Place::Absolute { offset, extra } => at >= offset && extra.is_none_or(|n| at + length <= offset + length + n),
                Place::Relative { distance, extra } => {
                    *at >= before + distance && extra.is_none_or(|n| at + length <= before + distance + length + n)
                }
            })
            .map(|at| at + length)
            .collect()
    }
}

fn holds(contents: &[Content], payload: &[u8], before: usize) -> bool {
    let Some((first, rest)) = contents.split_first() else { return true };
    first.ends(payload, before).into_iter().any(|end| holds(rest, payload, end))
}

fn content(first: bool) -> impl Strategy<Value = Content> {
    let extra = || proptest::option::of(0usize..4);
    let absolute = (0usize..5, extra()).prop_map(|(offset, extra)| Place::Absolute { offset, extra });
    let relative = (0usize..3, extra()).prop_map(|(distance, extra)| Place::Relative { distance, extra });
    let place = prop_oneof![
        2 => Just(Place::Anywhere),
        1 => absolute,
        1 => Just(Place::Start),
        1 => Just(Place::End),
        if first { 0 } else { 6 } => relative,
    ];
    ("[ab]{1,3}", any::<bool>(), place).prop_map(|(text, nocase, place)| Content { text, nocase, place })
}

fn contents() -> impl Strategy<Value = Vec<Content>> {
    (content(true), proptest::collection::vec(content(false), 0..4)).prop_map(|(first, rest)| {
        let mut all = vec![first];
        all.extend(rest);
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn as_trying_everything(all in contents(), payload in "[abAB]{1,14}") {
        let rule: String = all.iter().map(Content::rule).collect::<Vec<_>>().join(" ");
        let mut b = Bench::new(&format!("alert udp any any -> any any ({rule} sid:1;)"));
        let p = packet(Transport::Udp(&UDP), payload.as_bytes());
        prop_assert_eq!(!b.sids(&seen(&p)).is_empty(), holds(&all, payload.as_bytes(), 0), "{}", rule);
    }
}
