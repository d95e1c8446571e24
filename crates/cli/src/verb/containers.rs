//! `ravelin containers`: what is wrong with the containers of this machine, or of compose files, and how they would run with no more
//! than they need. Changes nothing; `--write` puts the narrower form into files.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input, machine,
    paint::{BAD, DIM, GOOD, HEAD, paint},
    planning, save,
    trouble::Trouble,
};
use clap::Args;
use plan::containers::{self, Hardened, Known, Mount, Port, Seen};
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};

/// Arguments of `containers`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Compose files to judge instead of what runs here
    #[arg(value_name = "COMPOSE_FILE")]
    files: Vec<PathBuf>,
    /// The site file: it knows which address each port is for, and the accounts
    #[arg(long, short, value_name = "SITE")]
    site: Option<PathBuf>,
    /// Which machine of the site this is [default: by its host name, else by its addresses]
    #[arg(long, value_name = "NAME", requires = "site")]
    host: Option<String>,
    /// Write compose overrides, Quadlets or units into this directory
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
}

#[derive(Serialize)]
struct Judged {
    containers: Vec<Hardened>,
    /// Narrower forms by file name.
    files: BTreeMap<String, String>,
    #[serde(skip)]
    written: bool,
}

impl Face for Judged {
    fn text(&self) -> String {
        let mut out = String::new();
        for c in &self.containers {
            let service = c.service.as_ref().map(|s| format!(", {s}")).unwrap_or_default();
            out += &format!("{} {}\n", paint(HEAD, &c.name), paint(DIM, format!("{}{service}", c.image)));
            for f in &c.findings {
                out += &format!("  {} {}\n", paint(BAD, "-"), f.what);
            }
            if c.findings.is_empty() {
                out += &format!("  {}\n", paint(GOOD, "nothing to object to"));
            }
        }
        if self.containers.is_empty() {
            out += "no containers\n";
        }
        for (name, text) in &self.files {
            if self.written {
                out += &format!("written: {name}\n");
            } else {
                out += &format!("\n{}\n{text}", paint(HEAD, name));
            }
        }
        out
    }
}

/// Looks, judges, writes where asked.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let facts = machine::facts();
    let site = arguments.site.as_ref().map(|path| input::model(path, global)).transpose()?;
    let host = site.as_ref().map(|(m, _)| planning::this_machine(m, arguments.host.as_deref(), &facts)).transpose()?;
    let place = site.as_ref().zip(host.as_ref()).and_then(|((m, _), name)| Some((m, m.hosts.get(name)?)));
    let accounts: BTreeMap<String, (u32, u32)> = facts.accounts.iter().map(|a| (a.name.clone(), (a.uid, a.gid))).collect();
    // A compose file may be for another machine: this one's account numbers say nothing there.
    let podman = facts.engines.iter().find(|e| e.name == "podman").map(|e| e.version.as_str());
    let known = Known { site: place, accounts: (arguments.files.is_empty() || place.is_none()).then_some(&accounts), podman };
    let mut judged = Judged { containers: Vec::new(), files: BTreeMap::new(), written: arguments.write.is_some() };
    if arguments.files.is_empty() {
        for c in facts.containers.iter().map(|c| containers::harden(&seen(c), known)) {
            if !c.findings.is_empty() {
                judged.files.extend([emit::containers::file(&c)]);
            }
            judged.containers.push(c);
        }
    }
    for path in &arguments.files {
        let text = std::fs::read_to_string(path).map_err(|e| Trouble::io(path, e))?;
        let read = containers::compose::read(&text).map_err(|why| {
            Trouble::usage(format!("{}: {why}", path.display()), "a compose file: services, each with image, ports, volumes")
        })?;
        let hardened: Vec<Hardened> = read.iter().map(|c| containers::harden(c, known)).collect();
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        judged.files.insert(format!("{stem}.override.yml"), emit::containers::compose(&hardened));
        judged.containers.extend(hardened);
    }
    if let Some(directory) = &arguments.write {
        std::fs::create_dir_all(directory).map_err(|e| Trouble::io(directory, e))?;
        for (name, text) in &judged.files {
            save::private(&directory.join(name), text.as_bytes())?;
        }
    }
    let found = judged.containers.iter().any(|c| !c.findings.is_empty());
    show(global, &judged)?;
    Ok(Exit::found(found))
}

fn seen(c: &facts::Container) -> Seen {
    Seen {
        name: c.name.clone(),
        image: c.image.clone(),
        engine: c.engine.clone(),
        user: c.user.clone(),
        privileged: c.privileged,
        host_network: c.host_network,
        cap_add: c.cap_add.clone(),
        cap_drop: c.cap_drop.clone(),
        no_new_privs: c.no_new_privs,
        read_only: None,
        ports: c.ports.iter().map(|p| Port { proto: p.proto, address: p.address, host: Some(p.host), inside: p.inside }).collect(),
        mounts: c.mounts.iter().filter_map(|m| Mount::parse(m)).collect(),
    }
}
