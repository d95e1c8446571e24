//! The whole of it as a process: rules compiled, queues bound, hook put in place, events written, commands answered, watched. In comes a set-up
//! with a way to read the rules, which is asked again for each reload. Ends when told, or with the process.

use crate::{
    Error, control,
    count::{Counted, Counts},
    events,
    fresh::Fresh,
    hook::{self, Kind, Numbers},
    notify,
    policy::Policies,
    pump::{Order, Pump, Settings},
    table, watch,
};
use serde::Serialize;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Sender, channel},
    },
    time::{Duration, Instant},
};

/// Rules and what could not be loaded beside them, or why there are none.
pub type Load = Box<dyn FnMut() -> Result<(Fresh, Vec<String>), String> + Send>;

/// Everything a run needs.
pub struct Setup {
    /// Of the pump.
    pub settings: Settings,
    /// Reads and compiles the rules.
    pub load: Load,
    /// Where events go.
    pub events: events::To,
    /// The command socket.
    pub socket: PathBuf,
    /// Whether the rules that queue are put in place; else somebody else has.
    pub hook: bool,
    /// The site's table for the engine, where it is put in place here.
    pub table: Option<String>,
    /// A batch that takes longer ends the process.
    pub hang: Duration,
}

/// How it stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Process.
    pub pid: u32,
    /// Seconds since it began.
    pub seconds: u64,
    /// Which way packets are queued; not known where somebody else did that.
    pub hook: Option<Kind>,
    /// Queue that is open on failure.
    pub open: u16,
    /// Queue that is closed.
    pub closed: u16,
    /// The kill switch stands: no packet comes here. Of the site's table; not known of another.
    pub off: bool,
    /// What the site says.
    pub policies: Policies,
    /// What was counted.
    pub counted: Counted,
}

/// Runs until told to stop. `say` is told what people should know.
///
/// # Errors
/// Where rules cannot be read at the beginning, or the kernel or the file system refuses.
pub fn run(mut setup: Setup, say: fn(&str)) -> Result<(), Error> {
    let epoch = Instant::now();
    let counts = Arc::new(Counts::default());
    let (fresh, faults) = (setup.load)().map_err(|why| Error::Program { what: "read the rules".into(), why })?;
    faults.iter().for_each(|f| say(f));
    let (lines, writer) = events::begin(setup.events, &counts)?;
    let (order, orders) = channel();
    let (leave, old) = channel();
    // Who lets go of rules that are no longer in force.
    std::thread::Builder::new().name("old rules".into()).spawn(move || old.iter().for_each(drop)).map_err(Error::io("start a thread"))?;
    let numbers = Numbers { open: setup.settings.open, closed: setup.settings.closed };
    let policies = setup.settings.policies.clone();
    let kind = if setup.hook { Some(hook::put(numbers)?) } else { None };
    let status_counts = counts.clone();
    let status = move || Status {
        pid: std::process::id(),
        seconds: epoch.elapsed().as_secs(),
        hook: kind,
        open: numbers.open,
        closed: numbers.closed,
        off: table::is_off(),
        policies: policies.clone(),
        counted: status_counts.read(),
    };
    control::listen(&setup.socket, answering(order, counts.clone(), writer.reopen(), setup.load, status))?;
    if let Some(script) = &setup.table {
        table::put(script)?;
    }
    // Last: from here on packets wait for this thread.
    let pump = Pump::open(setup.settings, fresh, lines, counts.clone(), epoch, (orders, leave))?;
    watch::begin(counts.clone(), epoch, setup.hang, move |waited| {
        say(&format!(
            "the engine hangs: packets have been waiting for {} ms; the process ends, and what is said for failure holds",
            waited.as_millis()
        ));
        // Nothing that could hang too.
        std::process::abort();
    })?;
    let counted = counts.read();
    say(&format!("in the packet path: {} rules, queues {} (open) and {} (closed)", counted.rules, numbers.open, numbers.closed));
    notify::ready(&format!("{} rules in force", counted.rules));
    let ended = pump.run();
    let _ = std::fs::remove_file(&setup.socket);
    writer.end();
    ended
}

/// The answers to commands.
fn answering(
    order: Sender<Order>,
    counts: Arc<Counts>,
    writer: events::Reopen,
    mut load: Load,
    status: impl Fn() -> Status + Send + 'static,
) -> impl FnMut(&str) -> String + Send + 'static {
    move |command| match command {
        "status" => serde_json::to_string(&status()).unwrap_or_default(),
        "stop" => said(order.send(Order::Stop).is_ok()),
        "reopen" => {
            writer.now();
            said(true)
        }
        "reload" => match load() {
            Ok((fresh, faults)) => {
                let rules = fresh.rules;
                let before = counts.reloads.load(Relaxed);
                if order.send(Order::Rules(Box::new(fresh))).is_err() {
                    return said(false);
                }
                // The answer means that they are in force.
                while counts.reloads.load(Relaxed) == before {
                    std::thread::sleep(Duration::from_millis(1));
                }
                let faults = faults.iter().map(|f| format!("\n{f}")).collect::<String>();
                format!("ok: {} rules in force, {} refused{faults}", rules.0, rules.1)
            }
            Err(why) => {
                Counts::one(&counts.reloads_failed);
                format!("failed: {why}; the rules before stay in force")
            }
        },
        other => format!("failed: `{other}` is no command; there are status, reload, reopen, stop"),
    }
}

fn said(done: bool) -> String {
    if done { "ok" } else { "failed: the engine is gone" }.to_owned()
}
