//! Tracked connections that a narrower policy would not let open: told always, ended where asked for. In come rules and what
//! the machine reports, out come lines, or a list for the applier. Never: the way in of whoever asks.

use crate::{applier::Applier, exit::Exit, face::remark, machine, session, trouble::Trouble};
use facts::{Connection, Facts};
use reach::cut::{Refused, refused};
use ruleset::Ruleset;
use std::{collections::BTreeSet, io::Write, net::IpAddr};

/// Connections shown to people; all of them stand in the list that is ended.
const TOLD: usize = 8;

/// Addresses whoever started this came in from.
pub fn own_addresses(facts: &Facts) -> BTreeSet<IpAddr> {
    session::of_operator(facts).into_iter().map(|s| s.from).collect()
}

/// The connections that these rules would refuse to open, without the operator's own.
fn found(rules: &Ruleset, facts: &Facts) -> Vec<Refused> {
    let own = own_addresses(facts);
    let all = refused(rules, facts).into_iter();
    all.filter(|r| !own.contains(&r.connection.original.src) && !own.contains(&r.connection.reply.src)).collect()
}

/// Says which connections the rules to come would not let open; gives how many.
pub fn tell(rules: &Ruleset, facts: &Facts, will_cut: bool) -> usize {
    let all = found(rules, facts);
    if all.is_empty() {
        return 0;
    }
    let fate = if will_cut { "they are ended once the change is confirmed" } else { "they go on; --cut ends them" };
    remark(&format!("{} tracked connections would not be let open any more; {fate}:", all.len()));
    all.iter().take(TOLD).for_each(|r| remark(&format!("  {}", line(r))));
    if all.len() > TOLD {
        remark(&format!("  and {} more", all.len() - TOLD));
    }
    all.len()
}

fn line(r: &Refused) -> String {
    let Connection { proto, original: o, .. } = &r.connection;
    let end = |a: IpAddr, port: u16| std::net::SocketAddr::new(a, port);
    let by = r.by.as_ref().map(|s| s.id.clone().unwrap_or_else(|| format!("table {}, chain {}: {}", s.table, s.chain, s.did)));
    format!("{proto} {} -> {} [{}]", end(o.src, o.sport), end(o.dst, o.dport), by.unwrap_or_default())
}

/// Ends what the rules in force would not let open. Looked up anew: what was listed before the change may have gone.
pub fn now(applier: &Applier) -> Result<Exit, Trouble> {
    let facts = machine::connections();
    let list: Vec<Connection> = found(&machine::rulesets(&facts)?, &facts).into_iter().map(|r| r.connection).collect();
    if list.is_empty() {
        remark("No tracked connection is one that the rules in force would refuse; nothing is ended.");
        return Ok(Exit::Ok);
    }
    let file = tempfile::NamedTempFile::new().map_err(|e| Trouble::io("temporary file", e))?;
    let text = serde_json::to_vec(&list).map_err(|e| Trouble::bug(format!("a list of connections is no JSON: {e}")))?;
    file.as_file().write_all(&text).map_err(|e| Trouble::io(file.path(), e))?;
    let path = file.path().to_string_lossy().into_owned();
    let status = applier.run(&["cut", &path])?;
    Ok(if status.success() { Exit::Ok } else { Exit::Cannot })
}
