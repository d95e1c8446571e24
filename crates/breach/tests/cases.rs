//! One pair of cases per technique: `cases/TECHNIQUE/bad.json` must give exactly `expected.txt`, with that technique on a way;
//! `good.json` differs by what closes it and must give no way at all. `UPDATE_EXPECT=1` writes what is given now.

use breach::{Closure, Machine, Technique};
use facts::Facts;
use std::{fs, path::PathBuf};

fn case(id: &str, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("cases").join(id).join(name)
}

fn facts(id: &str, name: &str) -> Facts {
    let path = case(id, name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn ways(closure: &Closure) -> usize {
    closure.accounts.iter().map(|a| a.ways.len()).sum()
}

#[test]
fn every_technique_is_found_and_its_closing_is_seen() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    for technique in Technique::ALL {
        let id = technique.id();
        let bad = breach::closure(&facts(id, "bad.json"));
        let on_way = bad.accounts.iter().flat_map(|a| &a.ways).flat_map(|w| bad.steps(w)).any(|e| e.technique == *technique);
        if !on_way {
            wrong.push(format!("{id}: no way uses it:\n{}", bad.text()));
        }
        let text = bad.text();
        let expected = case(id, "expected.txt");
        if update {
            fs::write(&expected, &text).expect("write");
        }
        if fs::read_to_string(&expected).unwrap_or_default() != text {
            wrong.push(format!("{id}: expected.txt differs from:\n{text}"));
        }
        let good = breach::closure(&facts(id, "good.json"));
        if ways(&good) != 0 || good.accounts.is_empty() {
            wrong.push(format!("{id}: the good case has ways:\n{}", good.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn fixes_never_touch_people_nor_programs_that_are_needed() {
    for technique in Technique::ALL {
        let facts = facts(technique.id(), "bad.json");
        let fixes = breach::fixes(&Machine::new(&facts), &breach::closure(&facts));
        for fix in &fixes {
            assert!(fix.by_hand.is_some() || !fix.steps.is_empty(), "{fix:?} says neither what nor why not");
            let words: String = fix.steps.iter().map(breach::Step::command).collect();
            assert!(fix.by_hand.is_some() || !words.contains("ops") && !words.contains("nvidia-modprobe"), "{fix:?}");
            assert!(fix.steps.iter().all(|s| s.back().back() == *s));
        }
    }
}

#[test]
fn nothing_seen_nothing_claimed() {
    let closure = breach::closure(&Facts::default());
    assert!(closure.edges.is_empty() && closure.accounts.is_empty());
    assert!(!closure.unread.is_empty(), "a sweep was not made, and that is said");
}

#[test]
fn the_same_facts_give_the_same_bytes() {
    for technique in Technique::ALL {
        let facts = facts(technique.id(), "bad.json");
        let text = |c: Closure| serde_json::to_string(&c).expect("json");
        assert_eq!(text(breach::closure(&facts)), text(breach::closure(&facts)));
    }
}
