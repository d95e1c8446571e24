//! passwd, shadow, group and sudoers of a machine that somebody else may have written to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use observe::account;

fuzz_target!(|text: &str| {
    let (first, second) = text.split_once("\0").unwrap_or((text, text));
    let _ = account::read_accounts(first, Some(second));
    let _ = account::read_groups(text);
    let lines: Vec<facts::SudoersLine> =
        facts::sudo::lines(text).into_iter().map(|(line, text)| facts::SudoersLine { file: "/etc/sudoers".into(), line, text }).collect();
    let (who, root) = (sudoers::Who { name: "lotus".into(), uid: 990, ..sudoers::Who::default() }, sudoers::Who { name: "root".into(), ..sudoers::Who::default() });
    let _ = sudoers::Policy::read(&lines).may(&who, &root, &sudoers::Machine::default());
});
