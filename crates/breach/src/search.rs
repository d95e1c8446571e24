//! Ways through the graph. In comes a machine, out comes the closure: edges of everything service accounts reach, and for each
//! account its shortest ways to uid 0 and to secrets that are not its own. Bounded in length and number; what was cut is said.

use crate::{
    edges,
    graph::{AccountWays, Closure, Edge, Node, Way, Weakness},
    machine::Machine,
};
use facts::Source;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Longest way, in steps.
const LONGEST: usize = 8;
/// Most ways that are kept for one account.
const MOST_WAYS: usize = 100;
/// Most partial ways that are followed for one account.
const MOST_TRIED: usize = 20_000;

/// The closure.
pub fn closure(m: &Machine) -> Closure {
    let triggers = edges::triggers(m);
    let mut all: BTreeSet<Edge> = BTreeSet::new();
    let mut done: BTreeSet<Node> = BTreeSet::new();
    let mut queue: VecDeque<Node> = m.services.keys().map(|a| Node::Account((*a).to_owned())).collect();
    while let Some(node) = queue.pop_front() {
        if !done.insert(node.clone()) {
            continue;
        }
        let found = match &node {
            Node::Account(name) => m.account(name).filter(|a| a.uid != 0).map_or(Vec::new(), |a| edges::of_account(m, a, &triggers)),
            Node::Group(name) => edges::of_group(m, name),
            _ => Vec::new(),
        };
        queue.extend(found.iter().map(|e| e.to.clone()).filter(|n| matches!(n, Node::Account(_) | Node::Group(_))));
        all.extend(found);
    }
    let edges: Vec<Edge> = all.into_iter().collect();
    let mut from: BTreeMap<&Node, Vec<usize>> = BTreeMap::new();
    for (at, e) in edges.iter().enumerate() {
        from.entry(&e.from).or_default().push(at);
    }
    let accounts = m
        .services
        .iter()
        .map(|(account, services)| {
            let (ways, cut) = ways(&edges, &from, &Node::Account((*account).to_owned()));
            AccountWays { account: (*account).to_owned(), services: services.iter().map(|s| (*s).to_owned()).collect(), ways, cut }
        })
        .collect();
    Closure { accounts, weaknesses: weaknesses(m), unread: unread(m, &triggers), edges }
}

/// Breadth first, so that shorter ways come first. A way through a node that an earlier node of it reaches in one certain step
/// adds nothing to the shorter one through that step, and is left out. Ends do not count here: two ways to uid 0 are two.
fn ways(edges: &[Edge], from: &BTreeMap<&Node, Vec<usize>>, start: &Node) -> (Vec<Way>, bool) {
    let at = |s: &usize| edges.get(*s);
    let step = |a: &Node, b: &Node| from.get(a).into_iter().flatten().filter_map(at).any(|e| e.certain && e.to == *b);
    let mut ways: Vec<Way> = Vec::new();
    let mut queue: VecDeque<(Vec<usize>, &Node)> = VecDeque::from([(Vec::new(), start)]);
    let (mut tried, mut cut) = (0, false);
    while let Some((steps, here)) = queue.pop_front() {
        tried += 1;
        if tried > MOST_TRIED || ways.len() >= MOST_WAYS {
            cut = true;
            break;
        }
        for &next in from.get(here).into_iter().flatten() {
            let Some(edge) = edges.get(next) else { continue };
            let passed = || steps.iter().filter_map(at).map(|e| &e.from);
            if edge.to == *here || passed().any(|n| *n == edge.to) {
                continue;
            }
            let mut longer = steps.clone();
            longer.push(next);
            // Who is uid 0 has every secret: nothing is said beyond it.
            if matches!(edge.to, Node::Root | Node::Secret(_)) {
                let certain = longer.iter().filter_map(at).all(|e| e.certain);
                ways.push(Way { steps: longer, certain });
            } else if passed().any(|n| step(n, &edge.to)) {
                continue;
            } else if longer.len() < LONGEST {
                queue.push_back((longer, &edge.to));
            } else {
                cut = true;
            }
        }
    }
    let rank = |w: &Way| {
        let end = w.steps.last().and_then(at).map(|e| &e.to);
        (!matches!(end, Some(Node::Root)), !w.certain, w.steps.len())
    };
    ways.sort_by_key(rank);
    (ways, cut)
}

/// Settings, the value that is tight, and what a loose one lets somebody do.
const SETTINGS: [(&str, &[&str], &str); 6] = [
    ("kernel.yama.ptrace_scope", &["1", "2", "3"], "processes of one account read and write each other's memory"),
    ("kernel.unprivileged_bpf_disabled", &["1", "2"], "every account loads BPF programs into the kernel"),
    ("kernel.unprivileged_userns_clone", &["0"], "every account makes user namespaces and reaches kernel code meant for root"),
    ("kernel.modules_disabled", &["1"], "who becomes root loads kernel modules"),
    ("kernel.kexec_load_disabled", &["1"], "who becomes root starts another kernel"),
    ("fs.protected_symlinks", &["1"], "links in sticky directories lead privileged programs astray"),
];

fn weaknesses(m: &Machine) -> Vec<Weakness> {
    let loose = SETTINGS.iter().filter_map(|(name, tight, means)| {
        let value = m.facts.sysctls.get(*name)?;
        (!tight.contains(&value.as_str())).then(|| Weakness { subject: format!("{name} = {value}"), means: (*means).to_owned() })
    });
    let su =
        m.text("/etc/pam.d/su").filter(|f| !crate::machine::lines(f).any(|(_, l)| l.starts_with("auth") && l.contains("pam_wheel.so")));
    let su = su.map(|f| Weakness {
        subject: f.path.clone(),
        means: "every account may try root's password through su: pam_wheel is not required".into(),
    });
    let lingering = m.facts.files.iter().filter_map(|f| f.path.strip_prefix("/var/lib/systemd/linger/"));
    let lingering = lingering.filter(|a| m.services.contains_key(a)).map(|a| Weakness {
        subject: format!("lingering of {a}"),
        means: "its user units start at boot, outside the sandbox of the service's unit".into(),
    });
    loose.chain(su).chain(lingering).collect()
}

fn unread(m: &Machine, triggers: &[edges::Trigger]) -> Vec<String> {
    let sources = [Source::Accounts, Source::Groups, Source::Sudoers, Source::Units, Source::Processes, Source::Paths, Source::Sweep];
    let failed = m.facts.failures.iter().filter(|f| sources.contains(&f.source)).map(|f| f.reason.clone());
    let policy = m.policy.unread.iter().map(|u| format!("{}:{}: {}", u.place.file, u.place.line, u.why));
    let dark = m.facts.paths.iter().filter(|p| p.state == facts::PathState::Unread).map(|p| format!("{}: could not be looked at", p.path));
    let sweep = match &m.facts.sweep {
        None => vec!["set-id programs and file capabilities: no sweep was made".to_owned()],
        Some(s) if !s.complete => vec!["set-id programs and file capabilities: the sweep is not complete".to_owned()],
        Some(_) => Vec::new(),
    };
    let unasked: BTreeSet<&str> = triggers.iter().map(|t| t.path.as_str()).filter(|p| !m.paths.asked(p)).collect();
    let unasked = unasked.first().map(|first| format!("{} path(s) were not looked at, the first: {first}", unasked.len()));
    failed.chain(policy).chain(dark).chain(sweep).chain(unasked).collect()
}
