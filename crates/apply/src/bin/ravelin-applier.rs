//! The privileged applier. In come arguments, out go one line of text or one JSON object, and an exit status: 0 done,
//! 1 failed and the last known good state is in force, 2 misused, 3 failed and no state could be put back.

use apply::{
    Error,
    boot::{self, Loaded},
    cut, flows,
    inject::Injection,
    pair, revert,
    state::{DEFAULT, Phase, State},
    status, timer,
    transaction::{self, Applied, Failed, LOCK_PATIENCE, Options, Outcome},
    trial,
    trust::{self, Offered},
};
use bundle::{SeedFlow, Trial};
use clap::{Parser, Subcommand};
use facts::Connection;
use serde::Serialize;
use std::{
    fmt::Display,
    io::Write,
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use words::{Digest, HostName};

/// Puts a verified bundle onto this machine, or puts the last known good state back.
#[derive(Parser)]
#[command(name = "ravelin-applier", version)]
struct Arguments {
    /// State directory.
    #[arg(long, global = true, default_value = DEFAULT)]
    state: PathBuf,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Apply a bundle; it reverts unless it is confirmed in time.
    Apply {
        /// The bundle; `-` is standard input.
        bundle: PathBuf,
        /// Refuse a bundle for another machine than this.
        #[arg(long)]
        machine: Option<HostName>,
        /// Confirm here after the probes.
        #[arg(long)]
        auto_confirm: bool,
        /// Seconds until it reverts unless it is confirmed.
        #[arg(long, default_value_t = timer::CONFIRM_WITHIN.as_secs())]
        confirm_within: u64,
        /// Seconds a forwarding node only listens before its first ruleset.
        #[arg(long, default_value_t = flows::TRACKING_PERIOD.as_secs())]
        tracking_period: u64,
        /// JSON list of connections through this machine that were open before it tracked any.
        #[arg(long)]
        flows: Option<PathBuf>,
        /// Fail on purpose after a step: STEP=error, STEP=exit, STEP=kill, STEP=hang.
        #[arg(long)]
        inject: Option<Injection>,
    },
    /// Confirm the change that waits, over a connection that was opened after it.
    Confirm {
        /// Confirm over no connection; the reason is recorded.
        #[arg(long, value_name = "REASON")]
        from_console: Option<String>,
        /// Only this one.
        #[arg(long)]
        digest: Option<Digest>,
        /// Fail on purpose after a step.
        #[arg(long)]
        inject: Option<Injection>,
    },
    /// Put the last known good state back now.
    Revert {
        /// Only where this one waits.
        #[arg(long)]
        digest: Option<Digest>,
    },
    /// Try connections from this machine: all of a JSON list at once; changes nothing.
    Probe {
        /// The list; `-` is standard input.
        list: PathBuf,
    },
    /// What this machine reports of itself, as JSON; secrets are taken out.
    Facts {
        /// Of its network alone.
        #[arg(long)]
        network: bool,
    },
    /// On a node of a pair: hand everything to the other node and wait until it has it.
    Drain {
        /// Take the word back.
        #[arg(long = "return")]
        back: bool,
    },
    /// What is confirmed, what waits, what drifted.
    Status,
    /// Load the last confirmed generation; for the unit that runs before the network.
    Boot,
    /// Put the addresses of what is in force on their devices; for the unit that runs after the network.
    Addresses,
    /// On the active node of a pair: tell the other one of every connection; for the timer that does so.
    States,
    /// On the console: leave the management path and what is established, drop the rest.
    BreakGlass {
        /// End what is established too, the management path excepted.
        #[arg(long)]
        cut: bool,
        /// Leave connections from this address alone.
        #[arg(long, requires = "cut")]
        spare: Vec<IpAddr>,
    },
    /// End tracked connections: exactly those of a JSON list, the management path excepted.
    Cut {
        /// The list; `-` is standard input.
        list: PathBuf,
        /// Leave connections from this address alone.
        #[arg(long)]
        spare: Vec<IpAddr>,
    },
    /// Whom this machine believes: where it has a trust it takes nothing unsigned.
    Trust {
        #[command(subcommand)]
        what: TrustVerb,
    },
    /// Print what a revert would go back to.
    Snapshot,
    #[command(hide = true)]
    LaunchWatch { digest: Digest },
    #[command(hide = true)]
    Watch { digest: Digest },
}

#[derive(Subcommand)]
enum TrustVerb {
    /// The keys that count here.
    Show,
    /// The first trust, at install; refused where there is one.
    Begin {
        /// The trust; `-` is standard input.
        file: PathBuf,
        /// What this machine is called in the site file; bundles for others are refused from then on.
        #[arg(long, value_name = "NAME")]
        machine: HostName,
    },
    /// The next trust, signed by keys of the one in force.
    Change {
        /// The signed trust; `-` is standard input.
        file: PathBuf,
    },
    /// On the console: believe everybody who is root again, where all keys are lost.
    Forget {
        /// Why; it is recorded.
        #[arg(long, value_name = "REASON")]
        from_console: Option<String>,
    },
}

/// Notes shown to people: the rest is settings of devices that are not there.
const NOTES: usize = 5;

/// Exit status where no state could be put back.
const LOST: u8 = 3;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => trouble.tell(arguments.json),
    }
}

