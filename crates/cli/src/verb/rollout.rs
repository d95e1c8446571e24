//! `ravelin rollout`: every machine's part of the plan as one transaction over all of them: prove every mixture, stage wave by wave, try
//! connections, decide, confirm; before the decision whatever goes wrong takes everything back. Runs without privileges: the applier on each
//! machine is the one privileged step.

use crate::{
    args::Global,
    coordinate::{
        books::{self, BookArguments},
        planner::Planner,
        show::{Progress, Shown},
        way::{Via, WayArguments},
    },
    exit::Exit,
    face::{remark, show},
    input::{self, SiteArgument},
    keys::Signers,
    machine, planning,
    trouble::Trouble,
    window,
};
use clap::Args;
use rollout::{
    Driver, Injection, Partial, Setup, Times,
    ledger::{Context, Ledger, What},
};
use signing::Secret;
use site::model::{Mode, Model};
use std::{collections::BTreeSet, rc::Rc, sync::Arc};
use words::{Digest, HostName, SourceFile};

/// Arguments of `rollout`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    #[command(flatten)]
    how: How,
    /// Plan and prove, say what would be done, and change nothing
    #[arg(long, conflicts_with = "resume")]
    dry_run: bool,
    /// Take up the rollout that was begun last: forward where it was decided, back where it was not
    #[arg(long)]
    resume: bool,
    /// Go to `enforce` without a clean window of `ravelin learn`; the reason is recorded
    #[arg(long, value_name = "REASON")]
    because: Option<String>,
}

/// How a rollout is carried out, for the verbs that do.
#[derive(Debug, Args)]
pub struct How {
    #[command(flatten)]
    way: WayArguments,
    /// Only these machines; the others stay as they are, and that is proved as well
    #[arg(long, value_name = "HOST")]
    only: Vec<HostName>,
    /// What about machines that do not answer before anything is changed
    #[arg(long, value_enum, default_value_t = PartialArgument::Refuse)]
    partial: PartialArgument,
    #[command(flatten)]
    signers: Signers,
    /// Longest a machine may wait for its confirmation before it goes back, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = Times::default().longest)]
    longest: u64,
    /// How long a machine may take to apply its part, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = Times::default().apply)]
    patience: u64,
    /// Go on although a mixture of old and new machines is wider than both, or not proved; the reason is recorded
    #[arg(long, value_name = "REASON")]
    mixtures_because: Option<String>,
    /// Progress as JSON lines on standard error
    #[arg(long)]
    events: bool,
    #[command(flatten)]
    book: BookArguments,
    /// Die after a step, for tests: STEP or STEP:TIME
    #[arg(long, hide = true)]
    inject: Option<Injection>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PartialArgument {
    /// Nothing is changed anywhere
    Refuse,
    /// They are left out, named and recorded
    Skip,
}

/// Rolls out, or takes up what was begun.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let (model, source, told) = input::told(&arguments.site.site, global)?;
    if arguments.resume {
        return resume(&arguments.how, &model, &source, global);
    }
    // Over many machines nobody can say that a change only narrows, which is what lets one machine's go on.
    if model.layers.network != Mode::Off && told.iter().any(|d| d.is_error() && d.code == site::code::WEAK003) {
        return Err(Trouble::usage(
            "a weakening of the site file has ended; nothing was changed",
            "take it out, or decide again and give it a new `until`; on a single machine `ravelin apply` lets through what only narrows",
        ));
    }
    let asked = Asked { because: arguments.because.clone(), dry: arguments.dry_run, argument: typed() };
    out(&arguments.how, &model, &source, asked, global)
}

/// What was typed, without the program's own path.
pub fn typed() -> String {
    std::iter::once("ravelin".to_owned()).chain(std::env::args().skip(1)).collect::<Vec<_>>().join(" ")
}

/// What was asked for besides.
pub struct Asked {
    /// Why it goes to `enforce` without a clean window.
    pub because: Option<String>,
    /// Nothing is changed.
    pub dry: bool,
    /// As it was typed.
    pub argument: String,
}

/// Rolls out a site.
pub fn out(how: &How, model: &Model, source: &SourceFile, asked: Asked, global: &Global) -> Result<Exit, Trouble> {
    let machines = machines(how, model)?;
    let way = how.way.way(model)?;
    if way.via == Via::Local {
        this_one(model, &machines)?;
    }
    let keys: Rc<[Secret]> = how.signers.read()?.into();
    let mut ledger = open(how, model, source, &asked.argument, &keys)?;
    if let Some((id, begun)) = ledger.unfinished().map_err(books::trouble)?.filter(|_| !asked.dry) {
        let which = if begun.decided { "is decided and not everywhere yet" } else { "was begun and is not over" };
        return Err(Trouble::usage(format!("rollout {id} {which}"), "ravelin rollout --resume"));
    }
    let mut planner = Planner {
        model,
        source,
        before: last(&ledger, global),
        way: &way,
        keys,
        because: asked.because,
        mixtures_because: how.mixtures_because.clone(),
        record: window::default_path(&model.name),
    };
    let setup = Setup { id: ledger.next_id(), machines, partial: how.partial(), dry: asked.dry, times: how.times() };
    let progress = Progress::new(how.events);
    let driver = Driver { transport: Arc::clone(&way.transport), book: &mut ledger, watch: &progress, inject: how.inject };
    finish(driver.run(setup, &mut planner), global)
}

