//! The holder of a standing lab: builds the site inside, puts the rules in force, listens everywhere, says so, and waits.

use super::trouble;
use crate::{args::Global, exit::Exit, face, input, trouble::Trouble};
use lab::{
    build::Neighbours,
    demo,
    enter::{Entered, enter, isolation},
    listen::serve,
    stage::Stage,
    stand::{READY, wait_for_ever},
};
use plan::Options;
use std::path::Path;
use words::Generation;

/// Runs inside until somebody ends it.
pub fn hold(site: &Path, bare: bool, global: &Global) -> Result<Exit, Trouble> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Entered::Done(_) = enter(&arguments).map_err(trouble)? {
        return Err(Trouble::usage("this verb is the lab's own", "ravelin lab up SITE"));
    }
    let (model, _) = input::model(site, global)?;
    let stage = Stage::build(model, Options::default(), Neighbours::Dynamic).map_err(trouble)?;
    let sockets = serve(&stage.lab, &demo::ports(&stage)).map_err(trouble)?;
    let rules = if bare {
        stage.lab.by_hand().map_err(trouble)?;
        0
    } else {
        stage.apply_all(Generation(1), &[]).map_err(trouble)?
    };
    let hosts: Vec<&str> = stage.lab.topology.nodes.keys().map(String::as_str).collect();
    face::print(&format!(
        "{READY}{rules} machines hold their rules, {sockets} sockets listen; machines: {}; {}\n",
        hosts.join(" "),
        isolation()
    ))?;
    wait_for_ever()
}
