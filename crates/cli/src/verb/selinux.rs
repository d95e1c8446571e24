//! `ravelin selinux`: the way from a machine without SELinux to an enforcing one, a verb at a time, and back. Each shows what it would do
//! unless `--yes`; what was before is recorded first, and `undo` gives it back.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, remark, show},
    input, machine,
    paint::{BAD, DIM, GOOD, HEAD, WARN, paint},
    planning,
    trouble::{Trouble, chain},
};
use clap::{Args, Subcommand};
use confine::{Error, Host, Record, ground, label, log, record::Line, run::Undone};
use jiff::Timestamp;
use learn::{PROVING_PERIOD, denial, remedy};
use plan::selinux::{
    SelinuxPlan,
    act::Act,
    instead::{self, Carried},
    way::{self, Ground, Next, Stage, Step},
};
use serde::Serialize;
use site::model::Mode;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Instant,
};
use words::AccountName;

/// Denials that are told one by one; `--json` has all.
const TOLD: usize = 40;

/// Arguments of `selinux`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
    /// The site file
    #[arg(long, short, value_name = "SITE", default_value = "site.toml", global = true)]
    site: PathBuf,
    /// Which machine of the site this is [default: by its host name, else by its addresses]
    #[arg(long, value_name = "NAME", global = true)]
    host: Option<String>,
    /// Where the record is kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/ravelin", global = true)]
    state: PathBuf,
}

/// The verbs, in the order of the way.
#[derive(Debug, Subcommand)]
enum What {
    /// Where this machine stands, what its domains were or would be denied, and the next step
    Status,
    /// Packages, the kernel's parameter, the configuration; ends before the restart, which is yours to do
    Prepare(Do),
    /// The site's modules, every domain permissive, and labels; goes on where it stopped
    Install {
        #[command(flatten)]
        how: Do,
        /// Label everything once more: after a boot without SELinux, in which files are made without labels
        #[arg(long)]
        relabel: bool,
        /// An account that administers this machine: staff_u, and sysadm_r by sudo; once one is named, whoever is not gets user_u
        #[arg(long, value_name = "NAME")]
        operator: Vec<String>,
    },
    /// The system enforces until the next boot; Ravelin's domains only report
    Permissive(Do),
    /// The domains enforce, now and at every boot
    Enforce(Do),
    /// Back to what was found
    Undo {
        /// Do it; else only show
        #[arg(long)]
        yes: bool,
    },
}

/// How a step is done.
#[derive(Debug, Clone, Args)]
struct Do {
    /// Do it; else only show
    #[arg(long)]
    yes: bool,
    /// Do it although something speaks against it; the reason is recorded
    #[arg(long, value_name = "REASON")]
    force: Option<String>,
}

#[derive(Serialize)]
struct Way {
    machine: String,
    standing: &'static str,
    ground: Ground,
    next: Next,
    /// What was done.
    done: Vec<String>,
    /// Inodes at the places that are to be labelled.
    inodes: Option<u64>,
    /// What Ravelin's domains were or would be denied, and the entry that would allow it.
    denials: Vec<Told>,
    /// Kinds of denials of other domains.
    others: usize,
    /// The domains' window.
    window: Option<learn::Window>,
    /// On a kernel without SELinux: what carries its part.
    instead: Vec<Carried>,
    /// The site names chain nodes that can be asked for deadlines.
    asks: bool,
}

#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    total: denial::Total,
    remedy: remedy::Remedy,
}

impl Face for Way {
    fn text(&self) -> String {
        let mut out = format!("{}: {}\n", paint(HEAD, &self.machine), self.standing);
        self.done.iter().for_each(|d| out += &format!("  {} {d}\n", paint(GOOD, "done")));
        for t in self.denials.iter().take(TOLD) {
            let style = if t.total.permissive { WARN } else { BAD };
            out += &format!("  {}\n    {}\n", paint(style, t.total.text()), t.remedy.text());
        }
        if self.denials.len() > TOLD {
            out += &format!("  and {} more kinds: --json\n", self.denials.len() - TOLD);
        }
        if self.others > 0 {
            out += &format!("  {} kinds of denials of the system's own domains: ausearch -m avc\n", self.others);
        }
        if let Some(w) = &self.window {
            out += &format!("  window {}\n", said(w));
        }
        match &self.next {
            Next::Arrived => out += "nothing is left to do\n",
            Next::Blocked(why) => {
                out += &format!("{why}\n");
                self.instead.iter().for_each(|c| out += &format!("  {}\n", c.text()));
            }
            Next::Step(step) => out += &self.step(step),
        }
        out
    }
}

