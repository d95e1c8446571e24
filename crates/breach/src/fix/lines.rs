//! Lines of files that root obeys: logrotate's blocks that work as root in a directory of the service, libraries of the service that
//! every program loads. In comes the edge from the place to root, out comes the line's change. Never: touches a block that is about several
//! owners.

use super::{
    Fix,
    edit::{Edit, How, Syntax},
    is_service,
    step::Step,
};
use crate::{
    graph::{Edge, Node},
    machine::{Machine, lines},
    technique::Technique,
};
use facts::File;

/// The linker's list of what every program loads.
const PRELOAD: &str = "/etc/ld.so.preload";

/// Whether an edge is closed by a line rather than by owner and mode of the place it comes from.
pub(super) fn speaks_of(e: &Edge) -> bool {
    let line = e.evidence.first().is_some_and(|x| x.line.is_some());
    match e.technique {
        Technique::Logrotate => line && !e.certain,
        Technique::Linker => line && e.evidence.first().and_then(|x| x.file.as_deref()) == Some(PRELOAD),
        _ => false,
    }
}

/// The line's change.
pub(super) fn fix(m: &Machine, e: &Edge) -> Option<Fix> {
    let Node::File(place) = &e.from else { return None };
    let owner = m.paths.get(place).and_then(|f| m.facts.account(f.uid)).filter(|a| a.uid != 0)?;
    let evidence = e.evidence.first().filter(|_| speaks_of(e))?;
    let (path, line) = (evidence.file.as_deref()?, evidence.line?);
    let file = m.text(path)?;
    let done = |what: String, syntax: Syntax, edits: Result<Vec<Edit>, &str>| {
        let (steps, by_hand) = match edits {
            Ok(edits) => (vec![Step::Edit { path: path.to_owned(), syntax, edits, made: true }], None),
            Err(why) => (Vec::new(), Some(why.to_owned())),
        };
        let by_hand = if is_service(m, owner) { by_hand } else { Some("the account may be a person's".to_owned()) };
        Some(Fix { what, technique: Some(e.technique), steps, by_hand })
    };
    if e.technique == Technique::Linker {
        let seen = lines(file).find(|(n, _)| *n == line).map(|(_, l)| l.to_owned())?;
        let alone = seen.split([' ', ':', '\t', ',']).filter(|w| !w.is_empty()).count() == 1;
        let edits = if alone { Ok(vec![Edit { line, seen, how: How::Comment }]) } else { Err("the line names other libraries too") };
        return done(
            format!("every program loads from {place}, which is {}'s: take it out of {PRELOAD}", owner.name),
            Syntax::Plain,
            edits,
        );
    }
    let group = m.facts.groups.iter().find(|g| g.gid == owner.gid)?;
    done(
        format!("logrotate works in {place} as {}, not as root", owner.name),
        Syntax::Logrotate,
        block(m, file, line, owner.uid, &owner.name, &group.name),
    )
}

/// The block that begins at or after this line works as the account from now on.
fn block(m: &Machine, file: &File, from: u32, uid: u32, account: &str, group: &str) -> Result<Vec<Edit>, &'static str> {
    let all: Vec<(u32, &str)> = lines(file).collect();
    let open = all.iter().position(|(n, l)| *n >= from && l.contains('{')).ok_or("the block has no beginning")?;
    let (brace, opening) = all.get(open).ok_or("the block has no beginning")?;
    if !opening.ends_with('{') {
        return Err("the block is written on one line");
    }
    // Names of this block: back to the end of the one before.
    let first = all.iter().take(open).rposition(|(_, l)| l.ends_with('}')).map_or(0, |p| p + 1);
    for (_, line) in all.iter().take(open + 1).skip(first) {
        for name in line.split_whitespace().map(|w| w.trim_matches('"')).filter(|w| w.starts_with('/')) {
            let owner = m.paths.get(crate::edges::logrotate::directory(name)).map(|f| f.uid);
            if owner != Some(uid) {
                return Err("the block is about directories of several owners: each gets a block of its own");
            }
        }
    }
    let mut edits = vec![Edit { line: *brace, seen: (*opening).to_owned(), how: How::After(format!("  su {account} {group}")) }];
    for (number, line) in all.iter().skip(open + 1).take_while(|(_, l)| !l.starts_with('}')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        // As the account logrotate cannot give a file to somebody else.
        if let ["create", mode, owner, of] = words.as_slice()
            && (*owner, *of) != (account, group)
        {
            edits.push(Edit { line: *number, seen: (*line).to_owned(), how: How::Becomes(format!("create {mode} {account} {group}")) });
        }
    }
    Ok(edits)
}
