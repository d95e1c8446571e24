//! Steps of several fixes, put together.

use super::{
    edit::{Edit, How, Syntax},
    step::Held,
    *,
};

fn fix(what: &str, step: Step, by_hand: Option<&str>) -> Fix {
    Fix { what: what.into(), technique: Some(Technique::Write), steps: vec![step], by_hand: by_hand.map(str::to_owned) }
}

#[test]
fn one_path_is_changed_once() {
    let mode = |after| Step::Mode { path: "/x".into(), uid: 0, before: 0o666, after };
    let all = [
        fix("a", mode(0o644), None),
        fix("b", mode(0o644), None),
        fix("c", mode(0o660), None),
        fix("d", mode(0), Some("a person decides")),
    ];
    assert_eq!(steps(&all), [Step::Mode { path: "/x".into(), uid: 0, before: 0o666, after: 0o640 }]);
}

#[test]
fn an_owner_carries_the_mode_of_others() {
    let (before, after) = (Held { uid: 9, gid: 9, mode: 0o777 }, Held { uid: 0, gid: 9, mode: 0o755 });
    let owner = Step::Owner { path: "/etc/x".into(), before, after };
    let mode = Step::Mode { path: "/etc/x".into(), uid: 9, before: 0o777, after: 0o770 };
    let meant = [Step::Owner { path: "/etc/x".into(), before, after: Held { mode: 0o750, ..after } }];
    assert_eq!(steps(&[fix("a", owner.clone(), None), fix("b", mode.clone(), None)]), meant);
    assert_eq!(steps(&[fix("a", mode, None), fix("b", owner, None)]), meant);
}

#[test]
fn edits_of_one_file_are_one() {
    let edit = |line, how| Step::Edit {
        path: "/etc/sudoers".into(),
        syntax: Syntax::Sudoers,
        edits: vec![Edit { line, seen: "x".into(), how }],
        made: true,
    };
    let all = [
        fix("a", edit(4, How::Without(vec!["lotus".into()])), None),
        fix("b", edit(4, How::Comment), None),
        fix("c", edit(2, How::Comment), None),
    ];
    let done = steps(&all);
    let [Step::Edit { edits, .. }] = done.as_slice() else { panic!("{done:?}") };
    assert_eq!(edits.iter().map(|e| (e.line, e.how == How::Comment)).collect::<Vec<_>>(), [(2, true), (4, true)]);
}
