//! Walks the steps of a move. In come an [`Adoption`], its journal and a machine, out comes how it ended: moved, or as before. A step that
//! fails takes everything back; a death is gone on from, or taken back, by the marks alone. Never: does a step it has not marked.

use crate::{
    Error,
    door::Door,
    judge::Owners,
    own::{self, Returned, Survey},
    record::{Journal, Line},
    relocate::Relocation,
    step::{Act, Mark, Step, next},
};
use bundle::OwnFile;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Everything about one move; nothing is decided later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// Instance of the site.
    pub service: String,
    /// Its unit.
    pub unit: String,
    /// The unit runs now.
    pub active: bool,
    /// Account it gets.
    pub account: String,
    /// Account it has, with uid and gid.
    pub from: (String, u32, u32),
    /// Directories that move to the account: real paths, the repository's where it will be.
    pub roots: Vec<String>,
    /// The repository goes to another place.
    #[serde(default)]
    pub relocation: Option<Relocation>,
    /// For systemd-sysusers.
    pub accounts: String,
    /// For systemd-tmpfiles: directories that are made where they are missing.
    pub directories: String,
    /// The drop-in, and the unit where there is none.
    pub files: Vec<OwnFile>,
    /// TCP port on which it must listen.
    pub port: Option<u16>,
    /// Seconds it may take to work.
    pub within: u64,
    /// People logged in as this account until now.
    #[serde(default)]
    pub closes: bool,
    /// Who looked at the deadlines, and what they say; for services whose stop may miss one.
    pub deadlines: Option<String>,
}

/// The machine a move is made on.
pub trait Machine {
    /// Makes the account and directories; out come uid and gid.
    fn accounts(&mut self, plan: &Adoption) -> Result<(u32, u32), Error>;
    /// Uid and gid of the account, where it is there.
    fn account(&self, name: &str) -> Option<(u32, u32)>;
    /// Stops the unit and waits until nothing of it runs.
    fn stop(&mut self, unit: &str) -> Result<(), Error>;
    /// Starts it.
    fn start(&mut self, unit: &str) -> Result<(), Error>;
    /// From here on the service does not start, a boot included, and a boot goes on with the move.
    fn hold(&mut self, plan: &Adoption) -> Result<(), Error>;
    /// The service may start again.
    fn release(&mut self, plan: &Adoption) -> Result<(), Error>;
    /// The move has ended: a boot has nothing to go on with.
    fn ended(&mut self, plan: &Adoption) -> Result<(), Error>;
    /// How people log in as this account.
    fn door(&self, account: &str) -> Result<Door, Error>;
    /// Makes it so.
    fn set_door(&mut self, account: &str, door: &Door) -> Result<(), Error>;
    /// Makes the unit known.
    fn reload(&mut self) -> Result<(), Error>;
    /// Waits until it is active as this account and listens.
    fn healthy(&mut self, plan: &Adoption, uid: u32) -> Result<(), Error>;
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Inodes whose owner was changed, of so many.
    Inodes(u64, u64),
    /// Bytes of the repository copied or compared, of so many.
    Bytes(u64, u64),
}

impl Adoption {
    /// The directories as they are before the move.
    fn before(&self) -> Vec<String> {
        let old = |root: &String| self.relocation.as_ref().filter(|r| r.to == *root).map_or_else(|| root.clone(), |r| r.from.clone());
        self.roots.iter().map(old).collect()
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// It runs as its account.
    Moved,
    /// It is as before; why, and what could not be given back.
    Returned {
        /// Why.
        why: String,
        /// What became of the files.
        files: Returned,
    },
}

/// A move with its record.
#[derive(Debug)]
pub struct Record {
    /// What is to be done.
    pub plan: Adoption,
    /// Where the record lies.
    pub directory: PathBuf,
}

impl Record {
    /// Begins a new one.
    pub fn begin(state: &Path, plan: Adoption) -> Result<Self, Error> {
        let number = all(state)?.last().map_or(0, |(n, ..)| *n) + 1;
        let directory = crate::record::directory(state, &plan.service, number);
        private(&directory)?;
        let bytes = serde_json::to_vec_pretty(&plan).map_err(|e| Error::record(&directory, e))?;
        sys::file::replace(&directory.join("plan.json"), &bytes)?;
        Ok(Self { plan, directory })
    }

    /// The newest one of a service that is neither moved nor returned; with `any`, the newest of all.
    pub fn find(state: &Path, service: &str, any: bool) -> Result<Option<Self>, Error> {
        for (_, name, directory) in all(state)?.into_iter().rev() {
            if name != service {
                continue;
            }
            let Ok(bytes) = std::fs::read(directory.join("plan.json")) else { continue };
            let plan = serde_json::from_slice(&bytes).map_err(|e| Error::record(&directory, e))?;
            let record = Self { plan, directory };
            let marks = record.journal().marks()?;
            if marks.contains(&Mark::Closed) {
                return Ok(None);
            }
            let act = next(&marks);
            return Ok((any && act != Act::Returned || !matches!(act, Act::Moved | Act::Returned)).then_some(record));
        }
        Ok(None)
    }

