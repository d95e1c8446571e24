//! Break-glass: the least table that lets the operator in. In comes a machine, out comes a ruleset of the management path,
//! loopback, what is established, and what addresses need to work. It is what a machine falls back to when the last
//! confirmed state cannot be loaded. A node of a pair also goes on talking to the other one: silent, both would hold the
//! virtual addresses. Where UFW filters the machine no table of ours can open what UFW's chains refuse: there the chains judge before
//! UFW's, what passed them is marked, and the applier lets UFW's tables pass what bears the mark. Without our table nothing bears it.
//! Never: anything else.

use crate::build::Build;
use crate::edge::matrix;
use crate::grant::admit;
use crate::host::{Side, advertised, grants};
use crate::index::Index;
use crate::{Devices, Options, essential, pair};
use ruleset::ufw::{GLASS_CHAIN, GLASS_MARK};
use ruleset::{ChainKind, Hook, Key, Policy, Rule, Ruleset, Statement};
use site::model::{Mode, Model};
use words::HostName;

/// Before UFW's chains (0), and between the two.
const BEFORE_UFW: i32 = -20;
const MARKS: i32 = -10;

/// The break-glass ruleset of a managed machine; `None` for one that is not managed or not there.
pub fn break_glass(model: &Model, devices: &Devices, host: &HostName) -> Option<Ruleset> {
    let host = model.hosts.get(host).filter(|h| h.managed)?;
    let index = Index::new(model);
    let mut build = Build::new(&index, host, devices, Mode::Enforce, Options::default());
    let b = &mut build;
    let dynamic = crate::host::dynamic(b);
    let mut input = vec![essential::loopback(b, "input", Key::Iifname)];
    input.extend(talk(b, true));
    input.push(essential::established(b, "input"));
    let management = grants(b, Side::In, true);
    input.extend(admit(b, "management/in", &management));
    input.extend(essential::related(b, "input"));
    input.extend(essential::neighbour_in(b, advertised(b)));
    if dynamic {
        input.extend(essential::dhcp(b, true));
    }
    input.extend(b.refuse("deny/input", "refuses everything else", "break-glass opens the management path alone", Vec::new()));
    let priority = if b.ufw { BEFORE_UFW } else { 0 };
    b.base("input", ChainKind::Filter, Hook::Input, priority, Policy::Drop, input);

    let mut output = vec![essential::loopback(b, "output", Key::Oifname)];
    output.extend(talk(b, false));
    output.push(essential::established(b, "output"));
    output.extend(essential::errors_and_neighbour_out(b, advertised(b)));
    let management = grants(b, Side::Out, true);
    output.extend(admit(b, "management/out", &management));
    if dynamic {
        output.extend(essential::dhcp(b, false));
    }
    output.extend(b.refuse("deny/output", "refuses everything else", "break-glass opens the management path alone", Vec::new()));
    b.base("output", ChainKind::Filter, Hook::Output, priority, Policy::Drop, output);
    if b.ufw {
        past_ufw(b);
    }

    let mut forward = vec![essential::established(b, "forward")];
    forward.extend(essential::related(b, "forward"));
    if b.host.edge {
        let through: Vec<_> = matrix(b, true).into_values().flatten().collect();
        forward.extend(admit(b, "management/forward", &through));
    }
    forward.extend(b.refuse("deny/forward", "refuses everything else", "break-glass opens the management path alone", Vec::new()));
    b.base("forward", ChainKind::Filter, Hook::Forward, 0, Policy::Drop, forward);
    Some(Ruleset { tables: vec![build.table], unread: Vec::new() })
}

/// Marks what the chains before let pass, for UFW's tables behind.
fn past_ufw(b: &mut Build<'_>) {
    for (word, hook) in [("input", Hook::Input), ("output", Hook::Output)] {
        let mark = Statement::SetMark { key: Key::Mark, mask: None, value: Some(GLASS_MARK) };
        let why = "no table of ours can open what UFW's chains refuse";
        let rule = b.builtin(&format!("past-ufw/{word}"), "marks what break-glass lets pass, for UFW's tables", why, vec![mark]);
        b.base(&format!("{GLASS_CHAIN}/{word}"), ChainKind::Filter, hook, MARKS, Policy::Accept, vec![rule]);
    }
}

/// What the nodes of a pair say to one another.
fn talk(b: &mut Build<'_>, input: bool) -> Vec<Rule> {
    if b.host.edge { pair::rules(b, input) } else { Vec::new() }
}
