//! `ravelin apply`: this machine's part of the plan as one transaction: prove, stage, probe, confirm, or everything goes back by itself.
//! The privileged part is another program, `ravelin-applier`; this one proves, seals the bundle and asks for the confirmation.

use crate::{
    applier::{self, Applier},
    args::{Format, Global},
    cut,
    exit::Exit,
    face::{Face, remark, show},
    guard,
    input::{self, SiteArgument},
    keys::{self, Signers},
    machine, paint, planning,
    proof::Here,
    save,
    trouble::Trouble,
    window,
};
use bundle::{LayerMode, Probe};
use clap::Args;
use emit::bundle::Link;
use serde::Serialize;
use site::model::Mode;
use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};
use words::{Digest, Generation, HostName};

/// Seconds until an unconfirmed change goes back: long enough to open a second connection and look, short enough that a
/// machine cut off misses no proving deadline (30 minutes).
const CONFIRM_WITHIN_SECONDS: u64 = 120;

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    /// Which machine of the site this is [default: by its host name, else by its addresses]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Confirm after the probes without asking; where none answers before the change it waits for `ravelin apply --confirm`
    #[arg(long, conflicts_with = "no_confirm")]
    yes: bool,
    /// Leave it waiting; `ravelin apply --confirm` from a new connection confirms it
    #[arg(long)]
    no_confirm: bool,
    /// Confirm the change that waits; only over a connection to this machine that was opened after it
    #[arg(long, conflicts_with_all = ["yes", "no_confirm", "revert"])]
    confirm: bool,
    /// Confirm on the console, which shows nothing of the way in; the reason is recorded
    #[arg(long, value_name = "REASON", requires = "confirm")]
    from_console: Option<String>,
    /// End tracked connections that the confirmed policy would not let open, your own way in excepted; without it they go on
    #[arg(long, conflicts_with_all = ["no_confirm", "revert"])]
    cut: bool,
    /// Put the last confirmed state back
    #[arg(long)]
    revert: bool,
    /// Seconds until it goes back unless it is confirmed
    #[arg(long, value_name = "SECONDS", default_value_t = CONFIRM_WITHIN_SECONDS)]
    within: u64,
    /// State directory of the applier
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Go to `enforce` without a clean window of `ravelin learn`; the reason is recorded
    #[arg(long, value_name = "REASON")]
    because: Option<String>,
    /// Apply although your own next login from where you are would be stopped; the reason is recorded
    #[arg(long, value_name = "REASON")]
    without_way_in: Option<String>,
    /// Let --yes confirm although no probe answers; the reason is recorded
    #[arg(long, value_name = "REASON", requires = "yes")]
    without_probe: Option<String>,
    #[command(flatten)]
    signers: Signers,
    /// Write the signed bundle here and apply nothing: a second person adds a signature with `ravelin keys sign`
    #[arg(long, value_name = "FILE", requires = "keys", conflicts_with_all = ["yes", "no_confirm", "confirm", "revert", "cut"])]
    sign_to: Option<PathBuf>,
    /// The ledger of `ravelin learn` [default: below the account's state directory]
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Became {
    Unchanged,
    Confirmed,
    Waiting,
    Reverted,
    Refused,
    Written,
}

#[derive(Serialize)]
struct Applied {
    host: HostName,
    became: Became,
    generation: Generation,
    digest: Option<Digest>,
    probes: usize,
    /// Units whose drop-ins wait for a move, and why.
    waiting: Vec<String>,
}

impl Face for Applied {
    fn text(&self) -> String {
        let host = &self.host;
        let generation = self.generation;
        match self.became {
            Became::Unchanged => format!("{host}: nothing to do, generation {generation} holds what the site file says\n"),
            Became::Confirmed => format!("{host}: generation {generation} is confirmed; {} probes went through\n", self.probes),
            Became::Waiting => {
                format!("{host}: generation {generation} is in force and goes back by itself; `ravelin apply --confirm` keeps it\n")
            }
            Became::Reverted => format!("{host}: taken back; the last confirmed state is in force\n"),
            Became::Written => format!(
                "{host}: generation {generation} is written and signed, nothing was changed; `sudo ravelin-applier apply FILE` applies it\n"
            ),
            Became::Refused => format!("{host}: refused; nothing was changed\n"),
        }
    }
}

