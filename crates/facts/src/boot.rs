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

impl Boot {
    /// The value of the last word `name=value`; a word without value gives an empty one.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = |w: &'_ String| -> Option<usize> {
            let rest = w.strip_prefix(name)?;
            (rest.is_empty() || rest.starts_with('=')).then_some(w.len() - rest.trim_start_matches('=').len())
        };
        self.parameters.iter().rev().find_map(|w| value(w).and_then(|at| w.get(at..)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts() {
        let words = ["quiet", "selinux=0", "selinux=1", "init=/bin/sh", "selinuxx=3"];
        let boot = Boot { parameters: words.map(str::to_owned).to_vec(), ..Boot::default() };
        assert_eq!(
            (boot.get("selinux"), boot.get("init"), boot.get("quiet"), boot.get("apparmor")),
            (Some("1"), Some("/bin/sh"), Some(""), None)
        );
    }
}
