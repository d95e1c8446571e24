//! How often a rule is told: `threshold` and `detection_filter`; the lines of a threshold file read the same parts.

use crate::{
    build::Build,
    fault::Fault,
    option::Opt,
    rule::{Limit, LimitKind, Track},
};

type Done = Result<(), Fault>;

/// By what is counted.
pub(crate) fn track(text: &str) -> Option<Track> {
    Some(match text {
        "by_src" => Track::Source,
        "by_dst" => Track::Destination,
        "by_both" => Track::Both,
        "by_rule" => Track::Rule,
        "by_flow" => Track::Flow,
        _ => return None,
    })
}

/// Reads `type`, `track`, `count`, `seconds`, `multiplier` in any order.
pub(crate) fn read(parts: &[&str], filter: bool) -> Result<Limit, String> {
    let (mut kind, mut by, mut count, mut seconds, mut multiplier) = (None, None, None, None, None);
    for part in parts {
        let (word, value) = part.split_once(char::is_whitespace).map_or((*part, ""), |(w, v)| (w, v.trim()));
        let number = || value.parse::<u32>().ok().filter(|n| *n > 0).ok_or_else(|| format!("`{part}`: a number above 0 is needed"));
        let twice = match word {
            "type" if !filter => kind.replace(value).is_some(),
            "track" => by.replace(track(value).ok_or_else(|| format!("nothing is counted `{value}`"))?).is_some(),
            "count" => count.replace(number()?).is_some(),
            "seconds" => seconds.replace(number()?).is_some(),
            "multiplier" if !filter => multiplier.replace(number()?).is_some(),
            _ => return Err(format!("`{part}` does not do")),
        };
        if twice {
            return Err(format!("`{word}` stands twice"));
        }
    }
    let kind = match (kind, filter) {
        (_, true) => LimitKind::Filter,
        (Some("limit"), _) => LimitKind::Limit,
        (Some("threshold"), _) => LimitKind::Threshold,
        (Some("both"), _) => LimitKind::Both,
        (Some("backoff"), _) => LimitKind::Backoff(multiplier.ok_or("backoff needs a multiplier")?),
        (other, _) => return Err(format!("`type` is limit, threshold, both or backoff, not `{}`", other.unwrap_or("missing"))),
    };
    if multiplier.is_some() && !matches!(kind, LimitKind::Backoff(_)) {
        return Err("a multiplier is for backoff".to_owned());
    }
    let seconds = match kind {
        LimitKind::Backoff(_) => seconds.unwrap_or(1),
        _ => seconds.ok_or("`seconds` is missing")?,
    };
    Ok(Limit { kind, track: by.ok_or("`track` is missing")?, count: count.ok_or("`count` is missing")?, seconds })
}

fn put(b: &mut Build<'_>, o: &Opt<'_>, filter: bool, form: &str) -> Done {
    if b.limit.is_some() {
        return Err(Fault::place("a rule has one threshold or detection_filter", "keep one of them"));
    }
    b.limit = Some(read(&o.parts()?, filter).map_err(|e| Fault::value(e, form))?);
    Ok(())
}

pub fn threshold(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    put(
        b,
        o,
        false,
        "threshold:type limit|threshold|both|backoff, track by_src|by_dst|by_both|by_rule|by_flow, count N, seconds N[, multiplier N]",
    )
}

pub fn detection_filter(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    if b.saw("detection_filter") {
        return Err(Fault::place("stands twice in this rule", "keep one of them"));
    }
    put(b, o, true, "detection_filter:track by_src|by_dst|by_both|by_rule|by_flow, count N, seconds N")
}