fn resume(how: &How, model: &Model, source: &SourceFile, global: &Global) -> Result<Exit, Trouble> {
    let way = how.way.way(model)?;
    let keys: Rc<[Secret]> = how.signers.read()?.into();
    let mut ledger = open(how, model, source, &typed(), &keys)?;
    let Some((id, begun)) = ledger.unfinished().map_err(books::trouble)? else {
        return Err(Trouble::usage("no rollout is open", "`ravelin history` shows how the last one ended"));
    };
    remark(&format!(
        "Rollout {id} is taken up: {}.",
        if begun.decided { "it is decided, so it goes on" } else { "it was not decided, so it goes back" }
    ));
    let machines = begun.targets.keys().cloned().collect();
    let setup = Setup { id, machines, partial: how.partial(), dry: false, times: how.times() };
    let progress = Progress::new(how.events);
    let driver = Driver { transport: Arc::clone(&way.transport), book: &mut ledger, watch: &progress, inject: how.inject };
    finish(driver.resume(setup, begun), global)
}

fn finish(report: rollout::Report, global: &Global) -> Result<Exit, Trouble> {
    let shown = Shown(report);
    show(global, &shown)?;
    Ok(shown.exit())
}

fn open(how: &How, model: &Model, source: &SourceFile, argument: &str, keys: &Rc<[Secret]>) -> Result<Ledger, Trouble> {
    let context =
        Context { by: books::whoami(), argument: argument.to_owned(), site_name: model.name.clone(), site_text: source.text().to_owned() };
    books::open(&how.book.directory(&model.name), context, keys)
}

/// The site as it was rolled out last.
fn last(ledger: &Ledger, global: &Global) -> Option<Model> {
    let file = kept(ledger).last().map(|(_, file)| *file)?;
    let text = ledger.site(file).map_err(|e| remark(&format!("the site as it was: {e}"))).ok()?;
    site::read(&SourceFile::new("the site as it was", text), &global.today()).model
}

/// Rollouts that were kept, oldest first, with the digest of their site file.
pub fn kept(ledger: &Ledger) -> Vec<(String, Digest)> {
    let of = |id: &str, which: fn(&What) -> bool| ledger.history().records().any(|r| r.rollout == id && which(&r.what));
    let back = |w: &What| matches!(w, What::Closed { report } if report.outcome == rollout::Outcome::TakenBack);
    let over = |id: &str| of(id, |w| matches!(w, What::Decided)) && !of(id, back);
    let opened = ledger.history().records().filter_map(|r| match &r.what {
        What::Opened { file, .. } => Some((r.rollout.clone(), *file)),
        _ => None,
    });
    opened.filter(|(id, _)| over(id)).collect()
}

fn machines(how: &How, model: &Model) -> Result<BTreeSet<HostName>, Trouble> {
    let managed: BTreeSet<HostName> = model.hosts.values().filter(|h| h.managed).map(|h| h.name.clone()).collect();
    if let Some(unknown) = how.only.iter().find(|h| !managed.contains(*h)) {
        let all: Vec<&str> = managed.iter().map(HostName::as_str).collect();
        return Err(Trouble::usage(format!("the site manages no host `{unknown}`"), format!("it manages {}", all.join(", "))));
    }
    Ok(if how.only.is_empty() { managed } else { how.only.iter().cloned().collect() })
}

/// The local way reaches the machine this program runs on, whatever the others are called.
fn this_one(model: &Model, machines: &BTreeSet<HostName>) -> Result<(), Trouble> {
    let here = planning::this_machine(model, None, &machine::network())?;
    if machines.iter().eq([&here]) {
        return Ok(());
    }
    Err(Trouble::usage(format!("--via local reaches {here} alone, where this runs"), format!("--only {here}, or --via ssh")))
}

impl How {
    /// Where the ledger lies.
    pub fn book(&self) -> &BookArguments {
        &self.book
    }
    fn partial(&self) -> Partial {
        match self.partial {
            PartialArgument::Refuse => Partial::Refuse,
            PartialArgument::Skip => Partial::Skip,
        }
    }
    fn times(&self) -> Times {
        Times { apply: self.patience, longest: self.longest, ..Times::default() }
    }
}
