//! `ravelin ips run`: the engine in the packet path, until it is stopped. In come a site file or a single policy, and rules; out go verdicts and
//! events. Never: changes `inet ravelin`; lets a rule drop where the site observes.

use super::{
    control::Socket,
    rules::{self, Beside},
    settings,
};
use crate::{
    args::Global,
    exit::Exit,
    face::remark,
    input,
    trouble::{Trouble, chain},
};
use clap::{Args, ValueEnum};
use ips_inline::{
    events, fresh,
    policy::{Inspect, Mode, Policies, Policy},
    pump, run, watch,
};
use ips_io::config::Config;
use ips_rules::limits::MAX_FILE_BYTES;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use words::{HostName, star};

/// The first of the two queues by default; the second is the next one. Far from what others use by habit (0).
const QUEUE: u16 = 8;

/// Arguments of `ips run`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Takes policies and rule files from the site file, and puts the edge node's table `inet ravelin-ips` in place
    #[arg(long, short, value_name = "SITE", conflicts_with_all = ["mode", "extent"])]
    site: Option<PathBuf>,
    /// Which edge node this is; by default the site's only one
    #[arg(long, value_name = "HOST", requires = "site")]
    host: Option<HostName>,
    /// Rules files, read together; with a site file its own where none is named
    #[arg(long, short, value_name = "RULES")]
    rules: Vec<PathBuf>,
    /// Numbers of rules that only alert as they are written, and are to drop: one a line, `#` begins a remark
    #[arg(long, value_name = "FILE")]
    drop: Option<PathBuf>,
    /// Without a site file: whether rules may drop
    #[arg(long, value_enum, default_value = "observe")]
    mode: How,
    /// Without a site file: how long a flow is looked at: all, until-opaque, or bytes
    #[arg(long, value_name = "EXTENT", default_value = "until-opaque")]
    extent: Inspect,
    /// The first of two queues: packets of this one go on while the engine is down, those of the next one do not
    #[arg(long, value_name = "NUMBER", default_value_t = QUEUE, value_parser = clap::value_parser!(u16).range(..i64::from(u16::MAX)))]
    queue: u16,
    /// The rules that queue packets are somebody else's; nothing is put in place
    #[arg(long)]
    no_hook: bool,
    /// Events go to the end of this file, a JSON object a line; `-` for standard output
    #[arg(long, short, value_name = "EVE")]
    output: Option<PathBuf>,
    /// Settings from the peer's configuration, as for `ips pcap`
    #[arg(long, short, value_name = "YAML")]
    config: Option<PathBuf>,
    /// Sets one of them; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    beside: Beside,
    #[command(flatten)]
    socket: Socket,
}

/// Whether rules may drop.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum How {
    /// They are told
    Observe,
    /// They drop
    Enforce,
}

fn config(a: &Arguments) -> Result<Config, Trouble> {
    let mut config = Config::default();
    config.eve.kinds = pump::KINDS.map(str::to_owned).to_vec();
    settings::take(&mut config, a.config.as_deref(), &a.set)?;
    config.unknown.iter().for_each(|key| remark(&format!("setting `{key}` is not known here")));
    pump::inline(&mut config);
    settings::settle(&mut config)?;
    Ok(config)
}

/// Policies, the site's table as nft reads it, and its rule files.
type Site = (Policies, Option<String>, Vec<PathBuf>);

fn site(a: &Arguments, global: &Global) -> Result<Site, Trouble> {
    let Some(path) = &a.site else {
        let mode = match a.mode {
            How::Observe => Mode::Observe,
            How::Enforce => Mode::Enforce,
        };
        return Ok((Policies::one(Policy { name: "all".into(), mode, inspect: a.extent }), None, Vec::new()));
    };
    let (model, _) = input::model(path, global)?;
    let name = match (&a.host, model.edge.nodes.as_slice()) {
        (Some(h), _) => h,
        (None, [only]) => only,
        (None, nodes) => {
            let names = nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(Trouble::usage(format!("the site has {} edge nodes: {names}", nodes.len()), "say which one this is: --host NAME"));
        }
    };
    let found = model.hosts.get(name).and_then(|h| plan::inspect::inspection(&model, h, &plan::Devices::default()));
    let Some(found) = found else {
        let help = "it wants an edge of kind `ravelin` with `ips`, and `layers.ips` that is not off";
        return Err(Trouble::usage(format!("the site inspects nothing on {name}"), help));
    };
    let mut policies = Policies::default();
    for (number, p) in &found.policies {
        let mode = if p.enforce { Mode::Enforce } else { Mode::Observe };
        let inspect = p.extent.parse().map_err(Trouble::bug)?;
        policies.by_number.insert(*number, Policy { name: format!("{}/{}", p.from, p.to), mode, inspect });
    }
    let ruleset = ruleset::Ruleset { tables: vec![found.table], unread: Vec::new() };
    let script = emit::nft::script(&ruleset, ruleset::TableFamily::Inet, plan::inspect::TABLE);
    Ok((policies, Some(script), files(path, &found.rules)?))
}

