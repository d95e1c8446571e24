//! The site's table for the engine, `inet ravelin-ips`: put in place whole, and its kill switch. In comes a script that names this table alone.
//! Never: loads a script about anything else.

use crate::{Error, hook::failed};
use observe::run;

/// The table.
pub const TABLE: &str = "ravelin-ips";
/// Its chain that is empty, unless packets are to pass by the engine.
pub const SWITCH: &str = "switch";

/// What the kill switch writes.
const OFF: &str = "ips/off";

/// Loads it: one transaction, the old table is gone when the new one is there. The kill switch stays as it is: an engine that starts again by itself
/// does not undo what a person did.
///
/// # Errors
/// Where the script is about more than the table, or nft refuses it.
pub fn put(script: &str) -> Result<(), Error> {
    bundle::only_table(script, TABLE).map_err(|e| Error::Program { what: "load the table".into(), why: e.to_string() })?;
    let mut script = script.to_owned();
    if is_off() {
        script += &off();
    }
    run::with_input("nft", &["-f", "-"], &script).map(drop).map_err(failed)
}

/// Whether packets pass by the engine; not where there is no table.
pub fn is_off() -> bool {
    run::output("nft", &["list", "chain", "inet", TABLE, SWITCH]).is_ok_and(|t| t.contains(OFF))
}

fn off() -> String {
    format!("add rule inet {TABLE} {SWITCH} counter accept comment \"{OFF}\"\n")
}

/// The kill switch: with `off` no packet waits for the engine from the next one on, without it they do again. Asks nobody but the kernel.
///
/// # Errors
/// Where the table is not there, or nft refuses.
pub fn switch(off: bool) -> Result<(), Error> {
    let flush = format!("flush chain inet {TABLE} {SWITCH}\n");
    let script = if off { flush + &self::off() } else { flush };
    run::with_input("nft", &["-f", "-"], &script).map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_table_is_loaded() {
        let own =
            format!("table inet {TABLE} {{}}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n\tchain a {{\n\t\taccept\n\t}}\n}}\n");
        let foreign = |script: &str| bundle::only_table(script, TABLE).err();
        assert_eq!(foreign(&own), None);
        for bad in ["flush ruleset\n", "table inet ravelin {}\n", "table inet ravelin-ips {\n include \"x\"\n}\n"] {
            assert!(foreign(&format!("{own}{bad}")).is_some(), "{bad}");
        }
    }
}
