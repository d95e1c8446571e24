//! The ledger: what is written is read, a line that is changed, taken out, put in or cut off is found, half a line is not believed, and a
//! rollout that was begun is found again with its bundles.

use rollout::{
    Book, Bundles, Line, Outcome, Report, Target,
    ledger::{Check, Context, Ledger, LedgerError, Sign, What, read},
};
use std::{collections::BTreeMap, fs, path::Path};
use words::{Digest, Generation, HostName};

/// Stands in for a key: what is signed shows.
struct Stamp(&'static str);

impl Sign for Stamp {
    fn sign(&self, bytes: &[u8]) -> (String, String) {
        (self.0.to_owned(), Digest::of(&[self.0.as_bytes(), bytes].concat()).to_string())
    }
}

impl Check for Stamp {
    fn check(&self, key: &str, signature: &str, bytes: &[u8]) -> Option<String> {
        let good = key == self.0 && signature == self.sign(bytes).1;
        (!good).then(|| format!("its signature is not {}'s", self.0))
    }
}

fn report(outcome: Outcome) -> Report {
    let (machines, failures, notes) = (BTreeMap::new(), vec![], vec![]);
    Report {
        id: "1".into(),
        outcome,
        waves: vec![],
        proved: vec![],
        machines,
        failures,
        notes,
        probed: Default::default(),
        within: 1,
        took_ms: 1,
    }
}

fn opened() -> Line {
    let target = Target { digest: Digest::of(b"new"), generation: Generation(2), before: None, unchanged: false };
    let targets = BTreeMap::from([(HostName::new("a").expect("name"), target)]);
    Line::Opened { waves: vec![], targets, skipped: BTreeMap::new(), proved: vec!["all of it".into()] }
}

fn bundles() -> Bundles {
    BTreeMap::from([(HostName::new("a").expect("name"), b"bundle".to_vec())])
}

fn open(dir: &Path) -> Result<Ledger, LedgerError> {
    let context = Context { by: "me@here".into(), argument: "ravelin rollout".into(), site_name: "s".into(), site_text: "[site]\n".into() };
    Ledger::open(dir, context, Some(Box::new(Stamp("k1"))))
}

fn filled(dir: &Path) {
    let mut ledger = open(dir).expect("opens");
    for id in ["1", "2"] {
        assert_eq!(ledger.next_id(), id);
        ledger.record(id, &opened(), &bundles()).expect("written");
        ledger.record(id, &Line::Decided, &Bundles::new()).expect("written");
        ledger.record(id, &Line::Closed(report(Outcome::Kept)), &Bundles::new()).expect("written");
    }
}

#[test]
fn a_line_that_could_not_be_written_whole_is_not_there() {
    let dir = tempfile::tempdir().expect("directory");
    let mut ledger = open(dir.path()).expect("opens");
    ledger.record("1", &opened(), &bundles()).expect("written");
    let (path, head) = (dir.path().join("ledger"), dir.path().join("head"));
    let (before, kept) = (fs::read(&path).expect("reads"), fs::read(&head).expect("reads"));
    // As on a full disk: the line finds room, the head does not.
    fs::remove_file(&head).expect("goes");
    fs::create_dir_all(head.join("in-the-way")).expect("makes");
    ledger.record("1", &Line::Decided, &Bundles::new()).expect_err("no head can be written");
    assert_eq!(fs::read(&path).expect("reads"), before);
    fs::remove_dir_all(&head).expect("goes");
    fs::write(&head, kept).expect("writes");
    ledger.record("1", &Line::Closed(report(Outcome::TakenBack)), &Bundles::new()).expect("written");
    drop(ledger);
    let again = open(dir.path()).expect("it is whole");
    assert!(!again.history().records().any(|r| matches!(r.what, What::Decided)));
    assert!(again.unfinished().expect("reads").is_none());
}

#[test]
fn what_is_written_is_read_and_one_coordinator_works() {
    let dir = tempfile::tempdir().expect("directory");
    filled(dir.path());
    let ledger = open(dir.path()).expect("opens");
    assert!(matches!(open(dir.path()), Err(LedgerError::Busy(_))));
    assert_eq!(ledger.history().records().count(), 6);
    assert!(ledger.unfinished().expect("reads").is_none());
    assert!(ledger.history().faults(Some(&Stamp("k1"))).is_empty());
    assert_eq!(ledger.history().faults(Some(&Stamp("k2"))).len(), 6, "signed by somebody else");
    let What::Opened { file, .. } = ledger.history().records().next().expect("one").what.clone() else { panic!("the first opens") };
    assert_eq!(ledger.site(file).expect("kept"), "[site]\n");
    assert!(!dir.path().join("bundles/2").exists(), "closed: nobody needs them");
}

#[test]
fn every_line_that_is_touched_is_found() {
    let dir = tempfile::tempdir().expect("directory");
    filled(dir.path());
    let path = dir.path().join("ledger");
    let whole: Vec<String> = fs::read_to_string(&path).expect("reads").lines().map(str::to_owned).collect();
    let faults = |lines: &[String]| {
        fs::write(&path, lines.iter().map(|l| format!("{l}\n")).collect::<String>()).expect("writes");
        let found = read(dir.path()).expect("reads").faults(Some(&Stamp("k1")));
        assert_eq!(open(dir.path()).is_err(), !read(dir.path()).expect("reads").faults(None).is_empty());
        found
    };
    for i in 0..whole.len() {
        let mut changed = whole.clone();
        changed[i] = changed[i].replace("me@here", "him@here");
        let found = faults(&changed);
        assert!(found.iter().any(|f| f.line == i + 1 && f.why.contains("signature")), "changed {i}: {found:?}");
        let mut out = whole.clone();
        out.remove(i);
        assert!(!faults(&out).is_empty(), "taken out {i}");
        let mut twice = whole.clone();
        twice.insert(i, whole[i].clone());
        assert!(!faults(&twice).is_empty(), "put in {i}");
        assert!(!faults(&whole[..i]).is_empty(), "cut off at {i}");
    }
    let spaced = [vec![whole[0].replacen("\"record\":", "\"record\": ", 1)], whole[1..].to_vec()].concat();
    assert!(faults(&spaced).iter().any(|f| f.line == 1 && f.why.contains("form")));
    assert_eq!(faults(&whole), []);
}

#[test]
fn half_a_line_is_not_believed_and_what_was_begun_is_found() {
    let dir = tempfile::tempdir().expect("directory");
    filled(dir.path());
    open(dir.path()).expect("opens").record("3", &opened(), &bundles()).expect("written");
    let path = dir.path().join("ledger");
    let bytes = fs::read(&path).expect("reads");
    fs::write(&path, [bytes.as_slice(), b"{\"record\":{\"n\":8,\"what\":{\"is\":\"decided\"}"].concat()).expect("writes");
    let mut ledger = open(dir.path()).expect("opens");
    let (id, begun) = ledger.unfinished().expect("reads").expect("begun");
    assert_eq!((id.as_str(), begun.decided, begun.bundles), ("3", false, bundles()));
    ledger.record("3", &Line::Decided, &Bundles::new()).expect("written");
    ledger.record("3", &Line::Closed(report(Outcome::Decided)), &Bundles::new()).expect("written");
    drop(ledger);
    let mut ledger = open(dir.path()).expect("opens");
    assert!(ledger.unfinished().expect("reads").is_some_and(|(_, b)| b.decided && b.bundles == bundles()), "to be resumed");
    ledger.record("3", &Line::Closed(report(Outcome::Kept)), &Bundles::new()).expect("written");
    assert!(ledger.unfinished().expect("reads").is_none());
}
