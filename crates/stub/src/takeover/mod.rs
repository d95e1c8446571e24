//! What somebody who has taken the service over tries. In comes a list of orders, one `verb=argument,argument` a line between a
//! first line that names the list and a last one `end`; out comes a line for each. Every action runs in a process of its own.

mod climb;
mod engine;
mod kernel;
mod network;
mod persist;
mod policy;
mod secrets;

use crate::act::{other, say, tell};
use std::io;
use stub::Said;

/// An action that hangs is ended. An engine under emulation takes half a minute to start a container.
const SECONDS: u32 = 90;

/// What a verb does with its arguments.
type Action = fn(&[&str]) -> io::Result<()>;

/// A verb of one group.
type Verb = (&'static str, Action);

/// Carries out a list.
pub fn carry_out(text: &str) {
    let mut lines = text.lines();
    let name = lines.next().unwrap_or_default();
    for order in lines.take_while(|l| *l != "end") {
        let (verb, rest) = order.split_once('=').unwrap_or((order, ""));
        let arguments: Vec<&str> = rest.split(',').collect();
        let Some((group, action)) = find(verb) else {
            tell::<()>("takeover", order, Err(other("no such verb")));
            continue;
        };
        tell(group, order, crate::kernel::apart(|| action(&arguments), SECONDS));
    }
    say(&Said::Done(name.to_owned()));
}

fn find(verb: &str) -> Option<(&'static str, Action)> {
    let groups: [(&str, &[Verb]); 7] = [
        ("secrets", &secrets::VERBS),
        ("climb", &climb::VERBS),
        ("engine", &engine::VERBS),
        ("persist", &persist::VERBS),
        ("network", &network::VERBS),
        ("kernel", &kernel::VERBS),
        ("policy", &policy::VERBS),
    ];
    groups.iter().find_map(|(group, verbs)| verbs.iter().find(|(v, _)| *v == verb).map(|(_, action)| (*group, *action)))
}

/// The first argument.
fn first<'a>(arguments: &[&'a str]) -> &'a str {
    arguments.first().copied().unwrap_or_default()
}

/// A number.
fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| other(format!("`{text}` is no number")))
}