impl Way {
    fn step(&self, step: &Step) -> String {
        let mut out = format!("next: {} ({})\n", paint(HEAD, step.name), step.why);
        let labels = step.acts.iter().filter(|a| matches!(a, Act::Label(_))).count();
        step.acts.iter().filter(|a| !matches!(a, Act::Label(_))).for_each(|a| out += &format!("  {}\n", paint(DIM, a.command())));
        if labels > 0 {
            let inodes = self.inodes.map(|n| format!(", {n} inodes")).unwrap_or_default();
            out += &format!("  {}\n", paint(DIM, format!("restorecon at {labels} places{inodes}")));
        }
        if let Some(n) = self.inodes.filter(|_| labels == 0) {
            out += &format!("  {}\n", paint(DIM, format!("later {n} inodes are labelled, while everything runs")));
        }
        if let Some(against) = &step.against {
            out += &format!("  stands against it: {against}\n");
        }
        match step.stage {
            Stage::Reboot if self.asks => out + "restart it between two proofs: ravelin deadlines --wait --for 10m && systemctl reboot\n",
            Stage::Reboot => out + "restart it when a deadline is proven: systemctl reboot\n",
            stage => out + &format!("ravelin selinux {} --yes does it\n", stage.word()),
        }
    }
}

#[derive(Serialize)]
struct Back {
    commands: Vec<String>,
    done: bool,
    left: Option<String>,
}

impl Face for Back {
    fn text(&self) -> String {
        let mut out: String = self.commands.iter().map(|c| format!("  {c}\n")).collect();
        out += match (self.done, &self.left) {
            (false, _) if self.commands.is_empty() => "there is nothing to take back\n",
            (false, _) => "nothing was changed: --yes does it\n",
            (true, None) => "as it was found\n",
            (true, Some(left)) => return out + left + "\n",
        };
        out
    }
}

/// Looks, shows, does.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    if !rustix::process::geteuid().is_root() {
        return Err(Trouble::usage("the policy's store and the audit log are root's to read", "run it as root: sudo ravelin selinux ..."));
    }
    let (stage, how) = match &arguments.what {
        What::Undo { yes } => return undo(arguments, global, *yes),
        What::Status => (None, None),
        What::Prepare(how) => (Some(Stage::Prepare), Some(how)),
        What::Install { how, .. } => (Some(Stage::Install), Some(how)),
        What::Permissive(how) => (Some(Stage::Permissive), Some(how)),
        What::Enforce(how) => (Some(Stage::Enforce), Some(how)),
    };
    let here = Here::new(arguments, global)?;
    let mut done = Vec::new();
    if let (Some(stage), Some(how)) = (stage, how) {
        if stage == Stage::Enforce && here.plan.mode != Mode::Enforce {
            return Err(Trouble::usage("the site file says `selinux = \"observe\"`", "write `[layers] selinux = \"enforce\"`"));
        }
        if matches!(&arguments.what, What::Install { relabel: true, .. }) && how.yes {
            here.record.begun().and_then(|r| r.add(&Line::Unlabelled)).map_err(cannot)?;
        }
        here.walk(stage, how, &mut done)?;
    }
    let way = here.way(done)?;
    let found = matches!(way.next, Next::Blocked(_)) || !way.denials.is_empty();
    show(global, &way)?;
    Ok(Exit::found(found))
}

/// This machine and what it is to hold.
struct Here {
    name: String,
    plan: SelinuxPlan,
    modules: BTreeMap<String, String>,
    record: Record,
    instead: Vec<Carried>,
    asks: bool,
    operators: BTreeSet<String>,
}

/// What the log says, and what follows from it.
struct Seen {
    log: denial::Log,
    window: learn::Window,
}

impl Here {
    fn new(arguments: &Arguments, global: &Global) -> Result<Self, Trouble> {
        let (model, _) = input::model(&arguments.site, global)?;
        let host = planning::this_machine(&model, arguments.host.as_deref(), &machine::network())?;
        let plan = planning::plan(&model).machines.get(&host).and_then(|m| m.selinux.clone());
        let plan = plan.filter(|p| p.mode != Mode::Off && !p.domains.is_empty()).ok_or_else(|| {
            Trouble::usage(
                format!("the site has no SELinux domain for {host}"),
                "write `[layers] selinux = \"observe\"`, and let the machine run a service that gets a domain",
            )
        })?;
        let modules = emit::selinux::on_the_way(&plan);
        let operators = match &arguments.what {
            What::Install { operator, .. } => operators(operator)?,
            _ => BTreeSet::new(),
        };
        let (record, instead) = (Record::look(&arguments.state), instead::carried(&model.layers));
        Ok(Self { name: host.to_string(), plan, modules, record, instead, asks: model.deadlines.is_some(), operators })
    }

