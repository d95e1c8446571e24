//! `ravelin adopt`: a service that runs as root, or as somebody, gets its own account with its files. Shows what would be done unless
//! `--yes`; `--undo` takes the last move back. With systemd the move runs as a unit, so that a lost connection does not stop it half-way.

use crate::{
    args::Global,
    deadlines::{self, Asker},
    exit::Exit,
    face::{Face, remark, show},
    input::{self, SiteOption},
    machine,
    paint::{HEAD, paint},
    planning, progress,
    trouble::Trouble,
};
use ::adopt::{
    Adoption, Ended, Error, Relocation,
    host::Host,
    own::Survey,
    person::Person,
    run::{self, Progress, Record},
};
use clap::Args;
use plan::system::{Move, SystemPlan};
use serde::Serialize;
use site::model::Mode;
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// Seconds a service may take until it works: a miner reads its sectors' index first.
const WITHIN_SECONDS: u64 = 300;
/// Seconds systemd gives a service to stop (`DefaultTimeoutStopSec`).
const STOP_SECONDS: u64 = 90;
/// Inodes a second whose owner is changed and recorded: an estimate on the slow side (one thread looks at 43,000 a second on a cold disk).
const INODES_A_SECOND: u64 = 1_000;
/// Bytes a second of a repository that is copied, compared and brought to disk: an estimate for one hard disk.
const BYTES_A_SECOND: u64 = 50_000_000;
/// Between two lines of progress.
const TELL: Duration = Duration::from_secs(5);

/// Arguments of `adopt`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The service, as the site file or its unit names it
    service: String,
    #[command(flatten)]
    site: SiteOption,
    /// Which machine of the site this is [default: by its host name, else by its addresses]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Do it, or go on with one that was cut off; else only show
    #[arg(long, conflicts_with = "undo")]
    yes: bool,
    /// Take the last move of this service back
    #[arg(long)]
    undo: bool,
    /// The last move of this service is to stay: the old copy of its repository is removed, and there is no way back any more
    #[arg(long, conflicts_with_all = ["yes", "undo"])]
    done: bool,
    /// Make an account of your own first, after the one people share with the service: its keys, its password, sudo. Log in with it, then run
    /// this again from there
    #[arg(long, value_name = "NAME", conflicts_with_all = ["undo", "done"])]
    administrator: Option<String>,
    /// Do not wait for a window between two proofs: you looked at the deadlines yourself, and a restart fits now; the reason is recorded
    #[arg(long, value_name = "WHY")]
    i_checked_deadlines: Option<String>,
    /// Seconds the service may take until it works as its account; else everything goes back
    #[arg(long, value_name = "SECONDS", default_value_t = WITHIN_SECONDS)]
    within: u64,
    /// Where records are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/ravelin")]
    state: PathBuf,
    /// Carry out what is recorded, here
    #[arg(long, hide = true)]
    carry_out: bool,
}

#[derive(Serialize)]
struct Adopted {
    service: String,
    plan: Option<Move>,
    survey: Option<Survey>,
    /// The files it gets, with their text.
    files: Vec<bundle::OwnFile>,
    /// What stands against it.
    against: Vec<String>,
    /// Seconds it may keep the service from working, and whether they fit between two proofs now.
    deadlines: Option<deadlines::Brief>,
    /// A move of it was cut off.
    unfinished: bool,
    ended: Option<Ended>,
}

impl Adopted {
    fn new(service: &str) -> Self {
        let service = service.to_owned();
        Self { service, plan: None, survey: None, files: Vec::new(), against: Vec::new(), deadlines: None, unfinished: false, ended: None }
    }
}

