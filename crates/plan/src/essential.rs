//! What a network needs besides flows, and no more: ICMP errors, neighbour discovery, DHCP where the address is dynamic.
//! RFC 4890 says what must not be dropped; RFC 4861 section 11 why hop limit 255 is asked.
//!
//! Errors are accepted only for connections that are tracked (`related`), inbound; outbound errors are the kernel's own
//! and are rate limited by it.

use crate::build::{Build, NF_V4, NF_V6, is, one_of};
use ruleset::{Key, Rule, Statement, Value, Verdict};

/// Echo requests answered per second: monitoring and people, not floods.
pub const ECHO_PER_SECOND: u64 = 20;
/// Echo requests in a burst.
pub const ECHO_BURST: u64 = 40;

const ESTABLISHED: u128 = 2;
const RELATED: u128 = 4;
const INVALID: u128 = 1;

/// Destination unreachable (fragmentation needed among it), time exceeded, parameter problem.
const ERRORS_V4: [u128; 3] = [3, 11, 12];
/// Destination unreachable, packet too big, time exceeded, parameter problem.
const ERRORS_V6: [u128; 4] = [1, 2, 3, 4];
/// Neighbour solicitation and advertisement.
const NEIGHBOUR: [u128; 2] = [135, 136];
/// Router advertisement.
const ROUTER_ADVERT: u128 = 134;
/// Router solicitation.
const ROUTER_SOLICIT: u128 = 133;
/// Listener query.
const LISTENER_QUERY: u128 = 130;
/// Listener reports of both versions, and done: switches that snoop need them for neighbour discovery to work.
const LISTENER_REPORTS: [u128; 3] = [131, 132, 143];
/// Hop limit of what cannot have been routed.
const ON_LINK: u128 = 255;

fn accept(mut statements: Vec<Statement>) -> Vec<Statement> {
    statements.push(Statement::Verdict(Verdict::Accept));
    statements
}

fn counted(mut statements: Vec<Statement>) -> Vec<Statement> {
    statements.push(Statement::Counter);
    accept(statements)
}

fn link_local() -> Statement {
    is(Key::Ip6Saddr, [Value::Range(0xfe80 << 112, (0xfec0 << 112) - 1)])
}

/// What belongs to a connection already let in.
pub(crate) fn established(build: &mut Build<'_>, hook: &str) -> Rule {
    let id = format!("established/{hook}");
    build.builtin(
        &id,
        "lets pass what belongs to a connection already let in",
        "a reply follows from its request",
        counted(vec![one_of(Key::CtState, &[ESTABLISHED])]),
    )
}

/// ICMP errors about a tracked connection.
pub(crate) fn related(build: &mut Build<'_>, hook: &str) -> Vec<Rule> {
    let why = "without them path MTU discovery and error reporting fail (RFC 4890 4.3.1)";
    let id = format!("related/{hook}");
    let what = "lets pass ICMP errors about a tracked connection";
    let state = || one_of(Key::CtState, &[RELATED]);
    vec![
        build.builtin(&id, what, why, counted(vec![state(), one_of(Key::IcmpType, &ERRORS_V4)])),
        build.builtin(&id, what, why, counted(vec![state(), one_of(Key::Icmp6Type, &ERRORS_V6)])),
    ]
}

/// What fits no connection.
pub(crate) fn invalid(build: &mut Build<'_>, hook: &str) -> Vec<Rule> {
    let id = format!("invalid/{hook}");
    build.refuse(&id, "refuses what fits no connection", "out-of-state packets probe or disturb", vec![one_of(Key::CtState, &[INVALID])])
}

/// The machine's own loopback.
pub(crate) fn loopback(build: &mut Build<'_>, hook: &str, key: Key) -> Rule {
    let id = format!("loopback/{hook}");
    let lo = is(key, [Value::Name("lo".to_owned())]);
    build.builtin(&id, "lets the machine talk to itself", "loopback never leaves the machine", accept(vec![lo]))
}

