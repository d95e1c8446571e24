//! How the kernel was started, and what it holds back from root.

use serde::{Deserialize, Serialize};

/// The boot's parameters and the kernel's locks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Boot {
    /// Words of the kernel's command line, as `/proc/cmdline` has them.
    pub parameters: Vec<String>,
    /// Lockdown: `none`, `integrity` or `confidentiality`; `None` where the kernel has it not or it could not be read.
    pub lockdown: Option<String>,
    /// Modules without a valid signature are refused.
    pub signed_modules: Option<bool>,
}
