//! What a rule says about itself: number, message, class, references.

use crate::{
    build::Build,
    fault::{self, Fault},
    limits::DEFAULT_PRIORITY,
    option::Opt,
    rule::Target,
};

/// The version of the peer's rule language that `requires` is held against.
pub const LANGUAGE: (u32, u32, u32) = (8, 0, 0);
/// Features that `requires` may ask for.
const FEATURES: [&str; 2] = ["ja3", "ja4"];

type Done = Result<(), Fault>;

pub fn msg(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    b.once("msg")?;
    let (negated, text) = o.quoted()?;
    if negated {
        return Err(Fault::value("a message cannot be negated", "msg:\"TEXT\""));
    }
    let mut out = String::with_capacity(text.len());
    let mut escaped = false;
    for c in text.chars() {
        escaped = c == '\\' && !escaped;
        if !escaped {
            out.push(c);
        }
    }
    b.meta.msg = out;
    Ok(())
}

fn number(o: &Opt<'_>, low: u32, high: u32) -> Result<u32, Fault> {
    let form = format!("{}:NUMBER, {low} to {high}", o.name);
    let text = o.unquoted()?;
    let plain = text.bytes().all(|c| c.is_ascii_digit());
    let n = text.parse::<u32>().ok().filter(|n| plain && (low..=high).contains(n));
    n.ok_or_else(|| Fault::value(format!("`{text}` does not do"), &form))
}

pub fn sid(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    b.once("sid")?;
    b.meta.sid = number(o, 1, u32::MAX - 1)?;
    Ok(())
}

pub fn gid(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    b.once("gid")?;
    b.meta.gid = number(o, 0, u32::MAX)?;
    Ok(())
}

pub fn rev(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    b.once("rev")?;
    b.meta.rev = number(o, 1, u32::MAX)?;
    Ok(())
}

pub fn priority(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    b.once("priority")?;
    b.meta.priority = u8::try_from(number(o, 1, 255)?).unwrap_or(DEFAULT_PRIORITY);
    Ok(())
}

pub fn classtype(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    b.once("classtype")?;
    let name = o.unquoted()?;
    if let Some(classes) = &b.tables.classes
        && !classes.contains_key(name)
    {
        let help = "add it to the classification file; until then the rule has priority 3";
        b.faults.push(Fault::warning(fault::DOUBT, format!("there is no class `{name}`"), help).or_at(&o.value_at, o.name));
    }
    b.meta.class = Some(name.to_owned());
    Ok(())
}

pub fn reference(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let text = o.unquoted()?;
    let (kind, value) = text.split_once(',').ok_or_else(|| Fault::value("a reference has a kind and a value", "reference:KIND,VALUE"))?;
    let kind = kind.trim();
    if let Some(references) = &b.tables.references
        && !references.contains_key(&kind.to_ascii_lowercase())
    {
        let help = "add it to the reference file";
        b.faults.push(Fault::warning(fault::DOUBT, format!("there is no kind of reference `{kind}`"), help).or_at(&o.value_at, o.name));
    }
    b.meta.references.push((kind.to_owned(), value.trim().to_owned()));
    Ok(())
}

pub fn metadata(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    for pair in o.need()?.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once([' ', ':']).unwrap_or((pair, ""));
        b.meta.metadata.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(())
}

pub fn target(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    b.once("target")?;
    b.meta.target = Some(match o.need()? {
        "src_ip" => Target::Source,
        "dest_ip" => Target::Destination,
        other => return Err(Fault::value(format!("`{other}` is no end"), "target:src_ip` or `target:dest_ip")),
    });
    Ok(())
}

/// A rule that asks for more than there is may be left out, says the peer's manual.
pub fn requires(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "requires: version >= 8.0.0, feature NAME, keyword NAME";
    for part in o.unquoted()?.split(',').map(str::trim) {
        let (what, rest) = part.split_once(char::is_whitespace).ok_or_else(|| Fault::value(format!("`{part}` does not do"), form))?;
        let rest = rest.trim();
        let met = match what {
            "version" => rest.split('|').map(all_hold).collect::<Option<Vec<_>>>().map(|v| v.contains(&true)),
            "feature" => Some(FEATURES.contains(&rest)),
            "keyword" => Some(matches!(crate::keyword::find(rest), Some(k) if !matches!(k, crate::keyword::Kind::Not(_)))),
            _ => return Err(Fault::value(format!("nothing is known of `{what}`"), form)),
        };
        match met {
            None => return Err(Fault::value(format!("`{part}` does not do"), form)),
            Some(false) => b.skip = Some(format!("it requires {part}")),
            Some(true) => {}
        }
    }
    Ok(())
}

/// Comparisons of the language's version, all of which must hold.
fn all_hold(text: &str) -> Option<bool> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let joined = words.join(" ");
    let mut rest = joined.as_str();
    let mut all = true;
    while !rest.is_empty() {
        let operator = ["<=", ">=", "<", ">"].into_iter().find(|o| rest.starts_with(o))?;
        let body = rest[operator.len()..].trim_start();
        let end = body.find(['<', '>']).unwrap_or(body.len());
        let mut numbers = body[..end].trim().split('.').map(str::parse::<u32>);
        let mut next = || numbers.next().map_or(Some(0), Result::ok);
        let version = (next()?, next()?, next()?);
        all &= match operator {
            "<=" => LANGUAGE <= version,
            ">=" => LANGUAGE >= version,
            "<" => LANGUAGE < version,
            _ => LANGUAGE > version,
        };
        rest = body[end..].trim_start();
    }
    Some(all)
}
