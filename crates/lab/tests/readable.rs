//! Random sites are valid site files.
mod common;
use lab::random;

#[test]
fn most_random_sites_are_valid() {
    let wrong: Vec<String> =
        (1..200).filter_map(|s| common::read("r.toml", &random::site(s)).err().map(|e| format!("{s}: {e}\n{}", random::site(s)))).collect();
    assert!(wrong.len() < 40, "{} wrong\n{}", wrong.len(), wrong.iter().take(3).cloned().collect::<Vec<_>>().join("\n"));
}
