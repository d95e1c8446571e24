//! `ravelin tokens`: who holds which API token, what would do, and how to exchange it. With `--here` also what this machine
//! shows of them. Never prints a token, and never makes one.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input::{self, SiteArgument},
    machine,
    paint::{BAD, DIM, GOOD, HEAD, WARN, paint},
    trouble::Trouble,
};
use clap::Args;
use facts::secret::SecretKind;
use plan::Holder;
use serde::Serialize;
use words::HostName;

/// Arguments of `tokens`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    /// Only holders on this machine
    #[arg(long, value_name = "NAME")]
    host: Option<HostName>,
    /// Also where this machine keeps tokens: files and processes, never their content
    #[arg(long)]
    here: bool,
}

#[derive(Serialize)]
struct Tokens {
    holders: Vec<Holder>,
    /// What this machine shows.
    here: Vec<Seen>,
}

/// A token that is on this machine.
#[derive(Serialize)]
struct Seen {
    /// File, or process with its variable.
    place: String,
    /// Who may read it.
    readers: String,
    /// More than its owner may.
    open: bool,
}

impl Face for Tokens {
    fn text(&self) -> String {
        let mut out = String::new();
        for h in &self.holders {
            let of: Vec<String> = h.of.iter().map(|i| format!("{} on {}", i.instance, i.host)).collect();
            let verdict = if h.least < h.given {
                paint(WARN, format!("{} given, {} would do", h.given, h.least))
            } else {
                paint(GOOD, format!("{}, nothing less works", h.given))
            };
            out += &format!("{} on {} holds a token of {}: {verdict}\n  {}\n", paint(HEAD, &h.instance), h.host, of.join(", "), h.why);
            for place in &h.held {
                out += &format!("  in {place}\n");
            }
            for (n, step) in h.exchange.iter().enumerate() {
                out += &format!("  {}. on {}: {}\n", n + 1, step.on, step.what);
                if let Some(command) = &step.command {
                    out += &format!("       {command}\n");
                }
            }
        }
        if self.holders.is_empty() {
            out += "no service of this site holds another's token\n";
        }
        for s in &self.here {
            let readers = if s.open { paint(BAD, &s.readers) } else { paint(DIM, &s.readers) };
            out += &format!("here: {} {readers}\n", s.place);
        }
        out
    }
}

/// Reads the site, and the machine where asked.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let (model, _) = input::model(&arguments.site.site, global)?;
    let mut holders = plan::tokens(&model);
    holders.retain(|h| arguments.host.as_ref().is_none_or(|name| *name == h.host));
    let here = if arguments.here { seen(&machine::facts()) } else { Vec::new() };
    show(global, &Tokens { holders, here })?;
    Ok(Exit::Ok)
}

fn seen(facts: &facts::Facts) -> Vec<Seen> {
    let mut out = Vec::new();
    for f in facts.files.iter().filter(|f| f.secrets.iter().any(|s| s.0 == SecretKind::ApiToken)) {
        let owner = f.owner.clone().unwrap_or_else(|| f.uid.to_string());
        let group = f.group.clone().unwrap_or_else(|| f.gid.to_string());
        let (readers, open) = match (f.world_readable(), f.group_readable()) {
            (true, _) => ("readable by every account".to_owned(), true),
            (false, true) => (format!("readable by {owner} and group {group}"), true),
            (false, false) => (format!("readable by {owner} alone"), false),
        };
        out.push(Seen { place: f.path.clone(), readers, open });
    }
    for p in &facts.processes {
        let user = p.user.clone().unwrap_or_else(|| p.uid.to_string());
        for name in p.secret_env.iter().filter(|n| facts::secret::kind_of_name(n) == Some(SecretKind::ApiToken)) {
            out.push(Seen { place: format!("{} (pid {}) in {name}", p.comm, p.pid), readers: format!("readable by {user}"), open: false });
        }
        if p.argv.iter().any(|a| a.contains("[redacted: token]")) {
            let readers = "readable by every account, in the arguments".to_owned();
            out.push(Seen { place: format!("{} (pid {})", p.comm, p.pid), readers, open: true });
        }
    }
    out
}