/// Applies to the machine it runs on.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let applier = Applier::new(arguments.state.clone());
    if arguments.confirm || arguments.revert {
        let mut call = vec![if arguments.confirm { "confirm" } else { "revert" }];
        call.extend(arguments.from_console.iter().flat_map(|reason| ["--from-console", reason.as_str()]));
        let status = applier.run(&call)?;
        if arguments.cut && status.success() {
            return cut::now(&applier);
        }
        return Ok(if status.success() { Exit::Ok } else { Exit::Cannot });
    }
    let secrets = arguments.signers.read()?;
    let (model, source, told) = input::told(&arguments.site.site, global)?;
    let facts = machine::facts();
    let planning::Here { host, devices, plan } = planning::here(&model, arguments.host.as_deref(), &facts)?;
    let live = machine::rulesets(&facts)?;
    let here = Here { host: &host, devices: &devices, live: &live, ufw: facts.ufw.as_ref() };
    guard::one_master(&host, &model, &plan, facts.ufw.as_ref())?;
    let proven: Vec<_> = here.violations(&model).unwrap_or_default().iter().map(|v| v.diagnostic(&source)).collect();
    let stops: Vec<_> = plan.notes.iter().chain(&proven).filter(|d| d.is_error()).collect();
    if !stops.is_empty() {
        stops.iter().for_each(|d| anstream::eprint!("{}", paint::diagnostic(d, &source)));
        show(
            global,
            &Applied { host, became: Became::Refused, generation: Generation::default(), digest: None, probes: 0, waiting: Vec::new() },
        )?;
        return Ok(Exit::Found);
    }
    let record = arguments.record.clone().unwrap_or_else(|| window::default_path(&model.name));
    guard::ended(&here, &model, &plan, &told, &source)?;
    guard::gateway(&host, &plan, &facts)?;
    guard::address(&host, &model, &plan, &facts)?;
    guard::way_in(&here, &model, &plan, &facts, arguments.without_way_in.as_deref(), &record)?;

    let status = applier.status()?;
    keys::would_count(status.trust.as_ref(), &secrets, arguments.sign_to.is_some())?;
    if let Some(p) = &status.pending {
        return Err(Trouble::usage(
            format!("generation {} waits for its confirmation and goes back in {} s", p.generation, p.reverts_in),
            "ravelin apply --confirm keeps it, ravelin apply --revert takes it back now",
        ));
    }
    let confirmed_mode = status.confirmed.as_ref().and_then(|c| c.layers.get("network").copied());
    let parent = status.confirmed.as_ref().map(|c| c.digest);
    let link = Link { generation: status.next_generation, parent, seeds: Vec::new(), ufw: facts.ufw.clone() };
    let site = planning::site_digest(&source);
    let machine = plan.machines.get(&host);
    let (files, waiting) = machine.map(|m| planning::own_files(m, &facts)).transpose()?.unwrap_or_default();
    waiting.iter().for_each(|w| remark(w));
    let sealed = planning::seal(&model, &plan, &devices, &host, site, link.clone(), files)?;
    let done =
        |became, generation, digest, probes| Applied { host: host.clone(), became, generation, digest, probes, waiting: waiting.clone() };
    if let Some(confirmed) = status.confirmed.filter(|c| c.policy == sealed.draft().policy() && status.drift.is_empty()) {
        show(global, &done(Became::Unchanged, confirmed.generation, Some(confirmed.digest), 0))?;
        return if arguments.cut { cut::now(&applier) } else { Ok(Exit::Ok) };
    }

    let in_force = confirmed_mode == Some(LayerMode::Enforce);
    if model.layers.network == Mode::Enforce && !in_force {
        window::judge(&record, &model, arguments.because.as_deref())?;
    }

    if let Some(rules) = here.composed(&plan).get(&host) {
        cut::tell(rules, &facts, arguments.cut);
    }
    // What does not work before says nothing about the change: it would only take a good one back.
    let mut draft = sealed.draft().clone();
    let (working, silent) = working(&draft.probes);
    for p in &silent {
        remark(&format!("not probed, since it does not answer now either: {} {} port {}", p.id, p.to, p.port));
    }
    draft.probes = working;
    let sealed = bundle::Bundle::seal(draft).map_err(|e| Trouble::bug(format!("the bundle does not seal: {e}")))?;
    let probes = sealed.draft().probes.len();

    let digest = sealed.digest();
    let bytes = if secrets.is_empty() {
        sealed.to_bytes()
    } else {
        let signed = signing::secret::sign_bundle(sealed, &secrets);
        signed.map_err(|e| Trouble::usage(e, "leave out keys that do not count"))?.to_bytes()
    };
    if let Some(file) = &arguments.sign_to {
        save::private(file, &bytes)?;
        show(global, &done(Became::Written, link.generation, Some(digest), probes))?;
        return Ok(Exit::Ok);
    }

    let file = tempfile::NamedTempFile::new().map_err(|e| Trouble::io("temporary file", e))?;
    file.as_file().write_all(&bytes).map_err(|e| Trouble::io(file.path(), e))?;
    let within = arguments.within.to_string();
    let path = file.path().to_string_lossy().into_owned();
    let mut call = vec!["apply", &path, "--machine", host.as_str(), "--confirm-within", &within];
    let automatic = arguments.yes && (probes > 0 || arguments.without_probe.is_some());
    if let Some(because) = arguments.without_probe.as_deref().filter(|_| probes == 0) {
        window::record(&record, &model, because, "no probe answered before the change, so none could say that it is good".to_owned())?;
    }
    if automatic {
        call.push("--auto-confirm");
    }
    let ended = applier.run(&call)?;
    if ended.code() == Some(applier::LOST) {
        return Err(Trouble::usage(
            "the change failed and nothing could be put back: this machine may hold neither the old rules nor the new ones",
            "on the console: ravelin break-glass",
        ));
    }
    if !ended.success() {
        show(global, &done(Became::Reverted, link.generation, None, probes))?;
        return Ok(Exit::Reverted);
    }
    let became = match () {
        () if automatic => Became::Confirmed,
        () if arguments.yes => {
            let within = arguments.within;
            remark(&format!("No probe answered before the change, so nothing here can say that it is good. It goes back in {within} s."));
            remark("Open a new connection to this machine and type there: sudo ravelin apply --confirm");
            Became::Waiting
        }
        () if arguments.no_confirm => Became::Waiting,
        () => wait(&applier, global, arguments.within, link.generation)?,
    };
    show(global, &done(became, link.generation, Some(digest), probes))?;
    if arguments.cut && became == Became::Confirmed {
        return cut::now(&applier);
    }
    Ok(match became {
        Became::Reverted => Exit::Reverted,
        Became::Waiting if !arguments.no_confirm => Exit::Waiting,
        _ => Exit::Ok,
    })
}

