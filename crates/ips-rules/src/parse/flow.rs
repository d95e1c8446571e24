//! Flow and stream: direction, state, sizes, application, events.

use crate::{
    buffer::Side,
    build::Build,
    fault::{self, Fault},
    header::{APPS, Protocol},
    num::Number,
    option::Opt,
    rule::{Check, Flow, Quantity, State},
};
use std::{collections::BTreeSet, sync::LazyLock};

type Done = Result<(), Fault>;

/// Events the peer documents in its own rules: keyword and name.
static EVENTS: LazyLock<BTreeSet<(&str, &str)>> =
    LazyLock::new(|| include_str!("../../data/events.txt").lines().filter_map(|l| l.split_once(' ')).collect());

fn put<T: PartialEq>(slot: &mut Option<T>, value: T) -> Done {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Fault::place("two parts speak against each other, or say the same twice", "keep one of them")),
    }
}

pub fn flow(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "flow:[to_server|to_client][,established|not_established|stateless][,only_stream|no_stream][,only_frag|no_frag]";
    let known = b.checks.iter().position(|c| matches!(c, Check::Flow(_)));
    let mut flow = match known.map(|i| b.checks.remove(i)) {
        Some(Check::Flow(f)) => f,
        _ => Flow::default(),
    };
    for part in o.unquoted()?.split(',').map(str::trim) {
        match part.to_ascii_lowercase().as_str() {
            "to_server" | "from_client" => put(&mut flow.side, Side::Client)?,
            "to_client" | "from_server" => put(&mut flow.side, Side::Server)?,
            "established" => put(&mut flow.state, State::Established)?,
            "not_established" => put(&mut flow.state, State::NotEstablished)?,
            "stateless" => put(&mut flow.state, State::Stateless)?,
            "only_stream" => put(&mut flow.stream, true)?,
            "no_stream" => put(&mut flow.stream, false)?,
            "only_frag" => put(&mut flow.fragment, true)?,
            "no_frag" => put(&mut flow.fragment, false)?,
            other => return Err(Fault::value(format!("`{other}` does not do"), form)),
        }
    }
    b.checks.push(Check::Flow(flow));
    Ok(())
}

pub fn stream_size(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "stream_size:server|client|both|either,OPERATOR,NUMBER";
    let parts = o.parts()?;
    let [side @ ("server" | "client" | "both" | "either"), operator, number] = parts.as_slice() else {
        return Err(Fault::value("does not do", form));
    };
    let operator = if *operator == "!" { "!=" } else { operator };
    let size = Number::read(&format!("{operator}{number}"), u64::from(u32::MAX)).map_err(|e| Fault::value(e, form))?;
    b.about_protocol(&[Protocol::Tcp, Protocol::TcpPackets, Protocol::TcpBytes], "TCP")?;
    b.checks.push(Check::StreamSize { side: (*side).to_owned(), size });
    Ok(())
}

fn counted(b: &mut Build<'_>, o: &Opt<'_>, to_server: Quantity, to_client: Quantity, both: Quantity) -> Done {
    let form = format!("{}:toserver|toclient|either,COMPARISON", o.name);
    let (side, number) = o.need()?.split_once(',').ok_or_else(|| Fault::value("does not do", &form))?;
    let quantity = match side.trim() {
        "toserver" => to_server,
        "toclient" => to_client,
        "both" | "either" => both,
        other => return Err(Fault::value(format!("`{other}` is no direction"), &form)),
    };
    let n = Number::read(number, u64::MAX).map_err(|e| Fault::value(e, &form))?;
    b.checks.push(Check::Quantity(quantity, n));
    Ok(())
}

pub fn packets(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    counted(b, o, Quantity::FlowPacketsToServer, Quantity::FlowPacketsToClient, Quantity::FlowPackets)
}

pub fn bytes(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    counted(b, o, Quantity::FlowBytesToServer, Quantity::FlowBytesToClient, Quantity::FlowBytes)
}

pub fn application(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "app-layer-protocol:[!]NAME[,MODE]";
    let text = o.unquoted()?;
    let (negated, text) = text.strip_prefix('!').map_or((false, text), |r| (true, r));
    let (name, mode) = text.split_once(',').map_or((text, None), |(n, m)| (n, Some(m.trim().to_owned())));
    let name = name.trim();
    if !["unknown", "failed"].contains(&name) && !APPS.iter().any(|(n, _)| *n == name) {
        return Err(Fault::new(fault::NOT_TAKEN, format!("`{name}` is no application this release knows"), format!("written as `{form}`")));
    }
    let modes = ["to_server", "to_client", "final", "original", "either", "direction"];
    if let Some(wrong) = mode.as_deref().filter(|m| !modes.contains(m)) {
        return Err(Fault::value(format!("`{wrong}` is none of {}", modes.join(", ")), form));
    }
    b.checks.push(Check::Application { name: name.to_owned(), negated, mode });
    Ok(())
}

fn event<'t>(o: &Opt<'t>, keyword: &'static str) -> Result<&'t str, Fault> {
    let name = o.unquoted()?;
    if EVENTS.contains(&(keyword, name)) {
        return Ok(name);
    }
    let near = crate::keyword::most_like(name, EVENTS.iter().filter(|(k, _)| *k == keyword).map(|(_, n)| *n));
    let help = near.map_or_else(|| "see the peer's list of events".to_owned(), |n| format!("did you mean `{n}`?"));
    Err(Fault::new(fault::NOT_TAKEN, format!("there is no event `{name}`"), help))
}

pub fn application_event(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let name = event(o, "app-layer-event")?;
    b.checks.push(Check::ApplicationEvent(name.to_owned()));
    Ok(())
}

pub fn decode_event(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let name = event(o, "decode-event")?;
    b.checks.push(Check::DecodeEvent(name.to_owned()));
    Ok(())
}

pub fn stream_event(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let name = event(o, "stream-event")?;
    b.checks.push(Check::StreamEvent(name.to_owned()));
    Ok(())
}
