//! The lines of the site file that would allow a flow. In come the ends as the model knows them, out comes TOML that reads
//! as it stands; only the reason is for the operator to say.

use crate::{judge::End, seen::Key};
use std::collections::BTreeSet;
use words::Proto;

/// `[[allow]]` for one flow. `seen` says by whom it was used.
pub fn allow(from: &End<'_>, to: &End<'_>, key: &Key, seen: &str) -> String {
    let (_, port) = key.listener();
    let proto = if key.proto == Proto::Udp { "udp" } else { "tcp" };
    format!(
        "[[allow]]\nfrom = {}\nto   = [{}]\nport = \"{port}/{proto}\"\nwhy  = {}\n",
        quoted(&name(from)),
        quoted(&name(to)),
        quoted(&format!("seen by learn ({seen}): say what it is for")),
    )
}

/// How the site file names an end: the machine, else the address itself. Never the zone: that would open more than was seen.
fn name(end: &End<'_>) -> String {
    end.host.map_or_else(|| end.address.to_string(), |h| h.name.to_string())
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let safe: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("\"{}\"", safe.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The openers' and listeners' names in a few words.
pub fn names<'a>(who: impl IntoIterator<Item = &'a crate::Who>) -> String {
    let words: BTreeSet<String> = who
        .into_iter()
        .map(|w| {
            let account = w.account.as_deref().map(|a| format!(" as {a}")).unwrap_or_default();
            format!("{}{account} on {}", w.process, w.machine)
        })
        .collect();
    if words.is_empty() { "no process was seen".into() } else { words.into_iter().collect::<Vec<_>>().join(", ") }
}