    fn ground(&self) -> Result<(Ground, Option<Seen>), Trouble> {
        let mut ground = ground::look(&self.record, &self.modules, &self.plan, &self.operators).map_err(cannot)?;
        if !ground.runs() {
            return Ok((ground, None));
        }
        let seen = self.seen()?;
        let since = self.record.settled().map_err(cannot)?.unwrap_or(0);
        let system: Vec<String> =
            seen.log.totals.iter().filter(|t| !t.is_ours() && t.permissive && t.last > since).map(denial::Total::text).collect();
        if let Some(first) = system.first() {
            ground.system_waits = Some(format!("{} kinds of access of the system's own would be refused, such as {first}", system.len()));
        }
        if !matches!(seen.window, learn::Window::Clean { .. }) {
            ground.domains_wait = Some(format!("the window is {}", said(&seen.window)));
        }
        Ok((ground, Some(seen)))
    }

    fn seen(&self) -> Result<Seen, Trouble> {
        let log = log::text().map(|t| denial::read(&t)).unwrap_or_default();
        let window = denial::window(&log, self.record.settled().map_err(cannot)?, now(), PROVING_PERIOD);
        Ok(Seen { log, window })
    }

    /// Does the steps of this verb, one after the other, until another verb's is next.
    fn walk(&self, stage: Stage, how: &Do, done: &mut Vec<String>) -> Result<(), Trouble> {
        loop {
            let (ground, _) = self.ground()?;
            let wanted: BTreeSet<String> = self.modules.keys().cloned().collect();
            let Next::Step(step) = way::next(&ground, &wanted) else { return Ok(()) };
            if step.stage < stage {
                let first = if step.stage == Stage::Reboot {
                    "restart the machine".to_owned()
                } else {
                    format!("ravelin selinux {}", step.stage.word())
                };
                return Err(Trouble::usage(format!("{} comes first: {}", step.name, step.why), first));
            }
            if step.stage > stage || !how.yes {
                return Ok(());
            }
            self.carry_out(&step, how, done)?;
        }
    }

    fn carry_out(&self, step: &Step, how: &Do, done: &mut Vec<String>) -> Result<(), Trouble> {
        if step.acts.iter().any(|a| matches!(a, Act::Load(_))) {
            let listing = observe::run::output("semanage", &["port", "-l", "-C", "-n"]).map_err(|e| cannot(e.into()))?;
            let taken = way::ports_taken(&self.plan, &listing);
            if !taken.is_empty() {
                return Err(Trouble::usage(taken.join("; "), "take the setting away, or choose another port"));
            }
        }
        let record = self.record.begun().map_err(cannot)?;
        if let Some(against) = &step.against {
            let because = how.force.clone().ok_or_else(|| {
                Trouble::usage(
                    format!("{against}; nothing was changed"),
                    "mend it and wait, or say why it cannot wait: --force REASON (recorded)",
                )
            })?;
            record
                .add(&Line::Forced { at: now(), stage: step.stage.word().to_owned(), because, against: against.clone() })
                .map_err(cannot)?;
        }
        record.stage(&self.modules).map_err(cannot)?;
        let mut host = Host { root: "/".into(), record: record.clone() };
        let counts: Vec<u64> = step.acts.iter().map(|a| if let Act::Label(place) = a { label::inodes(place) } else { 0 }).collect();
        let (all, begun, mut at) = (counts.iter().sum::<u64>(), Instant::now(), 0);
        let mut each = counts.iter();
        confine::run::carry_out(&record, &mut host, &step.acts, &now, &mut |act| {
            remark(&format!("{}{}", act.command(), progress(at, all, begun)));
            at += each.next().copied().unwrap_or(0);
        })
        .map_err(|e| Trouble::usage(chain(&e), "what was done is recorded: mend it and run the same again, or `ravelin selinux undo`"))?;
        done.push(if all > 0 { format!("{}: {all} inodes in {} s", step.name, begun.elapsed().as_secs()) } else { step.name.to_owned() });
        Ok(())
    }

