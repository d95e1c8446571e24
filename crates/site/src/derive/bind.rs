//! Binding: in come the instances and what their catalogue entries say they must reach, out comes who is bound to whom.
//! One candidate binds by itself; several are an error that says which line to write.

use crate::{Model, code, cx::Cx, resolve::hosts::Hosts, syntax::Text};
use catalog::{Peer, Scope};
use std::collections::{BTreeMap, BTreeSet};
use words::{Diagnostic, HostName, InstanceName, ServiceName, Span};

/// An instance by host and name.
pub(crate) type Who = (HostName, InstanceName);

/// For every instance, for every peer entry of its service, whom it reaches.
pub(crate) type Bindings = BTreeMap<Who, Vec<Vec<Who>>>;

struct Binder<'m> {
    model: &'m Model,
    hosts: &'m Hosts,
    by_service: BTreeMap<ServiceName, Vec<Who>>,
    /// Group runs share a span: each problem is told once.
    told: BTreeSet<(usize, String)>,
}

/// Binds everything, and fills in `uses` of the instances.
pub(crate) fn bind(cx: &mut Cx<'_>, model: &mut Model, hosts: &Hosts) -> Bindings {
    let mut binder = Binder { model, hosts, by_service: BTreeMap::new(), told: BTreeSet::new() };
    for (h, i) in binder.model.hosts.values().flat_map(|h| h.instances.iter().map(move |i| (h, i))) {
        binder.by_service.entry(i.service.name.clone()).or_default().push((h.name.clone(), i.name.clone()));
    }
    let everyone: Vec<Who> = binder.by_service.values().flatten().cloned().collect();
    let mut out = Bindings::new();
    for who in &everyone {
        let found = binder.first(cx, who);
        out.insert(who.clone(), found);
    }
    // `one` and `all` are settled now; `bound` and `siblings` are their reverse.
    let ones = binder.ones(&out);
    let mut reverse: BTreeMap<&Who, Vec<&Who>> = BTreeMap::new();
    let mut forward: BTreeMap<&Who, Vec<&Who>> = BTreeMap::new();
    for (who, target) in &ones {
        reverse.entry(target).or_default().push(who);
        forward.entry(who).or_default().push(target);
    }
    for who in &everyone {
        for (n, peer) in binder.peers(who).iter().enumerate() {
            let found: BTreeSet<Who> = match peer.scope {
                Scope::Bound => reverse.get(who).into_iter().flatten().map(|w| (*w).clone()).collect(),
                Scope::Siblings => {
                    let mine = forward.get(who).into_iter().flatten();
                    mine.flat_map(|t| reverse.get(*t).into_iter().flatten()).map(|w| (*w).clone()).collect()
                }
                Scope::One | Scope::All => continue,
            };
            let fits: Vec<Who> = found.into_iter().filter(|w| w != who && binder.plays(w, peer)).collect();
            if let Some(place) = out.get_mut(who).and_then(|v| v.get_mut(n)) {
                *place = fits;
            }
        }
    }
    let mut uses: BTreeMap<Who, BTreeMap<ServiceName, Who>> = BTreeMap::new();
    for (who, target) in &ones {
        if let Some(i) = binder.instance(target) {
            uses.entry(who.clone()).or_default().insert(i.service.name.clone(), target.clone());
        }
    }
    for host in model.hosts.values_mut() {
        for i in &mut host.instances {
            i.uses = uses.remove(&(host.name.clone(), i.name.clone())).unwrap_or_default();
        }
    }
    out
}

