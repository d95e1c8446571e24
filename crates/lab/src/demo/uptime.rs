//! Scenes of staying up: the active node of the pair dies under load, and a restart waits for the proof.

use super::{Seen, ports};
use crate::{
    attempt::legitimate::ANY_PORT,
    chain::ChainNode,
    error::LabError,
    listen,
    pair::{Drill, Event, Flows, Pair, drill},
    stage::Stage,
};
use deadline::{Policy, Settings, Unreachable, outlook::MARGIN_SECONDS};
use lotus::{Asker, Node, Passed};
use std::{
    collections::BTreeSet,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use words::{ApiUrl, Proto};

/// Connections held over the nodes' death: enough to see one lost, few enough for any machine.
const CONNECTIONS: usize = 500;
/// How long the restart may take, in seconds: lotus needs some minutes until it is in step with the chain.
const AWAY: u64 = 300;
/// How long the proof keeps the restart waiting: less than an epoch, after which it is asked again.
const LANDS_AFTER: Duration = Duration::from_secs(3);
/// Longest wait of the scene in seconds: three looks.
const LONGEST_WAIT: u64 = 90;
/// How long a node has for all its answers.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Kills the active node with everything a real pair runs, under connections old and new.
pub(super) fn node_dies(stage: &Stage) -> Result<Seen, LabError> {
    // What listens already is not opened twice.
    let mut more = ports(stage);
    for wanted in more.values_mut() {
        let any = BTreeSet::from([(Proto::Tcp, ANY_PORT), (Proto::Udp, ANY_PORT)]);
        *wanted = any.difference(wanted).copied().collect();
    }
    listen::serve(&stage.lab, &more)?;
    let mut pair = Pair::start(stage)?;
    let mut flows = Flows::find(stage)?;
    flows.open(CONNECTIONS)?;
    pair.timers()?;
    let died = drill(&mut pair, &mut flows, Event::Kill)?;
    Ok(Seen { right: whole(&died), lines: told(&died) })
}

/// No connection that was told of is lost, and every new one found its way.
fn whole(d: &Drill) -> bool {
    d.from != d.to && d.flows.before > 0 && d.flows.survived == d.flows.before && d.arrivals.refused == 0
}

fn told(d: &Drill) -> Vec<String> {
    let (f, a) = (&d.flows, &d.arrivals);
    vec![
        format!("{} dies: its daemons are gone and its links down at once; {} takes over", d.from, d.to),
        format!("longest hole in a probe of a thousand packets a second: {:.0} ms", d.gap.longest.as_secs_f64() * 1e3),
        format!("{} connections open before (TCP and UDP): {} go on, {} reset, {} silent", f.before, f.survived, f.reset, f.silent),
        format!("new ones meanwhile: {} opened, {} of them at the second try, {} refused", a.opened + a.again, a.again, a.refused),
    ]
}

/// A service that is to be restarted while the proof of the open deadline has not landed.
pub(super) fn restart_waits(stage: &Stage) -> Result<Seen, LabError> {
    let Some(host) = stage.plan.machines.keys().find(|h| !stage.lab.topology.edges.iter().any(|e| e == h.as_str())) else {
        return Ok(Seen { lines: vec!["no machine beside the edge is managed".into()], right: false });
    };
    stage.lab.space(host.as_str())?.run(|| {
        let node = ChainNode::serve(TcpListener::bind("127.0.0.1:0").map_err(LabError::io("listen as a chain node"))?)?;
        let url: ApiUrl = format!("http://{}/rpc/v1", node.at).parse().map_err(|e| LabError::Other(format!("chain node's URL: {e}")))?;
        let asker = Asker {
            nodes: vec![Node { name: "lotus".into(), urls: Ok(vec![url]), token: None }],
            jobs: Vec::new(),
            miners: vec!["f01234".into()],
            settings: Settings { margin: MARGIN_SECONDS, wait_for_sealing: false },
            timeout: TIMEOUT,
        };
        let mut service = start()?;
        let began = Instant::now();
        let (mut lines, mut landed) = (Vec::new(), None);
        let passed = std::thread::scope(|scope| {
            let landing = scope.spawn(|| {
                std::thread::sleep(LANDS_AFTER);
                node.land();
                began.elapsed()
            });
            let policy = Policy { unreachable: Unreachable::Refuse, max_wait: LONGEST_WAIT };
            let passed = asker.wait(AWAY, policy, &mut |look| {
                let why: Vec<String> = look.waits.iter().map(ToString::to_string).collect();
                lines.push(format!("{:.0} s: the service runs on; {}", began.elapsed().as_secs_f32(), why.join("; ")));
            });
            landed = landing.join().ok();
            passed
        });
        let waited = began.elapsed();
        // It was not touched while it waited.
        let alive = service.try_wait().map_err(LabError::io("look at the service"))?.is_none();
        end(&mut service);
        let landed = landed.unwrap_or_default();
        lines.push(format!("{:.0} s: the proof lands", landed.as_secs_f32()));
        let fits = match passed {
            Passed::Fits(look, ends) => {
                let free = ends.saturating_sub(look.now);
                lines.push(format!("{:.0} s: no proof is due for {free} s, {AWAY} s are asked for: restarted", waited.as_secs_f32()));
                let mut again = start()?;
                let runs = again.try_wait().map_err(LabError::io("look at the service"))?.is_none();
                end(&mut again);
                runs && free >= AWAY
            }
            Passed::Blind(_, why) | Passed::Refused(_, why) => {
                lines.push(format!("NOT RESTARTED: {why}"));
                false
            }
        };
        Ok(Seen { right: alive && fits && waited > landed && lines.len() > 2, lines })
    })
}

/// Something that runs until it is ended.
fn start() -> Result<Child, LabError> {
    let mut service = Command::new("sleep");
    service.arg("infinity").stdin(Stdio::null()).stdout(Stdio::null());
    service.spawn().map_err(|source| LabError::Spawn { program: "sleep".into(), source })
}

fn end(service: &mut Child) {
    let _ = service.kill();
    let _ = service.wait();
}