/// What went wrong, for both faces.
#[derive(Serialize)]
struct Trouble {
    error: String,
    step: Option<apply::Step>,
    help: Option<&'static str>,
    restored: Option<String>,
    #[serde(skip)]
    lost: bool,
}

impl From<Error> for Trouble {
    fn from(e: Error) -> Self {
        Self { error: e.chain(), step: None, help: e.help(), restored: None, lost: matches!(e, Error::Lost(_)) }
    }
}

impl From<Box<Failed>> for Trouble {
    fn from(f: Box<Failed>) -> Self {
        let restored = match &f.restored {
            Ok(r) => r.to_string(),
            Err(e) => format!("NOT PUT BACK: {}", e.chain()),
        };
        Self { error: f.error.chain(), step: Some(f.step), help: f.error.help(), restored: Some(restored), lost: f.restored.is_err() }
    }
}

impl Trouble {
    fn tell(&self, json: bool) -> ExitCode {
        if json {
            print(&serde_json::to_string(self).unwrap_or_default());
        } else {
            let step = self.step.map(|s| format!("step {s}: ")).unwrap_or_default();
            let mut text = format!("error: {step}{}", self.error);
            if let Some(restored) = &self.restored {
                text.push_str(&format!("\nstate: {restored}"));
            }
            if let Some(help) = self.help {
                text.push_str(&format!("\nhelp: {help}"));
            }
            let _ = writeln!(std::io::stderr(), "{text}");
        }
        ExitCode::from(if self.lost { LOST } else { 1 })
    }
}