impl Binder<'_> {
    fn instance(&self, who: &Who) -> Option<&crate::Instance> {
        self.model.hosts.get(&who.0)?.instances.iter().find(|i| i.name == who.1)
    }
    fn peers(&self, who: &Who) -> &[Peer] {
        self.instance(who).map(|i| i.service.peers.as_slice()).unwrap_or_default()
    }
    /// Whether an instance can play the part: right service, endpoint switched on.
    fn plays(&self, who: &Who, peer: &Peer) -> bool {
        self.instance(who).is_some_and(|i| peer.service.contains(&i.service.name) && i.listens.iter().any(|l| l.endpoint == peer.endpoint))
    }
    fn ones(&self, found: &Bindings) -> Vec<(Who, Who)> {
        let mut out = Vec::new();
        for (who, lists) in found {
            for (peer, list) in self.peers(who).iter().zip(lists) {
                if let (Scope::One, [target]) = (peer.scope, list.as_slice()) {
                    out.push((who.clone(), target.clone()));
                }
            }
        }
        out.sort();
        out.dedup();
        out
    }
    fn draft(&self, who: &Who) -> Option<&crate::resolve::runs::RunDraft> {
        self.hosts.runs.get(&who.0)?.iter().find(|d| d.name == who.1)
    }

    /// `one` and `all` of an instance's peer entries; the others are left empty.
    fn first(&mut self, cx: &mut Cx<'_>, who: &Who) -> Vec<Vec<Who>> {
        let peers: Vec<Peer> = self.peers(who).to_vec();
        let span = self.draft(who).map(|d| d.span).unwrap_or_default();
        self.unused(cx, who, &peers);
        let mut out = Vec::new();
        for peer in &peers {
            if !matches!(peer.scope, Scope::One | Scope::All) {
                out.push(Vec::new());
                continue;
            }
            let all: Vec<Who> = peer
                .service
                .iter()
                .flat_map(|s| self.by_service.get(s).into_iter().flatten())
                .filter(|w| *w != who && self.plays(w, peer))
                .cloned()
                .collect();
            let said: Vec<Text> =
                self.draft(who).map(|d| peer.service.iter().filter_map(|s| d.uses.get(s).cloned()).collect()).unwrap_or_default();
            let chosen = if said.is_empty() { all.clone() } else { self.chosen(cx, &said, &all, peer) };
            if chosen.is_empty() && !said.is_empty() {
                out.push(Vec::new());
                continue;
            }
            match (peer.scope, chosen.len()) {
                (_, 0) if !peer.optional => self.nobody(cx, who, peer, span),
                (Scope::One, 2..) => {
                    self.several(cx, who, peer, &chosen, span);
                    out.push(Vec::new());
                    continue;
                }
                _ => {}
            }
            out.push(chosen);
        }
        out
    }

    /// What `uses` names, among the candidates.
    fn chosen(&mut self, cx: &mut Cx<'_>, said: &[Text], all: &[Who], peer: &Peer) -> Vec<Who> {
        let mut out = Vec::new();
        for t in said {
            let (host, instance) = t.text.split_once('/').map_or((t.text.as_str(), None), |(h, i)| (h, Some(i)));
            let group = self.model.groups.get(host);
            let before = out.len();
            out.extend(
                all.iter()
                    .filter(|(h, i)| {
                        (h.as_str() == host || group.is_some_and(|g| g.contains(h))) && instance.is_none_or(|n| i.as_str() == n)
                    })
                    .cloned(),
            );
            if out.len() > before || !self.told.insert((t.span.start, t.text.clone())) {
                continue;
            }
            let wanted = crate::cx::choice(&peer.service);
            let names: Vec<String> = all.iter().map(|w| self.write(w, all)).collect();
            if group.is_some() || self.model.hosts.contains_key(host) {
                let help =
                    if names.is_empty() { "no host of the site does".to_owned() } else { format!("there is {}", crate::cx::list(&names)) };
                cx.error(code::NAM006, t.span, format!("`{}` does not run {wanted} with an endpoint `{}`", t.text, peer.endpoint), help);
            } else {
                let hosts = self.model.hosts.keys().map(HostName::as_str);
                cx.error(
                    code::NAM001,
                    t.span,
                    format!("no host is called `{host}`"),
                    crate::cx::meant(host, hosts, "declare it under [hosts]"),
                );
            }
        }
        out
    }

    fn unused(&mut self, cx: &mut Cx<'_>, who: &Who, peers: &[Peer]) {
        let Some(draft) = self.draft(who) else { return };
        // Written on the instance itself; on the host it is for whoever needs it.
        let own: Vec<(ServiceName, Text)> = draft
            .uses
            .iter()
            .filter(|(_, t)| !draft.path.is_empty() && t.path.starts_with(&draft.path))
            .map(|(s, t)| (s.clone(), t.clone()))
            .collect();
        for (service, t) in own {
            if !peers.iter().any(|p| p.service.contains(&service)) && self.told.insert((t.span.start, "unused".into())) {
                let help = "take it out, or write it where a service needs it";
                cx.push(Diagnostic::warning(code::FLW007, format!("`{}` does not use `{service}`", who.1)).at(t.span, "").help(help));
            }
        }
    }

    /// How `uses` names a candidate: by its host, or by host and instance where the host has several.
    fn write(&self, who: &Who, all: &[Who]) -> String {
        if all.iter().filter(|w| w.0 == who.0).count() > 1 { format!("{}/{}", who.0, who.1) } else { who.0.to_string() }
    }

    fn several(&mut self, cx: &mut Cx<'_>, who: &Who, peer: &Peer, all: &[Who], span: Span) {
        let what = crate::cx::choice(&peer.service);
        if !self.told.insert((span.start, format!("several {what} {}", who.1))) {
            return;
        }
        let names: Vec<String> = all.iter().map(|w| self.write(w, all)).collect();
        let service = all.first().and_then(|w| self.instance(w)).map(|i| i.service.name.to_string()).unwrap_or_default();
        let d = Diagnostic::error(code::FLW001, format!("`{}` on {} uses one {what}, and there are {}", who.1, who.0, all.len()))
            .at(span, "")
            .with_note(format!("candidates: {}", crate::cx::list(&names)))
            .help(format!("say which: uses = {{ {service} = \"{}\" }}", names.first().cloned().unwrap_or_default()));
        cx.push(d);
    }

    fn nobody(&mut self, cx: &mut Cx<'_>, who: &Who, peer: &Peer, span: Span) {
        let what = crate::cx::choice(&peer.service);
        if !self.told.insert((span.start, format!("nobody {what} {}", who.1))) {
            return;
        }
        let first = peer.service.first().map(ToString::to_string).unwrap_or_default();
        let d = Diagnostic::error(code::FLW002, format!("`{}` on {} needs {what}, and no host runs it", who.1, who.0))
            .at(span, "")
            .with_note(format!("what for: {}", peer.why))
            .help(format!("add the host that runs it: runs = [\"{first}\"]; where it is somebody else's, add managed = false"));
        cx.push(d);
    }
}
