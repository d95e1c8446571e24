//! Acts one after the other, each recorded before it is done; and all of them back. In come acts, a machine and a record. A step that
//! fails or is cut off stands where it was: done again it goes on, undone it goes back. Never: skips the record.

use crate::{
    Error, Record,
    act::{Machine, remove_packages},
    record::Line,
};
use plan::selinux::act::{Act, back};
use std::{collections::BTreeSet, time::Duration};

/// Does these acts. `told` hears of each before it begins.
pub fn carry_out(
    record: &Record,
    machine: &mut impl Machine,
    acts: &[Act],
    now: &dyn Fn() -> u64,
    told: &mut dyn FnMut(&Act),
) -> Result<(), Error> {
    let _lock = held(record)?;
    for act in acts {
        told(act);
        record.add(&Line::Before { at: now(), act: act.clone(), before: machine.before(act)? })?;
        machine.perform(act)?;
        record.add(&Line::Done(act.clone()))?;
    }
    Ok(())
}

/// How far it went back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undone {
    /// There was nothing to take back.
    Nothing,
    /// As it was found.
    All,
    /// All but these packages: the running kernel still uses their policy. After a restart they go, too.
    ButPackages(BTreeSet<String>),
    /// All; the security module goes with the next start.
    UntilRestart,
}

/// Takes everything of the record back.
pub fn undo(record: &Record, machine: &mut impl Machine, now: u64, told: &mut dyn FnMut(&Act)) -> Result<Undone, Error> {
    let _lock = held(record)?;
    let before = record.before()?;
    if before.is_empty() {
        return Ok(Undone::Nothing);
    }
    let back = back(&before);
    for act in &back.now {
        told(act);
        machine.perform(act)?;
    }
    if machine.runs() && !back.packages.is_empty() {
        return Ok(Undone::ButPackages(back.packages));
    }
    remove_packages(&back.packages)?;
    record.close(now)?;
    Ok(if machine.runs() { Undone::UntilRestart } else { Undone::All })
}

fn held(record: &Record) -> Result<sys::lock::Lock, Error> {
    match sys::lock::acquire(&record.lock(), Duration::ZERO)? {
        sys::lock::Attempt::Held(lock) => Ok(lock),
        sys::lock::Attempt::Busy => Err(Error::Busy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plan::selinux::{act::Before, login::SeUser};
    use std::collections::BTreeMap;

    /// A machine of files alone, that fails before or after an act.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    struct Files {
        files: BTreeMap<String, String>,
        loaded: BTreeSet<String>,
        logins: BTreeMap<String, SeUser>,
        enforcing: bool,
        left: usize,
    }

    impl Machine for Files {
        fn before(&self, act: &Act) -> Result<Before, Error> {
            Ok(match act {
                Act::File { path, mode, .. } => Before::File { path: path.clone(), text: self.files.get(path).cloned(), mode: *mode },
                Act::Load(m) => Before::Unloaded(m - &self.loaded),
                Act::Logins(l) => Before::Logins(l.keys().map(|k| (k.clone(), self.logins.get(k).cloned())).collect()),
                Act::Enforce(_) => Before::Enforce(self.enforcing),
                _ => Before::Nothing,
            })
        }
        fn perform(&mut self, act: &Act) -> Result<(), Error> {
            match act {
                Act::File { path, text: Some(text), .. } => drop(self.files.insert(path.clone(), text.clone())),
                Act::File { path, text: None, .. } => drop(self.files.remove(path)),
                Act::Load(m) => self.loaded.extend(m.clone()),
                Act::Unload(m) => self.loaded.retain(|x| !m.contains(x)),
                Act::Logins(l) => l.iter().for_each(|(login, user)| match user {
                    Some(user) => drop(self.logins.insert(login.clone(), user.clone())),
                    None => drop(self.logins.remove(login)),
                }),
                Act::Enforce(on) => self.enforcing = *on,
                _ => {}
            }
            // The act is done and the power goes before that is written down.
            self.left = self.left.checked_sub(1).ok_or_else(|| Error::file("power", "cut"))?;
            Ok(())
        }
        fn runs(&self) -> bool {
            true
        }
    }

    #[test]
    fn cut_off_anywhere_it_goes_back_to_what_was_found_or_on_to_the_end() {
        let file = |path: &str, text: &str| Act::File { path: path.into(), text: Some(text.into()), mode: 0o644 };
        let module = |name: &str| BTreeSet::from([name.to_owned()]);
        let user = |name: &str| SeUser { user: name.into(), range: "s0".into() };
        let map = |login: &str| Act::Logins([(login.to_owned(), Some(user("staff_u")))].into());
        let acts = [
            map("ada"),
            map("bob"),
            file("/c", "permissive"),
            file("/new", "x"),
            Act::Load(module("a")),
            Act::Enforce(true),
            Act::Unload(module("a")),
            file("/c", "enforcing"),
        ];
        let files = BTreeMap::from([("/c".to_owned(), "disabled".to_owned())]);
        let logins = BTreeMap::from([("bob".to_owned(), user("user_u"))]);
        let found = Files { files, logins, left: 99, ..Files::default() };
        for cut in 0..=acts.len() {
            let dir = tempfile::tempdir().expect("directory");
            let record = Record::open(dir.path()).expect("opens");
            let mut machine = Files { left: cut, ..found.clone() };
            assert_eq!(carry_out(&record, &mut machine, &acts, &|| 1, &mut |_| {}).is_ok(), cut == acts.len());
            let mut on = Files { left: 99, ..machine.clone() };
            carry_out(&record, &mut on, &acts, &|| 2, &mut |_| {}).expect("goes on");
            assert_eq!((on.files["/c"].as_str(), on.enforcing), ("enforcing", true));
            on.left = 99;
            assert_eq!(undo(&record, &mut on, 3, &mut |_| {}).expect("goes back"), Undone::UntilRestart);
            assert_eq!(Files { left: 99, ..on.clone() }, found, "after {cut}");
            assert_eq!(undo(&record, &mut on, 4, &mut |_| {}).expect("goes back"), Undone::Nothing);
        }
    }
}
