//! How the machines of a rollout are reached. In come arguments, out comes a transport. What is refused here is refused before anything is
//! asked: a way over which a confirmation could not count.

use crate::trouble::Trouble;
use clap::{Args, ValueEnum};
use lab::{enter, stand};
use rollout::{
    Transport,
    transport::{INSTALLED, Local, Namespaces, Ssh},
};
use site::model::{FlowKind, Model};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use words::HostName;

/// Why a confirmation counts that comes over no connection.
const REASON: &str = "ravelin rollout: connections were tried along the operators' way";

/// The ways there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// The system's ssh, as your own configuration has it
    Ssh,
    /// This machine alone
    Local,
    /// A lab that stands (`ravelin lab up`)
    Lab,
}

/// Arguments about the way.
#[derive(Debug, Args)]
pub struct WayArguments {
    /// How the machines are reached
    #[arg(long, value_enum, default_value_t = Via::Ssh)]
    pub via: Via,
    /// Another configuration file for ssh than your own
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    /// Connect to the machines' addresses of the site file instead of their names
    #[arg(long)]
    by_address: bool,
    /// What runs the applier at the other end [default: sudo -n -- /usr/sbin/ravelin-applier]
    #[arg(long, value_name = "WORDS", value_delimiter = ' ')]
    remote: Vec<String>,
    /// Name of the lab
    #[arg(long, value_name = "NAME", default_value = stand::DEFAULT_NAME)]
    lab: String,
}

/// A way to the machines.
pub struct Way {
    /// Which kind.
    pub via: Via,
    /// The way itself.
    pub transport: Arc<dyn Transport>,
}

impl Way {
    /// Whether they are namespaces of a lab.
    pub fn is_lab(&self) -> bool {
        self.via == Via::Lab
    }
}

impl WayArguments {
    /// The way.
    pub fn way(&self, model: &Model) -> Result<Way, Trouble> {
        let transport: Arc<dyn Transport> = match self.via {
            Via::Ssh => Arc::new(self.ssh(model)),
            Via::Local => Arc::new(local()?),
            Via::Lab => Arc::new(self.namespaces()?),
        };
        Ok(Way { via: self.via, transport })
    }

    fn ssh(&self, model: &Model) -> Ssh {
        let mut ssh = Ssh { config: self.ssh_config.clone(), ..Ssh::default() };
        if !self.remote.is_empty() {
            ssh.applier.clone_from(&self.remote);
        }
        if self.by_address {
            ssh.destinations = addresses(model);
        }
        ssh
    }

    fn namespaces(&self) -> Result<Namespaces, Trouble> {
        let none = || Trouble::usage("no lab stands", "ravelin lab up SITE builds one");
        let standing = stand::status(&self.lab).map_err(crate::verb::lab::trouble)?.ok_or_else(none)?;
        let mut enter = vec!["nsenter".into()];
        enter.extend(enter::join(standing.first));
        Ok(Namespaces {
            enter,
            handles: enter::NETNS_DIR.into(),
            states: lab::stage::STATE.into(),
            applier: lab::stage::applier_beside(),
            reason: REASON.to_owned(),
        })
    }
}

fn local() -> Result<Local, Trouble> {
    let came = apply::came_by::own().map_err(|e| Trouble::usage(e.chain(), "run it as root"))?;
    // Such a confirmation is refused when everything else is done: better before anything is.
    if !came.held.is_empty() || came.told.is_some() {
        return Err(Trouble::usage(
            "this session came over a connection that was there before the change, so it cannot confirm it; nothing was changed",
            "`--via ssh` reaches this machine over new connections as well; or `ravelin apply`, confirmed from a new connection",
        ));
    }
    let applier = crate::applier::find().unwrap_or_else(|_| INSTALLED.into());
    Ok(Local { applier, state: None, reason: REASON.to_owned() })
}

/// The first address of each machine that operators are let in to.
fn addresses(model: &Model) -> BTreeMap<HostName, String> {
    let way = || model.flows.iter().filter(|f| f.kind == FlowKind::Management).flat_map(|f| &f.legs);
    let one = |host: &site::model::Host| {
        let reached = host.addresses().find(|a| way().any(|l| l.dst.iter().any(|n| n.contains(a))));
        reached.or_else(|| host.addresses().next()).map(|a| (host.name.clone(), a.to_string()))
    };
    model.hosts.values().filter_map(one).collect()
}