impl Face for Adopted {
    fn text(&self) -> String {
        let name = &self.service;
        let mut out = String::new();
        if let Some(p) = &self.plan {
            let runs = if p.active { "stopped and started once" } else { "stands still and stays so" };
            out += &format!("{}: {} -> {}, {runs}\n", paint(HEAD, &p.unit), p.from.0, p.account);
            if let Some(is) = &p.repo_is {
                out += &format!("  repository from {is} to the place of the site\n");
            }
            if p.closes {
                out += &format!(
                    "  nobody logs in as {} any more: no shell, and the account counts as ended (also for cron and su)\n",
                    p.account
                );
            }
            p.roots.iter().for_each(|r| out += &format!("  owner of everything in {r}\n"));
        }
        if let Some(s) = &self.survey {
            out += &format!("  {} inodes, {} change their owner, {} of other accounts stay theirs\n", s.inodes, s.change, s.others);
            if let Some(way) = &s.way {
                let how = if way.copies { "copied to another file system; the old copy is kept until --done" } else { "renamed" };
                out += &format!("  repository of {} bytes in {} inodes: {how}\n", way.size.bytes, way.size.inodes);
            }
            if s.bits > 0 {
                out += &format!("  {} files lose set-id bits\n", s.bits);
            }
        }
        for f in &self.files {
            out += &format!("+++ {}\n", f.path);
            f.content.lines().for_each(|l| out += &format!("+{l}\n"));
        }
        if let Some(d) = &self.deadlines {
            out += &format!("  {}\n", d.text());
        }
        self.against.iter().for_each(|a| out += &format!("stands against it: {a}\n"));
        out += &match &self.ended {
            Some(Ended::Moved) => format!("{name}: runs as its account; `ravelin apply` takes its files into the machine's state\n"),
            Some(Ended::Returned { why, files }) => {
                let missed: String = files.missed.iter().map(|m| format!("  gone or replaced meanwhile: {m}\n")).collect();
                format!("{name}: as before ({why}); {} inodes given back\n{missed}", files.inodes)
            }
            None if self.unfinished => format!("{name}: a move was cut off: --yes goes on with it, --undo takes it back\n"),
            None if self.against.is_empty() => "nothing was changed: --yes does it\n".to_owned(),
            None => "nothing was changed\n".to_owned(),
        };
        out
    }
}

/// Looks, shows, does.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    if !rustix::process::geteuid().is_root() {
        return Err(Trouble::usage("owners are changed by root alone", "run it as root: sudo ravelin adopt ..."));
    }
    std::fs::create_dir_all(&arguments.state).map_err(|e| Trouble::io(&arguments.state, e))?;
    let service = &arguments.service;
    if arguments.carry_out {
        let record = Record::find(&arguments.state, service, false).map_err(cannot)?;
        return carry_out(&record.ok_or_else(|| none(service))?, &arguments.state, global);
    }
    if arguments.undo {
        let record = Record::find(&arguments.state, service, true).map_err(cannot)?.ok_or_else(|| none(service))?;
        record.back("asked for").map_err(cannot)?;
        return in_a_unit(arguments, &record, global);
    }
    if arguments.done {
        let record = Record::find(&arguments.state, service, true).map_err(cannot)?.ok_or_else(|| none(service))?;
        let removed = record.close().map_err(cannot)?;
        remark(if removed { "the old copy of its repository is removed" } else { "the move is to stay; nothing was left of before" });
        return Ok(Exit::Ok);
    }
    if let Some(record) = Record::find(&arguments.state, service, false).map_err(cannot)? {
        if arguments.yes {
            return in_a_unit(arguments, &record, global);
        }
        show(global, &Adopted { unfinished: true, ..Adopted::new(service) })?;
        return Ok(Exit::Found);
    }
    let (model, _) = input::model(&arguments.site.site, global)?;
    let facts = machine::facts();
    let host = planning::this_machine(&model, arguments.host.as_deref(), &facts)?;
    if model.layers.system != Mode::Enforce {
        return Err(Trouble::usage("the system layer of this site is not enforced", "write `[layers] system = \"enforce\"`"));
    }
    let plan = planning::plan(&model);
    let system = plan.machines.get(&host).and_then(|m| m.system.as_ref());
    let system = system.ok_or_else(|| Trouble::usage(format!("{host} is not managed by Ravelin"), "set `managed = true`"))?;
    if let Some(name) = &arguments.administrator {
        return administrator(arguments, system, name, global);
    }
    let mut shown = Adopted::new(service);
    let found = match plan::system::moving(system, &facts, service, login()) {
        Ok(found) => found,
        Err(against) => {
            show(global, &Adopted { against, ..shown })?;
            return Ok(Exit::Found);
        }
    };
    let mut adoption = adoption(arguments, system, &facts, found.clone())?;
    let surveyed = progress::during("looking at every file", || run::survey(&adoption, &Host::default()));
    shown.files.clone_from(&adoption.files);
    let repo_is = adoption.relocation.as_ref().map(|r| r.from.clone());
    shown.plan = Some(Move { roots: adoption.roots.clone(), repo_is, ..found.clone() });
    match surveyed {
        Ok(survey) => shown.survey = Some(survey),
        Err(Error::Refused(against)) => shown.against = against,
        Err(e) => shown.against.push(run::chain(&e)),
    }
    let interrupts = found.deadlines && found.active && arguments.i_checked_deadlines.is_none();
    let asker = Asker::new(&model, Some(&host)).filter(|_| interrupts);
    if interrupts && asker.is_none() {
        let why = "it is stopped for a moment, and a proof may be due: name chain nodes in [deadlines], or look at the deadlines \
                   (lotus-miner proving deadlines), then --i-checked-deadlines WHY";
        shown.against.push(why.to_owned());
    }
    let seconds = shown.survey.as_ref().map_or(0, |s| interruption(arguments.within, s));
    if let Some(asker) = asker.as_ref().filter(|_| !arguments.yes) {
        shown.deadlines = Some(asker.brief(seconds));
    }
    if !shown.against.is_empty() || !arguments.yes {
        show(global, &shown)?;
        return Ok(Exit::found(!shown.against.is_empty()));
    }
    if let Some(asker) = asker {
        adoption.deadlines = Some(asker.gate(seconds, "--i-checked-deadlines WHY")?);
        if plan::system::moving(system, &machine::facts(), service, login()).as_ref() != Ok(&found) {
            return Err(Trouble::usage(format!("{service} changed while a window was waited for; nothing was done"), "run it again"));
        }
    }
    let record = Record::begin(&arguments.state, adoption).map_err(cannot)?;
    in_a_unit(arguments, &record, global)
}

