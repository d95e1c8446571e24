//! NET001: no API, admin, metrics, debug or database port is reachable from the Internet.

use super::{Cx, internal};
use words::ZoneName;

const HELP: &str = "let only the zones that need it reach it; operators come through the management path";

pub(super) fn check(cx: &mut Cx<'_, '_>) {
    let internet = ZoneName::internet();
    for h in cx.hosts() {
        let ports = cx.endpoints(&h, |l| internal(l.class));
        // One witness a machine is enough.
        if let Some((via, hit)) = cx.exposed(&internet, &h, ports).into_iter().next() {
            let host = cx.net.machine(&h).map(|m| m.host);
            let message = |p: &crate::Packet| {
                let name = super::endpoint(host, p).unwrap_or_else(|| "a port".into());
                format!("`{name}` on {h} is reachable from the Internet on {}/{}", p.dport(), p.proto())
            };
            cx.delivered(&internet, &h, &via, hit, message, HELP);
        }
    }
}
