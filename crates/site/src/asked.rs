//! URLs of those that are asked for deadlines. In come a model, one that is asked and the machine that asks, out come the places to try,
//! or why there is none.

use crate::{Asked, AskedAt, Model};
use catalog::{App, Role};
use std::net::{IpAddr, Ipv4Addr};
use words::{ApiUrl, HostName, Scheme};

/// Path of a chain node's JSON-RPC (lotus `node/rpc.go`, Forest `src/rpc/mod.rs`, lotus `gateway/handler.go`).
pub const CHAIN_PATH: &str = "/rpc/v1";
/// Path of lotus-miner's and Curio's (lotus `node/rpc.go` `MinerHandler`, curio `cmd/curio/rpc/rpc.go`).
const MINER_PATH: &str = "/rpc/v0";

/// As the site file calls it; of a URL its host and port.
pub fn name(asked: &Asked) -> String {
    match &asked.at {
        AskedAt::Instance(host, instance) => format!("{host}/{instance}"),
        AskedAt::Url(url) => format!("{}:{}", url.host(), url.port()),
    }
}

/// It is a Curio node, a miner otherwise.
pub fn is_cluster(model: &Model, asked: &Asked) -> bool {
    match &asked.at {
        AskedAt::Instance(host, instance) => {
            let found = model.hosts.get(host).and_then(|h| h.instances.iter().find(|i| i.name == *instance));
            found.is_some_and(|i| i.service.role == Role::ClusterNode)
        }
        AskedAt::Url(url) => url.port() == CURIO_PORT,
    }
}

/// Curio's port (curio `cmd/curio/run.go`): of a URL nothing else tells the two apart.
const CURIO_PORT: u16 = 12_300;

/// Places to try from a machine of the site, or from elsewhere.
pub fn urls(model: &Model, asked: &Asked, here: Option<&HostName>) -> Result<Vec<ApiUrl>, String> {
    let (host, instance) = match &asked.at {
        AskedAt::Url(url) => return Ok(vec![url.clone()]),
        AskedAt::Instance(host, instance) => (host, instance),
    };
    let machine = model.hosts.get(host);
    let found = machine.and_then(|h| h.instances.iter().find(|i| i.name == *instance));
    let (Some(machine), Some(found)) = (machine, found) else { return Err(format!("the site has no {host}/{instance}")) };
    let Some(listen) = found.listens.iter().find(|l| l.app == App::JsonRpc) else { return Err("it serves no JSON-RPC".to_owned()) };
    let Some(port) = listen.ports.ranges().first().map(|r| r.first()) else { return Err("its port is not known".to_owned()) };
    let path = if matches!(found.service.role, Role::ChainNode | Role::Gateway) { CHAIN_PATH } else { MINER_PATH };
    let local = here == Some(host);
    let mut addresses: Vec<IpAddr> = Vec::new();
    if local {
        addresses.push(found.bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    } else if listen.loopback {
        return Err(format!("it listens on {host} alone: ask from there (--host {host} where this is it), or name a URL"));
    }
    addresses.extend(found.bind.filter(|_| !local));
    addresses.extend(
        machine.interfaces.iter().flat_map(|i| &i.addresses).filter(|a| a.prefix_len() > 0 && found.bind.is_none()).map(|a| a.addr()),
    );
    addresses.dedup();
    if addresses.is_empty() {
        return Err(format!("no address of {host} is known"));
    }
    addresses.into_iter().map(|a| ApiUrl::of(Scheme::Http, a, port, path).map_err(|e| e.to_string())).collect()
}