    /// Its journal.
    pub fn journal(&self) -> Journal {
        Journal(self.directory.join("journal"))
    }

    fn mark(&self, mark: Mark) -> Result<(), Error> {
        self.journal().add(&[Line::Step(mark)])
    }

    /// From now on everything goes back.
    pub fn back(&self, why: &str) -> Result<(), Error> {
        self.mark(Mark::Back(why.to_owned()))
    }

    /// The move is to stay: the old copy of the repository is removed, and nothing is taken back any more. Whether there was one.
    pub fn close(&self) -> Result<bool, Error> {
        if next(&self.journal().marks()?) != Act::Moved {
            return Err(Error::Refused(vec!["the move has not ended: --yes goes on with it, --undo takes it back".to_owned()]));
        }
        let removed = self.plan.relocation.as_ref().map(|r| r.done(&self.place())).transpose()?;
        self.mark(Mark::Closed)?;
        Ok(removed.unwrap_or(false))
    }

    fn place(&self) -> PathBuf {
        self.directory.join("place.json")
    }

    fn before(&self) -> PathBuf {
        self.directory.join("before")
    }

    fn door(&self) -> PathBuf {
        self.directory.join("door.json")
    }

    fn kept(&self) -> PathBuf {
        self.directory.join("files.json")
    }
}

/// All records, oldest first.
fn all(state: &Path) -> Result<Vec<(u64, String, PathBuf)>, Error> {
    let base = state.join("adopt");
    let entries = match std::fs::read_dir(&base) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::record(&base, e)),
    };
    let mut out: Vec<_> = entries
        .flatten()
        .filter_map(|e| {
            let name = e.file_name().into_string().ok()?;
            let (number, service) = name.split_once('-')?;
            Some((number.parse().ok()?, service.to_owned(), e.path()))
        })
        .collect();
    out.sort();
    Ok(out)
}

fn private(directory: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|e| Error::record(directory, e))
}

/// Looks a move over and changes nothing: what would be done, or everything that stands against it.
pub fn survey(plan: &Adoption, machine: &dyn Machine) -> Result<Survey, Error> {
    let account = machine.account(&plan.account);
    let mut against = own::closed(&plan.roots, account)?;
    let mut way = None;
    match plan.relocation.as_ref().map(Relocation::survey).transpose() {
        Ok(found) => way = found,
        Err(Error::Refused(more)) => against.extend(more),
        Err(e) => return Err(e),
    }
    // An account that is not there yet owns nothing: no number stands for it.
    let to = account.unwrap_or((u32::MAX, u32::MAX));
    match own::survey(&plan.before(), Owners { from: (plan.from.1, plan.from.2), to }) {
        Ok(mut survey) if against.is_empty() => {
            survey.way = way;
            Ok(survey)
        }
        Ok(_) => Err(Error::Refused(against)),
        Err(Error::Refused(more)) => {
            against.extend(more);
            Err(Error::Refused(against))
        }
        Err(e) => Err(e),
    }
}

/// Goes on with a move until it has ended one way or the other. `progress` is told how far it is.
pub fn carry_out(record: &Record, machine: &mut dyn Machine, progress: &mut dyn FnMut(Progress)) -> Result<Ended, Error> {
    let mut files = Returned::default();
    loop {
        let marks = record.journal().marks()?;
        match next(&marks) {
            Act::Moved => {
                machine.ended(&record.plan)?;
                return Ok(Ended::Moved);
            }
            Act::Returned => {
                machine.ended(&record.plan)?;
                let why = marks.iter().find_map(|m| if let Mark::Back(why) = m { Some(why.clone()) } else { None });
                return Ok(Ended::Returned { why: why.unwrap_or_default(), files });
            }
            Act::Do(step) => {
                record.mark(Mark::Begun(step))?;
                match forward(record, step, machine, progress) {
                    Ok(()) => record.mark(Mark::Done(step))?,
                    Err(e) => record.back(&format!("{step:?}: {}", chain(&e)))?,
                }
            }
            Act::TakeBack(step) => {
                // What fails here stays marked: the same command tries again from this step on.
                files.merge(backward(record, step, machine, progress)?);
                record.mark(Mark::TakenBack(step))?;
            }
        }
    }
}