/// Neighbour discovery and, where `routers`, advertisements of routers.
pub(crate) fn neighbour_in(build: &mut Build<'_>, routers: bool) -> Vec<Rule> {
    let hop = || one_of(Key::HopLimit, &[ON_LINK]);
    let mut out = vec![build.builtin(
        "nd/input",
        "lets in neighbour discovery from the link",
        "IPv6 does not work without it (RFC 4890 4.4.1); hop limit 255 proves it was not routed",
        accept(vec![one_of(Key::Icmp6Type, &NEIGHBOUR), hop()]),
    )];
    if routers {
        out.push(build.builtin(
            "ra/input",
            "lets in router advertisements from the link",
            "a host learns its IPv6 gateway from them",
            accept(vec![one_of(Key::Icmp6Type, &[ROUTER_ADVERT]), link_local(), hop()]),
        ));
    }
    out.push(build.builtin(
        "mld/input",
        "lets in multicast listener queries from the link",
        "switches that snoop forget a host that does not answer",
        accept(vec![one_of(Key::Icmp6Type, &[LISTENER_QUERY]), link_local()]),
    ));
    out
}

/// Neighbour discovery, listener reports and ICMP errors of the machine's own.
pub(crate) fn errors_and_neighbour_out(build: &mut Build<'_>, routers: bool) -> Vec<Rule> {
    let mut types = NEIGHBOUR.to_vec();
    if routers {
        types.push(ROUTER_SOLICIT);
    }
    types.sort_unstable();
    let why = "peers need them to adapt; the kernel limits their rate";
    let what = "lets out ICMP errors";
    vec![
        build.builtin(
            "nd/output",
            "lets out neighbour discovery",
            "IPv6 does not work without it (RFC 4890 4.4.1)",
            accept(vec![one_of(Key::Icmp6Type, &types), one_of(Key::HopLimit, &[ON_LINK])]),
        ),
        build.builtin(
            "mld/output",
            "lets out multicast listener reports",
            "switches that snoop deliver neighbour discovery only to those who reported",
            accept(vec![one_of(Key::Icmp6Type, &LISTENER_REPORTS)]),
        ),
        build.builtin("icmp-error/output", what, why, accept(vec![one_of(Key::IcmpType, &ERRORS_V4)])),
        build.builtin("icmp-error/output", what, why, accept(vec![one_of(Key::Icmp6Type, &ERRORS_V6)])),
    ]
}

/// Echo requests to the machine, a few per second.
pub(crate) fn echo_in(build: &mut Build<'_>) -> Vec<Rule> {
    let limit = || Statement::Limit { rate: ECHO_PER_SECOND, per: "second".to_owned(), burst: ECHO_BURST, over: false, bytes: false };
    let (what, why) = ("answers a few echo requests per second", "people and monitoring ask whether a machine lives (RFC 4890 4.3.1)");
    vec![
        build.builtin("echo/input", what, why, counted(vec![one_of(Key::IcmpType, &[8]), limit()])),
        build.builtin("echo/input", what, why, counted(vec![one_of(Key::Icmp6Type, &[128]), limit()])),
    ]
}

/// DHCP for v4 and v6, where an address is not written in the site file.
pub(crate) fn dhcp(build: &mut Build<'_>, input: bool) -> Vec<Rule> {
    let (hook, v4, v6) = if input { ("input", (67, 68), (547, 546)) } else { ("output", (68, 67), (546, 547)) };
    let id = format!("dhcp/{hook}");
    let (what, why) = ("lets the machine lease its address", "its address is not in the site file");
    [(NF_V4, v4), (NF_V6, v6)]
        .into_iter()
        .map(|(family, (source, to))| {
            let s = vec![
                one_of(Key::NfProto, &[family]),
                one_of(Key::L4Proto, &[17]),
                one_of(Key::Sport, &[source]),
                one_of(Key::Dport, &[to]),
            ];
            build.builtin(&id, what, why, counted(s))
        })
        .collect()
}