    fn way(&self, done: Vec<String>) -> Result<Way, Trouble> {
        let (ground, seen) = self.ground()?;
        let wanted: BTreeSet<String> = self.modules.keys().cloned().collect();
        let next = way::next(&ground, &wanted);
        let services = self.plan.services();
        let since = self.record.settled().map_err(cannot)?;
        let mut way = Way {
            machine: self.name.clone(),
            standing: ground.standing(),
            inodes: None,
            denials: Vec::new(),
            others: 0,
            window: None,
            instead: if matches!(next, Next::Blocked(_)) { self.instead.clone() } else { Vec::new() },
            asks: self.asks,
            next,
            ground,
            done,
        };
        if let Next::Step(step) = &way.next {
            // Labels come in the step after the modules; how much there is to do is said before the restart already.
            if matches!(step.name, "labels" | "boot-parameter" | "reboot") {
                way.inodes = Some(way.ground.unlabelled.iter().map(|p| label::inodes(p)).sum());
            }
        }
        if let (Some(seen), Some(since)) = (seen, since) {
            let lately = |t: &&denial::Total| t.last >= since;
            way.others = seen.log.totals.iter().filter(lately).filter(|t| !t.is_ours()).count();
            let ours = seen.log.totals.iter().filter(lately).filter(|t| t.is_ours());
            let told = |t: &denial::Total| Told { remedy: remedy::of(&t.access, t.path.as_deref(), &services), total: t.clone() };
            way.denials = ours.map(told).collect();
            way.window = (!way.ground.permissive().is_empty()).then_some(seen.window);
        }
        Ok(way)
    }
}

/// Operators by name: accounts of this machine whose names are plain words, as they are written into the sudo policy. Root is none: it
/// needs no role.
fn operators(named: &[String]) -> Result<BTreeSet<String>, Trouble> {
    if named.is_empty() {
        return Ok(BTreeSet::new());
    }
    let accounts = ground::accounts(&observe::Root::machine()).map_err(cannot)?;
    for name in named {
        if AccountName::new(name).is_err() || name == "root" || !accounts.iter().any(|a| a.name == *name) {
            let how = "name accounts that people log in with, of lower-case letters, digits, `-` and `_`";
            return Err(Trouble::usage(format!("`{name}` is no account of an operator on this machine"), how));
        }
    }
    Ok(named.iter().cloned().collect())
}

/// The window in words of its own: here it is accesses that count, in `learn` flows.
fn said(window: &learn::Window) -> String {
    match window {
        learn::Window::Dirty { cuts } => format!("not clean: {} kinds of access would be denied", cuts.len()),
        learn::Window::Clean { .. } => "clean: nothing was denied for the whole proving period".to_owned(),
        learn::Window::Unseen => "not watched: no audit log, or one with lines that are not understood".to_owned(),
        learn::Window::TooShort { .. } => window.to_string(),
    }
}

/// How far labelling is, and how long the rest takes at the pace so far.
fn progress(at: u64, all: u64, begun: Instant) -> String {
    if all == 0 {
        return String::new();
    }
    let spent = begun.elapsed().as_secs();
    let left = (spent * (all - at)).checked_div(at).filter(|_| spent > 0).map(|s| format!(", about {s} s left")).unwrap_or_default();
    format!("  ({at} of {all} inodes{left})")
}

fn undo(arguments: &Arguments, global: &Global, yes: bool) -> Result<Exit, Trouble> {
    let looked = Record::look(&arguments.state);
    let back = plan::selinux::act::back(&looked.before().map_err(cannot)?);
    let mut commands: Vec<String> = back.now.iter().map(Act::command).collect();
    if !back.packages.is_empty() {
        commands.push(format!("apt-get remove {}", back.packages.iter().cloned().collect::<Vec<_>>().join(" ")));
    }
    if !yes || commands.is_empty() {
        show(global, &Back { commands, done: false, left: None })?;
        return Ok(Exit::Ok);
    }
    let record = looked.begun().map_err(cannot)?;
    let mut host = Host { root: "/".into(), record: record.clone() };
    let undone = confine::run::undo(&record, &mut host, now(), &mut |act| remark(&act.command()))
        .map_err(|e| Trouble::usage(chain(&e), "mend it and run `ravelin selinux undo` again: it goes on"))?;
    let left = match undone {
        Undone::Nothing | Undone::All => None,
        Undone::ButPackages(p) => {
            let list = p.into_iter().collect::<Vec<_>>().join(", ");
            Some(format!("restart the machine, then `ravelin selinux undo --yes` once more: it removes {list}"))
        }
        Undone::UntilRestart => Some("as it was found; the security module itself changes with the next restart".to_owned()),
    };
    show(global, &Back { commands, done: true, left })?;
    Ok(Exit::Ok)
}

fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

fn cannot(e: Error) -> Trouble {
    Trouble::usage(chain(&e), "nothing was changed")
}
