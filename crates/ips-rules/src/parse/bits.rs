//! State that rules share: bits of flows, hosts and pairs, and numbers of flows.

use crate::{
    build::{Build, check_name},
    fault::{self, Fault},
    num::whole,
    option::Opt,
    rule::{Bit, Check, Effect, Operand, Scope},
};

type Done = Result<(), Fault>;

/// One command on a bit.
fn command(b: &mut Build<'_>, command: &str, scope: Scope, names: &str, expire: Option<u32>, form: &str) -> Done {
    let any: Vec<Bit> = names.split('|').map(|n| Bit { scope, name: n.trim().to_owned() }).collect();
    any.iter().try_for_each(|bit| check_name(&bit.name))?;
    let one = match any.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    };
    let single = || one.clone().ok_or_else(|| Fault::value("alternatives with `|` are for isset and isnotset", form));
    match command {
        "isset" => b.checks.push(Check::Bits { any, negated: false }),
        "isnotset" => b.checks.push(Check::Bits { any, negated: true }),
        "set" => b.effects.push(Effect::Set(single()?, expire)),
        "unset" => b.effects.push(Effect::Unset(single()?)),
        "toggle" => b.effects.push(Effect::Toggle(single()?)),
        other => return Err(Fault::value(format!("`{other}` is no command"), form)),
    }
    Ok(())
}

pub fn flowbits(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "flowbits:set|unset|toggle|isset|isnotset,NAME` or `flowbits:noalert";
    let text = o.unquoted()?;
    match text.split_once(',') {
        None if text == "noalert" => b.effects.push(Effect::NoAlert),
        None => return Err(Fault::value("the name is missing", form)),
        Some((what, names)) => return command(b, what.trim(), Scope::Flow, names, None, form),
    }
    Ok(())
}

pub fn hostbits(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "hostbits:set|unset|toggle|isset|isnotset,NAME[,src|dst]` or `hostbits:noalert";
    match o.parts()?.as_slice() {
        ["noalert"] => {
            b.effects.push(Effect::NoAlert);
            Ok(())
        }
        [what, name] | [what, name, "src"] => command(b, what, Scope::Source, name, None, form),
        [what, name, "dst"] => command(b, what, Scope::Destination, name, None, form),
        _ => Err(Fault::value("does not do", form)),
    }
}

pub fn xbits(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "xbits:set|unset|toggle|isset|isnotset,NAME,track ip_src|ip_dst|ip_pair|tx[,expire SECONDS]";
    let parts = o.parts()?;
    if parts == ["noalert"] {
        b.effects.push(Effect::NoAlert);
        return Ok(());
    }
    let (what, name, track, expire) = match parts.as_slice() {
        [what, name, track] => (what, name, track, None),
        [what, name, track, expire] => (what, name, track, Some(expire)),
        _ => return Err(Fault::value("does not do", form)),
    };
    let scope = match track.strip_prefix("track").map(str::trim) {
        Some("ip_src") => Scope::Source,
        Some("ip_dst") => Scope::Destination,
        Some("ip_pair") => Scope::Pair,
        Some("tx") => Scope::Transaction,
        _ => return Err(Fault::value(format!("`{track}` does not do"), form)),
    };
    let seconds = |t: &str| t.strip_prefix("expire").and_then(|n| whole(n.trim())).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    let expire = expire.map(|t| seconds(t).ok_or_else(|| Fault::value(format!("`{t}` does not do"), form))).transpose()?;
    if expire.is_some() && *what != "set" {
        b.faults.push(
            Fault::warning(fault::DOUBT, "only `set` has a time: expire means nothing here", "leave it out").or_at(&o.value_at, o.name),
        );
    }
    command(b, what, scope, name, expire, form)
}

pub fn flowint(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "flowint:NAME,=|+|-|==|!=|<|<=|>|>=,NUMBER|NAME` or `flowint:NAME,isset|notset";
    let parts = o.parts()?;
    match parts.as_slice() {
        [name, state @ ("isset" | "notset" | "isnotset")] => {
            check_name(name)?;
            b.checks.push(Check::FlowIntSet { name: (*name).to_owned(), set: *state == "isset" });
        }
        [name, operator, value] => {
            check_name(name)?;
            let with = match whole(value) {
                Some(n) => Operand::Number(u32::try_from(n).map_err(|_| Fault::value(format!("{n} is more than 32 bits"), form))?),
                None => check_name(value).map(|()| Operand::Variable((*value).to_owned()))?,
            };
            let (name, operator) = ((*name).to_owned(), (*operator).to_owned());
            match operator.as_str() {
                "=" | "+" | "-" => b.effects.push(Effect::FlowInt { name, operation: operator, by: with }),
                "==" | "!=" | "<" | "<=" | ">" | ">=" => b.checks.push(Check::FlowInt { name, compare: operator, with }),
                other => return Err(Fault::value(format!("`{other}` is no operator"), form)),
            }
        }
        _ => return Err(Fault::value("does not do", form)),
    }
    Ok(())
}
