//! Hands everything to the other node, or takes that word back. In comes nothing but the word, out goes one number into the file that
//! keepalived watches. It outlives a boot. Never: takes anything back by itself: who is active stays so.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    trouble::Trouble,
};
use bundle::pair::{HEALTH, KEEPALIVED};
use clap::Args;
use serde::Serialize;
use std::path::Path;

/// Arguments of `pair drain`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Takes it back: this node may be active again when the other one is worse
    #[arg(long = "return")]
    back: bool,
}

#[derive(Serialize)]
struct Drained {
    drained: bool,
}

impl Face for Drained {
    fn text(&self) -> String {
        if self.drained {
            "This node hands everything over and stays so, over a boot as well. `ravelin pair drain --return` takes it back.\n".to_owned()
        } else {
            "This node may be active again. Nothing moves by itself.\n".to_owned()
        }
    }
}

/// Writes the number.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    if !Path::new(KEEPALIVED).exists() {
        return Err(Trouble::usage(
            format!("{KEEPALIVED} is not there: this machine is no node of a pair"),
            "`ravelin apply` puts it there",
        ));
    }
    let number = if arguments.back { 0 } else { emit::keepalived::DRAINED };
    std::fs::write(HEALTH, format!("{number}\n")).map_err(|e| Trouble::usage(format!("cannot write {HEALTH}: {e}"), "run it as root"))?;
    show(global, &Drained { drained: !arguments.back })?;
    Ok(Exit::Ok)
}
