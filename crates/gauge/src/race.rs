//! Variants by turns. In come variants, each with its policy and ruleset; out come the cost of a packet in each and the
//! ratios of pairs, as medians with intervals over rounds.
//!
//! Every variant has namespaces of its own and stays loaded, so a turn is nothing but packets. Every round visits all
//! variants, every other round backwards: what drifts (frequency, neighbours on the machine) hits both sides of a ratio.

use crate::{
    Error,
    policy::Policy,
    sender::Slice,
    stage::{self, Pair},
    stats::{self, Median},
};
use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// A ruleset and how it is loaded.
#[derive(Debug, Clone)]
pub enum Ruleset {
    /// None.
    None,
    /// For `nft -f -`.
    Nft(String),
    /// For `iptables-restore`.
    Iptables(String),
}

/// Something to measure.
#[derive(Debug, Clone)]
pub struct Variant {
    /// Its name in the results.
    pub name: String,
    /// What is sent, and which devices the router has.
    pub policy: Policy,
    /// What it has to pass.
    pub ruleset: Ruleset,
    /// Whether the ruleset refuses what the policy does not allow.
    pub refuses: bool,
    /// Whether a packet costs so much that [`Extent::lap`] is left out; such a list is read whole by every packet anyway.
    pub slow: bool,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Load {
    /// Every packet opens a connection.
    New,
    /// Packets of connections that stand.
    Established,
    /// Every packet would open a connection that is not allowed.
    Refused,
}

impl Load {
    /// All loads, in order of measurement.
    pub const ALL: [Load; 3] = [Load::New, Load::Established, Load::Refused];
    /// Command for the sender.
    fn command(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Established => "held",
            Self::Refused => "refused",
        }
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Extent {
    /// Rounds.
    pub rounds: usize,
    /// Packets of one variant in one round.
    pub packets: usize,
    /// Packets of the same load before every measured slice, not measured: between two turns the other variants have
    /// thrown this one's memory out of the caches, which a router that does nothing else does not know.
    pub lap: usize,
    /// Connections kept open for [`Load::Established`]; the same number in every variant, so that tracking costs the same.
    pub held: usize,
}

/// Cost of a packet.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Cost {
    /// Variant.
    pub name: String,
    /// What was sent.
    pub load: Load,
    /// CPU nanoseconds per packet, the sender's own included.
    pub nanos: Median,
    /// Samples, one a round.
    #[serde(skip)]
    pub samples: Vec<f64>,
}

/// A variant with its world.
struct Lane {
    variant: Variant,
    pair: Pair,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for Lane {
    fn drop(&mut self) {
        // The world ends with its input; a world that does not is ended here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lane {
    fn start(number: usize, variant: Variant, directory: &Path) -> Result<Self, Error> {
        let pair = stage::build(number, &variant.policy)?;
        load(&pair.router, &variant.ruleset)?;
        let path = directory.join(format!("policy{number}.json"));
        let text = serde_json::to_string(&variant.policy).map_err(|e| Error::Invalid(e.to_string()))?;
        fs::write(&path, text).map_err(Error::call("writing the policy"))?;
        let program = env::current_exe().map_err(Error::call("cannot find this program"))?;
        let mut child = Command::new("ip")
            .args(["netns", "exec", &pair.world])
            .arg(program)
            .arg("world")
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::call("cannot run `ip netns exec`"))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let Some((input, output)) = pipes else { return Err(Error::Invalid("a world without pipes".into())) };
        Ok(Self { variant, pair, child, input, output: BufReader::new(output) })
    }

    fn ask(&mut self, command: &str, count: usize) -> Result<Slice, Error> {
        writeln!(self.input, "{command} {count}").map_err(Error::call("commands to a world"))?;
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(Error::call("answer of a world"))?;
        Slice::read(&line).ok_or_else(|| Error::Invalid(format!("{}: the world answered `{}`", self.variant.name, line.trim())))
    }

    /// A turn: the lap, then the slice that is measured.
    fn turn(&mut self, load: Load, extent: Extent) -> Result<Option<f64>, Error> {
        if load == Load::Refused && !self.variant.refuses {
            return Ok(None);
        }
        if !self.variant.slow && extent.lap > 0 {
            self.measure(load, extent.lap)?;
        }
        self.measure(load, extent.packets).map(Some)
    }

    /// Measures, and refuses a figure whose packets did not all fare as the policy says.
    fn measure(&mut self, load: Load, packets: usize) -> Result<f64, Error> {
        let slice = self.ask(load.command(), packets)?;
        let expected = if load == Load::Refused { 0 } else { slice.sent };
        if slice.arrived != expected {
            return Err(Error::Invalid(format!(
                "{}, {load:?}: {} of {} packets arrived, expected {expected}",
                self.variant.name, slice.arrived, slice.sent
            )));
        }
        Ok(slice.cpu as f64 / slice.sent as f64)
    }

    fn forget(&self) -> Result<(), Error> {
        stage::run(&["ip", "netns", "exec", &self.pair.router, "conntrack", "-F"]).map(|_| ())
    }
}

/// Loads a ruleset in a router.
pub fn load(router: &str, ruleset: &Ruleset) -> Result<(), Error> {
    match ruleset {
        Ruleset::None => Ok(()),
        Ruleset::Nft(text) => stage::feed(&["ip", "netns", "exec", router, "nft", "-f", "-"], text).map(|_| ()),
        Ruleset::Iptables(text) => stage::feed(&["ip", "netns", "exec", router, "iptables-restore"], text).map(|_| ()),
    }
}

/// Runs everything; `progress` hears what is going on.
pub fn run(variants: Vec<Variant>, extent: Extent, progress: &mut dyn FnMut(&str)) -> Result<Vec<Cost>, Error> {
    let directory = tempfile::tempdir().map_err(Error::call("directory for policies"))?;
    let mut lanes = Vec::new();
    for (number, variant) in variants.into_iter().enumerate() {
        progress(&format!("loading {}", variant.name));
        lanes.push(Lane::start(number, variant, directory.path())?);
    }
    let mut samples: BTreeMap<(Load, usize), Vec<f64>> = BTreeMap::new();
    for load in Load::ALL {
        for lane in &mut lanes {
            lane.forget()?;
            if load == Load::Established {
                lane.ask("open", extent.held)?;
            }
            // The first packets meet cold caches and unallocated slabs.
            lane.turn(load, extent)?;
        }
        for round in 0..extent.rounds {
            progress(&format!("{load:?}: round {} of {}", round + 1, extent.rounds));
            for turn in 0..lanes.len() {
                let lane = if round % 2 == 0 { turn } else { lanes.len() - 1 - turn };
                if let Some(nanos) = lanes[lane].turn(load, extent)? {
                    samples.entry((load, lane)).or_default().push(nanos);
                }
            }
            if load == Load::New {
                // What one round opened must not slow down the next.
                lanes.iter().try_for_each(Lane::forget)?;
            }
        }
    }
    let cost = |((load, lane), samples): ((Load, usize), Vec<f64>)| {
        let nanos = stats::median(&samples)?;
        Some(Cost { name: lanes[lane].variant.name.clone(), load, nanos, samples })
    };
    Ok(samples.into_iter().filter_map(cost).collect())
}

/// Ratio of two variants under one load, both taken in the same rounds.
pub fn ratio(costs: &[Cost], load: Load, a: &str, b: &str) -> Option<Median> {
    let of = |name: &str| costs.iter().find(|c| c.load == load && c.name == name);
    stats::ratio(&of(a)?.samples, &of(b)?.samples)
}