/// The site's rule files: beside the site file, a star in the last part for any text.
fn files(site: &Path, patterns: &[String]) -> Result<Vec<PathBuf>, Trouble> {
    let mut out = Vec::new();
    for pattern in patterns {
        let whole = site.parent().unwrap_or(Path::new(".")).join(pattern);
        let name = whole.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        let directory = whole.parent().unwrap_or(Path::new("."));
        if !name.contains('*') {
            out.push(whole);
            continue;
        }
        let entries = std::fs::read_dir(directory).map_err(|e| Trouble::io(directory, e))?;
        let fits = |e: &std::fs::DirEntry| star::fits(name.as_bytes(), e.file_name().as_encoded_bytes());
        out.extend(entries.flatten().filter(fits).map(|e| e.path()));
    }
    out.sort();
    Ok(out)
}

fn numbers(path: &Path) -> Result<BTreeSet<u32>, Trouble> {
    let text = input::text(path, MAX_FILE_BYTES)?;
    let lines =
        text.lines().enumerate().map(|(n, l)| (n + 1, l.split('#').next().unwrap_or_default().trim())).filter(|(_, l)| !l.is_empty());
    lines
        .map(|(n, l)| {
            l.parse().map_err(|_| Trouble::usage(format!("{}:{n}: `{l}` is no rule's number", path.display()), "write one number a line"))
        })
        .collect()
}

/// Reads and compiles the rules, now and for each reload.
fn load(files: Vec<PathBuf>, drop: Option<PathBuf>, beside: Beside, config: &Config) -> run::Load {
    let (vars, mut options) = (config.vars.clone(), config.detect.clone());
    Box::new(move || {
        let mut loaded = rules::load(&files, vars.clone(), &beside).map_err(|e| e.to_string())?;
        // A file in which nothing is understood is broken; single rules that are not are told.
        if loaded.set.rules.is_empty() && !loaded.set.rejected.is_empty() {
            return Err(format!("none of {} rules is understood", loaded.set.rejected.len()));
        }
        loaded.remarks("loaded");
        let mut said = Vec::new();
        if let Some(path) = &drop {
            let missing = fresh::curate(&mut loaded.set.rules, &numbers(path).map_err(|e| e.to_string())?);
            said.extend(missing.iter().map(|sid| format!("no rule has the number {sid} that is to drop")));
        }
        options.overrides = loaded.overrides;
        let directories: Vec<PathBuf> = files.iter().filter_map(|r| r.parent().map(Path::to_owned)).collect();
        let (fresh, faults) = fresh::compile(loaded.set.rules, loaded.set.rejected.len(), &options, &directories, loaded.tables);
        said.extend(faults);
        Ok((fresh, said))
    })
}

/// Runs until it is stopped.
pub fn run(a: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let config = config(a)?;
    let (policies, script, named) = site(a, global)?;
    let files = if a.rules.is_empty() { named } else { a.rules.clone() };
    if files.is_empty() {
        return Err(Trouble::usage("no rules are named", "name rules files with -r, or in the site file's edge.ips.rules"));
    }
    let to = match &a.output {
        None => events::To::Nowhere,
        Some(path) if path == Path::new("-") => events::To::Stdout,
        Some(path) => events::To::File(path.clone()),
    };
    let load = load(files, a.drop.clone(), a.beside.clone(), &config);
    let settings = pump::Settings {
        open: a.queue,
        closed: a.queue + 1,
        segments: true,
        engine: config.engine,
        parsers: config.parsers,
        eve: config.eve,
        policies,
    };
    let setup =
        run::Setup { settings, load, events: to, socket: a.socket.socket.clone(), hook: !a.no_hook, table: script, hang: watch::LIMIT };
    run::run(setup, remark).map_err(told)?;
    Ok(Exit::Ok)
}

/// Trouble of the engine's, with the way out.
pub fn told(e: ips_inline::Error) -> Trouble {
    Trouble::usage(chain(&e), "queues need CAP_NET_ADMIN, and one engine at a time; `ravelin ips status` says whether one runs")
}
