//! A drill in namespaces: the whole site with both daemons on both edge nodes, under traffic. In comes a site file and what happens, out come
//! the longest hole and what became of every connection. Never: touches the machine's own network.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input::{self, SiteArgument},
    paint::{BAD, GOOD, paint},
    trouble::Trouble,
    verb::lab::{pass, trouble},
};
use clap::Args;
use lab::{
    build::Neighbours,
    demo,
    enter::{Entered, enter},
    listen,
    pair::{Drill, Event, Flows, Pair, drill},
    stage::Stage,
};
use plan::Options;
use serde::Serialize;
use words::Proto;

/// Connections held unless told otherwise: enough to see one lost, few enough for any machine.
const CONNECTIONS: usize = 500;
/// Asked where a flow allows any port.
const ANY_PORT: u16 = 443;

/// Arguments of `pair drill`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    /// The active node's daemons are gone and its links down, at once
    #[arg(long, group = "event")]
    kill: bool,
    /// It is told to hand over [default]
    #[arg(long, group = "event")]
    drain: bool,
    /// Its daemons stand still for a second while its kernel forwards
    #[arg(long, group = "event")]
    stall: bool,
    /// It loses its device in a zone
    #[arg(long, group = "event", value_name = "ZONE")]
    unplug: Option<String>,
    /// Connections held open meanwhile
    #[arg(long, default_value_t = CONNECTIONS)]
    connections: usize,
    /// How often
    #[arg(long, default_value_t = 1)]
    runs: usize,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Drills(Vec<Drill>);

fn lost(d: &Drill) -> bool {
    d.flows.survived != d.flows.before || d.arrivals.refused > 0
}

impl Face for Drills {
    fn text(&self) -> String {
        let mut out = String::new();
        for d in &self.0 {
            let (f, a) = (&d.flows, &d.arrivals);
            let verdict = if lost(d) { paint(BAD, "LOST") } else { paint(GOOD, "ok  ") };
            out += &format!(
                "{verdict} {} -> {}: longest hole {:.0} ms; {} connections before, {} survived, {} reset, {} silent; new ones: {} opened, {} at the second try, {} refused; {} changeovers, both active for {:.0} ms\n",
                d.from,
                d.to,
                d.gap.longest.as_secs_f64() * 1e3,
                f.before,
                f.survived,
                f.reset,
                f.silent,
                a.opened,
                a.again,
                a.refused,
                d.roles.changeovers(),
                d.roles.both.as_secs_f64() * 1e3
            );
        }
        let longest = self.0.iter().map(|d| d.gap.longest).max().unwrap_or_default();
        out + &format!("longest hole of {} runs: {:.0} ms\n", self.0.len(), longest.as_secs_f64() * 1e3)
    }
}

/// Starts itself again in namespaces and drills there.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let (model, _) = input::model(&arguments.site.site, global)?;
    let again: Vec<_> = std::env::args_os().skip(1).collect();
    if let Entered::Done(status) = enter(&again).map_err(trouble)? {
        return pass(status);
    }
    let stage = Stage::build(model, Options::default(), Neighbours::Dynamic).map_err(trouble)?;
    let event = match &arguments.unplug {
        Some(zone) => {
            let device = stage
                .plan
                .machines
                .values()
                .filter(|m| m.pair.is_some())
                .find_map(|m| m.devices.iter().find(|(z, _)| z.as_str() == zone).map(|(_, d)| d.clone()));
            Event::Unplug(
                device.ok_or_else(|| Trouble::usage(format!("no node of a pair stands in `{zone}`"), "name one of the site's zones"))?,
            )
        }
        None if arguments.kill => Event::Kill,
        None if arguments.stall => Event::Stall,
        None => Event::Drain,
    };
    let mut ports = demo::ports(&stage);
    ports.values_mut().for_each(|p| p.extend([(Proto::Tcp, ANY_PORT), (Proto::Udp, ANY_PORT)]));
    listen::serve(&stage.lab, &ports).map_err(trouble)?;
    stage.load_all().map_err(trouble)?;
    let mut pair = Pair::start(&stage).map_err(trouble)?;
    let mut flows = Flows::find(&stage).map_err(trouble)?;
    flows.open(arguments.connections).map_err(trouble)?;
    let mut drills = Vec::new();
    for _ in 0..arguments.runs {
        drills.push(drill(&mut pair, &mut flows, event.clone()).map_err(trouble)?);
        // Runs are apart by what a node's timer needs to tell the other one.
        pair.timers().map_err(trouble)?;
    }
    let bad = drills.iter().any(lost);
    show(global, &Drills(drills))?;
    Ok(Exit::found(bad))
}