#[derive(Serialize)]
struct Made {
    account: String,
    /// The one it is made after.
    after: String,
    group: String,
    /// Who becomes an administrator: the keys, by kind and comment.
    keys: Vec<String>,
    /// sudo does not ask for a password: there is none.
    unasked: bool,
    done: bool,
}

impl Face for Made {
    fn text(&self) -> String {
        let Self { account, after, group, .. } = self;
        let sudo = if self.unasked { "sudo asks for no password, as there is none" } else { "with the same password" };
        let mut out = format!("{}: made after {after}, in group {group}; {sudo}\n", paint(HEAD, account));
        self.keys.iter().for_each(|k| out += &format!("  key {k}\n"));
        out += &match self.done {
            true => format!("log in as {account}, and run `sudo ravelin adopt` again from there: that shows that you get in\n"),
            false => "whoever holds one of these becomes an administrator; nothing was changed: --yes does it\n".to_owned(),
        };
        out
    }
}

/// An account of one's own, before the shared one is the service's alone.
fn administrator(arguments: &Arguments, system: &SystemPlan, name: &str, global: &Global) -> Result<Exit, Trouble> {
    let unit = plan::system::find(system, &arguments.service).map_err(|why| Trouble::usage(why.join("; "), "see `ravelin plan`"))?;
    let none = || Trouble::usage(format!("{} has no account that anybody could share", unit.name), "see `ravelin plan`");
    let shared = unit.account.as_ref().map(ToString::to_string).ok_or_else(none)?;
    let person = Person::here(&shared, name).map_err(cannot)?;
    if arguments.yes {
        person.make().map_err(cannot)?;
    }
    let (keys, unasked) = (person.holders(), person.is_unasked());
    let made = Made { account: person.name, after: shared, group: person.group.to_owned(), keys, unasked, done: arguments.yes };
    show(global, &made)?;
    Ok(Exit::Ok)
}

/// Seconds the service may be away: its stop, its files there and back, its start and the wait until it works.
fn interruption(within: u64, survey: &Survey) -> u64 {
    let copied = survey.way.as_ref().filter(|w| w.copies).map_or(0, |w| w.size.bytes / BYTES_A_SECOND);
    STOP_SECONDS + within + 2 * (survey.change / INODES_A_SECOND + copied)
}

/// Everything the move needs, real paths in place of declared ones: a store may be declared by a link to it.
fn adoption(arguments: &Arguments, system: &SystemPlan, facts: &facts::Facts, found: Move) -> Result<Adoption, Trouble> {
    let judged = plan::system::fits(system, facts);
    let unit = system.units.iter().find(|u| u.name == found.unit);
    let foreign = facts.unit(&found.unit).is_some();
    let mut files = unit.map(|u| emit::own::of_unit(u, judged.iter().find(|j| j.unit == u.name))).unwrap_or_default();
    // The service has a unit, whoever wrote it: it gets the drop-in alone.
    files.retain(|f| !foreign || f.path.ends_with(bundle::file::DROP_IN));
    let repo = unit.and_then(|u| u.data.repo.as_deref());
    let relocation = match (&found.repo_is, repo) {
        (Some(is), Some(wanted)) => relocation(is, wanted)?,
        _ => None,
    };
    let mut real: Vec<String> = found.roots.iter().filter_map(|r| real(r)).collect();
    real.extend(relocation.iter().map(|r| r.to.clone()));
    real.sort();
    real.dedup();
    let all = real.clone();
    real.retain(|r| !all.iter().any(|o| o != r && Path::new(r).starts_with(o)));
    Ok(Adoption {
        service: found.instance,
        unit: found.unit,
        active: found.active,
        account: found.account,
        from: found.from,
        roots: real,
        relocation,
        accounts: emit::accounts::sysusers(system),
        directories: emit::accounts::directories(system),
        files,
        closes: found.closes,
        port: found.port,
        within: arguments.within,
        deadlines: arguments.i_checked_deadlines.clone(),
    })
}

