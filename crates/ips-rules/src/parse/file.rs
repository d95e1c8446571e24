//! Files in transactions: their names, kinds, digests, and keeping them.

use crate::{
    build::{Build, check_name},
    fault::Fault,
    option::Opt,
    pattern,
    rule::{Check, Effect, FileCheck},
};

type Done = Result<(), Fault>;

fn text(o: &Opt<'_>) -> Result<(bool, String), Fault> {
    let (negated, text) = o.quoted()?;
    let bytes = pattern::bytes(text).map_err(|e| Fault::value(e, &format!("{}:[!]\"TEXT\"", o.name)))?;
    Ok((negated, String::from_utf8(bytes).map_err(|_| Fault::value("the text is not UTF-8", &format!("{}:\"TEXT\"", o.name)))?))
}

pub fn name(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let (negated, text) = text(o)?;
    b.checks.push(Check::File(FileCheck::Name(negated, text)));
    Ok(())
}

pub fn extension(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let (negated, text) = text(o)?;
    b.checks.push(Check::File(FileCheck::Extension(negated, text.to_ascii_lowercase())));
    Ok(())
}

pub fn magic(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let (negated, text) = text(o)?;
    b.checks.push(Check::File(FileCheck::Magic(negated, text)));
    Ok(())
}

pub fn digest(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let text = o.unquoted()?;
    let (negated, list) = text.strip_prefix('!').map_or((false, text), |r| (true, r.trim()));
    check_name(list)?;
    b.checks.push(Check::File(FileCheck::Digest(o.name.trim_start_matches("file").to_owned(), list.to_owned(), negated)));
    Ok(())
}

pub fn store(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "filestore[:request|response|both|to_server|to_client[,file|tx|flow|ssn]]";
    let mut parts = o.value.unwrap_or_default().split(',').map(str::trim).filter(|p| !p.is_empty());
    let (direction, scope) = (parts.next(), parts.next());
    let fine = |t: Option<&str>, known: &[&str]| t.is_none_or(|t| known.contains(&t));
    if !fine(direction, &["request", "response", "both", "to_server", "to_client"])
        || !fine(scope, &["file", "tx", "flow", "ssn", "both"])
        || parts.next().is_some()
    {
        return Err(Fault::value("does not do", form));
    }
    b.effects.push(Effect::StoreFile(direction.map(str::to_owned), scope.map(str::to_owned)));
    Ok(())
}