/// Between two looks at whether it is confirmed: each starts the applier once.
const LOOK: Duration = Duration::from_secs(2);

/// Waits for the confirmation over a new connection. This session was there before the change, so nothing typed here can give it.
fn wait(applier: &Applier, global: &Global, within: u64, generation: Generation) -> Result<Became, Trouble> {
    if !std::io::stdin().is_terminal() || global.format() != Format::Text {
        return Ok(Became::Waiting);
    }
    remark(&format!("In force; goes back in {within} s. Open a new connection to this machine now and type there:"));
    remark("    sudo ravelin apply --confirm");
    remark("On the console: ravelin apply --confirm --from-console REASON. Ctrl-C here changes nothing: it goes back at the deadline.");
    loop {
        let status = applier.status()?;
        if status.pending.is_none() {
            let kept = status.confirmed.is_some_and(|c| c.generation == generation);
            return Ok(if kept { Became::Confirmed } else { Became::Reverted });
        }
        std::thread::sleep(LOOK);
    }
}

/// How long a peer may take to answer before the change: one retransmission of a SYN.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Probes that go through now, and those that do not.
fn working(probes: &[Probe]) -> (Vec<Probe>, Vec<Probe>) {
    let answers = |p: &Probe| match std::net::TcpStream::connect_timeout(&(p.to, p.port).into(), PATIENCE) {
        Ok(_) => true,
        Err(e) => e.kind() == std::io::ErrorKind::ConnectionRefused,
    };
    let tried: Vec<bool> = std::thread::scope(|scope| {
        let all: Vec<_> = probes.iter().map(|p| scope.spawn(move || answers(p))).collect();
        all.into_iter().map(|t| t.join().unwrap_or(false)).collect()
    });
    let (yes, no): (Vec<_>, Vec<_>) = probes.iter().cloned().zip(tried).partition(|(_, works)| *works);
    let only = |v: Vec<(Probe, bool)>| v.into_iter().map(|(p, _)| p).collect();
    (only(yes), only(no))
}
