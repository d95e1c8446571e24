//! What a matching rule does beside its action.

use crate::{
    build::Build,
    fault::Fault,
    header::Action,
    option::Opt,
    rule::{Effect, Target},
};

type Done = Result<(), Fault>;

fn plain(b: &mut Build<'_>, o: &Opt<'_>, effect: Effect) -> Done {
    if o.value.is_some() {
        return Err(Fault::value("takes no value", &format!("{};", o.name)));
    }
    b.effects.push(effect);
    Ok(())
}

pub fn noalert(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    plain(b, o, Effect::NoAlert)
}

pub fn alert(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    plain(b, o, Effect::Alert)
}

pub fn bypass(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    plain(b, o, Effect::Bypass)
}

/// Packets a tag lasts where it says nothing; the peer's default.
const TAG_PACKETS: u32 = 256;

pub fn tag(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "tag:session|host[,N,packets|seconds|bytes[,src|dst]]";
    let parts = o.parts()?;
    let host = match parts.first() {
        Some(&"session") => false,
        Some(&"host") => true,
        _ => return Err(Fault::value("does not do", form)),
    };
    let end = match (host, parts.get(3)) {
        (false, None) => None,
        (true, Some(&"src")) => Some(Target::Source),
        (true, Some(&"dst")) => Some(Target::Destination),
        (true, None) => return Err(Fault::value("which host: src or dst?", form)),
        _ => return Err(Fault::value("does not do", form)),
    };
    let number =
        |t: &&str| t.parse::<u32>().ok().filter(|n| *n > 0).ok_or_else(|| Fault::value(format!("`{t}` is no number above 0"), form));
    let count = parts.get(1).map_or(Ok(TAG_PACKETS), number)?;
    let unit = parts.get(2).copied().unwrap_or("packets");
    if !["packets", "seconds", "bytes"].contains(&unit) || parts.len() > 4 {
        return Err(Fault::value(format!("`{unit}` does not do"), form));
    }
    b.effects.push(Effect::Tag { host: end, count, unit: unit.to_owned() });
    Ok(())
}

pub fn config(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "config:logging|tracking disable, type tx|flow, scope tx|flow|packet";
    let parts: Vec<Vec<&str>> = o.parts()?.iter().map(|p| p.split_whitespace().collect()).collect();
    let [first, second, third] = parts.as_slice() else {
        return Err(Fault::value("three parts are needed", form));
    };
    let (what, kind, scope) = match (first.as_slice(), second.as_slice(), third.as_slice()) {
        ([w @ ("logging" | "tracking"), "disable"], ["type", k @ ("tx" | "flow")], ["scope", s @ ("tx" | "flow" | "packet")]) => (w, k, s),
        _ => return Err(Fault::value("does not do", form)),
    };
    if b.header.as_ref().is_some_and(|h| h.action != Action::Config) {
        return Err(Fault::place("is for rules with the action config", "write `config` as the action"));
    }
    b.effects.push(Effect::Config { what: (*what).to_owned(), kind: (*kind).to_owned(), scope: (*scope).to_owned() });
    Ok(())
}
