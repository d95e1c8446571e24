//! A rules file to typed rules. In come a source and the tables, out come rules and findings, all of them. Never: yields a
//! rule of which one option was not understood.

use crate::{
    build::Build,
    config::Tables,
    fast,
    fault::{self, Fault, Finding},
    header,
    keyword::{self, Kind},
    lines::{Logical, logical},
    num::Number,
    option::{self, Opt},
    rule::{Check, Rule},
    verify,
};
use words::{Severity, SourceFile, Span};

/// What became of one rule's text.
#[derive(Debug)]
pub enum Outcome {
    /// Understood in full.
    Rule(Box<Rule>),
    /// Not understood; the findings say why.
    Rejected,
    /// Says itself that it may be left out.
    Skipped,
}

/// One rule's text, what became of it, and all there is to say.
#[derive(Debug)]
pub struct Read {
    /// What became of it.
    pub outcome: Outcome,
    /// Its number, where it could be read.
    pub sid: Option<u32>,
    /// Its bytes in the source.
    pub span: Span,
    /// All there is to say, errors first where they came first.
    pub findings: Vec<Finding>,
}

/// Reads all rules of a source.
pub fn read<'s>(source: &'s SourceFile, file: usize, tables: &'s Tables) -> impl Iterator<Item = Read> + 's {
    let mut groups = header::Groups::default();
    logical(source.text()).into_iter().map(move |line| one(&line, file, tables, &mut groups))
}

fn one(line: &Logical<'_>, file: usize, tables: &Tables, groups: &mut header::Groups) -> Read {
    let text = line.text.as_ref();
    let body = text.trim();
    let at = option::within(text, body);
    let span = line.span(&at);
    let (head, options) = match option::cut(text) {
        Ok(cut) => cut,
        Err(fault) => {
            return Read { outcome: Outcome::Rejected, sid: None, span, findings: vec![fault.or_at_rule(&at).finding(line, None)] };
        }
    };
    let mut faults = Vec::new();
    let header = header::read(text, head, &tables.vars, groups, &mut faults);
    let no_header = header.is_none();
    let mut build = Build::new(tables, header);
    for o in &options {
        if let Err(fault) = apply(&mut build, o) {
            build.faults.push(fault.or_at(&o.value_at, o.name));
        }
    }
    build.settle();
    build.spell();
    // Groups that older modifiers emptied.
    let kept: Vec<_> = std::mem::take(&mut build.groups).into_iter().filter(|g| !g.tests.is_empty()).collect();
    build.groups = kept;
    let prefilter = fast::choose(&build.groups);
    verify::verify(&mut build, prefilter.as_ref());
    faults.append(&mut build.faults);
    if text.contains('\u{fffd}') {
        faults.push(Fault::new(fault::FORM, "bytes that are no UTF-8", "write such bytes of a content as |hex|"));
    }
    let sid = Some(build.meta.sid).filter(|s| *s > 0);
    let rejected = no_header || faults.iter().any(|f| f.severity == Severity::Error);
    let skip = build.skip.take();
    if rejected {
        // Advice is for rules that are loaded.
        faults.retain(|f| f.severity != Severity::Note);
    }
    for fault in faults.iter_mut().filter(|f| f.at.is_none()) {
        // What was found over the whole rule is cited at the keyword it is about.
        let about = options.iter().rev().find(|o| fault.keyword.as_deref() == Some(o.name));
        fault.at = about.map(|o| o.name_at.clone());
    }
    if let Some(why) = &skip {
        // Nothing else counts: the rule itself says that it need not be understood.
        faults = vec![Fault::note(fault::SKIPPED, format!("left out: {why}"), "nothing need be done")];
    }
    let findings = faults.into_iter().map(|f| f.or_at_rule(&at).finding(line, sid)).collect();
    let outcome = match (build.header, rejected, skip) {
        (_, _, Some(_)) => Outcome::Skipped,
        (Some(header), false, None) => Outcome::Rule(Box::new(Rule {
            meta: build.meta,
            header,
            checks: build.checks,
            groups: build.groups,
            effects: build.effects,
            limit: build.limit,
            prefilter,
            span,
            file,
        })),
        _ => Outcome::Rejected,
    };
    Read { outcome, sid, span, findings }
}

impl Fault {
    fn or_at_rule(mut self, at: &std::ops::Range<usize>) -> Self {
        self.at.get_or_insert_with(|| at.start..(at.start + 1).min(at.end.max(at.start)));
        self
    }
}

/// Most faults of a rule before which a keyword nobody knows gets a hint.
const MAX_HINTS: usize = 16;

fn apply(build: &mut Build<'_>, o: &Opt<'_>) -> Result<(), Fault> {
    let plain = |o: &Opt<'_>| match o.value {
        Some(_) => Err(Fault::value("takes no value", &format!("{};", o.name))),
        None => Ok(()),
    };
    match keyword::find(o.name) {
        None => {
            // A hint costs a look at every keyword.
            let near = if build.faults.len() < MAX_HINTS { keyword::near(o.name) } else { None };
            let help = near.map_or_else(|| "see `docs/ips-rules.md` for what is understood".to_owned(), |n| format!("did you mean `{n}`?"));
            Err(Fault::new(fault::UNKNOWN, "nobody knows this keyword", help).at(o.name_at.clone()))
        }
        Some(Kind::Not(why)) => {
            let help = "leave the rule out, or write it with other keywords";
            Err(Fault::new(fault::NOT_TAKEN, format!("not taken in this release: {why}"), help).at(o.name_at.clone()))
        }
        Some(Kind::Sticky(b)) => plain(o).and_then(|()| build.select(b, &o.name_at)),
        Some(Kind::Modifier(b)) => plain(o).and_then(|()| build.moved(b)),
        Some(Kind::Transform(t)) => plain(o).and_then(|()| build.transform(t.clone(), &o.name_at)),
        Some(Kind::Quantity(q, max)) => {
            let form = format!("{}:[<|>|<=|>=|!]NUMBER` or `{}:LOW<>HIGH", o.name, o.name);
            let n = Number::read(o.unquoted()?, max).map_err(|e| Fault::value(e, &form))?;
            build.checks.push(Check::Quantity(q, n));
            Ok(())
        }
        Some(Kind::Read(f)) => f(build, o),
    }
    .map_err(|f| if o.value.is_none() { f.or_at(&o.name_at, o.name) } else { f })
}
