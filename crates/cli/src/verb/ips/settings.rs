//! Settings of an engine as its user gives them: the peer's configuration and single ones over it. Never: passes over what is not understood.

use crate::{input, trouble::Trouble};
use ips_io::config::Config;
use ips_rules::limits::MAX_FILE_BYTES;
use std::path::Path;

/// Takes a configuration of the peer, where one is named, then single settings.
pub fn take(config: &mut Config, yaml: Option<&Path>, set: &[String]) -> Result<(), Trouble> {
    if let Some(path) = yaml {
        let text = input::text(path, MAX_FILE_BYTES)?;
        config.take_yaml(&text).map_err(|e| Trouble::usage(format!("{}: {e}", path.display()), "is it a configuration of the peer?"))?;
    }
    for setting in set {
        config.set(setting).map_err(|e| Trouble::usage(e, "write --set KEY=VALUE, as in the peer's configuration"))?;
    }
    Ok(())
}

/// Once everything is said, whether it goes together.
pub fn settle(config: &mut Config) -> Result<(), Trouble> {
    config.settle().map_err(|e| Trouble::usage(e, "change one of the two settings"))
}