fn forward(record: &Record, step: Step, machine: &mut dyn Machine, progress: &mut dyn FnMut(Progress)) -> Result<(), Error> {
    let plan = &record.plan;
    let gone = || Error::Apply(format!("account {} is not there", plan.account));
    match step {
        Step::Accounts => machine.accounts(plan).map(drop),
        Step::Stop => {
            machine.hold(plan)?;
            machine.stop(&plan.unit)
        }
        Step::Relocate => {
            let Some(relocation) = &plan.relocation else { return Ok(()) };
            relocation.forward(&record.place(), &mut |done, all| progress(Progress::Bytes(done, all)))
        }
        Step::Own => {
            let owners = Owners { from: (plan.from.1, plan.from.2), to: machine.account(&plan.account).ok_or_else(gone)? };
            // Again, since the service has stopped: what it made meanwhile is counted, and what was planted meanwhile is seen.
            let survey = own::survey(&plan.roots, owners)?;
            // Whether the account had files here before is known at the first attempt alone.
            if !record.before().exists() {
                sys::file::replace(&record.before(), survey.already.to_string().as_bytes())?;
            }
            own::change(&plan.roots, owners, &survey, &record.journal(), &mut |done| progress(Progress::Inodes(done, survey.change)))
                .map(drop)
        }
        Step::Swap => {
            if !record.kept().exists() {
                let kept = apply::files::look_at(&plan.files)?;
                let bytes = serde_json::to_vec_pretty(&kept).map_err(|e| Error::Apply(e.to_string()))?;
                sys::file::replace(&record.kept(), &bytes)?;
            }
            apply::files::write_all(&plan.files)?;
            machine.reload()
        }
        Step::Start => {
            machine.release(plan)?;
            if plan.active { machine.start(&plan.unit) } else { Ok(()) }
        }
        Step::Health if plan.active => {
            let (uid, _) = machine.account(&plan.account).ok_or_else(gone)?;
            machine.healthy(plan, uid)
        }
        Step::Health => Ok(()),
        Step::Close if plan.closes => {
            // A second time the door is closed already.
            if !record.door().exists() {
                let bytes = serde_json::to_vec(&machine.door(&plan.account)?).map_err(|e| Error::Apply(e.to_string()))?;
                sys::file::replace(&record.door(), &bytes)?;
            }
            machine.set_door(&plan.account, &Door::closed())
        }
        Step::Close => Ok(()),
    }
}

fn backward(record: &Record, step: Step, machine: &mut dyn Machine, progress: &mut dyn FnMut(Progress)) -> Result<Returned, Error> {
    let plan = &record.plan;
    match step {
        Step::Close => {
            if let Ok(bytes) = std::fs::read(record.door()) {
                let door: Door = serde_json::from_slice(&bytes).map_err(|e| Error::Apply(e.to_string()))?;
                machine.set_door(&plan.account, &door)?;
            }
        }
        Step::Health | Step::Accounts => {}
        Step::Start => {
            machine.hold(plan)?;
            machine.stop(&plan.unit)?;
        }
        Step::Swap => {
            if let Ok(bytes) = std::fs::read(record.kept()) {
                let kept: Vec<apply::files::Kept> = serde_json::from_slice(&bytes).map_err(|e| Error::Apply(e.to_string()))?;
                apply::files::put_back(&kept)?;
                machine.reload()?;
            }
        }
        Step::Own => {
            let back = own::give_back(&record.journal())?;
            made_since(record, machine)?;
            return Ok(back);
        }
        Step::Relocate => {
            if let Some(relocation) = &plan.relocation {
                relocation.backward(&record.place(), &mut |done, all| progress(Progress::Bytes(done, all)))?;
            }
        }
        Step::Stop => {
            machine.release(plan)?;
            if plan.active {
                machine.start(&plan.unit)?;
            }
        }
    }
    Ok(Returned::default())
}

/// What the service made as its new account would be closed to the old one, root excepted. Where the account had nothing here before,
/// all that is its own now is given to the old one.
fn made_since(record: &Record, machine: &dyn Machine) -> Result<(), Error> {
    let plan = &record.plan;
    let had_nothing = std::fs::read_to_string(record.before()).is_ok_and(|t| t == "0");
    let Some(account) = machine.account(&plan.account).filter(|_| plan.from.1 != 0 && had_nothing) else { return Ok(()) };
    let owners = Owners { from: account, to: (plan.from.1, plan.from.2) };
    let survey = own::survey(&plan.roots, owners)?;
    own::change(&plan.roots, owners, &survey, &Journal(record.directory.join("journal.back")), &mut |_| {}).map(drop)
}

/// The message with its causes.
pub fn chain(e: &Error) -> String {
    let mut text = e.to_string();
    let mut source = std::error::Error::source(e);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

impl Returned {
    fn merge(&mut self, other: Returned) {
        self.inodes += other.inodes;
        self.missed.extend(other.missed);
    }
}
