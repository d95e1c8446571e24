//! The kernel's command line, its lockdown, whether it refuses unsigned modules. In comes a root, out come facts.

use crate::{Error, Root};
use facts::{Boot, secret};

/// How the kernel was started.
pub fn read(root: &Root) -> Result<Boot, Error> {
    let line = root.text("/proc/cmdline")?;
    // A passphrase on the command line is read by everybody; it must not be kept as well.
    let line = secret::redact(line.trim()).0;
    let lockdown = root.text("/sys/kernel/security/lockdown").ok();
    let signed = root.text("/sys/module/module/parameters/sig_enforce").ok();
    Ok(Boot {
        parameters: line.split_whitespace().map(str::to_owned).collect(),
        lockdown: lockdown.as_deref().and_then(chosen),
        signed_modules: signed.map(|s| s.trim() == "Y"),
    })
}

/// The word in brackets of `none [integrity] confidentiality`.
fn chosen(text: &str) -> Option<String> {
    let word = text.split_whitespace().find_map(|w| w.strip_prefix('[')?.strip_suffix(']'))?;
    Some(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_word_stands_in_brackets() {
        assert_eq!(chosen("none [integrity] confidentiality\n").as_deref(), Some("integrity"));
        assert_eq!(chosen("none"), None);
    }
}
