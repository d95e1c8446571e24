//! The namespaces of a race: per variant a `world` and a `router`, one virtual cable per zone between them. The world both
//! sends and receives; it has no addresses, so that what arrives is counted and dropped.
//!
//! Never: touches this machine's own network. [`enter`] runs the program again inside namespaces of its own, with an empty
//! `/run` (named namespaces and iptables' lock stay inside), and only then are the functions below called.

use crate::{Error, policy::Policy};
use std::{
    env, fs,
    io::Write as _,
    process::{Command, ExitStatus, Stdio},
};

/// Set in the inner run; its value is the outer run's network namespace.
const MARK: &str = "RAVELIN_GAUGE_OUTER_NETNS";

/// The router's address on every cable, for the world's default routes.
const ROUTER: &str = "169.254.0.1";
/// The world's address on every cable, for the router's routes.
const WORLD: &str = "169.254.0.2";
/// Hardware address of every router device.
const ROUTER_MAC: &str = "02:00:00:00:00:01";
/// Hardware address of every world device.
const WORLD_MAC: &str = "02:00:00:00:00:02";

/// Where the program stands.
#[derive(Debug)]
pub enum Place {
    /// Inside; the caller goes on.
    Inside,
    /// The inner run has ended; the caller leaves with its status.
    Done(ExitStatus),
}

/// Makes sure that the caller runs inside namespaces of its own: runs the program again under `unshare`, with a user
/// namespace where it is not root.
pub fn enter() -> Result<Place, Error> {
    let own = netns()?;
    if let Ok(outer) = env::var(MARK) {
        if outer == own {
            return Err(Error::Invalid("the network namespace is still the machine's own: refusing to go on".into()));
        }
        run(&["mount", "-t", "tmpfs", "tmpfs", "/run"])?;
        return Ok(Place::Inside);
    }
    let program = env::current_exe().map_err(Error::call("cannot find this program"))?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--propagation", "private"]);
    if !root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg("--").arg(program).args(env::args_os().skip(1)).env(MARK, own);
    command.status().map(Place::Done).map_err(Error::call("cannot run `unshare`"))
}

/// Whether this is root of the machine, or of a user namespace.
pub fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the user namespace is not the machine's first: limits of sockets then hold.
pub fn rootless() -> bool {
    // The first namespace maps all ids onto themselves.
    fs::read_to_string("/proc/self/uid_map").is_ok_and(|m| m.split_whitespace().last() != Some("4294967295"))
}

fn netns() -> Result<String, Error> {
    let link = fs::read_link("/proc/self/ns/net").map_err(Error::call("cannot read /proc/self/ns/net"))?;
    Ok(link.to_string_lossy().into_owned())
}

/// Names of a variant's two namespaces.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Sends and receives.
    pub world: String,
    /// Holds the ruleset.
    pub router: String,
}

/// Builds world and router of one variant.
pub fn build(number: usize, policy: &Policy) -> Result<Pair, Error> {
    let pair = Pair { world: format!("w{number}"), router: format!("r{number}") };
    let (world, router) = (pair.world.as_str(), pair.router.as_str());
    run(&["ip", "netns", "add", world])?;
    run(&["ip", "netns", "add", router])?;
    for name in [world, router] {
        // Devices that announce themselves in IPv6 would be counted as packets that arrived.
        run(&["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"])?;
    }
    // Without the loopback device there is no local table, and no gateway is valid.
    let mut outside = String::from("link set lo up\n");
    let mut inside = outside.clone();
    let mut cables = String::new();
    for (n, zone) in policy.zones.iter().enumerate() {
        let device = &zone.device;
        cables += &format!(
            "link add {} address {WORLD_MAC} netns {world} type veth peer name {device} address {ROUTER_MAC} netns {router}\n",
            cable(n)
        );
        outside += &format!("link set {0} up\nneigh add {ROUTER} lladdr {ROUTER_MAC} nud permanent dev {0}\n", cable(n));
        outside += &format!("route add default via {ROUTER} dev {0} onlink metric {n}\n", cable(n));
        inside += &format!("link set {device} up\nneigh add {WORLD} lladdr {WORLD_MAC} nud permanent dev {device}\n");
        for net in &zone.subnets {
            inside += &format!("route add {net} via {WORLD} dev {device} onlink\n");
        }
    }
    feed(&["ip", "-batch", "-"], &cables)?;
    feed(&["ip", "-n", world, "-batch", "-"], &outside)?;
    feed(&["ip", "-n", router, "-batch", "-"], &inside)?;
    for setting in ["net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"] {
        run(&["ip", "netns", "exec", router, "sysctl", "-qw", setting])?;
    }
    for zone in &policy.zones {
        run(&["ip", "netns", "exec", router, "sysctl", "-qw", &format!("net.ipv4.conf.{}.rp_filter=0", zone.device.replace('.', "/"))])?;
    }
    Ok(pair)
}

/// The world's device of a zone.
pub fn cable(zone: usize) -> String {
    format!("z{zone}")
}

/// Runs a program; its output where it succeeds.
pub fn run(arguments: &[&str]) -> Result<String, Error> {
    feed(arguments, "")
}

/// Runs a program with this input; its output where it succeeds.
pub fn feed(arguments: &[&str], input: &str) -> Result<String, Error> {
    let what = arguments.join(" ");
    let (program, rest) = arguments.split_first().ok_or_else(|| Error::Invalid("no program".into()))?;
    let mut child = Command::new(program)
        .args(rest)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::call(format!("cannot run `{program}`")))?;
    let mut pipe = child.stdin.take();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            if let Some(pipe) = pipe.as_mut() {
                // A program that stops reading says why itself.
                let _ = pipe.write_all(input.as_bytes());
            }
            drop(pipe);
        });
        child.wait_with_output()
    })
    .map_err(Error::call(format!("cannot wait for `{what}`")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    Err(Error::Program { what, message: message.chars().take(MESSAGE).collect() })
}

/// Characters of a program's complaint that are kept: nft repeats the whole line, which may hold 100,000 elements.
const MESSAGE: usize = 400;
