//! Scenes of things broken on purpose: a change that cuts the operator, a rule deleted by hand.

use super::Seen;
use crate::{
    attempt::{Attempt, Deed, legitimate},
    connect,
    error::LabError,
    stage::{Said, Stage},
};
use plan::{MachinePlan, TABLE};
use serde_json::Value;
use site::model::{FlowKind, Party};
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};
use words::{Digest, Generation, HostName, Proto};

/// How long the change waits for its confirmation: enough for an operator's try that gets no answer.
const CONFIRM_WITHIN: Duration = Duration::from_secs(4);
/// How long the revert may take after that on a busy machine.
const REVERTED_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The operator's way to a machine: who, from where, to where.
struct Way {
    host: HostName,
    node: String,
    src: IpAddr,
    dst: SocketAddr,
}

/// Applies a ruleset without the management path; nobody can confirm it, so it must go back by itself.
pub(super) fn cut_operator(stage: &Stage) -> Result<Seen, LabError> {
    let Some((way, machine)) = management(stage) else {
        return Ok(Seen { lines: vec!["the site file declares no management path that a lab can play".into()], right: false });
    };
    let node = way.host.as_str();
    let open_before = answers(stage, &way)?;
    let (generation, parent) = link(&stage.applier(node, &["status"])?)?;
    let bad = stage.draft(&without_management(stage, machine), generation, Some(parent), &[]);
    let began = Instant::now();
    let said = stage.apply(node, bad, Some(CONFIRM_WITHIN))?;
    let cut = !answers(stage, &way)?;
    let mut lines = vec![
        format!("{} -> {node} {}: {}", way.node, way.dst, if open_before { "answers before" } else { "DOES NOT ANSWER before" }),
        format!("a change without the management path is committed on {node}: {}", result(&said)),
        format!("the operator tries again: {}; so nobody confirms", if cut { "no answer" } else { "STILL ANSWERS" }),
    ];
    let mut reverted = false;
    while !reverted && began.elapsed() < CONFIRM_WITHIN + REVERTED_WITHIN {
        std::thread::sleep(LOOK_AGAIN);
        reverted = stage.applier(node, &["status"])?.json.get("pending").is_some_and(Value::is_null);
    }
    let took = began.elapsed();
    let open_after = answers(stage, &way)?;
    lines.push(if reverted { format!("taken back by itself after {:.1} s", took.as_secs_f32()) } else { "NOT TAKEN BACK".into() });
    lines.push(format!("the operator tries once more: {}", if open_after { "answers" } else { "NO ANSWER" }));
    Ok(Seen { lines, right: open_before && said.done && cut && reverted && open_after })
}

/// Deletes a dropping rule by hand; the applier must name it and put it back.
pub(super) fn drift(stage: &Stage) -> Result<Seen, LabError> {
    let Some(node) = stage.lab.topology.edges.first().cloned().or_else(|| stage.plan.machines.keys().next().map(|h| h.as_str().to_owned()))
    else {
        return Ok(Seen { lines: vec!["no machine is managed".into()], right: false });
    };
    let clean = drifted(&stage.applier(&node, &["status"])?);
    let space = stage.lab.space(&node)?;
    let listed = space.program("nft", &["-j", "-a", "-t", "list", "table", "inet", TABLE], None)?;
    let json: Value = serde_json::from_slice(&listed.stdout).unwrap_or(Value::Null);
    let Some((chain, handle, id)) = dropping(&json) else {
        return Ok(Seen { lines: vec![format!("{node} has no rule that drops")], right: false });
    };
    space.program("nft", &["delete", "rule", "inet", TABLE, &chain, "handle", &handle.to_string()], None)?;
    let found = drifted(&stage.applier(&node, &["status"])?);
    let mut lines =
        vec![format!("rule {id} deleted from chain {chain} on {node} by hand; drift before: {}, now: {}", clean.len(), found.len())];
    lines.extend(found.iter().cloned());
    let loaded = stage.applier(&node, &["boot"])?;
    let mended = drifted(&stage.applier(&node, &["status"])?);
    lines.push(format!("the confirmed generation is loaded again: {}, drift left: {}", result(&loaded), mended.len()));
    Ok(Seen { lines, right: clean.is_empty() && !found.is_empty() && loaded.done && mended.is_empty() })
}

fn management(stage: &Stage) -> Option<(Way, &MachinePlan)> {
    let (attempts, _) = legitimate::attempts(&stage.model, &stage.lab.topology);
    attempts.iter().find_map(|a: &Attempt| {
        let flow = stage.model.flows.iter().find(|f| a.flow.as_deref() == Some(f.id.0.as_str()) && f.kind == FlowKind::Management)?;
        let Party::Host(host) = &flow.to else { return None };
        let Deed::Connect { src, dst, proto: Proto::Tcp } = a.deed else { return None };
        let machine = stage.machine(host).filter(|m| m.role == plan::Role::Host || stage.plan.machines.len() == 1)?;
        Some((Way { host: host.clone(), node: a.node.clone(), src, dst }, machine))
    })
}

/// The plan of a machine without any rule or element of a management flow.
fn without_management(stage: &Stage, machine: &MachinePlan) -> MachinePlan {
    let ids: Vec<&str> = stage.model.flows.iter().filter(|f| f.kind == FlowKind::Management).map(|f| f.id.0.as_str()).collect();
    let gone = |id: &Option<String>| id.as_deref().is_some_and(|id| ids.iter().any(|f| id.starts_with(f)));
    let mut bad = machine.clone();
    for table in &mut bad.ruleset.tables {
        table.chains.iter_mut().for_each(|c| c.rules.retain(|r| !gone(&r.id)));
        table.sets.values_mut().for_each(|s| s.elements.retain(|e| !gone(&e.id)));
    }
    bad
}

fn answers(stage: &Stage, way: &Way) -> Result<bool, LabError> {
    Ok(connect::ask(stage.lab.space(&way.node)?, Some(way.src), way.dst, Proto::Tcp)?.node() == Some(way.host.as_str()))
}

/// The next number and the confirmed digest, from the applier's status.
fn link(status: &Said) -> Result<(Generation, Digest), LabError> {
    let field = |v: Option<&Value>| v.cloned().unwrap_or(Value::Null);
    let bad = |e: serde_json::Error| LabError::Other(format!("the applier's status is not understood: {e}"));
    let generation = serde_json::from_value(field(status.json.get("next_generation"))).map_err(bad)?;
    let digest = serde_json::from_value(field(status.json.pointer("/confirmed/digest"))).map_err(bad)?;
    Ok((generation, digest))
}

fn drifted(status: &Said) -> Vec<String> {
    let all = status.json.get("drift").and_then(Value::as_array);
    all.map(|a| a.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default()
}

fn result(said: &Said) -> String {
    let word = said.json.get("result").and_then(Value::as_str).map(str::to_owned);
    if said.done {
        word.unwrap_or_else(|| "done".into())
    } else {
        format!("refused: {}", said.json.get("error").and_then(Value::as_str).unwrap_or(&said.error))
    }
}

/// The last rule with an id that drops: chain, handle, id.
fn dropping(json: &Value) -> Option<(String, u64, String)> {
    let rules = json.get("nftables")?.as_array()?.iter().filter_map(|o| o.get("rule"));
    let drops = |r: &&Value| r.get("expr").and_then(Value::as_array).is_some_and(|e| e.iter().any(|s| s.get("drop").is_some()));
    rules
        .filter(drops)
        .filter_map(|r| Some((r.get("chain")?.as_str()?.to_owned(), r.get("handle")?.as_u64()?, r.get("comment")?.as_str()?.to_owned())))
        .next_back()
}