/// A path without links, where it is there.
fn real(path: &str) -> Option<String> {
    std::fs::canonicalize(path).ok()?.into_os_string().into_string().ok()
}

/// From the place in use to the site's; `None` where one is only another name of the other.
fn relocation(is: &str, wanted: &str) -> Result<Option<Relocation>, Trouble> {
    let help = "look where it is (systemctl show UNIT -p Environment), then write that as `repo`";
    let from = real(is).ok_or_else(|| Trouble::usage(format!("its repository should be at {is}, and is not there"), help))?;
    // What is not there yet has the real path of what is above it.
    let missing = || {
        let (above, name) = wanted.rsplit_once('/')?;
        Some(format!("{}/{name}", real(above).unwrap_or_else(|| above.to_owned()).trim_end_matches('/')))
    };
    let to = real(wanted).or_else(missing).unwrap_or_else(|| wanted.to_owned());
    Ok((from != to).then_some(Relocation { from, to }))
}

/// The account this session was logged in with: the kernel's own record of it, else what sudo says.
fn login() -> Option<u32> {
    let kernel = std::fs::read_to_string("/proc/self/loginuid").ok().and_then(|t| t.trim().parse().ok()).filter(|uid| *uid != u32::MAX);
    kernel.or_else(|| std::env::var("SUDO_UID").ok()?.parse().ok())
}

/// Carries out as a unit of systemd where it runs: it outlives this session.
fn in_a_unit(arguments: &Arguments, record: &Record, global: &Global) -> Result<Exit, Trouble> {
    if !Path::new("/run/systemd/system").is_dir() {
        return carry_out(record, &arguments.state, global);
    }
    let unit = format!("--unit=ravelin-adopt-{}", record.plan.service);
    let mut run = Command::new("systemd-run");
    run.args(["--quiet", "--collect", "--wait", "--pipe", "--service-type=exec", &unit, "--"]).args(command(record, &arguments.state)?);
    if global.format() == crate::args::Format::Json {
        run.arg("--json");
    }
    let status = run.status().map_err(|e| Trouble::io("systemd-run", e))?;
    let code = status.code().and_then(|c| u8::try_from(c).ok());
    code.map_or_else(
        || Err(Trouble::usage("the move goes on in its unit, this end of it was cut off", format!("journalctl -u {}", &unit[7..]))),
        |code| if code == 0 { Ok(Exit::Ok) } else { Err(Trouble::Passed(code)) },
    )
}

/// The command that goes on with a move.
fn command(record: &Record, state: &Path) -> Result<Vec<String>, Trouble> {
    let text = |p: PathBuf| {
        p.into_os_string().into_string().map_err(|p| Trouble::usage(format!("{} is no UTF-8", p.display()), "use another path"))
    };
    let own = text(std::env::current_exe().map_err(|e| Trouble::io("own program", e))?)?;
    let state = text(std::path::absolute(state).map_err(|e| Trouble::io(state, e))?)?;
    Ok([&own, "adopt", &record.plan.service, "--carry-out", "--state", &state].map(str::to_owned).to_vec())
}

fn carry_out(record: &Record, state: &Path, global: &Global) -> Result<Exit, Trouble> {
    let asked = record.journal().marks().map_err(cannot)?.iter().any(|m| matches!(m, ::adopt::step::Mark::Back(why) if why == "asked for"));
    let lock = sys::lock::acquire(&state.join("adopt/lock"), Duration::ZERO).map_err(|e| cannot(e.into()))?;
    if matches!(lock, sys::lock::Attempt::Busy) {
        return Err(Trouble::usage("another move is under way", "wait for it"));
    }
    let mut told = Instant::now();
    let ended = run::carry_out(record, &mut Host { goes_on: command(record, state)? }, &mut |progress| {
        if told.elapsed() >= TELL {
            told = Instant::now();
            remark(&match progress {
                Progress::Inodes(done, all) => format!("{done} of {all} inodes"),
                Progress::Bytes(done, all) => format!("{done} of {all} bytes of the repository"),
            });
        }
    });
    let ended = ended.map_err(|e| {
        Trouble::usage(
            format!("{}; the move stands where it was", run::chain(&e)),
            format!("mend it, then `ravelin adopt {} --yes` or --undo", record.plan.service),
        )
    })?;
    let exit = if ended == Ended::Moved || asked { Exit::Ok } else { Exit::Reverted };
    show(global, &Adopted { ended: Some(ended), ..Adopted::new(&record.plan.service) })?;
    Ok(exit)
}

fn none(service: &str) -> Trouble {
    Trouble::usage(format!("there is no move of `{service}` to take back or go on with"), "ravelin adopt SERVICE shows what would be done")
}

fn cannot(e: Error) -> Trouble {
    Trouble::usage(run::chain(&e), "nothing was changed")
}
