//! Weakenings: in comes something wider than the catalogue intends, out come the weakening and what is wrong with its
//! reason and end. A weakening that has ended fails the check but stays in the model: narrowing must never be blocked.

use super::{Deriver, book::Key};
use crate::{code, cx::Cx};
use jiff::{ToSpan, civil::Date};
use words::{Diagnostic, Origin, Span};

/// Days before its end from which a weakening warns: a month to find another way.
const WARN_DAYS: i64 = 30;

/// What the file says about a weakening.
pub(crate) struct Said<'s> {
    pub why: Option<&'s str>,
    pub until: Option<Date>,
    pub span: Span,
    pub origin: &'s Origin,
}

/// A weakening before its flows have ids.
pub(crate) struct WeakDraft {
    pub what: String,
    pub why: String,
    pub until: String,
    pub origin: Origin,
    pub keys: Vec<Key>,
}

/// Notes a weakening.
pub(crate) fn enter(cx: &mut Cx<'_>, d: &mut Deriver<'_>, what: String, reason: &str, said: Said<'_>, keys: Vec<Key>) {
    let Some(why) = said.why.filter(|w| !w.trim().is_empty()) else {
        return missing(cx, reason, said.span, "why");
    };
    let Some(until) = said.until else {
        return missing(cx, reason, said.span, "until");
    };
    if let Ok(today) = cx.today.parse::<Date>() {
        let soon = until.checked_sub(WARN_DAYS.days()).unwrap_or(until);
        if today > until {
            let message = format!("the weakening has ended on {until}: {what}");
            cx.error(code::WEAK003, said.span, message, "take it out, or decide again and give a new `until`");
        } else if today >= soon {
            let days = today.until(until).map(|s| s.get_days()).unwrap_or(0);
            let message = format!("the weakening ends in {days} days, on {until}: {what}");
            cx.warning(code::WEAK002, said.span, message, "find another way until then, or decide again");
        }
    }
    d.weak.push(WeakDraft { what, why: why.to_owned(), until: until.to_string(), origin: said.origin.clone(), keys });
}

fn missing(cx: &mut Cx<'_>, reason: &str, span: Span, key: &str) {
    let d = Diagnostic::error(code::WEAK001, format!("this is wider than the catalogue intends and needs `{key}`"))
        .at(span, "")
        .with_note(reason.to_owned())
        .help(if key == "why" {
            "add why = \"…\" and until = \"2027-01-31\""
        } else {
            "add until = \"2027-01-31\": the day on which you will look at it again"
        });
    cx.push(d);
}