fn run(arguments: &Arguments) -> Result<(), Trouble> {
    let state = State::open(&trust::directory(&absolute(&arguments.state))?)?;
    let say = |value: &dyn Face| print(&if arguments.json { value.json() } else { value.text() });
    match &arguments.verb {
        Verb::Apply { bundle, machine, auto_confirm, confirm_within, tracking_period, flows, inject } => {
            let offered = Offered::read(&read(bundle)?)?;
            let options = Options {
                machine: machine.clone(),
                auto_confirm: *auto_confirm,
                confirm_within: Duration::from_secs(*confirm_within),
                tracking_period: Duration::from_secs(*tracking_period),
                seeds: flows.as_deref().map(read_seeds).transpose()?.unwrap_or_default(),
                inject: *inject,
                program: program(),
            };
            say(&transaction::apply(&state, &offered, &options)?);
        }
        Verb::Confirm { from_console, digest, inject } => say(&transaction::confirm(&state, *digest, from_console.as_deref(), *inject)?),
        Verb::Revert { digest } => {
            let _lock = state.lock(LOCK_PATIENCE)?;
            say(&revert::only(&state, *digest, "asked for")?);
        }
        // No lock: it changes nothing, and while something hangs with it held is when it is wanted.
        Verb::Probe { list } => {
            let trials: Vec<Trial> =
                serde_json::from_slice(&read(list)?).map_err(|e| Error::Damaged { path: list.clone(), why: e.to_string() })?;
            say(&Plain(trial::all(&trials)?));
        }
        Verb::Facts { network } => say(&Plain(if *network { observe::network() } else { observe::machine(&[]) })),
        Verb::Drain { back } => {
            let _lock = state.lock(LOCK_PATIENCE)?;
            say(&Plain(pair::drain(&state, *back)?));
        }
        Verb::Status => say(&status::status(&state)?),
        Verb::Boot => {
            let loaded = boot::run(&state)?;
            say(&Plain(&loaded));
            if let Loaded::ManagementPath { why } = loaded {
                return Err(Trouble { error: why, step: None, help: None, restored: None, lost: false });
            }
        }
        Verb::Addresses => say(&Plain(boot::addresses(&state)?)),
        Verb::States => say(&Plain(pair::refresh(&state)?)),
        // No lock: the console must get through while something hangs with it held.
        Verb::BreakGlass { cut, spare } => {
            boot::management_only(&state)?;
            // After the rules: what is ended must not open again. Before the change under way is forgotten: it may know the way in.
            let ended = cut.then(|| cut::all_but_management(&state, spare));
            // What waits must not come or go by itself any more: its timer would put the rules of before back over this.
            if let Ok(Some(waiting)) = state.pending().map(|p| p.filter(|p| p.phase == Phase::Waiting)) {
                state.clear_pending()?;
                state.note(Some(waiting.generation), None, "given up: break-glass");
            }
            state.note(None, None, "break-glass: management path alone");
            say(&Plain("the management path is open, everything else is dropped"));
            if let Some(ended) = ended {
                say(&ended?);
            }
        }
        Verb::Cut { list, spare } => {
            let _lock = state.lock(LOCK_PATIENCE)?;
            let listed: Vec<Connection> =
                serde_json::from_slice(&read(list)?).map_err(|e| Error::Damaged { path: list.clone(), why: e.to_string() })?;
            say(&cut::listed(&state, &listed, spare)?);
        }
        Verb::Trust { what } => match what {
            TrustVerb::Show => match trust::show(&state)? {
                Some(there) => say(&there),
                None => say(&Plain("no trust: this machine takes what root hands in")),
            },
            TrustVerb::Begin { file, machine } => say(&trust::begin(&state, &read(file)?, machine)?),
            TrustVerb::Change { file } => say(&trust::change(&state, &read(file)?)?),
            TrustVerb::Forget { from_console } => {
                trust::forget(&state, from_console.as_deref())?;
                say(&Plain("the trust is forgotten: this machine takes what root hands in"));
            }
        },
        Verb::Snapshot => {
            let confirmed = state.confirmed_bundle()?;
            let taken = match &confirmed {
                Some(b) => apply::snapshot::before(b.draft(), Some(b)),
                None => apply::snapshot::take(None),
            };
            say(&Plain(taken?));
        }
        Verb::LaunchWatch { digest } => timer::launch(&state, &program(), *digest)?,
        Verb::Watch { digest } => timer::watch(&state, *digest)?,
    }
    Ok(())
}

/// One type, two faces.
trait Face {
    fn json(&self) -> String;
    fn text(&self) -> String;
}

/// A result whose JSON says it all.
struct Plain<T>(T);

impl<T: Serialize> Face for Plain<T> {
    fn json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }
    fn text(&self) -> String {
        serde_json::to_string_pretty(&self.0).unwrap_or_default()
    }
}

impl Face for revert::Restored {
    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Face for trust::Trusting {
    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Face for cut::Cut {
    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

impl Face for status::Status {
    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
    fn text(&self) -> String {
        self.to_string().trim_end().to_owned()
    }
}

impl Face for Outcome {
    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
    fn text(&self) -> String {
        let result = match self.result {
            Applied::Unchanged => "is in force already: nothing to do",
            Applied::Waiting => "is in force and reverts unless it is confirmed",
            Applied::Confirmed => "is confirmed",
        };
        let mut text = format!("generation {} ({:?}) {result}", self.generation, self.digest);
        if let Some(s) = self.seeded {
            text.push_str(&format!("\n{} connections under way, {} put into tracking, {} refused", s.known, s.inserted, s.refused));
        }
        for note in self.notes.iter().take(NOTES) {
            text.push_str(&format!("\nnote: {note}"));
        }
        if self.notes.len() > NOTES {
            text.push_str(&format!("\nnote: and {} more, all in --json", self.notes.len() - NOTES));
        }
        text
    }
}

fn print(text: &(impl Display + ?Sized)) {
    // A closed pipe must not end a program that has just changed a firewall.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| "/proc/self/exe".into())
}

/// The timer runs with another directory: relative paths mean nothing to it.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let path = if path == Path::new("-") { Path::new("/dev/stdin") } else { path };
    std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn read_seeds(path: &Path) -> Result<Vec<SeedFlow>, Error> {
    serde_json::from_slice(&read(path)?).map_err(|e| Error::Damaged { path: path.to_owned(), why: e.to_string() })
}
