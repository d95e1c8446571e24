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
    attempt::legitimate::ANY_PORT,
    build::Neighbours,
    enter::{Entered, enter},
    listen,
    pair::{Drill, Event, Flows, Pair, drill},
    stage::Stage,
};
use plan::Options;
use serde::Serialize;
use std::time::Duration;

/// Connections held unless told otherwise: enough to see one lost, few enough for any machine.
const CONNECTIONS: usize = 500;

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
    /// Both nodes lose their devices in a zone for a second
    #[arg(long, group = "event", value_name = "ZONE")]
    unplug_both: Option<String>,
    /// It loses its device in a zone and has it back, five times
    #[arg(long, group = "event", value_name = "ZONE")]
    flap: Option<String>,
    /// As killed, and back a second later with empty tables
    #[arg(long, group = "event")]
    reboot: bool,
    /// The link between the nodes is away for a second
    #[arg(long, group = "event")]
    cable: bool,
    /// keepalived is killed, and started again as its unit does it
    #[arg(long, group = "event")]
    end_election: bool,
    /// conntrackd is killed, and started again as its unit does it
    #[arg(long, group = "event")]
    end_sync: bool,
    /// Each of these, one after the other, with this zone's device for those that want one
    #[arg(long, group = "event", value_name = "ZONE")]
    every: Option<String>,
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
    d.flows.survived != d.flows.before || d.arrivals.refused > 0 || d.forbidden.arrived > 0
}

/// Milliseconds.
fn ms(t: Duration) -> f64 {
    t.as_secs_f64() * 1e3
}

/// The one in the middle.
fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

impl Face for Drills {
    fn text(&self) -> String {
        let mut out = String::new();
        for d in &self.0 {
            let (f, a) = (&d.flows, &d.arrivals);
            let verdict = if lost(d) { paint(BAD, "LOST") } else { paint(GOOD, "ok  ") };
            out += &format!(
                "{verdict} {}: {} -> {}, {} changeovers, longest hole {:.0} ms, over TCP {:.0} ms; {} connections before, {} survived, {} reset, {} silent; new ones: {} opened, {} at the second try, {} refused; both active for {:.0} ms; forbidden packets: {} sent, {} arrived\n",
                d.event,
                d.from,
                d.to,
                d.roles.changeovers(),
                ms(d.gap.longest),
                ms(d.stream.longest),
                f.before,
                f.survived,
                f.reset,
                f.silent,
                a.opened,
                a.again,
                a.refused,
                ms(d.roles.both),
                d.forbidden.sent,
                d.forbidden.arrived
            );
        }
        let holes = |of: fn(&Drill) -> Duration| self.0.iter().map(of).collect::<Vec<_>>();
        let (gaps, streams) = (holes(|d| d.gap.longest), holes(|d| d.stream.longest));
        let longest = |all: &[Duration]| all.iter().max().copied().unwrap_or_default();
        out += &format!(
            "{} runs: hole {:.0} ms at the median, {:.0} ms the longest; over TCP {:.0} ms and {:.0} ms\n",
            self.0.len(),
            ms(median(gaps.clone())),
            ms(longest(&gaps)),
            ms(median(streams.clone())),
            ms(longest(&streams))
        );
        out
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
    let events = events(arguments, &stage)?;
    listen::serve(&stage.lab, &Flows::ports(&stage, ANY_PORT)).map_err(trouble)?;
    stage.load_all().map_err(trouble)?;
    let mut pair = Pair::start(&stage).map_err(trouble)?;
    let mut flows = Flows::find(&stage).map_err(trouble)?;
    flows.open(arguments.connections).map_err(trouble)?;
    let mut drills = Vec::new();
    for event in events.iter().flat_map(|e| std::iter::repeat_n(e, arguments.runs)) {
        let done = drill(&mut pair, &mut flows, event.clone()).map_err(trouble)?;
        // What was lost is opened again, so that each run asks as many.
        flows.open(done.flows.before - done.flows.survived).map_err(trouble)?;
        drills.push(done);
        // Runs are apart by what a node's timer needs to tell the other one.
        pair.timers().map_err(trouble)?;
    }
    let bad = drills.iter().any(lost);
    show(global, &Drills(drills))?;
    Ok(Exit::found(bad))
}

/// What is to happen, with devices for zones.
fn events(arguments: &Arguments, stage: &Stage) -> Result<Vec<Event>, Trouble> {
    let device = |zone: &String| {
        let nodes = stage.plan.machines.values().filter(|m| m.pair.is_some());
        let device = nodes.flat_map(|m| &m.devices).find(|(z, _)| z.as_str() == zone).map(|(_, d)| d.clone());
        device.ok_or_else(|| Trouble::usage(format!("no node of a pair stands in `{zone}`"), "name one of the site's zones"))
    };
    let a = arguments;
    Ok(match (&a.unplug, &a.unplug_both, &a.flap, &a.every) {
        (Some(zone), ..) => vec![Event::Unplug(device(zone)?)],
        (_, Some(zone), ..) => vec![Event::UnplugBoth(device(zone)?)],
        (_, _, Some(zone), _) => vec![Event::Flap(device(zone)?)],
        (.., Some(zone)) => Event::all(&device(zone)?),
        _ => {
            let said = [
                (a.kill, Event::Kill),
                (a.stall, Event::Stall),
                (a.reboot, Event::Reboot),
                (a.cable, Event::Cable),
                (a.end_election, Event::EndElection),
                (a.end_sync, Event::EndSync),
            ];
            vec![said.into_iter().find(|(yes, _)| *yes).map_or(Event::Drain, |(_, e)| e)]
        }
    })
}
