//! One file per verb: its arguments, its result, its text. `run` picks the one that was asked for.

pub mod adopt;
pub mod apply;
pub mod audit;
pub mod backup;
pub mod breach;
pub mod break_glass;
pub mod check;
pub mod containers;
pub mod deadlines;
pub mod drift;
pub mod explain;
pub mod flows;
pub mod fmt;
pub mod generate;
pub mod harden;
pub mod history;
pub mod import_ansible;
pub mod init;
pub mod ips;
pub mod keys;
pub mod lab;
pub mod learn;
pub mod pair;
pub mod plan;
pub mod reach;
pub mod render;
pub mod report;
pub mod rollback;
pub mod rollout;
pub mod schema;
pub mod selinux;
pub mod sockets;
pub mod tokens;
pub mod verify;

use crate::{
    args::{Cli, Verb},
    exit::Exit,
    trouble::Trouble,
};

/// Runs the verb.
pub fn run(cli: &Cli) -> Result<Exit, Trouble> {
    let global = &cli.global;
    match &cli.verb {
        Verb::Init(a) => init::run(a, global),
        Verb::ImportAnsible(a) => import_ansible::run(a, global),
        Verb::Learn(a) => learn::run(a, global),
        Verb::Check(a) => check::run(a, global),
        Verb::Flows(a) => flows::run(a, global),
        Verb::Reach(a) => reach::run(a, global),
        Verb::Plan(a) => plan::run(a, global),
        Verb::Apply(a) => apply::run(a, global),
        Verb::Rollout(a) => rollout::run(a, global),
        Verb::History(a) => history::run(a, global),
        Verb::Rollback(a) => rollback::run(a, global),
        Verb::Keys(a) => keys::run(a, global),
        Verb::Deadlines(a) => deadlines::run(a, global),
        Verb::Adopt(a) => adopt::run(a, global),
        Verb::Report(a) => report::run(a, global),
        Verb::Render(a) => render::run(a, global),
        Verb::Drift(a) => drift::run(a, global),
        Verb::Sockets(a) => sockets::run(a, global),
        Verb::Audit(a) => audit::run(a, global),
        Verb::Backup(a) => backup::run(a, global),
        Verb::Breach(a) => breach::run(a, global),
        Verb::Harden(a) => harden::run(a, global),
        Verb::Selinux(a) => selinux::run(a, global),
        Verb::Tokens(a) => tokens::run(a, global),
        Verb::Containers(a) => containers::run(a, global),
        Verb::Verify(a) => verify::run(a, global),
        Verb::BreakGlass(a) => break_glass::run(a, global),
        Verb::Ips(a) => ips::run(a, global),
        Verb::Pair(a) => pair::run(a, global),
        Verb::Lab(a) => lab::run(a, global),
        Verb::Explain(a) => explain::run(a, global),
        Verb::Fmt(a) => fmt::run(a, global),
        Verb::Schema(a) => schema::run(a, global),
        Verb::Generate(a) => generate::run(a, global),
    }
}
