//! What keeps a half-moved service from starting, as text.

mod common;

use adopt::{Adoption, hold};

#[test]
fn odd_places_and_words_mean_themselves() {
    let plan = Adoption { unit: "lotus-daemon.service".into(), ..common::adoption(&["/data/100% \"full\" $HOME"], (0, 0)) };
    let unit = hold::unit(&plan, &["/usr/bin/ravelin".into(), "--state=/a b%n$x".into()]);
    assert_eq!(unit.path, "/etc/systemd/system/ravelin-adopt-lotus-at-boot.service");
    assert!(unit.content.contains("RequiresMountsFor=\"/data/100%% \\\"full\\\" $HOME\"\n"), "{}", unit.content);
    assert!(unit.content.ends_with("ExecStart=\"/usr/bin/ravelin\" \"--state=/a b%%n$$x\"\n"), "{}", unit.content);
    let held = hold::drop_in(&plan);
    assert_eq!(held.path, "/etc/systemd/system/lotus-daemon.service.d/90-ravelin-held.conf");
    let lines = held.content.lines().all(|l| l.starts_with(['#', '[']) || l.contains('='));
    assert!(held.content.starts_with(bundle::file::MARK) && lines, "{}", held.content);
}
