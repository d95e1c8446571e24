//! What tests of a pair share: a standing stage, what a drill saw in one line, who is active.
#![allow(dead_code, reason = "each test uses its own part")]
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

use super::common;
use lab::{
    build::Neighbours,
    listen,
    pair::{Drill, Flows, Pair},
    stage::Stage,
};
use plan::Options;
use std::time::Duration;

/// A standing stage with its rules, on which the ways through the pair are served.
pub fn stage() -> Stage {
    let stage = silent();
    // Where a flow allows any port, this one is asked. Ten thousand connections and every port of the catalogue are more than one
    // process may have open.
    listen::serve(&stage.lab, &Flows::ports(&stage, 443)).expect("listeners");
    stage
}

/// The same, and nobody listens.
pub fn silent() -> Stage {
    let stage = Stage::build(common::example("small"), Options::default(), Neighbours::Dynamic).expect("built");
    stage.load_all().expect("loaded");
    stage
}

pub fn told(d: &Drill) {
    let ms = |t: Duration| t.as_secs_f64() * 1e3;
    println!(
        "{}: {} -> {}, {} changeovers, hole {:.0} ms ({} of {} answered), over TCP {:.0} ms, flows {} before, {} survived, {} reset, {} silent; new: {} opened, {} again, {} not; both {:.0} ms, neither {:.0} ms; forbidden {} of {}; load {}",
        d.event,
        d.from,
        d.to,
        d.roles.changeovers(),
        ms(d.gap.longest),
        d.gap.heard,
        d.gap.sent,
        ms(d.stream.longest),
        d.flows.before,
        d.flows.survived,
        d.flows.reset,
        d.flows.silent,
        d.arrivals.opened,
        d.arrivals.again,
        d.arrivals.refused,
        ms(d.roles.both),
        ms(d.roles.neither),
        d.forbidden.arrived,
        d.forbidden.sent,
        std::fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default()
    );
}

/// What the policy forbids passes in no outcome, and was sent.
pub fn closed(d: &Drill) {
    assert!(d.forbidden.arrived == 0 && d.forbidden.sent > 0, "{}: {:?}", d.event, d.forbidden);
}

/// The active node, once it is this one or time is over.
pub fn moved(pair: &Pair<'_>, to: &str) -> String {
    for _ in 0..20 {
        let now = pair.settled().unwrap_or_else(|e| panic!("{e}"));
        if now == to {
            return now;
        }
    }
    pair.settled().unwrap_or_else(|e| panic!("{e}"))
}
